# SPDX-License-Identifier: GPL-2.0-or-later
"""contrib/slirp4netns: the command lines of programs that start slirp4netns."""

import os
import select
import shutil
import socket
import subprocess

import pytest

from daemon import TOP, with_resolv
from procs import as_user
from netns import Netns

FAR4, FAR6 = "198.51.100.1", "2001:db8:2::1"
PROG = os.path.join(TOP, "contrib", "slirp4netns")


class Slirp:
    """A namespace, and slirp4netns started for it as rootlesskit and others
    do: two pipes, the one to be told by, the other to tell the end by."""

    def __init__(self, net, procs, bindir, tmp):
        self.net, self.procs, self.bindir = net, procs, bindir
        self.prog = shutil.copy(PROG, os.path.join(tmp, "slirp4netns"))
        os.chmod(self.prog, 0o755)
        self.resolv = os.path.join(tmp, "resolv.conf")
        with open(self.resolv, "w", encoding="ascii") as f:
            f.write("nameserver %s\nnameserver %s\n" % (FAR4, FAR6))
        self.proc = self.ns = self.exit_wr = None
        self.target = procs.start(
            ["unshare", "--user", "--map-root-user", "--net", "sh", "-c",
             "ip link set lo up; echo ready; read x"], ns=net.host,
            user="user", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.target.stdout.readline() == b"ready\n"
        self.ns = Netns("/proc/%d/ns/net" % self.target.pid)

    def wrap(self, argv):
        """As an ordinary user, with pasta of this build found first."""
        return with_resolv(as_user(
            ["env", "PASTA=%s/pasta" % self.bindir, self.prog, *argv],
            "user"), self.resolv)

    def __call__(self, *opts, args=None):
        ready_rd, ready_wr = os.pipe()
        exit_rd, self.exit_wr = os.pipe()
        args = args or (str(self.target.pid), "tap0")
        self.proc = self.procs.start(
            self.wrap(["-e", str(exit_rd), "-r", str(ready_wr), *opts,
                       *args]), ns=self.net.host, pass_fds=(exit_rd, ready_wr),
            stderr=subprocess.PIPE, text=True)
        os.close(ready_wr)
        os.close(exit_rd)
        assert select.select([ready_rd], [], [], 20)[0]
        said = os.read(ready_rd, 16)
        os.close(ready_rd)
        assert said[:1] == b"1", self.proc.communicate(timeout=10)[1]
        return self

    def refused(self, *args):
        """What it says when it does not start."""
        res = self.net.host.run(*self.wrap(args), check=False)
        assert res.returncode == 1
        return res.stderr

    def close(self):
        if self.exit_wr is not None:
            os.close(self.exit_wr)
        self.ns.close()


@pytest.fixture
def slirp(net, procs, bindir, tmp):
    s = Slirp(net, procs, bindir, tmp)
    yield s
    s.close()


def reaches(ns_from, ns_to, fam, dst, bind):
    """TCP from here to there. Return: address the peer saw."""
    with ns_to.sock(fam) as listener:
        listener.bind((bind, 0))
        listener.listen()
        port = listener.getsockname()[1]
        with ns_from.sock(fam) as s:
            s.connect((dst, port))
            conn, peer = listener.accept()
            conn.sendall(b"hello")
            conn.close()
            assert s.recv(100) == b"hello"
    return peer[0]


def test_rootlesskit(slirp, net):
    """The classic: configured, MTU, host loopback off, ready and exit."""
    slirp("--mtu", "65520", "-c", "--disable-host-loopback")
    ns = slirp.ns
    assert "10.0.2.100/24" in ns.ip("-4 addr show dev tap0")
    assert "mtu 65520" in ns.ip("link show dev tap0")
    assert "via 10.0.2.2 dev tap0" in ns.ip("route show default")
    assert not ns.ip("-6 addr show dev tap0 scope global")
    assert reaches(ns, net.far, socket.AF_INET, FAR4, FAR4) == "192.0.2.10"
    with pytest.raises(OSError):
        reaches(ns, net.host, socket.AF_INET, "10.0.2.2", "127.0.0.1")
    os.close(slirp.exit_wr)
    slirp.exit_wr = None
    assert slirp.proc.wait(10) == 0


def test_host_loopback(slirp, net):
    """Without that option 10.0.2.2 is 127.0.0.1 of the host."""
    slirp("--configure")
    assert "mtu 1500" in slirp.ns.ip("link show dev tap0")
    assert reaches(slirp.ns, net.host, socket.AF_INET, "10.0.2.2",
                   "127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize("off", [False, True])
def test_dns(slirp, net, off):
    """10.0.2.3 is the nameserver of the host, unless --disable-dns."""
    slirp("-c", *(["--disable-dns"] if off else []))
    with net.far.sock(socket.AF_INET, socket.SOCK_DGRAM) as server, \
            slirp.ns.sock(socket.AF_INET, socket.SOCK_DGRAM) as s:
        server.bind((FAR4, 53))
        s.sendto(b"query", ("10.0.2.3", 53))
        if off:
            server.settimeout(0.5)
            with pytest.raises(socket.timeout):
                server.recv(100)
            return
        data, peer = server.recvfrom(100)
        server.sendto(data.upper(), peer)
        assert s.recvfrom(100) == (b"QUERY", ("10.0.2.3", 53))


def test_ipv6(slirp, net):
    slirp("-c", "-6")
    assert "fd00::" in slirp.ns.ip("-6 addr show dev tap0 scope global")
    assert reaches(slirp.ns, net.far, socket.AF_INET6, FAR6,
                   FAR6) == "2001:db8:1::10"
    assert reaches(slirp.ns, net.host, socket.AF_INET6, "fd00::2",
                   "::1") == "::1"


def test_all_options(slirp, net):
    """--cidr, MAC address, sandbox; options behind the arguments; paths."""
    proc = "/proc/%d/ns/" % slirp.target.pid
    slirp("--netns-type=path", "--userns-path=" + proc + "user",
          "--cidr=10.41.0.0/16", "--enable-sandbox", "--enable-seccomp",
          "--target-type=netns",
          args=(proc + "net", "eth7", "--macaddress=02:00:00:00:00:07", "-c",
                "--outbound-addr=eth0"))
    ns = slirp.ns
    assert "10.41.0.100/16" in ns.ip("-4 addr show dev eth7")
    assert "02:00:00:00:00:07" in ns.ip("link show dev eth7")
    assert "via 10.41.0.2 dev eth7" in ns.ip("route show default")
    assert reaches(ns, net.far, socket.AF_INET, FAR4, FAR4) == "192.0.2.10"


def test_outbound_addr(slirp, net):
    net.host.ip("addr replace 192.0.2.99/24 dev eth0")
    try:
        slirp("-c", "--outbound-addr=192.0.2.99")
        assert reaches(slirp.ns, net.far, socket.AF_INET, FAR4,
                       FAR4) == "192.0.2.99"
    finally:
        net.host.ip("addr del 192.0.2.99/24 dev eth0")


def test_not_configured(slirp):
    """Without -c there is the device, and it is left alone."""
    slirp()
    assert "tap0" in slirp.ns.ip("link show")
    assert not slirp.ns.ip("-4 addr show dev tap0")


def test_no_ports_forwarded(slirp, net):
    """What the namespace listens on does not appear on the host."""
    with slirp.ns.sock(socket.AF_INET) as s:
        s.bind(("0.0.0.0", 0))
        s.listen()
        slirp("-c")
        with net.host.sock(socket.AF_INET) as c, pytest.raises(OSError):
            c.connect(("127.0.0.1", s.getsockname()[1]))


@pytest.mark.parametrize("args, word", [
    (("-a", "/tmp/api", "1"), "API socket"),
    (("--target-type=bess", "/tmp/bess"), "bess"),
    (("--cidr=10.0.2.1/24", "1"), "10.0.2.1/24"),
    (("--cidr=10.0.2.0/26", "1"), "10.0.2.0/26"),
    (("--netns-type=what", "1"), "what"),
    (("--userns-path=/x", "1"), "netns-type"),
    (("--macaddress=02:00:00:00:00:01", "1"), "configure"),
    (("--no-such-option", "1"), "no-such-option"),
    (("-c", "one"), "PID"), (("-c",), "Usage"), (("1", "2", "3"), "many"),
])
def test_refused(slirp, args, word):
    assert word in slirp.refused(*args)


def test_help(slirp):
    for opt in ("--help", "-v"):
        res = slirp.net.host.run(*slirp.wrap([opt]))
        assert res.stdout and not res.stderr
