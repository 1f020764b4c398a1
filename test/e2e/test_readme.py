# SPDX-License-Identifier: GPL-2.0-or-later
"""README.md: its recipes are run, its messages provoked, its table of features
compared with what we can do."""

import os
import re
import subprocess

import pytest

import features
from daemon import TOP, NO_PORTS, Passt, with_resolv
from doc import block
from procs import Procs, as_user, wait_for
from rivals import everybody
from topology import V4, V6
from xfer import Task, recv_bulk, send_bulk

DOC = "README.md"
MIB = 1 << 20


def text():
    """All of it."""
    with open(os.path.join(TOP, DOC), encoding="utf-8") as f:
        return f.read()


@pytest.fixture
def typed(net, bindir):
    """Run a line of shell on the host as a user, or root, whose PATH has our
    programs. Return: as subprocess."""
    def run(line, user="user", resolv="/dev/null", check=True, **kw):
        argv = with_resolv(as_user(
            ["env", "SHELL=/bin/sh", "PATH=%s:%s" % (
                bindir, os.environ["PATH"]), "sh", "-c", line], user), resolv)
        return net.host.run(*argv, check=check, **kw)
    return run


@pytest.fixture
def running(net, bindir, procs):
    """The same, left running. Return: Popen."""
    def run(line, resolv="/dev/null", **kw):
        argv = with_resolv(as_user(
            ["env", "PATH=%s:%s" % (bindir, os.environ["PATH"]), "sh", "-c",
             "exec " + line], "user"), resolv)
        return procs.start(argv, ns=net.host, **kw)
    return run


# Recipes

def test_shell(typed):
    res = typed(block("readme-shell", DOC), input="ip address; exit 7\n",
                stdin=None, check=False)
    assert res.returncode == 7
    assert "inet 192.0.2.10/24" in res.stdout
    assert "inet6 2001:db8:1::10/64" in res.stdout


def test_command(typed):
    assert "inet 192.0.2.10/24" in typed(block("readme-command", DOC)).stdout


