# SPDX-License-Identifier: GPL-2.0-or-later
"""The port options -t, -u, -T, -U: which port leads where, and which not."""

import socket

import pytest

from procs import wait_for
from topology import V4, V6
from xfer import Echo

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM

# Specification; outer port -> inner port that must answer; ports that must
# not. Addresses: H host's, L loopback. Ports are unprivileged for all users.
SPECS = [
    # plain, list, range
    (["8080"], {"H8080": 8080, "L8080": 8080}, ["H8079", "H8081"]),
    (["8080,8090"], {"H8080": 8080, "H8090": 8090}, ["H8085"]),
    (["8080-8082"], {"H8080": 8080, "H8081": 8081, "H8082": 8082},
     ["H8079", "H8083"]),
    # mapped
    (["8080:80"], {"H8080": 80, "L8080": 80}, ["H8081"]),
    (["8080-8082:80-82"], {"H8080": 80, "H8081": 81, "H8082": 82}, ["H8083"]),
    (["8080:80,8090:90"], {"H8080": 80, "H8090": 90}, []),
    # several options add up
    (["8080", "8090:90"], {"H8080": 8080, "H8090": 90}, ["H8085"]),
    (["none", "8080"], {"H8080": 8080}, []),
    # exclusions
    (["8080-8084,~8082"], {"H8081": 8081, "H8083": 8083}, ["H8082"]),
    (["~8081-8082,8080-8083"], {"H8080": 8080, "H8083": 8083},
     ["H8081", "H8082"]),
    (["~1-8079,~8081-65535"], {"H8080": 8080}, ["H8079", "H8081"]),
    # bound to an address, an interface
    (["{host}/8080"], {"H8080": 8080}, ["L8080"]),
    (["{loopback}/8080"], {"L8080": 8080}, ["H8080"]),
    (["{any}/8080"], {"H8080": 8080, "L8080": 8080}, []),
    (["*/8080"], {"H8080": 8080, "L8080": 8080}, []),
    (["%eth0/8080:80"], {"F8080": 80}, ["L8080"]),
    (["{host}%eth0/8080"], {"F8080": 8080}, ["L8080"]),
    (["[{host}]/8080"], {"H8080": 8080}, ["L8080"]),
    # as container engines write it: ranges always spelled out
    (["{host}/8080-8080:80-80"], {"H8080": 80}, ["L8080"]),
    # to an address
    (["{any}/8080:{host}/80"], {"H8080": 80}, []),
]


