# SPDX-License-Identifier: GPL-2.0-or-later
"""--config-net: what the namespace gets from all kinds of hosts."""

import json
import socket

import pytest

from netns import NamedNetns
from xfer import Echo

# Host set-ups: commands for 'ip -batch', then what must be found inside: the
# interface, addresses, default gateways (None: no default route), other
# routes by destination. "eth0", "eth1" are links that are up. Addresses are
# given without nodad: DAD is off in the namespace.
V4_ONLY = """
addr add 192.0.2.10/24 dev eth0
route add default via 192.0.2.1
"""
V6_ONLY = """
addr add 2001:db8:1::10/64 dev eth0
route add default via 2001:db8:1::1
"""
SETUPS = {
    "plain": (V4_ONLY + V6_ONLY, "eth0",
              ["192.0.2.10/24", "2001:db8:1::10/64"],
              ["192.0.2.1", "2001:db8:1::1"], ["192.0.2.0/24"]),
    "v4 only": (V4_ONLY, "eth0", ["192.0.2.10/24"], ["192.0.2.1"], []),
    "v6 only": (V6_ONLY, "eth0", ["2001:db8:1::10/64"], ["2001:db8:1::1"],
                []),
    "several addresses": (V4_ONLY + V6_ONLY + """
        addr add 192.0.2.11/24 dev eth0
        addr add 198.51.100.9/28 dev eth0
        addr add 2001:db8:1::11/64 dev eth0
        """, "eth0",
        ["192.0.2.10/24", "192.0.2.11/24", "198.51.100.9/28",
         "2001:db8:1::10/64", "2001:db8:1::11/64"],
        ["192.0.2.1", "2001:db8:1::1"], ["198.51.100.0/28"]),
    "lifetimes": ("""
        addr add 192.0.2.10/24 dev eth0 valid_lft 100 preferred_lft 90
        addr add 2001:db8:1::10/64 dev eth0 valid_lft 100 preferred_lft 90
        route add default via 192.0.2.1
        route add default via 2001:db8:1::1
        """, "eth0", ["192.0.2.10/24", "2001:db8:1::10/64"],
        ["192.0.2.1", "2001:db8:1::1"], []),
    "more routes": (V4_ONLY + V6_ONLY + """
        route add 198.51.100.0/24 via 192.0.2.7
        route add 203.0.113.0/25 dev eth0 scope link
        route add 2001:db8:5::/48 via 2001:db8:1::7
        """, "eth0", ["192.0.2.10/24"], ["192.0.2.1", "2001:db8:1::1"],
        ["198.51.100.0/24", "203.0.113.0/25", "2001:db8:5::/48"]),
    "preferred source": (V4_ONLY + """
        addr add 192.0.2.11/24 dev eth0
        route add 198.51.100.0/24 via 192.0.2.7 src 192.0.2.11
        """, "eth0", ["192.0.2.10/24", "192.0.2.11/24"], ["192.0.2.1"],
        ["198.51.100.0/24"]),
    "chain of routes": ("""
        addr add 192.0.2.10/32 dev eth0
        route add 192.0.2.1 dev eth0 scope link
        route add 198.51.100.0/24 via 192.0.2.1
        route add default via 192.0.2.1
        """, "eth0", ["192.0.2.10/32"], ["192.0.2.1"],
        ["192.0.2.1", "198.51.100.0/24"]),
    "gateway out of subnet": ("""
        addr add 192.0.2.10/32 dev eth0
        route add default via 203.0.113.1 dev eth0 onlink
        """, "eth0", ["192.0.2.10/32"], ["203.0.113.1"], []),
    "default without gateway": ("""
        addr add 192.0.2.10/24 dev eth0
        addr add 2001:db8:1::10/64 dev eth0
        route add default dev eth0
        route add ::/0 dev eth0
        """, "eth0",
        ["192.0.2.10/24", "2001:db8:1::10/64"], ["dev", "dev"], []),
    "link-local gateway": ("""
        addr add 2001:db8:1::10/64 dev eth0
        route add default via fe80::1 dev eth0
        """, "eth0", ["2001:db8:1::10/64"], ["fe80::1"], []),
    "two interfaces, metrics": (V4_ONLY.replace(
        "192.0.2.1\n", "192.0.2.1 metric 200\n") + """
        addr add 203.0.113.10/24 dev eth1
        route add default via 203.0.113.1 metric 100
        """, "eth1", ["203.0.113.10/24"], ["203.0.113.1"],
        ["203.0.113.0/24"]),
    "default elsewhere": ("""
        addr add 192.0.2.10/24 dev eth0
        addr add 203.0.113.10/24 dev eth1
        route add default via 203.0.113.1
        """, "eth1", ["203.0.113.10/24"], ["203.0.113.1"], []),
    "multipath, one device": ("""
        addr add 192.0.2.10/24 dev eth0
        route add default nexthop via 192.0.2.1 weight 1 nexthop via 192.0.2.2
        """, "eth0", ["192.0.2.10/24"], ["192.0.2.1"], []),
    # Ours: the hops by way of the template. Others lose the route.
    "multipath, two devices": ("""
        addr add 192.0.2.10/24 dev eth0
        addr add 203.0.113.10/24 dev eth1
        route add default nexthop via 192.0.2.1 dev eth0 weight 9 """ +
        """nexthop via 203.0.113.1 dev eth1 weight 1
        """, "eth0", ["192.0.2.10/24"], ["192.0.2.1"], []),
    "nexthop object": ("""
        addr add 192.0.2.10/24 dev eth0
        addr add 2001:db8:1::10/64 dev eth0
        nexthop add id 7 via 192.0.2.1 dev eth0
        nexthop add id 8 via 2001:db8:1::1 dev eth0
        route add default nhid 7
        route add ::/0 nhid 8
        """, "eth0", ["192.0.2.10/24", "2001:db8:1::10/64"],
        ["192.0.2.1", "2001:db8:1::1"], []),
    "nexthop group": ("""
        addr add 192.0.2.10/24 dev eth0
        nexthop add id 7 via 192.0.2.1 dev eth0
        nexthop add id 8 via 192.0.2.2 dev eth0
        nexthop add id 9 group 7/8
        route add default nhid 9
        """, "eth0", ["192.0.2.10/24"], ["192.0.2.1"], []),
    "no default": ("""
        addr add 192.0.2.10/24 dev eth0
        route add 198.51.100.0/24 via 192.0.2.1
        """, "eth0", ["192.0.2.10/24"], [None], ["198.51.100.0/24"]),
    "odd types": (V4_ONLY + """
        route add unreachable 198.51.100.0/25
        route add blackhole 198.51.100.128/25
        route add prohibit 203.0.113.0/24
        """, "eth0", ["192.0.2.10/24"], ["192.0.2.1"], []),
    "other table": (V4_ONLY + """
        route add default via 192.0.2.99 table 100
        rule add from 192.0.2.55 table 100
        """, "eth0", ["192.0.2.10/24"], ["192.0.2.1"], []),
    "peer address": ("""
        addr add 192.0.2.10 peer 192.0.2.1/32 dev eth0
        route add default via 192.0.2.1
        """, "eth0", ["192.0.2.10/32"], ["192.0.2.1"], []),
}


