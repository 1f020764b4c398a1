# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes and deadlines: start, watch, wait, and end by PID what we began."""

import os
import select
import signal
import subprocess
import time

USER_ID = 4711          # an ordinary user; needs no entry in /etc/passwd
NOBODY_ID = 65534


def wait_for(cond, what="condition", timeout=20, step=0.005):
    """Poll until cond() is true and return its value; fail at the deadline."""
    end = time.monotonic() + timeout
    while True:
        value = cond()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("no %s within %s s" % (what, timeout))
        time.sleep(step)
        step = min(step * 1.5, 0.1)


def as_user(argv, user):
    """Prefix argv so that it runs as 'root', 'user', 'nobody' or
    'userns-root'."""
    argv = list(map(str, argv))
    uid = NOBODY_ID if user == "nobody" else USER_ID
    plain = ["setpriv", "--reuid=%d" % uid, "--regid=%d" % uid,
             "--clear-groups", "--inh-caps=-all", "--"]
    if user == "root":
        return argv
    if user in ("user", "nobody"):
        return plain + argv
    if user == "userns-root":
        return plain + ["unshare", "--user", "--map-root-user", "--"] + argv
    raise ValueError(user)


def run_checked(argv, check=True, timeout=60, **kw):
    """Run a program to its end. Return: as subprocess, with text stdout and
    stderr, which are in the failure if its status is to be checked."""
    kw.setdefault("stdin", subprocess.DEVNULL)
    res = subprocess.run(argv, text=True, timeout=timeout, check=False,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
    if check and res.returncode:
        raise AssertionError("%s: status %d\n%s%s" % (
            " ".join(map(str, argv)), res.returncode, res.stdout, res.stderr))
    return res


def alive(pid):
    """Whether the process exists and is no zombie."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii",
                  errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid):
    """PIDs of the direct children of a process."""
    pids = []
    try:
        for task in os.listdir("/proc/%d/task" % pid):
            path = "/proc/%d/task/%s/children" % (pid, task)
            with open(path, encoding="ascii") as f:
                pids += map(int, f.read().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return pids


def descendants(pid):
    """PIDs below a process, parents before children."""
    found = children(pid)
    for child in found:
        found += children(child)
    return found


def cmdline(pid):
    """Argument vector of a process, empty if it is gone."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().decode(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def pidfd_wait(pidfd, timeout):
    """Wait for the end of the process behind a pidfd. Return: ended."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


class Procs:
    """What a test started; end() leaves nothing of it behind."""

    def __init__(self):
        self._procs = []
        self._pidfds = []

    def start(self, argv, ns=None, user="root", **kw):
        """Start a program, in a namespace, as a user. Return: Popen."""
        argv = as_user(argv, user)
        if ns:
            argv = ns.wrap(argv)
        kw.setdefault("stdin", subprocess.DEVNULL)
        proc = subprocess.Popen(argv, **kw)
        self._procs.append(proc)
        return proc

    def adopt(self, pid):
        """Take over a process that is not our child. Return: its pidfd."""
        pidfd = os.pidfd_open(pid)
        self._pidfds.append(pidfd)
        return pidfd

    def end(self):
        """Terminate everything, children of children included."""
        for pidfd in self._pidfds:
            for sig in (signal.SIGTERM, signal.SIGKILL):
                try:
                    signal.pidfd_send_signal(pidfd, sig)
                except ProcessLookupError:
                    break
                if pidfd_wait(pidfd, 3):
                    break
            os.close(pidfd)
        self._pidfds = []

        for proc in reversed(self._procs):
            if proc.poll() is None:
                below = []
                for pid in descendants(proc.pid):
                    try:
                        below.append(os.pidfd_open(pid))
                    except ProcessLookupError:
                        pass
                proc.terminate()
                try:
                    proc.wait(3)
                except subprocess.TimeoutExpired:
                    proc.kill()
                    proc.wait()
                for pidfd in below:
                    try:
                        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                    os.close(pidfd)
            for f in (proc.stdin, proc.stdout, proc.stderr):
                if f:
                    try:
                        f.close()
                    except BrokenPipeError:
                        pass
        self._procs = []
