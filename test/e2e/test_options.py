# SPDX-License-Identifier: GPL-2.0-or-later
"""What each option does, for both programs and both families: services that
are switched off, what the guest is told, which address means what, and what is
said while all that happens. test/tree/options lists which test is for which
option."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest
from scapy.all import (ICMP, IP, TCP, UDP, ICMPv6EchoReply,
                       ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS,
                       ICMPv6NDOptSrcLLAddr, Ether, IPv6)

import without
from daemon import listening
from guestlink import GUEST_LL, MAC, Guest
from l2 import (TapGuest, arp_request, dhcp6_solicit, dhcp_discover,
                dhcp_facts, facts, is_advertise, is_arp_reply, is_dhcp, is_ra,
                ra_facts, router_solicit)
from procs import as_user, wait_for
from topology import FAMILIES, V4, V6
from witness import Witness, seen, seen_of_guest

PROGRAMS = ("pasta", "passt")
STREAM, DGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
PORT = 7

RESOLV = """nameserver 198.51.100.53
nameserver 2001:db8:2::53
search one.example two.example
"""


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    return str(path)


@pytest.fixture(scope="module", autouse=True)
def far_witness(net):
    """Somebody out there who answers."""
    with Witness(net.far, FAMILIES, PORT, (V4.far, V6.far)):
        yield


@pytest.fixture
def l2(pasta, passt, tmp):
    """Factory: a guest that speaks in frames, behind either program."""
    made = []
    conf = write(os.path.join(tmp, "resolv.conf"), RESOLV)

    def make(program, *opts, resolv=conf):
        if program == "passt":
            made.append(Guest(passt(*opts, resolv=resolv).path))
        else:
            p = pasta(*opts, config_net=False, resolv=resolv)
            p.ns.ip("link set eth0 up")
            made.append(TapGuest(p.ns))
        return made[-1]
    yield make
    for g in made:
        g.close()


# --- Services ---

def neighbour_solicit():
    return Ether(src=MAC, dst="33:33:ff:00:00:01") / \
        IPv6(src=GUEST_LL, dst="ff02::1:ff00:1", hlim=255) / \
        ICMPv6ND_NS(tgt="2001:db8:1::1") / ICMPv6NDOptSrcLLAddr(lladdr=MAC)


def by(family, layer, cond):
    return lambda f: family in f and layer in f and cond(f)


# Name: what is sent, what the answer looks like
SERVICES = {
    "tcp4": (lambda g: g.ip(V4, V4.far) / TCP(sport=4001, dport=PORT),
             by(IP, TCP, lambda f: f[TCP].dport == 4001)),
    "tcp6": (lambda g: g.ip(V6, V6.far) / TCP(sport=4002, dport=PORT),
             by(IPv6, TCP, lambda f: f[TCP].dport == 4002)),
    "udp4": (lambda g: g.ip(V4, V4.far) / UDP(sport=4003, dport=PORT) / b"?",
             by(IP, UDP, lambda f: f[UDP].dport == 4003)),
    "udp6": (lambda g: g.ip(V6, V6.far) / UDP(sport=4004, dport=PORT) / b"?",
             by(IPv6, UDP, lambda f: f[UDP].dport == 4004)),
    "ping4": (lambda g: g.ip(V4, V4.far) / ICMP(id=7) / b"data",
              by(IP, ICMP, lambda f: f[ICMP].type == 0)),
    "ping6": (lambda g: g.ip(V6, V6.far) / ICMPv6EchoRequest(id=7) / b"data",
              by(IPv6, ICMPv6EchoReply, lambda f: True)),
    "ndp": (lambda g: neighbour_solicit(),
            by(IPv6, ICMPv6ND_NA, lambda f: f[ICMPv6ND_NA].tgt ==
               "2001:db8:1::1")),
    "ra": (lambda g: router_solicit(), is_ra),
    "dhcp": (lambda g: dhcp_discover(), is_dhcp),
    "dhcpv6": (lambda g: dhcp6_solicit(), is_advertise),
    "arp": (lambda g: arp_request(), is_arp_reply),
}
ALL_V4 = {"tcp4", "udp4", "ping4", "dhcp", "arp"}
ALL_V6 = {"tcp6", "udp6", "ping6", "ndp", "ra", "dhcpv6"}


def answered(guest, expected):
    """Ask for all services, wait for those expected, and a moment more.
    Return: names of those that answered."""
    guest.send(*(ask(guest) for ask, _ in SERVICES.values()))
    got = set()

    def note(frame):
        for name, (_, matches) in SERVICES.items():
            if matches(frame):
                got.add(name)
        return got >= expected
    if expected:
        guest.expect(note, 10)
    end = time.monotonic() + 0.15
    while time.monotonic() < end:
        try:
            guest.expect(lambda f: note(f) and False,
                         end - time.monotonic())
        except AssertionError:
            pass
    return got


OFF = [
    ([], set()),
    (["--no-tcp"], {"tcp4", "tcp6"}),
    (["--no-udp"], {"udp4", "udp6"}),
    (["--no-icmp"], {"ping4", "ping6", "ndp", "ra"}),
    (["--no-dhcp"], {"dhcp"}),
    (["--no-ndp"], {"ndp", "ra"}),
    (["--no-dhcpv6"], {"dhcpv6"}),
    (["--no-ra"], {"ra"}),
    (["--no-dhcp", "--no-dhcpv6", "--no-ra"], {"dhcp", "dhcpv6", "ra"}),
    (["-4"], ALL_V6),
    (["--ipv6-only"], ALL_V4),
    (["-6", "--ipv4-only"], ALL_V6),
]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("opts, off", OFF,
                         ids=[" ".join(o[0]) or "nothing" for o in OFF])
def test_services(l2, program, opts, off):
    """What is switched off is silent, all else answers."""
    expected = (ALL_V4 | ALL_V6) - off
    assert answered(l2(program, *opts), expected) == expected


# --- What the guest is told ---

TELL = {"pasta": ["--dhcp-dns", "--dhcp-search"], "passt": []}

TOLD = [
    # what the host has
    ([], {"addr": "192.0.2.10", "mask": "255.255.255.0",
          "router": "192.0.2.1", "mtu": 65520, "dns": "198.51.100.53",
          "search": "one.example two.example", "hostname": None,
          "fqdn": None, "mac": "9a:55:9a:55:9a:55",
          "ra_prefix": "2001:db8:1::", "ra_mtu": 65520,
          "ra_dns": "2001:db8:2::53", "ra_search": "one.example two.example",
          "ra_mac": "9a:55:9a:55:9a:55", "addr6": "2001:db8:1::10",
          "dns6": "2001:db8:2::53", "search6": "one.example two.example",
          "fqdn6": None, "arp_mac": "9a:55:9a:55:9a:55"}),
    # other addresses; masks by class without one
    (["-a", "198.51.100.7/27", "-a", "2001:db8:9::7"],
     {"addr": "198.51.100.7", "mask": "255.255.255.224",
      "ra_prefix": "2001:db8:9::", "addr6": "2001:db8:9::7"}),
    (["--address", "10.1.2.3"], {"addr": "10.1.2.3", "mask": "255.0.0.0"}),
    (["-a", "172.16.0.5"], {"mask": "255.255.0.0"}),
    (["-a", "198.51.100.7"], {"mask": "255.255.255.0"}),
    (["-a", "198.51.100.7", "-n", "255.255.255.252"],
     {"mask": "255.255.255.252"}),
    (["--netmask", "25"], {"addr": "192.0.2.10", "mask": "255.255.255.128"}),
    (["-g", "192.0.2.200", "-g", "fe80::99"],
     {"router": "192.0.2.200", "ra_src": "fe80::99"}),
    (["--gateway", "2001:db8:1::99"], {"router": "192.0.2.1"}),
    # MTU
    (["-m", "1400"], {"mtu": 1400, "ra_mtu": 1400}),
    (["--mtu", "0"], {"mtu": None, "ra_mtu": None}),
    # our MAC
    (["-M", "02:00:5e:10:00:01"],
     {"mac": "02:00:5e:10:00:01", "ra_mac": "02:00:5e:10:00:01",
      "arp_mac": "02:00:5e:10:00:01"}),
    # names
    (["-D", "203.0.113.1", "-D", "203.0.113.2", "--dns", "2001:db8::1"],
     {"dns": "203.0.113.1 203.0.113.2", "dns6": "2001:db8::1",
      "ra_dns": "2001:db8::1", "search": "one.example two.example"}),
    (["-D", "none"], {"dns": None, "dns6": None, "ra_dns": None}),
    (["-D", "203.0.113.1", "-D", "none", "-D", "203.0.113.2"],
     {"dns": "203.0.113.2", "dns6": None, "ra_dns": None}),
    (["-S", "a.example b.example", "--search", "c.example"],
     {"search": "a.example b.example c.example",
      "search6": "a.example b.example c.example",
      "ra_search": "a.example b.example c.example"}),
    (["-S", "none"], {"search": None, "search6": None, "ra_search": None,
                      "dns": "198.51.100.53"}),
    (["-S", "none."], {"search": "none", "search6": "none"}),
    (["-H", "box", "--fqdn", "box.example"],
     {"hostname": "box", "fqdn": "box.example", "fqdn6": "box.example"}),
    (["--dns-forward", "192.0.2.77", "--dns-forward", "2001:db8:1::77"],
     {"dns": "198.51.100.53", "dns6": "2001:db8:2::53"}),
]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("opts, want", TOLD,
                         ids=[" ".join(t[0]) or "nothing" for t in TOLD])
def test_told(l2, program, opts, want):
    """By DHCP, DHCPv6, router advertisements, ARP."""
    have = facts(l2(program, *TELL[program], *opts))
    assert {k: have[k] for k in want} == want


@pytest.mark.parametrize("program, opts, dns, search", [
    ("pasta", [], False, False),
    ("pasta", ["--dhcp-dns"], True, False),
    ("pasta", ["--dhcp-search", "-D", "203.0.113.1"], False, True),
    ("passt", [], True, True),
    ("passt", ["--no-dhcp-dns"], False, True),
    ("passt", ["--no-dhcp-search"], True, False),
    ("passt", ["--no-dhcp-dns", "-D", "203.0.113.1", "--no-dhcp-search",
               "-S", "a.example"], False, False),
])
def test_told_names(l2, program, opts, dns, search):
    """Whether nameservers and search list are handed out at all. Router
    advertisements carry a list only with servers (RFC 8106 has no such rule,
    but clients do)."""
    have = facts(l2(program, *opts))
    assert [bool(have[k]) for k in ("dns", "dns6", "ra_dns")] == [dns] * 3
    assert [bool(have[k]) for k in ("search", "search6")] == [search] * 2


@pytest.mark.parametrize("opts, resolver, told, told6", [
    ([], "127.0.0.53", "192.0.2.1", None),
    ([], "::1", None, "2001:db8:1::1"),
    (["-6"], "127.0.0.53", None, "2001:db8:1::1"),
    (["-4"], "::1", "192.0.2.1", None),
    (["--dns-forward", "192.0.2.77"], "127.0.0.53", "192.0.2.77", None),
    (["--map-host-loopback", "192.0.2.88"], "127.0.0.53", "192.0.2.88",
     None),
    (["--no-map-gw"], "127.0.0.53", None, None),
], ids=lambda x: " ".join(x) if isinstance(x, list) else x)
@pytest.mark.parametrize("program", PROGRAMS)
def test_loopback_resolver(l2, net, tmp, program, opts, resolver, told,
                           told6):
    """A nameserver on host loopback: the guest is told what stands for it,
    and reaches it there, by UDP and TCP, 53 and 853."""
    conf = write(os.path.join(tmp, "local.conf"), "nameserver %s\n" % resolver)
    g = l2(program, *TELL[program], *opts, resolv=conf)
    target = V6 if ":" in resolver else V4
    if "-6" not in opts:
        have = dhcp(g)
        assert have["dns"] == told
    if "-4" not in opts:
        have = ra(g)
        assert have["ra_dns"] == told6
    sport = 40000
    for port in (53, 853) if told or told6 else ():
        fam, dest = (V4, told) if told else (V6, told6)
        with Witness(net.host, [target], port, [resolver]):
            for kind in (STREAM, DGRAM):
                sport += 1
                assert seen_of_guest(g, fam, kind, dest, port, sport) in \
                    ("127.0.0.1", "::1")


def dhcp(g):
    return dhcp_facts(g.ask(dhcp_discover(), is_dhcp))


def ra(g):
    return ra_facts(g.ask(router_solicit(), is_ra))


# --- Which address means what ---

@pytest.fixture(scope="module")
def dns_witnesses(net):
    """At the ports of DNS and at another one, out there."""
    with Witness(net.far, FAMILIES, 53, (V4.far, V6.far)), \
         Witness(net.far, FAMILIES, 853, (V4.far, V6.far)), \
         Witness(net.far, FAMILIES, 54, (V4.far, V6.far)):
        yield


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("hosts", [("v4", "v6"), ("v4",), ("v6",)],
                         ids="+".join)
def test_dns_forward(l2, net, dns_witnesses, program, hosts):
    """--dns-forward to --dns-host: UDP and TCP, 53 and 853, within a family
    and across."""
    fams = {"v4": V4, "v6": V6}
    opts = ["--dns-forward", V4.unused, "--dns-forward", V6.unused]
    for h in hosts:
        opts += ["--dns-host", fams[h].far]
    g = l2(program, *opts, resolv="/dev/null")
    sport = 30000
    for fam in FAMILIES:
        target = fam if repr(fam) in hosts else fams[hosts[0]]
        for kind in (STREAM, DGRAM):
            for port in (53, 853):
                sport += 1
                assert seen_of_guest(g, fam, kind, fam.unused, port,
                                     sport) == target.host
        g.send(g.ip(fam, fam.unused) / TCP(sport=sport + 1, dport=54))
    g.silent(lambda f: TCP in f and "A" in str(f[TCP].flags) and
             "S" in str(f[TCP].flags), 0.2)


LOOP, GATEWAY, HOST = 81, 82, 83        # ports: who is listening there


@pytest.fixture(scope="module")
def map_witnesses(net):
    """On host loopback, at the true gateway, at the host's own address."""
    with Witness(net.host, FAMILIES, LOOP, (V4.loopback, V6.loopback)), \
         Witness(net.far, FAMILIES, GATEWAY, (V4.gw, V6.gw)), \
         Witness(net.host, FAMILIES, HOST, (V4.host, V6.host)):
        yield


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("opts, gw, unused", [
    ([], LOOP, None),
    (["--no-map-gw"], GATEWAY, None),
    (["--map-host-loopback", "none"], GATEWAY, None),
    (["--map-host-loopback", "unused"], GATEWAY, LOOP),
    (["--map-guest-addr", "unused"], LOOP, HOST),
    (["--map-guest-addr", "unused", "--map-guest-addr", "none"], LOOP, None),
    (["--no-map-gw", "--map-guest-addr", "unused"], GATEWAY, HOST),
], ids=lambda x: " ".join(x) if isinstance(x, list) else str(x))
def test_mapped(l2, net, map_witnesses, program, opts, gw, unused):
    """Who is meant by the gateway's address, and by one nobody has."""
    words = []
    for i, w in enumerate(opts):
        if w == "unused":
            words += [V4.unused, opts[i - 1], V6.unused]
        else:
            words.append(w)
    g = l2(program, *words)
    sport = 50000
    for fam in FAMILIES:
        for dest, port in ((fam.gw, gw), (fam.unused, unused)):
            for kind in (STREAM, DGRAM) if port else ():
                sport += 1
                assert seen_of_guest(g, fam, kind, dest, port, sport) == \
                    {LOOP: fam.loopback, GATEWAY: fam.host,
                     HOST: fam.host}[port]


