# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts connected in all kinds of ways.

    host  eth0 192.0.2.10/25, 2001:db8:1::10/64 ------- .1, ::1   world
          eth1 192.0.2.130/25, 2001:db8:4::10/64 ------ .129, ::1
          tun0 203.0.113.2, 2001:db8:5::2 -- without MAC -- .1, ::1

The world has 198.51.100.1 and 2001:db8:2::1, too. Which of these links and
addresses the host has is up to the case.
"""

import fcntl
import os
import select
import struct

from netns import NamedNetns
from procs import wait_for
from topology import V4, V6
from xfer import Task

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454ca, 1, 0x1000
PORT = 7                # where the world answers

A0 = "addr add 192.0.2.10/25 dev eth0\naddr add 2001:db8:1::10/64 dev eth0\n"
A1 = "addr add 192.0.2.130/25 dev eth1\naddr add 2001:db8:4::10/64 dev eth1\n"
ATUN = """
addr add 203.0.113.2 peer 203.0.113.1 dev tun0
addr add 2001:db8:5::2 peer 2001:db8:5::1 dev tun0
"""
D0 = "route add default via 192.0.2.1\nroute add default via 2001:db8:1::1\n"
D1 = "route add default via 192.0.2.129\nroute add default via 2001:db8:4::1\n"
TO_77 = "rule add pref 100 table 77\n-6 rule add pref 100 table 77\n"
BY_ETH0 = ("192.0.2.10", "2001:db8:1::10")
BY_ETH1 = ("192.0.2.130", "2001:db8:4::10")
BY_TUN = ("203.0.113.2", "2001:db8:5::2")


def table(text, number):
    """The same routes in another table."""
    return text.replace("\n", " table %d\n" % number)


def metric(text, number):
    """The same routes with a metric."""
    return text.replace("\n", " metric %d\n" % number)


class Case:
    """A host: commands for 'ip -batch', those for the world, whom the world
    sees by either family (None: nobody; a tuple: any of these), name of the
    interface inside, where to the guest speaks."""

    def __init__(self, commands, sources, dev="eth0", world="", dests=None,
                 sysctl=None):
        self.commands, self.sources, self.dev = commands, sources, dev
        self.world, self.sysctl = world, sysctl or {}
        self.dests = dests or (V4.far, V6.far)
        self.tun = "tun0" in commands


def open_tun(ns, name):
    """A tun device, held open. Return: descriptor."""
    with ns.entered():
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(),
                                               IFF_TUN | IFF_NO_PI))
    return fd


class Tunnel:
    """tun0 of two namespaces, packets carried from one to the other."""

    def __init__(self, *spaces):
        self._fds = [open_tun(ns, "tun0") for ns in spaces]
        self._stop_r, self._stop_w = os.pipe()
        self._task = Task(self._loop)

    def _loop(self):
        to = dict(zip(self._fds, reversed(self._fds)))
        while True:
            for fd in select.select([*self._fds, self._stop_r], [], [])[0]:
                if fd == self._stop_r:
                    return
                try:
                    os.write(to[fd], os.read(fd, 65535))
                except OSError:
                    pass        # one end is down

    def close(self):
        os.write(self._stop_w, b"x")
        self._task.result(10)
        for fd in (*self._fds, self._stop_r, self._stop_w):
            os.close(fd)


class World:
    """A host and the world around it; setup() makes it a case."""

    def __init__(self):
        self.host, self.world = NamedNetns("host"), NamedNetns("world")
        self.tunnel = None
        self.host.batch("""
            link add eth0 type veth peer name eth0 netns %s
            link add eth1 type veth peer name eth1 netns %s
            link set eth0 up
            link set eth1 up
            """ % (self.world.name, self.world.name))
        self.world.batch("""
            link set eth0 up
            link set eth1 up
            addr add 198.51.100.1/32 dev lo
            addr add 2001:db8:2::1/128 dev lo
            addr add 192.0.2.1/25 dev eth0
            addr add 192.0.2.2/25 dev eth0
            addr add 192.0.2.129/25 dev eth1
            addr add 2001:db8:1::1/64 dev eth0
            addr add 2001:db8:1::2/64 dev eth0
            addr add 2001:db8:4::1/64 dev eth1
            addr add fe80::1/64 dev eth0
            """)

    def setup(self, case):
        """Give the host and the world what the case says."""
        if case.tun:
            self.tunnel = Tunnel(self.host, self.world)
            self.host.ip("link set tun0 up")
            self.world.batch("""
                link set tun0 up
                addr add 203.0.113.1 peer 203.0.113.2 dev tun0
                addr add 2001:db8:5::1 peer 2001:db8:5::2 dev tun0
                """)
        self.host.sysctl(**case.sysctl)
        self.world.batch(case.world)
        wait_for(lambda: self.host.ip("link show up").count("LOWER_UP") >=
                 3 + case.tun, "carrier of all links")
        self.world.wait_ipv6("eth0", "eth1")
        lines = [line.strip() for line in case.commands.splitlines()]
        self.host.batch("\n".join(x for x in lines if x[:3] != "-6 "))
        self.host.run("ip", "-6", "-batch", "-", stdin=None, input="\n".join(
            x[3:] for x in lines if x[:3] == "-6 "))

    def delete(self):
        if self.tunnel:
            self.tunnel.close()
        self.host.delete()
        self.world.delete()


