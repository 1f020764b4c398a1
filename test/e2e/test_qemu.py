# SPDX-License-Identifier: GPL-2.0-or-later
"""A real guest: Linux in QEMU at passt's socket gets its addresses, talks,
is talked to, and survives a new passt."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request

import pytest

import daemon
from crowd import Usage
from figures import figure, form
from procs import Procs, wait_for
from topology import V4, V6
from vm import Relay, Vm
from xfer import Echo, Task, recv_bulk, send_bulk

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("qemu")]

MIB = 1 << 20
PORT = 8080                     # of the host, leads to 80 of the guest
OPTS = ("-t", "%d:80" % PORT, "-u", "%d:81" % PORT)


class Machine:
    """passt, the relay, the guest; the guest boots once for this file."""

    def __init__(self, net, bindir):
        self.net, self.bindir = net, bindir
        self.procs, self.daemons = Procs(), Procs()
        # passt is an ordinary user and makes its socket here
        self.tmp = tempfile.mkdtemp(prefix="e2e-")
        os.chmod(self.tmp, 0o777)
        self.relay = None
        try:
            static = "build/musl-gcc-static/passt"
            subprocess.run(["make", "-s", "-C", daemon.TOP, "CC=musl-gcc",
                            "STATIC=1", static], check=True)
            subprocess.run([os.path.join(daemon.TOP, "test/guest/build"),
                            self.tmp, os.path.join(daemon.TOP, static)],
                           check=True)
            self.start_passt()
            relay = os.path.join(self.tmp, "relay.sock")
            self.relay = Relay(relay, self.passt.path)
            self.vm = Vm(self.procs, self.tmp, self.tmp, relay)
            self.dev = self.vm.link_up()
        except BaseException:
            self.close()
            raise

    def start_passt(self):
        """passt with a socket path that is always the same."""
        self.passt = daemon.Passt(
            self.daemons, self.net.host, self.bindir, self.tmp, OPTS,
            sock=os.path.join(self.tmp, "passt.sock"))

    def configure(self):
        """DHCP in the guest, and wait for SLAAC."""
        if "192.0.2.10/24" not in self.vm.run("ip addr"):
            self.vm.dhcp()
        self.vm.slaac()

    def close(self):
        self.procs.end()
        self.daemons.end()
        if self.relay:
            self.relay.close()
        shutil.rmtree(self.tmp)


@pytest.fixture(scope="module")
def machine(net, bindir):
    m = Machine(net, bindir)
    yield m
    m.close()


@pytest.fixture
def vm(machine):
    """The guest with its addresses."""
    machine.configure()
    return machine.vm


def test_dhcp(machine):
    """Address, MTU, route of the lease."""
    machine.configure()
    out = machine.vm.run("ip -4 addr show dev %s; ip -4 route" % machine.dev)
    assert "192.0.2.10/24" in out
    assert "default via 192.0.2.1" in out
    assert "mtu 65520" in out


def test_slaac(machine):
    """Address of the advertised prefix, route to a link-local router."""
    machine.configure()
    out = machine.vm.run("ip -6 addr show dev %s; ip -6 route" % machine.dev)
    assert "inet6 2001:db8:1:" in out
    assert "default via fe80:" in out


# Of a process, in the guest: its root, mounts, capabilities and filter
LOOK = "ls -A /proc/%(p)s/root | wc -l; cat /proc/%(p)s/mountinfo; " \
    "grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/%(p)s/status"


@pytest.mark.parametrize("mode", ["passt", "pasta"])
def test_initramfs(vm, mode):
    """Our programs in the guest, whose root pivot_root(2) cannot leave: they
    are isolated as everywhere, without being told."""
    assert vm.run("grep ' / / ' /proc/self/mountinfo").split()[8] == "rootfs"
    if mode == "passt":
        out = vm.run("passt -d --runas 4711 -s /tmp/s -P /tmp/pid 2>&1")
    else:
        vm.run("ln -sf passt /bin/pasta; unshare -n sleep 1000 >/tmp/log 2>&1 "
               "& echo $! >/tmp/target")
        wait_for(lambda: vm.run("[ $(readlink /proc/$(cat /tmp/target)/ns/net)"
                                " != $(readlink /proc/self/ns/net) ]; "
                                "echo $?") == "0\n", "namespace")
        out = vm.run("pasta -d --runas 4711 --config-net -P /tmp/pid "
                     "$(cat /tmp/target) 2>&1")
    assert "using chroot instead" in out
    entries, mount, *status = vm.run(
        LOOK % {"p": "$(cat /tmp/pid)"}).splitlines()
    assert entries == "0"
    assert " / / ro,nosuid,nodev,noexec" in mount and " - tmpfs " in mount
    # pasta stays in the user namespace it was started in, and there may bind low
    # ports once somebody listens on them: CAP_NET_BIND_SERVICE
    caps = "%016x" % (1 << 10 if mode == "pasta" else 0)
    assert [line.split()[1] for line in status] == ["4711", caps, "1", "2"]
    if mode == "pasta":
        assert "192.0.2.10/24" in vm.run(
            "nsenter -t $(cat /tmp/target) -n ip addr")
        vm.run("kill $(cat /tmp/target)")
    else:
        vm.run("kill $(cat /tmp/pid)")


def test_ping(vm, fam):
    out = vm.run("ping%s -c 3 -W 10 %s" % ("6" if fam.num == 6 else "",
                                           fam.far))
    assert "3 packets received" in out


def test_upload(vm, fam, net):
    """4 MiB from the guest arrive as they were."""
    with net.far.sock(fam.af) as s:
        s.bind((fam.far, 0))
        s.listen()
        vm.run("[ -e /tmp/f ] || dd if=/dev/urandom of=/tmp/f bs=64k "
               "count=64 2>/dev/null")
        want = vm.run("sha256sum /tmp/f").split()[0]
        vm.start("nc %s %d </tmp/f" % (fam.far, s.getsockname()[1]))
        conn = s.accept()[0]
        with conn:
            conn.settimeout(60)
            got = recv_bulk(conn)
        vm.finish()
        assert got == (want, 4 * MIB)


def test_download(vm, fam, net):
    """4 MiB to the guest arrive as they were."""
    with net.far.sock(fam.af) as s:
        s.bind((fam.far, 0))
        s.listen()
        vm.start("nc %s %d </dev/null | sha256sum"
                 % (fam.far, s.getsockname()[1]))
        conn = s.accept()[0]
        with conn:
            conn.settimeout(60)
            want = send_bulk(conn, 4 * MIB)
        assert vm.finish().split()[0] == want


def fetch(net, fam, timeout):
    """GET a file from the guest, through the forwarded port."""
    def get():
        with net.far.entered():         # this thread only
            host = "[%s]" % fam.host if fam.num == 6 else fam.host
            url = "http://%s:%d/file" % (host, PORT)
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}))
            with opener.open(url, timeout=timeout) as reply:
                return reply.read()
    return Task(get).result(timeout + 10)


def test_forwarded_port(vm, fam, net):
    """A server in the guest is reached from outside."""
    vm.run("pidof httpd >/dev/null || httpd -p 80 -h /www")
    vm.run("yes guest | head -c 300000 >/www/file")
    assert fetch(net, fam, 30) == (b"guest\n" * 50000)[:300000]


def test_dns_sized_udp(vm, fam, net):
    """A datagram out and its answer back."""
    s = net.far.sock(fam.af, socket.SOCK_DGRAM)
    s.bind((fam.far, 0))
    port = s.getsockname()[1]
    with Echo(s) as echo:
        vm.run("echo datagram | nc -u -w 1 %s %d" % (fam.far, port),
               check=False) if _has_udp(vm) else \
            vm.run("nslookup -port=%d a.example %s" % (port, fam.far),
                   check=False)
        assert len(echo.peers) >= 1


def _has_udp(vm):
    """Whether this busybox's nc can do UDP."""
    return "-u" in vm.run("nc --help 2>&1", check=False)


