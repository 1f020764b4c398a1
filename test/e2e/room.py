# SPDX-License-Identifier: GPL-2.0-or-later
"""A /tmp of a test's own, where nobody else's /tmp/passt_1.socket is."""

import os
import subprocess


class Room:
    """The host's network and a /tmp of its own: a namespace for Procs."""

    def __init__(self, procs, ns):
        self.ns = ns
        keeper = procs.start(
            ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /tmp && "
             "chmod 1777 /tmp && echo ready && read x"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert keeper.stdout.readline() == b"ready\n"
        self.proc = "/proc/%d/" % keeper.pid
        self.tmp = self.proc + "root/tmp/"

    def wrap(self, argv):
        return self.ns.wrap(["nsenter", "--mount=%sns/mnt" % self.proc, "--",
                             *map(str, argv)])

    def entered(self):
        return self.ns.entered()

    def run(self, *argv, path=None):
        """Run a program to its end, perhaps with another PATH. Return: as
        subprocess."""
        if path is not None:
            argv = ("/usr/bin/env", "PATH=" + path, *argv)
        return subprocess.run(self.wrap(argv), text=True, timeout=60,
                              check=False, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def adopt(self, procs, *names):
        """Have what went to the background in this network ended, too."""
        inode = os.fstat(self.ns.fd).st_ino
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/comm" % pid, encoding="utf-8") as f:
                    if f.read().strip() in names and \
                            os.stat("/proc/%s/ns/net" % pid).st_ino == inode:
                        procs.adopt(int(pid))
            except FileNotFoundError:
                pass
