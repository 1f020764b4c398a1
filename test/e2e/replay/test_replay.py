# SPDX-License-Identifier: GPL-2.0-or-later
"""Command lines of programs that are not packaged, or too large to be run here,
word by word: rootlesskit's newer ones, KubeVirt, muvm, sandboxes, Nix, quickemu.
"""

import os
import shlex
import signal
import socket
import subprocess

import pytest
from scapy.all import ARP, Ether

from callers import Tree
from daemon import listening, with_resolv
from doc import block
from guestlink import BROADCAST, MAC, Guest
from netns import Netns
from procs import Procs, as_user, pidfd_wait, wait_for
from topology import FAMILIES, V4, V6


def words(text, bindir, **replace):
    """An argument vector from text, program of this build, WORDs replaced."""
    for word, value in replace.items():
        assert word in text
        text = text.replace(word, str(value))
    argv = shlex.split(text.replace("\\\n", ""))
    return [os.path.join(bindir, argv[0]), *argv[1:]]


@pytest.fixture
def target(net, procs):
    """A user's process in namespaces of its own: Popen, Netns."""
    proc = procs.start(["unshare", "--user", "--map-root-user", "--net", "sh",
                        "-c", "ip link set lo up; echo ready; read x"],
                       ns=net.host, user="user", stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE)
    assert proc.stdout.readline() == b"ready\n"
    ns = Netns("/proc/%d/ns/net" % proc.pid)
    yield proc, ns
    ns.close()


def reaches(ns, net, fam):
    """Whether far answers TCP from a namespace. Return: bool"""
    with net.far.sock(fam.af) as listener, ns.sock(fam.af) as s:
        listener.bind((fam.far, 0))
        listener.listen()
        s.settimeout(5)
        return not s.connect_ex((fam.far, listener.getsockname()[1]))


# rootlesskit from 3.0 on: in background, configures the interface

ROOTLESSKIT = """pasta --stderr --ns-ifname=tap0 --mtu=65520 --config-net
 --address=10.0.2.100 --netmask=24 --gateway=10.0.2.2 --dns-forward=10.0.2.3"""


@pytest.mark.parametrize("more", [
    "--ipv4-only --tcp-ports=auto --udp-ports=auto PID",
    "--tcp-ports=none --udp-ports=none --tcp-ns=none --udp-ns=none "
    "--no-map-gw PID",
    "--no-map-gw --ipv4-only --tcp-ports=auto --udp-ports=auto "
    "--host-lo-to-ns-lo --userns=/proc/PID/ns/user --netns=/proc/PID/ns/net",
])
def test_rootlesskit(net, bindir, target, tmp, more):
    """Status 0 means ready; gone when the child is."""
    proc, ns = target
    pidfile = os.path.join(tmp, "pid")
    with open(pidfile, "wb"):
        os.chmod(pidfile, 0o666)
    argv = words((ROOTLESSKIT + " " + more).replace("\n", ""), bindir,
                 PID=proc.pid)
    # behind the program's name, to know it afterwards
    net.host.run(*as_user([argv[0], "--pid", pidfile, *argv[1:]], "user"))
    with open(pidfile, encoding="ascii") as f:
        pidfd = os.pidfd_open(int(f.read()))
    try:
        assert "10.0.2.100/24" in ns.ip("-4 addr show dev tap0")
        assert "tentative" not in ns.ip("-6 addr show dev tap0")
        assert reaches(ns, net, V4)
        assert reaches(ns, net, V6) == ("--ipv4-only" not in more)
        proc.stdin.close()
        assert pidfd_wait(pidfd, 5)
    finally:
        os.close(pidfd)


# KubeVirt, by way of libvirt

