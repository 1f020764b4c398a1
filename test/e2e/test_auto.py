# SPDX-License-Identifier: GPL-2.0-or-later
"""Automatic ports: opened while somebody listens on the other side.

Latencies and wake-ups are printed (pytest -s, or the report of a failure).
"""

import os
import re
import socket
import struct
import subprocess
import time

import pytest

from daemon import NO_PORTS
from netns import Netns
from procs import descendants, wait_for
from topology import V4, V6
from xfer import Echo

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
KINDS = {TCP: "tcp", UDP: "udp"}
NETLINK_SOCK_DIAG = 4

AUTO = ("-t", "auto", "-u", "auto", "-T", "auto", "-U", "auto")

PICK_UP = 0.1           # usually, while things happen, seconds
SLACK = 0.9             # for a machine that does a lot else meanwhile
IDLE_WAKEUPS = 8       # in ten seconds, when nothing has happened for long
IDLE_CPU = 1            # ms in them; several times that beside others


@pytest.fixture(params=[TCP, UDP], ids=KINDS.get)
def kind(request):
    return request.param


def server(ns, fam, kind, port, addr=None, **kw):
    """A socket that waits on a port."""
    s = ns.sock(fam.af, kind)
    if fam.num == 6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    for opt in kw.values():
        s.setsockopt(*opt)
    s.bind((addr or fam.any, port))
    if kind == TCP:
        s.listen()
    return s


def ports(ns, kind):
    """Ports that somebody waits on."""
    out = ns.run("ss", "-Hln" + KINDS[kind][0]).stdout
    return {int(line.split()[3].rpartition(":")[2])
            for line in out.splitlines()}


class Watch:
    """Whether a port is taken, quickly: by sock_diag(7), in some 50 us."""

    def __init__(self, ns, kind, port):
        self._kind, self._port = kind, port
        self._nl = ns.sock(socket.AF_NETLINK, socket.SOCK_RAW,
                           NETLINK_SOCK_DIAG)

    def taken(self):
        """Whether a socket waits on it."""
        proto = socket.IPPROTO_TCP if self._kind == TCP else \
            socket.IPPROTO_UDP
        states = 1 << (10 if self._kind == TCP else 7)  # listen, close
        return any(self._port in self._dump(f, proto, states)
                   for f in (socket.AF_INET, socket.AF_INET6))

    def _dump(self, family, proto, states):
        # struct nlmsghdr, inet_diag_req_v2 (request and dump flags)
        self._nl.send(struct.pack("=IHHII BBBxI 48x", 72, 20, 0x301, 1, 0,
                                  family, proto, 0, states))
        found = set()
        while True:
            data = self._nl.recv(65536)
            while data:
                size, what = struct.unpack_from("=IH", data)
                if what == 3:                   # NLMSG_DONE
                    return found
                assert what == 20, "sock_diag: %d" % what
                found.add(struct.unpack_from(">H", data, 20)[0])
                data = data[(size + 3) & ~3:]

    def until(self, value, since):
        """Wait until it is or is not. Return: seconds since."""
        end = time.monotonic() + 20
        while self.taken() != value:
            assert time.monotonic() < end, "port %d is%s taken" % (
                self._port, " not" if value else "")
            time.sleep(0.001)
        return time.monotonic() - since

    def close(self):
        self._nl.close()


def talk(ns, fam, kind, dest, port):
    """Whether an echo server answers there."""
    with ns.sock(fam.af, kind) as c:
        c.settimeout(5)
        c.connect((dest, port))
        c.send(b"knock")
        return c.recv(16) == b"knock"


def follow(here, there, fam, kind, port, addr=None):
    """Start and end a server there; the port here follows. Return: times."""
    watch = Watch(here, kind, port)
    assert not watch.taken()
    s = server(there, fam, kind, port, addr)
    opened = watch.until(True, time.monotonic())
    s.close()
    closed = watch.until(False, time.monotonic())
    watch.close()
    return opened, closed


