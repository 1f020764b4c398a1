# SPDX-License-Identifier: GPL-2.0-or-later
"""Which address stands for what: gateway, mapped addresses, sources, DNS."""

import os
import socket

import pytest

from procs import wait_for
from witness import open_server
from xfer import Echo, recv_exact

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


@pytest.fixture(params=KINDS)
def kind(request):
    """Both transports."""
    return KINDS[request.param]


def server(ns, fam, kind, addr, port):
    """An echo server at an address of a namespace."""
    return Echo(open_server(ns, fam, kind, addr, port))


def ask(ns, fam, kind, dest, port, source=None):
    """Whether an echo server answers at dest."""
    with ns.sock(fam.af, kind) as s:
        if source:
            s.bind((source, 0))
        s.settimeout(5 if kind == socket.SOCK_STREAM else 1)
        try:
            s.connect((dest, port))
            for _ in range(1 if kind == socket.SOCK_STREAM else 3):
                s.send(b"ping")
                try:
                    return recv_exact(s, 4) == b"ping"
                except socket.timeout:
                    pass
        except (OSError, AssertionError):
            pass        # refused, unreachable, timed out
        return False


def peer_of(echo):
    """Address of the one peer a server has seen."""
    assert len(echo.peers) == 1, echo.peers
    return next(iter(echo.peers))[0]


def reaches(net, p, fam, kind, dest, where):
    """Connect inside to dest. Return: source address as seen by the server
    of where = (namespace, address), None if it was not reached."""
    port = net.port()
    ns, addr = where
    with server(ns, fam, kind, addr, port) as echo:
        if not ask(p.ns, fam, kind, dest, port):
            assert not echo.peers
            return None
        return peer_of(echo)


def test_gateway_is_host_loopback(pasta, net, fam, kind):
    p = pasta()
    assert reaches(net, p, fam, kind, fam.gw,
                   (net.host, fam.loopback)) == fam.loopback


def test_gateway_is_not_far(pasta, net, fam, kind):
    """With the mapping on, the true gateway is out of reach."""
    assert reaches(net, pasta(), fam, kind, fam.gw, (net.far, fam.gw)) is None


@pytest.mark.parametrize("opts", [("--no-map-gw",),
                                  ("--map-host-loopback", "none")])
def test_gateway_unmapped(pasta, net, fam, kind, opts):
    p = pasta(*opts)
    assert reaches(net, p, fam, kind, fam.gw, (net.far, fam.gw)) == fam.host
    assert reaches(net, p, fam, kind, fam.gw,
                   (net.host, fam.loopback)) is None


def test_map_host_loopback(pasta, net, fam, kind):
    """An address of our choice instead of the gateway."""
    p = pasta("--map-host-loopback", fam.unused)
    assert reaches(net, p, fam, kind, fam.unused,
                   (net.host, fam.loopback)) == fam.loopback
    assert reaches(net, p, fam, kind, fam.gw, (net.far, fam.gw)) == fam.host


def test_map_guest_addr(pasta, net, fam, kind):
    """An address for what the host has at the address we copied."""
    p = pasta("--map-guest-addr", fam.unused)
    assert reaches(net, p, fam, kind, fam.unused,
                   (net.host, fam.host)) == fam.host


def test_own_address_is_inside(pasta, net, fam, kind):
    """The copied address is the namespace's own, not the host's."""
    p = pasta()
    assert reaches(net, p, fam, kind, fam.host, (p.ns, fam.host)) == fam.host
    assert reaches(net, p, fam, kind, fam.host, (net.host, fam.host)) is None


def test_loopback_stays_inside(pasta, net, fam, kind):
    """Without -T and -U nothing of the host's loopback is visible."""
    assert reaches(net, pasta(), fam, kind, fam.loopback,
                   (net.host, fam.loopback)) is None


def inbound(net, p, fam, kind, port, dest, client, source=None):
    """A client somewhere dials a forwarded port. Return: source seen."""
    with server(p.ns, fam, kind, fam.any, port) as echo:
        assert ask(client, fam, kind, dest, port, source)
        return peer_of(echo)


@pytest.mark.parametrize("opts, seen", [
    ((), "gw"),
    (("--map-host-loopback", "unused"), "unused"),
])
def test_loopback_source_on_tap(pasta, net, fam, kind, opts, seen):
    """--no-splice: a client on host loopback looks like the mapping."""
    port = net.port()
    opts = [getattr(fam, o, o) for o in opts]
    p = pasta("--no-splice", "-t", port, "-u", port, *opts)
    assert inbound(net, p, fam, kind, port, fam.loopback,
                   net.host) == getattr(fam, seen)


def test_host_source_mapped(pasta, net, fam, kind):
    """The host's own address as source becomes --map-guest-addr."""
    port = net.port()
    p = pasta("--map-guest-addr", fam.unused, "-t", port, "-u", port)
    assert inbound(net, p, fam, kind, port, fam.host, net.host,
                   fam.host) == fam.unused


def test_far_source_kept(pasta, net, fam, kind):
    """Clients from outside keep their address and port."""
    port = net.port()
    p = pasta("-t", port, "-u", port)
    assert inbound(net, p, fam, kind, port, fam.host, net.far,
                   fam.far) == fam.far