def test_publish(running, net):
    """IPv4: that server of Python's has no other."""
    running(block("readme-publish", DOC), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def answer():
        with net.far.sock(V4.af) as s:
            s.settimeout(5)
            s.connect((V4.host, 8080))
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return s.recv(100)

    def served():
        try:
            return answer()
        except OSError:
            return None
    assert wait_for(served, "web server").startswith(b"HTTP/1.0 200")


def test_closed(typed, net):
    """No port of the host, and no way to its loopback address."""
    with net.host.sock(V4.af) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        out = typed(block("readme-closed", DOC), check=False, stdin=None,
                    input="curl -sS -m 3 http://127.0.0.1:%d || "
                    "curl -sS -m 3 http://%s:%d || echo none" % (
                        port, V4.gw, port)).stdout
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert "none" in out


def test_pid(typed):
    """Given a moment, as who types it gives it."""
    script = block("readme-pid", DOC).replace("&\n", "&\nsleep 1\n")
    out = typed(script + "kill $!").stdout
    assert "inet 192.0.2.10/24" in out


def test_qemu(running, typed, net):
    """QEMU, stopped before its first instruction, is passt's client."""
    start, qemu = block("readme-qemu", DOC).split("\n", 1)
    passt = running(start + " --foreground", stderr=subprocess.PIPE, text=True)
    path = re.search(r"-s (\S+)", start).group(1)
    said = []

    def says(what):
        while not said or what not in said[-1]:
            said.append(passt.stderr.readline())
            assert said[-1], said
        return said[-1]
    try:
        assert path in says("UNIX domain socket bound")
        machine = running(qemu.replace(" disk.img", "") + " -S -display none",
                          stdout=subprocess.DEVNULL)
        assert " %d" % machine.pid in says("Accepted connection")
        with net.host.sock(V4.af) as s:
            s.connect(("127.0.0.1", 2222))
    finally:
        os.unlink(path)


def test_vpn(running, net, fam):
    """The VPN, which leads nowhere, has all routes; past it goes the way."""
    net.host.batch("""
        tuntap add vpn0 mode tun
        link set vpn0 up
        addr add 203.0.113.9/32 dev vpn0
        route add 128.0.0.0/1 dev vpn0
        route add 2000::/3 dev vpn0
        """)
    try:
        with net.far.sock(fam.af) as listener:
            listener.bind((fam.far, 0))
            listener.listen()
            listener.settimeout(10)
            running(block("readme-vpn", DOC).strip() +
                    " %s -- curl -s http://%s:%d" % (
                        " ".join(NO_PORTS),
                        "[%s]" % fam.far if fam is V6 else fam.far,
                        listener.getsockname()[1]))
            conn, peer = listener.accept()
            conn.close()
            assert peer[0] == fam.host
    finally:
        net.host.ip("link del vpn0")


def test_vpn_mtu(pasta, net, fam):
    """TCP with the largest MTU inside, over a narrow link outside."""
    with net.beyond.sock(fam.af) as listener, pasta().ns.sock(fam.af) as s:
        listener.bind((fam.beyond, 0))
        listener.listen()
        s.connect((fam.beyond, listener.getsockname()[1]))
        conn = listener.accept()[0]
        conn.settimeout(20)
        with conn:
            for a, b in ((s, conn), (conn, s)):
                got = Task(lambda end=b: recv_bulk(end, MIB))
                sent = send_bulk(a, MIB)
                assert got.result(30) == (sent, MIB)


def test_ipv6(typed):
    out = typed(block("readme-ipv6", DOC), input="ip address show dev eth0\n",
                stdin=None).stdout
    assert "inet6 2001:db8:1::10/64" in out
    assert "inet " not in out


def resolver(procs, ns, addr, tmp):
    """A nameserver that knows one answer to everything."""
    procs.start(["dnsmasq", "--no-daemon", "--no-resolv", "--conf-file=",
                 "--listen-address=" + addr, "--bind-interfaces",
                 "--address=/#/192.0.2.99", "--pid-file=", "--user=root"],
                ns=ns, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ready():
        with ns.sock(V4.af) as s:
            return not s.connect_ex((addr, 53))
    wait_for(ready, "nameserver")
    path = os.path.join(tmp, "resolv.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write("nameserver %s\n" % addr)
    return path


def test_dns(typed, net, procs, tmp):
    resolv = resolver(procs, net.host, "127.0.0.53", tmp)
    assert "192.0.2.99" in typed(block("readme-dns", DOC), resolv=resolv).stdout


def test_dns_default(typed, net, procs, tmp):
    """By the ports that are open by default."""
    resolv = resolver(procs, net.host, "127.0.0.53", tmp)
    out = typed("pasta --config-net -- sh -c 'for i in 1 2 3 4 5; do dig "
                "+short +timeout=1 +tries=1 www.example && break; "
                "sleep 0.2; done'", resolv=resolv).stdout
    assert "192.0.2.99" in out


# Messages

QUIET = " ".join(NO_PORTS)


def in_use(typed, net, **_):
    with net.host.sock(V4.af) as s:
        s.bind(("0.0.0.0", 8080))
        s.listen()
        return typed("pasta --config-net -t 8080:80 true", check=False).stderr


def low_port(typed, **_):
    return typed("pasta --config-net -t 80 true", check=False).stderr


def no_ping(typed, net, **_):
    net.host.sysctl(ipv4__ping_group_range="1 0")
    try:
        return typed("pasta --config-net %s -- ping -n -c 1 -W 1 %s" % (
            QUIET, V4.far), check=False).stderr
    finally:
        net.host.sysctl(ipv4__ping_group_range="0 2147483647")


def foreign_namespace(typed, **_):
    return typed("pasta --config-net 1", check=False).stderr


def no_user_namespace(typed, **_):
    return typed("unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/"
                 "max_user_namespaces; exec pasta --config-net true'",
                 check=False).stderr


def tap_missing(typed, **_):
    return typed("unshare --user --map-root-user --mount sh -c 'mount -t tmpfs "
                 "none /dev/net; exec pasta --config-net true'",
                 check=False).stderr


def tap_forbidden(typed, **_):
    return typed("unshare --mount sh -c 'mount -t tmpfs none /dev/net; "
                 "mknod -m 600 /dev/net/tun c 10 200; exec setpriv --reuid 4711 "
                 "--regid 4711 --clear-groups pasta --config-net true'",
                 user="root", check=False).stderr


def path_in_use(typed, net, bindir, procs, tmp, **_):
    one = Passt(procs, net.host, bindir, tmp)
    return typed("passt -f -s %s" % one.path, check=False).stderr.replace(
        one.path, "/tmp/vm.socket")


def no_template(typed, **_):
    return typed("unshare --user --map-root-user --net pasta --debug "
                 "--config-net true", check=False).stderr


def vhost_user(typed, **_):
    return typed("passt --vhost-user", check=False).stderr


PROVOKED = {
    "Failed to bind port 8080": in_use,
    "Failed to bind port 80 ": low_port,
    "IPv4 echo requests are dropped": no_ping,
    "Couldn't open network namespace": foreign_namespace,
    "Cannot create a user namespace": no_user_namespace,
    "Couldn't create tap device eth0 in the namespace: No such": tap_missing,
    "Couldn't create tap device eth0 in the namespace: Perm": tap_forbidden,
    "Cannot listen on UNIX socket": path_in_use,
    "IPv4: no external interface": no_template,
    "--vhost-user": vhost_user,
}
# By test_isolation.py and test_process.py, which need more for it
ELSEWHERE = ("System call 39 (getpid)", "Accepted connection from PID")


def messages():
    """Those of the table."""
    table = text().partition("## If something")[2].partition("\n\nWithout")[0]
    found = re.findall(r"^\|[^|]*\|[^|`]*`([^`]*)`", table, re.MULTILINE)
    assert len(found) == len(PROVOKED) + len(ELSEWHERE)
    return [m for m in found if not m.startswith(ELSEWHERE)]


@pytest.mark.parametrize("message", messages())
def test_message(message, typed, net, bindir, procs, tmp):
    """To the letter."""
    provoke = [f for start, f in PROVOKED.items() if message.startswith(start)]
    assert len(provoke) == 1
    said = provoke[0](typed=typed, net=net, bindir=bindir, procs=procs, tmp=tmp)
    assert message in said


# Features

def test_features(net, bindir, bridge):
    """Cells of ours, but for figures, are those of the README."""
    table = text().partition("<!-- features -->\n")[2].partition("<!--")[0]
    want = [line.split("|")[1:3] for line in table.splitlines()]
    ours, = everybody(Procs(), net, bindir, ["ours"])
    try:
        got = [line.split("|")[1:3] for line in features.table(
            [ours], [r for r in features.ROWS if r[0] not in features.FIGURES],
            bridge)]
    finally:
        ours.close()
        ours.end()
    figures = [row.__doc__ for row in features.FIGURES]
    assert got[2:] == [w for w in want[2:] if w[0].strip() not in figures]
