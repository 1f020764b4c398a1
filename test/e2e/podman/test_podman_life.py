# SPDX-License-Identifier: GPL-2.0-or-later
"""How podman starts and ends pasta: PID files, restart, pods, networks."""

import os
import re
import time

import pytest

from doc import block
from engine import IMAGE, NAME, NAME4, NAME6, Container, datagrams, stream
from procs import alive, cmdline, descendants, pidfd_wait, wait_for
from topology import V4, V6
from xfer import Task

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("podman-life")]

UNIT = "/home/user/.config/containers/systemd/web.container"
HTTPD = ("httpd", "-f", "-p", "80", "-h", "/www")


def fetch(net, fam, port):
    """What the container's web server says, once it is up."""
    def get():
        with net.far.sock(fam.af) as s:
            try:
                s.connect((fam.host, port))
                s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                data = b""
                while part := s.recv(4096):
                    data += part
                return data
            except ConnectionResetError:    # the server, not pasta, is late
                return b""
    data = wait_for(get, "web server")
    assert data.endswith(b"\nhello\n")


def outer(podman, pid):
    """What a PID of the tree is for us."""
    for found in descendants(podman.tree.init):
        try:
            with open("/proc/%d/status" % found, encoding="ascii",
                      errors="replace") as f:
                for line in f:
                    if line.startswith("NSpid:") and \
                            int(line.split()[2]) == pid:
                        return found
        except FileNotFoundError:
            pass
    raise AssertionError("no process %d in the tree" % pid)


def ends(podman, box, end, pid):
    """Let a container end. Return: seconds that pasta (PID pid) outlived the
    container, and the name of the namespace."""
    argv = cmdline(pid)
    name = podman.tree.root(argv[argv.index("--netns") + 1])

    def gone(pidfd):
        assert pidfd_wait(pidfd, 10)
        return time.monotonic()

    def unlinked():
        for _ in range(20000):
            if not os.path.exists(name):
                return time.monotonic()
            time.sleep(0.0005)
        raise AssertionError("%s still there" % name)
    pidfds = [os.pidfd_open(pid), os.pidfd_open(outer(podman, box.pid))]
    try:
        tasks = [Task(gone, pidfd) for pidfd in pidfds] + [Task(unlinked)]
        end()
        pasta, container, name = (task.result() for task in tasks)
        return pasta - container, pasta - name
    finally:
        for pidfd in pidfds:
            os.close(pidfd)


@pytest.mark.parametrize("how", ("kill", "exit", "rm"))
def test_end(podman, how):
    """pasta ends with the container, and its PID file told the truth."""
    box = podman.start("pasta:--pid,/tmp/pasta.pid", command=(
        "sh", "-c", "while ! test -e /stop; do sleep 0.01; done"))
    with open(podman.tree.root("/tmp/pasta.pid"), encoding="ascii") as f:
        pid = outer(podman, int(f.read()))
    assert os.path.basename(cmdline(pid)[0]) == "pasta"
    assert pid in podman.pastas()
    end = {"kill": lambda: podman("kill", box.name),
           "exit": lambda: box.run("touch", "/stop", check=False),
           "rm": lambda: podman("rm", "-f", "-t", "0", box.name)}[how]
    after_box, after_name = ends(podman, box, end, pid)
    print("pasta gone %.1f ms after the container, %.1f ms after the name of "
          "its namespace" % (after_box * 1000, after_name * 1000))
    assert after_box < 5        # most of it podman's own tidying up
    assert after_name < 1
    box.ns.close()
    if how != "rm":
        podman("rm", box.name)


def test_namespace_in_use(podman):
    """pasta goes even if somebody else still uses the namespace."""
    box = podman.start("pasta")
    pid, = podman.pastas()
    with box.ns.sock(V4.af):
        podman("rm", "-f", "-t", "0", box.name)
        wait_for(lambda: not alive(pid), "end of pasta", timeout=5)
    box.ns.close()


