# SPDX-License-Identifier: GPL-2.0-or-later
"""Both programs as processes: what starting them promises, to whom they tell
that all is ready, descriptors and signals they inherit, where messages go, and
that nothing of them is left over."""

import errno
import os
import re
import signal
import socket
import subprocess
import time

import pytest

import daemon
from daemon import NO_PORTS
from guestlink import Guest
from procs import (NOBODY_ID, USER_ID, alive, as_user, children, cmdline,
                   pidfd_wait, wait_for)

USERS = ("root", "user", "userns-root", "nobody")
MODES = ("passt", "pasta")


class Launch:
    """Command lines of either program, run as they are.

    sock is passt's socket, target a process pasta is given the PID of.
    """

    def __init__(self, net, bindir, procs, tmp):
        self.net, self.bindir, self.procs, self.tmp = net, bindir, procs, tmp
        self.sock = os.path.join(tmp, "sock")
        self.pidfile = os.path.join(tmp, "pid")
        self.target = None
        self.holder = None      # of the user namespace of userns-root

    def user_argv(self, argv, user):
        """Prefix argv to be run as a user. All that is run as userns-root is
        in the same user namespace, as with rootless containers."""
        if user != "userns-root":
            return as_user(argv, user)
        if not self.holder:
            self.holder = self.procs.start(
                ["sh", "-c", "echo ready; read x"], user=user,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert self.holder.stdout.readline() == b"ready\n"
        return ["nsenter", "--user", "--target", str(self.holder.pid),
                "--setuid", "0", "--setgid", "0", "--", *map(str, argv)]

    def argv(self, mode, *opts, user="user"):
        """The program with these options and something to do."""
        prog = os.path.join(self.bindir, mode)
        if mode == "passt":
            return [prog, "-s", self.sock, *map(str, opts)]
        opts = [*daemon.default_ports(opts), *map(str, opts)]
        return [prog, "--config-net", *opts, str(self.make_target(user))]

    def make_target(self, user="user"):
        """A process of the user in a network namespace of its own."""
        userns = ["--user", "--map-root-user"]
        self.target = self.procs.start(
            self.user_argv(["unshare", *(userns if user != "userns-root"
                                         else []), "--net", "sh", "-c",
                            "echo ready; read x"], user), ns=self.net.host,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.target.stdout.readline() == b"ready\n"
        return self.target.pid

    def start(self, argv, user="user", shell=None, **kw):
        """Start it; shell: a command line that ends up with "$@"."""
        if shell:
            argv = ["bash", "-c", shell, "bash", *argv]
        return self.procs.start(self.user_argv(argv, user), ns=self.net.host,
                                **kw)

    def to_end(self, argv, user="user", shell=None, **kw):
        """Run it to its end."""
        if shell:
            argv = ["bash", "-c", shell, "bash", *argv]
        kw.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(self.net.host.wrap(self.user_argv(argv, user)),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=30, check=False, **kw)

    def background(self, mode, *opts, user="user", **kw):
        """Start it without --foreground. Return: PID and pidfd."""
        res = self.to_end(self.argv(mode, "-P", self.pidfile, *opts,
                                    user=user), user=user, **kw)
        assert res.returncode == 0, res.stderr
        return self.adopt()

    def adopt(self):
        """The process of the PID file, which must be complete."""
        with open(self.pidfile, encoding="ascii") as f:
            text = f.read()
        assert re.fullmatch(r"[1-9]\d*\n", text), repr(text)
        return int(text), self.procs.adopt(int(text))

    def check_serves(self, mode):
        """All is ready at this very moment: nothing is waited for."""
        if mode == "passt":
            with Guest(self.sock) as g:
                g.alive()
            return
        out = subprocess.run(
            ["nsenter", "--net=/proc/%d/ns/net" % self.target.pid, "ip",
             "-o", "addr", "show", "scope", "global"], text=True, check=True,
            stdout=subprocess.PIPE, timeout=20).stdout
        assert "192.0.2.10/24" in out and "2001:db8:1::10/64" in out
        assert "tentative" not in out


@pytest.fixture
def launch(net, bindir, procs, tmp):
    return Launch(net, bindir, procs, tmp)


def one_line(text):
    """Messages but for information, which libraries of others show, too."""
    return [line for line in text.splitlines() if line.strip()]


def pipe_to(number):
    """A pipe with its writing end at this number, inherited.
    Return: reading end."""
    rd, wr = os.pipe()
    os.dup2(wr, number, inheritable=True)
    os.close(wr)
    return rd


def read_end(fd, timeout=20):
    """All that comes until the end of a pipe."""
    data = b""
    end = time.monotonic() + timeout
    os.set_blocking(fd, False)
    while time.monotonic() < end:
        try:
            part = os.read(fd, 4096)
        except BlockingIOError:
            time.sleep(0.005)
            continue
        if not part:
            os.close(fd)
            return data
        data += part
    raise AssertionError("pipe not closed, so far %r" % data)


# --- Ready ---

@pytest.mark.parametrize("mode", MODES)
def test_exit_means_ready(launch, net, mode):
    """At exit of the parent: sockets bound, addresses there, PID written."""
    tcp, udp = net.port(), net.port()
    pid, _ = launch.background(mode, "-t", tcp, "-u", udp)
    with net.host.sock(socket.AF_INET) as s:
        # bound: taken, if only to be reset when the guest will not have it
        assert s.connect_ex(("192.0.2.10", tcp)) in (0, errno.ECONNRESET)
    with net.host.sock(socket.AF_INET, socket.SOCK_DGRAM) as s, \
            pytest.raises(OSError):
        s.bind(("0.0.0.0", udp))
    launch.check_serves(mode)
    assert os.path.basename(cmdline(pid)[0]) == mode
    assert os.stat("/proc/%d" % pid)


@pytest.mark.parametrize("mode", MODES)
def test_foreground_pid_file(launch, mode):
    """-P in the foreground: our own PID, as seen by whoever started us."""
    proc = launch.start(launch.argv(mode, "-f", "-P", launch.pidfile))
    wait_for(lambda: os.path.exists(launch.pidfile) and
             os.path.getsize(launch.pidfile), "PID file")
    pid, _ = launch.adopt()
    assert pid == proc.pid
    launch.check_serves(mode)


@pytest.mark.parametrize("fd", [0, 1, 2, 7])
@pytest.mark.parametrize("fg", [True, False], ids=["fg", "bg"])
@pytest.mark.parametrize("mode", MODES)
def test_ready_fd(launch, mode, fg, fd):
    """--ready-fd: '1' and a newline when everything is ready, and its end."""
    rd = pipe_to(200)
    argv = launch.argv(mode, "-q", "--ready-fd", fd, "-P", launch.pidfile,
                       *(["-f"] if fg else []))
    proc = launch.start(argv, shell='exec "$@" %d>&200 200>&-' % fd,
                        pass_fds=(200,))
    os.close(200)
    if fg and fd < 3:           # these stay open for what else they are
        assert os.read(rd, 100) == b"1\n"
        os.close(rd)
    else:
        assert read_end(rd) == b"1\n"
    assert launch.adopt()[0] != (0 if fg else proc.pid)
    launch.check_serves(mode)
    if not fg:
        assert proc.wait(10) == 0


@pytest.mark.slow
@pytest.mark.parametrize("fg", [True, False], ids=["fg", "bg"])
@pytest.mark.parametrize("mode", MODES)
def test_ready_fd_failure(launch, net, mode, fg):
    """Nothing but the end comes by --ready-fd if something fails."""
    port = net.port()
    rd = pipe_to(200)
    with net.host.sock(socket.AF_INET) as s:
        s.bind(("0.0.0.0", port))
        s.listen()
        proc = launch.start(launch.argv(mode, "--ready-fd", 200, "-t", port,
                                        *(["-f"] if fg else [])),
                            pass_fds=(200,))
        os.close(200)
        assert read_end(rd) == b""
        assert proc.wait(10) == 1


def manager(net, tmp, kind):
    """Socket of a service manager. Return: it, its name for the
    environment."""
    s = net.host.sock(socket.AF_UNIX, socket.SOCK_DGRAM)
    if kind == "path":
        name = os.path.join(tmp, "notify")
        s.bind(name)
        os.chmod(name, 0o777)
    else:
        name = "@e2e-notify-%d" % os.getpid()
        s.bind("\0" + name[1:])
    return s, {**os.environ, "NOTIFY_SOCKET": name}


@pytest.mark.parametrize("kind", ["path", "abstract"])
@pytest.mark.parametrize("mode", MODES)
def test_notify(launch, net, tmp, mode, kind):
    """$NOTIFY_SOCKET in the foreground: READY=1, when it is true."""
    sock, env = manager(net, tmp, kind)
    with sock:
        proc = launch.start(launch.argv(mode, "-f"), env=env)
        assert sock.recv(1000) == b"READY=1"
        launch.check_serves(mode)
        assert proc.poll() is None
        proc.terminate()
        assert proc.wait(10) == 0
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1000)


def test_notify_not_ours(launch, net, tmp):
    """In background the exit tells; with a command, that tells."""
    sock, env = manager(net, tmp, "path")
    with sock:
        launch.background("passt", env=env)
        res = launch.to_end([launch.bindir + "/pasta", *NO_PORTS, "--", "sh",
                             "-c", "echo $NOTIFY_SOCKET"], env=env)
        assert res.stdout == env["NOTIFY_SOCKET"] + "\n"
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1000)


