# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP on every path: bulk, half close, reset, refusal, many connections."""

import errno
import json
import selectors
import socket
import struct
import time

import pytest

from path import PATHS, RESET
from procs import wait_for
from xfer import (Echo, Task, bulk_both_ways, recv_bulk, recv_exact,
                  send_bulk)

MIB = 1 << 20


def reset(s):
    """Close a socket so that the peer gets a RST."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def ends(path, direction):
    """Sender and receiver of a fresh connection."""
    client, server = path.pair()
    return (client, server) if direction == "up" else (server, client)


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["up", "down"])
def test_bulk(path, direction):
    """64 MiB arrive unchanged, then EOF."""
    sender, receiver = ends(path, direction)
    with sender, receiver:
        task = Task(recv_bulk, receiver)
        digest = send_bulk(sender, 64 * MIB)
        sender.shutdown(socket.SHUT_WR)
        assert task.result() == (digest, 64 * MIB)


@pytest.mark.slow
def test_bulk_duplex(path):
    """16 MiB both ways at once."""
    client, server = path.pair()
    with client, server:
        bulk_both_ways(client, server, 16 * MIB)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_half_close(path, direction):
    """What has been shut down for sending can still receive a megabyte."""
    first, second = ends(path, direction)
    with first, second:
        first.sendall(b"question")
        first.shutdown(socket.SHUT_WR)
        assert recv_bulk(second)[1] == len(b"question")
        task = Task(recv_bulk, first)
        digest = send_bulk(second, MIB)
        second.shutdown(socket.SHUT_WR)
        assert task.result() == (digest, MIB)


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["up", "down"])
def test_slow_reader(path, direction):
    """A full window closes and opens again; nothing is lost."""
    sender, receiver = ends(path, direction)
    total = 96 * MIB                # more than all buffers on the way
    with sender, receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)
        task = Task(send_bulk, sender, total)
        for _ in range(4):
            wait_for(lambda: _stuck(sender), "closed window")
            recv_exact(receiver, 65536)
        got = recv_bulk(receiver, total - 4 * 65536)[1]
        assert got == total - 4 * 65536
        task.result()


def _stuck(s):
    """Whether the send queue of a socket stays full for a moment."""
    sel = selectors.DefaultSelector()
    sel.register(s, selectors.EVENT_WRITE)
    try:
        return not sel.select(0.1)
    finally:
        sel.close()


@pytest.mark.parametrize("direction", ["up", "down"])
def test_reset(path, direction):
    """A RST travels to the other end."""
    first, second = ends(path, direction)
    with second:
        first.sendall(b"x")
        assert recv_exact(second, 1) == b"x"
        reset(first)
        with pytest.raises(OSError) as e:
            assert second.recv(1) != b"", "FIN instead of RST"
        assert e.value.errno in RESET


def test_refused(fam, net, pasta):
    """No server at a machine that lives: refused at once."""
    p = pasta()
    with p.ns.sock(fam.af) as s:
        begin = time.monotonic()
        with pytest.raises(ConnectionRefusedError):
            s.connect((fam.far, net.port()))
        assert time.monotonic() - begin < 1


def test_refused_inside(fam, net, pasta):
    """Forwarded port without a server inside: the peer gets a RST."""
    port = net.port()
    pasta("-t", port)
    with net.far.sock(fam.af) as s:
        s.bind((fam.far, 0))
        with pytest.raises(OSError) as e:
            s.connect((fam.host, port))
            s.recv(1)
        assert e.value.errno in RESET + (errno.ECONNREFUSED,)


def test_unreachable(fam, net, pasta):
    """The router says unreachable: the application hears of it quickly."""
    p = pasta()
    with p.ns.sock(fam.af) as s:
        begin = time.monotonic()
        with pytest.raises(OSError) as e:
            s.connect((fam.nowhere, net.port()))
        assert e.value.errno in (errno.ECONNREFUSED, errno.EHOSTUNREACH,
                                 errno.ENETUNREACH)
        assert time.monotonic() - begin < 5


def test_source_address(path):
    """Who the server believes it talks to."""
    client, server = path.pair()
    with client, server:
        want = {"tap-out": path.fam.host, "tap-in": path.fam.far,
                "splice-out": path.fam.loopback}.get(path.name)
        if want:
            assert path.seen[0] == want


def test_server_speaks_first(path):
    """A greeting reaches a client that has sent nothing."""
    client, server = path.pair()
    with client, server:
        server.sendall(b"hello")
        assert recv_exact(client, 5) == b"hello"


@pytest.mark.slow
def test_small_writes(path):
    """20,000 one-byte writes with Nagle off arrive in order."""
    client, server = path.pair()
    with client, server:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = Task(recv_exact, server, 20000)
        want = bytes(i % 251 for i in range(20000))
        for i in range(20000):
            client.send(want[i:i + 1])
        assert task.result() == want


@pytest.mark.slow
def test_one_after_another(path):
    """300 short connections in a row, none fails."""
    with Echo(path.listen()):
        for i in range(300):
            with path.connect() as s:
                s.sendall(b"%d" % i)
                s.shutdown(socket.SHUT_WR)
                assert s.recv(16) == b"%d" % i
                assert s.recv(16) == b""


@pytest.mark.slow
def test_many_connections(path):
    """2,000 connections at once; all of them echo, twice."""
    n = 2000
    with Echo(path.listen()) as echo:
        conns = [path.client_sock() for _ in range(n)]
        try:
            for s in conns:
                s.connect((path.dest, path.port))
            wait_for(lambda: len(echo.peers) >= n, "accepted connections", 60)
            for turn in range(2):
                for i, s in enumerate(conns):
                    s.sendall(b"%04d.%d" % (i, turn))
                for i, s in enumerate(conns):
                    assert recv_exact(s, 6) == b"%04d.%d" % (i, turn)
        finally:
            for s in conns:
                s.close()


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["up", "down"])
def test_iperf3(path, procs, direction):
    """No second passes without a byte."""
    # Ours: steady. Others stall in retransmission timeouts outbound.
    server = procs.start(["iperf3", "-s", "-1", "-p", path.port,
                          "-B", path.bind], ns=path.server, stdout=-3)
    wait_for(lambda: "LISTEN" in path.server.run(
        "ss", "-Htln", "sport = :%d" % path.port).stdout, "iperf3 server")
    bind = ["-B", path.source] if path.source else []
    out = path.client.run("iperf3", "-J", "-t", "3", "-c", path.dest, *bind,
                          "-p", path.port,
                          *(["-R"] if direction == "down" else [])).stdout
    report = json.loads(out)
    assert "error" not in report, report["error"]
    seconds = [i["sum"]["bytes"] for i in report["intervals"]]
    assert len(seconds) >= 3
    assert all(seconds), seconds
    server.wait(10)


@pytest.mark.slow
@pytest.mark.xdist_group("senders")
@pytest.mark.parametrize("name", ["tap-out", "passt-out"])
def test_no_stall(fam, net, start, name):
    """Four senders inside at a time, 30 transfers of 64 MiB each: none of
    them waits for one retransmission timer after the other."""
    # A transfer takes a fraction of a second, several where the machine is
    # busy. Where a daemon drops what a socket does not take at once, it is
    # a minute now and then.
    kind = next(p for p in PATHS if p.name == name)
    paths = [kind(fam, net, start) for _ in range(4)]

    def transfers(path):
        took = []
        for _ in range(30):
            begin = time.monotonic()
            client, server = path.pair()
            with client, server:
                task = Task(recv_bulk, server)
                digest = send_bulk(client, 64 * MIB)
                client.shutdown(socket.SHUT_WR)
                assert task.result() == (digest, 64 * MIB)
            took.append(time.monotonic() - begin)
        return took
    tasks = [Task(transfers, path) for path in paths]
    assert max(t for task in tasks for t in task.result(140)) < 20
