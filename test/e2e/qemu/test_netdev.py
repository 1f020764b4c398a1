# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU new enough to connect again when passt is replaced, and to start passt
itself: one guest with an interface of each kind, only one of them up."""

import json
import os
import shlex
import signal
import socket
import subprocess

import pytest

from callers import ENV, Tree
from doc import block
from procs import Procs, alive, children, cmdline, wait_for
from topology import FAMILIES, V4, V6
from vm import Guest, machine_args

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("libvirt")]

USER = 4711
# All that -netdev passt has, but what excludes other things
PASST = {
    "type": "passt", "id": "own", "quiet": True, "mtu": 1400,
    "address": "192.0.2.56", "netmask": "255.255.255.0",
    "mac": "9a:55:9a:55:00:01", "gateway": "192.0.2.1", "interface": "eth0",
    "outbound": "192.0.2.10", "outbound-if4": "eth0", "outbound-if6": "eth0",
    "dns": "198.51.100.1", "fqdn": "guest.example", "dhcp-dns": True,
    "dhcp-search": True, "map-host-loopback": "192.0.2.111",
    "map-guest-addr": "192.0.2.112", "dns-forward": "192.0.2.113",
    "dns-host": "198.51.100.1", "tcp": True, "udp": True, "icmp": True,
    "dhcp": True, "ndp": True, "dhcpv6": True, "ra": True,
    "freebind": True, "ipv4": True, "ipv6": True,
    "search": [{"str": "one.example"}, {"str": "two.example"}],
    "tcp-ports": [{"str": "192.0.2.10/8090:80"}, {"str": "8091-8092:81-82"}],
    "udp-ports": [{"str": "8090:53"}],
    "param": [{"str": "--log-file"}, {"str": "/tmp/own.log"},
              {"str": "--hostname=guest"}],
}


def words(text):
    """A command of the document as an argument vector."""
    return shlex.split(text.replace("\\\n", ""))


class Machine:
    """QEMU in the tree, run by an ordinary user."""

    def __init__(self, net, bindir):
        self.procs = Procs()
        self.tree = None
        try:
            self.tree = Tree(self.procs, net.host, bindir)
            self.tree.make_guest()
            self.start_passt()
            netdev = words(block("qemu-stream"))
            argv = ["qemu-system-x86_64",
                    *machine_args("/tmp", "/tmp/console", "/tmp/kernel"),
                    *netdev[netdev.index("-netdev"):],
                    "-netdev", json.dumps(PASST),
                    "-device", "virtio-net-pci,netdev=own,romfile=,"
                    "mac=52:54:00:00:00:02"]
            self.proc = self.procs.start(
                self.tree.wrap(argv, user=USER), env=ENV,
                stdout=subprocess.DEVNULL, stderr=None)
            self.vm = Guest(self.tree.root("/tmp/console"),
                            self.tree.root("/tmp/kernel"),
                            lambda: self.proc.poll() is None)
        except BaseException:
            self.close()
            raise

    def start_passt(self):
        """passt for the first interface, as the document says."""
        self.tree.run("sh", "-ec", block("qemu-passt-start"), user=USER)

    def use(self, dev):
        """Let the guest have this one interface."""
        if "UP" not in self.vm.run("ip link show dev " + dev):
            self.vm.run("ip link set eth0 down; ip link set eth1 down; "
                        "ip addr flush dev eth0; ip addr flush dev eth1; "
                        "ip link set %s up" % dev)
            self.vm.dev = dev
            self.vm.dhcp()
        self.vm.slaac()

    def passt(self, word):
        """PID of the one passt with this word in its command line."""
        found = self.tree.passts(word)
        return found[0] if len(found) == 1 else None

    def close(self):
        if self.tree:
            self.tree.close()
        self.procs.end()


@pytest.fixture(scope="module")
def machine(net, bindir):
    m = Machine(net, bindir)
    yield m
    m.close()


def http(net, guest, fam, port, inner):
    """Whether a server on a port of the guest is reached from far."""
    guest.run("echo hello >/www/file; httpd -p %d -h /www" % inner,
              check=False)          # it may run already
    with net.far.sock(fam.af) as s:
        s.settimeout(10)
        s.connect((fam.host, port))
        s.sendall(b"GET /file HTTP/1.0\r\n\r\n")
        data = b""
        while part := s.recv(1000):
            data += part
    return data.endswith(b"\r\n\r\nhello\n")


def test_stream(machine, net):
    machine.use("eth0")
    for fam in FAMILIES:
        assert machine.vm.reaches(fam)
        assert http(net, machine.vm, fam, 8080, 80)


def test_stream_reconnect(machine, net):
    """passt is killed, and started again by its user: the guest goes on."""
    machine.use("eth0")
    for sig in (signal.SIGKILL, signal.SIGTERM):
        pid = machine.passt("8080:80")
        os.kill(pid, sig)
        wait_for(lambda p=pid: not alive(p), "end of passt")
        machine.start_passt()
        for fam in FAMILIES:
            wait_for(lambda f=fam: machine.vm.reaches(f), "answer to ping")
            assert http(net, machine.vm, fam, 8080, 80)


def test_own_command(machine):
    """What QEMU made of our settings is what we think it is."""
    args = cmdline(machine.passt("one.example"))
    assert "--quiet" in args and "--fd" in args and "--pid" in args
    assert args[args.index("--search") + 1] == "one.example two.example"
    assert args[args.index("--tcp-ports") + 1] == \
        "192.0.2.10/8090:80,8091-8092:81-82"
    assert "--freebind" in args


def test_own_parameters(machine):
    """They arrive in the guest."""
    machine.use("eth1")
    vm = machine.vm
    assert "192.0.2.56/24" in vm.run("ip addr")
    assert "mtu 1400" in vm.run("ip link show dev eth1")
    vm.run("printf '#!/bin/sh\\nenv\\n' >/tmp/env; chmod 755 /tmp/env")
    said = vm.run("udhcpc -i eth1 -f -q -n -t 10 -T 2 -O search -s /tmp/env "
                  "2>&1")
    assert "search=one.example two.example" in said
    assert "dns=198.51.100.1" in said or "dns=192.0.2.113" in said
    assert "hostname=guest" in said
    for fam in FAMILIES:
        assert vm.reaches(fam)
    assert "9a:55:9a:55:00:01" in vm.run("ip neigh")


def test_own_ports(machine, net):
    machine.use("eth1")
    assert http(net, machine.vm, V4, 8090, 80)
    assert http(net, machine.vm, V4, 8092, 82)
    assert machine.vm.reaches(V6)
    machine.vm.run("udpecho 53 & usleep 100000")
    with net.far.sock(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((V4.host, 8090))
        s.send(b"query")
        assert s.recv(100) == b"query"


def test_own_killed(machine, net):
    """QEMU starts another one, which has what the first had."""
    machine.use("eth1")
    pid = machine.passt("one.example")
    args = cmdline(pid)
    os.kill(pid, signal.SIGKILL)

    def another():
        new = machine.passt("one.example")
        return new != pid and new
    new = cmdline(wait_for(another, "another passt"))
    assert [a for a in new if ".pid" not in a and "/tmp/" not in a] == \
        [a for a in args if ".pid" not in a and "/tmp/" not in a]
    for fam in FAMILIES:
        wait_for(lambda f=fam: machine.vm.reaches(f), "answer to ping")
    assert http(net, machine.vm, V4, 8090, 80)


def test_refused(machine):
    """What passt says is not lost: QEMU lets it through."""
    res = machine.tree.run(
        "qemu-system-x86_64", "-M", "none", "-display", "none", "-netdev",
        "passt,id=bad,address=192.0.2.300", user=USER, check=False)
    assert res.returncode
    assert "192.0.2.300" in res.stderr


def test_end(machine):
    """QEMU ends its passt; the other one had --one-off and ends itself."""
    pids = [machine.passt("one.example"), machine.passt("8080:80")]
    assert all(pids)
    machine.vm.start("poweroff -f")
    machine.proc.wait(30)
    for pid in pids:
        wait_for(lambda p=pid: not alive(p), "end of passt", 5)


def test_shown(machine, net):
    """The short form of the document, and an end by signal."""
    proc = machine.procs.start(
        machine.tree.wrap([*words(block("qemu-passt")), "-S", "-nodefaults",
                           "-display", "none", "-accel", "tcg"], user=USER),
        env=ENV, stdout=subprocess.DEVNULL)
    pid = wait_for(lambda: machine.passt("8080:80"), "passt")
    with net.far.sock(socket.AF_INET6) as s:
        wait_for(lambda: not s.connect_ex((V6.host, 8080)), "open port")
    os.kill(children(proc.pid)[0], signal.SIGTERM)
    proc.wait(10)
    wait_for(lambda: not alive(pid), "end of passt", 5)
