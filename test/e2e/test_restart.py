# SPDX-License-Identifier: GPL-2.0-or-later
"""A successor takes over: the same TCP and UDP ports of both IP versions, with
connections open, and for passt the same socket path; time after time."""

import contextlib
import os
import signal
import socket
import subprocess
import time

import pytest

from scapy.all import TCP, UDP

from daemon import NO_PORTS
from guestlink import Guest
from netns import Netns
from procs import as_user, pidfd_wait
from topology import FAMILIES
from xfer import Echo

FEW, MANY = 8, 200


class Clients:
    """Connections of the host through forwarded ports, kept open over the end
    of who forwards them, but for the oldest."""

    KEEP = 8

    def __init__(self, net):
        self.net, self.socks = net, []

    def open(self, fam, kind, dest, port):
        """One that has sent a word."""
        s = self.net.host.sock(fam.af, kind)
        s.settimeout(10)
        self.socks.append(s)
        s.connect((dest, port))
        s.send(b"word")
        while len(self.socks) > self.KEEP:
            self.socks.pop(0).close()
        return s

    def close(self):
        for s in self.socks:
            s.close()


class Runs:
    """One pasta after the other on the same ports."""

    def __init__(self, net, bindir, procs, tmp):
        self.net, self.procs, self.bindir = net, procs, bindir
        self.pidfile = os.path.join(tmp, "pid")
        self.tcp, self.udp = net.port(2), net.port(2)
        self.clients = Clients(net)
        self.target = self.ns = None
        self.echoes = contextlib.ExitStack()

    def close(self):
        self.clients.close()
        self.leave()

    def join(self):
        """A process in a namespace with servers in it."""
        self.target = self.procs.start(
            as_user(["unshare", "--user", "--map-root-user", "--net", "sh",
                     "-c", "ip link set lo up; echo ready; read x"], "user"),
            ns=self.net.host, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.target.stdout.readline() == b"ready\n"
        self.ns = Netns("/proc/%d/ns/net" % self.target.pid)
        for fam in FAMILIES:
            for kind, port in ((socket.SOCK_STREAM, self.tcp),
                               (socket.SOCK_DGRAM, self.udp)):
                s = self.ns.sock(fam.af, kind)
                if fam.num == 6:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                s.bind((fam.any, port))
                if kind == socket.SOCK_STREAM:
                    s.listen()
                self.echoes.enter_context(Echo(s))

    def leave(self):
        """The process ends, and with it the namespace."""
        if self.ns:
            self.target.stdin.close()
            self.target.stdin = None
            self.echoes.close()
            self.ns.close()
            self.ns = None

    def start(self):
        """Return: pidfd of a pasta that is ready."""
        if not self.ns:
            self.join()
        open(self.pidfile, "w", encoding="ascii").close()
        os.chmod(self.pidfile, 0o666)
        res = subprocess.run(
            self.net.host.wrap(as_user([
                os.path.join(self.bindir, "pasta"), "--config-net", "--quiet",
                "-t", "%d-%d" % (self.tcp, self.tcp + 1), "-u", str(self.udp),
                *NO_PORTS[4:], "--pid", self.pidfile, str(self.target.pid)],
                "user")), text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=20, check=False)
        assert res.returncode == 0, res.stdout
        assert res.stdout == ""
        with open(self.pidfile, encoding="ascii") as f:
            return os.pidfd_open(int(f.read()))

    def talk(self, n):
        """All ports lead to the servers: by the tap, and by loopback."""
        for fam in FAMILIES:
            for kind, port in ((socket.SOCK_STREAM, self.tcp),
                               (socket.SOCK_DGRAM, self.udp)):
                dest = (fam.host, fam.loopback)[n % 2]
                s = self.clients.open(fam, kind, dest, port)
                assert s.recv(16) == b"word"


def times(ms):
    """Text for a list of milliseconds."""
    ms.sort()
    return "%.0f ms (median), %.0f ms (worst of %d)" % (
        ms[len(ms) // 2], ms[-1], len(ms))


@pytest.fixture
def runs(net, bindir, procs, tmp):
    r = Runs(net, bindir, procs, tmp)
    yield r
    r.close()


@pytest.mark.parametrize("count", [
    FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("end", ["term", "gone"])
def test_pasta(runs, end, count, record_property):
    """The successor is started at the very moment the predecessor is told to
    leave, or its namespace goes: it has not left yet."""
    ms, old = [], None
    for n in range(count):
        begin = time.monotonic()
        new = runs.start()
        ms.append((time.monotonic() - begin) * 1e3)
        if old:
            assert pidfd_wait(old, 5), "predecessor lingers"
            os.close(old)
        runs.talk(n)
        if end == "term":
            signal.pidfd_send_signal(new, signal.SIGTERM)
        else:
            runs.leave()
        old = new
    assert pidfd_wait(old, 5)
    os.close(old)
    print("ready after " + times(ms))
    record_property("ready", times(ms))


@pytest.mark.parametrize("count", [
    FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_passt(net, bindir, procs, tmp, count, record_property):
    """The same with passt, and its socket: a guest is connected when the
    predecessor is told to leave."""
    path, pidfile = os.path.join(tmp, "sock"), os.path.join(tmp, "pid")
    tcp, udp = net.port(), net.port()
    clients, guests, ms, old = Clients(net), [], [], None
    for _ in range(count):
        begin = time.monotonic()
        res = subprocess.run(
            net.host.wrap(as_user([
                os.path.join(bindir, "passt"), "--quiet", "-s", path, "-t",
                str(tcp), "-u", str(udp), "--pid", pidfile], "user")),
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=20, check=False)
        ms.append((time.monotonic() - begin) * 1e3)
        assert (res.returncode, res.stdout) == (0, "")
        with open(pidfile, encoding="ascii") as f:
            new = os.pidfd_open(int(f.read()))
        if old:
            assert pidfd_wait(old, 5), "predecessor lingers"
            os.close(old)
        guests.append(Guest(path))
        guests[-1].alive()
        for fam in FAMILIES:
            clients.open(fam, socket.SOCK_STREAM, fam.host, tcp)
            guests[-1].expect(lambda f: TCP in f and f[TCP].dport == tcp)
            clients.open(fam, socket.SOCK_DGRAM, fam.host, udp)
            guests[-1].expect(lambda f: UDP in f and f[UDP].dport == udp)
        signal.pidfd_send_signal(new, signal.SIGTERM)
        if len(guests) > 3:
            guests.pop(0).close()
        old = new
    assert pidfd_wait(old, 5)
    os.close(old)
    for g in guests:
        g.close()
    clients.close()
    print("ready after " + times(ms))
    record_property("ready", times(ms))
