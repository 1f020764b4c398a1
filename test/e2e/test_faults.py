# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults: system calls that fail, peers and guests that die or stand still, links
that do not take more. What was under way arrives whole or ends with an error,
and the service is there afterwards, with nothing left open."""

import itertools
import os
import signal
import socket
import subprocess
import time

import pytest

from crowd import STATS, Service, quick_udp
from figures import figure, form
from path import RESET, PasstIn, PasstOut, SpliceIn, SpliceOut, TapIn, TapOut
from procs import children, wait_for
from topology import FAMILIES, V4, V6
from xfer import Task, bulk_both_ways, send_bulk

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

MIB = 1 << 20
NO_MEMORY = ",".join("%s:%d:%s" % (call, permille, err)
                     for call, permille in (("socket", 20), ("connect", 10),
                                            ("accept4", 50), ("sendmsg", 50),
                                            ("sendmmsg", 50), ("recvmsg", 50),
                                            ("recvmmsg", 50), ("recv", 20),
                                            ("epoll_ctl", 10), ("write", 10),
                                            ("setsockopt", 5), ("bind", 5))
                     for err in ("ENOBUFS", "ENOMEM"))
NO_PIPE = ("splice:40:ENOMEM,splice:40:EINTR,pipe2:300:EMFILE,pipe2:300:ENFILE,"
           "epoll_ctl:10:ENOMEM,socket:20:ENOBUFS,accept4:50:ENOMEM")


@pytest.fixture(scope="module", autouse=True)
def patience(net):
    """What ends by time ends soon."""
    quick_udp(net)


@pytest.fixture
def service(net, start, procs, load):
    """Factory: a program with echo servers in far -> Service."""
    def make(name, *opts, **kw):
        s = Service(procs, load, net, start[name](*STATS, *opts, **kw))
        s.name = name
        return s
    return make


def failures(pid, log, settle):
    """How many calls failed so far, as a program with fail points tells."""
    os.kill(pid, signal.SIGUSR2)
    settle()
    with open(log, encoding="utf-8") as f:
        return sum(int(line.split()[3]) for line in f
                   if line.startswith("failpoint:"))


def each(*bounded, names, more):
    """Parametrize by those given; in the long form by all combinations."""
    return pytest.mark.parametrize(
        names, form(bounded, list(itertools.product(*more))),
        ids=lambda v: getattr(v, "name", None) or repr(v).strip("'"))


@pytest.mark.long
@each((TapOut, V4, 1), (PasstOut, V6, 1), names="kind, fam, seed",
      more=((TapOut, PasstOut), FAMILIES, range(1, 9)))
def test_no_memory(kind, fam, net, start, procs, load, failing, seed):
    """Calls fail with ENOBUFS and ENOMEM, each some of a hundred times: an open
    connection loses nothing, new ones may fail, and all is well afterwards."""
    def begin(*opts):
        return start[kind.program](
            *STATS, *opts, programs=failing, user="root",
            prefix=("env", "PASST_FAIL=" + NO_MEMORY,
                    "PASST_FAIL_SEED=%d" % seed))
    path = kind(fam, net, {kind.program: begin})
    s = Service(procs, load, net, path.daemon)
    client, server = path.pair()
    os.kill(path.daemon.pid, signal.SIGRTMIN)
    nbytes = form(4, 64) * MIB
    with client, server:
        took = bulk_both_ways(client, server, nbytes, form(60, 300))
    crowd, opened = s.crowd("tcp", fam, 200)
    answer = crowd.round()
    udp, _ = s.crowd("udp", fam, 200)
    datagrams = udp.round()
    os.kill(s.pid, signal.SIGRTMIN)
    crowd.close()
    udp.close()
    s.check()
    s.usage.back()
    failed = failures(s.pid, s.log(), s.check)
    figure("no memory, %s, %r, seed %d" % (path.name, fam, seed),
           "%d calls failed; 2 x %d MiB whole in %.1f s; %d of 200 "
           "connections opened, %d echoed; %d of 200 datagrams (%d repeated)",
           failed, nbytes // MIB, took, opened["done"], answer["done"],
           datagrams["done"], datagrams["repeated"])
    assert failed > 50
    assert answer["done"] > 100 and answer["wrong"] == 0
    assert datagrams["done"] > 100 and datagrams["wrong"] == 0


def ping_pong(path, listener, number=itertools.count()):
    """A connection of its own carries a word there and back. Return: did it?
    Those that were given up may have to be accepted first, what they sent too."""
    mine = b"%08d" % next(number)
    try:
        with path.connect() as client:
            client.settimeout(10)
            client.sendall(mine)
            word = b""
            while word != mine:
                server, _ = listener.accept()
                with server:
                    server.settimeout(10)
                    word = server.recv(len(mine), socket.MSG_WAITALL)
                    if word == mine:
                        server.sendall(word[::-1])
            return client.recv(len(mine), socket.MSG_WAITALL) == mine[::-1]
    except OSError:
        return False


@pytest.mark.long
@each((SpliceIn, V4, 1), (SpliceOut, V6, 1), names="kind, fam, seed",
      more=((SpliceIn, SpliceOut), FAMILIES, range(1, 9)))
def test_no_pipe(kind, fam, net, start, failing, seed):
    """Past the tap: splice(2) and pipe2(2) fail, among others. What is open
    loses nothing, new connections may fail, and all is well afterwards."""
    def begin(*opts):
        return start["pasta"](
            *STATS, *opts, programs=failing, user="root",
            prefix=("env", "PASST_FAIL=" + NO_PIPE,
                    "PASST_FAIL_SEED=%d" % seed))
    path = kind(fam, net, {"pasta": begin})
    daemon = path.daemon
    client, server = path.pair()
    fds = len(os.listdir("/proc/%d/fd" % daemon.pid))
    os.kill(daemon.pid, signal.SIGRTMIN)
    nbytes = form(16, 256) * MIB
    with client, server:
        bulk_both_ways(client, server, nbytes, form(60, 300))
    with path.listen() as listener:
        listener.settimeout(2)
        good = sum(ping_pong(path, listener) for _ in range(form(20, 100)))
        os.kill(daemon.pid, signal.SIGRTMIN)
        failed = failures(daemon.pid, daemon.log,
                          lambda: [ping_pong(path, listener)
                                   for _ in range(5)])
        assert all(ping_pong(path, listener) for _ in range(20))
    wait_for(lambda: len(os.listdir("/proc/%d/fd" % daemon.pid)) <= fds + 64)
    figure("no pipes, %s, %r, seed %d" % (path.name, fam, seed),
           "%d calls failed; 2 x %d MiB whole, %d of %d new connections "
           "served meanwhile", failed, nbytes // MIB, good, form(20, 100))
    assert failed > 10 and good > 0


@pytest.mark.long
@each((TapOut, V4, "client"), (TapIn, V6, "client"), (PasstOut, V6, "server"),
      (PasstIn, V4, "server"), names="kind, fam, victim",
      more=((TapOut, TapIn, PasstOut, PasstIn), FAMILIES,
            ("client", "server")))
def test_peer_killed(kind, fam, net, start, procs, load, victim):
    """The process at one end of a transfer is killed: the other learns of it
    within seconds, nothing stays open."""
    path = kind(fam, net, {kind.program: lambda *o: start[kind.program](
        *STATS, *o)})
    s = Service(procs, load, net, path.daemon)
    client, server = path.pair()
    dies, stays = (client, server) if victim == "client" else (server, client)
    # a process that has the only descriptor of its end
    proc = procs.start(["sleep", "1000"], pass_fds=[dies.fileno()])
    dies.close()
    sent = 0
    stays.settimeout(0.5)
    try:
        while True:
            sent += stays.send(bytes(MIB))
    except TimeoutError:
        pass
    stays.settimeout(10)
    proc.kill()
    proc.wait()
    began = time.monotonic()
    with pytest.raises(OSError) as e:
        while True:
            stays.sendall(bytes(MIB))
    took = time.monotonic() - began
    stays.close()
    assert e.value.errno in RESET
    s.usage.back(5)
    s.check()
    figure("peer killed, %s, %s, %r" % (path.name, victim, fam),
           "%.1f MiB on their way, the other end knew after %.3f s",
           sent / MIB, took)
    assert took < 5


@pytest.mark.long
@each((TapIn, V4), (PasstIn, V6), names="kind, fam",
      more=((TapIn, PasstIn), FAMILIES))
def test_receiver_stopped(kind, fam, net, start, procs, load):
    """The program in the guest stands still for 3 s in the middle of a
    transfer, and goes on: it gets all; nobody works meanwhile."""
    path = kind(fam, net, {kind.program: lambda *o: start[kind.program](
        *STATS, *o)})
    s = Service(procs, load, net, path.daemon)
    client, server = path.pair()
    with client, server:
        server.setblocking(True)
        proc = procs.start(["sha256sum"], stdin=server.fileno(),
                           stdout=subprocess.PIPE)
        os.kill(proc.pid, signal.SIGSTOP)
        send = Task(send_bulk, client, 48 * MIB)
        time.sleep(0.5)
        cpu = s.usage.cpu()
        time.sleep(2.5)
        cpu = s.usage.cpu() - cpu
        s.check()                       # others are served meanwhile
        os.kill(proc.pid, signal.SIGCONT)
        began = time.monotonic()
        digest = send.result(30)
        client.shutdown(socket.SHUT_WR)
        server.close()
        assert proc.stdout.readline().split()[0].decode() == digest
        took = time.monotonic() - began
    s.usage.back(5)
    figure("guest stopped for 3 s, %s, %r" % (path.name, fam),
           "%.2f s of processor meanwhile; the rest of 48 MiB in %.2f s", cpu,
           took)
    assert cpu < 0.1 and took < 10


@pytest.mark.long
@each(("pasta", V6), ("passt", V4), names="name, fam",
      more=(("pasta", "passt"), FAMILIES))
def test_queue_full(name, fam, service, net):
    """Nobody takes what is for the guest, or what is from it: the bridge that
    plays QEMU, or pasta itself, stands still while all queues fill."""
    s = service(name)
    pids = [s.pid]
    if name == "passt":         # one process of the bridge for each way
        pids = [s.daemon.proc.pid, *children(s.daemon.proc.pid)]
        assert len(pids) == 2
    bulk = s.run(s.daemon.ns, "bulk", fam.far, s.port)
    flood = s.run(s.daemon.ns, "flood", fam.far, s.port, 1400, 0)
    time.sleep(0.3)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(1.5)
    cpu = s.usage.cpu()
    time.sleep(0.5)
    cpu = s.usage.cpu() - cpu
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    said = flood.finish()
    moved = bulk.finish()
    s.check()
    s.usage.back()
    counters = s.counters()
    figure("tap queue full, %s, %r" % (name, fam),
           "stopped for 2 s under %d datagrams and %d MB: blocked %d times, "
           "%d frames dropped; %.2f s of processor in half a second of that",
           said["sent"], moved["got"] / 1e6, counters.get("tap.tx_blocked", 0),
           counters.get("tap.tx_dropped", 0) +
           counters.get("udp.tap_dropped", 0), cpu)
    assert cpu < 0.1


@pytest.mark.long
def test_guest_killed(service, net):
    """50 times: the program that plays QEMU is killed in the middle of traffic,
    another one takes its place. What the guest had open comes to its end, new
    connections work at once."""
    s = service("passt")
    times = []
    for i in range(50):
        fam = FAMILIES[i % 2]
        bulk = s.run(s.daemon.ns, "bulk", fam.far, s.port)
        time.sleep(0.02)
        s.daemon.proc.kill()
        s.daemon.proc.wait()
        bulk.proc.kill()
        bulk.proc.wait()
        wait_for(lambda: "eth0" not in s.daemon.run("ip", "link").stdout,
                 "end of the tap")
        began = time.monotonic()
        s.daemon.attach(look=False)
        s.once("tcp", fam)
        times.append(time.monotonic() - began)
    s.check()
    fds, rss = s.usage.fds(), s.usage.rss()
    s.usage.back(30)
    figure("guest killed 50 times", "serves again after %.3f s at most; %d "
           "descriptors before, %d right after, %d now; resident %d KiB "
           "before, %d after", max(times), s.usage.fds0, fds, s.usage.fds(),
           s.usage.rss0, rss)
    assert max(times) < 5