class Inner:
    """A server on each of some ports inside; it answers with its number."""

    def __init__(self, ns, fam, kind, ports):
        self.socks = {}
        for port in ports:
            s = ns.sock(fam.af, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if fam.num == 6:
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.bind((fam.any, port))
            if kind == TCP:
                s.listen()
            s.settimeout(5)
            self.socks[port] = s

    def close(self):
        for s in self.socks.values():
            s.close()

    def met(self, port, conn, kind):
        """Whether what conn sends arrives at an inner port."""
        s = self.socks[port]
        conn.send(b"knock")
        if kind == UDP:
            return s.recv(16) == b"knock"
        with s.accept()[0] as peer:
            peer.settimeout(5)
            return peer.recv(16) == b"knock"


def outer(net, fam, kind, where, exact=False):
    """A client socket connected to 'H8080' and the like."""
    dest = {"H": fam.host, "L": fam.loopback, "F": fam.host}[where[0]]
    ns = net.far if where[0] == "F" else net.host
    s = ns.sock(fam.af, kind)
    s.settimeout(5)
    if where[0] == "F":
        s.bind((fam.far, 0))
    try:
        s.connect((dest, int(where[1:])))
    except ConnectionError:
        s.close()
        if exact:
            raise
        return None
    return s


def bound(net, kind):
    """Local addresses and ports that something listens on in host."""
    out = net.host.run("ss", "-Hln" + ("t" if kind == TCP else "u")).stdout
    return [line.split()[3] for line in out.splitlines()]


@pytest.mark.parametrize("kind", [TCP, UDP], ids=["tcp", "udp"])
@pytest.mark.parametrize("specs, yes, no", SPECS,
                         ids=[" ".join(s[0]) for s in SPECS])
def test_inbound(pasta, net, fam, kind, specs, yes, no):
    flag = "-t" if kind == TCP else "-u"
    opts = [w for spec in specs
            for w in (flag, spec.format(**fam.__dict__))]
    p = pasta(*opts)
    inner = Inner(p.ns, fam, kind, set(yes.values()))
    try:
        for where, port in yes.items():
            with outer(net, fam, kind, where, exact=True) as s:
                assert inner.met(port, s, kind), where
        for where in no:
            s = outer(net, fam, kind, where)
            if kind == TCP:
                assert s is None, "%s is open" % where
                continue
            with s:
                s.send(b"knock")
                with pytest.raises(ConnectionRefusedError):
                    s.recv(16)
    finally:
        inner.close()


@pytest.mark.parametrize("kind", [TCP, UDP], ids=["tcp", "udp"])
@pytest.mark.parametrize("spec, yes, no", [
    ("8080", {8080: 8080}, [8081]),
    ("8080-8081", {8080: 8080, 8081: 8081}, [8082]),
    ("8080:90", {8080: 90}, [8081]),
])
def test_outbound(pasta, net, fam, kind, spec, yes, no):
    """-T, -U: loopback ports inside lead to host loopback."""
    p = pasta("-T" if kind == TCP else "-U", spec)
    for inner_port, host_port in yes.items():
        with net.host.sock(fam.af, kind) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((fam.loopback, host_port))
            if kind == TCP:
                s.listen()
            with Echo(s.dup()), p.ns.sock(fam.af, kind) as c:
                c.settimeout(5)
                c.connect((fam.loopback, inner_port))
                c.send(b"knock")
                assert c.recv(16) == b"knock"
    for port in no:
        with p.ns.sock(fam.af, kind) as c, \
             pytest.raises(ConnectionRefusedError):
            c.settimeout(5)
            c.connect((fam.loopback, port))
            c.send(b"knock")
            c.recv(16)


def test_family_bound(pasta, net):
    """An explicit 0.0.0.0 leaves the IPv6 port alone, :: the other one."""
    port = net.port()
    p = pasta("-t", "0.0.0.0/%d" % port)
    assert outer(net, V6, TCP, "H%d" % port) is None
    p.quit()
    p = pasta("-t", "[::]/%d" % port)
    assert outer(net, V4, TCP, "H%d" % port) is None
    p.quit()


@pytest.mark.parametrize("family, closed", [("-4", V6), ("-6", V4)])
def test_single_family(pasta, net, family, closed):
    """-4 and -6 listen for one family only."""
    port = net.port()
    pasta(family, "-t", port)
    opened = V4 if closed is V6 else V6
    assert outer(net, closed, TCP, "H%d" % port) is None
    try:
        with outer(net, opened, TCP, "H%d" % port, exact=True):
            pass
    except ConnectionResetError:
        pass        # accepted, but nobody listens inside


@pytest.mark.parametrize("kind", [TCP, UDP], ids=["tcp", "udp"])
def test_auto_inbound(pasta, net, fam, kind):
    """-t auto: a port opens and closes with the server inside."""
    flag = "-t" if kind == TCP else "-u"
    port = net.port()
    p = pasta(flag, "auto")
    suffix = ":%d" % port

    def is_open():
        return any(a.endswith(suffix) for a in bound(net, kind))
    assert not is_open()
    inner = Inner(p.ns, fam, kind, [port])
    try:
        wait_for(is_open, "forwarded port")
        with outer(net, fam, kind, "H%d" % port, exact=True) as s:
            assert inner.met(port, s, kind)
    finally:
        inner.close()
    wait_for(lambda: not is_open(), "closed port")


def test_auto_present_at_start(pasta, net, fam):
    """What listens on the host before the start is reachable at once."""
    port = net.port()
    with net.host.sock(fam.af) as s:
        s.bind((fam.loopback, port))
        s.listen()
        with Echo(s.dup()):
            p = pasta("-T", "auto")
            with p.ns.sock(fam.af) as c:
                c.connect((fam.loopback, port))
                c.send(b"x")
                assert c.recv(1) == b"x"


def test_auto_is_no_loop(pasta, net, fam):
    """-t auto and -T auto together: our own listeners are not followed."""
    port = net.port()
    p = pasta("-t", "auto", "-T", "auto")
    inner = Inner(p.ns, fam, TCP, [port])
    suffix = ":%d" % port
    wait_for(lambda: any(a.endswith(suffix) for a in bound(net, TCP)),
             "forwarded port")
    inner.close()
    wait_for(lambda: not any(a.endswith(suffix) for a in bound(net, TCP)),
             "closed port")


@pytest.fixture
def ephemeral(net):
    """Ephemeral ports of the host begin at 9000: "all" is smaller then."""
    net.host.sysctl(ipv4__ip_local_port_range="9000 65535")
    yield 9000
    net.host.sysctl(ipv4__ip_local_port_range="32768 60999")


def test_all(pasta, net, fam, ephemeral):
    """-t all: every port below the ephemeral range that is free."""
    port = net.port()
    with net.host.sock(fam.af) as busy:
        busy.bind((fam.any, port))
        busy.listen()
        p = pasta("-t", "all")
        inner = Inner(p.ns, fam, TCP, [8080, ephemeral - 1])
        try:
            for number in inner.socks:
                with outer(net, fam, TCP, "H%d" % number, exact=True) as s:
                    assert inner.met(number, s, TCP)
            assert outer(net, fam, TCP, "H%d" % (ephemeral + 1)) is None
        finally:
            inner.close()


@pytest.mark.parametrize("spec", [
    "", ",", "80,", ",80", "80-", "-80", "90-80", "65536", "80:", ":80",
    "80-81:90", "80:0", "80-81:65535-65536", "~", "~80:90", "~80-", "a",
    "192.0.2.1", "/80,", "192.0.2.1/", "192.0.2.300/80", "[::1/80", "::1]/80",
    "%/80", "%a-name-too-long-for-linux/80", "80:192.0.2.1/", "8 0", "0x50",
    "80;81", "none,80", "80,none", "80:80:80", "1-2-3", "0.0.0.0/80:::1/80",
])
@pytest.mark.parametrize("flag", ["-t", "-u"])
def test_refused_spec(net, bindir, flag, spec):
    """Not in the language: status 1, the text is named."""
    res = net.host.run(bindir + "/pasta", flag, spec, "--", "true",
                       check=False)
    assert res.returncode == 1
    assert res.stderr
