# SPDX-License-Identifier: GPL-2.0-or-later
"""Outbound sockets: --outbound, --outbound-if4, --outbound-if6, --interface,
--freebind. What the world sees of TCP, UDP and ping of the guest.

The host has two ways out, eth0 (preferred) and eth1, two addresses on either,
and lets the source address decide if there is one.
"""

import os
import re
import socket

import pytest

from scapy.all import ICMP, UDP, ICMPv6EchoReply, ICMPv6EchoRequest

from guestlink import Guest
from hosts import A0, A1, D0, D1, PORT, Case, World, metric, table
from procs import wait_for
from topology import FAMILIES, V4, V6
from witness import Witness, open_server, seen, seen_of_guest

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "ping": None}
PROGRAMS = ("pasta", "passt")
LOOPBACK_PORT = 8

TWO_WAYS = Case(A0 + A1 + metric(D0, 100) + metric(D1, 200) + """
    addr add 192.0.2.20/25 dev eth0
    addr add 2001:db8:1::20/64 dev eth0 preferred_lft 0
    addr add 192.0.2.140/25 dev eth1
    addr add 2001:db8:4::20/64 dev eth1 preferred_lft 0
    rule add pref 90 from 192.0.2.128/25 table 77
    -6 rule add pref 90 from 2001:db8:4::/64 table 77
    """ + table(D1, 77), None)

# Addresses by name, IPv4 and IPv6
ADDRS = {"eth0": ("192.0.2.10", "2001:db8:1::10"),
         "eth0 other": ("192.0.2.20", "2001:db8:1::20"),
         "eth1": ("192.0.2.130", "2001:db8:4::10"),
         "eth1 other": ("192.0.2.140", "2001:db8:4::20"),
         "absent": ("192.0.2.77", "2001:db8:1::77"),
         "absent too": ("192.0.2.78", "2001:db8:1::78")}


def addr(fam, name):
    return ADDRS[name][fam.num == 6]


def both(opt, name):
    """An option once for each family."""
    return [w for a in ADDRS[name] for w in (opt, a)]


IF0 = ["--outbound-if4", "eth0", "--outbound-if6", "eth0"]
IF1 = ["--outbound-if4", "eth1", "--outbound-if6", "eth1"]

# Options, whom the world sees, whose address the guest is given
OUTBOUND = {
    "nothing": ([], "eth0", "eth0"),
    "address": (both("-o", "eth0 other"), "eth0 other", "eth0"),
    "address of the other link": (both("--outbound", "eth1 other"),
                                  "eth1 other", "eth0"),
    "interface": (IF1, "eth1", "eth1"),
    "interface and address": ([*IF1, *both("-o", "eth1 other")], "eth1 other",
                              "eth1"),
    "template": (["-i", "eth1"], "eth0", "eth1"),
    "template and interface": (["--interface", "eth0", *IF1], "eth1",
                               "eth0"),
    "template and other interface": (["-i", "eth1", *IF0], "eth0", "eth1"),
    "freebind": (["--freebind", *both("-o", "eth0 other")], "eth0 other",
                 "eth0"),
}


@pytest.fixture(scope="module")
def around():
    """The host of all tests here."""
    w = World()
    w.setup(TWO_WAYS)
    yield w
    w.delete()


@pytest.fixture(autouse=True, scope="module")
def witnesses(around):
    """Out there, and on the host's loopback."""
    with Witness(around.world, FAMILIES, PORT, (V4.far, V6.far)), \
         Witness(around.host, FAMILIES, LOOPBACK_PORT,
                 (V4.loopback, V6.loopback)):
        yield


def echo_request(sock, fam):
    """Source address of the next echo request at a raw socket."""
    request = 8 if fam.num == 4 else 128
    while True:
        data, peer = sock.recvfrom(4096)
        if data[20 if fam.num == 4 else 0] == request:
            return peer[0]


class PastaClient:
    """What asks from inside of pasta."""

    def __init__(self, daemon):
        self.daemon = daemon

    def seen(self, fam, kind, dest, port):
        return seen(self.daemon.ns, fam, kind, dest, port)

    def ping(self, fam, dest):
        self.daemon.run("ping", "-n", "-c", "1", "-W", "5", dest)

    def send(self, fam, dest, port):
        with self.daemon.ns.sock(fam.af, socket.SOCK_DGRAM) as s:
            s.sendto(b"?", (dest, port))

    def address(self, fam):
        return self.daemon.ns.ip("-%d -o addr show scope global" % fam.num)