@pytest.fixture
def bare():
    """A host namespace with links eth0 and eth1 up, and no address."""
    ns = NamedNetns("bare")
    ns.batch("""
        link add eth0 type veth peer name peer0
        link add eth1 type veth peer name peer1
        link set peer0 up
        link set peer1 up
        link set eth0 up
        link set eth1 up
        """)
    yield ns
    ns.delete()


def addresses(ns, dev):
    """Global addresses of an interface: {"address/len": flags}."""
    links = json.loads(ns.ip("-j addr show dev " + dev))
    return {"%s/%d" % (a["local"], a["prefixlen"]): a
            for link in links for a in link["addr_info"]
            if a["scope"] == "global"}


def routes(ns):
    """All routes of the main tables, both families, as dictionaries."""
    return json.loads(ns.ip("-j -4 route show")) + \
        json.loads(ns.ip("-j -6 route show"))


def gateways(ns):
    """Gateways (or "dev") of default routes; first next hop of several."""
    found = []
    for r in routes(ns):
        if r["dst"] != "default":
            continue
        hop = r["nexthops"][0] if "nexthops" in r else r
        found.append(hop.get("gateway", "dev"))
    return found


@pytest.mark.parametrize("user", ["user", "userns-root"])
def test_plain_users(pasta, bare, user):
    check(pasta, bare, *SETUPS["plain"], user=user)


