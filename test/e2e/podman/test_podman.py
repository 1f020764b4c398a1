# SPDX-License-Identifier: GPL-2.0-or-later
"""podman run --network pasta: what a container sees, and its options."""

import json
import os
import re
import socket
import subprocess

import pytest

from engine import (DNS4, DNS6, IMAGE, NAME, NAME4, NAME6, USER_ENV, Container,
                    datagrams, stream)
from doc import block
from netns import Netns
from procs import USER_ID, children, cmdline, wait_for
from topology import V4, V6
from xfer import Echo

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("podman")]

SHOW = "ip address; ip route; ip -6 route; cat /etc/resolv.conf /etc/hosts"


@pytest.fixture(scope="module")
def box(podman):
    """A container without any options, for those that only look."""
    container = podman.start("pasta")
    yield container
    container.remove()


def addresses(ns, **want):
    """Addresses of a namespace, those that match."""
    return [a for link in json.loads(ns.ip("-json address"))
            for a in link["addr_info"]
            if all(a.get(key) == value for key, value in want.items())]


def default_via(ns, fam):
    """The gateways of a namespace."""
    routes = json.loads(ns.ip("-%d -json route show default" % fam.num))
    return [r["gateway"] for r in routes]


def test_default(podman, net):
    """What a user gets who says nothing: the host's network."""
    out = podman.sh(block("podman-run", IMAGE="%s sh -c '%s'" % (IMAGE, SHOW)))
    for fam in (V4, V6):
        assert " %s/%d " % (fam.host, fam.plen) in out
        assert "default via %s dev eth0" % fam.gw in out
    assert "nameserver 169.254.1.1\nnameserver %s\n" % DNS4 in out


def test_addresses(box, fam):
    """The host's, and at once: none is tentative, nor marked otherwise."""
    found = addresses(box.ns, scope="global", local=fam.host)
    assert [a["prefixlen"] for a in found] == [fam.plen]
    assert not addresses(box.ns, tentative=True)
    assert default_via(box.ns, fam) == [fam.gw]


def test_inspect(box):
    """podman looks into the namespace as soon as pasta is ready."""
    assert box.inspect("{{.HostConfig.NetworkMode}}") == "pasta"
    hosts = box.run("cat", "/etc/hosts")
    assert "\n%s\t%s %s\n" % (V4.host, box.inspect("{{.Id}}")[:12],
                              box.name) in hosts
    assert "\n169.254.1.2\thost.containers.internal" in hosts


def test_links(box):
    """lo is up, and the MTU is the largest."""
    links = {link["ifname"]: link
             for link in json.loads(box.ns.ip("-json link"))}
    assert set(links) == {"lo", "eth0"}
    assert "UP" in links["lo"]["flags"]
    assert links["eth0"]["mtu"] == 65520


def test_dns(box):
    """The first server is ours, and is the host's in truth."""
    conf = box.run("cat", "/etc/resolv.conf").splitlines()
    assert [w for w in conf if w.startswith("nameserver")][0] == \
        "nameserver 169.254.1.1"
    out = box.run("nslookup", NAME)
    assert "169.254.1.1:53" in out and NAME4 in out and NAME6 in out


def test_exec(box, net, fam):
    """podman exec: a program started later is in the same network."""
    port = net.port()
    with net.far.sock(fam.af) as listener:
        listener.bind((fam.far, port))
        listener.listen()
        echo = Echo(listener)
        with echo:
            out = box.run("sh", "-c", "echo hello | nc %s %d" %
                          (fam.far, port))
    assert out == "hello\n"


def test_ping(podman, fam):
    """Far, and the gateway."""
    out = podman.once("pasta", "sh", "-c", "for dest in %s %s; do ping -c 1 "
                      "-W 5 $dest || exit 1; done" % (fam.far, fam.gw),
                      opts=["--cap-add=NET_RAW"])
    assert out.count("1 packets received") == 2


