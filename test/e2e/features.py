#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What each contestant of rivals.py can do, found out by trying: a table.

    sudo PEER_BIN=DIR PEER_OLD_BIN=DIR test/e2e/features.py [-v] [NAME]...

NAME: contestants, default all that are there, and rows. Each row is a function that
raises, or returns a figure, for a contestant and a family; "no" is whatever
else happened, -v tells what. README.md has the table of such a run, and
test_readme.py compares the cells of ours with what is there.
"""

import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import daemon
import l2
import topology
from procs import Procs, alive, wait_for
from rivals import Lacking, everybody

FIRST_TIMEOUT = 4


def sock(ns, fam, kind=socket.SOCK_STREAM):
    """A socket that does not wait for long."""
    s = ns.sock(fam.af, kind)
    s.settimeout(FIRST_TIMEOUT)
    return s


def exchange(client, server, fam, dest, bind, port, source=""):
    """TCP from client to server. Return: address the server saw."""
    with sock(server, fam) as listener, sock(client, fam) as s:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if fam.num == 6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((bind, port))
        listener.listen()
        s.bind((source or fam.any, 0))
        s.connect((dest, port))
        conn, peer = listener.accept()
        conn.settimeout(FIRST_TIMEOUT)
        with conn:
            s.sendall(b"question")
            assert conn.recv(100) == b"question"
            conn.sendall(b"answer")
            assert s.recv(100) == b"answer"
    return peer[0]


def datagrams(client, server, fam, dest, bind, port, size=100, source=""):
    """UDP there and back. Return: address the server saw."""
    with sock(server, fam, socket.SOCK_DGRAM) as a, \
            sock(client, fam, socket.SOCK_DGRAM) as b:
        if fam.num == 6:
            a.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        a.bind((bind, port))
        a.settimeout(1)
        b.settimeout(1)
        b.bind((source or fam.any, 0))
        b.connect((dest, port))
        for last in (False, False, True):
            try:
                b.send(b"q" * size)
                data, peer = a.recvfrom(65536)
                assert len(data) == size
                a.sendto(data, peer)
                assert len(b.recv(65536)) == size
                return peer[0]
            except OSError:
                if last:
                    raise
    return None


def tcp_out(c, fam):
    """TCP from inside"""
    ns = c.open()
    c.address(fam)
    exchange(ns, c.net.far, fam, fam.far, fam.far, c.net.port())


def udp_out(c, fam):
    """UDP from inside"""
    ns = c.open()
    c.address(fam)
    datagrams(ns, c.net.far, fam, fam.far, fam.far, c.net.port())


def udp_large(c, fam):
    """UDP datagrams of 60,000 bytes"""
    ns = c.open()
    c.address(fam)
    datagrams(ns, c.net.far, fam, fam.far, fam.far, c.net.port(), 60000)


def ping_out(c, fam):
    """ping from inside"""
    ns = c.open()
    c.address(fam)
    ns.run("ping", "-n", "-c", "2", "-W", "2", fam.far)


def pings_seen(ns, fam):
    """Echo requests a namespace has received so far."""
    path = "/proc/net/snmp6" if fam.num == 6 else "/proc/net/snmp"
    text = ns.run("cat", path).stdout
    if fam.num == 6:
        return int(text.split("Icmp6InEchos")[1].split()[0])
    names, values = [line.split() for line in text.splitlines()
                     if line.startswith("Icmp:")]
    return int(values[names.index("InEchos")])


def ping_in(c, fam):
    """ping from outside (otherwise the host answers)"""
    ns = c.open()
    c.address(fam)
    before = pings_seen(ns, fam)
    c.net.far.run("ping", "-n", "-c", "1", "-W", "2", fam.host)
    assert pings_seen(ns, fam) > before


def refused_tcp(c, fam):
    """Refused TCP connections are refused"""
    ns = c.open()
    c.address(fam)
    with sock(ns, fam) as s:
        assert s.connect_ex((fam.far, c.net.port())) == errno.ECONNREFUSED


def udp_error(ns, fam, dest, port, size, want):
    """Send until an ICMP error comes back."""
    with sock(ns, fam, socket.SOCK_DGRAM) as s:
        if fam.num == 4:
            s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, DO
        else:
            s.setsockopt(socket.IPPROTO_IPV6, 23, 2)
        s.connect((dest, port))

        def failed():
            try:
                s.send(b"x" * size)
                time.sleep(0.05)
                return s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            except OSError as why:
                return why.errno
        assert wait_for(failed, "error", 2) == want


def refused_udp(c, fam):
    """Closed UDP ports are told"""
    ns = c.open()
    c.address(fam)
    udp_error(ns, fam, fam.far, c.net.port(), 10, errno.ECONNREFUSED)


def path_mtu(c, fam):
    """Path MTU is told (UDP, fragments forbidden)"""
    ns = c.open()
    c.address(fam)
    udp_error(ns, fam, fam.beyond, c.net.port(), 1400, errno.EMSGSIZE)


def traceroute(c, fam):
    """traceroute (UDP)"""
    ns = c.open()
    c.address(fam)
    out = ns.run("traceroute", "-%d" % fam.num, "-n", "-U", "-q", "1", "-w",
                 "2", "-m", "4", fam.beyond, "60").stdout
    hops = [line.split()[1] for line in out.splitlines()[1:]]
    assert fam.gw in hops and fam.beyond in hops, hops


def publish(c, fam, proto, talk):
    """A port of the host, asked from far. Return: what talk does"""
    port = c.net.port()
    ns = c.open(**{proto: port})
    c.address(fam)
    return talk(c.net.far, ns, fam, fam.host, fam.any, port, source=fam.far)


def publish_tcp(c, fam):
    """TCP port published"""
    return publish(c, fam, "tcp", exchange)


def publish_udp(c, fam):
    """UDP port published"""
    return publish(c, fam, "udp", datagrams)


def source_kept(c, fam):
    """... the guest sees the client's address"""
    assert publish_tcp(c, fam) == fam.far