class PasstClient:
    """The same by frames."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.guest = Guest(daemon.path)
        self.sport = 40000

    def seen(self, fam, kind, dest, port):
        self.sport += 1
        return seen_of_guest(self.guest, fam, kind, dest, port, self.sport)

    def ping(self, fam, dest):
        g = self.guest
        layer, reply = (ICMP(id=7), lambda f: ICMP in f and f[ICMP].type == 0) \
            if fam.num == 4 else (ICMPv6EchoRequest(id=7),
                                  lambda f: ICMPv6EchoReply in f)
        g.ask(g.ip(fam, dest) / layer / b"data", reply)

    def send(self, fam, dest, port):
        self.sport += 1
        self.guest.send(self.guest.ip(fam, dest) /
                        UDP(sport=self.sport, dport=port) / b"?")

    def address(self, fam):
        """What passt said it would assign."""
        return " ".join(re.findall(r"assign: (\S+)", self.daemon.text())) + \
            "/128"


@pytest.fixture
def client(around, pasta, passt):
    """Factory: a client behind either program."""
    made = []

    def make(program, *opts):
        if program == "pasta":
            return PastaClient(pasta(*opts, where=around.host))
        made.append(PasstClient(passt(*opts, where=around.host)))
        return made[-1]
    yield make
    for c in made:
        c.guest.close()


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("name", OUTBOUND)
def test_source(client, around, program, name):
    """TCP, UDP, ping, both families; the host's loopback is as ever."""
    opts, source, given = OUTBOUND[name]
    c = client(program, *opts)
    for fam in FAMILIES:
        want = addr(fam, source)
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            assert c.seen(fam, kind, fam.far, PORT) == want
            assert c.seen(fam, kind, gateway(fam, given),
                          LOOPBACK_PORT) == fam.loopback
        proto = socket.IPPROTO_ICMP if fam.num == 4 else socket.IPPROTO_ICMPV6
        with around.world.sock(fam.af, socket.SOCK_RAW, proto) as s:
            c.ping(fam, fam.far)
            assert echo_request(s, fam) == want
        assert addr(fam, given) + "/" in c.address(fam)


def gateway(fam, name):
    """What stands for the host's loopback: the gateway on that link."""
    return {("eth0", 4): "192.0.2.1", ("eth0", 6): "2001:db8:1::1",
            ("eth1", 4): "192.0.2.129",
            ("eth1", 6): "2001:db8:4::1"}[name, fam.num]


@pytest.mark.parametrize("program", PROGRAMS)
def test_one_family(client, fam, program):
    """An address or interface of one family leaves the other one alone."""
    other = FAMILIES[fam.num == 4]
    c = client(program, "-o", addr(fam, "eth0 other"),
               "--outbound-if%d" % fam.num, "eth0")
    for f, want in ((fam, "eth0 other"), (other, "eth0")):
        assert c.seen(f, socket.SOCK_STREAM, f.far, PORT) == addr(f, want)


def can_bind(ns, fam, address):
    """Whether an address is there, and not tentative."""
    with ns.sock(fam.af, socket.SOCK_DGRAM) as s:
        try:
            s.bind((address, 0))
        except OSError:
            return False
        return True


@pytest.fixture
def absent(around):
    """Give the host the addresses it has not, from now on; until the end."""
    given = []

    def give(fam, name):
        given.append("%s/%d dev eth0" % (addr(fam, name),
                                         25 if fam.num == 4 else 64))
        around.host.ip("addr add %s %s" % (
            given[-1], "preferred_lft 0" if fam.num == 6 else ""))
        wait_for(lambda: can_bind(around.host, fam, addr(fam, name)),
                 "address")
    yield give
    for a in given:
        around.host.ip("addr del " + a)


@pytest.mark.parametrize("program", PROGRAMS)
def test_freebind_outbound(client, around, program):
    """An address the host has not: --freebind sends from it all the same.
    With IPv4 the kernel wants more than that, IP_TRANSPARENT."""
    c = client(program, "--freebind", "-o", addr(V6, "absent"))
    with open_server(around.world, V6, socket.SOCK_DGRAM, V6.far, 9) as s:
        c.send(V6, V6.far, 9)
        assert s.recvfrom(1)[1][0] == addr(V6, "absent")


@pytest.mark.parametrize("program", PROGRAMS)
def test_absent_outbound(client, fam, absent, program):
    """Without --freebind: a warning, and it works once the address is
    there."""
    c = client(program, "-o", addr(fam, "absent"))
    if program == "passt":
        assert "--outbound %s: no such address" % addr(fam, "absent") in \
            c.daemon.text()
    absent(fam, "absent")
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        assert c.seen(fam, kind, fam.far, PORT) == addr(fam, "absent")


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_freebind_inbound(client, around, fam, absent, kind):
    """--freebind: ports of an address that comes later."""
    flag = "-t" if kind == "tcp" else "-u"
    text = addr(fam, "absent too")
    c = client("pasta", "--freebind", flag, "%s/5000" %
               (text if fam.num == 4 else "[%s]" % text))
    absent(fam, "absent too")
    with Witness(c.daemon.ns, [fam], 5000, [fam.any]):
        assert seen(around.world, fam, KINDS[kind], text, 5000) in \
            ("192.0.2.1", "2001:db8:1::1", "2001:db8:1::2")


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("opts, message", [
    (["-t", "192.0.2.78/5000"],
     "Failed to bind port 5000 (Cannot assign requested address) for TCP on "
     "192.0.2.78, option -t: no such address here (see --freebind)"),
    (["--outbound-if4", "eth9"],
     "External interface not usable: --outbound-if4 'eth9': No such device"),
    (["--outbound-if6", "eth9"],
     "External interface not usable: --outbound-if6 'eth9': No such device"),
    (["-i", "eth9"], "Invalid interface name: --interface 'eth9': No such "
     "device"),
    (["-o", "192.0.2.10", "-o", "192.0.2.11"],
     "Invalid or redundant outbound address: --outbound '192.0.2.11', "
     "expected one address per IP version"),
])
def test_refused(around, bindir, program, opts, message):
    res = around.host.run(os.path.join(bindir, program), *opts, check=False)
    assert res.returncode == 1
    assert message in res.stderr
