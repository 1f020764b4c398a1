# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest at passt's stream socket, frame by frame, made with scapy.

Frames travel with their length, 32 bits big-endian, in front.
"""

import select
import socket
import struct
import time

from scapy.all import (ARP, IP, TCP, UDP, Ether, ICMPv6ND_NA, ICMPv6ND_NS,
                       ICMPv6ND_RS, ICMPv6NDOptDstLLAddr, IPv6)

MAC = "52:54:00:12:34:56"
OUR_MAC = "9a:55:9a:55:9a:55"
BROADCAST = "ff:ff:ff:ff:ff:ff"
GUEST_LL = "fe80::5054:ff:fe12:3456"


def encap(frame):
    """Frame (scapy or bytes) as it goes over the socket."""
    data = bytes(frame)
    return struct.pack("!I", len(data)) + data


class Guest:
    """One client of the socket. Answers ARP and NS for its addresses when
    told to wait for something; keeps all other frames in order."""

    def __init__(self, path=None, sock=None, addr4="192.0.2.10",
                 addr6="2001:db8:1::10"):
        self.addr4, self.addr6 = addr4, addr6
        self.passive = False        # answers no ARP and NS by itself
        self._buf = b""
        self._frames = []
        self.sock = sock or socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if path:
            self.sock.connect(path)
        self.sock.setblocking(False)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, *frames):
        """Send frames in one write."""
        self.send_raw(b"".join(encap(f) for f in frames))

    def send_raw(self, data):
        """Send bytes as they are, all of them."""
        self.sock.setblocking(True)
        self.sock.settimeout(20)
        self.sock.sendall(data)
        self.sock.setblocking(False)

    def ether(self, dst=OUR_MAC):
        return Ether(src=MAC, dst=dst)

    def ip(self, fam, dst, **kw):
        """Ethernet and IP header from the guest to an address."""
        if fam.num == 4:
            return self.ether() / IP(src=self.addr4, dst=dst, **kw)
        return self.ether() / IPv6(src=self.addr6, dst=dst, **kw)

    def _fill(self, timeout):
        """Read what is there. Return: whether the other end still is."""
        if not select.select([self.sock], [], [], timeout)[0]:
            return True
        try:
            data = self.sock.recv(1 << 20)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        if not data:
            return False
        self._buf += data
        while len(self._buf) >= 4:
            length = struct.unpack("!I", self._buf[:4])[0]
            assert 14 <= length <= 65535 + 22, "frame of %d bytes" % length
            if len(self._buf) < 4 + length:
                break
            self._frames.append(Ether(self._buf[4:4 + length]))
            self._buf = self._buf[4 + length:]
        return True

    def _resolve(self, frame):
        """Answer address resolution for our addresses. Return: was it."""
        if self.passive:
            return False
        if ARP in frame and frame[ARP].op == 1 and \
           frame[ARP].pdst == self.addr4 and frame[ARP].psrc != self.addr4:
            self.send(self.ether(frame.src) / ARP(
                op=2, hwsrc=MAC, psrc=self.addr4, hwdst=frame[ARP].hwsrc,
                pdst=frame[ARP].psrc))
            return True
        if ICMPv6ND_NS in frame and \
           frame[ICMPv6ND_NS].tgt in (self.addr6, GUEST_LL):
            self.send(self.ether(frame.src) / IPv6(
                src=frame[ICMPv6ND_NS].tgt, dst=frame[IPv6].src, hlim=255) /
                ICMPv6ND_NA(tgt=frame[ICMPv6ND_NS].tgt, R=0, S=1, O=1) /
                ICMPv6NDOptDstLLAddr(lladdr=MAC))
            return True
        return False

    def expect(self, match, timeout=10):
        """First frame for which match(frame); others before it are lost."""
        end = time.monotonic() + timeout
        seen = []
        while True:
            while self._frames:
                frame = self._frames.pop(0)
                if match(frame):
                    return frame
                if not self._resolve(frame):
                    seen.append(frame.summary())
            left = end - time.monotonic()
            if left < 0:
                raise AssertionError("no such frame; seen: %s" % seen)
            if not self._fill(left):
                raise AssertionError("closed; seen: %s" % seen)

    def ask(self, frame, match, timeout=10):
        """Send a frame, return the answer."""
        self.send(frame)
        return self.expect(match, timeout)

    def silent(self, match, seconds=0.5):
        """Fail if such a frame comes within a time."""
        try:
            frame = self.expect(match, seconds)
        except AssertionError:
            return
        raise AssertionError("unexpected: " + frame.summary())

    def closed(self, timeout=10):
        """Whether the other end closes the socket in time."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if not self._fill(0.2):
                return True
        return False

    def alive(self):
        """Prove that passt serves us: an ARP request is answered."""
        self.ask(self.ether(BROADCAST) / ARP(
            op=1, hwsrc=MAC, psrc=self.addr4, pdst="192.0.2.1"),
            lambda f: ARP in f and f[ARP].op == 2 and
            f[ARP].psrc == "192.0.2.1")

    def hello(self):
        """Let passt know our addresses."""
        self.alive()
        self.send(self.ether("33:33:00:00:00:02") / IPv6(
            src=GUEST_LL, dst="ff02::2", hlim=255) / ICMPv6ND_RS())
        self.send(self.ether() / IPv6(src=self.addr6, dst="2001:db8:1::1") /
                  UDP(sport=9, dport=9) / b"hello")


