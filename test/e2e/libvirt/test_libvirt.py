# SPDX-License-Identifier: GPL-2.0-or-later
"""A domain of the real libvirtd whose interface is backed by passt, with the
XML that doc/integrations.md shows."""

import os
import signal
import socket
import subprocess

import pytest

from callers import ENV, Tree
from doc import block
from procs import Procs, alive, cmdline, descendants, wait_for
from topology import FAMILIES, V4, V6
from vm import KERNEL_ARGS, Guest
from xfer import recv_bulk, send_bulk

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("libvirt")]

MIB = 1 << 20
USER = 4711
SYSTEM, SESSION = "qemu:///system", "qemu:///session"

# A small machine without KVM, and a host without systemd
CONFIG = """security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
"""
DOMAIN = """<domain type='qemu'>
  <name>%s</name>
  <memory unit='MiB'>160</memory>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>/tmp/vmlinuz</kernel>
    <initrd>/tmp/initramfs</initrd>
    <cmdline>%s</cmdline>
  </os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff>
  <devices>
    <serial type='file'><source path='/tmp/%s.kernel'/></serial>
    <serial type='unix'>
      <source mode='bind' path='/tmp/%s.console'/>
    </serial>
    %s
  </devices>
</domain>
"""


class Libvirt:
    """A tree with libvirtd, kernel and initramfs."""

    def __init__(self, net, bindir):
        self.procs = Procs()
        self.tree = None
        try:
            self.tree = Tree(self.procs, net.host, bindir)
            self.tree.make_guest()
            # What cannot be opened is not tried, nor tried again; and who
            # asks for the host's own name gets an answer.
            self.tree.run("sh", "-c", "echo 127.0.0.1 callers >>/etc/hosts; "
                          "touch /tmp/nokvm; chmod 0 /tmp/nokvm; "
                          "mount --bind /tmp/nokvm /dev/kvm; "
                          "mkdir -m 700 /run/user /home/user; "
                          "chmod 755 /run/user; mkdir -m 700 /run/user/4711; "
                          "chown 4711:4711 /run/user/4711 /home/user; "
                          "mkdir -p /home/user/.config/libvirt; "
                          "chmod 777 /home/user/.config/libvirt; "
                          "echo user:x:4711:4711::/home/user:/bin/sh "
                          ">>/etc/passwd; echo user:x:4711: >>/etc/group")
            self.write("/etc/libvirt/qemu.conf", CONFIG)
            self.procs.start(self.tree.wrap(["libvirtd"]), env=ENV,
                             stderr=subprocess.DEVNULL)
            wait_for(lambda: not self.virsh("version", check=False).returncode,
                     "libvirtd")
        except BaseException:
            self.close()
            raise

    def write(self, path, text):
        with open(self.tree.root(path), "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def virsh(self, *args, uri=SYSTEM, check=True):
        """virsh, for the session as an ordinary user."""
        env, user = ENV, None
        if uri == SESSION:
            user = USER
            env = {**ENV, "HOME": "/home/user",
                   "XDG_RUNTIME_DIR": "/run/user/%d" % USER}
        return self.tree.run("virsh", "-q", "-c", uri, *args, env=env,
                             user=user, check=check)

    def create(self, name, interface, *args, **kw):
        """Make and start a domain. Return: result of virsh."""
        xml = DOMAIN % (name, KERNEL_ARGS, name, name, interface)
        path = self.write("/tmp/%s.xml" % name, xml)
        return self.virsh("create", path, *args, **kw)

    def passts(self, name):
        """PIDs of the passt processes of a domain, as seen from here."""
        return self.tree.passts("-%s-net" % name)

    def close(self):
        if self.tree:
            self.tree.close()
        self.procs.end()


@pytest.fixture(scope="module")
def libvirt(net, bindir):
    lv = Libvirt(net, bindir)
    yield lv
    lv.close()


@pytest.fixture(scope="module")
def guest(libvirt):
    """The domain of the document, booted and configured."""
    libvirt.create("shown", block("libvirt-interface"))
    g = Guest(libvirt.tree.root("/tmp/shown.console"),
              libvirt.tree.root("/tmp/shown.kernel"),
              lambda: libvirt.passts("shown"))
    g.link_up()
    g.dhcp()
    g.slaac()
    return g


def test_command(libvirt, guest):
    """What libvirt made of it; one process, not root."""
    pid, = libvirt.passts("shown")
    args = cmdline(pid)
    assert "--one-off" in args and "eth0" in args
    assert "8080:80,9000-9010,~9003" in args
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        status = f.read()
    assert "Uid:\t0\t" not in status and "CapEff:\t0000000000000000" in status
    log = libvirt.tree.run("cat", "/tmp/passt.log").stdout
    assert "192.0.2.55" in log


def served(net, guest, fam, dst, port, inner):
    """Whether a server on a port of the guest is reached from far."""
    guest.run("echo hello >/www/file; httpd -p %d -h /www" % inner,
              check=False)          # it may run already
    with net.far.sock(fam.af) as s:
        s.settimeout(10)
        s.connect((dst, port))
        s.sendall(b"GET /file HTTP/1.0\r\n\r\n")
        data = b""
        while part := s.recv(1000):
            data += part
    return data.endswith(b"\r\n\r\nhello\n")


def test_addresses(net, guest):
    """<ip> becomes what DHCP and DHCPv6 hand out. A guest that has only what
    it made itself from the prefix is reached as well."""
    assert "192.0.2.55/24" in guest.run("ip -4 addr show dev " + guest.dev)
    assert guest.reaches(V6)
    assert served(net, guest, V6, V6.host, 8080, 80)
    guest.run("printf '#!/bin/sh\\n[ $1 != bound ] || ip addr add $ipv6/128 "
              "dev $interface\\n' >/tmp/six; chmod 755 /tmp/six")
    # it gives up while its own link-local address is in the making
    for _ in range(3):
        said = guest.run("udhcpc6 -i %s -f -q -n -t 5 -T 5 -s /tmp/six 2>&1; "
                         "ip -6 addr" % guest.dev, check=False)
        if "2001:db8:1::55/128" in said:
            break
    else:
        raise AssertionError("no address by DHCPv6: " + said)
    assert served(net, guest, V6, V6.host, 8080, 80)


@pytest.mark.parametrize("fam", FAMILIES, ids=repr)
def test_out(net, guest, fam):
    """Ping, and 1 MiB each way to far."""
    assert guest.reaches(fam)
    with net.far.sock(fam.af) as s:
        s.bind((fam.far, 0))
        s.listen()
        for command in ("head -c %d /dev/urandom >/tmp/f; nc %s %d </tmp/f",
                        "nc %s %d </dev/null | sha256sum"):
            args = (fam.far, s.getsockname()[1])
            if "%d /dev" in command:
                args = (MIB, *args)
            guest.start(command % args)
            with s.accept()[0] as conn:
                conn.settimeout(30)
                if len(args) == 3:
                    got = recv_bulk(conn)
                else:
                    want = send_bulk(conn, MIB)
            out = guest.finish()
            if len(args) == 3:
                want = guest.run("sha256sum /tmp/f").split()[0]
                assert got == (want, MIB)
            else:
                assert out.split()[0] == want


def test_port_forward(net, guest):
    """<portForward>: one port, a range, an exception, an address."""
    assert served(net, guest, V4, V4.host, 8080, 80)
    assert served(net, guest, V6, V6.host, 8080, 80)
    assert served(net, guest, V4, V4.host, 9010, 9010)
    assert served(net, guest, V6, V6.host, 8443, 443)
    for fam, port in ((V4, 9003), (V6, 9003), (V4, 8443)):
        with net.far.sock(fam.af) as s, pytest.raises(ConnectionRefusedError):
            s.connect((fam.host, port))


def test_port_forward_udp(net, guest):
    """A datagram at the host's address, device given, and its answer."""
    guest.run("udpecho 53 & usleep 100000")
    with net.far.sock(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((V4.host, 5353))
        s.send(b"query")
        assert s.recv(100) == b"query"


def test_udp_out(net, guest):
    """A query from the guest reaches far."""
    with net.far.sock(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((V4.far, 53))
        guest.start("timeout 1 nslookup a.example %s >/dev/null" % V4.far)
        assert b"example" in s.recv(512)
        guest.finish(check=False)


def test_hotplug(libvirt, guest):
    """A second interface comes, gets an address, and goes with its passt."""
    path = libvirt.write("/tmp/second.xml", "<interface type='user'>"
                         "<mac address='52:54:00:00:00:02'/>"
                         "<backend type='passt'/><alias name='ua-second'/>"
                         "<model type='virtio'/></interface>")
    for _ in range(2):
        libvirt.virsh("attach-device", "shown", path)
        assert len(libvirt.passts("shown")) == 1
        second = wait_for(lambda: guest.run(
            "grep -l 00:00:02 /sys/class/net/*/address 2>/dev/null",
            check=False), "second interface").split("/")[4]
        guest.run("ip link set %s up; udhcpc -i %s -f -q -n -t 10 -T 2 "
                  "-s /bin/true" % (second, second))
        before = [p for p in descendants(libvirt.tree.proc.pid)
                  if "ua-second" in " ".join(cmdline(p)) and
                  cmdline(p)[0] == "passt"]
        assert len(before) == 1
        libvirt.virsh("detach-device", "shown", path)
        wait_for(lambda pid=before[0]: not alive(pid), "end of passt")
        wait_for(lambda: "gone" in guest.run(
            "[ -e /sys/class/net/%s ] || echo gone" % second, check=False),
            "end of interface")


def test_killed(libvirt, net, guest):
    """libvirt starts another passt when QEMU has lost one, at the same path
    and the same ports; QEMU connects again; nobody notices but by time."""
    pid, = libvirt.passts("shown")
    args = cmdline(pid)
    os.kill(pid, signal.SIGKILL)
    new, = wait_for(lambda: [p for p in libvirt.passts("shown") if p != pid],
                    "new passt")
    assert cmdline(new) == args
    for fam in FAMILIES:
        wait_for(lambda f=fam: guest.reaches(f), "answer to ping", 30)
    assert served(net, guest, V4, V4.host, 8080, 80)


def test_destroy(libvirt, guest):
    """The domain ends, passt too, at once; what it left does not hinder."""
    pid, = libvirt.passts("shown")
    libvirt.virsh("destroy", "shown")
    wait_for(lambda: not alive(pid), "end of passt", 5)


def interface(name):
    """The interface of the document with a log file of its own."""
    return block("libvirt-interface").replace("/tmp/passt.log",
                                              "/tmp/%s.log" % name)


@pytest.mark.parametrize("uri", [SYSTEM, SESSION])
def test_again_and_again(libvirt, net, uri):
    """Start and destroy, on the same ports, without a pause."""
    name = "again-" + uri.rpartition("/")[2]
    xml = interface(name)
    for _ in range(5):
        libvirt.create(name, xml, "--paused", uri=uri)
        pid, = libvirt.passts(name)
        for fam in FAMILIES:
            with net.far.sock(fam.af) as s:
                s.connect((fam.host, 8080))
        libvirt.virsh("destroy", name, uri=uri)
        wait_for(lambda p=pid: not alive(p), "end of passt", 5)


@pytest.mark.parametrize("uri", [SYSTEM, SESSION])
def test_port_in_use(libvirt, net, uri):
    """virsh shows our line, which says what port and why."""
    with net.host.sock(socket.AF_INET) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((V4.any, 8080))
        s.listen()
        name = "bad-" + uri.rpartition("/")[2]
        res = libvirt.create(name, interface(name), uri=uri, check=False)
    assert res.returncode
    said = res.stderr.partition("unexpected exit status 1: ")[2]
    assert "8080" in said and "ddress already in use" in said
    assert len(said.strip().splitlines()) == 1, said
    assert not libvirt.passts(name)
