# SPDX-License-Identifier: GPL-2.0-or-later
"""UDP on every path: sizes, ports, order, errors, many flows."""

import errno
import selectors
import socket
import struct

import pytest

import topology
from procs import wait_for
from xfer import Echo

IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2
IPV6_MTU_DISCOVER = 23
IP_MTU, IPV6_MTU = 14, 24
IP_RECVERR, IPV6_RECVERR = 11, 25


def ask(s, data, tries=5):
    """Send a datagram until an answer comes. Return: the answer."""
    s.settimeout(3)
    for _ in range(tries):
        s.send(data)
        try:
            return s.recv(65535)
        except socket.timeout:
            pass
    raise AssertionError("no answer to %d bytes" % len(data))


@pytest.mark.parametrize("size", [0, 1, 17, 1400, 1472, 1473, 9000, 60000])
def test_echo(path, size):
    data = bytes(i * 7 % 256 for i in range(size))
    with Echo(path.udp_server()) as echo, path.udp_client() as s:
        assert ask(s, data) == data
        assert len(echo.peers) == 1


def test_largest_in_one_frame(path):
    """The most that fits the default MTU of 65520 without fragments."""
    data = b"m" * path.fam.udp_max_unfrag
    with Echo(path.udp_server()), path.udp_client() as s:
        assert ask(s, data) == data


def test_largest_spliced(splice_path):
    """65507 bytes, the most UDP over IPv4 has, by way of loopback."""
    data = b"m" * 65507
    with Echo(splice_path.udp_server()), splice_path.udp_client() as s:
        assert ask(s, data) == data


def test_largest_fragmented(tap_path):
    """65507 bytes do not fit the tap's MTU: they travel in fragments."""
    # Ours: reassembled, and fragmented towards the guest. Others drop them.
    data = b"m" * 65507
    with Echo(tap_path.udp_server()), tap_path.udp_client() as s:
        assert ask(s, data) == data


def test_order(path):
    """A burst small enough for any queue arrives whole and in order."""
    with path.udp_server() as server, path.udp_client() as s:
        s.send(b"first")                    # the way is open after that
        assert server.recv(16) == b"first"
        for i in range(100):
            s.send(b"%03d" % i)
        assert [server.recv(16) for _ in range(100)] == \
            [b"%03d" % i for i in range(100)]


def test_zero_length_last(path):
    """An empty datagram after data keeps its place (how socat ends)."""
    with path.udp_server() as server, path.udp_client() as s:
        for data in (b"one", b"two", b""):
            s.send(data)
        assert [server.recv(16) for _ in range(3)] == [b"one", b"two", b""]


def test_source_port_kept(path):
    """The server sees the client's own source port."""
    sport = path.net.port() + 20000
    with Echo(path.udp_server()) as echo, path.udp_client(sport) as s:
        assert ask(s, b"x") == b"x"
        seen = {p[1] for p in echo.peers}
        if path.tap:
            assert seen == {sport}


def test_source_address(tap_path):
    """The server sees the client's address."""
    with Echo(tap_path.udp_server()) as echo, tap_path.udp_client() as s:
        assert ask(s, b"x") == b"x"
        assert {p[0] for p in echo.peers} == {s.getsockname()[0]}


@pytest.mark.slow
@pytest.mark.parametrize("sport", [123, 500, 1023])
def test_low_source_port(path, sport):
    """From a privileged port an answer comes, whatever port it left by."""
    # Ours: falls back to a port of the kernel's choice where the daemon may
    # not bind the number. Others drop the datagram on tap-out.
    with Echo(path.udp_server()), path.udp_client(sport) as s:
        assert ask(s, b"ntp") == b"ntp"


def test_busy_source_port(fam, net, pasta):
    """The host uses the very source port: the flow works all the same."""
    # Ours: falls back to another port. Others drop the datagram.
    p = pasta()
    sport, dport = net.port(), net.port()
    with net.host.sock(fam.af, socket.SOCK_DGRAM) as busy, \
         net.far.sock(fam.af, socket.SOCK_DGRAM) as far, \
         p.ns.sock(fam.af, socket.SOCK_DGRAM) as s:
        busy.bind((fam.any, sport))
        far.bind((fam.far, dport))
        s.bind((fam.any, sport))
        s.connect((fam.far, dport))
        with Echo(far.dup()):
            assert ask(s, b"x") == b"x"


