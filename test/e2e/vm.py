# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtual machine without KVM, driven over its second serial port."""

import os
import re
import select
import socket
import struct
import subprocess
import threading
import time

from procs import wait_for


class Vm:
    """QEMU with the guest of test/guest at passt's socket.

    Another program than QEMU, such as a wrapper, gets its arguments without
    those of the network; ns: where it is started.
    """

    def __init__(self, procs, images, tmp, netdev=None,
                 program=("qemu-system-x86_64",), ns=None):
        self._buf = b""
        console = os.path.join(tmp, "console")
        self.log = os.path.join(tmp, "kernel.log")
        net = [] if not netdev else [
            "-netdev", "stream,id=n,server=off,addr.type=unix,addr.path=" +
            netdev,
            "-device", "virtio-net-pci,netdev=n,mac=52:54:00:12:34:56,"
            "romfile="]
        self.proc = procs.start(
            [*program, "-nodefaults", "-no-user-config",
             "-display", "none", "-accel", "tcg,thread=multi", "-m", "160",
             "-kernel", os.path.join(images, "vmlinuz"),
             "-initrd", os.path.join(images, "initramfs"),
             "-append", "console=ttyS0 quiet panic=-1 mitigations=off "
             "nokaslr tsc=unstable random.trust_cpu=on",
             "-serial", "file:" + self.log,
             "-chardev", "socket,id=c,server=on,wait=off,path=" + console,
             "-serial", "chardev:c",
             *net, "-no-reboot"], ns=ns, stdout=subprocess.DEVNULL,
            stderr=None)
        self.sock = socket.socket(socket.AF_UNIX)
        wait_for(lambda: self._connect(console), "console of QEMU")
        self._until(rb"<<ready>>\r?\n", 120)

    def _connect(self, path):
        assert self.proc.poll() is None, "QEMU ended"
        try:
            self.sock.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def _until(self, pattern, timeout):
        """Read to a pattern. Return: match object, text before it."""
        end = time.monotonic() + timeout
        while True:
            m = re.search(pattern, self._buf)
            if m:
                text = self._buf[:m.start()].decode(errors="replace")
                self._buf = self._buf[m.end():]
                return m, text.replace("\r", "")
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                with open(self.log, encoding="utf-8", errors="replace") as f:
                    log = f.read()[-1000:]
                raise AssertionError("guest says nothing; last: %r; kernel: "
                                     "%s" % (self._buf[-200:], log))
            data = self.sock.recv(65536)
            assert data, "QEMU ended"
            self._buf += data

    def start(self, command):
        """Send a command, do not wait for it."""
        self.sock.sendall(command.encode() + b"\n")

    def finish(self, check=True, timeout=60):
        """Wait for the command begun before. Return: what it printed."""
        m, text = self._until(rb"<<(\d+)>>\r?\n", timeout)
        if check and m.group(1) != b"0":
            raise AssertionError("status %s: %s" % (m.group(1), text))
        return text

    def run(self, command, check=True, timeout=60):
        """Run a shell command in the guest. Return: what it printed."""
        self.start(command)
        return self.finish(check, timeout)


class Relay:
    """Stands between QEMU and passt, and takes the place of QEMU's own
    "reconnect" where it is too old for that: passes whole frames on, and
    connects again when passt has been replaced."""

    def __init__(self, path, passt_path):
        self._passt_path = passt_path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(1)
        self._lock = threading.Condition()
        self._passt = self._qemu = None
        self._stop = False
        for loop in (self._upward, self._downward):
            threading.Thread(target=loop, daemon=True).start()

    @staticmethod
    def _frame(s):
        """One frame with its length; None at the end of the stream."""
        data = b""
        want = 4
        while len(data) < want:
            try:
                part = s.recv(want - len(data))
            except OSError:
                return None
            if not part:
                return None
            data += part
            if len(data) == want == 4:
                want += struct.unpack("!I", data)[0]
        return data

    def _upward(self):
        """QEMU to passt: what comes while there is no passt, is lost."""
        self._qemu = self._listener.accept()[0]
        while True:
            frame = self._frame(self._qemu)
            if frame is None:
                return
            with self._lock:
                passt = self._passt
            try:
                if passt:
                    passt.sendall(frame)
            except OSError:
                pass

    def _downward(self):
        """passt to QEMU; again and again."""
        while not self._stop:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(self._passt_path)
            except OSError:
                s.close()
                time.sleep(0.05)
                continue
            with self._lock:
                self._passt = s
            while True:
                frame = self._frame(s)
                if frame is None:
                    break
                try:
                    if self._qemu:
                        self._qemu.sendall(frame)
                except OSError:
                    break
            with self._lock:
                self._passt = None
            s.close()

    def close(self):
        """Close all sockets; the threads end."""
        self._stop = True
        for s in (self._listener, self._qemu, self._passt):
            if s:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()
