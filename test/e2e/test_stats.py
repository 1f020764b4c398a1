# SPDX-License-Identifier: GPL-2.0-or-later
"""What it is doing, told on SIGUSR1 and with --stats: what was sent is what was
counted, and who asks, however often, keeps nobody waiting."""

import json
import os
import re
import signal
import socket
import time

import pytest

from crowd import FILES, Service
from daemon import NO_PORTS
from procs import wait_for
from test_process import Launch, blocked
from topology import FAMILIES, V4

NAMES = pytest.mark.parametrize("name", ["pasta", "passt"])
FLOWS = 3000
SHOWN = 32


def objects(path):
    """All JSON in a log, each of which is a line."""
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f
                if line.startswith("{") and line.endswith("\n")]


def log_of(d):
    """Path of a daemon's standard error."""
    return getattr(d, "log", None) or d.passt.log


def ask(d):
    """The answer to one signal."""
    return ask_pid(d.pid, log_of(d))


def ask_pid(pid, log):
    """The same, of any process with a log."""
    def whole():
        """All so far, in a list; empty if a full file is just being cut."""
        try:
            return [objects(log)]
        except json.JSONDecodeError:
            return []
    before = wait_for(whole, "whole lines")
    os.kill(pid, signal.SIGUSR1)
    return wait_for(lambda: whole() not in ([], before) and whole(),
                    "answer to SIGUSR1")[0][-1]


def connect(net, d, fam, port, data):
    """A connection out of the guest that sends and gets as much back.
    Return: both ends"""
    with net.far.sock(fam.af) as listener:
        listener.bind((fam.far, port))
        listener.listen()
        guest = d.ns.sock(fam.af)
        guest.connect((fam.far, port))
        far = listener.accept()[0]
    far.settimeout(30)
    for here, there in (guest, far), (far, guest):
        here.sendall(data)
        got = b""
        while len(got) < len(data):
            got += there.recv(65536)
        assert got == data
    return guest, far


@pytest.fixture
def quiet(net, start):
    """Factory: a program that speaks JSON, and what it said at first."""
    def make(name, *opts, **kw):
        d = start[name]("-f", "--quiet", "--stats-format", "json", *opts, **kw)
        return d, ask(d)
    return make


def grown(first, then, name):
    """By how much a counter grew."""
    return then["counters"][name] - first["counters"][name]


@NAMES
def test_traffic(net, quiet, fam, name):
    """Connections, bytes, datagrams, pings: as many as were sent. And those
    that are open are shown, with both ends."""
    d, first = quiet(name)
    assert first["program"] == name
    port, data = net.port(4), b"x" * 30000
    ends = [connect(net, d, fam, port + i, data) for i in range(3)]
    d.run("ping", "-n", "-c", "2", "-i", "0.2", "-w", "10", fam.far)
    with d.ns.sock(fam.af, socket.SOCK_DGRAM) as udp:
        udp.bind((fam.host, 0))
        udp.sendto(b"data", (fam.far, port + 3))    # nobody is there
        with pytest.raises(ConnectionRefusedError):
            udp.connect((fam.far, port + 3))
            udp.send(b"data")
            udp.recv(10)
    guest = d.ns.sock(fam.af)
    with pytest.raises(ConnectionRefusedError):
        guest.connect((fam.far, port + 3))
    guest.close()

    then = ask(d)
    assert then["uptime_ms"] > first["uptime_ms"]
    assert then["table"]["tcp"] == 3
    assert then["table"]["used"] == len(then["flows"])
    assert then["flows_more"] == 0
    assert sum(then["table"][k] for k in ("tcp", "tcp_splice", "udp",
                                          "ping")) == then["table"]["used"]
    assert grown(first, then, "tcp.opened_tap") == 4
    assert grown(first, then, "tcp.refused") == 1
    assert grown(first, then, "udp.flows") == 1
    assert grown(first, then, "udp.errors") >= 1
    assert grown(first, then, "icmp.flows") == 1
    for way in "rx", "tx":
        assert 90000 <= grown(first, then, "tap.%s_bytes" % way) < 120000
        assert grown(first, then, "tap.%s_frames" % way) >= 10
    assert grown(first, then, "tcp.retransmit") == 0
    assert then["events"]["signal"] == first["events"]["signal"] + 1

    local = {g.getsockname()[1] for g, _ in ends}
    tcp = [f for f in then["flows"] if f["type"] == "TCP"]
    assert {f["state"] for f in tcp} == {"ESTABLISHED"}
    for f in tcp:
        ini, tgt = f["initiator"], f["target"]
        assert (ini["pif"], tgt["pif"]) == ("guest", "host")
        assert ini["addr"] == fam.host and ini["port"] in local
        assert (ini["our_addr"], tgt["addr"]) == (fam.far, fam.far)
        assert ini["our_port"] == tgt["port"] in range(port, port + 3)
    for pair in ends:
        for s in pair:
            s.close()
    wait_for(lambda: not ask(d)["table"]["tcp"], "end of connections")