@pytest.mark.parametrize("nbytes", (2048, 10 << 20), ids=("2k", "10M"))
def test_outbound(box, net, fam, nbytes):
    """TCP to the world, compared by hash, seen as from the host."""
    port = net.port()
    assert stream(net.far, box.ns, fam, fam.far, port, port,
                  nbytes) == fam.host


def test_outbound_udp(box, net, fam):
    port = net.port()
    assert datagrams(net.far, box.ns, fam, fam.far, port, port,
                     (1, 1400, fam.udp_max), bind=fam.far) == fam.host


def test_host_name(podman, box, net):
    """host.containers.internal is the host, by its own address."""
    port = net.port()
    with net.host.sock(socket.AF_INET) as listener:
        listener.bind((V4.host, port))
        listener.listen()
        with Echo(listener):
            out = podman.sh("echo hello | " + block(
                "podman-host", IMAGE=IMAGE, PORT=port).replace(
                    "--rm", "--rm -i"))
    assert out == "hello\n"


def test_loopback_is_apart(box, net, fam):
    """Neither the gateway nor the name of the host leads to what listens on
    the host's loopback only: podman asks for that (--no-map-gw)."""
    port = net.port()
    with net.host.sock(fam.af) as listener:
        listener.bind((fam.loopback, port))
        listener.listen()
        names = ("169.254.1.2",) if fam.num == 4 else ()
        for dest in (fam.gw, fam.loopback, *names):
            with box.ns.sock(fam.af) as s, pytest.raises(ConnectionError):
                s.connect((dest, port))


def test_map_gw(podman, net, fam):
    """The option podman has for it."""
    port = net.port()
    with net.host.sock(fam.af) as listener:
        listener.bind((fam.loopback, port))
        listener.listen()
        with Echo(listener):
            out = podman.once("pasta:--map-gw", "sh", "-c",
                              "echo hello | nc %s %d" % (fam.gw, port))
    assert out == "hello\n"


def test_loopback_port(podman, net, fam):
    """-T: one port of the host's loopback, on the container's."""
    port = net.port()
    with net.host.sock(fam.af) as listener:
        listener.bind((fam.loopback, port))
        listener.listen()
        with Echo(listener):
            out = podman.sh(block(
                "podman-loopback", PORT=port, IMAGE="%s sh -c 'echo hello | "
                "nc %s %d'" % (IMAGE, fam.loopback, port)))
    assert out == "hello\n"


@pytest.mark.parametrize("fam, addr", ((V4, "192.0.2.77"),
                                       (V6, "2001:db8:1::77")), ids=repr)
def test_own_address(podman, fam, addr):
    """-a: another address; the other family stays."""
    out = podman.once("pasta:-a,%s" % addr, "sh", "-c", SHOW)
    other = V6 if fam is V4 else V4
    assert " %s/" % addr in out
    assert " %s/" % fam.host not in out
    assert " %s/%d " % (other.host, other.plen) in out
    assert "\n%s\t" % (addr if fam is V4 else V4.host) in out   # /etc/hosts


def test_own_address_and_gateway(podman):
    """-a and -g, of both families."""
    out = podman.sh(block("podman-address",
                          IMAGE="%s sh -c '%s'" % (IMAGE, SHOW)))
    assert " 192.0.2.77/24 " in out and " 2001:db8:1::77/" in out
    assert "default via 192.0.2.20 dev" in out
    assert "default via 2001:db8:1::20 dev" in out
    assert "\n192.0.2.77\t" in out


@pytest.fixture(scope="module")
def private(podman):
    """A container with addresses that the host has not."""
    box = Container(podman, podman.sh(block(
        "podman-private", IMAGE=IMAGE + " sleep 600")).strip())
    yield box
    box.remove()