class Conn:
    """A TCP connection kept by hand: counts what was sent and received."""

    def __init__(self, guest, fam, dst, sport, dport, seq=1000):
        self.guest, self.fam, self.dst = guest, fam, dst
        self.sport, self.dport = sport, dport
        self.seq, self.ack = seq, 0

    def mine(self, frame):
        """Whether a frame belongs to this connection."""
        return TCP in frame and frame[TCP].sport == self.dport and \
            frame[TCP].dport == self.sport

    def segment(self, flags, data=b"", **kw):
        kw.setdefault("window", 65535)
        return self.guest.ip(self.fam, self.dst) / TCP(
            sport=self.sport, dport=self.dport, flags=flags, seq=self.seq,
            ack=self.ack, **kw) / data

    def send(self, flags, data=b"", **kw):
        """Send a segment; sequence numbers follow."""
        self.guest.send(self.segment(flags, data, **kw))
        self.seq += len(data) + ("S" in flags) + ("F" in flags)
        self.seq &= 0xffffffff

    def expect(self, flags, timeout=10):
        """Next segment that has (at least) these flags."""
        seg = self.guest.expect(lambda f: self.mine(f) and all(
            c in str(f[TCP].flags) for c in flags), timeout)[TCP]
        return seg

    def open(self, **kw):
        """Three-way handshake begun by the guest. Return: SYN, ACK segment."""
        self.send("S", **kw)
        seg = self.expect("SA")
        assert seg.ack == self.seq
        self.ack = (seg.seq + 1) & 0xffffffff
        self.send("A")
        return seg

    def recv(self, n):
        """Receive n bytes in order, acknowledging each segment."""
        data = b""
        while len(data) < n:
            seg = self.guest.expect(
                lambda f: self.mine(f) and f[TCP].seq == self.ack and
                payload(f))
            part = payload(seg)
            data += part
            self.ack = (self.ack + len(part)) & 0xffffffff
            self.send("A")
        assert len(data) == n
        return data


def payload(frame):
    """TCP payload without Ethernet padding."""
    if IP in frame:
        n = frame[IP].len - frame[IP].ihl * 4 - frame[TCP].dataofs * 4
    else:
        n = frame[IPv6].plen - frame[TCP].dataofs * 4
    return bytes(frame[TCP].payload)[:n]


def sums_ok(frame):
    """Whether all checksums of a frame are right. UDP over IPv4 may have
    none (RFC 768)."""
    copy = frame.copy()
    for layer in (IP, UDP, TCP):
        if layer in copy:
            del copy[layer].chksum
    fresh = Ether(bytes(copy))
    return all(fresh[layer].chksum == frame[layer].chksum or
               (layer is UDP and IP in frame and frame[UDP].chksum == 0)
               for layer in (IP, UDP, TCP) if layer in frame)