def test_closed_port(fam, net, pasta):
    """Nobody at the port: the application is told (port unreachable)."""
    p = pasta()
    with p.ns.sock(fam.af, socket.SOCK_DGRAM) as s:
        s.connect((fam.far, net.port()))
        s.settimeout(1)
        wait_for(lambda: error_of(s) == errno.ECONNREFUSED, "ECONNREFUSED")


def error_of(s, data=b"x"):
    """Send and listen. Return: the error the socket reports, or 0."""
    try:
        s.send(data)
        s.recv(16)
    except socket.timeout:
        pass
    except OSError as e:
        return e.errno
    return 0


def recv_errors(s, fam):
    """Have the kernel report each ICMP error to the socket."""
    if fam.num == 4:
        s.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    else:
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)


def test_unreachable_host(fam, net, pasta):
    """A router says unreachable: the application inside hears of it."""
    p = pasta()
    with p.ns.sock(fam.af, socket.SOCK_DGRAM) as s:
        recv_errors(s, fam)
        s.connect((fam.nowhere, net.port()))
        s.settimeout(1)
        wait_for(lambda: error_of(s) in (errno.EHOSTUNREACH,
                                         errno.ENETUNREACH),
                 "unreachable error")


def test_path_mtu(fam, net, pasta):
    """Too big for a link on the way: the MTU of that link is known inside."""
    p = pasta()
    with p.ns.sock(fam.af, socket.SOCK_DGRAM) as s:
        level, mode, mtu = \
            (socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_MTU) if fam.num == 4 else \
            (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_MTU)
        s.setsockopt(level, mode, IP_PMTUDISC_DO)
        s.connect((fam.beyond, net.port()))
        s.settimeout(0.2)

        def path_mtu():
            assert error_of(s, b"m" * 1400) in (0, errno.EMSGSIZE)
            return s.getsockopt(level, mtu)
        wait_for(lambda: path_mtu() == topology.NARROW_MTU, "path MTU inside")


def test_two_clients(path):
    """Two clients of one server keep apart."""
    with Echo(path.udp_server()) as echo, path.udp_client() as a, \
         path.udp_client() as b:
        assert ask(a, b"a") + ask(b, b"b") == b"ab"
        for i in range(20):
            a.send(b"a%02d" % i)
            b.send(b"b%02d" % i)
        assert [a.recv(16) for _ in range(20)] == \
            [b"a%02d" % i for i in range(20)]
        assert [b.recv(16) for _ in range(20)] == \
            [b"b%02d" % i for i in range(20)]
        assert len(echo.peers) == 2


def test_one_client_two_servers(fam, net, pasta):
    """One unconnected socket inside, two servers: answers bear the right
    source."""
    p = pasta()
    ports = net.port(), net.port()
    servers = []
    for addr, port in zip((fam.far, fam.neigh), ports):
        s = net.far.sock(fam.af, socket.SOCK_DGRAM)
        s.bind((addr, port))
        servers.append(Echo(s))
    try:
        with p.ns.sock(fam.af, socket.SOCK_DGRAM) as s:
            want = set(zip((fam.far, fam.neigh), ports))
            for dest in want:
                s.sendto(b"%d" % dest[1], dest)
            got = [s.recvfrom(16) for _ in want]
            assert {peer[:2] for _, peer in got} == want
            assert all(data == b"%d" % peer[1] for data, peer in got)
    finally:
        for server in servers:
            server.stop()


@pytest.mark.slow
def test_many_flows(path):
    """1,000 flows at a time, each with its own answer."""
    n = 1000
    with Echo(path.udp_server()) as echo:
        socks = [path.udp_client() for _ in range(n)]
        sel = selectors.DefaultSelector()
        try:
            for i, s in enumerate(socks):
                s.setblocking(False)
                sel.register(s, selectors.EVENT_READ, i)
            missing = set(range(n))
            for _ in range(5):              # datagrams may get lost
                for j, i in enumerate(sorted(missing)):
                    socks[i].send(struct.pack("!I", i))
                    if j % 50 == 49:
                        _collect(sel, missing, 0.05)
                while missing and _collect(sel, missing, 1):
                    pass
                if not missing:
                    break
            assert not missing, "%d flows without answer" % len(missing)
            assert len(echo.peers) == n
        finally:
            sel.close()
            for s in socks:
                s.close()


def _collect(sel, missing, timeout):
    """Take what has arrived; check it. Return: whether anything had."""
    ready = sel.select(timeout)
    for key, _ in ready:
        assert key.fileobj.recv(16) == struct.pack("!I", key.data)
        missing.discard(key.data)
    return bool(ready)
