# SPDX-License-Identifier: GPL-2.0-or-later
"""Start pasta and passt in the forms users start them in, and look inside.

PASST_BIN_DIR names the directory of the two programs, default: the top of the
checkout.
"""

import os
import shutil
import stat
import subprocess

from netns import NamedNetns, Netns
from procs import as_user, cmdline, descendants, pidfd_wait, wait_for

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BIN_DIR = os.path.abspath(os.environ.get("PASST_BIN_DIR") or TOP)

NO_PORTS = ("-t", "none", "-u", "none", "-T", "none", "-U", "none")


def reachable_by_all(path):
    """Whether every user may execute what is at this path."""
    while path != "/":
        if not os.stat(path).st_mode & stat.S_IXOTH:
            return False
        path = os.path.dirname(path)
    return True


def install(dest):
    """Programs where any user may run them, outside of /tmp, which a test
    covers. Return: the directory."""
    for name in ("passt", "pasta"):
        if not os.access(os.path.join(BIN_DIR, name), os.X_OK):
            raise FileNotFoundError("no %s in %s: run make, or set "
                                    "PASST_BIN_DIR" % (name, BIN_DIR))
    if reachable_by_all(os.path.join(BIN_DIR, "pasta")) and \
            not os.path.realpath(BIN_DIR).startswith("/tmp/"):
        return BIN_DIR
    for name in os.listdir(BIN_DIR):
        if name.startswith(("passt", "pasta", "qrap")):
            src = os.path.join(BIN_DIR, name)
            if os.path.isfile(src) and os.access(src, os.X_OK):
                shutil.copy(src, os.path.join(dest, name))
    return dest


def with_resolv(argv, path):
    """Prefix argv so that the program finds path as /etc/resolv.conf."""
    return ["unshare", "--mount", "--propagation", "slave", "--", "sh", "-c",
            'mount --bind "$0" "$(readlink -f /etc/resolv.conf)" && exec "$@"',
            str(path), *map(str, argv)]


def default_ports(opts):
    """Port options with 'none' for those the caller did not give."""
    given = [str(o)[:2] for o in opts]
    return [w for flag in ("-t", "-u", "-T", "-U") if flag not in given
            for w in (flag, "none")]


