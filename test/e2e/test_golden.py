# SPDX-License-Identifier: GPL-2.0-or-later
"""Exchanges with passt, frame by frame: each protocol's fields on the wire."""

import socket

import pytest
from scapy.all import (ARP, BOOTP, DHCP, IP, TCP, UDP, DHCP6_Advertise,
                       DHCP6_Confirm, DHCP6_Reply, DHCP6_Request,
                       DHCP6_Solicit, DHCP6OptClientId, DHCP6OptDNSServers,
                       DHCP6OptIA_NA, DHCP6OptIAAddress, DHCP6OptServerId,
                       DHCP6OptStatusCode, DUID_LL, ICMP, Ether,
                       ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,
                       ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_RS,
                       ICMPv6NDOptMTU, ICMPv6NDOptPrefixInfo,
                       ICMPv6NDOptSrcLLAddr, ICMPv6TimeExceeded, IPv6, Padding,
                       Raw)

from guestlink import (BROADCAST, GUEST_LL, MAC, OUR_MAC, Conn, Guest,
                       payload, sums_ok)
from xfer import Echo

INFINITE = 0xffffffff


@pytest.fixture
def guest(passt, tmp):
    """Factory: a passt with options, and a guest connected to it."""
    guests = []

    def make(*opts):
        conf = tmp + "/resolv.conf"
        with open(conf, "w", encoding="ascii") as f:
            f.write("nameserver 198.51.100.53\nnameserver 2001:db8:2::53\n"
                    "search one.example two.example\n")
        guests.append(Guest(passt(*opts, resolv=conf).path))
        return guests[-1]
    yield make
    for g in guests:
        g.close()


# --- ARP ---------------------------------------------------------------------

def arp(op=1, **kw):
    kw.setdefault("hwsrc", MAC)
    kw.setdefault("psrc", "192.0.2.10")
    return Ether(src=MAC, dst=BROADCAST) / ARP(op=op, **kw)


@pytest.mark.parametrize("target", ["192.0.2.1", "192.0.2.77",
                                    "203.0.113.200"])
def test_arp_answers_for_all(guest, target):
    """Any address but the guest's own is ours; frames have 60 bytes."""
    g = guest()
    f = g.ask(arp(pdst=target), lambda f: ARP in f and f[ARP].op == 2)
    assert (f.src, f.dst) == (OUR_MAC, MAC)
    assert (f[ARP].hwsrc, f[ARP].psrc) == (OUR_MAC, target)
    assert (f[ARP].hwdst, f[ARP].pdst) == (MAC, "192.0.2.10")
    assert len(f) >= 60


@pytest.mark.parametrize("frame", [
    arp(pdst="192.0.2.10"),                                 # announcement
    arp(psrc="0.0.0.0", pdst="192.0.2.10"),                 # probe, own
    arp(op=2, pdst="192.0.2.1", hwdst=OUR_MAC),             # reply
    arp(op=3, pdst="192.0.2.1"),                            # RARP
    arp(pdst="192.0.2.1", hwtype=6),
    arp(pdst="192.0.2.1", ptype=0x86dd),
], ids=["announce", "probe", "reply", "rarp", "hwtype", "ptype"])
def test_arp_silent(guest, frame):
    g = guest()
    g.send(frame)
    g.silent(lambda f: ARP in f and f[ARP].op == 2)


def test_our_mac(guest):
    """-M: the MAC we show."""
    g = guest("-M", "02:00:5e:10:00:01")
    f = g.ask(arp(pdst="192.0.2.1"), lambda f: ARP in f and f[ARP].op == 2)
    assert f.src == f[ARP].hwsrc == "02:00:5e:10:00:01"


# --- DHCP --------------------------------------------------------------------

def dhcp(kind, flags=0, xid=0x1234, src="0.0.0.0", options=()):
    return Ether(src=MAC, dst=BROADCAST) / \
        IP(src=src, dst="255.255.255.255") / UDP(sport=68, dport=67) / \
        BOOTP(chaddr=bytes.fromhex(MAC.replace(":", "")), xid=xid,
              flags=flags) / \
        DHCP(options=[("message-type", kind), *options,
                      ("param_req_list", [1, 3, 6, 26, 51, 119]), "end"])


def options(frame):
    """DHCP options as a dictionary: single values, or tuples of several."""
    return {o[0]: o[1] if len(o) == 2 else tuple(o[1:])
            for o in frame[DHCP].options if isinstance(o, tuple)}


