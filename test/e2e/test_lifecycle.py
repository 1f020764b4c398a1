# SPDX-License-Identifier: GPL-2.0-or-later
"""How pasta begins and ends: status, signals, input and output, targets."""

import os
import signal
import socket
import subprocess

import pytest

from daemon import NO_PORTS
from netns import NamedNetns, Netns
from procs import alive, as_user, cmdline, pidfd_wait, wait_for

USERS = ("user", "root", "userns-root")
# pasta as root, spawning a command: ours becomes nobody and works. Others
# fail to join the namespace they made, at least here.


@pytest.fixture
def run(net, bindir):
    """Run pasta with a command to its end, outside of any fixture."""
    def _run(*args, user="user", env=None, **kw):
        argv = [os.path.join(bindir, "pasta"), *NO_PORTS, *args]
        kw.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(net.host.wrap(as_user(argv, user)), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=60, env=env, check=False, **kw)
    return _run


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_exit_status(run, status, user):
    res = run("--", "sh", "-c", "echo ran; exit %d" % status, user=user)
    assert (res.stdout, res.returncode) == ("ran\n", status)


def test_command_killed(pasta):
    """The command dies of a signal: 128 + its number. As PID 1 of its
    namespace it can die of no other signal."""
    p = pasta()
    os.kill(p.inner, signal.SIGKILL)
    assert p.proc.wait(20) == 128 + signal.SIGKILL


def test_command_missing(run):
    """A command that does not exist: not 0, and a word about it."""
    res = run("--", "/does/not/exist")
    assert res.returncode != 0
    assert "exist" in res.stderr or "No such file" in res.stderr


def test_stdio(run):
    """The command has our stdin, stdout and stderr."""
    res = run("--quiet", "--", "sh", "-c", "tr a-z A-Z; echo oops >&2",
              stdin=None, input="through and through\n")
    assert res.stdout == "THROUGH AND THROUGH\n"
    assert "oops" in res.stderr


def test_large_output(run):
    """A megabyte of output is not cut short."""
    res = run("--", "sh", "-c", "head -c 1048576 /dev/zero | tr '\\0' x")
    assert len(res.stdout) == 1 << 20


def test_arguments(run):
    """Arguments pass untouched; options of the command are its own."""
    res = run("printf", "%s|", "a b", "", "-d", "--debug", "*")
    assert res.stdout == "a b||-d|--debug|*|"


@pytest.mark.parametrize("user", USERS)
def test_inner_identity(run, user):
    """The command is root in its own user, net, mount, UTS, IPC, PID ns."""
    kinds = ("user", "net", "mnt", "uts", "ipc", "pid")
    res = run("--", "sh", "-c", "id -u; for k in %s; do "
              "readlink /proc/self/ns/$k; done" % " ".join(kinds), user=user)
    lines = res.stdout.split()
    assert lines[0] == "0"
    outer = [os.readlink("/proc/self/ns/" + k) for k in kinds]
    assert all(a != b for a, b in zip(lines[1:], outer)), lines
    assert len(lines) == 1 + len(kinds)


