# SPDX-License-Identifier: GPL-2.0-or-later
"""The closed network the tests run in.

    host  192.0.2.10/24 ---------- 192.0.2.1/24  far  198.51.100.1 (on lo)
          2001:db8:1::10/64 - 2001:db8:1::1/64        2001:db8:2::1

                                                     | MTU 1300
                                                   beyond  203.0.113.130/26
                                                           2001:db8:3::130/64

The daemon runs in "host"; "far" is its gateway and, behind that, a machine of
the outside world, and a router to "beyond". Other networks are unreachable
from far, which says so. Nothing is connected to the machine's own network.
"""

import itertools
import socket

from netns import NamedNetns

MTU = 1500
NARROW_MTU = 1300        # of the link between far and beyond


class Family:
    """What a test needs to know of an address family."""

    def __init__(self, num, **kw):
        self.num = num
        self.af = socket.AF_INET if num == 4 else socket.AF_INET6
        self.__dict__.update(kw)

    def __repr__(self):
        return "v%d" % self.num


V4 = Family(4, loopback="127.0.0.1", any="0.0.0.0", host="192.0.2.10",
            gw="192.0.2.1", neigh="192.0.2.20", far="198.51.100.1",
            nowhere="203.0.113.99", beyond="203.0.113.130",
            unused="192.0.2.77", alias="192.0.2.200",
            plen=24, host_len=32, udp_max=65507, udp_max_unfrag=65520 - 28)
V6 = Family(6, loopback="::1", any="::", host="2001:db8:1::10",
            gw="2001:db8:1::1", neigh="2001:db8:1::20", far="2001:db8:2::1",
            nowhere="2001:db8:dead::99", beyond="2001:db8:3::130",
            unused="2001:db8:1::77",
            alias="2001:db8:1::200", plen=64, host_len=128,
            udp_max=65527, udp_max_unfrag=65520 - 48)
FAMILIES = (V4, V6)


class Network:
    """The namespaces host, far and beyond, wired and addressed."""

    def __init__(self):
        self.host = NamedNetns("host")
        self.far = NamedNetns("far")
        self.beyond = NamedNetns("beyond")
        self._ports = itertools.count(5000)
        try:
            self._wire()
        except BaseException:
            self.delete()
            raise

    def _wire(self):
        self.host.batch("link add eth0 mtu %d type veth peer name eth0 "
                        "mtu %d netns %s\n" % (MTU, MTU, self.far.name))
        self.far.batch("""
            link set eth0 up
            addr add 192.0.2.1/24 dev eth0
            addr add 192.0.2.20/24 dev eth0
            addr add 2001:db8:1::1/64 dev eth0 nodad
            addr add 2001:db8:1::20/64 dev eth0 nodad preferred_lft 0
            addr add 198.51.100.1/32 dev lo
            addr add 2001:db8:2::1/128 dev lo nodad
            link add eth1 mtu %d type veth peer name eth0 mtu %d netns %s
            link set eth1 up
            addr add 203.0.113.129/26 dev eth1
            addr add 2001:db8:3::129/64 dev eth1 nodad
            route add unreachable 203.0.113.0/24
            route add unreachable 2001:db8:dead::/48
            """ % (NARROW_MTU, NARROW_MTU, self.beyond.name))
        self.beyond.batch("""
            link set eth0 up
            addr add 203.0.113.130/26 dev eth0
            addr add 2001:db8:3::130/64 dev eth0 nodad
            route add default via 203.0.113.129
            route add default via 2001:db8:3::129
            """)
        self.far.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1,
                        ipv4__icmp_ratelimit=0, ipv6__icmp__ratelimit=0)
        self.host.batch("""
            link set eth0 up
            addr add 192.0.2.10/24 dev eth0
            addr add 2001:db8:1::10/64 dev eth0 nodad
            route add default via 192.0.2.1 dev eth0
            route add default via 2001:db8:1::1 dev eth0
            """)
        self.host.wait_ipv6("eth0")
        self.far.wait_ipv6("eth0", "eth1")
        self.beyond.wait_ipv6("eth0")

    def port(self, n=1):
        """A port number no other test of this network uses (first of n)."""
        first = next(self._ports)
        for _ in range(n - 1):
            next(self._ports)
        return first

    def delete(self):
        """Remove the namespaces."""
        self.beyond.delete()
        self.host.delete()
        self.far.delete()