# --- pasta ---

def test_splice_only(pasta, net, fam):
    """--splice-only: no interface but loopback, which is connected with that
    of the host, both ways."""
    inside, outside = net.port(), net.port()
    p = pasta("--splice-only", "-t", inside, "-u", inside, "-T", outside,
              "-U", outside, config_net=False)
    assert [link["ifname"] for link in json.loads(p.ns.ip("-j link show"))] \
        == ["lo"]
    with Witness(p.ns, [fam], inside, [fam.loopback]), \
         Witness(net.host, [fam], outside, [fam.loopback]):
        for kind in (STREAM, DGRAM):
            assert seen(net.host, fam, kind, fam.loopback, inside) == \
                fam.loopback
            assert seen(p.ns, fam, kind, fam.loopback, outside) == \
                fam.loopback
        assert seen(net.far, fam, STREAM, fam.host, inside, 1) is None
    assert seen(p.ns, fam, STREAM, fam.far, PORT, 1) is None


@pytest.fixture
def busy_host(net):
    """The host has one more address and route of each family."""
    net.host.batch("addr add 192.0.2.44/28 dev eth0\n"
                   "addr add 2001:db8:44::44/64 dev eth0 nodad\n"
                   "route add 203.0.113.64/28 via 192.0.2.1\n"
                   "route add 2001:db8:55::/48 via 2001:db8:1::1\n")
    yield
    net.host.batch("route del 203.0.113.64/28\n"
                   "route del 2001:db8:55::/48\n"
                   "addr del 192.0.2.44/28 dev eth0\n"
                   "addr del 2001:db8:44::44/64 dev eth0\n")


