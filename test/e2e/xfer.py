# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic: bulk data with digests, echo servers for many peers."""

import hashlib
import os
import selectors
import socket
import threading
import time

CHUNK = 1 << 18


class Task(threading.Thread):
    """A function in a thread; result() joins and passes exceptions on."""

    def __init__(self, func, *args):
        super().__init__(daemon=True)
        self._func, self._args = func, args
        self._value = self._error = None
        self.start()

    def run(self):
        try:
            self._value = self._func(*self._args)
        except BaseException as e:          # handed to the caller below
            self._error = e

    def result(self, timeout=120):
        """What the function returned or raised."""
        self.join(timeout)
        if self.is_alive():
            raise AssertionError("task not done within %d s" % timeout)
        if self._error:
            raise self._error
        return self._value


_block = None


def block():
    """A megabyte that does not repeat, the same each time."""
    global _block
    if _block is None:
        _block = os.urandom(1 << 20)
    return _block


def send_bulk(s, nbytes):
    """Send nbytes, no two megabytes alike. Return: SHA-256 of them."""
    digest = hashlib.sha256()
    sent = 0
    while sent < nbytes:
        data = sent.to_bytes(8, "big") + block()
        data = data[:min(len(data), nbytes - sent)]
        digest.update(data)
        s.sendall(data)
        sent += len(data)
    return digest.hexdigest()


def recv_bulk(s, nbytes=None):
    """Receive to EOF, or nbytes. Return: SHA-256, count."""
    digest = hashlib.sha256()
    got = 0
    while nbytes is None or got < nbytes:
        want = CHUNK if nbytes is None else min(CHUNK, nbytes - got)
        data = s.recv(want)
        if not data:
            break
        digest.update(data)
        got += len(data)
    return digest.hexdigest(), got


def bulk_both_ways(a, b, nbytes, seconds=120, meanwhile=None):
    """So many bytes from each end of a connection to the other, at once: all
    must come within so many seconds. Return: seconds it took."""
    began = time.monotonic()
    sent = [Task(send_bulk, s, nbytes) for s in (a, b)]
    got = [Task(recv_bulk, s, nbytes) for s in (b, a)]
    if meanwhile:
        meanwhile()
    for s, g in zip(sent, got):
        assert g.result(seconds) == (s.result(60), nbytes)
    return time.monotonic() - began


class Echo:
    """Answers everything on TCP connections of a listener, or on a datagram
    socket, until stopped. Counts what it saw."""

    def __init__(self, s):
        self._s = s
        self._stop_r, self._stop_w = os.pipe()
        self._sel = selectors.DefaultSelector()
        s.setblocking(False)
        self._sel.register(s, selectors.EVENT_READ)
        self._sel.register(self._stop_r, selectors.EVENT_READ)
        self.peers = set()
        self.conns = set()
        self._task = Task(self._loop)

    def _loop(self):
        while True:
            for key, _ in self._sel.select():
                if key.fd == self._stop_r:
                    return
                if key.fileobj is not self._s:
                    self._stream(key.fileobj)
                elif self._s.type == socket.SOCK_DGRAM:
                    self._datagrams()
                else:
                    self._accept()

    def _accept(self):
        try:
            while True:
                conn, peer = self._s.accept()
                conn.settimeout(30)
                self.peers.add(peer)
                self.conns.add(conn)
                self._sel.register(conn, selectors.EVENT_READ)
        except BlockingIOError:
            pass

    def _datagrams(self):
        try:
            while True:
                data, peer = self._s.recvfrom(65535)
                self.peers.add(peer)
                self._s.sendto(data, peer)
        except (BlockingIOError, ConnectionRefusedError):
            pass

    def _stream(self, conn):
        try:
            data = conn.recv(CHUNK)
            if data:
                conn.sendall(data)
        except ConnectionError:
            data = b""
        if not data:
            self._sel.unregister(conn)
            self.conns.discard(conn)
            conn.close()

    def stop(self):
        """End the thread, close all."""
        os.write(self._stop_w, b"x")
        self._task.result(10)
        self._sel.close()
        for s in (self._s, *self.conns):
            s.close()
        os.close(self._stop_r)
        os.close(self._stop_w)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def recv_exact(s, n):
    """Exactly n bytes, or fail."""
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        if not part:
            raise AssertionError("EOF after %d of %d bytes" % (len(data), n))
        data += part
    return data
