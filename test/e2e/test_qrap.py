# SPDX-License-Identifier: GPL-2.0-or-later
"""qrap: which passt it finds, what it makes of QEMU's arguments, and a guest
behind it. Each test has a /tmp of its own, where nobody else's sockets are."""

import contextlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading

import pytest
from scapy.all import ARP, Ether, ICMPv6ND_NS, IPv6

import daemon
from doc import block
from procs import wait_for
from room import Room
from vm import Vm

ANSWER = b"\0\0\0\x3c" + bytes(60)

# Tells what it was called with, and which descriptors are sockets
FAKE = """#!/usr/bin/python3
import json, os, socket, stat, sys
fds = {}
for fd in map(int, os.listdir("/proc/self/fd")):
    try:
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            s = socket.socket(fileno=os.dup(fd))
            fds[fd] = [s.getpeername(), os.get_blocking(fd)]
    except OSError:
        pass
json.dump({"argv": sys.argv, "fds": fds}, sys.stdout)
sys.exit(7)
"""


class FakePasst:
    """Listens where passt would. kind: "answers", "busy" accepts and hangs
    up, "late" does so after a while, "silent" does nothing; "stale" left."""

    def __init__(self, room, n, kind="answers"):
        self.kind = kind
        self.got = b""
        self.conns = []
        self.sock = socket.socket(socket.AF_UNIX)
        self.path = "/tmp/passt_%d.socket" % n
        self.where = room.tmp + os.path.basename(self.path)
        self.sock.bind(self.where)
        self.sock.listen()
        if kind == "stale":
            self.sock.close()
            return
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                conn = self.sock.accept()[0]
            except OSError:
                return
            self.conns.append(conn)
            if self.kind == "busy":
                conn.close()
            elif self.kind == "late":
                threading.Timer(0.1, conn.shutdown,
                                [socket.SHUT_RDWR]).start()
            elif self.kind == "answers":
                self.got = conn.recv(65536)
                conn.sendall(ANSWER)

    def close(self):
        if self.kind != "stale":
            self.sock.shutdown(socket.SHUT_RDWR)    # wakes up accept()
        self.sock.close()
        for conn in self.conns:
            conn.close()


@pytest.fixture
def room(procs, net):
    return Room(procs, net.host)


@pytest.fixture
def fake(room):
    """Factory: fake(number, kind) -> FakePasst."""
    with contextlib.ExitStack() as stack:
        yield lambda *a: stack.enter_context(
            contextlib.closing(FakePasst(room, *a)))


@pytest.fixture
def path():
    """A directory that is the PATH, with a pretended QEMU. /tmp is covered."""
    top = tempfile.mkdtemp(prefix="e2e-", dir="/var/tmp")
    add_program(top, "qemu-system-x86_64")
    yield top
    shutil.rmtree(top)


def add_program(path, name):
    file = os.path.join(path, name)
    with open(file, "w", encoding="ascii") as f:
        f.write(FAKE)
    os.chmod(file, 0o755)


def qrap(room, bindir, path, *args, name=None):
    """Run it. Return: (what the pretended program saw, what qrap said)."""
    prog = os.path.join(bindir, "qrap")
    if name:
        os.symlink(prog, os.path.join(path, name))
        prog = os.path.join(path, name)
    res = room.run(prog, *args, path=path)
    if res.returncode == 7:
        return json.loads(res.stdout), res.stderr
    assert res.returncode == 1 and not res.stdout
    return None, res.stderr


# --- which passt ---

def test_finds_first_free(room, bindir, path, fake):
    """Past a socket nobody listens on, one that is not even a socket, one
    whose passt has a guest, one that says so later, a silent one."""
    fake(2, "stale")
    with open(room.tmp + "passt_3.socket", "wb"):
        pass
    for n, kind in ((4, "busy"), (5, "late"), (7, "silent"), (64, "answers")):
        fake(n, kind)
    seen, said = qrap(room, bindir, path, 9, "qemu-system-x86_64", "-x", "9")
    assert seen["argv"][1:] == ["-x", "9"]
    assert seen["fds"] == {"9": [fake_path(room, 64), True]}
    assert said == ""


def fake_path(room, n):
    """How its path looks to the program at the other end."""
    return "%spasst_%d.socket" % (room.tmp, n)


