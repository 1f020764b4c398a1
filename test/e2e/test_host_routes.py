# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts connected in all kinds of ways: either program starts, and the guest
leaves by the way the host itself would take. The world tells who asked."""

import json
import os
import socket
import subprocess

import pytest

from scapy.all import BOOTP, DHCP, IP, Ether
from scapy.all import UDP as UDPHeader

import daemon
import without
from guestlink import BROADCAST, MAC, Guest
from hosts import (A0, A1, ATUN, BY_ETH0, BY_ETH1, BY_TUN, D0, D1, PORT, TO_77,
                   Case, World, metric, table)
from topology import FAMILIES, V4, V6
from witness import Witness, seen, seen_of_guest

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM

CASES = {
    "two metrics": Case(A0 + A1 + metric(D0, 200) + metric(D1, 100), BY_ETH1,
                        "eth1"),
    "policy table": Case(A0 + A1 + D0 + table(D1, 77) + TO_77, BY_ETH1,
                         "eth1"),
    "policy table only": Case(A0 + A1 + table(D1, 77) + TO_77, BY_ETH1,
                              "eth1"),
    "policy for a user": Case(
        A0 + A1 + D0 + table(D1, 77) +
        TO_77.replace("100", "100 uidrange 4711-4711"), BY_ETH1, "eth1"),
    "vpn by mark": Case(A0 + D0 + ATUN + """
        route add default dev tun0 table 51820
        route add ::/0 dev tun0 table 51820
        rule add pref 99 not fwmark 51820 table 51820
        rule add pref 98 table main suppress_prefixlength 0
        -6 rule add pref 99 not fwmark 51820 table 51820
        -6 rule add pref 98 table main suppress_prefixlength 0
        """, BY_TUN, "tun0"),
    "vpn by halves": Case(A0 + D0 + ATUN + """
        route add 0.0.0.0/1 dev tun0
        route add 128.0.0.0/1 dev tun0
        route add ::/1 dev tun0
        route add 8000::/1 dev tun0
        """, BY_TUN, "tun0"),
    "tun only": Case(ATUN + """
        route add default dev tun0
        route add ::/0 dev tun0
        """, BY_TUN, "tun0"),
    "vpn of IPv4 only": Case(A0 + D0 + """
        addr add 203.0.113.2 peer 203.0.113.1 dev tun0
        route add default dev tun0 metric 50
        """.replace("metric 50", "table 77\nrule add pref 100 table 77"),
        (BY_TUN[0], BY_ETH0[1]), "tun0"),
    "peer addresses": Case("""
        addr add 192.0.2.10 peer 192.0.2.1 dev eth0
        addr add 2001:db8:1::10 peer 2001:db8:1::1 dev eth0
        route add 2001:db8:1::1 dev eth0
        """ + D0, BY_ETH0),
    "gateway off prefix": Case("""
        addr add 203.0.113.77/32 dev eth0
        addr add 2001:db8:7::77/128 dev eth0
        route add default via 192.0.2.1 dev eth0 onlink
        route add ::/0 via 2001:db8:1::1 dev eth0 onlink
        """, ("203.0.113.77", "2001:db8:7::77"), world="""
        route add 203.0.113.77 dev eth0
        route add 2001:db8:7::77 dev eth0
        """),
    "unnumbered": Case("""
        addr add 203.0.113.77/32 dev lo
        addr add 2001:db8:7::77/128 dev lo
        addr add fe80::10/64 dev eth0
        route add default via 192.0.2.1 dev eth0 onlink
        route add ::/0 via fe80::1 dev eth0
        """, ("203.0.113.77", "2001:db8:7::77"), world="""
        route add 203.0.113.77 dev eth0
        route add 2001:db8:7::77 via fe80::10 dev eth0
        """),
    "IPv4 by an IPv6 gateway": Case(A0 + """
        route add 0.0.0.0/0 via inet6 fe80::1 dev eth0
        route add ::/0 via fe80::1 dev eth0
        """, BY_ETH0),
    "multipath": Case(A0 + A1 + """
        route add default nexthop via 192.0.2.1 nexthop via 192.0.2.129
        route add ::/0 nexthop via 2001:db8:1::1 nexthop via 2001:db8:4::1
        """, tuple(zip(BY_ETH0, BY_ETH1)), None),
    "nexthop objects": Case(A0 + A1 + """
        nexthop add id 4 via 192.0.2.129 dev eth1
        nexthop add id 6 via 2001:db8:4::1 dev eth1
        route add default nhid 4
        route add ::/0 nhid 6
        """, BY_ETH1, "eth1"),
    "nexthop group": Case(A0 + A1 + """
        nexthop add id 1 via 192.0.2.1 dev eth0
        nexthop add id 2 via 192.0.2.129 dev eth1
        nexthop add id 3 group 1/2
        route add default nhid 3
        """, ((BY_ETH0[0], BY_ETH1[0]), None), None),
    "unreachable beside": Case(A0 + D0 + """
        route add unreachable default metric 4278198272
        route add unreachable ::/0 metric 4278198272
        """, BY_ETH0),
    "unreachable only": Case(A0 + """
        route add unreachable default
        route add unreachable ::/0
        """, (None, None)),
    "blackhole only": Case(A0 + """
        route add blackhole default
        route add blackhole ::/0
        """, (None, None)),
    "prohibited only": Case(A0 + """
        route add prohibit default
        route add prohibit ::/0
        """, (None, None)),
    "blackhole next hop": Case(A0 + """
        nexthop add id 5 blackhole
        route add default nhid 5
        """, (None, None)),
    "no default route": Case(A0 + """
        route add 198.51.100.0/24 via 192.0.2.1
        route add 2001:db8:2::/48 via 2001:db8:1::1
        """, BY_ETH0),
    "neighbours only": Case(A0, BY_ETH0, dests=("192.0.2.2",
                                                "2001:db8:1::2")),
    "far without route": Case(A0, (None, None)),
    "several addresses": Case(A0 + D0 + """
        addr add 192.0.2.11/25 dev eth0
        addr add 2001:db8:1::99/64 dev eth0 preferred_lft 0
        addr add 192.0.2.12/25 dev eth1
        """, BY_ETH0),
    "IPv4 only": Case("addr add 192.0.2.10/25 dev eth0\n"
                      "route add default via 192.0.2.1\n",
                      (BY_ETH0[0], None)),
    "IPv6 only": Case("addr add 2001:db8:1::10/64 dev eth0\n"
                      "route add default via 2001:db8:1::1\n",
                      (None, BY_ETH0[1])),
    "families apart": Case("addr add 192.0.2.10/25 dev eth0\n"
                           "route add default via 192.0.2.1\n"
                           "addr add 2001:db8:4::10/64 dev eth1\n"
                           "route add default via 2001:db8:4::1\n",
                           (BY_ETH0[0], BY_ETH1[1])),
    "IPv6 disabled": Case("addr add 192.0.2.10/25 dev eth0\n"
                          "route add default via 192.0.2.1\n",
                          (BY_ETH0[0], None),
                          sysctl={"ipv6__conf__all__disable_ipv6": 1,
                                  "ipv6__conf__default__disable_ipv6": 1}),
    "no address": Case("", (None, None), None),
    "link-local only": Case("addr add 169.254.7.7/16 dev eth0 scope link\n",
                            (None, None), None),
    "links down": Case(A0 + D0 + "link set eth0 down\n", (None, None), None),
    "no link": Case("link del eth0\nlink del eth1\n", (None, None), "tap0"),
}

# Those run always; the others are slow, together
FAST = ("two metrics", "policy table", "vpn by mark", "unnumbered",
        "nexthop objects", "unreachable only")
NAMES = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow)
         for name in CASES]
assert set(FAST) <= set(CASES)


@pytest.fixture
def around():
    w = World()
    yield w
    w.delete()


def expected(source, got):
    """Is it whom we expect?"""
    return got in source if isinstance(source, tuple) else got == source


@pytest.mark.parametrize("name", NAMES)
def test_pasta(pasta, around, name):
    """Reached with the right source, or refused without a wait."""
    case = CASES[name]
    around.setup(case)
    p = pasta(where=around.host)
    if case.dev:
        assert case.dev in [link["ifname"] for link in
                            json.loads(p.ns.ip("-j link show"))]
    with Witness(around.world, FAMILIES, PORT, case.dests):
        for fam, source, dest in zip(FAMILIES, case.sources, case.dests):
            got = seen(p.ns, fam, TCP, dest, PORT, 5 if source else 2)
            assert expected(source, got), (fam, got, p.text())


def offered(guest):
    """The address DHCP offers."""
    f = guest.ask(
        Ether(src=MAC, dst=BROADCAST) / IP(src="0.0.0.0",
                                           dst="255.255.255.255") /
        UDPHeader(sport=68, dport=67) / BOOTP(chaddr=bytes.fromhex(
            MAC.replace(":", "")), xid=7) / DHCP(
                options=[("message-type", "discover"), "end"]),
        lambda f: BOOTP in f)
    return f[BOOTP].yiaddr


@pytest.mark.parametrize("name", NAMES)
def test_passt(passt, around, name):
    """As with pasta, and DHCP offers the address the host itself uses; ARP is
    answered whatever the host is like."""
    case = CASES[name]
    around.setup(case)
    p = passt("--no-ra", where=around.host)
    with Guest(p.path) as g, \
         Witness(around.world, FAMILIES, PORT, case.dests):
        g.alive()
        if isinstance(case.sources[0], str):
            assert offered(g) == case.sources[0]
        for fam, source, dest in zip(FAMILIES, case.sources, case.dests):
            if source:
                assert expected(source, seen_of_guest(g, fam, UDP, dest,
                                                      PORT))
        g.alive()
    assert p.running()


@pytest.mark.parametrize("name", ["no link", "no address", "IPv6 disabled"])
def test_local_mode(pasta, around, name):
    """Without network there is still the host, by loopback and by the
    gateway's address, which is link-local."""
    around.setup(CASES[name])
    p = pasta("-t", 5000, "-T", 5001, where=around.host)
    gw = "192.0.2.1" if name == "IPv6 disabled" else "169.254.2.2"
    for kind in (TCP, UDP):
        with Witness(around.host, [V4], 5002, ["127.0.0.1"]):
            assert seen(p.ns, V4, kind, gw, 5002) == "127.0.0.1"
    with Witness(around.host, [V4], 5001, ["127.0.0.1"]):
        assert seen(p.ns, V4, TCP, "127.0.0.1", 5001) == "127.0.0.1"
    with Witness(p.ns, [V4], 5000, ["0.0.0.0"]):
        assert seen(around.host, V4, TCP, "127.0.0.1", 5000)
    if name == "IPv6 disabled":
        return              # there is no ::1
    with p.ns.entered():
        gw = "fe80::1%%%d" % socket.if_nameindex()[1][0]
    with Witness(around.host, [V6], 5002, ["::1"]):
        for kind in (TCP, UDP):
            assert seen(p.ns, V6, kind, gw, 5002) == "::1"