def is_dhcp(frame):
    return DHCP in frame and frame[UDP].sport == 67


@pytest.mark.parametrize("ask, answer", [("discover", 2), ("request", 5)])
def test_dhcp(guest, ask, answer):
    f = guest().ask(dhcp(ask), is_dhcp)
    opt = options(f)
    assert sums_ok(f)
    assert (f.src, f.dst) == (OUR_MAC, MAC)
    assert (f[UDP].sport, f[UDP].dport) == (67, 68)
    assert f[IP].dst == "192.0.2.10"
    assert (f[BOOTP].op, f[BOOTP].xid) == (2, 0x1234)
    assert f[BOOTP].yiaddr == "192.0.2.10"
    assert f[BOOTP].chaddr[:6] == bytes.fromhex(MAC.replace(":", ""))
    assert len(f[UDP].payload) >= 300
    assert opt["message-type"] == answer
    assert opt["subnet_mask"] == "255.255.255.0"
    assert opt["router"] == "192.0.2.1"
    assert opt["name_server"] == "198.51.100.53"
    assert opt["lease_time"] == INFINITE
    assert opt["server_id"] == f[IP].src
    assert f[DHCP].options[0][0] == "message-type"


def test_dhcp_broadcast_flag(guest):
    f = guest().ask(dhcp("discover", flags=0x8000), is_dhcp)
    assert f[IP].dst == "255.255.255.255"
    assert f[BOOTP].flags == 0x8000


def test_dhcp_rapid_commit(guest):
    """Option 80: ACK at once, with the option (RFC 4039)."""
    f = guest().ask(dhcp("discover", options=[(80, b"")]), is_dhcp)
    assert options(f)["message-type"] == 5
    assert 80 in options(f) or "rapid_commit" in options(f)


@pytest.mark.parametrize("kind", ["decline", "release"])
def test_dhcp_silent(guest, kind):
    g = guest()
    g.send(dhcp(kind, src="192.0.2.10"))
    g.silent(is_dhcp)


@pytest.mark.parametrize("cut", [14 + 20 + 4, 14 + 28 + 50, 14 + 28 + 239])
def test_dhcp_cut(guest, cut):
    """A message cut off: no answer, and the next one is answered."""
    g = guest()
    whole = bytes(dhcp("discover"))
    g.send(whole[:cut])
    g.silent(is_dhcp, 0.2)
    g.ask(dhcp("discover"), is_dhcp)


# --- NDP ---------------------------------------------------------------------

def ns(target, src=GUEST_LL, dst=None):
    return Ether(src=MAC, dst="33:33:ff:00:00:01") / \
        IPv6(src=src, dst=dst or "ff02::1:ff00:1", hlim=255) / \
        ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=MAC)


@pytest.mark.parametrize("target", ["2001:db8:1::1", "2001:db8:1::77"])
def test_ns(guest, target):
    f = guest().ask(ns(target), lambda f: ICMPv6ND_NA in f)
    na = f[ICMPv6ND_NA]
    assert (na.tgt, na.R, na.S, na.O) == (target, 1, 1, 1)
    assert f[IPv6].hlim == 255
    assert f[IPv6].dst == GUEST_LL
    assert bytes(na.payload)[2:8] == bytes.fromhex(OUR_MAC.replace(":", ""))


def test_dad_silent(guest):
    """Duplicate address detection finds no duplicate."""
    g = guest()
    g.send(ns("2001:db8:1::10", src="::"))
    g.silent(lambda f: ICMPv6ND_NA in f)


@pytest.mark.parametrize("change", [{"hlim": 64}, {"hlim": 254}])
def test_ns_from_afar(guest, change):
    """Hop limit is not 255: it came over a router, RFC 4861 7.1.1."""
    # Others do not look.
    g = guest()
    frame = ns("2001:db8:1::1")
    frame[IPv6].hlim = change["hlim"]
    g.send(frame)
    g.silent(lambda f: ICMPv6ND_NA in f)


def test_rs(guest):
    g = guest("-m", "1400")
    f = g.ask(Ether(src=MAC, dst="33:33:00:00:00:02") /
              IPv6(src=GUEST_LL, dst="ff02::2", hlim=255) / ICMPv6ND_RS(),
              lambda f: ICMPv6ND_RA in f)
    ra = f[ICMPv6ND_RA]
    assert f[IPv6].hlim == 255
    assert f[IPv6].src.startswith("fe80:")
    assert ra.routerlifetime > 0
    prefix = f[ICMPv6NDOptPrefixInfo]
    assert (prefix.prefixlen, prefix.L, prefix.A) == (64, 1, 1)
    assert prefix.prefix.startswith("2001:db8:1::")
    assert f[ICMPv6NDOptMTU].mtu == 1400
    assert f[ICMPv6NDOptSrcLLAddr].lladdr == OUR_MAC