def test_asks_as_a_guest(room, bindir, path, fake):
    """An ARP request and a neighbour solicitation that others understand; the
    answer is there for QEMU to read."""
    passt = fake(1)
    assert qrap(room, bindir, path, 5, "qemu-system-x86_64")[0]
    frames = []
    data = passt.got
    while data:
        size = int.from_bytes(data[:4], "big")
        frames.append(Ether(data[4:4 + size]))
        data = data[4 + size:]
    arp, ns = frames
    assert arp.dst == "ff:ff:ff:ff:ff:ff" and arp[ARP].op == 1
    assert arp[ARP].hwsrc == arp.src == ns.src
    assert arp[ARP].psrc not in ("0.0.0.0", arp[ARP].pdst)
    assert ns[IPv6].hlim == 255 and ns[ICMPv6ND_NS].lladdr == ns.src
    cksum = ns[ICMPv6ND_NS].cksum
    del ns[ICMPv6ND_NS].cksum
    assert IPv6(bytes(ns[IPv6]))[ICMPv6ND_NS].cksum == cksum


def test_waits_for_start(room, bindir, path, fake):
    """A passt that is just starting is waited for."""
    timer = threading.Timer(1, fake, [3])
    timer.start()
    seen, _ = qrap(room, bindir, path, 5, "qemu-system-x86_64")
    timer.join()
    assert seen["fds"]["5"][0] == fake_path(room, 3)


def test_none(room, bindir, path):
    """No passt at all: what was looked at, what to do."""
    seen, said = qrap(room, bindir, path, "-m", "1024")
    assert not seen
    assert said == ("qrap: no passt takes a guest on any of "
                    "/tmp/passt_1.socket to /tmp/passt_64.socket: start "
                    "passt first\n")


@pytest.mark.slow
def test_none_free(room, bindir, path, fake):
    """One line for each socket that is there, with the reason."""
    fake(1, "busy")
    fake(3, "silent")
    fake(2, "stale")
    _, said = qrap(room, bindir, path, "-m", "1024")
    assert said.splitlines()[:-1] == [
        "qrap: /tmp/passt_1.socket: has a guest already",
        "qrap: /tmp/passt_2.socket: nobody listens any more",
        "qrap: /tmp/passt_3.socket: does not answer as passt does"]


@pytest.mark.parametrize("opts", [(), ("-4",), ("-6",), ("--no-ndp",)],
                         ids=lambda o: "".join(o) or "default")
def test_real_passt(room, bindir, path, passt, opts):
    """passt answers one of the questions; while it has a guest, the next one
    is taken; afterwards the first again."""
    for n in (1, 2):
        passt(*opts, where=room, sock="/tmp/passt_%d.socket" % n)
    program = (5, "qemu-system-x86_64")
    with socket.socket(socket.AF_UNIX) as guest:
        guest.connect(room.tmp + "passt_1.socket")
        seen, _ = qrap(room, bindir, path, *program)
        assert seen["fds"]["5"][0] == "/tmp/passt_2.socket"
    wait_for(lambda: qrap(room, bindir, path, *program)[0]["fds"]["5"][0] ==
             "/tmp/passt_1.socket", "passt without its guest")


# --- arguments ---

OURS = ["-netdev", "socket,fd=5,id=qrap",
        "-device", "virtio-net-pci,netdev=qrap"]
LIBVIRT = ["-device", '{"driver":"virtio-net-pci","netdev":"hostnet0",'
           '"id":"net0","mac":"52:54:00:aa:bb:cc","bus":"pci.1","addr":"0x0"}']