@pytest.mark.parametrize("form", ["pid", "netns"])
def test_plain_joined(pasta, bare, form):
    check(pasta, bare, *SETUPS["plain"], form=form)


@pytest.mark.parametrize("name", [n for n in SETUPS if n != "plain"])
def test_copied(pasta, bare, name):
    check(pasta, bare, *SETUPS[name])


def check(pasta, bare, commands, dev, addrs, gws, dests, **kw):
    """Set the host up, look inside."""
    bare.batch(commands)
    p = pasta(where=bare, **kw)
    have = addresses(p.ns, dev)
    for addr in addrs:
        assert addr in have
        assert not have[addr].get("tentative")
        assert have[addr]["valid_life_time"] == 0xffffffff
    found = gateways(p.ns)
    for gw in gws:
        if gw:
            assert gw in found
    # What the host lacks is made up, local to its family, never half-made
    assert len(found) <= 2
    there = [r["dst"] for r in routes(p.ns)]
    for dest in dests:
        assert dest in there


def test_link_is_ready(pasta, net):
    """At once: up, lo up, nothing tentative, not even link-local."""
    p = pasta()
    for link in json.loads(p.ns.ip("-j addr show")):
        assert "UP" in link["flags"]
        for a in link["addr_info"]:
            assert not a.get("tentative") or a["scope"] == "link", a
        if link["ifname"] == "lo":
            assert {a["local"] for a in link["addr_info"]} >= \
                {"127.0.0.1", "::1"}


