# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be seen of the isolation from outside: capabilities, identity,
namespaces, an empty root, descriptors, the filter, and what it says."""

import ctypes
import os
import re
import signal
import socket
import subprocess

import pytest

import daemon
from doc import block
from netns import NamedNetns
from procs import NOBODY_ID, USER_ID, pidfd_wait, wait_for
from test_process import Launch, MODES, USERS

# Of the build under test, see Makefile
FILTER = os.environ.get("SECCOMP", "trap")

CAP_NET_BIND_SERVICE = 1 << 10


@pytest.fixture
def launch(net, bindir, procs, tmp):
    return Launch(net, bindir, procs, tmp)


def foreground(launch, mode, *opts, user="user", **kw):
    """Start it with --foreground, wait until it is ready. Return: its PID."""
    proc = launch.start(launch.argv(mode, "-f", "-P", launch.pidfile, *opts,
                                    user=user), user=user, **kw)
    wait_for(lambda: os.path.exists(launch.pidfile) and
             os.path.getsize(launch.pidfile), "PID file")
    with open(launch.pidfile, encoding="ascii") as f:
        pid = int(f.read())
    assert pid == proc.pid
    launch.proc = proc
    return pid


def run_as(launch, form, mode, *opts, user="user", **kw):
    """In background or foreground. Return: PID."""
    if form == "bg":
        return launch.background(mode, *opts, user=user, **kw)[0]
    return foreground(launch, mode, *opts, user=user, **kw)


def status(pid, tid=None):
    """Fields of /proc/PID/status: {name: text}."""
    path = "/proc/%d/task/%d/status" % (pid, tid or pid)
    with open(path, encoding="ascii") as f:
        return dict(re.findall(r"^(\w+):\s*(.*)$", f.read(), re.M))


def threads(pid):
    return sorted(map(int, os.listdir("/proc/%d/task" % pid)))


def ns(pid, kind):
    return os.readlink("/proc/%s/ns/%s" % (pid, kind))


def descriptors(pid):
    """What the descriptors of a process are: {number: text}."""
    path = "/proc/%d/fd/" % pid
    return {int(n): os.readlink(path + n) for n in os.listdir(path)}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("form", ["bg", "fg"])
@pytest.mark.parametrize("mode", MODES)
def test_facts(launch, mode, form, user):
    """Every thread, every user, both modes, both forms."""
    pid = run_as(launch, form, mode, user=user)
    tids = threads(pid)
    assert len(tids) == (1 if mode == "passt" else 2)
    for tid in tids:
        st = status(pid, tid)
        assert st["NoNewPrivs"] == "1"
        assert st["Seccomp"] == ("0" if FILTER == "off" else "2")
        want = (0,)
        if tid != pid:          # in the namespace pasta serves
            want = (0, CAP_NET_BIND_SERVICE)
        for name in ("CapInh", "CapBnd", "CapAmb"):
            assert int(st[name], 16) == 0, name
        for name in ("CapPrm", "CapEff"):
            assert int(st[name], 16) in want, name
        uid = USER_ID if user.startswith("user") else NOBODY_ID
        assert st["Uid"].split() == [str(uid)] * 4
        assert st["Gid"].split() == [str(uid)] * 4

    kinds = ["mnt", "ipc", "uts", "user"]
    for kind in kinds:
        assert ns(pid, kind) != ns("self", kind), kind
    assert (ns(pid, "pid") != ns("self", "pid")) == (form == "bg")
    with launch.net.host.entered():
        assert ns(pid, "net") == ns("thread-self", "net")
    if mode == "pasta":
        assert os.readlink("/proc/%d/task/%d/ns/net" % (pid, tids[1])) == \
            ns(launch.target.pid, "net")


@pytest.mark.parametrize("form", ["bg", "fg"])
@pytest.mark.parametrize("mode", MODES)
def test_root(launch, mode, form):
    """The root is the only mount, empty, and nothing can be put there."""
    pid = run_as(launch, form, mode)
    root = "/proc/%d/root" % pid
    assert os.listdir(root) == []
    assert os.path.samefile(root, "/proc/%d/cwd" % pid)
    with open("/proc/%d/mountinfo" % pid, encoding="ascii") as f:
        (line,) = f.read().splitlines()
    fields = line.split()
    assert fields[4] == "/"
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(fields[5].split(","))
    assert fields[fields.index("-") + 1] == "tmpfs"
    with pytest.raises(OSError):
        os.mkdir(root + "/dir")


@pytest.mark.parametrize("mode", MODES)
def test_not_dumpable(launch, mode):
    """Its own user can neither look into it nor trace it."""
    pid, _ = launch.background(mode)
    for name in ("environ", "maps", "mem", "root", "fd/0"):
        res = launch.to_end(["ls", "-L", "/proc/%d/%s" % (pid, name)]
                            if name in ("root", "fd/0") else
                            ["cat", "/proc/%d/%s" % (pid, name)])
        assert res.returncode, name
        assert "ermission denied" in res.stderr, name
    res = launch.to_end(["strace", "-p", str(pid)])
    assert "not permitted" in res.stderr


# What a process may hold, as readlink(2) shows it
HELD = r"/dev/null|anon_inode:\[(eventpoll|signalfd)\]|socket:\[\d+\]"
HELD_PASTA = HELD + r"|pipe:\[\d+\]|/dev/net/tun|anon_inode:\[pidfd\]|" \
    r"anon_inode:inotify|inotify|/\d+/net/sockstat6?"


def assert_held(pid, mode, files=()):
    """A process soon holds nothing but what is used, and files. It is ready
    when it tells so, and closes last what it tells that by."""
    held = HELD if mode == "passt" else HELD_PASTA
    found = {}

    def settled():
        try:
            found.update(more=[what for what in descriptors(pid).values()
                               if not re.fullmatch(held, what)])
        except FileNotFoundError:       # closed meanwhile
            return False
        # seen from outside, the path begins at a root that is no more
        return {os.path.basename(f) for f in found["more"]} == set(files)
    try:
        wait_for(settled, timeout=5)
    except AssertionError:
        raise AssertionError("holds %s" % found) from None


@pytest.mark.parametrize("mode", MODES)
def test_descriptors(launch, mode, tmp):
    """Nothing but what is used; of files of the host's none, but for those
    asked for."""
    pid, _ = launch.background(mode)
    assert_held(pid, mode)
    assert [descriptors(pid)[n] for n in range(3)] == ["/dev/null"] * 3


@pytest.mark.parametrize("mode", MODES)
def test_descriptors_files(launch, mode, tmp):
    """Log and capture are all there is more."""
    pid, _ = launch.background(mode, "-l", tmp + "/log", "-p", tmp + "/pcap")
    assert_held(pid, mode, ("log", "pcap"))


@pytest.mark.parametrize("form", ["bg", "fg"])
def test_netns_only(launch, net, form):
    """A namespace with a name, as root: the user namespace stays the same,
    the user does not; low ports can be bound later."""
    target = NamedNetns("only")
    try:
        argv = [launch.bindir + "/pasta", "-P", launch.pidfile, "--config-net",
                *(["-f"] if form == "fg" else []),
                "--netns", target.path, "-t", "auto", "-u", "none", "-T",
                "none", "-U", "none"]
        proc = launch.start(argv, user="root")
        if form == "bg":
            assert proc.wait(20) == 0
        wait_for(lambda: os.path.exists(launch.pidfile) and
                 os.path.getsize(launch.pidfile), "PID file")
        pid, _ = launch.adopt()
        assert ns(pid, "user") == ns("self", "user")
        for kind in ("mnt", "ipc", "uts"):
            assert ns(pid, kind) != ns("self", kind), kind
        for tid in threads(pid):
            st = status(pid, tid)
            assert int(st["CapEff"], 16) == CAP_NET_BIND_SERVICE
            assert int(st["CapPrm"], 16) == CAP_NET_BIND_SERVICE
            assert int(st["CapBnd"], 16) == 0
            assert st["Uid"].split() == [str(NOBODY_ID)] * 4
            assert st["NoNewPrivs"] == "1"
        with target.sock(socket.AF_INET) as s:
            s.bind(("0.0.0.0", 443))
            s.listen()
            with net.far.sock(socket.AF_INET) as c:
                wait_for(lambda: c.connect_ex(("192.0.2.10", 443)) == 0,
                         "low port opened")
    finally:
        launch.procs.end()
        target.delete()


def test_netns_only_no_capability(launch, net):
    """The same without automatic ports: nothing is kept."""
    target = NamedNetns("only")
    try:
        launch.to_end([launch.bindir + "/pasta", "-P", launch.pidfile,
                       "--config-net", *daemon.NO_PORTS, "--netns",
                       target.path], user="root")
        pid, _ = launch.adopt()
        assert int(status(pid)["CapPrm"], 16) == 0
    finally:
        launch.procs.end()
        target.delete()


PTRACE_POKEUSER, PTRACE_DETACH, PTRACE_SYSCALL = 6, 17, 24
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_GET_SYSCALL_INFO = 0x4206, 0x4207, 0x420e
PTRACE_O_TRACESYSGOOD = PTRACE_SYSCALL_INFO_ENTRY = 1
WALL = 0x40000000
ORIG_RAX = 15 * 8               # of x86-64, sys/reg.h
SYS_GETPID = 39


def ptrace(request, pid, addr=0, data=0):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 2 + [ctypes.c_void_p] * 2
    libc.ptrace.restype = ctypes.c_long
    rc = libc.ptrace(request, pid, addr, data)
    assert rc >= 0, os.strerror(ctypes.get_errno())


def inject(pid, number):
    """As an intruder could: the next system call of a process is another."""
    info = (ctypes.c_ubyte * 128)()
    ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD)
    ptrace(PTRACE_INTERRUPT, pid)
    while True:
        os.waitpid(pid, WALL)
        ptrace(PTRACE_GET_SYSCALL_INFO, pid, len(info), ctypes.addressof(info))
        if info[0] == PTRACE_SYSCALL_INFO_ENTRY:
            break
        ptrace(PTRACE_SYSCALL, pid)
    ptrace(PTRACE_POKEUSER, pid, ORIG_RAX, number)
    ptrace(PTRACE_DETACH, pid)


@pytest.mark.parametrize("mode, form, where", [
    ("passt", "fg", "stderr"), ("passt", "fg", "log"), ("passt", "bg", "log"),
    ("pasta", "fg", "stderr"), ("pasta", "bg", "log"),
    ("pasta", "fg", "thread"), ("pasta", "bg", "thread")])
def test_denied(launch, tmp, mode, form, where):
    """A call that is not allowed: its number and name, and the end by
    SIGSYS. Of a filter that kills without a word, only that. In background
    that is process 1 of a PID namespace."""
    opts = [] if where == "stderr" else ["-l", tmp + "/log"]
    log = tmp + ("/err" if where == "stderr" else "/log")
    with open(tmp + "/err", "wb") as f:
        if form == "bg":
            pid, pidfd = launch.background(mode, *opts)
        else:
            pid = foreground(launch, mode, *opts, stderr=f)
            pidfd = launch.procs.adopt(pid)
    if where == "thread":
        inject(threads(pid)[1], SYS_GETPID)
    else:
        inject(pid, SYS_GETPID)
    if FILTER == "off":
        launch.check_serves(mode)
        return
    assert pidfd_wait(pidfd, 20)
    if form == "fg":
        assert launch.proc.wait() == -signal.SIGSYS
    with open(log, encoding="utf-8") as f:
        said = "System call %d (getpid) is not allowed" % SYS_GETPID in f.read()
    assert said == (FILTER == "trap")


def test_stopped(launch):
    """Stopped and continued, as by a shell or a debugger: goes on."""
    for mode in MODES:
        pid, _ = launch.background(mode)
        for _ in range(3):
            os.kill(pid, signal.SIGSTOP)
            wait_for(lambda: status(pid)["State"].startswith("T"), "stop")
            os.kill(pid, signal.SIGCONT)
            wait_for(lambda: status(pid)["State"].startswith("S"), "sleep")
        launch.check_serves(mode)
        os.unlink(launch.pidfile)


DOC = "doc/isolation.md"


def shown(text, pid=0):
    """What commands of the document print."""
    return subprocess.run(["sh", "-ec", text], cwd=daemon.TOP, text=True,
                          env=dict(os.environ, PID=str(pid)), timeout=30,
                          stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.parametrize("mode", MODES)
def test_document(launch, mode):
    """The commands of the document show what it says."""
    pid, _ = launch.background(mode)

    out = shown(block("identity", DOC), pid)
    assert re.search(r"Uid:\s+%d\s" % USER_ID, out)
    caps = {int(n, 16) for n in re.findall(r"Cap\w+:\s+(\w+)", out)}
    assert caps == ({0} if mode == "passt" else {0, CAP_NET_BIND_SERVICE})
    assert set(re.findall(r"NoNewPrivs:\s+(\w)", out)) == {"1"}
    assert FILTER == "off" or \
        len(re.findall(r"Seccomp:\s+2", out)) == len(threads(pid))

    for line in shown(block("namespaces", DOC), pid).splitlines():
        kind, ours, theirs = line.split()
        # net: of the host of this test, which is another one than ours
        assert ours != theirs, kind

    entries, mount = shown(block("root", DOC), pid).splitlines()
    assert entries == "0" and " / / ro,nosuid,nodev,noexec" in mount

    out = shown(block("descriptors", DOC), pid)
    assert "eventpoll" in out and "signalfd" in out
    assert ("/dev/net/tun" in out) == (mode == "pasta")

    assert shown(block("dumpable", DOC), pid) == "0\n"


def test_document_list():
    """The counts it tells are those of this source."""
    counts = dict(line.split()[:2] for line in
                  shown(block("list", DOC)).splitlines())
    with open(os.path.join(daemon.TOP, DOC), encoding="utf-8") as f:
        assert "\n%(passt)s for passt and %(pasta)s for pasta" % counts \
            in f.read()
