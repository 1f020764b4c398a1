# SPDX-License-Identifier: GPL-2.0-or-later
"""Load: crowds, floods, what happens when there are too many, and that the
service is there afterwards, with no more memory and descriptors than before."""

import functools
import itertools
import os
import re
import socket
import time

import pytest

from crowd import FILES, LIMIT, STATS, Load, Service, quick_udp
from figures import figure, form
from procs import wait_for
from topology import FAMILIES, V4, V6

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("load")]

SYNS = 100000
CONNS = min(20000, LIMIT - 150)   # fewer where the limit cannot be raised
FLOWS = 5000
BLACKHOLE = {4: "203.0.113.65", 6: "2001:db8:beef::1"}
SPOOFED = {4: "192.0.2.66", 6: "2001:db8:1::66"}


@pytest.fixture(scope="module", autouse=True)
def roads(net):
    """Addresses that swallow what is sent to them; ports for the crowds."""
    net.far.batch("route add blackhole 203.0.113.64/30\n"
                  "route add blackhole 2001:db8:beef::/48\n")
    net.host.sysctl(ipv4__ip_local_port_range="1024 65535")
    net.far.sysctl(ipv4__tcp_max_syn_backlog=4096)
    # a connection nobody answers is given up soon
    net.host.sysctl(ipv4__tcp_syn_retries=1)
    quick_udp(net)


@pytest.fixture
def service(net, start, procs, load):
    """Factory: a program with echo servers in far -> Service."""
    def make(name, *opts, **kw):
        kw.setdefault("prefix", FILES)
        d = start[name](*STATS, *opts, **kw)
        d.ns.sysctl(ipv4__ip_local_port_range="1024 65535")
        s = Service(procs, load, net, d)
        s.name = name
        return s
    return make


def each(*bounded, names="name, fam", more=()):
    """Parametrize by program and family, and what else there is: those given,
    all combinations in the long form only."""
    args = [("pasta", "passt"), FAMILIES] + ([more] if more else [])
    return pytest.mark.parametrize(
        names, form(bounded or [("pasta", V4), ("passt", V6)],
                    list(itertools.product(*args))),
        ids=lambda v: v if isinstance(v, str) else repr(v))


def gateway_mac(service, fam):
    """Link address of the gateway as the guest knows it."""
    out = service.daemon.run("ip", "neigh", "show", fam.gw).stdout
    return out.split("lladdr ")[1].split()[0]


@pytest.mark.long
@each(("pasta", V4, "open"), ("passt", V6, "blackhole"),
      names="name, fam, target", more=("open", "blackhole"))
def test_syn_flood(service, name, fam, target):
    """100,000 SYNs whose sender never goes on: to a port where somebody
    listens, whose SYN-ACKs nobody answers; and to an address that is silent."""
    s = service(name)
    dest = fam.far if target == "open" else BLACKHOLE[fam.num]
    # the link takes them all: what counts is what the program does
    s.daemon.ns.ip("link set eth0 txqueuelen %d" % (2 * SYNS))
    cpu, begin = s.usage.cpu(), time.monotonic()
    flood = s.run(s.daemon.ns, "syn", "eth0", gateway_mac(s, fam),
                  SPOOFED[fam.num], dest, s.port, SYNS)
    sent = flood.answer()
    assert sent["sent"] == SYNS
    s.check(50)                         # behind all of them in the queue
    took = time.monotonic() - begin
    counters = s.counters()
    figure("syn flood, %s, %s, %r" % (s.name, target, fam),
           "%d SYNs at %.0f a second, %d arrived, %d opened, %d refused; "
           "%.1f s of processor; served again %.1f s after the first",
           sent["sent"], sent["rate"], counters["tap.rx_frames"],
           counters["tcp.opened_tap"], counters.get("tcp.table_full", 0) +
           counters.get("tcp.no_fd", 0), s.usage.cpu() - cpu, took)
    assert took < 60