def test_shell_from_environment(run, tmp):
    """No command: $SHELL is run."""
    shell = os.path.join(tmp, "shell")
    with open(shell, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\necho shell $0; exit 23\n")
    os.chmod(shell, 0o755)
    res = run("--config-net", env={**os.environ, "SHELL": shell})
    assert res.returncode == 23
    assert "shell" in res.stdout


def test_shell_missing(run, tmp):
    """$SHELL cannot be run: status as of shells, and a word about it."""
    shell = os.path.join(tmp, "shell")
    env = {**os.environ, "SHELL": shell}
    res = run("--config-net", env=env)
    assert res.returncode == 127
    assert "cannot execute $SHELL, %s: No such file" % shell in res.stderr
    with open(shell, "w", encoding="ascii"):
        pass
    res = run("--config-net", env=env)
    assert res.returncode == 126
    assert "%s: Permission denied" % shell in res.stderr


def test_default_shell(run):
    """No command and no $SHELL: /bin/sh, reading from our stdin."""
    env = {k: v for k, v in os.environ.items() if k != "SHELL"}
    res = run("--config-net", env=env, stdin=None,
              input="echo from $0\nexit 5\n")
    assert res.returncode == 5
    assert "from" in res.stdout


def test_hostname(run):
    """-H names the inner UTS namespace."""
    res = run("-H", "guest.example", "--", "hostname")
    assert res.stdout == "guest.example\n"
    assert run("--", "hostname").stdout != "guest.example\n"


@pytest.mark.parametrize("form", ["command", "pid", "netns"])
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGQUIT])
def test_signal_ends(pasta, form, sig):
    """SIGTERM and SIGQUIT end pasta, in the foreground with status 0."""
    p = pasta(form=form)
    if form == "command":
        os.kill(p.pid, sig)
        assert p.proc.wait(10) == 0
    else:
        os.kill(p.pid, sig)
        assert pidfd_wait(p.pidfd, 10)


def test_sigpipe_ignored(pasta):
    p = pasta()
    os.kill(p.pid, signal.SIGPIPE)
    assert "PING" in p.run("ping", "-n", "-c", "1", "198.51.100.1").stdout
    assert p.running()


@pytest.mark.parametrize("form", ["pid", "netns"])
def test_target_joined(pasta, fam, form):
    """The namespace of a process, by PID or by path, gets the network."""
    p = pasta(form=form)
    out = p.run("ping", "-n", "-c", "1", "-W", "10", fam.far).stdout
    assert " 0% packet loss" in out