# --- DHCPv6 ------------------------------------------------------------------

DUID = DUID_LL(lladdr=MAC)


def dhcp6(message, *opts):
    frame = Ether(src=MAC, dst="33:33:00:01:00:02") / \
        IPv6(src=GUEST_LL, dst="ff02::1:2") / UDP(sport=546, dport=547) / \
        message / DHCP6OptClientId(duid=DUID)
    for opt in opts:
        frame /= opt
    return frame


def test_dhcp6(guest):
    """Solicit, Advertise, Request, Reply."""
    g = guest()
    f = g.ask(dhcp6(DHCP6_Solicit(trid=7), DHCP6OptIA_NA(iaid=42)),
              lambda f: DHCP6_Advertise in f)
    assert f[DHCP6_Advertise].trid == 7
    assert f[DHCP6OptClientId].duid == DUID
    assert f[DHCP6OptIA_NA].iaid == 42
    server = f[DHCP6OptServerId].copy()
    server.remove_payload()
    addr = f[DHCP6OptIA_NA].ianaopts[0]
    assert addr.addr == "2001:db8:1::10"
    f = g.ask(dhcp6(DHCP6_Request(trid=8), server, DHCP6OptIA_NA(
        iaid=42, ianaopts=[DHCP6OptIAAddress(addr="2001:db8:1::10")])),
        lambda f: DHCP6_Reply in f)
    assert f[DHCP6_Reply].trid == 8
    addr = f[DHCP6OptIA_NA].ianaopts[0]
    assert (addr.addr, addr.preflft, addr.validlft) == \
        ("2001:db8:1::10", INFINITE, INFINITE)
    assert f[DHCP6OptDNSServers].dnsservers == ["2001:db8:2::53"]
    assert (f[UDP].sport, f[UDP].dport) == (547, 546)


def test_dhcp6_not_on_link(guest):
    """Confirm of a foreign address: status NotOnLink."""
    f = guest().ask(dhcp6(DHCP6_Confirm(trid=9), DHCP6OptIA_NA(
        iaid=1, ianaopts=[DHCP6OptIAAddress(addr="2001:db8:77::1")])),
        lambda f: DHCP6_Reply in f)
    assert DHCP6OptStatusCode in f or any(
        isinstance(o, DHCP6OptStatusCode) and o.statuscode == 4
        for o in f[DHCP6OptIA_NA].ianaopts)


def test_dhcp6_no_client_id(guest):
    g = guest()
    g.send(Ether(src=MAC, dst="33:33:00:01:00:02") /
           IPv6(src=GUEST_LL, dst="ff02::1:2") / UDP(sport=546, dport=547) /
           DHCP6_Solicit(trid=7))
    g.silent(lambda f: DHCP6_Advertise in f)


# --- ICMP --------------------------------------------------------------------

def test_echo(guest, fam):
    g = guest()
    g.hello()
    if fam.num == 4:
        f = g.ask(g.ip(fam, fam.far) / ICMP(id=77, seq=5) / b"payload",
                  lambda f: ICMP in f and f[ICMP].type == 0)
        assert (f[ICMP].id, f[ICMP].seq) == (77, 5)
        assert (f[IP].src, f[IP].dst) == (fam.far, g.addr4)
        assert bytes(f[Raw])[:7] == b"payload"
    else:
        f = g.ask(g.ip(fam, fam.far) / ICMPv6EchoRequest(
            id=77, seq=5, data=b"payload"), lambda f: ICMPv6EchoReply in f)
        assert (f[ICMPv6EchoReply].id, f[ICMPv6EchoReply].seq) == (77, 5)
        assert (f[IPv6].src, f[IPv6].dst) == (fam.far, g.addr6)
        assert f[ICMPv6EchoReply].data == b"payload"


# --- UDP ---------------------------------------------------------------------

@pytest.mark.parametrize("data", [b"", b"x", b"some datagram"])
def test_udp(guest, fam, net, data):
    """Out and back, addresses, ports, lengths and checksums right."""
    g = guest()
    g.hello()
    port = net.port()
    s = net.far.sock(fam.af, socket.SOCK_DGRAM)
    s.bind((fam.far, port))
    with Echo(s):
        f = g.ask(g.ip(fam, fam.far) / UDP(sport=4000, dport=port) / data,
                  lambda f: UDP in f and f[UDP].dport == 4000)
    assert f[UDP].sport == port
    assert f[UDP].len == 8 + len(data)
    assert bytes(f[UDP].payload)[:len(data)] == data
    assert sums_ok(f)