def come_and_go(s, kind, fam, n, *port):
    """A crowd of n opens, asks twice, all are answered; they leave, and nothing
    is kept of them. Return: what opening and both rounds told"""
    crowd, opened = s.crowd(kind, fam, n, *port)
    rounds = crowd.round(), crowd.round()
    for r in rounds:
        assert (r["done"], r["wrong"]) == (n, 0), (opened, r)
    assert s.usage.fds() >= n
    crowd.close()
    s.usage.back(30)
    return opened, *rounds


@each()
@pytest.mark.long
def test_connections(service, name, fam):
    """20,000 connections at once, all echo; twice, to see what stays."""
    s = service(name)
    rss = []
    for port in (s.port, s.serve()):
        opened, first, second = come_and_go(s, "tcp", fam, CONNS, port)
        assert (opened["done"], opened["failed"]) == (CONNS, 0), opened
        rss.append(s.usage.rss())
    s.check()
    figure("connections, %s, %r" % (s.name, fam),
           "%d at once opened in %.2f s, echoed in %.2f and %.2f s; resident "
           "%d KiB before, %d and %d after the first and second time", CONNS,
           opened["seconds"], first["seconds"], second["seconds"],
           s.usage.rss0, *rss)
    assert rss[1] < rss[0] + 1024


@each()
@pytest.mark.long
def test_udp_flows(service, name, fam):
    """5,000 UDP flows at once; they end by themselves."""
    s = service(name)
    rss = []
    for _ in range(2):
        _, first, second = come_and_go(s, "udp", fam, FLOWS)
        rss.append(s.usage.rss())
    s.check()
    figure("udp flows, %s, %r" % (s.name, fam),
           "%d echoed in %.2f s, again in %.2f s (%d and %d datagrams "
           "repeated); resident %d KiB before, %d and %d after", FLOWS,
           first["seconds"], second["seconds"], first["repeated"],
           second["repeated"], s.usage.rss0, *rss)
    assert rss[1] < rss[0] + 1024


@each()
@pytest.mark.long
def test_full_table(service, name, fam, net, procs, load):
    """More flows than the table holds (4096, with few descriptors), from
    outside: each new one takes the place of an old one, also when the new one
    is of another protocol."""
    port = net.port()
    s = service(name, "-u", port, prefix=("prlimit", "--nofile=300:300", "--"))
    inside = s.run(s.daemon.ns, "serve", fam.any, port, ready=True)
    crowd = Load(procs, load, net.far, "udp", fam.host, port, FLOWS)
    opened = crowd.answer()
    answer = crowd.round()
    s.check()
    crowd.close()
    counters = s.counters()
    figure("full table, %s, %r" % (s.name, fam),
           "%d flows of outside in a table of 4096: %d answered, %d evicted",
           opened["done"], answer["done"], counters["udp.evicted"])
    assert answer["done"] == FLOWS, answer
    assert counters["udp.evicted"] > 0
    inside.proc.kill()


@each()
@pytest.mark.long
def test_few_descriptors(service, name, fam):
    """64 descriptors: those who are there are served, others refused at once,
    and there is room again when some have left."""
    s = service(name, prefix=("prlimit", "--nofile=64:64", "--"))
    crowd, opened = s.crowd("tcp", fam, 200)
    assert opened["seconds"] < 10, opened
    # some may have opened and been reset while others were half open
    first, answer = crowd.round(), crowd.round()
    assert 10 < answer["done"] < 64, answer
    assert answer["done"] == first["done"], (first, answer)
    cpu = s.usage.cpu()
    time.sleep(1)
    idle = s.usage.cpu() - cpu
    crowd.close()
    s.usage.back()
    s.check()
    udp, _ = s.crowd("udp", fam, 200)
    datagrams = udp.round()
    s.check()
    udp.close()
    counters = s.counters()
    figure("64 descriptors, %s, %r" % (s.name, fam),
           "%d of 200 connections served, the others refused within %.2f s; "
           "%d of 200 UDP flows, %d evicted for others; %.2f s of processor "
           "in a second of rest", answer["done"], opened["seconds"],
           datagrams["done"], counters["udp.evicted"], idle)
    assert datagrams["done"] == 200, datagrams
    assert idle < 0.2