def test_new_passt(machine, net):
    """passt is killed, another one takes its place: the guest goes on with
    the addresses it has, ports are forwarded again."""
    machine.configure()
    vm = machine.vm
    vm.run("pidof httpd >/dev/null || httpd -p 80 -h /www")
    vm.run("echo again >/www/file")
    machine.daemons.end()
    machine.start_passt()
    for fam in (V4, V6):
        wait_for(lambda f=fam: vm.reaches(f), "answer to ping", 30)
        assert fetch(net, fam, 30) == b"again\n"


def test_direct(passt, procs, tmp, net, machine):
    """QEMU itself connected, nothing between; passt --one-off ends with
    it."""
    p = passt("--one-off")
    vm = Vm(procs, machine.tmp, tmp, p.path)
    vm.link_up()
    vm.dhcp()
    test_upload(vm, V4, net)
    test_download(vm, V4, net)
    vm.start("poweroff -f")
    vm.proc.wait(30)
    assert p.proc.wait(10) == 0


@pytest.mark.long
def test_killed(passt, procs, tmp, net, machine):
    """QEMU itself is killed while it sends (50 times in the long form), the
    next one is served by the same passt."""
    p, kills = passt(), form(1, 49)
    usage = Usage(p.pid)
    for i in range(kills + 1):
        mine = os.path.join(tmp, str(i))
        os.mkdir(mine)
        vm = Vm(procs, machine.tmp, mine, p.path)
        dev = vm.run("ls /sys/class/net | grep -v lo").strip()
        vm.run("ip link set %s up; udhcpc -i %s -f -q -n -t 10 -T 2 "
               "-s /etc/lease" % (dev, dev))
        with net.far.sock(socket.AF_INET) as s:
            s.bind((V4.far, 0))
            s.listen()
            vm.start("cat /dev/zero | nc %s %d" % s.getsockname())
            conn = s.accept()[0]
            conn.settimeout(30)
            with conn:
                recv_bulk(conn, MIB)
                vm.proc.kill()
                vm.proc.wait()
    assert p.running()
    figure("QEMU killed %d times" % (kills + 1),
           "the next one served each time; %d descriptors before, %d after",
           usage.fds0, usage.fds())
    assert usage.fds() <= usage.fds0 + 4 * (kills + 1)


def test_quit(machine):
    """The guest is switched off; passt waits for the next one."""
    machine.vm.start("poweroff -f")
    machine.vm.proc.wait(30)
    assert machine.passt.running()
    os.kill(machine.passt.pid, signal.SIGTERM)
    assert machine.passt.proc.wait(10) == 0