@pytest.mark.parametrize("given, made, fd", [
    # nothing of a network: both are added
    (["-m", "1024", "-kernel", "k"], ["-m", "1024", "-kernel", "k", *OURS],
     5),
    (["disk.img"], ["disk.img", *OURS], 5),
    (["-nodefaults", "-net", "none"], ["-nodefaults", "-net", "none", *OURS],
     5),
    # another interface stays what it is
    (["-netdev", "tap,id=n,fd=30", "-device", "e1000,netdev=n"],
     ["-netdev", "tap,id=n,fd=30", "-device", "e1000,netdev=n", *OURS], 5),
    # a machine without PCI
    (["-M", "microvm"], ["-M", "microvm", *OURS[:3],
                         "virtio-net-device,netdev=qrap"], 5),
    # QEMU's own network is replaced, under its name
    (["-netdev", "user,id=hostnet0", *LIBVIRT],
     ["-netdev", "socket,fd=5,id=hostnet0", *LIBVIRT], 5),
    (["-netdev", '{"type":"user","id":"hostnet0"}', *LIBVIRT],
     ["-netdev", "socket,fd=5,id=hostnet0", *LIBVIRT], 5),
    (["--netdev", '{ "id" : "a", "type" : "user" }', "--device", "d"],
     ["--netdev", "socket,fd=5,id=a", "--device", "d"], 5),
    (["-netdev", "type=user,restrict=on,id=n"],
     ["-netdev", "socket,fd=5,id=n"], 5),
    (["-netdev", "user,id=a", "-netdev", "user,id=b"],
     ["-netdev", "socket,fd=5,id=a", "-netdev", "user,id=b"], 5),
    (["-net", "nic,model=virtio", "-net", "user"],
     ["-net", "nic,model=virtio", "-net", "socket,fd=5"], 5),
    (["-nic", "user,ipv6=off,model=virtio,mac=52:54:00:00:00:09"],
     ["-nic", "socket,fd=5,model=virtio,mac=52:54:00:00:00:09"], 5),
    # it is there already
    (["-netdev", "socket,fd=12,id=n", "-device", "e1000,netdev=n"],
     ["-netdev", "socket,fd=12,id=n", "-device", "e1000,netdev=n"], 12),
    (["-netdev", '{"type":"socket","id":"n","fd":"6"}'],
     ["-netdev", '{"type":"socket","id":"n","fd":"6"}'], 6),
    (["-nic", "socket,fd=8"], ["-nic", "socket,fd=8"], 8),
    # a socket that is not about a descriptor
    (["-netdev", "socket,id=n,listen=:1234"],
     ["-netdev", "socket,id=n,listen=:1234", *OURS], 5),
])
def test_arguments(room, bindir, path, fake, given, made, fd):
    fake(1)
    seen, said = qrap(room, bindir, path, *given)
    assert seen, said
    assert seen["argv"][1:] == made
    assert list(seen["fds"]) == [str(fd)]
    assert said == ""


def test_forwards_of_user_network(room, bindir, path, fake):
    """What gets lost is told."""
    fake(1)
    seen, said = qrap(room, bindir, path, "-nic", "user,hostfwd=tcp::2222-:22")
    assert seen["argv"][1:] == ["-nic", "socket,fd=5"]
    assert "see its options -t and -u" in said


def test_descriptors_taken(room, bindir, path, fake):
    """Descriptors of the caller are left alone: the next free one is ours."""
    fake(1)
    prog = os.path.join(bindir, "qrap")
    res = room.run("/bin/sh", "-c", 'exec "$@" 5</dev/null 6</dev/null', "sh",
                   prog, "-netdev", "socket,fd=6,id=n",
                   path=path)
    seen = json.loads(res.stdout)
    assert list(seen["fds"]) == ["7"]
    assert "socket,fd=7,id=qrap" in seen["argv"]


@pytest.mark.parametrize("args", [
    ["-version"], ["--version", "-x"], ["-help"], ["-device", "help"],
    ["-device", "virtio-net-pci,help"], ["-cpu", "?"],
    ["-S", "-nodefaults", "-machine", "none,accel=kvm:tcg", "-qmp", "x"],
    ["-M", "none"], ["-machine", "accel=tcg,type=none"],
], ids=" ".join)
def test_questions_to_qemu(room, bindir, path, args):
    """No passt is needed to ask QEMU what it can do."""
    seen, said = qrap(room, bindir, path, *args)
    assert seen["argv"][1:] == args and not seen["fds"] and not said


# --- which QEMU ---

def test_names(room, bindir, path, fake):
    """qemu-kvm goes before the name with the architecture."""
    fake(1)
    assert qrap(room, bindir, path, "-x")[0]["argv"][0] == \
        path + "/qemu-system-x86_64"
    add_program(path, "kvm")
    assert qrap(room, bindir, path, "-x")[0]["argv"][0] == path + "/kvm"
    add_program(path, "qemu-kvm")
    assert qrap(room, bindir, path, "-x")[0]["argv"][0] == path + "/qemu-kvm"


def test_no_qemu(room, bindir, path):
    os.unlink(path + "/qemu-system-x86_64")
    _, said = qrap(room, bindir, path, "-x")
    assert said == ("qrap: no QEMU found: neither qemu-kvm, "
                    "/usr/libexec/qemu-kvm, kvm nor qemu-system-x86_64, in "
                    "PATH\n")