def test_few_descriptors_new_client(service):
    """passt out of descriptors: the guest leaves and comes back."""
    s = service("passt", prefix=("prlimit", "--nofile=64:64", "--"))
    crowd, opened = s.crowd("tcp", V4, 200)
    assert 10 < crowd.round()["done"] < 64, opened
    s.daemon.proc.kill()
    s.daemon.proc.wait()
    crowd.proc.kill()
    wait_for(lambda: "eth0" not in s.daemon.run("ip", "link").stdout,
             "end of the tap")
    s.daemon.attach()
    s.check()


def starved(answer):
    """Whether somebody who asks waits for too long, or in vain."""
    return not answer or answer["rate"] < 20 or answer["p99"] > 150000


@pytest.mark.long
@each(*((p, f, n) for p, f in (("pasta", V4), ("passt", V6))
        for n in ("flood", "bulk")), names="name, fam, noise",
      more=("flood", "bulk"))
def test_noisy(service, name, fam, net, noise):
    """One flow as fast as it goes, datagrams or bytes, beside another that
    asks and waits for answers. The bridge that plays QEMU loses frames, anybody's,
    at what pasta's link still takes, where a virtual machine would slow the
    sender down: passt gets 30,000 datagrams a second."""
    s = service(name)
    secs = form(0.7, 10)

    def ask(kind):
        quiet = s.run(s.daemon.ns, "rr", kind, fam.far, s.port)
        time.sleep(secs)
        return quiet.finish()

    alone = ask("tcp")
    port = net.port()
    with net.far.sock(fam.af, socket.SOCK_DGRAM) as sink:
        sink.bind((fam.far, port))      # nobody answers, nobody refuses
        if noise == "flood":
            noisy = s.run(s.daemon.ns, "flood", fam.far, port, 1400,
                          0 if name == "pasta" else 30000)
        else:
            noisy = s.run(s.daemon.ns, "bulk", fam.far, s.port)
        time.sleep(0.2)
        for _ in range(4):              # other tests may be noisy, too
            tcp, udp = ask("tcp"), ask("udp")
            if not starved(tcp) and not starved(udp):
                break
        said = noisy.finish()
    s.check()
    rate = ("%.0f datagrams/s sent" % said["rate"] if noise == "flood" else
            "%.0f MB/s each way" % (said["got"] / said["seconds"] / 1e6))
    figure("noisy neighbour, %s, %s, %r" % (s.name, noise, fam),
           "%s; TCP beside it %d/s, p50 %d us, p99 %d us, max %d us (alone "
           "%d/s, p50 %d us, p99 %d us); UDP %d/s, p99 %d us, %d lost", rate,
           tcp["rate"], tcp["p50"], tcp["p99"], tcp["max"], alone["rate"],
           alone["p50"], alone["p99"], udp["rate"], udp["p99"], udp["lost"])
    assert not starved(tcp) and not starved(udp)


@pytest.mark.parametrize("name", ("pasta", "passt"))
def test_pings(service, name):
    """Pings of both families beside bulk of both: none is lost, though nobody
    sends it again while TCP takes whatever room there is."""
    s = service(name)
    n = form(300, 3000)
    bulks = [s.run(s.daemon.ns, "bulk", fam.far, s.port) for fam in FAMILIES]
    # the status is that of a loss, which is looked at below
    said = [s.daemon.run("ping", "-n", "-q", "-c", n, "-i", "0.005", "-W", "5",
                         fam.far, check=False).stdout for fam in FAMILIES]
    moved = [b.finish() for b in bulks]
    pings = [re.search(r"(\d+) received.*= [\d.]+/([\d.]+)/([\d.]+)", text,
                       re.DOTALL) for text in said]
    assert all(pings), said
    figure("pings beside bulk, %s" % s.name,
           "%s; %.0f MB/s of bulk each way",
           ", ".join("%r: %s of %d, %s ms on average, %s at most" %
                     (fam, p[1], n, p[2], p[3])
                     for fam, p in zip(FAMILIES, pings)),
           sum(m["got"] / m["seconds"] for m in moved) / 1e6)
    assert all(m["got"] > 10e6 for m in moved), moved
    assert [int(p[1]) for p in pings] == [n, n], said


