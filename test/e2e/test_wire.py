# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad wires (test/box): loss, reordering, delay between the host and the world,
or between the guest and us, and a wire that is cut for a while. What arrives
is what was sent."""

import json
import signal
import socket
import subprocess
import time

import pytest

import topology
from crowd import STATS, Service, quick_udp
from figures import figure, form
from netns import NamedNetns
from topology import FAMILIES, V4, V6
from xfer import Task, bulk_both_ways

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wire")]

MIB = 1 << 20
SO_RCVBUFFORCE = 33

# name, options of box, MiB each way: bounded and long
WIRES = (("loss", ("-l", "10"), 1, 16),
         ("reordering", ("-j", "2", "-r", "20"), 1, 16),
         ("delay", ("-d", "25"), 8, 64),
         ("all of it", ("-d", "5", "-j", "5", "-r", "10", "-l", "5"), 1, 8))


class WiredNetwork(topology.Network):
    """The network of topology.py with a box between host and far."""

    def __init__(self, procs, box, opts):
        self._procs, self._box, self._opts = procs, box, opts
        super().__init__()

    def _wire(self):
        start_box(self, self._procs, self._box, self._opts, self.host,
                  "tap:eth0", "tap:eth0@" + self.far.path)
        # what it makes instead is there already
        add, self.host.batch = self.host.batch, lambda text: None
        try:
            first = [True]

            def batch(text):
                if first.pop() if first else False:
                    return
                add(text)
            self.host.batch = batch
            super()._wire()
        finally:
            del self.host.batch


def start_box(holder, procs, box, opts, ns, *ends):
    """Start the box; holder.box has its process."""
    holder.box = procs.start([box, "-s", "7", *opts, *ends], ns=ns,
                             stdout=subprocess.PIPE)
    assert holder.box.stdout.readline() == b"ready\n"


class Behind:
    """A guest behind a box: of passt, whose socket the box talks to; of pasta,
    whose device in its namespace the box has for itself."""

    def __init__(self, procs, box, opts, daemon, name):
        self.daemon, self.pid = daemon, daemon.pid
        self.log = daemon.log
        self.ns = NamedNetns("behind")
        self.run = self.ns.run
        self.text, self.running = daemon.text, daemon.running
        if name == "passt":
            start_box(self, procs, box, opts, self.ns, "tap:eth0",
                      "stream:" + daemon.path)
        else:
            inner = daemon.ns
            inner.sysctl(ipv6__conf__eth0__disable_ipv6=1)
            inner.ip("link set eth0 up")
            out = inner.run("ip", "-o", "link", "show", "eth0").stdout
            mac = out.split("link/ether ")[1].split()[0]
            start_box(self, procs, box, opts, self.ns, "tap:eth0",
                      "packet:eth0@/proc/%d/ns/net" % daemon.inner)
            self.ns.ip("link set eth0 address " + mac)
        self.ns.ip("link set eth0 mtu 1500 up")
        for fam in FAMILIES:
            self.ns.batch("addr add %s/%d dev eth0 %s\n"
                          "route replace default via %s dev eth0\n" %
                          (fam.host, fam.plen, "nodad" if fam.num == 6 else "",
                           fam.gw))

    def close(self):
        """Remove the namespace."""
        self.ns.delete()


@pytest.fixture
def behind(net, pasta, passt, procs, box):
    """Factory: a guest behind a box -> Behind."""
    made = []

    def make(name, opts):
        if name == "pasta":
            d = pasta(*STATS, config_net=False, user="root",
                      prefix=("env", "PASST_KERNEL_WITHOUT=vnet_hdr"))
        else:
            d = passt(*STATS)
        made.append(Behind(procs, box, opts, d, name))
        return made[-1]

    yield make
    procs.end()
    for b in made:
        b.close()


def both_ways(client_ns, server_ns, fam, port, nbytes, meanwhile=None):
    """Bytes both ways at once, compared. Return: seconds"""
    listener = server_ns.sock(fam.af)
    listener.bind((fam.far, port))
    listener.listen()
    client = client_ns.sock(fam.af)
    client.connect((fam.far, port))
    server = listener.accept()[0]
    server.settimeout(60)
    client.settimeout(60)
    with listener, client, server:
        return bulk_both_ways(client, server, nbytes, form(60, 600), meanwhile)


def datagrams(client_ns, server_ns, fam, port, n):
    """Datagrams one way, paced. Return: how many arrived; each as it was, and
    none twice"""
    server = server_ns.sock(fam.af, socket.SOCK_DGRAM)
    server.bind((fam.far, port))
    client = client_ns.sock(fam.af, socket.SOCK_DGRAM)
    client.connect((fam.far, port))
    seen = set()
    server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 * MIB)
    server.settimeout(1)

    def receive():
        try:
            while len(seen) < n:
                data = server.recv(65536)
                i = int.from_bytes(data[:4], "big")
                assert data == i.to_bytes(4, "big") * (1 + i % 300)
                assert i not in seen
                seen.add(i)
        except TimeoutError:
            pass
        return len(seen)
    with client, server:
        task = Task(receive)
        for i in range(n):
            client.send(i.to_bytes(4, "big") * (1 + i % 300))
            if not i % 20:
                time.sleep(0.001)
        return task.result(30)


def passed(box):
    """End a box. Return: frames, lost of them"""
    box.terminate()
    said = json.loads(box.stdout.readline())
    return sum(said["frames"]), sum(said["lost"])


def tell(where, name, fam, secs, nbytes, arrived, box):
    frames, lost = passed(box)
    figure("bad wire, %s, %s, %r" % (where, name, fam),
           "2 x %d MiB whole in %.2f s (%.1f MB/s each way), %d of 1000 "
           "datagrams; %d of %d frames lost", nbytes // MIB, secs,
           nbytes / secs / 1e6, arrived, lost, frames)
    return frames, lost


def endure(wire, where, d, net, fam, wire_box):
    """TCP both ways and datagrams over a bad wire: all of the bytes arrive,
    and as many of the datagrams as the wire lets pass."""
    nbytes = form(wire[2], wire[3]) * MIB
    secs = both_ways(d.ns, net.far, fam, net.port(), nbytes)
    arrived = datagrams(d.ns, net.far, fam, net.port(), 1000)
    assert d.running()
    frames, lost = tell(where, wire[0], fam, secs, nbytes, arrived, wire_box)
    assert bool(lost) == ("-l" in wire[1]) and frames > nbytes // 1500
    assert arrived > 900 if lost else arrived == 1000


@pytest.mark.long
@pytest.mark.parametrize("wire", WIRES, ids=lambda w: w[0].replace(" ", "-"))
@pytest.mark.parametrize("name, fam", [("pasta", V4), ("passt", V6)],
                         ids=lambda v: v if isinstance(v, str) else repr(v))
def test_guest_side(behind, net, name, fam, wire):
    """A bad wire between the guest and us: our TCP has to make up for it."""
    b = behind(name, wire[1])
    b.run("ping", "-n", "-c", "20", "-i", "0.01", "-W", "10", fam.far)
    endure(wire, "guest side, " + name, b, net, fam, b.box)


@pytest.mark.long
@pytest.mark.parametrize("wire", WIRES, ids=lambda w: w[0].replace(" ", "-"))
@pytest.mark.parametrize("name, fam", [("pasta", V6), ("passt", V4)],
                         ids=lambda v: v if isinstance(v, str) else repr(v))
def test_host_side(start, procs, box, name, fam, wire):
    """A bad wire between the host and the world: the kernel's TCP makes up
    for it, we have to wait with it."""
    net = WiredNetwork(procs, box, wire[1])
    try:
        d = start[name](*STATS, where=net.host)
        endure(wire, "host side, " + name, d, net, fam, net.box)
    finally:
        net.delete()


@pytest.mark.parametrize("name, fam", [("pasta", V4), ("passt", V6)],
                         ids=lambda v: v if isinstance(v, str) else repr(v))
def test_cut(behind, net, procs, load, name, fam):
    """The wire to the guest is cut for 1.5 s in the middle of a transfer."""
    quick_udp(net)
    b = behind(name, ("-d", "1"))
    s = Service(procs, load, net, b)

    def cut():
        time.sleep(0.2)
        b.box.send_signal(signal.SIGUSR1)
        time.sleep(1.5)
        b.box.send_signal(signal.SIGUSR2)
    secs = both_ways(b.ns, net.far, fam, net.port(), 48 * MIB, cut)
    s.check()
    s.usage.back(20, slack=4)           # pings
    figure("wire cut for 1.5 s, %s, %r" % (name, fam),
           "2 x 48 MiB whole in %.2f s; %d frames lost of %d", secs,
           *reversed(passed(b.box)))
