# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways a connection takes through the daemon: a test is written once.

    tap-out     inside -> far, over the tap
    tap-in      far -> forwarded port of the host -> inside, over the tap
    splice-in   host loopback -> forwarded port -> inside
    splice-out  loopback inside -> forwarded port -> host loopback
    passt-out   as tap-out, with passt and a bridge that plays QEMU
    passt-in    as tap-in, with passt
"""

import errno
import socket


class Path:
    """Where the client lives, where the server lives, what is dialled."""

    name = None
    program = "pasta"
    tap = False
    flags = ()              # TCP and UDP option letters that forward the port

    def __init__(self, fam, net, start):
        """start: functions that start a daemon, by its name; they return
        what has the namespace behind it as ns."""
        self.fam = fam
        self.net = net
        self.port = net.port()
        opts = [w for flag in self.flags for w in (flag, self.port)]
        self.daemon = start[self.program](*opts)
        self.setup()

    def setup(self):
        """Fill client, server (Netns), dest, bind and source (addresses)."""
        raise NotImplementedError

    def listen(self, backlog=4096):
        """A listening TCP socket on the server's side."""
        s = self.server.sock(self.fam.af)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.fam.num == 6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((self.bind, self.port))
        s.listen(backlog)
        return s

    def client_sock(self, kind=socket.SOCK_STREAM, sport=0):
        """A socket on the client's side, bound to its proper address."""
        s = self.client.sock(self.fam.af, kind)
        if self.source or sport:
            s.bind((self.source or self.fam.any, sport))
        return s

    def connect(self):
        """A TCP connection from the client's side."""
        s = self.client_sock()
        s.connect((self.dest, self.port))
        return s

    def pair(self):
        """Both ends of a fresh TCP connection: client, server."""
        with self.listen() as listener:
            client = self.connect()
            server, self.seen = listener.accept()
        server.settimeout(30)
        return client, server

    def udp_server(self):
        """A UDP socket where datagrams to dest arrive."""
        s = self.server.sock(self.fam.af, socket.SOCK_DGRAM)
        s.bind((self.bind, self.port))
        return s

    def udp_client(self, sport=0):
        """A UDP socket connected to dest."""
        s = self.client_sock(socket.SOCK_DGRAM, sport)
        s.connect((self.dest, self.port))
        return s


class TapOut(Path):
    name = "tap-out"
    tap = True

    def setup(self):
        self.client, self.server = self.daemon.ns, self.net.far
        self.dest = self.bind = self.fam.far
        self.source = None


class TapIn(Path):
    name = "tap-in"
    tap = True
    flags = ("-t", "-u")

    def setup(self):
        self.client, self.server = self.net.far, self.daemon.ns
        self.dest, self.bind = self.fam.host, self.fam.any
        self.source = self.fam.far


class SpliceIn(Path):
    name = "splice-in"
    flags = ("-t", "-u")

    def setup(self):
        self.client, self.server = self.net.host, self.daemon.ns
        self.dest, self.bind = self.fam.loopback, self.fam.any
        self.source = None


class SpliceOut(Path):
    name = "splice-out"
    flags = ("-T", "-U")

    def setup(self):
        self.client, self.server = self.daemon.ns, self.net.host
        self.dest = self.bind = self.fam.loopback
        self.source = None


class PasstOut(TapOut):
    name = "passt-out"
    program = "passt"


class PasstIn(TapIn):
    name = "passt-in"
    program = "passt"


PATHS = (TapOut, TapIn, SpliceIn, SpliceOut, PasstOut, PasstIn)

RESET = (errno.ECONNRESET, errno.EPIPE)