class Pasta:
    """One pasta and the namespace it serves.

    form: "command", a shell inside that waits for our word; "pid" and
    "netns", a namespace made before by the test is joined. prefix: words
    before the command line, as of prlimit(1) or env(1), run as superuser.
    """

    def __init__(self, procs, where, bindir, tmp, opts=(), user="user",
                 form="command", resolv=None, config_net=True, target=None,
                 prefix=()):
        self.procs = procs
        self.prefix = tuple(prefix)
        self.ns = None
        self.target = None
        self.proc = None
        self.pid = None
        self.pidfd = -1
        self.log = os.path.join(tmp, "pasta.log")
        argv = [os.path.join(bindir, "pasta")]
        if config_net:
            argv.append("--config-net")
        argv += [*default_ports(opts), *map(str, opts)]
        if form == "command":
            self._command(argv, where, user, resolv)
        else:
            self._attach(argv, where, user, resolv, form, tmp, target)

    def _start(self, argv, where, user, resolv, **kw):
        if not resolv:
            resolv = "/dev/null"
        return self.procs.start([*self.prefix, *_under(argv, resolv, user)],
                                ns=where, **kw)

    def _command(self, argv, where, user, resolv):
        """A shell in new namespaces that ends when we close its input."""
        argv += ["--", "sh", "-c", "echo ready; read x; exit ${x:-0}"]
        with open(self.log, "wb") as log:
            self.proc = self._start(argv, where, user, resolv, stderr=log,
                                    stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE)
        line = self.proc.stdout.readline()
        if line != b"ready\n":
            raise AssertionError("pasta did not start: " + self.text())
        self.pid = self.proc.pid
        self.inner = wait_for(self._find_inner, "shell below pasta")
        self.ns = Netns("/proc/%d/ns/net" % self.inner)

    def _find_inner(self):
        for pid in descendants(self.proc.pid):
            if cmdline(pid)[:2] == ["sh", "-c"] and \
               "echo ready" in cmdline(pid)[2]:
                return pid
        return None

    def _attach(self, argv, where, user, resolv, form, tmp, target):
        """Join a namespace that exists: of a process, or one with a path."""
        if not target:
            self.target = self.procs.start(
                ["unshare", "--user", "--map-root-user", "--net",
                 "sh", "-c", "echo ready; read x"], ns=where, user=user,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert self.target.stdout.readline() == b"ready\n"
            target = self.target.pid
        self.inner = target
        proc = "/proc/%d/ns/" % target
        self.ns = Netns(proc + "net")
        pidfile = os.path.join(tmp, "pid")
        with open(pidfile, "wb"):
            os.chmod(pidfile, 0o666)
        argv += ["--pid", pidfile]
        if form == "pid":
            argv.append(str(target))
        elif form == "netns":
            argv += ["--userns", proc + "user", "--netns", proc + "net"]
        else:
            raise ValueError(form)
        with open(self.log, "wb") as log:
            self.proc = self._start(argv, where, user, resolv,
                                    stdout=log, stderr=log)
        if self.proc.wait(20):
            raise AssertionError("pasta did not start: " + self.text())
        with open(pidfile, encoding="ascii") as f:
            self.pid = int(f.read())
        self.pidfd = self.procs.adopt(self.pid)

    def text(self):
        """What pasta said, its end if it was much."""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()[-2000:]

    def running(self):
        """Whether pasta still lives."""
        if self.pidfd >= 0:
            return not pidfd_wait(self.pidfd, 0)
        return self.proc.poll() is None

    def run(self, *argv, **kw):
        """Run a program inside, as the (outer) superuser."""
        return self.ns.run(*argv, **kw)

    def quit(self, status=0):
        """End the inner shell with a status. Return: pasta's status."""
        self.proc.stdin.write(b"%d\n" % status)
        self.proc.stdin.close()
        self.proc.stdin = None
        return self.proc.wait(20)

    def close(self):
        """Forget the namespace; Procs.end() ends the processes."""
        if self.ns:
            self.ns.close()


def _under(argv, resolv, user):
    """Give argv its resolv.conf, then its user; nsenter comes before both."""
    return with_resolv(as_user(argv, user), resolv)


def listening(ns, path):
    """Whether somebody listens on a UNIX socket; the list is per netns."""
    with ns.entered(), open("/proc/thread-self/net/unix", encoding="utf-8",
                            errors="replace") as f:
        # fields: address, reference count, protocol, flags, ..., path
        return any(line.split()[3] == "00010000" and
                   line.split()[-1] == path for line in f)


class Passt:
    """One passt with a stream socket."""

    def __init__(self, procs, where, bindir, tmp, opts=(), user="user",
                 resolv=None, sock=None, foreground=True, pass_fds=(),
                 prefix=()):
        self.where = where
        os.chmod(tmp, 0o777)
        self.path = sock or os.path.join(tmp, "passt.sock")
        self.log = os.path.join(tmp, "passt.log")
        argv = [os.path.join(bindir, "passt")]
        if foreground:
            argv.append("--foreground")
        if not pass_fds:
            argv += ["--socket", self.path]
        argv += map(str, opts)
        with open(self.log, "wb") as log:
            self.proc = procs.start(
                [*prefix, *_under(argv, resolv or "/dev/null", user)],
                ns=where, stdout=log, stderr=log, pass_fds=pass_fds)
        self.pid = self.proc.pid
        if not pass_fds:
            wait_for(self._listening, "passt socket")

    def _listening(self):
        if self.proc.poll():
            raise AssertionError("passt ended: " + self.text())
        return listening(self.where, self.path)

    def text(self):
        """What passt said."""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def running(self):
        """Whether passt still lives."""
        return self.proc.poll() is None


class Bridged:
    """A namespace in the place of a guest: a tap, a bridge, passt. It has
    the addresses and routes passt would hand out."""

    def __init__(self, passt, procs, bridge, families):
        self.passt = passt
        self.pid = passt.pid
        self.ns = NamedNetns("guest")
        self._procs, self._bridge = procs, bridge
        self._families = families
        try:
            self.attach()
        except BaseException:
            self.close()
            raise

    def attach(self, look=True):
        """A new bridge with a new tap, addressed, and seen by passt."""
        self.proc = self._procs.start(
            [self._bridge, "eth0", self.passt.path], ns=self.ns,
            stdout=subprocess.PIPE)
        assert self.proc.stdout.readline() == b"ready\n"
        self.ns.ip("link set eth0 mtu 65520 txqueuelen 10000 up")
        for fam in self._families:
            flags = "nodad" if fam.num == 6 else ""
            self.ns.batch("addr add %s/%d dev eth0 %s\n"
                          "route replace default via %s dev eth0\n" %
                          (fam.host, fam.plen, flags, fam.gw))
        self.ns.wait_ipv6("eth0")
        # passt sends to the addresses it knows, so let it see us
        for fam in self._families if look else ():
            self.ns.run("ping", "-n", "-c", "1", "-w", "10", fam.far)

    def text(self):
        """What passt said."""
        return self.passt.text()

    def running(self):
        """Whether passt still lives."""
        return self.passt.running()

    def run(self, *argv, **kw):
        """Run a program in the place of the guest."""
        return self.ns.run(*argv, **kw)

    def close(self):
        """Remove the namespace."""
        self.ns.delete()
