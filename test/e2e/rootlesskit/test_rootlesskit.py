# SPDX-License-Identifier: GPL-2.0-or-later
"""The real rootlesskit, as Docker's rootless mode and nerdctl start it, run by
an ordinary user with subordinate IDs."""

import os
import shlex
import signal
import socket
import subprocess

import pytest

from callers import ENV, Tree
from doc import block
from netns import Netns
from procs import Procs, alive, children, cmdline, descendants, wait_for
from topology import V4, V6

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("rootlesskit")]

USER = 4711
USER_ENV = {**ENV, "HOME": "/home/user", "XDG_RUNTIME_DIR": "/run/user/4711"}
SETUP = """
echo user:x:4711:4711::/home/user:/bin/sh >>/etc/passwd
echo user:x:4711: >>/etc/group
echo user:100000:65536 >>/etc/subuid
echo user:100000:65536 >>/etc/subgid
echo 127.0.0.1 localhost callers >/etc/hosts
echo nameserver 198.51.100.1 >/etc/resolv.conf
mkdir -p /run/user/4711 /home/user
chown 4711:4711 /run/user/4711 /home/user
"""


@pytest.fixture(scope="module")
def tree(net, bindir):
    """The tree with a user who may have more than one ID."""
    procs = Procs()
    try:
        t = Tree(procs, net.host, bindir)
        t.run("sh", "-ec", SETUP)
        yield t
        t.close()
    finally:
        procs.end()