def test_udp_padded(guest, net):
    """Ethernet padding is no payload."""
    g = guest()
    port = net.port()
    with net.far.sock(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("198.51.100.1", port))
        frame = g.ether() / IP(src=g.addr4, dst="198.51.100.1") / \
            UDP(sport=4000, dport=port) / b"ab"
        g.send(Ether(bytes(frame)) / Padding(b"\xee" * 20))
        assert s.recv(100) == b"ab"


def test_udp_ip_options(guest, net):
    """IPv4 options are skipped."""
    from scapy.all import IPOption_RR
    g = guest()
    port = net.port()
    with net.far.sock(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("198.51.100.1", port))
        g.send(g.ether() / IP(src=g.addr4, dst="198.51.100.1",
                              options=[IPOption_RR(length=7, pointer=4)]) /
               UDP(sport=4000, dport=port) / b"opt")
        assert s.recv(100) == b"opt"


@pytest.mark.parametrize("count", [1, 2])
def test_udp_extension_headers(guest, net, count):
    """IPv6 extension headers are walked over."""
    # Others lose such datagrams.
    from scapy.all import IPv6ExtHdrDestOpt, PadN
    g = guest()
    port = net.port()
    with net.far.sock(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind(("2001:db8:2::1", port))
        headers = IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])
        for _ in range(count - 1):
            headers /= IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)])
        g.send(g.ether() / IPv6(src=g.addr6, dst="2001:db8:2::1") / headers /
               UDP(sport=4000, dport=port) / b"ext")
        assert s.recv(100) == b"ext"


def test_udp_port_unreachable(guest, fam, net):
    """Closed port: an ICMP error with our datagram's head in it."""
    g = guest()
    g.hello()
    port = net.port()
    frame = g.ip(fam, fam.far) / UDP(sport=4001, dport=port) / b"anyone?"

    def unreachable(f):
        # ours, not the one for the datagram of hello()
        if fam.num == 6:
            return ICMPv6DestUnreach in f and frame[UDP].load in bytes(f)
        return ICMP in f and f[ICMP].type == 3 and frame[UDP].load in bytes(f)
    f = g.ask(frame, unreachable)
    if fam.num == 4:
        assert f[ICMP].code == 3
        assert (f["IP in ICMP"].src, f["IP in ICMP"].dst) == \
            (g.addr4, fam.far)
        assert (f["UDP in ICMP"].sport, f["UDP in ICMP"].dport) == \
            (4001, port)
    else:
        assert f[ICMPv6DestUnreach].code == 4
        inner = bytes(f[ICMPv6DestUnreach])[8:]
        want = bytes(frame[IPv6])       # hop limit and label may differ
        assert inner[4:7] + inner[8:40] == want[4:7] + want[8:40]
        assert inner[40:44] == bytes(frame[UDP])[:4]


def test_udp_time_exceeded(guest, fam):
    """Hop limit 1: the gateway's time exceeded comes back."""
    g = guest()
    g.hello()
    hops = {"ttl": 1} if fam.num == 4 else {"hlim": 1}
    f = g.ask(g.ip(fam, fam.beyond, **hops) / UDP(sport=4002, dport=33434) /
              b"x", lambda f: ICMPv6TimeExceeded in f or
              (ICMP in f and f[ICMP].type == 11))
    assert f[IP if fam.num == 4 else IPv6].src == fam.gw


# --- TCP ---------------------------------------------------------------------

@pytest.fixture
def server(net, fam):
    """A listening socket at far."""
    s = net.far.sock(fam.af)
    s.bind((fam.far, net.port()))
    s.listen()
    yield s
    s.close()


def opened(g, fam, server, sport=5555, **kw):
    """A connection from the guest to the server. Return: Conn, socket."""
    g.hello()
    conn = Conn(g, fam, fam.far, sport, server.getsockname()[1])
    conn.synack = conn.open(**kw)
    sock = server.accept()[0]
    sock.settimeout(10)
    return conn, sock


