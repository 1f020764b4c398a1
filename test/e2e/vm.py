# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtual machines without KVM, driven over their second serial port."""

import os
import re
import select
import socket
import struct
import subprocess
import threading
import time

from procs import wait_for


KERNEL_ARGS = ("console=ttyS0 quiet panic=-1 mitigations=off nokaslr "
               "tsc=unstable random.trust_cpu=on")


def machine_args(images, console, log):
    """Options of QEMU, all but those of the network."""
    return ["-nodefaults", "-no-user-config", "-display", "none",
            "-accel", "tcg,thread=multi", "-m", "160",
            "-kernel", os.path.join(images, "vmlinuz"),
            "-initrd", os.path.join(images, "initramfs"),
            "-append", KERNEL_ARGS, "-serial", "file:" + log,
            "-chardev", "socket,id=c,server=on,wait=off,path=" + console,
            "-serial", "chardev:c", "-no-reboot"]


class Guest:
    """The guest of test/guest, whoever started it: orders by the socket of
    its second serial port, the kernel's messages in a file."""

    def __init__(self, console, log, running):
        """running: function that asks whether QEMU lives."""
        self._buf = b""
        self._running = running
        self.log = log
        self.sock = socket.socket(socket.AF_UNIX)
        wait_for(lambda: self._connect(console), "console of QEMU")
        self._until(rb"<<ready>>\r?\n", 120)

    def _connect(self, path):
        assert self._running(), "QEMU ended"
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

    def link_up(self):
        """Find the interface and set it up. Return: its name."""
        self.dev = self.run("ls /sys/class/net | grep -v lo").strip()
        self.run("ip link set %s up" % self.dev)
        return self.dev

    def dhcp(self):
        """Ask for an IPv4 address and set it."""
        self.run("udhcpc -i %s -f -q -n -t 10 -T 2 -s /etc/lease" % self.dev)

    def slaac(self):
        """Wait for the router, and for the end of duplicate address
        detection."""
        wait_for(lambda: "default via fe80:" in self.run("ip -6 route"),
                 "IPv6 default route", 30)
        wait_for(lambda: "tentative" not in self.run("ip -6 addr"),
                 "end of duplicate address detection", 30)

    def reaches(self, fam):
        """Whether far answers a ping; a few are sent at most."""
        out = self.run("ping%s -c 1 -W 2 %s" % (
            "6" if fam.num == 6 else "", fam.far), check=False)
        return "1 packets received" in out


class Vm(Guest):
    """QEMU of this machine with that guest at passt's socket.

    Another program than QEMU, such as a wrapper, gets its arguments without
    those of the network; ns: where it is started.
    """

    def __init__(self, procs, images, tmp, netdev=None,
                 program=("qemu-system-x86_64",), ns=None):
        console = os.path.join(tmp, "console")
        log = os.path.join(tmp, "kernel.log")
        net = [] if not netdev else [
            "-netdev", "stream,id=n,server=off,addr.type=unix,addr.path=" +
            netdev,
            "-device", "virtio-net-pci,netdev=n,mac=52:54:00:12:34:56,"
            "romfile="]
        self.proc = procs.start(
            [*program, *machine_args(images, console, log), *net], ns=ns,
            stdout=subprocess.DEVNULL, stderr=None)
        super().__init__(console, log, lambda: self.proc.poll() is None)


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