class Kit:
    """One rootlesskit and the shell in it, which waits for our word."""

    INNER = "echo ready; read x; exit ${x:-0}"

    def __init__(self, tree, argv):
        self.proc = subprocess.Popen(
            tree.wrap([*argv, "sh", "-c", self.INNER], user=USER),
            env=USER_ENV, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        try:
            if self.proc.stdout.readline() != b"ready\n":
                raise AssertionError(self.proc.communicate(timeout=10)[1])
            below = descendants(tree.proc.pid) + descendants(self.proc.pid)
            self.pasta, = (p for p in below if cmdline(p)[:1] == ["pasta"])
            self.shell, = (p for p in below
                           if cmdline(p) == ["sh", "-c", self.INNER])
            self.ns = Netns(self.netns())
        except BaseException:
            self.proc.kill()
            raise

    def netns(self):
        """Namespace pasta serves: it says which."""
        for arg in cmdline(self.pasta):
            if arg.startswith("--netns=/proc/"):
                inside = arg.partition("/root/")[2]
                return "/proc/%d/root/%s" % (self.shell, inside)
        return "/proc/%d/ns/net" % self.shell

    def end(self, status=0):
        """Let the shell leave. Return: rootlesskit's status."""
        self.ns.close()
        self.proc.stdin.write(b"%d\n" % status)
        self.proc.stdin.close()
        rc = self.proc.wait(15)
        self.proc.stdout.close()
        self.proc.stderr.close()
        return rc


@pytest.fixture
def kit(tree):
    """Factory: kit(*options) or kit(argv=...) -> Kit."""
    made = []

    def make(*opts, argv=None):
        made.append(Kit(tree, argv or ["rootlesskit", "--net=pasta",
                                       "--port-driver=implicit",
                                       "--copy-up=/etc", *opts]))
        return made[-1]
    yield make
    for k in made:
        if k.proc.poll() is None:
            k.end()


def reaches(ns_from, ns_to, fam, dst, bind, port=0, patience=5):
    """TCP from here to there, a few words. Return: address the peer saw."""
    with ns_to.sock(fam.af) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((bind, port))
        listener.listen()
        port = listener.getsockname()[1]

        def dial():
            s = ns_from.sock(fam.af)
            s.settimeout(1)
            if s.connect_ex((dst, port)):
                s.close()
                return None
            return s
        with wait_for(dial, "connection", patience) as s:
            listener.settimeout(5)
            conn, peer = listener.accept()
            conn.sendall(b"hello")
            conn.close()
            assert s.recv(100) == b"hello"
    return peer[0]


def test_docker(kit, net):
    """The command line of Docker's rootless mode: address, way out, no way
    to the host's loopback, ports that follow who listens, the end."""
    k = kit(argv=shlex.split(block("rootlesskit").replace("\\\n", "")))
    args = cmdline(k.pasta)
    assert "--address=10.0.2.100" in args and "--tcp-ports=auto" in args
    assert "10.0.2.100/24" in k.ns.ip("-4 addr show dev tap0")
    assert "mtu 65520" in k.ns.ip("link show dev tap0")
    assert "via 10.0.2.2 dev tap0" in k.ns.ip("route show default")
    assert reaches(k.ns, net.far, V4, V4.far, V4.far) == V4.host
    with pytest.raises(AssertionError):
        reaches(k.ns, net.host, V4, "10.0.2.2", "127.0.0.1", patience=1)
    port = net.port()
    assert reaches(net.far, k.ns, V4, V4.host, "0.0.0.0", port) == V4.gw
    assert reaches(net.host, k.ns, V4, "127.0.0.1", "0.0.0.0", port)
    assert k.end(3) == 3
    wait_for(lambda: not alive(k.pasta), "end of pasta", 5)


def test_dns(kit, net):
    """10.0.2.3 is the host's nameserver."""
    k = kit()
    with open("/proc/%d/root/etc/resolv.conf" % k.shell,
              encoding="ascii") as f:
        assert "nameserver 10.0.2.3" in f.read()
    with net.far.sock(socket.AF_INET, socket.SOCK_DGRAM) as server, \
            k.ns.sock(socket.AF_INET, socket.SOCK_DGRAM) as s:
        server.bind((V4.far, 53))
        s.sendto(b"query", ("10.0.2.3", 53))
        data, peer = server.recvfrom(100)
        server.sendto(data.upper(), peer)
        assert s.recvfrom(100) == (b"QUERY", ("10.0.2.3", 53))


def test_host_loopback(kit, net):
    """Not disabled, so 10.0.2.2 leads there."""
    k = kit()
    assert reaches(k.ns, net.host, V4, "10.0.2.2", "127.0.0.1") == "127.0.0.1"


def test_ipv6(kit, net):
    """This version of rootlesskit allows IPv6, and leaves it to the user to
    configure it."""
    k = kit("--ipv6")
    k.ns.ip("addr add 2001:db8:1::10/64 dev tap0 nodad")
    k.ns.ip("route add default via fe80::1 dev tap0")
    assert reaches(k.ns, net.far, V6, V6.far, V6.far) == V6.host
    port = net.port()
    assert reaches(net.far, k.ns, V6, V6.host, "::", port) == V6.gw


def test_detach_netns(kit, net):
    """The command keeps the host's network; who wants enters the other."""
    k = kit("--detach-netns")
    assert any(a.startswith("--netns=") for a in cmdline(k.pasta))
    assert "10.0.2.100/24" in k.ns.ip("-4 addr")
    assert reaches(k.ns, net.far, V4, V4.far, V4.far) == V4.host
    assert k.end() == 0
    wait_for(lambda: not alive(k.pasta), "end of pasta", 5)


def test_no_ports(kit, net):
    """--port-driver=none: nobody listens on the host."""
    k = kit("--port-driver=none")
    with k.ns.sock(V4.af) as listener, net.host.sock(V4.af) as s:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        assert "--tcp-ports=none" in cmdline(k.pasta)
        with pytest.raises(ConnectionRefusedError):
            s.connect(("127.0.0.1", listener.getsockname()[1]))


def test_killed(kit):
    """rootlesskit itself is killed: nothing of it stays."""
    k = kit()
    parent, = children(k.proc.pid)
    assert cmdline(parent)[0] == "rootlesskit"
    os.kill(parent, signal.SIGKILL)
    k.proc.communicate(timeout=10)
    k.ns.close()
    wait_for(lambda: not alive(k.pasta), "end of pasta", 10)


@pytest.mark.parametrize("argv", ["pasta --version",
                                  "pasta --host-lo-to-ns-lo --version"])
def test_probes(tree, argv):
    """What rootlesskit asks before: only the status counts."""
    assert "pasta" in tree.run(*argv.split(), user=USER).stdout


def test_probe_unknown(tree):
    """And an option we do not have must not pass."""
    res = tree.run("pasta", "--no-such-option", "--version", user=USER,
                   check=False)
    assert res.returncode == 1
    assert "unrecognized option '--no-such-option'" in res.stderr
