# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that speaks in frames, behind either program: at passt's socket, or
at the interface in pasta's namespace. What it is told by DHCP, DHCPv6 and
router advertisements, option by option."""

import select
import socket
import struct

from scapy.all import (ARP, BOOTP, DHCP, IP, UDP, DHCP6_Advertise,
                       DHCP6_Solicit, DHCP6OptClientId, DHCP6OptIA_NA,
                       DHCP6OptOptReq, DUID_LL, Ether, ICMPv6ND_RA,
                       ICMPv6ND_RS, IPv6)

from guestlink import BROADCAST, GUEST_LL, MAC, Guest

ETH_P_ALL, PACKET_OUTGOING = 3, 4


class TapGuest(Guest):
    """Frames at an interface of pasta's namespace, beside the kernel's."""

    def __init__(self, ns, ifname="eth0"):
        s = ns.sock(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        s.bind((ifname, ETH_P_ALL))
        super().__init__(sock=s)

    def send(self, *frames):
        for f in frames:
            self.sock.send(bytes(f))

    def _fill(self, timeout):
        if select.select([self.sock], [], [], timeout)[0]:
            data, whence = self.sock.recvfrom(65535 + 22)
            if whence[2] != PACKET_OUTGOING:
                self._frames.append(Ether(data))
        return True


def dhcp_discover():
    return Ether(src=MAC, dst=BROADCAST) / \
        IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / \
        BOOTP(chaddr=bytes.fromhex(MAC.replace(":", "")), xid=7) / \
        DHCP(options=[("message-type", "discover"),
                      ("param_req_list", [1, 3, 6, 12, 26, 51, 81, 119]),
                      "end"])


def is_dhcp(f):
    return BOOTP in f and f[UDP].sport == 67


def router_solicit():
    return Ether(src=MAC, dst="33:33:00:00:00:02") / \
        IPv6(src=GUEST_LL, dst="ff02::2", hlim=255) / ICMPv6ND_RS()


def is_ra(f):
    return ICMPv6ND_RA in f and f[IPv6].dst == GUEST_LL


def dhcp6_solicit():
    return Ether(src=MAC, dst="33:33:00:01:00:02") / \
        IPv6(src=GUEST_LL, dst="ff02::1:2") / UDP(sport=546, dport=547) / \
        DHCP6_Solicit(trid=7) / DHCP6OptClientId(duid=DUID_LL(lladdr=MAC)) / \
        DHCP6OptIA_NA(iaid=42) / DHCP6OptOptReq(reqopts=[23, 24, 39])


def is_advertise(f):
    return DHCP6_Advertise in f


def arp_request(target="192.0.2.1"):
    return Ether(src=MAC, dst=BROADCAST) / ARP(
        op=1, hwsrc=MAC, psrc="192.0.2.10", pdst=target)


def is_arp_reply(f):
    return ARP in f and f[ARP].op == 2


def names(data):
    """Domain names (RFC 1035 3.1), not compressed or compressed, in one
    string."""
    found, at = [], 0
    while at < len(data) and data[at]:
        labels, p, end = [], at, None
        while data[p]:
            if data[p] >= 0xc0:
                end = end or p + 2
                p = (data[p] & 0x3f) << 8 | data[p + 1]
                continue
            labels.append(data[p + 1:p + 1 + data[p]].decode())
            p += 1 + data[p]
        at = end or p + 1
        found.append(".".join(labels))
    return " ".join(found) or None


def addresses(data, af):
    n = 4 if af == socket.AF_INET else 16
    return " ".join(socket.inet_ntop(af, data[i:i + n])
                    for i in range(0, len(data), n)) or None


def dhcp_facts(frame):
    """RFC 2132 by hand: what is not there is None."""
    data, opts, i = bytes(frame[UDP].payload)[240:], {}, 0
    while data[i] != 255:
        if data[i]:
            opts[data[i]] = data[i + 2:i + 2 + data[i + 1]]
            i += 1 + data[i + 1]
        i += 1
    return {"addr": frame[BOOTP].yiaddr,
            "mask": addresses(opts.get(1, b""), socket.AF_INET),
            "router": addresses(opts.get(3, b""), socket.AF_INET),
            "dns": addresses(opts.get(6, b""), socket.AF_INET),
            "hostname": opts.get(12, b"").decode() or None,
            "mtu": int.from_bytes(opts.get(26, b""), "big") or None,
            "fqdn": names(opts.get(81, b"")[3:]),
            "search": names(opts.get(119, b"")),
            "mac": frame.src}


def ra_facts(frame):
    """RFC 4861 4.2, RFC 8106"""
    data = bytes(frame[ICMPv6ND_RA])
    opts, i = {}, 16
    while i + 1 < len(data) and data[i + 1]:
        opts[data[i]] = data[i + 2:i + 8 * data[i + 1]]
        i += 8 * data[i + 1]
    return {"ra_src": frame[IPv6].src,
            "ra_mac": opts.get(1, b"").hex(":") or None,
            "ra_prefix": addresses(opts.get(3, b"")[14:], socket.AF_INET6),
            "ra_mtu": int.from_bytes(opts.get(5, b"")[2:], "big") or None,
            "ra_dns": addresses(opts.get(25, b"")[6:], socket.AF_INET6),
            "ra_search": names(opts.get(31, b"")[6:])}


def dhcp6_facts(frame):
    """RFC 8415 21"""
    data, opts, i = bytes(frame[UDP].payload)[4:], {}, 0
    while i + 4 <= len(data):
        code, n = struct.unpack("!HH", data[i:i + 4])
        opts[code] = data[i + 4:i + 4 + n]
        i += 4 + n
    return {"addr6": addresses(opts[3][16:32], socket.AF_INET6),
            "dns6": addresses(opts.get(23, b""), socket.AF_INET6),
            "search6": names(opts.get(24, b"")),
            "fqdn6": names(opts.get(39, b"")[1:])}


def facts(guest):
    """All that a guest is told when it asks."""
    return {**dhcp_facts(guest.ask(dhcp_discover(), is_dhcp)),
            **ra_facts(guest.ask(router_solicit(), is_ra)),
            **dhcp6_facts(guest.ask(dhcp6_solicit(), is_advertise)),
            "arp_mac": guest.ask(arp_request(), is_arp_reply)[ARP].hwsrc}