@pytest.mark.parametrize("direction", ["in", "out"])
def test_latency(pasta, net, fam, kind, direction):
    """A port opens and closes within 100 ms in the middle of the things."""
    p = pasta(*AUTO)
    if direction == "in":
        here, there, addr = net.host, p.ns, None
    else:
        here, there, addr = p.ns, net.host, fam.loopback
    times = [follow(here, there, fam, kind, net.port(), addr)
             for _ in range(10)]
    opened, closed = (sorted(t[i] for t in times) for i in (0, 1))
    print("%s v%d %s: opened after %.0f ms (median), %.0f ms (worst); "
          "closed after %.0f ms, %.0f ms" % (
              KINDS[kind], fam.num, direction, opened[5] * 1e3,
              opened[-1] * 1e3, closed[5] * 1e3, closed[-1] * 1e3))
    assert opened[5] < PICK_UP and closed[5] < PICK_UP
    assert opened[-1] < PICK_UP + SLACK and closed[-1] < PICK_UP + SLACK


@pytest.mark.slow
def test_without_sock_diag(pasta, net, kind, monkeypatch):
    """A kernel without it: /proc/net tells the same. That takes long, and longer
    beside others: after half a second spent on it, there are up to two seconds
    between looks."""
    monkeypatch.setenv("PASST_KERNEL_WITHOUT", "sock_diag")
    p = pasta(*AUTO)
    late = PICK_UP + SLACK + 2
    for fam in (V4, V6):
        for here, there, addr in ((net.host, p.ns, None),
                                  (p.ns, net.host, fam.loopback)):
            opened, closed = follow(here, there, fam, kind, net.port(), addr)
            print("opened after %.0f ms, closed after %.0f ms" % (
                opened * 1e3, closed * 1e3))
            assert opened < late and closed < late
    # A connection, which /proc/net/tcp lists too, is no listener
    port = net.port()
    with server(p.ns, V4, TCP, port), net.host.sock(V4.af) as c:
        Watch(net.host, TCP, port).until(True, 0)
        c.connect((V4.host, port))
        assert c.getsockname()[1] not in ports(p.ns, TCP)


@pytest.mark.parametrize("dest", ["host", "loopback"])
def test_inbound(pasta, net, fam, kind, dest):
    """From outside and from the host's loopback, to a server inside."""
    p = pasta(*AUTO)
    port = net.port()
    with Echo(server(p.ns, fam, kind, port)):
        Watch(net.host, kind, port).until(True, 0)
        assert talk(net.host, fam, kind, getattr(fam, dest), port)
        if dest == "host":
            assert talk(net.far, fam, kind, fam.host, port)


@pytest.mark.parametrize("bound", ["any", "loopback"])
def test_outbound(pasta, net, fam, kind, bound):
    """From the namespace's loopback to a server on the host's."""
    p = pasta(*AUTO)
    port = net.port()
    with Echo(server(net.host, fam, kind, port, getattr(fam, bound))):
        Watch(p.ns, kind, port).until(True, 0)
        assert talk(p.ns, fam, kind, fam.loopback, port)


def quiet(*watches):
    """Nothing of this is or gets taken, for several times as long as it takes
    to pick up a port."""
    def taken():
        return any(w.taken() for w in watches)
    for _ in range(20):
        assert not taken()
        time.sleep(0.02)


def test_not_reached(pasta, net, fam, kind):
    """Servers that forwarded connections would not get to are not followed."""
    p = pasta(*AUTO)
    inside, outside = net.port(), net.port()
    with server(p.ns, fam, kind, inside, fam.loopback), \
         server(net.host, fam, kind, outside, fam.host):
        quiet(Watch(net.host, kind, inside), Watch(p.ns, kind, outside))


def test_lo_to_lo(pasta, net, fam, kind):
    """--host-lo-to-ns-lo: then they do get there."""
    p = pasta("--host-lo-to-ns-lo", *AUTO)
    port = net.port()
    with Echo(server(p.ns, fam, kind, port, fam.loopback)):
        Watch(net.host, kind, port).until(True, 0)
        assert talk(net.host, fam, kind, fam.loopback, port)


def test_present_at_start(pasta, net, fam, kind):
    """What listens before we start is there when the command runs."""
    port = net.port()
    with Echo(server(net.host, fam, kind, port, fam.loopback)):
        p = pasta(*AUTO)
        assert talk(p.ns, fam, kind, fam.loopback, port)


def test_udp_follows_tcp(pasta, net, fam):
    """QUIC beside HTTPS: the UDP port is there before its server is."""
    p = pasta(*AUTO)
    port = net.port()
    with server(p.ns, fam, TCP, port):
        Watch(net.host, UDP, port).until(True, 0)
        with Echo(server(p.ns, fam, UDP, port)):
            assert talk(net.host, fam, UDP, fam.host, port)
    Watch(net.host, UDP, port).until(False, 0)