@pytest.mark.parametrize("opts, addrs, routes", [
    ([], True, True),
    (["--no-copy-addrs"], False, True),
    (["--no-copy-routes"], True, False),
    (["--no-copy-addrs", "--no-copy-routes"], False, False),
])
def test_no_copy(pasta, busy_host, opts, addrs, routes):
    """One address, one default route, of each family."""
    p = pasta(*opts)
    for fam in FAMILIES:
        have = p.ns.ip("-%d -o addr show dev eth0 scope global" % fam.num)
        assert have.count("inet") == (2 if addrs else 1)
    for fam, dest in ((V4, "203.0.113.64/28"), (V6, "2001:db8:55::/48")):
        have = p.ns.ip("-%d route show" % fam.num)
        assert (dest in have) == routes
        assert "default via " + fam.gw in have
        assert seen(p.ns, fam, STREAM, fam.far, PORT)


def test_netmask_of_copied(pasta):
    """--netmask without --address, with --config-net: this mask, and not
    the host's."""
    p = pasta("-n", "28")
    assert "192.0.2.10/28" in p.ns.ip("addr show dev eth0")
    assert "192.0.2.10/24" not in p.ns.ip("addr show dev eth0")
    assert seen(p.ns, V4, STREAM, V4.far, PORT) == V4.host