def restarts(podman, net, fam, times):
    """Restart a container with a port on and on. Return: ms each took."""
    port = net.port()
    box = podman.start("pasta", "-p", "%d:80" % port, "-p",
                       "%d:80/udp" % port, command=HTTPD)
    took = []
    try:
        for _ in range(times):
            fetch(net, fam, port)
            start = time.monotonic()
            podman("restart", "--time=0", box.name)
            took.append(round((time.monotonic() - start) * 1000))
        fetch(net, fam, port)
        assert len(podman.pastas()) == 1
    finally:
        box.remove()
    print("podman restart took (ms):", took)
    # A port still in use would have been waited for, each time
    assert sorted(took)[times // 2] < 2000
    return took


def test_restart(podman, net, fam):
    """The same ports, at once, with connections that were just made."""
    restarts(podman, net, fam, 3)


def test_restart_often(podman, net, fam):
    """None of many is too early."""
    restarts(podman, net, fam, 20)


def test_stop_and_start(podman, net, fam):
    """The container comes back with its network; nothing runs between."""
    port = net.port()
    box = podman.start("pasta", "-p", "%d:80" % port, command=HTTPD)
    try:
        fetch(net, fam, port)
        podman("stop", "--time=0", box.name)
        wait_for(lambda: not podman.pastas(), "end of pasta", timeout=5)
        podman("start", box.name)
        fetch(net, fam, port)
    finally:
        box.remove()


def test_connections_end(podman, net, fam):
    """Who talks to a container that is killed is told."""
    port = net.port()
    box = podman.start("pasta", "-p", "%d:7" % port, command=(
        "nc", "-ll", "-p", "7", "-e", "cat"))
    try:
        def greet():
            s = net.far.sock(fam.af)
            s.connect((fam.host, port))
            s.sendall(b"x")
            try:
                return s if s.recv(1) == b"x" else None
            except ConnectionResetError:
                return None
        s = wait_for(greet, "answer")
        podman("kill", box.name)
        try:
            assert s.recv(1) == b""
        except ConnectionResetError:
            pass
    finally:
        box.remove()


def test_pod(podman, net, fam):
    """The containers of a pod have one network and one pasta."""
    podman.sh(block("podman-pod", IMAGE=IMAGE + " " + " ".join(HTTPD)))
    try:
        assert len(podman.pastas()) == 1
        fetch(net, fam, 8080)
        out = podman("run", "--rm", "--pod", "mypod", IMAGE, "wget", "-q",
                     "-O", "-", "http://127.0.0.1/")
        assert out == "hello\n"
    finally:
        podman("pod", "rm", "--force", "--time=0", "mypod")
    wait_for(lambda: not podman.pastas(), "end of pasta", timeout=5)


def test_quadlet(podman, net, fam):
    """What systemd is told to run for the unit of the document; the parts that
    need systemd left out."""
    podman.sh(block("podman-quadlet", IMAGE=IMAGE))
    with open(podman.tree.root(UNIT), "a", encoding="ascii") as f:
        f.write("Exec=%s\n" % " ".join(HTTPD))
    out = podman.sh("/usr/libexec/podman/quadlet --dryrun --user")
    command = re.search(r"^ExecStart=(.*)$", out, re.MULTILINE).group(1)
    command = command.replace("--cgroups=split", "").replace(
        "--sdnotify=conmon", "").replace("%N", "web")
    box = Container(podman, podman.sh(command).strip())
    try:
        assert " mtu 1400 " in box.ns.ip("link show dev eth0")
        fetch(net, fam, 8080)
    finally:
        box.remove()


@pytest.fixture
def network(podman):
    """The container of the document, in a network of its own."""
    out = podman.sh(block("podman-network",
                          IMAGE=IMAGE + " " + " ".join(HTTPD)))
    box = Container(podman, out.split()[-1])
    yield box
    box.remove()
    podman("network", "rm", "mynet")
    wait_for(lambda: not podman.pastas(), "end of pasta", timeout=5)


def test_network(podman, net, network):
    """A bridge in a namespace that pasta connects: names, the world, ports
    (by a proxy of podman's)."""
    pid, = podman.pastas()
    argv = cmdline(pid)
    assert "--pid" in argv
    path = argv[argv.index("--pid") + 1]
    with open(podman.tree.root(path), encoding="ascii") as f:
        assert outer(podman, int(f.read())) == pid

    out = podman.once("mynet", "sh", "-c", "wget -q -O - http://web/; "
                      "nslookup %s" % NAME)
    assert out.startswith("hello\n")
    assert NAME4 in out and NAME6 in out
    for fam in (V4, V6):
        port = net.port()
        assert stream(net.far, network.ns, fam, fam.far, port, port,
                      1 << 20) == fam.host
        assert datagrams(net.far, network.ns, fam, fam.far, port, port,
                         (1, 1024), bind=fam.far) == fam.host
    fetch(net, V4, 8080)
    out = podman("unshare", "--rootless-netns", "ip", "address")
    assert V4.host in out and "10.89." in out
    # All others are gone: the last of them ends pasta
    assert podman.pastas() == [pid]


def test_network_survives_terminal(podman, network):
    """What serves all networks does not belong to who started the first."""
    pid, = podman.pastas()
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    assert fields[4] == "0"                         # no terminal
    assert int(fields[1]) == podman.tree.init       # no parent of its own
