# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian 12 as it comes, entered: made by test/fresh/make-tree."""

import os
import subprocess

import callers
from daemon import TOP
from procs import children, wait_for

MAKE = os.path.join(TOP, "test", "fresh", "make-tree")
TREE = os.environ.get("FRESH_TREE", "/var/tmp/passt-fresh-tree")


class Fresh(callers.Tree):
    """The tree, entered as callers.Tree is: nothing done in it stays."""

    def __init__(self, procs, where):       # pylint: disable=W0231
        subprocess.run([MAKE, TREE], check=True)
        self.proc = procs.start(
            [os.path.join(callers.CALLERS, "enter"), TREE, "-",
             "sh", "-c", "echo ready; read x"], ns=where,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.proc.stdout.readline() == b"ready\n"
        self.init = wait_for(lambda: children(self.proc.pid), "init")[0]

    def files(self):
        """All there is in the tree but what belongs to dpkg's work."""
        out = self.run("find", "/", "-xdev", "!", "-path", "/var/lib/dpkg/*",
                       "!", "-path", "/var/log/*",
                       "!", "-path", "/var/cache/*").stdout
        return set(out.splitlines())