def test_link_local_usable(pasta):
    """The kernel's own link-local address can be bound at once."""
    # Ours: not tentative when the command starts. Others: a moment later.
    p = pasta()
    addr = [a["local"] for link in json.loads(p.ns.ip("-j addr show eth0"))
            for a in link["addr_info"]
            if a["scope"] == "link" and a["family"] == "inet6"]
    assert len(addr) == 1
    with p.ns.sock(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        with p.ns.entered():
            index = socket.if_nametoindex("eth0")
        s.bind((addr[0], 0, 0, index))


@pytest.mark.parametrize("opts, mtu", [((), 65520), (("-m", "1400"), 1400),
                                       (("--mtu", "9000"), 9000)])
def test_mtu(pasta, opts, mtu):
    p = pasta(*opts)
    assert json.loads(p.ns.ip("-j link show eth0"))[0]["mtu"] == mtu


def test_interface_name(pasta):
    p = pasta("-I", "net7")
    assert "192.0.2.10/24" in addresses(p.ns, "net7")


def test_mac(pasta):
    p = pasta("--ns-mac-addr", "02:00:5e:10:00:01")
    link = json.loads(p.ns.ip("-j link show eth0"))[0]
    assert link["address"] == "02:00:5e:10:00:01"


def test_template_interface(pasta, bare):
    """-i: the other interface, though it has no default route."""
    bare.batch(V4_ONLY + "addr add 203.0.113.10/24 dev eth1\n"
               "route add 198.51.100.0/24 via 203.0.113.1\n")
    p = pasta("-i", "eth1", where=bare)
    assert "203.0.113.10/24" in addresses(p.ns, "eth1")
    assert "198.51.100.0/24" in [r["dst"] for r in routes(p.ns)]


def test_address_option(pasta):
    """-a replaces the copied addresses of its family."""
    p = pasta("-a", "198.51.100.77/28", "-a", "2001:db8:9::77")
    assert set(addresses(p.ns, "eth0")) == \
        {"198.51.100.77/28", "2001:db8:9::77/64"}


def test_netmask_option(pasta):
    p = pasta("-a", "198.51.100.77", "-n", "255.255.255.240")
    assert "198.51.100.77/28" in addresses(p.ns, "eth0")


def test_gateway_option(pasta):
    """-g replaces the copied routes of its family."""
    p = pasta("-g", "192.0.2.254", "-g", "2001:db8:1::fe")
    assert sorted(gateways(p.ns)) == ["192.0.2.254", "2001:db8:1::fe"]


def test_old_rootless_line(pasta):
    """The command line that imitates an older tool, network address and
    all, keeps working."""
    p = pasta("--ipv4-only", "-a", "10.0.2.0", "-n", "24", "-g", "10.0.2.2",
              "--dns-forward", "10.0.2.3", "-m", "1500", "--no-ndp",
              "--no-dhcpv6", "--no-dhcp")
    assert "10.0.2.0/24" in addresses(p.ns, "eth0")
    assert gateways(p.ns) == ["10.0.2.2"]
    p.run("ping", "-n", "-c", "1", "-W", "10", "198.51.100.1")


@pytest.mark.parametrize("flag, gone", [("-4", "inet6"), ("-6", "inet")])
def test_single_family(pasta, flag, gone):
    p = pasta(flag)
    families = {a["family"] for a in addresses(p.ns, "eth0").values()}
    assert len(families) == 1 and gone not in families


def test_without(pasta):
    """No --config-net: lo is up, the tap has no address."""
    p = pasta(config_net=False)
    assert not addresses(p.ns, "eth0")
    links = json.loads(p.ns.ip("-j link show lo"))
    assert "UP" in links[0]["flags"]


def test_thousands_of_routes(pasta, bare):
    """4,000 routes: a dump far larger than one netlink message."""
    # Others refuse ("Too many routes"). Ours copies them.
    text = V4_ONLY + V6_ONLY
    for i in range(2000):
        text += "route add 10.%d.%d.0/24 via 192.0.2.1\n" % (i >> 8, i & 255)
        text += "route add 2001:db8:%x::/48 via 2001:db8:1::1\n" % (i + 256)
    bare.batch(text)
    p = pasta(where=bare)
    assert len([r for r in routes(p.ns) if r["dst"] != "default"]) >= 4000


def test_no_network(pasta, bare):
    """A host without any address: local mode, and host loopback in reach."""
    for link in ("eth0", "eth1"):
        bare.ip("link del " + link)
    p = pasta(where=bare)
    gw = gateways(p.ns)
    assert "169.254.2.2" in gw
    with bare.sock(socket.AF_INET) as s:
        s.bind(("127.0.0.1", 5000))
        s.listen()
        with Echo(s.dup()), p.ns.sock(socket.AF_INET) as c:
            c.connect(("169.254.2.2", 5000))
            c.send(b"local")
            assert c.recv(16) == b"local"


def test_no_network_loopback(pasta, bare):
    """Local mode: ports are forwarded by loopback in both families."""
    # Without an IPv6 address inside, ::1 leads to IPv4 there, where servers
    # listen, those of both families and those of IPv4 only.
    for link in ("eth0", "eth1"):
        bare.ip("link del " + link)
    p = pasta("-t", "5001", "-T", "5002", where=bare)
    for af, lo, wild in ((socket.AF_INET, "127.0.0.1", "0.0.0.0"),
                         (socket.AF_INET6, "::1", "::")):
        for server, client, addr, port in ((p.ns, bare, wild, 5001),
                                           (bare, p.ns, lo, 5002)):
            with server.sock(af) as s, client.sock(af) as c:
                if addr == lo and af == socket.AF_INET6:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((addr, port))
                s.listen()
                with Echo(s.dup()):
                    c.connect((lo, port))
                    c.send(b"local")
                    assert c.recv(16) == b"local"


def test_no_ipv6_on_host(pasta, bare):
    """IPv6 switched off on the host: IPv4 works, ports included."""
    bare.sysctl(ipv6__conf__all__disable_ipv6=1)
    bare.batch(V4_ONLY)
    p = pasta("-t", "5000", where=bare)
    assert "192.0.2.10/24" in addresses(p.ns, "eth0")