def test_interface(net, quiet):
    """Frames and bytes are those the interface of the namespace counted."""
    d, _ = quiet("pasta")
    for fam in FAMILIES:
        for pair in [connect(net, d, fam, net.port(), b"x" * 100000)]:
            for s in pair:
                s.close()

    def same():
        # a bystander's frames may come between both looks
        links = json.loads(d.run("ip", "-j", "-s", "link").stdout)
        kernel = [k["stats64"] for k in links if k["ifname"] == "eth0"][0]
        c = ask(d)["counters"]
        return all(c["tap.%s_frames" % ours] == kernel[theirs]["packets"] and
                   c["tap.%s_bytes" % ours] == kernel[theirs]["bytes"]
                   for ours, theirs in (("rx", "tx"), ("tx", "rx")))
    wait_for(same, "the same counters")


def swap(here, there, sizes):
    """Two sockets send data of these sizes to each other, one after the other,
    and have all of it in the end."""
    for src, dst, size in (here, there, sizes[0]), (there, here, sizes[1]):
        dst.settimeout(30)
        src.sendall(b"x" * size)
        while size:
            size -= len(dst.recv(min(size, 65536)))


def test_spliced(net, quiet, fam):
    """Bytes that go by loopback, both ways, of TCP and of UDP: as many as were
    sent, to the byte, by whichever side began. None of them is in a frame."""
    inside, outside = net.port(), net.port()
    d, first = quiet("pasta", "--host-lo-to-ns-lo", "-t", inside, "-u", inside,
                     "-T", outside, "-U", outside)
    # client, server, port, bytes to the server and back
    for client, server, port, up, down in (
            (net.host, d.ns, inside, 3000001, 70003),
            (d.ns, net.host, outside, 50005, 2000007)):
        before = ask(d)
        with server.sock(fam.af) as listener, client.sock(fam.af) as c:
            listener.bind((fam.loopback, port))
            listener.listen()
            c.connect((fam.loopback, port))
            with listener.accept()[0] as s:
                swap(c, s, (up, down))
        with server.sock(fam.af, socket.SOCK_DGRAM) as s, \
             client.sock(fam.af, socket.SOCK_DGRAM) as c:
            s.bind((fam.loopback, port))
            s.settimeout(30)
            c.connect((fam.loopback, port))
            c.send(b"first")
            s.connect(s.recvfrom(16)[1])
            for size in 1000, 1, 8000:
                swap(c, s, (size, 2 * size))
        then = ask(d)
        to_ns, to_host = (up, down) if server is d.ns else (down, up)
        assert grown(before, then, "tcp.splice_tx_bytes") == to_ns
        assert grown(before, then, "tcp.splice_rx_bytes") == to_host
        up, down = 5 + 9001, 2 * 9001
        to_ns, to_host = (up, down) if server is d.ns else (down, up)
        assert grown(before, then, "udp.splice_tx_bytes") == to_ns
        assert grown(before, then, "udp.splice_rx_bytes") == to_host
        assert grown(before, then, "tcp.spliced") == 1
        assert grown(before, then, "udp.spliced") == 1
    for way in "rx", "tx":
        assert grown(first, ask(d), "tap.%s_bytes" % way) < 50000


@NAMES
def test_dropped(quiet, fam, name):
    """What is not forwarded is counted, by reason: a protocol nobody has."""
    d, first = quiet(name)
    sock = d.ns.sock(fam.af, socket.SOCK_RAW, 253)  # RFC 3692
    with sock:
        for _ in range(5):
            sock.sendto(b"data", (fam.far, 0))

    wait_for(lambda: grown(first, ask(d), "ether.proto") == 5,
             "frames counted")


@NAMES
def test_rules(net, start, fam, name):
    """Rules are shown with the sockets that listen for them."""
    port = net.port(3)
    d = start[name]("-f", "-q", "--stats-format=json", "-t",
                    "%d-%d:80-82" % (port, port + 2), "-u", "%s/%d" %
                    (fam.host, port))
    said = ask(d)
    assert [r["listening"] for r in said["rules_host"]] == [3, 1]
    assert "TCP [*]:%d-%d" % (port, port + 2) in said["rules_host"][0]["rule"]
    assert "UDP [%s]:%d" % (fam.host, port) in said["rules_host"][1]["rule"]
    assert said["rules_splice"] == []


@NAMES
def test_text(net, start, fam, name):
    """Without --stats-format, or with its default, as a table."""
    for opts in [], ["--stats-format", "text"]:
        d = start[name]("-f", "-q", *opts)
        pair = connect(net, d, fam, net.port(), b"data")
        os.kill(d.pid, signal.SIGUSR1)
        text = wait_for(lambda d=d: "events:\n" in d.text() and d.text(),
                        "answer")
        assert re.match(name + r", \d+\.\d{3} s after start:\n", text)
        assert "\n  TCP                      1\n" in text
        assert re.search(r"^  TCP  ESTABLISHED  guest \[%s\]:\d+ <-> \[%s\]:"
                         r"\d+  host \[" % (fam.host, fam.far), text, re.M)
        assert re.search(r"^  tcp.opened_tap +1$", text, re.M)
        assert "no_fd" not in text
        for s in pair:
            s.close()