def test_notify_nobody(launch):
    """A manager that is not there is worth a warning, not more."""
    env = {**os.environ, "NOTIFY_SOCKET": "/nonexistent/notify"}
    proc = launch.start(launch.argv("passt", "-f"), env=env, text=True,
                        stderr=subprocess.PIPE)
    wait_for(lambda: daemon.listening(launch.net.host, launch.sock), "socket")
    launch.check_serves("passt")
    proc.terminate()
    assert "/nonexistent/notify" in proc.communicate(timeout=10)[1]


@pytest.mark.parametrize("fd", [0, 7])
@pytest.mark.parametrize("fg", [True, False], ids=["fg", "bg"])
@pytest.mark.parametrize("mode", MODES)
def test_exit_fd(launch, mode, fg, fd):
    """--exit-fd: the end comes with the end of the pipe, not with data."""
    rd, wr = os.pipe()
    os.dup2(rd, 200, inheritable=True)
    os.close(rd)
    proc = launch.start(launch.argv(mode, "--exit-fd", fd, "-P",
                                    launch.pidfile, *(["-f"] if fg else [])),
                        shell='exec "$@" %d<&200 200<&-' % fd,
                        pass_fds=(200,))
    os.close(200)
    wait_for(lambda: os.path.exists(launch.pidfile) and
             os.path.getsize(launch.pidfile), "PID file")
    pid, pidfd = launch.adopt()
    os.write(wr, b"not the end")
    launch.check_serves(mode)
    before = daemon_ticks(pid)
    assert not pidfd_wait(pidfd, 0.3)
    assert daemon_ticks(pid) - before < 10, "busy with unread data"
    os.close(wr)
    assert pidfd_wait(pidfd, 10)
    assert proc.wait(10) == 0