def test_tcp_exchange(guest, fam, server):
    """Open, talk both ways, guest closes first."""
    conn, sock = opened(guest(), fam, server, options=[("MSS", 1460)])
    opts = dict(conn.synack.options)
    assert 536 <= opts["MSS"] <= 65535
    conn.send("PA", b"from guest")
    assert sock.recv(100) == b"from guest"
    conn.expect("A")
    sock.send(b"from host")
    assert conn.recv(9) == b"from host"
    conn.send("FA")
    assert sock.recv(1) == b""
    sock.close()
    seg = conn.expect("FA")
    conn.ack = (seg.seq + 1) & 0xffffffff
    conn.send("A")


def test_tcp_checksums(guest, fam, server):
    """With odd and even lengths."""
    g = guest()
    conn, sock = opened(g, fam, server, options=[("MSS", 1460)])
    with sock:
        for n in (1, 2, 3, 100, 1459):
            sock.send(b"c" * n)
            f = g.expect(lambda f: conn.mine(f) and payload(f))
            assert sums_ok(f)
            assert payload(f) == b"c" * n
            conn.ack = (conn.ack + n) & 0xffffffff
            conn.send("A")


def test_tcp_mss_respected(guest, fam, server):
    """No segment is longer than the MSS the guest announced."""
    g = guest()
    conn, sock = opened(g, fam, server, options=[("MSS", 600)])
    with sock:
        sock.send(b"m" * 5000)
        got = 0
        while got < 5000:
            f = g.expect(lambda f: conn.mine(f) and payload(f) and
                         f[TCP].seq == conn.ack)
            assert len(payload(f)) <= 600
            got += len(payload(f))
            conn.ack = (conn.ack + len(payload(f))) & 0xffffffff
            conn.send("A")


def test_tcp_window_respected(guest, fam, server):
    """Not a byte beyond the window the guest announced."""
    g = guest()
    conn, sock = opened(g, fam, server, options=[("MSS", 1000)], window=3000)
    conn.send("A", window=3000)
    with sock:
        sock.send(b"w" * 20000)
        top = 0
        for _ in range(3):
            f = g.expect(lambda f: conn.mine(f) and payload(f))
            top = max(top, f[TCP].seq + len(payload(f)) - conn.ack)
        assert top <= 3000
        g.silent(lambda f: conn.mine(f) and
                 f[TCP].seq + len(payload(f)) - conn.ack > 3000, 0.5)


def test_tcp_retransmission(guest, fam, server):
    """What the guest does not acknowledge comes again."""
    g = guest()
    conn, sock = opened(g, fam, server)
    with sock:
        sock.send(b"again")
        for _ in range(2):
            g.expect(lambda f: conn.mine(f) and payload(f) == b"again" and
                     f[TCP].seq == conn.ack, 15)
        assert conn.recv(5) == b"again"


def test_tcp_duplicate_and_overlap(guest, fam, server):
    """Segments the guest sends twice or overlapping are delivered once."""
    conn, sock = opened(guest(), fam, server)
    with sock:
        conn.send("PA", b"abcdef")
        conn.seq -= 6
        conn.send("PA", b"abcdef")
        conn.seq -= 3
        conn.send("PA", b"defghi")
        got = b""
        while len(got) < 9:
            got += sock.recv(100)
        assert got == b"abcdefghi"


def test_tcp_hole(guest, fam, server):
    """A segment is missing: nothing past the hole is delivered or acked
    before it is filled."""
    g = guest()
    conn, sock = opened(g, fam, server)
    with sock:
        conn.seq += 3
        conn.send("PA", b"def")
        sock.settimeout(0.5)
        with pytest.raises(socket.timeout):
            sock.recv(1)
        conn.seq -= 6
        conn.send("PA", b"abc")
        sock.settimeout(10)
        assert sock.recv(3) == b"abc"
        conn.send("PA", b"def")         # as a guest would, after no ACK
        assert sock.recv(3) == b"def"


def test_tcp_refused(guest, fam, net):
    """Nobody listens: RST, ACK for our SYN."""
    g = guest()
    g.hello()
    conn = Conn(g, fam, fam.far, 5556, net.port())
    conn.send("S")
    seg = conn.expect("R")
    assert "A" in str(seg.flags)
    assert seg.ack == conn.seq


def test_tcp_unknown(guest, fam, net):
    """A segment of no connection: RST that bears its ACK number; and no
    answer to a RST (RFC 9293, 3.5.2)."""
    g = guest()
    g.hello()
    conn = Conn(g, fam, fam.far, 5557, net.port())
    conn.ack = 4242
    conn.send("A")
    assert conn.expect("R").seq == 4242
    conn.send("R")
    g.silent(conn.mine)