def test_kubevirt(net, bindir, procs, tmp):
    """Observed in a log; the user is 107 there. Where libvirt starts it again
    after an end, the same path and ports have to do."""
    argv = words(block("kubevirt"), bindir)
    argv = [a.replace("/var/run/libvirt/qemu/run/passt", tmp)
            .replace("/var/run/kubevirt", tmp) for a in argv]
    path = argv[argv.index("--socket") + 1]
    for _ in range(3):
        net.host.run(*as_user(argv, "root"))
        with open(argv[argv.index("--pid") + 1], encoding="ascii") as f:
            pidfd = procs.adopt(int(f.read()))
        assert listening(net.host, path)
        for fam in FAMILIES:
            with net.far.sock(fam.af) as s:
                s.connect((fam.host, 443))
        with Guest(path):
            pass
        assert pidfd_wait(pidfd, 5)         # --one-off


@pytest.mark.parametrize("ports", [
    "--tcp-ports %eth0/2000,%eth0/9000-9010:7000-7010",
    "--tcp-ports %eth0/all --udp-ports %eth0/all",
    "--tcp-ports ~15000,~15001,~15006,~15008,~15020,~15021,~15090"])
def test_kubevirt_ports(net, passt, ports):
    """Bound to an interface; nothing listed, so all that the limit of open
    files allows, with two protocols; exceptions of Istio."""
    passt("--one-off", "--interface", "eth0", *ports.split())
    with net.far.sock(V4.af) as s:
        s.connect((V4.host, 2000))
    for number in (15001, 15090):
        with net.far.sock(V4.af) as s:
            assert s.connect_ex((V4.host, number)) or "~" not in ports


# muvm, libkrun: an open descriptor, of any number

@pytest.mark.parametrize("number", [3, 9, 333])
def test_muvm(net, bindir, procs, number):
    """Frames wait in the socket before passt is there; it ends with it."""
    ours, theirs = socket.socketpair()
    argv = words(block("muvm"), bindir, NUMBER=number)
    guest = Guest(sock=ours)
    guest.send(Ether(src=MAC, dst=BROADCAST) /
               ARP(op=1, hwsrc=MAC, psrc="192.0.2.10", pdst="192.0.2.1"))
    proc = procs.start(
        ["bash", "-c", 'exec %d<&%d %d<&- "$@"' % (
            number, theirs.fileno(), theirs.fileno())
         if number != theirs.fileno() else 'exec "$@"', "bash", *argv],
        ns=net.host, user="user", pass_fds=(theirs.fileno(),),
        stderr=subprocess.PIPE)
    theirs.close()
    assert guest.expect(lambda f: ARP in f and f[ARP].op == 2)
    with net.far.sock(V4.af) as s:
        s.connect((V4.host, 8081))
    guest.close()
    assert proc.wait(10) == 0
    assert proc.stderr.read() == b""


# Sandboxes

@pytest.fixture
def tree(net, bindir):
    procs = Procs()
    try:
        t = Tree(procs, net.host, bindir)
        yield t
        t.close()
    finally:
        procs.end()


@pytest.mark.slow
def test_bubblewrap(tree, net):
    """The command has the network, and no way to the host's loopback."""
    port = net.port()
    with net.far.sock(V4.af) as listener, net.host.sock(V4.af) as lo:
        listener.bind((V4.far, port))
        listener.listen()
        lo.bind(("127.0.0.1", 0))
        lo.listen()
        inner = ("echo hello | socat -T5 - TCP:%s:%d && ! socat -T2 - "
                 "TCP:%s:%d,connect-timeout=2" %
                 (V4.far, port, V4.gw, lo.getsockname()[1]))
        res = tree.run("sh", "-c", block("bubblewrap", COMMAND="sh -c '%s'" %
                                         inner), user=4711, check=False)
        assert not res.returncode, res.stderr
        assert listener.accept()[0].recv(100) == b"hello\n"


def test_agent_ports(net, bindir, procs):
    """pasta with the command; a service of the host is the sandbox's, and
    ports of the sandbox open on the host."""
    port = net.port()
    with net.host.sock(V4.af) as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        argv = words("pasta -f -q -t auto --host-lo-to-ns-lo -T %d -- "
                     "sh -c 'echo up; echo x | socat -T5 - TCP:127.0.0.1:%d'"
                     % (port, port), bindir)
        proc = procs.start(argv, ns=net.host, user="user",
                           stdout=subprocess.PIPE)
        conn = listener.accept()[0]
        assert conn.recv(10) == b"x\n"
        conn.close()
        assert proc.wait(10) == 0