def daemon_ticks(pid):
    """Clock ticks a process has used up."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        return sum(map(int, f.read().rpartition(")")[2].split()[11:13]))


def test_exit_fd_command(launch):
    """The command of pasta ends with the pipe, and does not have it."""
    rd, wr = os.pipe()
    os.set_inheritable(rd, True)
    proc = launch.start([launch.bindir + "/pasta", *NO_PORTS, "--exit-fd", rd,
                         "--", "sh", "-c", "trap 'echo term; exit 3' TERM; "
                         "echo /proc/self/fd/*; "
                         "while :; do sleep 0.05; done"],
                        pass_fds=(rd,), stdout=subprocess.PIPE, text=True)
    os.close(rd)
    fds = proc.stdout.readline().split()
    assert [f for f in fds if f[-2:] in ("/0", "/1", "/2")] and \
        "/proc/self/fd/%d" % rd not in fds
    os.close(wr)
    assert proc.communicate(timeout=10)[0] == "term\n"
    assert proc.returncode == 0


def test_exit_fd_no_pipe(launch, tmp):
    """A file has no other end."""
    with open(os.path.join(tmp, "file"), "w", encoding="ascii") as f:
        os.set_inheritable(f.fileno(), True)
        res = launch.to_end(launch.argv("passt", "--exit-fd", f.fileno()),
                            pass_fds=(f.fileno(),))
    assert res.returncode == 1
    assert "--exit-fd" in res.stderr


# --- Failing to start ---

@pytest.mark.parametrize("opts", [
    ("-P", "/nonexistent/pid"), ("--pid", "/"), ("-P", "/dev/full"),
    ("-l", "/nonexistent/log"), ("--log-file=/",)], ids=" ".join)
@pytest.mark.parametrize("fg", [True, False], ids=["fg", "bg"])
@pytest.mark.parametrize("mode", MODES)
def test_files_unopenable(launch, mode, fg, opts):
    """A PID or log file that cannot be had: one line with its name, status
    1, and nobody is left."""
    argv = launch.argv(mode, "-q", *opts, *(["-f"] if fg else []))
    res = launch.to_end(argv)
    assert res.returncode == 1
    assert len(one_line(res.stderr)) == 1, res.stderr
    assert opts[-1].split("=")[-1] in res.stderr
    wait_for(lambda: not running(argv), "end of all processes", timeout=5)


def running(argv):
    """PIDs of processes with exactly this command line."""
    return [int(p) for p in os.listdir("/proc")
            if p.isdigit() and cmdline(int(p)) == argv and alive(int(p))]


# --- What is inherited ---

@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("mode", MODES)
def test_closed_stdio(launch, net, mode, user):
    """Without descriptors 0 to 2, as any user, in background."""
    port = net.port()
    launch.background(mode, "-t", port, user=user,
                      shell='"$@" <&- >&- 2>&-')
    launch.check_serves(mode)


@pytest.mark.parametrize("fd", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("fg", [True, False], ids=["fg", "bg"])
def test_fd(launch, fg, fd):
    """--fd with any number: the guest gets frames, and only frames."""
    ours, theirs = socket.socketpair()
    with theirs:
        os.dup2(theirs.fileno(), 200, inheritable=True)
    argv = [launch.bindir + "/passt", "--debug", "--fd", str(fd), "-P",
            launch.pidfile, *(["-f"] if fg else [])]
    proc = launch.start(argv, shell='exec "$@" %d>&200 200>&-' % fd,
                        pass_fds=(200,))
    os.close(200)
    with Guest(sock=ours) as g:
        g.alive()
        if not fg:
            assert proc.wait(10) == 0
        _, pidfd = launch.adopt()
    assert pidfd_wait(pidfd, 10), "outlives the guest"
    assert proc.wait(10) == 0


@pytest.mark.parametrize("others", ["", "<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_fd_closed_stdio(launch, others):
    """--fd while standard descriptors are closed."""
    ours, theirs = socket.socketpair()
    with theirs:
        os.dup2(theirs.fileno(), 200, inheritable=True)
    proc = launch.start([launch.bindir + "/passt", "-f", "-F", "7"],
                        shell='exec "$@" 7<&200 200<&- ' + others,
                        pass_fds=(200,))
    os.close(200)
    with Guest(sock=ours) as g:
        g.alive()
    assert proc.wait(10) == 0


def test_descriptors_closed(launch):
    """Descriptors nobody told us about are closed."""
    rd = pipe_to(200)
    launch.background("passt", shell='exec "$@" 9>&200', pass_fds=(200,))
    os.close(200)
    assert read_end(rd, 5) == b""


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("mode", MODES)
def test_users(launch, mode, user):
    pid, _ = launch.background(mode, user=user)
    launch.check_serves(mode)
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        status = f.read()
    assert re.search(r"^CapEff:\s+0+$", status, re.M)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    uid = int(re.search(r"^Uid:\s+(\d+)", status, re.M).group(1))
    assert uid == (USER_ID if user.startswith("user") else NOBODY_ID)


@pytest.mark.parametrize("given, uid, gid", [
    ("4712", 4712, 4712), ("4712:4713", 4712, 4713),
    ("nobody", 65534, 65534), ("nobody:daemon", 65534, 1), ("0", 0, 0)])
def test_runas(launch, given, uid, gid):
    pid, _ = launch.background("passt", "--runas", given, user="root")
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        status = f.read()
    for key, want in (("Uid", uid), ("Gid", gid)):
        ids = re.search(r"^%s:\s+(.*)$" % key, status, re.M).group(1).split()
        assert ids == [str(want)] * 4
    assert re.search(r"^Groups:\s*$", status, re.M)
    launch.check_serves("passt")


@pytest.mark.parametrize("user, given", [
    ("root", "no-such-user"), ("root", "nobody:no-such-group"),
    ("root", "root"), ("root", ""), ("root", "4294967295"),
    ("user", "1"), ("user", "nobody")])
def test_runas_refused(launch, user, given):
    res = launch.to_end(launch.argv("passt", "-q", "--runas", given),
                        user=user)
    assert res.returncode == 1
    assert "runas" in res.stderr
    assert len(one_line(res.stderr)) == 1, res.stderr


# --- Signals ---

SIGNALS = [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGHUP]


@pytest.mark.parametrize("sig", SIGNALS)
@pytest.mark.parametrize("mode", MODES)
def test_signals(launch, mode, sig):
    """All of them end the foreground with 0, and the background."""
    proc = launch.start(launch.argv(mode, "-f", "-P", launch.pidfile))
    wait_for(lambda: os.path.exists(launch.pidfile) and
             os.path.getsize(launch.pidfile), "PID file")
    proc.send_signal(sig)
    assert proc.wait(5) == 0
    pid, pidfd = launch.background(mode)
    os.kill(pid, sig)
    assert pidfd_wait(pidfd, 5)


@pytest.mark.parametrize("mode", MODES)
def test_ignored_signals(launch, mode):
    """nohup(1) and shells that ignore SIGINT for what runs behind them are
    obeyed, SIGTERM ends us all the same."""
    proc = launch.start(launch.argv(mode, "-f", "-P", launch.pidfile),
                        shell='trap "" HUP INT QUIT TERM; exec "$@"')
    wait_for(lambda: os.path.exists(launch.pidfile) and
             os.path.getsize(launch.pidfile), "PID file")
    for sig in (signal.SIGHUP, signal.SIGINT):
        proc.send_signal(sig)
        launch.check_serves(mode)
        assert proc.poll() is None
    proc.send_signal(signal.SIGTERM)
    assert proc.wait(5) == 0


@pytest.mark.parametrize("opts", [(), ("--no-pidns",)], ids=["init", "plain"])
def test_ignored_sigchld(launch, opts):
    """A parent that ignores SIGCHLD: the status of the command is known."""
    res = launch.to_end([launch.bindir + "/pasta", *NO_PORTS, *opts, "--",
                         "sh", "-c", "exit 23"],
                        preexec_fn=lambda: signal.signal(signal.SIGCHLD,
                                                         signal.SIG_IGN))
    assert res.returncode == 23


def test_blocked_signals(launch):
    """A parent that blocks signals does not make us deaf."""
    proc = launch.start(
        launch.argv("passt", "-f"), preexec_fn=lambda: signal.pthread_sigmask(
            signal.SIG_BLOCK, range(1, 32)))
    wait_for(lambda: daemon.listening(launch.net.host, launch.sock), "socket")
    launch.check_serves("passt")
    proc.send_signal(signal.SIGTERM)
    assert proc.wait(5) == 0


@pytest.mark.parametrize("sig", SIGNALS)
@pytest.mark.parametrize("mode", MODES)
def test_signal_while_starting(launch, net, mode, sig):
    """A caller that gives up before all is ready leaves nobody behind."""
    port = net.port()
    argv = launch.argv(mode, "-t", port)
    with net.host.sock(socket.AF_INET) as s:
        s.bind(("0.0.0.0", port))       # a moment is waited for such a port
        s.listen()
        proc = launch.start(argv)
        wait_for(lambda: blocked(proc.pid) & 1 << (sig - 1), "signals taken")
        proc.send_signal(sig)
    status = proc.wait(10)
    try:
        assert status != 0
        wait_for(lambda: not running(argv), "end of all", timeout=5)
    finally:
        for pid in running(argv):       # the test has failed
            launch.procs.adopt(pid)


def blocked(pid):
    """Mask of the signals a process blocks, bit 0 is signal 1."""
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return int(re.search(r"^SigBlk:\s+(\w+)$", f.read(), re.M).group(1),
                   16)


# --- Messages ---

LOG_LINE = re.compile(r"\d+\.\d{4}: (ERROR|WARNING|INFO|DEBUG|TRACE): .+")


def test_log_file(launch, tmp):
    """-l: first line tells who writes, all lines are whole."""
    log = os.path.join(tmp, "log")
    launch.background("passt", "-l", log)
    launch.check_serves("passt")
    with open(log, encoding="utf-8") as f:
        head, *lines = f.read().splitlines()
    assert head.startswith("passt ") and launch.bindir in head
    assert any("Accepted connection" in line for line in lines)
    assert all(LOG_LINE.fullmatch(line) for line in lines), lines
    assert os.stat(log).st_mode & 0o777 == 0o600


def test_log_rotation(launch, tmp):
    """--log-size: the oldest lines go, none of the others, and all are
    whole."""
    log = os.path.join(tmp, "log")
    proc = launch.start(launch.argv("passt", "-f", "-l", log, "--log-size",
                                    40960))
    wait_for(lambda: daemon.listening(launch.net.host, launch.sock), "socket")
    sizes = []
    for _ in range(1500):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(launch.sock)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(20)
            while s.recv(65536):
                pass
        sizes.append(os.path.getsize(log))
    proc.terminate()
    assert proc.wait(10) == 0
    assert max(sizes) <= 40960
    shrunk = [b for a, b in zip(sizes, sizes[1:]) if b < a]
    assert len(shrunk) >= 2, "log of %d bytes not cut" % max(sizes)
    assert min(shrunk) > 40960 / 2, "more lost than needed"

    with open(log, encoding="utf-8") as f:
        head, *lines = f.read().splitlines()
    assert head.startswith("passt ") and "truncated" in head
    assert all(LOG_LINE.fullmatch(line) for line in lines)
    times = [float(line.split(":")[0]) for line in lines]
    assert times == sorted(times)
    kinds = ["Accepted" in line for line in lines]
    assert kinds == [i % 2 == (0 if kinds[0] else 1)
                     for i in range(len(kinds))], "a line is missing"
    assert "closed" in lines[-1]


DEV_LOG = """
set -e
mkdir -p "$0/dev/net"
for f in null net/tun; do
    touch "$0/dev/$f"; mount --bind /dev/$f "$0/dev/$f"
