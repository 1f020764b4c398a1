# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of load and faults share: the program of test/load, a look at what
the daemon uses, and the question whether it still serves."""

import json
import os
import re
import resource
import select
import signal
import subprocess
import time

from procs import wait_for
from topology import FAMILIES


def file_limit():
    """Descriptors a program may have: some more than any crowd needs, or what
    this system allows."""
    words = ["prlimit", "--nofile=65536:65536", "true"]
    if not subprocess.run(words, check=False, capture_output=True).returncode:
        return 65536
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


LIMIT = file_limit()
FILES = ("prlimit", "--nofile=%d:%d" % (LIMIT, LIMIT), "--")
STATS = ("-f", "--stats", "1")


class Load:
    """One running test/load/load."""

    def __init__(self, procs, prog, ns, *args, ready=False):
        self.proc = procs.start([*FILES, prog, *map(str, args)], ns=ns,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if ready:
            assert self.line() == "ready\n"

    def line(self, timeout=120):
        """The next line it says."""
        poll = select.poll()            # knows descriptors above 1023
        poll.register(self.proc.stdout, select.POLLIN)
        if not poll.poll(timeout * 1000):
            raise AssertionError("load tool says nothing")
        return self.proc.stdout.readline().decode()

    def answer(self, timeout=120):
        """The next line it says, as what it means."""
        line = self.line(timeout)
        assert line, "load tool ended with status %s" % self.proc.wait(10)
        return json.loads(line)

    def round(self):
        """Have each of a crowd send and receive. Return: answer"""
        self.proc.stdin.write(b"round\n")
        self.proc.stdin.flush()
        return self.answer()

    def finish(self):
        """End its input. Return: what it then says, None for a crowd"""
        self.proc.stdin.close()
        line = self.line()
        self.proc.wait(30)
        self.proc.stdout.close()
        self.proc.stdin = self.proc.stdout = None
        return json.loads(line) if line else None

    def close(self):
        """End a crowd."""
        assert self.finish() is None


class Usage:
    """Descriptors and memory of a process, compared with what they were."""

    def __init__(self, pid):
        self.pid = pid
        self.fds0, self.rss0 = self.fds(), self.rss()

    def fds(self):
        """Open descriptors."""
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def rss(self):
        """Resident memory, KiB."""
        with open("/proc/%d/status" % self.pid, encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def cpu(self):
        """Processor time used so far, seconds."""
        with open("/proc/%d/stat" % self.pid, encoding="ascii") as f:
            words = f.read().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def back(self, timeout=20, slack=0):
        """Wait until as many descriptors are open as in the beginning."""
        wait_for(lambda: self.fds() <= self.fds0 + slack,
                 "return to %d descriptors, %d now" %
                 (self.fds0, self.fds()), timeout)


def quick_udp(net):
    """UDP flows of daemons started from now on live for a second, not for half
    a minute, so that a test can see their end."""
    net.host.sysctl(netfilter__nf_conntrack_udp_timeout=1,
                    netfilter__nf_conntrack_udp_timeout_stream=1)


class Service:
    """A daemon between its guest and echo servers in far."""

    def __init__(self, procs, prog, net, daemon):
        self.procs, self.prog, self.net = procs, prog, net
        self.daemon, self.pid = daemon, daemon.pid
        self.port = self.serve()
        self.check()
        self.usage = Usage(self.pid)

    def run(self, ns, *args, **kw):
        """Start the load tool."""
        return Load(self.procs, self.prog, ns, *args, **kw)

    def serve(self):
        """Echo servers on a new port of far: the kernel is slow to find ports
        if more than 32768 connections to one destination are there, those in
        TIME_WAIT included. Return: port"""
        port = self.net.port()
        for fam in FAMILIES:
            self.run(self.net.far, "serve", fam.far, port, ready=True)
        return port

    def crowd(self, kind, fam, n, port=None):
        """n connections or flows of the guest. Return: it, answer to open"""
        crowd = self.run(self.daemon.ns, kind, fam.far, port or self.port, n)
        return crowd, crowd.answer()

    def once(self, kind, fam, timeout=10):
        """One connection, one datagram there and back."""
        crowd, answer = self.crowd(kind, fam, 1)
        assert answer["done"] == 1, answer
        answer = crowd.round()
        crowd.close()
        assert answer["done"] == 1 and not answer["wrong"], answer
        assert answer["seconds"] < timeout, answer

    def check(self, patience=10):
        """Does it serve? TCP, UDP, ping, in both families. patience: seconds
        until it does again"""
        assert self.daemon.running(), self.daemon.text()
        for fam in FAMILIES:
            self.daemon.run("ping", "-n", "-c", "1", "-w", patience, fam.far)
            self.once("tcp", fam)
            self.once("udp", fam)

    def counters(self):
        """What --stats said so far, by name."""
        time.sleep(1.1)                 # the least time between two lines
        self.daemon.run("ping", "-n", "-c", "1", "-w", "10", FAMILIES[0].far)
        values = {}
        with open(self.log(), encoding="utf-8", errors="replace") as f:
            for line in f:
                if line.startswith("counters:"):
                    values.update((k, int(v)) for k, v in
                                  re.findall(r"([\w.]+)=(\d+)", line))
        return values

    def log(self):
        """Path of the daemon's log."""
        return getattr(self.daemon, "log", None) or self.daemon.passt.log

    def stop(self):
        """Let the daemon stand still."""
        os.kill(self.pid, signal.SIGSTOP)

    def go(self):
        """And go on."""
        os.kill(self.pid, signal.SIGCONT)