def test_private_addresses(private, net, fam):
    """The world is reached even so, and the host by its own address."""
    port = net.port()
    addr, gw = (("10.0.2.15", "10.0.2.2") if fam is V4 else
                ("fd00::15", "fd00::2"))
    assert [a["local"] for a in addresses(private.ns, scope="global",
                                          family=["inet", "inet6"][fam is V6])
            ] == [addr]
    assert default_via(private.ns, fam) == [gw]
    assert stream(net.far, private.ns, fam, fam.far, port, port,
                  2048) == fam.host
    assert stream(net.host, private.ns, fam, fam.host, port, port,
                  2048) == fam.host
    assert datagrams(net.far, private.ns, fam, fam.far, port, port,
                     (1, 1400), bind=fam.far) == fam.host


def test_one_family(podman, fam):
    """-4 and -6 leave nothing of the other family but lo's."""
    out = podman.once("pasta:-%d" % fam.num, "sh", "-c",
                      "ip address; ip route; ip -6 route")
    other = V6 if fam is V4 else V4
    assert " %s/%d " % (fam.host, fam.plen) in out
    assert other.host not in out
    assert other.gw not in out


def test_mtu(podman):
    out = podman.sh(block("podman-mtu", IMAGE=IMAGE + " ip link"))
    assert "eth0: " in out and " mtu 1280 " in out


def test_dns_forward(podman, fam):
    """Another address of the forwarder, also of the family the host's server
    is not of."""
    server = "198.51.100.1" if fam is V4 else "2001:db8::53"
    text = block("podman-dns", IMAGE="%s sh -c 'cat /etc/resolv.conf; nslookup "
                 "%s'" % (IMAGE, NAME))
    out = podman.sh(text.replace("198.51.100.1", server))
    assert "nameserver %s\n" % server in out
    assert NAME4 in out and NAME6 in out


@pytest.mark.parametrize("server", (DNS6, "127.0.0.53"))
def test_dns_of_host(podman, net, server):
    """The host's only server is of the other family, or on its loopback as
    systemd-resolved is."""
    if server.startswith("127."):
        podman.resolver(net.host, server)
    podman.tree.run("sh", "-c", "echo nameserver %s >/etc/resolv.conf" %
                    server)
    try:
        out = podman.once("pasta", "nslookup", NAME, "169.254.1.1")
    finally:
        podman.tree.run("sh", "-c", "echo nameserver %s >/etc/resolv.conf" %
                        DNS4)
    assert NAME4 in out and NAME6 in out


def test_name_and_mac(podman):
    """Of an option given more than once the last one holds."""
    out = podman.once("pasta:-I,first,-I,myname,--ns-mac-addr,"
                      "9a:dd:31:ea:92:98", "ip", "link")
    assert " myname: " in out and "first" not in out
    assert "9a:dd:31:ea:92:98" in out


def test_defaults(podman):
    """Options of containers.conf come first: the command line overrides."""
    podman.sh(block("podman-defaults"))
    try:
        assert " mtu 1400 " in podman.once("pasta", "ip", "link")
        assert " mtu 1280 " in podman.once("pasta:-m,1280", "ip", "link")
    finally:
        podman.sh("rm ~/.config/containers/containers.conf.d/pasta.conf")


def test_capture(podman):
    """--pcap: what the container says, in a file of the user's."""
    path = podman.tree.root("/tmp/box.pcap")
    podman.sh(block("podman-capture", IMAGE="%s nslookup %s" % (IMAGE, NAME)))
    with open(path, "rb") as f:
        data = f.read()
    assert b"\x04name\x07example" in data
    assert os.stat(path).st_uid == USER_ID


@pytest.mark.parametrize("opt", (
    "--userns=keep-id", "--userns=auto", "--userns=nomap",
    "--uidmap=0:1:1000"))
def test_user_namespaces(podman, opt):
    """The container's user namespace is below podman's, and owns the network
    that pasta is to enter."""
    out = podman.once("pasta", "sh", "-c", SHOW + "; nslookup " + NAME,
                      opts=[opt])
    for fam in (V4, V6):
        assert " %s/%d " % (fam.host, fam.plen) in out
    assert NAME4 in out