done
mount --rbind "$0/dev" /dev
exec "$@"
"""


@pytest.mark.parametrize("mode", MODES)
def test_syslog(launch, net, tmp, mode):
    """In background messages go to /dev/log, facility daemon, with our name.
    Quiet or not, what was said before went to standard error."""
    os.mkdir(tmp + "/dev")
    with net.host.sock(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(tmp + "/dev/log")
        os.chmod(tmp + "/dev/log", 0o777)
        argv = launch.argv(mode, "-P", launch.pidfile)
        res = launch.to_end(["unshare", "--mount", "--propagation", "private",
                             "sh", "-c", DEV_LOG, tmp,
                             *as_user(argv, "user")], user="root")
        assert res.returncode == 0, res.stderr
        assert "emplate interface" in res.stderr
        pid, pidfd = launch.adopt()
        os.kill(pid, signal.SIGUSR1)    # its answer, a line each
        said = [b""]
        while said[-1] != b"<29>%s: events:" % mode.encode():
            said.append(syslog.recv(4096))
        answer = [s for s in said if s.startswith(b"<29>")]
        assert re.match(rb"<29>%s: %s, \d+\.\d{3} s after start:$" %
                        (2 * (mode.encode(),)), answer[0]), answer
        if mode == "passt":
            launch.check_serves(mode)
            want = rb"<30>passt: Accepted connection from PID \d+"
        else:
            launch.target.stdin.close()
            launch.target.stdin = None
            want = rb"<30>pasta: The namespace is gone, so are we"
        seen = [syslog.recv(4096)]
        while not re.fullmatch(want, seen[-1]):
            assert re.match(rb"<\d+>%s: " % mode.encode(), seen[-1])
            seen.append(syslog.recv(4096))


def test_syslog_gone(launch, net, tmp):
    """No /dev/log, or one nobody reads: not a reason to stop or to wait."""
    os.mkdir(tmp + "/dev")
    syslog = net.host.sock(socket.AF_UNIX, socket.SOCK_DGRAM)
    syslog.bind(tmp + "/dev/log")
    os.chmod(tmp + "/dev/log", 0o777)
    res = launch.to_end(["unshare", "--mount", "--propagation", "private",
                         "sh", "-c", DEV_LOG, tmp,
                         *as_user(launch.argv("passt", "-P", launch.pidfile),
                                  "user")], user="root")
    assert res.returncode == 0, res.stderr
    pid = launch.adopt()[0]
    for _ in range(300):                # nobody reads them
        os.kill(pid, signal.SIGUSR1)
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(launch.sock)
    launch.check_serves("passt")
    syslog.close()
    launch.check_serves("passt")


# --- Help ---

@pytest.mark.parametrize("opt", ["--help", "-h", "--version"])
@pytest.mark.parametrize("mode", MODES)
def test_help(launch, mode, opt):
    """Help is there without privileges, without files, at once."""
    argv = [launch.bindir + "/" + mode, opt]
    begin = time.monotonic()
    res = launch.to_end(argv, user="nobody",
                        shell='ulimit -n 10; exec "$@" <&-')
    assert time.monotonic() - begin < 2
    assert res.returncode == 0
    assert res.stdout and not res.stderr
    # before anything is opened, whatever else is wrong
    res = launch.to_end(["strace", "-f", "-e", "trace=socket,connect,fork,"
                         "clone,unshare,epoll_create1", "-o",
                         launch.tmp + "/trace", *argv], user="nobody")
    assert res.returncode == 0
    with open(launch.tmp + "/trace", encoding="ascii") as f:
        assert f.read().splitlines()[1:] == []


def test_version_after_options(launch):
    """Callers ask for features: status 0 only if the option is known."""
    prog = launch.bindir + "/pasta"
    assert launch.to_end([prog, "--host-lo-to-ns-lo",
                          "--version"]).returncode == 0
    assert launch.to_end([prog, "--no-such-thing",
                          "--version"]).returncode == 1


# --- Nothing left ---

@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_restart_at_once(launch, net, sig):
    """Fifty times the same ports and socket, with a connection open."""
    port = net.port()
    for _ in range(50):
        pid, pidfd = launch.background("passt", "-q", "-t", port, "-u", port)
        with Guest(launch.sock) as g, net.host.sock(socket.AF_INET) as s:
            s.connect(("192.0.2.10", port))
            g.sock.setblocking(True)
            os.kill(pid, sig)
            assert pidfd_wait(pidfd, 5)


def test_no_zombies(launch, bindir):
    """Neither children nor zombies below a daemon at work; orphans of a
    command end with it."""
    pid, _ = launch.background("passt")
    assert children(pid) == []
    pid, _ = launch.background("pasta")
    launch.check_serves("pasta")
    assert all(alive(c) for c in children(pid))

    mark = "4711.%d" % os.getpid()
    res = launch.to_end([bindir + "/pasta", *NO_PORTS, "--", "sh", "-c",
                         "(setsid sleep %s &); exit 3" % mark])
    assert res.returncode == 3
    assert not running(["sleep", mark])