def test_tcp_does_not_follow_udp(pasta, net, fam):
    p = pasta(*AUTO)
    port = net.port()
    with server(p.ns, fam, UDP, port):
        Watch(net.host, UDP, port).until(True, 0)
        quiet(Watch(net.host, TCP, port))


def test_no_loop(pasta, net, fam, kind):
    """Both directions: what we opened on one side is not followed to the
    other, and does not stay when its reason is gone."""
    p = pasta(*AUTO)
    for here, there, addr in ((net.host, p.ns, fam.any),
                              (p.ns, net.host, fam.loopback)):
        port = net.port()
        watch = Watch(here, kind, port)
        s = server(there, fam, kind, port, addr)
        watch.until(True, 0)
        before = ports(there, kind)
        quiet(*(Watch(there, k, port) for k in KINDS if k != kind))
        assert ports(there, kind) == before
        s.close()
        watch.until(False, 0)
        assert not Watch(there, kind, port).taken()


@pytest.mark.slow
def test_both_sides(pasta, net, fam, kind):
    """A server on both sides on one port: each keeps its own."""
    port = net.port()
    with Echo(server(net.host, fam, kind, port)) as outside:
        p = pasta("-t", "auto", "-u", "auto")
        with Echo(server(p.ns, fam, kind, port)) as inside:
            quiet()
            assert talk(net.host, fam, kind, fam.loopback, port)
            assert talk(p.ns, fam, kind, fam.loopback, port)
            if kind == UDP:
                assert len(outside.peers) == len(inside.peers) == 1
    # ours, when the one on the host leaves
    with server(p.ns, fam, kind, port):
        Watch(net.host, kind, port).until(True, 0)


def test_shared_udp(pasta, net, fam):
    """A port somebody shares (SO_REUSEADDR, as for mDNS) is not taken over."""
    port = net.port()
    reuse = (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    p = pasta("-u", "auto")
    with Echo(server(net.host, fam, UDP, port, reuse=reuse)) as outside:
        with server(p.ns, fam, UDP, port):
            quiet()
            assert talk(net.host, fam, UDP, fam.loopback, port)
            assert len(outside.peers) == 1


@pytest.mark.parametrize("spec, inner, outer", [
    ("{0},auto", 0, 0), ("{0}:{1},auto", 1, 0), ("auto,~{1}", 0, 0),
    ("{host}/{0},auto", 0, 0), ("{0}-{1}:{1}-{2},auto", 2, 1),
])
def test_specs(pasta, net, fam, kind, spec, inner, outer):
    """auto with ranges, mappings, exclusions, addresses."""
    first = net.port(3)
    p = pasta("-" + KINDS[kind][0],
              spec.format(*range(first, first + 3), host=fam.host))
    other = first + 1 if inner != 1 else first
    if "-" in spec:
        other = first           # nothing leads there
    with Echo(server(p.ns, fam, kind, first + inner)), \
         server(p.ns, fam, kind, other):
        Watch(net.host, kind, first + outer).until(True, 0)
        assert talk(net.host, fam, kind, fam.host, first + outer)
        mine = {first + i for i in range(3)} & ports(net.host, kind)
        assert mine == {first + outer}


def test_one_refused(pasta, net, fam, kind):
    """A port on two addresses, one of them somebody else's at first: the other
    serves, and goes on when that one is to be had."""
    port = net.port()
    option = "-" + KINDS[kind][0]
    theirs = server(net.host, fam, kind, port, fam.host)

    def answers(addr):
        try:
            return talk(net.host, fam, kind, addr, port)
        except OSError:
            return False

    p = pasta(option, "%s/%d,auto" % (fam.loopback, port),
              option, "%s/%d,auto" % (fam.host, port))
    with Echo(server(p.ns, fam, kind, port)):
        wait_for(lambda: answers(fam.loopback), "port on loopback")
        theirs.close()
        wait_for(lambda: answers(fam.host), "port that was refused")
        assert answers(fam.loopback)
    Watch(net.host, kind, port).until(False, 0)


def test_ephemeral(pasta, net, fam, kind):
    """Ports the host gives to clients are left alone."""
    p = pasta("-t", "auto", "-u", "auto")
    with server(p.ns, fam, kind, 40000), \
         server(p.ns, fam, kind, net.port()) as s:
        Watch(net.host, kind, s.getsockname()[1]).until(True, 0)
        assert not Watch(net.host, kind, 40000).taken()


def test_connections_survive(pasta, net, fam):
    """The end of a listener is not the end of its connections."""
    p = pasta(*AUTO)
    port = net.port()
    s = server(p.ns, fam, TCP, port)
    Watch(net.host, TCP, port).until(True, 0)
    with net.host.sock(fam.af) as c:
        c.connect((fam.host, port))
        with s.accept()[0] as peer:
            s.close()
            Watch(net.host, TCP, port).until(False, 0)
            c.send(b"still")
            assert peer.recv(16) == b"still"
            peer.send(b"here")
            assert c.recv(16) == b"here"


def test_many(pasta, net):
    """Hundreds of servers at once: all are followed, all are let go."""
    p = pasta("-t", "auto")
    first = 10000
    socks = [server(p.ns, V4, TCP, port)
             for port in range(first, first + 600)]
    begin = time.monotonic()
    want = set(range(first, first + 600))
    wait_for(lambda: want <= ports(net.host, TCP), "600 ports")
    print("600 ports: %.0f ms" % ((time.monotonic() - begin) * 1e3))
    for s in socks:
        s.close()
    wait_for(lambda: not want & ports(net.host, TCP), "no ports left")


def switches(pid):
    """Voluntary context switches of a process, all threads."""
    n = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, task),
                  encoding="ascii") as f:
            n += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)",
                               f.read(), re.M).group(1))
    return n