class Offline:
    """A host without any network, in the tree: of loopback only."""

    def __init__(self, podman, net):
        self.podman, self.net = podman, net
        self.proc = podman.procs.start(podman.tree.wrap(
            ["unshare", "--net", "sh", "-c",
             "ip link set lo up; echo ready; read x"]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.proc.stdout.readline() == b"ready\n"
        self.pid = wait_for(lambda: children(self.proc.pid), "shell")[0]
        self.ns = Netns("/proc/%d/ns/net" % self.pid)

    def run(self, *argv):
        """A program of the tree, as the user, without network."""
        with open("/proc/%d/status" % self.pid, encoding="ascii") as f:
            inner = re.search(r"^NSpid:.*\s(\d+)$", f.read(),
                              re.MULTILINE).group(1)
        return self.podman.run(
            "nsenter", "--net=/proc/%s/ns/net" % inner, "setpriv",
            "--reuid=%d" % USER_ID, "--regid=%d" % USER_ID, "--clear-groups",
            "--", *argv, user=None).stdout

    def connect(self):
        """Bring the network."""
        self.net.far.ip("link add off0 type veth peer name eth0 netns %d" %
                        self.pid)
        self.net.far.batch("addr add 203.0.113.1/30 dev off0\n"
                           "link set off0 up\n")
        self.ns.batch("addr add 203.0.113.2/30 dev eth0\n"
                      "link set eth0 up\n"
                      "route add default via 203.0.113.1\n")

    def close(self):
        self.ns.close()
        self.proc.stdin.close()
        self.proc.wait(10)


def test_offline(podman, net):
    """A host without network starts containers; once it has one they do."""
    offline = Offline(podman, net)
    try:
        port = net.port()
        name = offline.run("podman", "run", "--detach", "--network", "pasta",
                           "-p", "%d:80" % port, IMAGE, "sleep", "600")
        box = Container(podman, name.strip())
        assert default_via(box.ns, V4)
        stream(box.ns, offline.ns, V4, V4.loopback, port, 80, 1)
        offline.connect()
        assert stream(net.far, box.ns, V4, V4.far, port, port,
                      1 << 20) == "203.0.113.2"
        stream(box.ns, net.far, V4, "203.0.113.2", port, 80, 1 << 20)
        box.remove()
    finally:
        offline.close()


def test_root_in_userns(podman):
    """Root of a user namespace, as in a container that runs podman."""
    podman.run("podman", "import", "--quiet", "/tmp/box.tar", IMAGE, user=None,
               env={**USER_ENV, "HOME": "/root"})
    out = podman.run("unshare", "--user", "--map-users=0,0,65536",
                     "--map-groups=0,0,65536", "--mount", "podman", "run",
                     "--rm", "--network", "pasta", IMAGE, "ip", "address",
                     user=None, env={**USER_ENV, "HOME": "/root"}).stdout
    for fam in (V4, V6):
        assert " %s/%d " % (fam.host, fam.plen) in out


def test_root_is_told(podman):
    """The superuser has bridges instead; podman says so, not we."""
    res = podman.run("podman", "run", "--rm", "--network", "pasta", IMAGE,
                     user=None, env={**USER_ENV, "HOME": "/root"}, check=False)
    assert res.returncode == 125
    assert "rootless" in res.stderr


def test_info(podman):
    """podman info shows which pasta it would start."""
    host = json.loads(podman("info", "--format", "json"))["host"]
    assert host["pasta"]["executable"] == "/usr/bin/pasta"
    assert host["pasta"]["version"].startswith("pasta ")
    assert host["rootlessNetworkCmd"] == "pasta"


def test_arguments(podman, box):
    """What podman asks of us, so that other tests may rely on it."""
    argv = [cmdline(pid) for pid in podman.pastas()]
    mine = [a for a in argv if a[1] == "--config-net" and "--pid" not in a][0]
    netns = mine[mine.index("--netns") + 1]
    assert mine[1:] == [
        "--config-net", "--dns-forward", "169.254.1.1", "-t", "none",
        "-u", "none", "-T", "none", "-U", "none", "--no-map-gw", "--quiet",
        "--netns", netns, "--map-guest-addr", "169.254.1.2"]