@pytest.fixture
def in_named(net, bindir, procs, tmp):
    """Factory: pasta as root, --netns with a name or path of ip-netns, or a
    link to a link to that."""
    made = []

    def make(by, *opts):
        made.append(NamedNetns("target"))
        ns = made[-1]
        pidfile = os.path.join(tmp, "pid")
        link = os.path.join(tmp, "link")
        if by == "link":
            os.mkdir(os.path.join(tmp, "dir"))
            os.symlink("dir/next", link)
            os.symlink(ns.path, os.path.join(tmp, "dir/next"))
        argv = [os.path.join(bindir, "pasta"), "--config-net", *NO_PORTS,
                "--runas", "0", "--pid", pidfile, *opts, "--netns",
                {"name": ns.name, "path": ns.path, "link": link}[by]]
        proc = procs.start(argv, ns=net.host, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        out = proc.communicate(timeout=20)[0]
        assert proc.returncode == 0, out
        with open(pidfile, encoding="ascii") as f:
            return ns, procs.adopt(int(f.read()))

    yield make
    for ns in made:
        ns.delete()


@pytest.mark.parametrize("by", ["name", "path", "link"])
def test_named_netns(in_named, fam, by):
    """It works, and pasta ends when the name goes."""
    ns, pidfd = in_named(by)
    out = ns.run("ping", "-n", "-c", "1", "-W", "10", fam.far).stdout
    assert " 0% packet loss" in out
    ns.delete()
    assert pidfd_wait(pidfd, 10)


def test_no_netns_quit(in_named):
    """--no-netns-quit: pasta stays when the name goes."""
    ns, pidfd = in_named("path", "--no-netns-quit")
    ns.delete()
    assert not pidfd_wait(pidfd, 1.5)


def test_netns_only(net, bindir, procs, tmp):
    """--netns-only joins the network namespace and no user namespace: works
    for root of a user namespace on a network namespace below it."""
    holder = procs.start(["unshare", "--user", "--map-root-user", "sh", "-c",
                          "exec 3<&0; unshare --net sh -c "
                          "'echo ready; read x' <&3 & echo $!; wait"],
                         ns=net.host, user="user", text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    lines = [holder.stdout.readline().strip() for _ in range(2)]
    assert "ready" in lines
    pid = next(int(x) for x in lines if x != "ready")
    pidfile = os.path.join(tmp, "pid")
    res = subprocess.run(
        ["nsenter", "--target", str(holder.pid), "--user", "--net",
         "--preserve-credentials", "--setuid", "0", "--setgid", "0", "--",
         os.path.join(bindir, "pasta"), "--config-net", *NO_PORTS,
         "--netns-only", "--pid", pidfile,
         "--netns", "/proc/%d/ns/net" % pid], text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
    assert res.returncode == 0, res.stdout
    with open(pidfile, encoding="ascii") as f:
        daemon_pid = int(f.read())
    procs.adopt(daemon_pid)
    ns = Netns("/proc/%d/ns/net" % pid)
    try:
        assert "192.0.2.10" in ns.ip("addr show dev eth0")
        ns.run("ping", "-n", "-c", "1", "-W", "10", "198.51.100.1")
    finally:
        ns.close()


def test_background_pid_file(pasta):
    """The parent's status 0 means: ready, and the PID file is complete."""
    p = pasta(form="pid")           # the factory reads the file at once
    assert os.path.basename(cmdline(p.pid)[0]).startswith("pasta")
    assert p.pid != p.proc.pid


def test_background_leaves_terminal(pasta):
    """The daemon has its own session and /dev/null on 0, 1 and 2."""
    p = pasta(form="pid")
    assert os.getsid(p.pid) != os.getsid(0)
    for fd in range(3):
        link = os.readlink("/proc/%d/fd/%d" % (p.pid, fd))
        assert os.path.basename(link) == "null"     # /dev is not ours any more


def test_closed_stdio(net, bindir):
    """A parent that closed 0, 1 and 2 gets a working pasta all the same."""
    argv = [os.path.join(bindir, "pasta"), "--config-net", *NO_PORTS, "--",
            "sh", "-c", "ip -4 addr show dev eth0 | grep -q 192.0.2.10"]
    res = subprocess.run(net.host.wrap(as_user(
        ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", *argv], "user")),
        timeout=20, check=False)
    assert res.returncode == 0


def test_no_trace_left(pasta, net):
    """After the end no process of ours remains, and the port is free."""
    port = net.port()
    for _ in range(3):
        p = pasta("-t", port)
        assert p.quit() == 0
        assert not alive(p.pid) and not alive(p.inner)


def test_restart_at_once(pasta, net):
    """Start, stop, start with the same forwarded port: no 'in use'."""
    port = net.port()
    for _ in range(5):
        p = pasta("-t", port, "-u", port, form="pid")
        os.kill(p.pid, signal.SIGTERM)
        assert pidfd_wait(p.pidfd, 10)


@pytest.mark.parametrize("opts, word", [
    (("--no-such-option",), "unrecognized option '--no-such-option'"),
    (("-m", "70000"), "MTU"),
    (("-a", "127.0.0.1"), "address"),
    (("-t", "0"), "port"),
    (("-t", "80,"), "port"),
    (("-i", "nonexistent0"), "nterface"),
    (("-t", "22", "-t", "22"), "22"),
    (("--netns", "/nonexistent", "--", "true"), ""),
    (("-s", "/tmp/x"), "passt"),
])
def test_bad_usage(run, opts, word):
    """One line that names the culprit, status 1."""
    res = run(*opts)
    assert res.returncode == 1
    assert word in res.stderr
    assert len(res.stderr) > 10


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(run, flag):
    res = run(flag)
    assert res.returncode == 0
    assert "--config-net" in res.stdout


def test_version(run):
    res = run("--version")
    assert res.returncode == 0
    assert res.stdout.startswith("pasta ")


def test_port_in_use(net, run):
    """A port somebody else holds: status 1 and the number in the text."""
    port = net.port()
    with net.host.sock(socket.AF_INET) as s:
        s.bind(("0.0.0.0", port))
        s.listen()
        res = run("-t", str(port), "--", "true")
    assert res.returncode == 1
    assert str(port) in res.stderr


def test_wait_condition_helper():
    """wait_for() itself fails at its deadline."""
    with pytest.raises(AssertionError):
        wait_for(lambda: False, timeout=0.05)