def test_splice_keeps_loopback(pasta, net, fam, kind):
    """--host-lo-to-ns-lo: host loopback meets a server on inner loopback."""
    port = net.port()
    p = pasta("--host-lo-to-ns-lo", "-t", port, "-u", port)
    with server(p.ns, fam, kind, fam.loopback, port) as echo:
        assert ask(net.host, fam, kind, fam.loopback, port)
        assert peer_of(echo) == fam.loopback


@pytest.mark.slow
def test_splice_avoids_loopback(pasta, net, fam, kind):
    """Default: what listens on inner loopback only is not exposed."""
    port = net.port()
    p = pasta("-t", port, "-u", port)
    with server(p.ns, fam, kind, fam.loopback, port):
        assert not ask(net.host, fam, kind, fam.loopback, port)


@pytest.fixture
def alias(net, fam):
    """A second address of the host."""
    flags = "nodad" if fam.num == 6 else ""
    net.host.ip("addr add %s/%d dev eth0 %s" % (fam.alias, fam.plen, flags))
    yield fam.alias
    net.host.ip("addr del %s/%d dev eth0" % (fam.alias, fam.plen))


def test_outbound_address(pasta, net, fam, kind, alias):
    """-o: the far server sees the address we asked for."""
    p = pasta("-a", fam.host, "-o", alias)
    assert reaches(net, p, fam, kind, fam.far, (net.far, fam.far)) == alias


def test_outbound_interface(pasta, net, fam, kind):
    p = pasta("--outbound-if%d" % fam.num, "eth0")
    assert reaches(net, p, fam, kind, fam.far, (net.far, fam.far)) == fam.host


def test_other_guest_address(pasta, net, fam, kind):
    """-a: inside another address, outside still the host's."""
    p = pasta("-a", fam.unused)
    assert fam.unused in p.ns.ip("addr show dev eth0")
    assert reaches(net, p, fam, kind, fam.far, (net.far, fam.far)) == fam.host


def test_other_gateway(pasta, net, fam, kind):
    """-g: the chosen gateway routes, and stands for host loopback."""
    p = pasta("-g", fam.unused)
    assert fam.unused in p.ns.ip("-%d route show default" % fam.num)
    assert reaches(net, p, fam, kind, fam.far, (net.far, fam.far)) == fam.host
    assert reaches(net, p, fam, kind, fam.unused,
                   (net.host, fam.loopback)) == fam.loopback


@pytest.fixture
def resolver(net, procs, tmp):
    """Factory: dnsmasq at an address. Return: path of a resolv.conf."""
    def make(ns, addr):
        procs.start(["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
                     "--no-resolv", "--no-hosts", "--bind-interfaces",
                     "--listen-address=" + addr, "--user=root",
                     "--pid-file=" + os.path.join(tmp, "dnsmasq.pid"),
                     "--address=/name.example/203.0.113.7",
                     "--address=/name.example/2001:db8::7",
                     "--txt-record=big.example," + ",".join(
                         ["x" * 250] * 16)], ns=ns)
        wait_for(lambda: addr in ns.run("ss", "-Hlnt", "sport = :53").stdout,
                 "dnsmasq")
        path = os.path.join(tmp, "resolv.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write("nameserver %s\n" % addr)
        return path
    return make


def dig(p, server_addr, *args):
    """Look something up inside."""
    return p.run("dig", "+short", "+time=5", "+tries=2", "@" + server_addr,
                 *args).stdout


@pytest.mark.parametrize("where", ["loopback", "far"])
def test_dns_forward(pasta, net, fam, resolver, where):
    """--dns-forward: the host's resolver, by UDP and by TCP, answers at an
    address of our choice."""
    ns = net.host if where == "loopback" else net.far
    conf = resolver(ns, getattr(fam, where))
    p = pasta("--dns-forward", fam.unused, resolv=conf)
    assert dig(p, fam.unused, "name.example") == "203.0.113.7\n"
    assert dig(p, fam.unused, "+tcp", "name.example", "AAAA") == \
        "2001:db8::7\n"
    assert len(dig(p, fam.unused, "big.example", "TXT")) > 4000


def test_dns_host(pasta, net, fam, resolver):
    """--dns-host: another target than resolv.conf names."""
    resolver(net.far, fam.neigh)
    p = pasta("--dns-forward", fam.unused, "--dns-host", fam.neigh)
    assert dig(p, fam.unused, "name.example") == "203.0.113.7\n"


@pytest.mark.slow
def test_dns_forward_tls_port(pasta, net, fam):
    """Port 853 is forwarded like 53, other ports are not."""
    p = pasta("--dns-forward", fam.unused, "--dns-host", fam.far)
    with server(net.far, fam, socket.SOCK_STREAM, fam.far, 853) as echo:
        assert ask(p.ns, fam, socket.SOCK_STREAM, fam.unused, 853)
        assert peer_of(echo) == fam.host
    port = net.port()
    with server(net.far, fam, socket.SOCK_STREAM, fam.far, port):
        assert not ask(p.ns, fam, socket.SOCK_STREAM, fam.unused, port)


def test_dns_across_families(pasta, net, fam, resolver):
    """Only a resolver of the other family: forwarded all the same."""
    # Ours: works both ways. Others forward within a family only.
    other = {4: "2001:db8:2::1", 6: "198.51.100.1"}[fam.num]
    conf = resolver(net.far, other)
    p = pasta("--dns-forward", fam.unused, resolv=conf)
    assert dig(p, fam.unused, "name.example") == "203.0.113.7\n"
