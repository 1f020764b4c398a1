# SPDX-License-Identifier: GPL-2.0-or-later
"""Every command of the sections EXAMPLES of the manual pages, typed as it
stands there. One that is not known here fails: no example goes untested."""

import contextlib
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile

import pytest

from daemon import TOP, listening
from procs import as_user, wait_for
from room import Room
from vm import Vm

PAGES = ("passt.1", "qrap.1")
# What a user has, without proxies and private versions of programs
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
       "SHELL": "/bin/sh"}


def examples(page):
    """Blocks of commands in a page: [[(prompt, command), ...], ...]."""
    with open(os.path.join(TOP, page), encoding="utf-8") as f:
        text = re.search(r"^\.SH EXAMPLES\n(.*?)^\.SH ", f.read(),
                         re.MULTILINE | re.DOTALL).group(1)
    found = []
    for block in re.findall(r"^\.nf\n(.*?)^\.fi$", text,
                            re.MULTILINE | re.DOTALL):
        block = block.replace("\\e\n", "").replace("\\-", "-")
        assert "\\" not in block, "roff not understood: " + block
        lines = [line.split(" ", 1) for line in block.splitlines()]
        assert all(prompt in "$#" for prompt, _ in lines), block
        found.append([(prompt, " ".join(line.split()))
                      for prompt, line in lines])
    return found


GROUPS = [group for page in PAGES for group in examples(page)]