def test_link(room, bindir, path, fake):
    """Called as QEMU, it runs the next program of that name in PATH, a number
    being QEMU's argument as any other, with the device of that machine."""
    fake(1)
    os.mkdir(path + "/real")
    add_program(path + "/real", "qemu-system-s390x")
    prog = path + "/qemu-system-s390x"
    os.symlink(os.path.join(bindir, "qrap"), prog)
    res = room.run(prog, "5", "-x", path="%s:%s/real" % (path, path))
    seen = json.loads(res.stdout)
    assert seen["argv"] == [
        path + "/real/qemu-system-s390x", "5", "-x", *OURS[:3],
        "virtio-net-ccw,netdev=qrap"]


def test_link_alone(room, bindir, path):
    """It does not run itself, nor QEMU of another machine."""
    add_program(path, "qemu-kvm")
    _, said = qrap(room, bindir, path, "-x", name="qemu-system-aarch64")
    assert "nor qemu-system-aarch64" in said


# --- the program itself ---

@pytest.mark.parametrize("args, status, out", [
    ([], 1, ""), (["5"], 1, ""), (["--help"], 0, "Usage: qrap FD"),
    (["--version"], 0, "qrap "),
], ids=str)
def test_usage(room, bindir, args, status, out):
    res = room.run(os.path.join(bindir, "qrap"), *args)
    assert res.returncode == status
    assert res.stdout.startswith(out)
    assert ("Usage" in res.stderr) == bool(status)


@pytest.mark.parametrize("fd", ["2", "1024", "99999999999999999999"])
def test_bad_descriptor(room, bindir, path, fd):
    _, said = qrap(room, bindir, path, fd, "qemu-system-x86_64")
    assert said == ("qrap: descriptor '%s': a number from 3 to 1023 is "
                    "expected\n" % fd)


def test_bad_command(room, bindir, path, fake):
    fake(1)
    _, said = qrap(room, bindir, path, 5, "no-such-program")
    assert said == ("qrap: cannot execute no-such-program: No such file or "
                    "directory\n")


# --- a guest ---

@pytest.fixture(scope="module")
def images():
    """Kernel and initial file system of the guest. /tmp is covered."""
    top = tempfile.mkdtemp(prefix="e2e-", dir="/var/tmp")
    subprocess.run([os.path.join(daemon.TOP, "test", "guest", "build"), top],
                   check=True)
    yield top
    shutil.rmtree(top)


def commands(text, bindir, room, procs):
    """Command lines of the document: passt is started as is, from a place of
    ours. Return: words of the other one, without its last arguments."""
    lines = text.replace("\\\n", " ").splitlines()
    assert len(lines) == 2
    argv = shlex.split(lines[0])
    assert argv[0] == "passt"
    procs.start([os.path.join(bindir, "passt"), *argv[1:], "-f"], ns=room,
                user="user")
    argv = shlex.split(lines[1])
    assert argv[0] == "qrap" and argv[-3:] == ["-m", "1G", "disk.img"]
    return [os.path.join(bindir, "qrap"), *argv[1:-3]]


@pytest.mark.slow
@pytest.mark.xdist_group("qemu")
@pytest.mark.parametrize("text", [block("qrap"), block("qrap-fd")],
                         ids=["arguments", "descriptor"])
def test_guest(net, bindir, room, procs, images, text):
    """The commands of the document, with a guest that boots, gets a lease, and
    serves the port forwarded."""
    program = commands(text, bindir, room, procs)
    vm = Vm(procs, images, images, program=program, ns=room)
    dev = vm.run("ls /sys/class/net | grep -v lo").strip()
    vm.run("ip link set %s up; udhcpc -i %s -f -q -n -t 10 -T 2 "
           "-s /etc/lease" % (dev, dev))
    assert "192.0.2.10/24" in vm.run("ip -4 addr show dev " + dev)
    assert "1 packets received" in vm.run("ping -c 1 -W 10 198.51.100.1")
    vm.start("echo hello | nc -l -p 22")

    def fetch():
        with net.far.sock(socket.AF_INET) as s:
            s.connect(("192.0.2.10", 2222))
            try:
                return s.recv(100)
            except ConnectionResetError:        # not listening yet
                return b""
    wait_for(lambda: fetch() == b"hello\n", "greeting of the guest")
    vm.finish()
    vm.start("poweroff -f")
    vm.proc.wait(30)