def publish_loopback(c, fam):
    """... and by the host's loopback address"""
    port = c.net.port()
    ns = c.open(tcp=port)
    c.address(fam)
    exchange(c.net.host, ns, fam, fam.loopback, fam.any, port)


def publish_auto(c, fam):
    """... as somebody begins to listen"""
    ns = c.open(auto=True)
    c.address(fam)
    port = c.net.port()
    with sock(ns, fam) as listener:
        if fam.num == 6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((fam.any, port))
        listener.listen()

        def dialled():
            with sock(c.net.far, fam) as s:
                s.bind((fam.far, 0))
                return not s.connect_ex((fam.host, port))
        wait_for(dialled, "port", 3)


def host_loopback(c, fam):
    """The host's loopback services, at the gateway"""
    ns = c.open()
    c.address(fam)
    exchange(ns, c.net.host, fam, c.gateway[fam.num], fam.loopback,
             c.net.port())


def host_address(c, fam):
    """The guest has the host's address"""
    ns = c.open()
    c.address(fam)
    assert " %s/" % fam.host in ns.ip("addr")


def answers(c, question, is_answer):
    """Whether a frame like that comes back."""
    ns = c.open(config=False)
    guest = l2.TapGuest(ns, c.ifname)
    try:
        for left in (2, 1, 0):
            try:
                guest.send(question())
                guest.expect(is_answer, 1)
                return
            except AssertionError:
                if not left:
                    raise
    finally:
        guest.sock.close()


def dhcp(c, _fam):
    """DHCP"""
    answers(c, l2.dhcp_discover, l2.is_dhcp)


def ndp(c, _fam):
    """Router advertisements"""
    answers(c, l2.router_solicit, lambda f: l2.ICMPv6ND_RA in f)


def dhcpv6(c, _fam):
    """DHCPv6"""
    answers(c, l2.dhcp6_solicit, l2.is_advertise)


def vm(c, fam, bridge=None):
    """QEMU as a client, by a UNIX socket"""
    ns = c.vm(bridge)
    exchange(ns, c.net.far, fam, fam.far, fam.far, c.net.port())


def vhost_user(c, _fam):
    """QEMU by shared memory (vhost-user)"""
    c.vhost_user()


def namespace(c, _fam):
    """Joins a namespace and makes its interface"""
    if not c.joins:
        raise Lacking
    assert c.ifname in c.open().ip("link")


def restart(c, fam):
    """Killed and started again, the namespace is as before"""
    if not c.joins:
        raise Lacking
    tcp_out(c, fam)
    os.kill(c.pid, 9)
    wait_for(lambda: not alive(c.pid), "end")
    wait_for(lambda: c.ifname not in c.box.ns.ip("link"), "end of the tap")
    c.connect()
    c.address(fam)
    exchange(c.box.ns, c.net.far, fam, fam.far, fam.far, c.net.port())


def user(c, _fam):
    """No capability left, or that for low ports alone"""
    c.open()
    low_ports = 1 << 10             # CAP_NET_BIND_SERVICE
    for task in os.listdir("/proc/%d/task" % c.pid):
        with open("/proc/%d/task/%s/status" % (c.pid, task),
                  encoding="ascii") as f:
            caps = int(f.read().split("CapEff:")[1].split()[0], 16)
        assert not caps & ~low_ports, hex(caps)


def seccomp(c, _fam):
    """System call filter, by default"""
    c.open()
    with open("/proc/%d/status" % c.pid, encoding="ascii") as f:
        assert "Seccomp:\t2" in f.read()


def empty_root(c, _fam):
    """No file in reach, by default"""
    c.open()
    assert not os.listdir("/proc/%d/root" % c.pid)


