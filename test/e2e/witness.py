# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that answers each client with the address it sees of it."""

import os
import select
import socket

from guestlink import Conn
from scapy.all import IP, UDP, IPv6
from xfer import Task, recv_exact

SIZE = 64               # bytes of an answer, padded by blanks


def open_server(ns, fam, kind, addr, port):
    """A bound socket of one family, listening if it is TCP."""
    s = ns.sock(fam.af, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if fam.num == 6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind((addr, port))
    if kind == socket.SOCK_STREAM:
        s.listen()
    return s


class Witness:
    """Answers at a port of these addresses, one for each family; TCP and
    UDP."""

    def __init__(self, ns, fams, port, addrs):
        self._tcp, self._udp = [
            [open_server(ns, fam, kind, addr, port)
             for fam, addr in zip(fams, addrs)]
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
        self._stop_r, self._stop_w = os.pipe()
        self._task = Task(self._loop)

    def _loop(self):
        wait = [*self._tcp, *self._udp, self._stop_r]
        while True:
            for s in select.select(wait, [], [])[0]:
                if s == self._stop_r:
                    return
                if s in self._tcp:
                    conn, peer = s.accept()
                    with conn:
                        conn.sendall(peer[0].ljust(SIZE).encode())
                        conn.shutdown(socket.SHUT_WR)
                else:
                    peer = s.recvfrom(1)[1]
                    s.sendto(peer[0].ljust(SIZE).encode(), peer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.write(self._stop_w, b"x")
        self._task.result(10)
        for s in (*self._tcp, *self._udp):
            s.close()
        os.close(self._stop_r)
        os.close(self._stop_w)


def seen(ns, fam, kind, dest, port, timeout=5):
    """Ask a witness at dest (link-local: with %, and the number of the
    interface). Return: the address it sees, None: it was not
    reached."""
    with ns.sock(fam.af, kind) as s:
        s.settimeout(timeout if kind == socket.SOCK_STREAM else 1)
        try:
            host, _, scope = dest.partition("%")
            s.connect((host, port, 0, int(scope)) if scope else (host, port))
            if kind == socket.SOCK_STREAM:
                return recv_exact(s, SIZE).decode().strip()
            for _ in range(3):
                s.send(b"?")
                try:
                    return s.recv(SIZE).decode().strip()
                except socket.timeout:
                    pass
        except (OSError, AssertionError):
            pass                # refused, unreachable, timed out
        return None


def seen_of_guest(guest, fam, kind, dest, port, sport=40000):
    """The same for a guest at passt's socket, which must be answered."""
    if kind == socket.SOCK_STREAM:
        conn = Conn(guest, fam, dest, sport, port)
        conn.open()
        return conn.recv(SIZE).decode().strip()
    f = guest.ask(guest.ip(fam, dest) / UDP(sport=sport, dport=port) / b"?",
                  lambda f: UDP in f and f[UDP].dport == sport and
                  (f[IP] if IP in f else f[IPv6]).src == dest)
    return bytes(f[UDP].payload)[:SIZE].decode().strip()