def cpu_ms(pid):
    """CPU time of a process, all threads."""
    ns = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, task),
                  encoding="ascii") as f:
            ns += int(f.read().split()[0])
    return ns / 1e6


def idle(p, seconds, record_property, label):
    """What it takes to do nothing for a while. Return: wake-ups, ms CPU."""
    before, cpu = switches(p.pid), cpu_ms(p.pid)
    time.sleep(seconds)
    woken, cpu = switches(p.pid) - before, cpu_ms(p.pid) - cpu
    text = "%s, idle for %d s: %d wake-ups, %.2f ms CPU" % (
        label, seconds, woken, cpu)
    print(text)
    record_property(label, text)
    return woken, cpu


@pytest.mark.slow
@pytest.mark.parametrize("opts, limit", [(AUTO, IDLE_WAKEUPS), (NO_PORTS, 0)],
                         ids=["auto", "none"])
def test_idle(pasta, net, opts, limit, record_property):
    """In the first half minute without any event a new port is seen within
    100 ms; after that, waking up is rare."""
    p = pasta(*opts)
    time.sleep(6)
    for seconds in (20,) if limit else ():
        _, cpu = idle(p, seconds, record_property, "first half minute")
        assert cpu < seconds * 1e3 * 0.005      # half a percent
        opened, closed = follow(net.host, p.ns, V4, TCP, net.port())
        print("then opened after %.0f ms, closed after %.0f ms" % (
            opened * 1e3, closed * 1e3))
        assert opened < PICK_UP + SLACK and closed < PICK_UP + SLACK
        record_property("opened", opened)
    time.sleep(33 if limit else 4)
    woken, cpu = idle(p, 10, record_property, "later")
    assert woken <= limit + bool(limit)     # a begun interval counts as one
    assert cpu < 5 * IDLE_CPU
    if limit:
        opened, closed = follow(net.host, p.ns, V4, TCP, net.port())
        print("then opened after %.0f ms, closed after %.0f ms" % (
            opened * 1e3, closed * 1e3))
        assert opened < 1.280 + SLACK and closed < PICK_UP + SLACK


def test_default(net, bindir, procs):
    """Without any option: automatic, and not a word about it."""
    proc = procs.start([bindir + "/pasta", "--config-net", "--", "sh", "-c",
                        "echo ready; read x"], ns=net.host, user="user",
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    assert proc.stdout.readline() == b"ready\n"
    pid = wait_for(lambda: next(_below(proc.pid), None), "shell")
    ns = Netns("/proc/%d/ns/net" % pid)
    try:
        for kind in KINDS:
            for fam in (V4, V6):
                follow(net.host, ns, fam, kind, net.port())
                follow(ns, net.host, fam, kind, net.port(), fam.loopback)
    finally:
        ns.close()
    assert proc.communicate(b"\n", timeout=20)[1] == b""


def _below(pid):
    """Processes below pasta, in the namespace it made."""
    own = os.readlink("/proc/%d/ns/net" % pid)
    for child in descendants(pid):
        try:
            if os.readlink("/proc/%d/ns/net" % child) != own:
                yield child
        except OSError:
            pass