class Typist:
    """Types commands, each with a check of what it is said to do."""

    def __init__(self, room, net, bindir, procs):
        self.room, self.net = room, net
        self.bindir, self.procs = bindir, procs
        self.vm = None

    def type(self, prompt, line):
        """One command; the first row of CHECKS that fits knows it."""
        for pattern, check in CHECKS:
            if re.fullmatch(pattern, line):
                user = "user" if prompt == "$" else "root"
                check(self, shlex.split(line), user)
                return
        raise AssertionError("nobody knows how to check: " + line)

    def start(self, argv, user, **kw):
        """Begin a program; ours from where they were built."""
        if argv[0] in ("passt", "pasta", "qrap"):
            argv = [os.path.join(self.bindir, argv[0]), *argv[1:]]
        return self.procs.start(as_user(argv, user), ns=self.room,
                                env=ENV, **kw)

    def run(self, argv, user, **kw):
        """Run a program. Return: what it printed, None if it failed."""
        proc = self.start(argv, user, stdout=subprocess.PIPE, text=True, **kw)
        out = proc.communicate(timeout=60)[0]
        return out if proc.returncode == 0 else None

    # --- pasta ---

    def shell(self, argv, user):
        proc = self.start(argv, user, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True)
        out = proc.communicate("ip address; exit 3\n", timeout=60)[0]
        assert proc.returncode == 3
        assert "inet 192.0.2.10/24" in out
        assert "inet6 2001:db8:1::10/64" in out

    def web(self, argv, user):
        self.start(argv, user, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
        wait_for(lambda: get(self.net.far, "192.0.2.10"), "page")

    def loopback(self, argv, user):
        self.start(["python3", "-m", "http.server", "--bind", "127.0.0.1",
                    "8080"], user, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
        wait_for(lambda: get(self.net.host, "127.0.0.1"), "page")
        out = self.run(argv, user, stderr=subprocess.DEVNULL)
        assert "Directory listing" in out

    def make_netns(self, argv, user):
        """Under a name that is seen by nobody else."""
        res = self.room.run("mount", "-t", "tmpfs", "none", "/run")
        assert res.returncode == 0
        assert self.run(argv, user) is not None

    def join(self, argv, user):
        with self.net.host.entered():
            lo = socket.create_server(("127.0.0.1", 8081))
        with contextlib.closing(lo):
            assert self.run(argv, user) is not None
            self.room.adopt(self.procs, "pasta")
            inside = ["ip", "netns", "exec", "web"]
            assert "inet 192.0.2.10/24" in self.run([*inside, "ip", "address"],
                                                    user)
            # the gateway does not lead to the loopback address
            assert self.run([*inside, "curl", "-s", "-m", "2",
                             "http://192.0.2.1:8081/"], user) is None
            lo.settimeout(0)
            with pytest.raises(BlockingIOError):
                lo.accept()

    # --- passt ---

    def passt(self, argv, user):
        """It goes to the background, and the socket is there."""
        assert self.run(argv, user, stderr=subprocess.DEVNULL) is not None
        self.room.adopt(self.procs, "passt")
        assert listening(self.room, "/tmp/passt_1.socket")

    def passt_ports(self, argv, user):
        self.passt(argv, user)
        have = self.listeners()
        assert {"192.0.2.10:8080", "192.0.2.10:8443"} <= have
        assert {"%%eth0:%d" % p for p in range(8000, 8011)} <= \
            {re.sub(r"^[^%]*", "", h) for h in have}

    def passt_all_but(self, argv, user):
        """No low ports, as not allowed, no ephemeral ones; 22 not at all."""
        before = self.listeners()
        self.run(argv, user, stderr=subprocess.DEVNULL)
        self.room.adopt(self.procs, "passt")
        have = {int(h.rsplit(":", 1)[1]) for h in self.listeners() - before}
        assert {1024, 5432} <= have        # as far as descriptors go
        assert not have & {22, 40000}

    def listeners(self):
        """Local addresses of listening TCP sockets of the host."""
        out = self.room.run("ss", "-ltnH").stdout
        return {line.split()[3] for line in out.splitlines()}

    # --- virtual machines ---

    def qemu(self, argv, _):
        """As root, since the kernel to be booted is not for everybody. The disk
        image is a kernel instead."""
        argv = [w for w in argv if w not in ("disk.img", "-m", "1G")]
        if argv[0] == "qrap":
            argv[0] = os.path.join(self.bindir, "qrap")
        images = tempfile.mkdtemp(prefix="e2e-", dir="/var/tmp")
        try:
            subprocess.run([os.path.join(TOP, "test", "guest", "build"),
                            images], check=True)
            self.vm = Vm(self.procs, images, images, program=argv,
                         ns=self.room)
        finally:
            shutil.rmtree(images)
        dev = self.vm.run("ls /sys/class/net | grep -v lo",
                          check=False).strip()
        assert dev, "no network device in the guest"
        self.vm.run("ip link set %s up; udhcpc -i %s -f -q -n -t 10 -T 2 "
                    "-s /etc/lease" % (dev, dev))
        assert "1 packets received" in \
            self.vm.run("ping -c 1 -W 10 198.51.100.1")

    def ssh(self, argv, _):
        """There is no SSH server in the guest: what it would say first."""
        port, host = int(argv[2]), argv[3]
        self.vm.start("echo SSH-2.0-guest | nc -l -p 22")

        def greeting():
            with self.net.host.entered():
                s = socket.create_connection((host, port), 20)
            with s:
                try:
                    return s.recv(100)
                except ConnectionResetError:    # not listening yet
                    return b""
        wait_for(lambda: greeting() == b"SSH-2.0-guest\n", "greeting")
        self.vm.finish()


def get(ns, host):
    """Fetch a page from a network namespace. Return: is it there?"""
    res = ns.run("curl", "-s", "-m", "5", "http://%s:8080/" % host,
                 check=False, env=ENV)
    return "Directory listing" in res.stdout


CHECKS = [
    (r"pasta --config-net", Typist.shell),
    (r"pasta .* python3 -m http.server 80", Typist.web),
    (r"pasta .* -T 8080 curl localhost:8080", Typist.loopback),
    (r"ip netns add web", Typist.make_netns),
    (r"pasta .* --map-host-loopback none --netns web", Typist.join),
    (r"passt( -t 2222:22)?", Typist.passt),
    (r"passt -t 192.*", Typist.passt_ports),
    (r"passt -t ~22", Typist.passt_all_but),
    (r"(qrap|qemu-system-x86_64) .*", Typist.qemu),
    (r"ssh -p 2222 localhost", Typist.ssh),
]


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS, ids=lambda g: g[-1][1][:40])
def test_example(net, bindir, procs, group):
    typist = Typist(Room(procs, net.host), net, bindir, procs)
    for prompt, line in group:
        typist.type(prompt, line)


def test_enough():
    """The pages are read at all."""
    assert len(GROUPS) > 7
