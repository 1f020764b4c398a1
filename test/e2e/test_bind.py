# SPDX-License-Identifier: GPL-2.0-or-later
"""Ports that cannot be bound: which one, of which option, why, and what to do
about it. Best effort: what is had, and what is not."""

import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from procs import as_user, pidfd_wait
from topology import V4, V6
from xfer import Task

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
FLAGS = {"-t": TCP, "-u": UDP, "-T": TCP, "-U": UDP}


@pytest.fixture
def run(net, bindir):
    """Run pasta with port options to its end. Return: status, messages,
    seconds."""
    def _run(*opts, nofile=None, user="user"):
        flags = {o for o in opts if o in FLAGS}
        none = [w for f in FLAGS if f not in flags for w in (f, "none")]
        limit = (["prlimit", "--nofile=%d:%d" % (nofile, nofile), "--"]
                 if nofile else [])
        begin = time.monotonic()
        res = subprocess.run(
            net.host.wrap(as_user(
                [*limit, os.path.join(bindir, "pasta"), "--config-net",
                 *map(str, opts), *none, "--", "true"], user)),
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL, timeout=60, check=False)
        return res.returncode, res.stderr, time.monotonic() - begin
    return _run


def holder(net, kind, addr, port):
    """Somebody who has the port."""
    s = net.host.sock(V6.af if ":" in addr else V4.af, kind)
    if ":" in addr:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind((addr, port))
    if kind == TCP:
        s.listen()
    return s


@pytest.mark.parametrize("start", [1024, 700])
@pytest.mark.parametrize("flag", ["-t", "-u"])
def test_low_port(net, run, flag, start):
    """A low port: the sysctl, its value, and the value that would do."""
    net.host.sysctl(ipv4__ip_unprivileged_port_start=start)
    try:
        status, text, _ = run(flag, "600:80")
        assert status == 1
        line = next(x for x in text.splitlines() if "600" in x
                    and "Failed" in x)
        for part in ("port 600 (Permission denied)", flag,
                     "TCP" if flag == "-t" else "UDP", "[*]",
                     "net.ipv4.ip_unprivileged_port_start is %d" % start,
                     "set it to 600", "CAP_NET_BIND_SERVICE"):
            assert part in line, (part, line)
        net.host.sysctl(ipv4__ip_unprivileged_port_start=600)
        assert run(flag, "600:80")[0] == 0
    finally:
        net.host.sysctl(ipv4__ip_unprivileged_port_start=1024)


@pytest.mark.parametrize("flag", ["-t", "-u"])
@pytest.mark.parametrize("addr, taken", [
    ("", "0.0.0.0"),
    *(pytest.param(*case, marks=pytest.mark.slow) for case in (
        ("", "::"), ("", "127.0.0.1"), ("192.0.2.10/", "0.0.0.0"),
        ("[2001:db8:1::10]/", "2001:db8:1::10"), ("[::]/", "::1"))),
])
def test_in_use(net, run, flag, addr, taken):
    """Somebody has it and stays: tried for two seconds, then told."""
    port = net.port()
    with holder(net, FLAGS[flag], taken, port):
        status, text, seconds = run(flag, "%s%d" % (addr, port))
    assert status == 1
    where = addr.strip("[]/") or "[*]"
    assert "port %d (Address already in use) for %s on %s, option %s" % (
        port, "TCP" if flag == "-t" else "UDP", where, flag) in text
    assert 1.5 < seconds < 6


@pytest.mark.parametrize("flag", ["-t", "-u"])
def test_in_use_briefly(net, run, flag):
    """Somebody has it and leaves: not a word."""
    port = net.port()
    s = holder(net, FLAGS[flag], "0.0.0.0", port)
    timer = threading.Timer(0.7, s.close)
    timer.start()
    status, text, seconds = run(flag, port)
    timer.join()
    assert status == 0 and "Failed" not in text
    assert seconds > 0.5