def test_format(net, start):
    """--stats with --stats-format json: objects in time, which show no flows;
    --stats-format with anything else is refused."""
    d = start["pasta"]("-f", "--stats", "1", "--stats-format", "json")

    def told():
        d.run("ping", "-n", "-c", "1", "-w", "10", V4.far)
        return [o for o in objects(d.log) if o["counters"]["icmp.flows"]]
    said = wait_for(told, "an object", step=0.1)
    assert "flows" not in said[0] and "table" in said[0]
    assert ask(d)["flows"] is not None
    with pytest.raises(AssertionError, match="Invalid --stats-format"):
        start["pasta"]("--stats-format", "xml")


@NAMES
def test_crowd(net, start, procs, load, fam, name):
    """With thousands of flows: the first are shown, all are counted, and those
    who ask again and again do not keep the others waiting."""
    d = start[name]("-f", "--stats-format", "json", prefix=FILES)
    s = Service(procs, load, net, d)
    crowd, opened = s.crowd("udp", fam, FLOWS)
    assert (opened["done"], opened["failed"]) == (FLOWS, 0), opened
    begin = time.monotonic()
    alone = crowd.round()
    said = ask(d)
    assert said["table"]["udp"] >= FLOWS
    assert len(said["flows"]) == SHOWN
    assert said["flows_more"] == said["table"]["used"] - SHOWN

    cpu, log = s.usage.cpu(), log_of(d)
    for _ in range(200):
        size = os.stat(log).st_size
        os.kill(d.pid, signal.SIGUSR1)
        wait_for(lambda was=size: os.stat(log).st_size > was, "answer", 20,
                 0.001)
    assert s.usage.cpu() - cpu < 1      # 5 ms each, with all around it
    with_questions = crowd.round()
    for r in alone, with_questions:
        assert (r["done"], r["wrong"]) == (FLOWS, 0), r
    assert time.monotonic() - begin < 60
    crowd.close()


def test_reader_stalls(net, procs, bindir, tmp):
    """Nobody reads standard error, a pipe: the guest is served all the same,
    and what is read later is whole."""
    os.chmod(tmp, 0o777)
    r, w = os.pipe()
    p = procs.start([bindir + "/pasta", "-f", "-q", "--stats-format", "json",
                     "--config-net", *NO_PORTS, "--", "sh", "-c",
                     "while :; do ping -n -c 1 -w 5 %s || break; done 2>&1"
                     % V4.far], ns=net.host, user="user", stderr=w, stdout=-1)
    os.close(w)
    assert p.stdout.readline().startswith(b"PING")
    for _ in range(300):
        os.kill(p.pid, signal.SIGUSR1)
        time.sleep(0.002)
    for _ in range(5):
        while b"0% packet loss" not in p.stdout.readline():
            assert p.poll() is None
    os.kill(p.pid, signal.SIGTERM)
    p.wait(10)
    with os.fdopen(r, encoding="utf-8") as f:
        lines = f.read().split("\n")
    assert len(lines) > 5               # the last may not be whole
    for line in lines[:-1]:
        assert json.loads(line)["program"] == "pasta"


@pytest.fixture
def launch(net, bindir, procs, tmp):
    os.chmod(tmp, 0o777)
    return Launch(net, bindir, procs, tmp)


@NAMES
def test_log_file(launch, name):
    """In background, to the log file, between the other lines, as much of it as
    the file may have."""
    log, size = launch.tmp + "/log", 40960
    pid, _ = launch.background(name, "--log-file", log, "--log-size", size,
                               "--stats-format", "json")
    for _ in range(100):
        was = os.stat(log).st_mtime_ns
        os.kill(pid, signal.SIGUSR1)
        wait_for(lambda: os.stat(log).st_mtime_ns > was, "answer")
        assert os.stat(log).st_size <= size
    assert ask_pid(pid, log)["program"] == name
    with open(log, encoding="utf-8") as f:
        assert re.match(name + " .*, truncated at ", f.readline())


@NAMES
@pytest.mark.parametrize("background", [False, True], ids=["fore", "back"])
def test_early(launch, name, background):
    """A signal that comes before all is set up waits, and is answered then."""
    fifo, log = launch.tmp + "/fifo", launch.tmp + "/log"
    os.mkfifo(fifo)
    os.chmod(fifo, 0o666)
    argv = launch.argv(name, "-P", fifo, "--log-file", log, "--stats-format",
                       "json", *([] if background else ["-f"]))
    p = launch.start(argv)
    # it cannot go on: nobody reads the FIFO
    wait_for(lambda: os.path.exists(log), "log file")
    assert blocked(p.pid) & 1 << signal.SIGUSR1 - 1
    os.kill(p.pid, signal.SIGUSR1)
    assert p.poll() is None
    with open(fifo, encoding="ascii") as f:
        pid = int(f.read())
    if background:
        assert p.wait(20) == 0
        launch.procs.adopt(pid)
        os.kill(pid, signal.SIGUSR1)    # the first one was for its parent
    wait_for(lambda: objects(log), "answer")
    assert objects(log)[0]["program"] == name
