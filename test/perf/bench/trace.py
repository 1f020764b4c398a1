# SPDX-License-Identifier: GPL-2.0-or-later
"""What a process does with its time, as perf sees it.

samples  A timer of each CPU looks at the stack so many times a second. There
         need be no counters in hardware for that, but a sample is late where
         interrupts are off: it then shows the place where they are on again.
         So it cannot be trusted about functions. What is counted here is not
         in danger: which system call it was, which is the last frame but the
         entry's; whether a softirq had come on top; and copying of data,
         which is done with interrupts on.
calls    An event for each return from a system call. That takes time, so it
         is used for counts only.

Both look at all CPUs, and at the process afterwards: to follow it to where it
runs would make each switch to it much dearer.
"""

import os
import re
import signal
import subprocess

USER = "user mode"
ENTRY = "entry, exit"           # in the kernel, but in no system call
SWITCH = "giving way"           # the same, to another process
EVERYBODY = "everybody"         # all processes, and softirqs of idle CPUs
FREQUENCY = 2000
PAGES = "64M"           # of each CPU, so that nothing is written meanwhile
FIELDS = {"calls": "tid,event,trace", "samples": "pid,ip,sym"}
CALL = re.compile(r"NR (-?\d+) = (-?\d+)")
HANDLER = re.compile(r"(?:__[a-z0-9]+_|__|k)sys_(\w+)|do_(readv|writev)\b")
SCHEDULE = re.compile(r"_*schedule\b")
SOFTIRQ = re.compile(r"__do_softirq|handle_softirqs")
COPY = re.compile(r"_copy_(?:to|from)_iter\b")


class Failed(Exception):
    """perf did not do what it was asked for."""


class Bucket:
    """One system call, or what is no system call."""

    def __init__(self):
        self.samples = 0
        self.softirq = 0        # so many of them
        self.copying = 0
        self.calls = 0
        self.failed = 0
        self.returned = 0       # sum of what is no error

    def add(self, kernel):
        """Count a sample with these functions of the kernel on its stack."""
        self.samples += 1
        self.softirq += any(map(SOFTIRQ.match, kernel))
        self.copying += any(map(COPY.match, kernel))


class Buckets(dict):
    """Buckets by name, made when they are asked for."""

    def __missing__(self, name):
        self[name] = Bucket()
        return self[name]

    def plain(self):
        """As dictionaries, for JSON."""
        return {name: vars(bucket) for name, bucket in self.items()}


def from_calls(lines, _pid, names):
    """Count returns from system calls.

    names: of system calls, by number
    """
    buckets = Buckets()
    for line in lines:
        if "PERF_RECORD_LOST" in line:
            raise Failed("events were lost")
        match = CALL.search(line)
        if not match:
            continue
        number, result = map(int, match.groups())
        bucket = buckets[names.get(number, f"system call {number}")]
        bucket.calls += 1
        bucket.failed += result < 0
        bucket.returned += max(result, 0)
    return buckets


def where(kernel):
    """The bucket of a stack, of which these are the kernel's functions."""
    if not kernel:
        return USER
    handlers = [found.group(1) or found.group(2)
                for found in map(HANDLER.match, kernel) if found]
    if handlers:
        return handlers[-1]
    return SWITCH if any(map(SCHEDULE.match, kernel)) else ENTRY


def from_samples(lines, pid, _names):
    """Count stacks, one a paragraph: a PID, and frames, leaf first."""
    buckets, whose, kernel = Buckets(), None, []
    for line in lines:
        words = line.split()
        if "PERF_RECORD_LOST" in line:
            raise Failed("samples were lost")
        if words and whose is None:
            whose = int(words[0])
        elif words:
            # addresses in the upper half are the kernel's
            if len(words[0]) == 16 and words[0][0] in "89abcdef":
                kernel.append(words[1])
        elif whose is not None:
            if whose or any(map(SOFTIRQ.match, kernel)):
                buckets[EVERYBODY].add(kernel)
            if whose == pid:
                buckets[where(kernel)].add(kernel)
            whose, kernel = None, []
    return buckets


PARSERS = {"calls": from_calls, "samples": from_samples}


def system_calls():
    """Names of this machine's system calls, by number, from its headers."""
    out = subprocess.run(["cc", "-E", "-dM", "-"], check=True, text=True,
                         input="#include <sys/syscall.h>\n",
                         stdout=subprocess.PIPE).stdout
    return {int(number): name for name, number in
            re.findall(r"^#define __NR_(\w+) (\d+)$", out, re.M)}


class Perf:
    """perf that records, from start() to stop()."""

    def __init__(self, directory):
        self.data = directory / "perf.data"
        self.names = system_calls()
        self.mode = self.pid = self.proc = self.control = self.answer = None

    def start(self, pid, mode):
        """Return when perf does record."""
        theirs, self.control = os.pipe()
        self.answer, their_answer = os.pipe()
        self.mode, self.pid = mode, pid
        look = ["-e", "cpu-clock", "-F", str(FREQUENCY), "-g"]
        if mode == "calls":
            look = ["-e", "raw_syscalls:sys_exit", "--filter",
                    f"common_pid == {pid}"]
        self.proc = subprocess.Popen(
            ["perf", "record", "-q", "-o", self.data, "-m", PAGES, "-D", "-1",
             "--control", f"fd:{theirs},{their_answer}", "-a", *look],
            pass_fds=(theirs, their_answer), stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        os.close(theirs)
        os.close(their_answer)
        self.command("enable")

    def command(self, what):
        """Tell perf, and wait until it did that."""
        os.write(self.control, what.encode() + b"\n")
        if not os.read(self.answer, 16).startswith(b"ack"):
            raise Failed(f"perf: {self.proc.communicate()[1].strip()}")

    def stop(self):
        """Return: what was recorded, as buckets."""
        self.command("disable")
        self.proc.send_signal(signal.SIGINT)
        self.proc.communicate(timeout=60)
        os.close(self.control)
        os.close(self.answer)
        with subprocess.Popen(["perf", "script", "-i", self.data,
                               "--show-lost-events", "-F", FIELDS[self.mode]],
                              text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as script:
            buckets = PARSERS[self.mode](script.stdout, self.pid, self.names)
        self.data.unlink()
        if not buckets:
            raise Failed("perf recorded nothing")
        return buckets
