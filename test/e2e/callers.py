# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that start pasta and passt, from a release new enough to know them.

They live in a tree of their own, made by test/callers/make-tree, and run with
that as their root: see test/callers/enter.
"""

import os
import subprocess

from daemon import TOP
from procs import (alive, children, cmdline, descendants, run_checked,
                   wait_for)

CALLERS = os.path.join(TOP, "test", "callers")
TREE = os.environ.get("CALLERS_TREE", "/var/tmp/passt-callers-tree")
ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
       "HOME": "/root", "LC_ALL": "C.UTF-8"}


class Tree:
    """The tree, entered: a network namespace, a root, processes of its own.

    Whatever was started in it ends with it, and what was written is gone.
    """

    def __init__(self, procs, where, bindir):
        subprocess.run([os.path.join(CALLERS, "make-tree"), TREE], check=True)
        self.proc = procs.start(
            [os.path.join(CALLERS, "enter"), TREE, bindir,
             "catatonit", "--", "sh", "-c", "echo ready; read x"], ns=where,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.proc.stdout.readline() == b"ready\n"
        self.init = wait_for(lambda: children(self.proc.pid), "init")[0]

    def wrap(self, argv, user=None):
        """The argument vector that runs argv in here."""
        ids = ["--setuid=%d" % user, "--setgid=%d" % user] if user else []
        return ["nsenter", "--target=%d" % self.init, "--mount", "--uts",
                "--ipc", "--net", "--pid", "--root", "--wdns=/", *ids, "--",
                *map(str, argv)]

    def run(self, *argv, check=True, timeout=60, user=None, **kw):
        """Run a program to its end; the result has text stdout, stderr."""
        kw.setdefault("env", ENV)
        return run_checked(self.wrap(argv, user), check, timeout, **kw)

    def make_guest(self):
        """Kernel and initial file system of a guest, in /tmp."""
        subprocess.run([os.path.join(TOP, "test", "guest", "build"),
                        self.root("/tmp")], check=True,
                       env={**os.environ,
                            "BUSYBOX": TREE + "/usr/bin/busybox"})

    def passts(self, word):
        """PIDs, as seen from here, of the passt processes in here with this
        word in their command line."""
        return [pid for pid in descendants(self.proc.pid)
                if cmdline(pid)[:1] == ["passt"] and alive(pid) and
                word in " ".join(cmdline(pid))]

    def close(self):
        """End it, at once."""
        self.proc.stdin.close()
        self.proc.wait(10)

    def root(self, path):
        """Where we, outside, find a file of the tree."""
        return "/proc/%d/root/%s" % (self.init, path.lstrip("/"))