def test_tcp_guest_resets(guest, fam, server):
    """RST from the guest: ECONNRESET at the server."""
    conn, sock = opened(guest(), fam, server)
    with sock:
        conn.send("R")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_tcp_reset_outside_window(guest, fam, server):
    """A RST far outside of the window changes nothing (RFC 5961)."""
    # Others take any RST.
    conn, sock = opened(guest(), fam, server)
    with sock:
        right = conn.seq
        conn.seq = (right + 0x40000000) & 0xffffffff
        conn.send("R")
        conn.seq = right
        conn.send("PA", b"alive")
        assert sock.recv(5) == b"alive"


@pytest.mark.parametrize("flags", ["SF", "SR", "FPU", ""])
def test_tcp_odd_flags(guest, fam, server, flags):
    """Flags that make no sense: no connection comes of them."""
    # As with a kernel. Others take any SYN.
    g = guest()
    g.hello()
    conn = Conn(g, fam, fam.far, 5558, server.getsockname()[1])
    conn.send(flags)
    g.silent(lambda f: conn.mine(f) and f[TCP].flags.S, 0.3)
    g.alive()


def test_tcp_odd_options(guest, fam, server):
    """Options that run over the header's end: ignored or dropped."""
    g = guest()
    g.hello()
    syn = Conn(g, fam, fam.far, 5559, server.getsockname()[1]).segment("S")
    for raw in (b"\x02\x00\x00\x00", b"\x02\xff\x05\xb4", b"\x02\x04\x00\x00",
                b"\x03\x03\xff\x00", b"\x01\x01\x01\x02", b"\x02\x04\xff\xff"):
        frame = syn.copy()
        frame[TCP].dataofs = 6
        frame[TCP].remove_payload()
        g.send(frame / raw)
    g.alive()
    for dataofs in (0, 4, 15):
        frame = syn.copy()
        frame[TCP].dataofs = dataofs
        g.send(frame)
    g.alive()


def test_tcp_inbound(guest, fam, net):
    """A forwarded port: SYN to the guest from the client's own address."""
    port = net.port()
    g = guest("-t", "%d:80" % port)
    g.hello()
    client = net.far.sock(fam.af)
    client.bind((fam.far, 0))
    client.setblocking(False)
    with client:
        client.connect_ex((fam.host, port))
        f = g.expect(lambda f: TCP in f and f[TCP].flags == "S")
        assert f[IP if fam.num == 4 else IPv6].src == fam.far
        assert (f[TCP].sport, f[TCP].dport) == \
            (client.getsockname()[1], 80)
        conn = Conn(g, fam, fam.far, 80, f[TCP].sport)
        conn.ack = (f[TCP].seq + 1) & 0xffffffff
        conn.send("SA", options=[("MSS", 1460)])
        conn.expect("A")
        conn.send("PA", b"served")
        client.settimeout(10)
        assert client.recv(6) == b"served"


def test_tcp_inbound_refused(guest, fam, net):
    """The guest answers RST: the client's connection is reset."""
    port = net.port()
    g = guest("-t", port)
    g.hello()
    client = net.far.sock(fam.af)
    client.bind((fam.far, 0))
    with client:
        client.connect((fam.host, port))
        f = g.expect(lambda f: TCP in f and f[TCP].flags == "S")
        conn = Conn(g, fam, fam.far, port, f[TCP].sport, seq=0)
        conn.ack = (f[TCP].seq + 1) & 0xffffffff
        conn.send("RA")
        client.settimeout(10)
        with pytest.raises(ConnectionResetError):
            client.recv(1)


@pytest.mark.parametrize("opt, match", [
    ("--no-tcp", "tcp"), ("--no-udp", "udp"), ("--no-dhcp", "dhcp"),
    ("--no-ndp", "na"),
])
def test_switched_off(guest, net, opt, match):
    """--no-X: X is dropped in silence, ARP still answers."""
    from topology import V4
    g = guest(opt)
    g.alive()
    frame = {"tcp": g.ip(V4, V4.far) / TCP(sport=1, dport=2, flags="S"),
             "udp": g.ip(V4, V4.far) / UDP(sport=1, dport=net.port()),
             "dhcp": dhcp("discover"), "na": ns("2001:db8:1::1")}[match]
    layer = {"tcp": TCP, "udp": ICMP, "dhcp": DHCP, "na": ICMPv6ND_NA}[match]
    g.send(frame)
    g.silent(lambda f: layer in f)