@pytest.mark.slow
def test_in_use_inside(net, bindir, procs, run):
    """The same in the namespace."""
    port = net.port()
    target = procs.start(
        as_user(["unshare", "--user", "--map-root-user", "--net",
                 "/usr/bin/python3", "-c", """
import os, socket, sys
s = socket.socket()
s.bind(("0.0.0.0", %d))
s.listen()
print("ready", flush=True)
sys.stdin.read()""" % port], "user"), ns=net.host,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert target.stdout.readline() == b"ready\n"
    res = subprocess.run(
        net.host.wrap(as_user([
            os.path.join(bindir, "pasta"), "--config-net", "-T", str(port),
            "-t", "none", "-u", "none", "-U", "none", str(target.pid)],
            "user")), text=True, stderr=subprocess.PIPE, timeout=20,
        check=False)
    assert res.returncode == 1
    assert "port %d (Address already in use) for TCP on " % port in res.stderr
    assert "in the namespace, option -T" in res.stderr


@pytest.mark.parametrize("flag", sorted(FLAGS))
@pytest.mark.parametrize("specs, parts", [
    (("8080-8082", "8082:90"), ("[*]:8080-8082", "[*]:8082  =>  90")),
    (("8080,8080",), ("[*]:8080  =>  8080",)),
])
def test_conflict(run, flag, specs, parts):
    """Two rules claim a port: both are named."""
    status, text, _ = run(*[w for spec in specs for w in (flag, spec)])
    assert status == 1
    assert "conflicts with" in text
    for part in parts:
        assert part in text


@pytest.mark.parametrize("specs, parts", [
    (("192.0.2.10/8080", "8080"), ("[192.0.2.10]:8080", "[*]:8080")),
    (("0.0.0.0/8080", "192.0.2.10/8000-8100"),
     ("[0.0.0.0]:8080", "[192.0.2.10]:8000-8100")),
])
def test_conflict_address(run, specs, parts):
    """Addresses that include each other."""
    status, text, _ = run(*[w for spec in specs for w in ("-t", spec)])
    assert status == 1
    for part in parts:
        assert part in text


@pytest.mark.parametrize("flag", ["-t", "-u"])
def test_no_descriptors(run, flag):
    """More ports than open files: which one was too much, and the limit."""
    status, text, _ = run(flag, "8000-8200", nofile=100)
    assert status == 1
    m = re.search(r"port (\d+) \(Too many open files\).*option %s: the limit "
                  r"is 100 \(ulimit -n, hard\)" % flag, text)
    assert m and 8040 < int(m.group(1)) < 8100, text


def listening(net, kind):
    """Ports that somebody listens on in host."""
    out = net.host.run("ss", "-Hln" + ("t" if kind == TCP else "u")).stdout
    return {int(line.split()[3].rpartition(":")[2])
            for line in out.splitlines()}


@pytest.fixture
def small(net):
    """Ephemeral ports of the host begin at 3000: "all" is small then."""
    net.host.sysctl(ipv4__ip_local_port_range="3000 65535")
    yield set(range(1024, 3000))
    net.host.sysctl(ipv4__ip_local_port_range="32768 60999")


@pytest.mark.parametrize("spec, without", [("all", set()),
                                           ("~2000-2009", set(range(2000,
                                                                    2010)))])
@pytest.mark.parametrize("flag", ["-t", "-u"])
def test_best_effort(net, pasta, small, flag, spec, without):
    """What can be had is had; the rest is counted by reason."""
    kind = FLAGS[flag]
    with holder(net, kind, "0.0.0.0", 2345), holder(net, kind, "::1", 2346):
        p = pasta(flag, spec, form="pid")
        assert listening(net, kind) == small - without
        m = re.search(r"Option %s: (\d+) of (\d+) %s ports bound, 2 in use, "
                      r"1023 denied \(sysctl net.ipv4.ip_unprivileged_port_"
                      r"start is 1024\)\n" % (flag, "TCP" if kind == TCP else
                                              "UDP"), p.text())
        assert m, p.text()
        ours = len(small - without - {2345, 2346})
        assert (int(m.group(1)), int(m.group(2))) == (
            ours, 2999 - len(without))
        # One socket for both IP versions
        links = [os.readlink("/proc/%d/fd/%s" % (p.pid, fd))
                 for fd in os.listdir("/proc/%d/fd" % p.pid)]
        assert ours <= sum(x.startswith("socket:") for x in links) < ours + 200


def test_best_effort_descriptors(net, run, small):
    """TCP and UDP share what descriptors there are; some are left."""
    status, text, _ = run("-t", "all", "-u", "all", nofile=400)
    assert status == 0
    bound = dict(re.findall(r"Option (-.): (\d+) of 2999 ...+ left out \(Too "
                            r"many open files\): the limit is 400", text))
    assert 100 < int(bound["-t"]) < 160 and 140 < int(bound["-u"]) < 160, text


def test_nothing_to_be_had(net, run):
    """Best effort that comes to nothing is an error."""
    net.host.sysctl(ipv4__ip_local_port_range="1024 65535")
    try:
        status, text, _ = run("-t", "all")
        assert status == 1
        assert "port 1 (Permission denied)" in text
    finally:
        net.host.sysctl(ipv4__ip_local_port_range="32768 60999")


def leave(pidfd):
    """Have a process end. Return: seconds it took."""
    begin = time.monotonic()
    signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    assert pidfd_wait(pidfd, 20)
    return time.monotonic() - begin


@pytest.mark.slow
def test_restart_all(net, bindir, procs, tmp, small):
    """A successor waits for all the ports of its predecessor: for two seconds,
    so if that one takes longer to leave, on a busy machine, it is none."""
    pidfile = os.path.join(tmp, "pid")
    last, left, waited = None, None, 0
    for _ in range(20):
        argv = as_user([os.path.join(bindir, "passt"), "-s",
                        os.path.join(tmp, "sock"), "-t", "all", "-u", "all",
                        "-P", pidfile], "user")
        res = subprocess.run(net.host.wrap(argv), text=True, timeout=30,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             check=False)
        assert res.returncode == 0, res.stdout
        in_time = not left or left.result() < 1.5
        with open(pidfile, encoding="ascii") as f:
            last = procs.adopt(int(f.read()))
        if in_time:
            assert " in use" not in res.stdout
            assert listening(net, TCP) == small
            assert listening(net, UDP) == small
        waited += bool(left and in_time)
        left = Task(leave, last)
        if waited == 4:
            break
    assert waited == 4
    left.result()


@pytest.mark.parametrize("flag", ["-t", "-u"])
def test_dual_stack(net, pasta, flag):
    """One socket takes both IP versions, where no address is given."""
    port = net.port()
    pasta(flag, port)
    out = net.host.run("ss", "-Hln" + flag[1]).stdout
    assert [line.split()[3] for line in out.splitlines()] == ["*:%d" % port]