def test_target_without_ipv6(pasta, around, procs):
    """A namespace that has no IPv6: IPv4 works there, whatever the host
    has; IPv6 alone is a mistake."""
    around.setup(CASES["IPv4 by an IPv6 gateway"])
    target = procs.start(
        ["unshare", "--user", "--map-root-user", "--net", "sh", "-c",
         "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 &&"
         "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 &&"
         "echo ready; read x"], ns=around.host, user="user",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert target.stdout.readline() == b"ready\n"
    p = pasta(where=around.host, form="pid", target=target.pid)
    assert "is IPv6 off there?" in p.text()
    with Witness(around.world, [V4], PORT, [V4.far]):
        for kind in (TCP, UDP):
            assert seen(p.ns, V4, kind, V4.far, PORT) == "192.0.2.10"


def test_passt_without_netlink(bindir, around, procs, tmp):
    """Where the host's network cannot be looked at: addresses as in local
    mode, or as told, and the outside is in reach."""
    around.setup(CASES["IPv4 only"])
    bindir = without.programs(tmp, bindir, "netlink")
    p = daemon.Passt(procs, around.host, bindir, tmp, ["-a", "192.0.2.10"])
    assert "Cannot look at the network of the host" in p.text()
    with Guest(p.path) as g, Witness(around.world, [V4], PORT, [V4.far]):
        assert offered(g) == "192.0.2.10"
        for kind in (TCP, UDP):
            assert seen_of_guest(g, V4, kind, V4.far, PORT) == "192.0.2.10"


@pytest.fixture
def wrapped(bindir, tmp):
    """The programs, started where socket(AF_INET6) fails."""
    return without.programs(tmp, bindir, "ipv6")


@pytest.mark.parametrize("opts", [(), ("-4",)])
def test_kernel_without_ipv6(wrapped, around, procs, tmp, opts):
    """ipv6.disable=1: IPv4 works in and out, ports of both families asked
    for or not."""
    around.setup(CASES["IPv4 only"])
    p = daemon.Pasta(procs, around.host, wrapped, tmp,
                     ["-t", "5000", "-T", "5001", *opts])
    with Witness(around.world, [V4], PORT, [V4.far]):
        assert seen(p.ns, V4, TCP, V4.far, PORT) == "192.0.2.10"
        assert seen(p.ns, V4, UDP, V4.far, PORT) == "192.0.2.10"
    with Witness(p.ns, [V4], 5000, ["0.0.0.0"]):
        assert seen(around.host, V4, TCP, "127.0.0.1", 5000)
    with Witness(around.host, [V4], 5001, ["127.0.0.1"]):
        assert seen(p.ns, V4, TCP, "127.0.0.1", 5001)
    p.close()


def test_passt_without_ipv6(wrapped, around, procs, tmp):
    around.setup(CASES["IPv4 only"])
    p = daemon.Passt(procs, around.host, wrapped, tmp, ["-t", "5000"])
    with Guest(p.path) as g, \
         Witness(around.world, [V4], PORT, [V4.far]):
        for kind in (TCP, UDP):
            assert seen_of_guest(g, V4, kind, V4.far, PORT) == "192.0.2.10"
    assert p.running()


@pytest.mark.parametrize("program", ["pasta", "passt"])
def test_only_ipv6_without_ipv6(wrapped, around, program):
    """-6 on such a kernel is a mistake, and says so."""
    res = around.host.run(os.path.join(wrapped, program), "-6", check=False)
    assert res.returncode == 1
    assert "IPv6 not available but --ipv6-only given" in res.stderr