@pytest.mark.parametrize("name", ("pasta", "passt"))
@pytest.mark.parametrize("fam", FAMILIES, ids=repr)
def test_policy(service, name, fam):
    """Who feeds us keeps the CPU while one flow is busy, if nobody else wants it:
    on a machine that has others to serve it may take a while until that is so.
    Afterwards all is as usual."""
    s = service(name)
    policy = functools.partial(os.sched_getscheduler, s.daemon.pid)
    assert policy() == os.SCHED_OTHER
    # bulk has breaks, when other tests have the CPUs
    busy = s.run(s.daemon.ns, "rr", "tcp", fam.far, s.port)
    wait_for(lambda: policy() == os.SCHED_BATCH, "being alone", 60)
    assert busy.finish()["rate"] > 0
    wait_for(lambda: policy() == os.SCHED_OTHER, "being as usual", 5)
    assert s.daemon.run("ping", "-n", "-c", "1", "-W", "10", fam.far)
    assert policy() == os.SCHED_OTHER


@pytest.mark.long
@pytest.mark.parametrize("name", ("pasta", "passt"))
def test_mixed(service, name):
    """Connections, flows, bulk, pings of both families for a while (10
    minutes in the long form): memory stays as it is."""
    s = service(name)
    secs = form(4, 600)
    # one flow alone is read in longer batches, into memory not touched before
    alone = s.run(s.daemon.ns, "bulk", V4.far, s.port)
    time.sleep(0.5)
    alone.finish()
    bulks = [s.run(s.daemon.ns, "bulk", fam.far, s.port) for fam in FAMILIES]
    begin, rss, rounds = time.monotonic(), [], 0
    while time.monotonic() - begin < secs:
        for fam in FAMILIES:
            for kind, n in (("tcp", 200), ("udp", 200)):
                crowd, opened = s.crowd(kind, fam, n)
                answer = crowd.round()
                crowd.close()
                assert opened["done"] == answer["done"] == n, \
                    (kind, fam, opened, answer)
            s.daemon.run("ping", "-n", "-c", "1", "-W", "10", fam.far)
        rounds += 1
        rss.append(s.usage.rss())
    moved = sum(b.finish()["got"] for b in bulks)
    s.check()
    # those of pings live for a minute
    s.usage.back(form(10, 90), slack=form(2 * rounds + 2, 2))
    # what is touched by the first rounds is all there is
    warm = max(rss[:max(1, len(rss) // 3)])
    figure("mixed traffic, %s" % s.name,
           "%.0f s: %d rounds of 800 connections and flows, %.1f GB of bulk; "
           "resident %d KiB at first, at most %d in the first third and %d "
           "afterwards", time.monotonic() - begin, rounds, moved / 1e9, rss[0],
           warm, max(rss))
    assert max(rss) < warm + 512


@each()
@pytest.mark.long
def test_log_flood(service, name, fam):
    """A guest that provokes messages cannot fill the log."""
    s = service(name, "--debug")

    def size():
        with open(s.log(), "rb") as f:
            return f.read().count(b"\n")
    crowd, _ = s.crowd("tcp", fam, 1)
    crowd.close()
    lines, begin = size(), time.monotonic()
    # nobody listens there: each is refused, with a message
    n = form(2000, CONNS)
    refused = s.run(s.daemon.ns, "tcp", fam.far, 9, n).answer()
    assert refused["failed"] == n, refused
    # MAC and IP addresses that change with each frame, segments of nothing
    s.run(s.daemon.ns, "syn", "eth0", gateway_mac(s, fam), SPOOFED[fam.num],
          fam.far, 9, n).answer()
    took = time.monotonic() - begin
    s.check()
    lines = size() - lines
    figure("log flood, %s, %r" % (s.name, fam),
           "%d refused connections: %d lines in %.1f s", 2 * n, lines, took)
    # a few sites, 5 lines each a second, and one on how many were kept back
    assert lines < 60 * (took + 2)