def test_userns(net, bindir, procs, tmp):
    """--userns: the one joined, which has to own the network namespace, as
    --netns-only, with none, shows."""
    target = procs.start(["unshare", "--user", "--map-root-user", "--net",
                          "sh", "-c", "echo ready; read x"], ns=net.host,
                         user="user", stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
    assert target.stdout.readline() == b"ready\n"
    where = "/proc/%d/ns/" % target.pid
    pidfile = os.path.join(tmp, "pid")

    def run(*opts):
        return net.host.run(*as_user([bindir + "/pasta", *opts, "-P", pidfile,
                                      "--netns", where + "net"], "user"),
                            check=False)
    for opts in (["--netns-only"], ["--userns", "/proc/self/ns/user"]):
        res = run(*opts)
        assert res.returncode == 1, res.stderr
        assert "Operation not permitted" in res.stderr
    res = run("--userns", where + "user")
    assert res.returncode == 0, res.stderr
    with open(pidfile, encoding="ascii") as f:
        pid = int(f.read())
    procs.adopt(pid)
    assert os.readlink("/proc/%d/ns/user" % pid) == \
        os.readlink(where + "user")


@pytest.mark.parametrize("opts, shared", [([], False), (["--no-pidns"], True)])
def test_no_pidns(net, bindir, opts, shared):
    """Whether the command sees the processes around it."""
    res = net.host.run(bindir + "/pasta", *opts, "--", "readlink",
                       "/proc/self/ns/pid")
    assert (res.stdout.strip() == os.readlink("/proc/self/ns/pid")) == shared


# --- What is said ---

TRACE = re.compile(r"\d+\.\d{4}: From guest: \d+ bytes, (.*)")


def said(passt, net, *opts):
    """All that passt says of a guest that asks for this and that."""
    p = passt(*opts)
    with Guest(p.path) as g:
        g.alive()
        for fam in FAMILIES:
            seen_of_guest(g, fam, DGRAM, fam.far, PORT)
        g.ask(g.ip(V4, V4.far) / ICMP(id=7) / b"data", lambda f: ICMP in f)
    return p


def test_quiet(passt, net):
    """--quiet, -q: nothing, if nothing is wrong. Not so without."""
    assert said(passt, net, "-q").text() == ""
    text = said(passt, net).text()
    assert "Template interface: eth0 (IPv4)" in text
    assert "From guest" not in text


SUMMARY = """\
Template interface: eth0 (IPv4), has the default route
Template interface: eth0 (IPv6), has the default route
MAC: 9a:55:9a:55:9a:55
NAT to host 127.0.0.1: 192.0.2.20
NAT to host ::1: 2001:db8:1::1
DHCP:
    assign: 192.0.2.10/24 (of the template)
    router: 192.0.2.20 (--gateway)
    nameserver: 198.51.100.1 (/etc/resolv.conf)
NDP/DHCPv6:
    assign: 2001:db8:1::99 (--address)
    router: 2001:db8:1::1 (of the host)
    our link-local: fe80::1 (router advertisements)
    nameserver: 2001:db8:2::1 (/etc/resolv.conf)
Inbound forwarding rules (HOST):
    TCP [*]:%d  =>  80
    UDP [*]:%d-%d  =>  %d-%d (best effort), 1 of 2 ports
Kernel has: %s; lacks:%s
"""


def test_summary(net, passt, tmp):
    """What was chosen, and why; ports that are open, and how many are not;
    what the kernel can."""
    conf, first = write(os.path.join(tmp, "resolv.conf"),
                        "nameserver %s\nnameserver %s\n" %
                        (V4.far, V6.far)), net.port(3)
    others = "~1-%d,~%d-65535" % (first, first + 3)
    with net.host.sock(V6.af, socket.SOCK_DGRAM) as taken:
        taken.bind((V6.any, first + 1))
        text = passt("-g", V4.neigh, "-a", "2001:db8:1::99", "-t",
                     "%d:80" % first, "-u", others, resolv=conf).text()
    has, lacks = re.search(r"Kernel has: (.*); lacks:(.*)", text).groups()
    assert SUMMARY % (first, first + 1, first + 2, first + 1, first + 2,
                      has, lacks) in text
    assert not os.path.exists("/proc/net/if_inet6") or "ipv6" in has
    assert len(text.splitlines()) < 25


def test_summary_without(passt):
    """What the kernel lacks is said, and who chose the interface, what it has
    not; and that no nameserver is told."""
    text = passt("-4", "-i", "lo", "-D", "none",
                 prefix=["env", "PASST_KERNEL_WITHOUT=peek_off,udp_gso"]
                 ).text()
    assert "lacks: peek_off udp_gso\n" in text
    assert "Template interface: lo (IPv4), --interface\n" in text
    assert "    assign: 192.0.2.10/32 (of another interface, it has none)\n" \
        in text
    assert "    router: 169.254.2.2 (ours, the host has none)\n" in text
    assert "Nameservers: none (--dns none)\n" in text


def test_summary_routes(net, pasta, tmp):
    """Routes that were copied to the namespace, and those that were not: the
    first ones by name, with the interface they go through."""
    net.host.batch("link add other0 type veth peer name other1\n"
                   "link set other0 up\nlink set other1 up\n"
                   "route add 2001:db8:9::/48 dev other0\n"
                   "route add 203.0.113.0/28 nexthop dev other0 "
                   "nexthop dev other1\n" +
                   "".join("route add 203.0.113.%d/28 dev other0\n" % n
                           for n in range(16, 96, 16)))
    try:
        text = pasta("-I", "net7", form="pid").text()
    finally:
        net.host.ip("link del other0")
    v4 = re.search(r"^IPv4 routes: 2 copied, 6 left out\n((?:    .*\n)*)", text,
                   re.M).group(1).splitlines()
    assert v4[4:] == ["    and 2 more"]
    assert len(set(v4)) == 5
    for line in v4[:4]:
        where = "other interfaces" if ".0/" in line else "other0"
        assert re.fullmatch(r"    203\.0\.113\.\d+/28: through " + where, line)
    assert re.search(r"^IPv6 routes: \d+ copied, 1 left out\n"
                     r"    2001:db8:9::/48: through other0\n", text, re.M)
    assert "Nameservers: not told (no --dhcp-dns)\n" in text
    assert re.search(r"^Kernel has: .*vnet_hdr|lacks:.* vnet_hdr", text, re.M)


@pytest.mark.parametrize("opts", [["-d"], ["--quiet", "--debug"]])
def test_debug(passt, net, opts):
    """--debug: also what is of interest to developers, with the time since
    the start."""
    text = said(passt, net, *opts).text()
    assert re.search(r"^\d+\.\d{4}: .*emplate interface", text, re.M)
    assert "From guest" not in text


def test_trace(passt, net):
    """--trace: a line for each frame, both ways."""
    text = said(passt, net, "--trace").text()
    lines = TRACE.findall(text)
    assert "ARP" in lines
    for want in ("UDP 192.0.2.10 port 40000 -> 198.51.100.1 port 7",
                 "UDP 2001:db8:1::10 port 40000 -> 2001:db8:2::1 port 7",
                 "ICMP 192.0.2.10 -> 198.51.100.1"):
        assert want in lines
    assert "To guest: 106 bytes, UDP 198.51.100.1 port 7 -> 192.0.2.10 " \
        "port 40000" in text
    for fam in FAMILIES:                # and what became of them
        assert re.search(
            r": Flow \d+ begins, UDP: guest \[%s\]:40000 <-> \[%s\]:7 to host "
            r"\[%s\]:7 <-> " % (fam.host, fam.far, fam.far), text)
    assert re.search(r": Flow \d+ begins, ping: guest ", text)


def test_trace_tcp(net, pasta):
    """--trace: of TCP, flags and numbers; a connection from its begin to its
    end, and why; each frame that is dropped, however many there are."""
    d = pasta("--trace", "-f", form="command")
    for fam in FAMILIES:
        port = net.port()
        with d.ns.sock(fam.af) as guest, net.far.sock(fam.af) as far:
            far.bind((fam.far, port))
            far.listen()
            guest.connect((fam.far, port))
            guest.sendall(b"x" * 100)
            far.accept()[0].close()
        with d.ns.sock(fam.af, socket.SOCK_RAW, 253) as other:  # RFC 3692
            for _ in range(20):
                other.sendto(b"data", (fam.far, 0))

    def log():
        with open(d.log, encoding="utf-8") as f:
            return f.read()
    text = wait_for(lambda: log().count("dropped: unknown protocol") == 40 and
                    log().count("ends, TCP") == 2 and log(), "log")
    for fam in FAMILIES:
        ends = r"\[%s\]:\d+ <-> \[%s\]:\d+" % (fam.host, fam.far)
        for want in (r"From guest: \d+ bytes, TCP %s port \d+ -> %s port \d+, "
                     r"S \d+\+0, acknowledges 0, window \d+" %
                     (fam.host, fam.far),
                     r"To guest: \d+ bytes, TCP %s port .*, SA \d+\+0, "
                     r"acknowledges \d+, window \d+" % fam.far,
                     r"From guest: .* TCP %s port .*, PA \d+\+100, " % fam.host,
                     "TCP of guest %s: SYN of the guest, NEW to CONNECTING" %
                     ends,
                     r"Flow \d+ begins, TCP: guest %s to host " % ends,
                     "TCP of guest %s: connected, CONNECTING to SYN_RCVD" %
                     ends):
            assert re.search(r"^\d+\.\d{4}: " + want, text, re.M), want


def test_stats(passt, net):
    """--stats: counters on standard error, in time."""
    p = said(passt, net, "--stats", "1")
    assert re.search(r"^\d+(\t\d+)+$", p.text(), re.M)
    assert "tap" in p.text()
    assert not re.search(r"^\d+(\t\d+)+$", said(passt, net).text(), re.M)


@pytest.mark.parametrize("opts, message", [
    (["-4", "-a", "2001:db8:1::5"],
     "--address 2001:db8:1::5 has no effect: IPv6 is off"),
    (["-6", "--map-guest-addr", "192.0.2.5"],
     "--map-guest-addr 192.0.2.5 has no effect: IPv4 is off"),
    (["-6", "-n", "24"], "--netmask has no effect: IPv4 is off"),
    (["-4", "--outbound-if6", "eth0"],
     "--outbound-if6 eth0 has no effect: IPv6 is off"),
    (["--log-size", "100000"],
     "--log-size has no effect without --log-file"),
    (["-D", "203.0.113.1", "-D", "203.0.113.2", "-D", "203.0.113.3", "-D",
      "203.0.113.4"],
     "More than 3 nameservers of one IP version, '203.0.113.4' left out"),
])
def test_no_effect(passt, opts, message):
    """What cannot have an effect is said to have none."""
    assert message in passt(*opts).text()


@pytest.mark.parametrize("form, opts, message", [
    ("pid", ["--splice-only", "-I", "net7"],
     "--ns-ifname net7 has no effect: there is no interface with "
     "--splice-only"),
    ("pid", ["--splice-only", "--ns-mac-addr", "02:00:5e:10:00:01"],
     "--ns-mac-addr has no effect: there is no interface with "
     "--splice-only"),
    ("pid", ["--splice-only", "--config-net"],
     "--config-net has no effect: there is no interface with --splice-only"),
    ("command", ["-d", "--no-netns-quit"],
     "--no-netns-quit has no effect: we end with the command"),
])
def test_no_effect_pasta(pasta, form, opts, message):
    assert message in pasta(*opts, form=form, config_net=False).text()


def test_stderr(passt):
    """--stderr, -e: taken, and said to be of no use."""
    for opt in ("-e", "--stderr"):
        assert "--stderr is deprecated and has no effect" in passt(opt).text()


# --- Around the programs ---

def test_print_capabilities(net, bindir):
    """--print-capabilities: JSON for managers of virtual machines."""
    res = net.host.run(bindir + "/passt", "--print-capabilities")
    assert json.loads(res.stdout) == {"type": "net"}


@pytest.mark.parametrize("opt", ["-s", "--socket", "--socket-path"])
def test_socket_names(net, bindir, procs, tmp, opt):
    """--socket has an older name."""
    path = os.path.join(tmp, "here")
    procs.start([bindir + "/passt", "-f", "-q", opt, path], ns=net.host,
                user="user")
    wait_for(lambda: listening(net.host, path), "socket")
    with Guest(path) as g:
        g.alive()


@pytest.mark.parametrize("program", PROGRAMS)
def test_chroot_fallback(net, bindir, tmp, program):
    """Where pivot_root() is not permitted: fatal, unless --chroot-fallback."""
    without.programs(tmp, bindir, "pivot_root")
    pidfile = os.path.join(tmp, "pid")
    where = ["-s", os.path.join(tmp, "sock"), "-P", pidfile] \
        if program == "passt" else []

    def run(*opts):
        command = [] if program == "passt" else ["--", "echo", "served"]
        return net.host.run(*as_user([os.path.join(tmp, program), *opts,
                                      *where, *command], "user"), check=False)
    res = run()
    assert res.returncode == 1, res
    assert "change the root directory: Operation not permitted (see " \
        "--chroot-fallback)" in res.stderr
    res = run("--chroot-fallback")
    assert res.returncode == 0, res
    if program == "passt":
        with open(pidfile, encoding="ascii") as f:
            os.kill(int(f.read()), signal.SIGTERM)
    else:
        assert res.stdout == "served\n"


# The shell that enters it has no root directory that is a mount point
INITRAMFS = """
set -e
for d in /bin /sbin /lib /lib64 /usr /etc /dev /proc "$1"; do
    [ -d "$d" ] || continue
    mkdir -p "$0$d"; mount --rbind "$d" "$0$d"
done
exec chroot "$0" "$1/pasta" --netns-only --runas 0 -- echo served
"""


def test_no_mount_point(net, bindir, tmp):
    """A root directory that is no mount point, as with an initramfs: works
    without an option, too."""
    root = os.path.join(tmp, "root")
    os.mkdir(root)
    os.chmod(root, 0o755)
    res = net.host.run("unshare", "--mount", "--propagation", "private", "sh",
                       "-c", INITRAMFS, root, bindir)
    assert res.stdout == "served\n"