def test_no_netns_quit(net, bindir, procs, target):
    """Found ready by the interface, ended by SIGKILL, and another at once."""
    proc, ns = target
    for _ in range(3):
        pasta = procs.start(words(
            "pasta --config-net --map-host-loopback none -t none -u none "
            "-T none -U none --ns-ifname eth7 --no-netns-quit --quiet "
            "--foreground --dns-forward 169.254.1.1 --netns /proc/PID/ns/net "
            "--userns /proc/PID/ns/user", bindir, PID=proc.pid),
            ns=net.host, user="user")
        wait_for(lambda: "eth7" in ns.run("cat", "/proc/net/dev").stdout,
                 "interface")
        wait_for(lambda: reaches(ns, net, V4), "connection")
        assert reaches(ns, net, V6)
        pasta.kill()
        assert pasta.wait(5) == -signal.SIGKILL
        wait_for(lambda: "eth7" not in ns.run("cat", "/proc/net/dev").stdout,
                 "end of interface")


# Nix, Lix: fixed-output builds

def test_nix(net, bindir, procs, target, tmp):
    """As root for another user, link-local addresses, told ready by pipe."""
    proc, ns = target
    resolv = os.path.join(tmp, "resolv.conf")
    with open(resolv, "w", encoding="ascii") as f:
        f.write("nameserver %s\n" % V4.far)
    ready, theirs = os.pipe()
    pasta = procs.start(with_resolv(words(
        "pasta --quiet --foreground --config-net --gateway 169.254.1.1 "
        "--address 169.254.1.2 --netmask 29 --dns-forward 169.254.1.1 "
        "--gateway 64:ff9b:1:4b8e:472e:a5c8:a9fe:0101 "
        "--address 64:ff9b:1:4b8e:472e:a5c8:a9fe:0102 "
        "--dns-forward 64:ff9b:1:4b8e:472e:a5c8:a9fe:0101 "
        "--ns-ifname eth0 --no-netns-quit --no-map-gw -t none -u none -T none "
        "-U none --ready-fd FD --userns /proc/PID/ns/user "
        "--netns /proc/PID/ns/net", bindir, PID=proc.pid, FD=theirs), resolv),
        ns=net.host, pass_fds=(theirs,))
    os.close(theirs)
    assert os.read(ready, 10) == b"1\n"
    os.close(ready)
    for fam in FAMILIES:
        assert reaches(ns, net, fam)
    with net.far.sock(V4.af, socket.SOCK_DGRAM) as server, \
            ns.sock(V4.af, socket.SOCK_DGRAM) as s:
        server.bind((V4.far, 53))
        s.sendto(b"query", ("169.254.1.1", 53))
        assert server.recv(100) == b"query"
    pasta.terminate()
    assert pasta.wait(5) == 0


# Launchers of virtual machines with vhost-user, which we do not have

def test_vhost_user(net, bindir, tmp):
    """Says so, in a line, and leaves no socket a launcher might wait for."""
    path = os.path.join(tmp, "s")
    res = net.host.run(*words(
        "passt --vhost-user --foreground --one-off -s PATH "
        "--map-host-loopback none --map-guest-addr none -4 -D 198.51.100.1",
        bindir, PATH=path), check=False)
    assert res.returncode == 1
    assert "vhost-user" in res.stderr.splitlines()[0]
    assert not os.path.exists(path)


def test_launcher(net, passt):
    """The same without it: polls for the socket, which serves at once."""
    p = passt("--one-off", "--map-host-loopback", "none", "--map-guest-addr",
              "none", "-4", "-D", "198.51.100.1")
    with Guest(p.path) as g:
        g.send(Ether(src=MAC, dst=BROADCAST) /
               ARP(op=1, hwsrc=MAC, psrc="192.0.2.10", pdst="192.0.2.1"))
        assert g.expect(lambda f: ARP in f and f[ARP].op == 2)
    assert p.proc.wait(10) == 0