def memory(c, _fam):
    """Memory when idle, MB"""
    c.open()
    with open("/proc/%d/status" % c.pid, encoding="ascii") as f:
        return int(f.read().split("VmRSS:")[1].split()[0]) / 1024


def stall(c, fam):
    """MB in the 2 s after the far end paused for 1 s"""
    if fam.num == 6:
        raise Lacking
    ns = c.open()
    c.address(fam)
    with sock(c.net.far, fam) as listener, sock(ns, fam) as s:
        listener.bind((fam.far, c.net.port()))
        listener.listen()
        s.connect(listener.getsockname())
        conn = listener.accept()[0]

        def pump():
            block = bytes(1 << 20)
            try:
                while True:
                    s.sendall(block)
            except OSError:
                pass
        sender = threading.Thread(target=pump)
        sender.start()
        with conn:
            time.sleep(1)
            end = time.monotonic() + 2
            buf, total = bytearray(1 << 20), 0
            while time.monotonic() < end:
                conn.settimeout(max(end - time.monotonic(), 0.001))
                try:
                    total += conn.recv_into(buf)
                except TimeoutError:
                    break
        # What is unread is reset, which ends the sender if it has not ended
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        sender.join()
    return total / 1e6


# Rows, and which families they are about: none, IPv6 alone, both
BOTH = topology.FAMILIES
ONE = topology.FAMILIES[:1]
ROWS = (
    (tcp_out, BOTH), (udp_out, BOTH), (udp_large, BOTH), (ping_out, BOTH),
    (ping_in, BOTH), (refused_tcp, BOTH), (refused_udp, BOTH),
    (traceroute, BOTH), (path_mtu, BOTH), (publish_tcp, BOTH),
    (publish_udp, BOTH), (source_kept, BOTH), (publish_loopback, BOTH),
    (publish_auto, BOTH), (host_loopback, BOTH), (host_address, BOTH),
    (dhcp, ONE), (ndp, ONE), (dhcpv6, ONE), (namespace, ONE), (vm, BOTH),
    (vhost_user, ONE), (restart, BOTH), (user, ONE), (seccomp, ONE),
    (empty_root, ONE), (stall, ONE), (memory, ONE),
)
FIGURES = (stall, memory)


def cell(c, row, fams, note=lambda text: None):
    """What a contestant does in a row, as the table says it."""
    good, value = [], None
    for fam in fams:
        try:
            value = row(c, fam)
            good.append(fam)
        except Lacking:
            pass
        except (AssertionError, OSError, subprocess.SubprocessError) as why:
            note("%s, %s, %s: %s: %s" % (c.name, row.__name__, fam,
                                         type(why).__name__,
                                         str(why).strip()[:300]))
        finally:
            c.close()
    if not good:
        return "no"
    if row in FIGURES:
        return "%.3g" % value if value < 1000 else "%d" % value
    return "yes" if len(good) == len(fams) else "IPv%d" % good[0].num


def compiled_bridge(directory):
    """The program in the place of QEMU."""
    prog = os.path.join(directory, "bridge")
    src = os.path.join(daemon.TOP, "test/bridge/bridge.c")
    subprocess.run(["cc", "-std=c11", "-O2", "-o", prog, src], check=True)
    return prog


def table(contestants, rows, bridge, note=lambda text: None):
    """Lines of Markdown, each as it is known."""
    yield "| | " + " | ".join(c.name for c in contestants) + " |"
    yield "|---" * (len(contestants) + 1) + "|"
    for row, fams in rows:
        title = row.__doc__
        if row is vm:
            def bound(c, fam):
                return vm(c, fam, bridge)
        else:
            bound = row
        cells = [cell(c, bound, fams, note) for c in contestants]
        yield "| %s | %s |" % (title, " | ".join(cells))


def main(args):
    """Print the table."""
    if "-h" in args or "--help" in args:
        print(__doc__)
        return
    verbose = "-v" in args
    rows = [row for row in ROWS if row[0].__name__ in args] or ROWS
    only = [a for a in args if a != "-v" and
            a not in [row[0].__name__ for row in ROWS]]
    tmp = tempfile.mkdtemp(prefix="e2e-bin-", dir="/var/tmp")
    os.chmod(tmp, 0o755)
    net = topology.Network()
    contestants = []
    try:
        contestants = everybody(Procs(), net, daemon.install(tmp), only)
        missing = set(only) - {c.name for c in contestants}
        if missing:
            sys.exit("neither a row nor a contestant that is there: %s" %
                     ", ".join(sorted(missing)))
        for c in contestants:
            print("%s: %s" % (c.name, c.version), file=sys.stderr)
        for line in table(contestants, rows, compiled_bridge(tmp),
                          lambda text: verbose and print(
                              text, file=sys.stderr, flush=True)):
            print(line, flush=True)
    finally:
        for c in contestants:
            c.close()
            c.end()
        net.delete()
        shutil.rmtree(tmp)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
