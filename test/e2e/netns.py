# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces: make them, open sockets and run programs in them.

A test holds sockets in several namespaces at once: a socket belongs for ever
to the namespace of the thread that made it, so sock() enters the namespace,
makes the socket and comes back.
"""

import contextlib
import ctypes
import itertools
import os
import re
import socket
import subprocess

from procs import run_checked, wait_for

CLONE_NEWNET = 0x40000000
IFA_F_TENTATIVE = 0x40
RTF_LOCAL = 0x80000000

_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count()


def setns(fd, kind=CLONE_NEWNET):
    """Move the calling thread into the namespace behind a descriptor."""
    if _libc.setns(fd, kind):
        err = ctypes.get_errno()
        raise OSError(err, "setns: " + os.strerror(err))


class Netns:
    """A network namespace known by a path, like /proc/PID/ns/net."""

    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self):
        """Forget the namespace; it lives on while others use it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    @contextlib.contextmanager
    def entered(self):
        """With-block that runs in the namespace, this thread only."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(self.fd)
            try:
                yield self
            finally:
                setns(own)
        finally:
            os.close(own)

    def sock(self, family, kind=socket.SOCK_STREAM, proto=0):
        """A socket that lives in this namespace, deadline of 30 s set."""
        with self.entered():
            s = socket.socket(family, kind, proto)
        s.settimeout(30)
        return s

    def wrap(self, argv):
        """The argument vector that runs argv in here; exec only, PID kept."""
        return ["nsenter", "--net=/proc/%d/fd/%d" % (os.getpid(), self.fd),
                "--", *map(str, argv)]

    def run(self, *argv, check=True, timeout=60, **kw):
        """Run a program to its end; the result has text stdout, stderr."""
        return run_checked(self.wrap(argv), check, timeout, **kw)

    def ip(self, *args):
        """ip(8) with these arguments: words, or one string to be split."""
        if len(args) == 1:
            args = args[0].split()
        return self.run("ip", *args).stdout

    def batch(self, text, force=False):
        """ip -batch: one command a line."""
        opts = ["-force"] if force else []
        return self.run("ip", *opts, "-batch", "-", input=text,
                        stdin=None).stdout

    def wait_ipv6(self, *ifnames):
        """Wait until interfaces that are up can be used: the kernel sees to
        links and IPv6 addresses some time after it said it did, when it has
        nothing else to do. Until then a link may drop what is sent, and what
        comes for an address is for nobody."""
        wait_for(lambda: self._has_ipv6(ifnames), "IPv6 on %s" % (ifnames,))

    def _has_ipv6(self, ifnames):
        with self.entered():
            # address, index, prefix length, scope, flags, name
            with open("/proc/thread-self/net/if_inet6",
                      encoding="ascii") as f:
                addrs = [line.split() for line in f]
            # destination, prefix length, ..., flags, name
            with open("/proc/thread-self/net/ipv6_route",
                      encoding="ascii") as f:
                routes = [line.split() for line in f]
        local = {r[0] for r in routes if int(r[8], 16) & RTF_LOCAL}
        linklocal = {a[5] for a in addrs if a[0].startswith("fe80")}
        return linklocal >= set(ifnames) and all(
            a[0] in local and not int(a[4], 16) & IFA_F_TENTATIVE
            for a in addrs if a[5] in ifnames)

    def sysctl(self, **settings):
        """Set sysctls of this namespace; '__' in a name stands for '/'."""
        with self.entered():
            for name, value in settings.items():
                path = "/proc/sys/net/" + name.replace("__", "/")
                with open(path, "w", encoding="ascii") as f:
                    f.write(str(value))


def remove_orphans():
    """Remove the names that a killed run, its PID in them, has left."""
    try:
        names = os.listdir("/run/netns")
    except FileNotFoundError:
        return
    for name in names:
        m = re.match(r"e2e-(\d+)-\d+-", name)
        if m and not os.path.exists("/proc/" + m.group(1)):
            subprocess.run(["ip", "netns", "del", name], check=False,
                           stderr=subprocess.DEVNULL)


class NamedNetns(Netns):
    """A namespace made by 'ip netns add' under a name of its own."""

    def __init__(self, label):
        self.name = "e2e-%d-%d-%s" % (os.getpid(), next(_serial), label)
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        super().__init__("/run/netns/" + self.name)
        self.sysctl(ipv6__conf__all__accept_dad=0,
                    ipv6__conf__default__accept_dad=0,
                    ipv6__conf__default__dad_transmits=0,
                    ipv6__conf__default__accept_ra=0,
                    ipv6__conf__default__router_solicitations=0,
                    ipv4__tcp_congestion_control="reno",
                    ipv4__ping_group_range="0 2147483647")
        self.ip("link set lo up")

    def delete(self):
        """Remove the name; the kernel frees it with its last user."""
        self.close()
        if os.path.exists(self.path):
            subprocess.run(["ip", "netns", "del", self.name], check=False)
