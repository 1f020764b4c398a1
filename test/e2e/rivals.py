# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that give a namespace the host's network, each started the way its
manual says, as an ordinary user: ours and others beside it.

A contestant's open() makes a namespace and connects it; ports are published
with the number they have inside. What it has no option for is Lacking.
"""

import fcntl
import json
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import tempfile

import daemon
import topology
from netns import Netns
from procs import run_checked, wait_for

TUNSETIFF = 0x400454ca
IFF_TAP, IFF_NO_PI = 2, 0x1000


class Lacking(Exception):
    """The contestant has no option for this."""


class Namespace:
    """One that an ordinary user has made, with a process that keeps it."""

    def __init__(self, procs, where):
        self.keeper = procs.start(
            ["unshare", "--user", "--map-root-user", "--net", "sh", "-c",
             "ip link set lo up; echo ready; read x"], ns=where, user="user",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.keeper.stdout.readline() == b"ready\n"
        self.pid = self.keeper.pid
        self.ns = Netns("/proc/%d/ns/net" % self.pid)
        # Addresses can be used at once; who pings is nobody's business
        self.ns.sysctl(ipv6__conf__all__accept_dad=0,
                       ipv6__conf__default__accept_dad=0,
                       ipv6__conf__default__dad_transmits=0,
                       ipv4__ping_group_range="0 2147483647")


class Contestant:
    """Base. ifname: of the guest; gateway: what it dials for the loopback
    address of the host, by family; joins: whether it makes the interface."""

    name = ifname = None
    gateway = {}
    joins = True

    def __init__(self, procs, net, version):
        self.procs, self.net, self.version = procs, net, version
        self.box = self.pid = None
        self.tmp = tempfile.mkdtemp(prefix="e2e-", dir="/var/tmp")
        os.chmod(self.tmp, 0o777)

    def open(self, tcp=None, udp=None, auto=False, config=True):
        """Make a namespace and connect it, config: with an address already.
        Return: the namespace."""
        self.box = Namespace(self.procs, self.net.host)
        self.connect(tcp, udp, auto, config)
        return self.box.ns

    def connect(self, tcp=None, udp=None, auto=False, config=True):
        """Start the program for the namespace there is; sets pid."""
        raise NotImplementedError

    def close(self):
        """End all that was started; forget the namespace."""
        self.procs.end()
        if self.box:
            self.box.ns.close()
        self.box = None

    def end(self):
        """Remove what is on disk."""
        shutil.rmtree(self.tmp)

    def vm(self, bridge):
        """A guest that sends frames as QEMU does. Return: its namespace."""
        raise Lacking

    def vhost_user(self):
        """Whether a guest can be connected by shared memory."""
        raise Lacking

    def address(self, fam):
        """Wait for an address and a route of the guest, and let it say
        something: until then it may not be known."""
        def found():
            flag = "-%d" % fam.num
            addrs = re.findall(r"inet6? (\S+)", self.box.ns.ip(
                flag, "addr", "show", "dev", self.ifname))
            return [a for a in addrs if not a.startswith("fe80")] and \
                self.box.ns.ip(flag, "route", "show", "default")
        wait_for(found, "address", 3)
        with self.box.ns.sock(fam.af, socket.SOCK_DGRAM) as s:
            s.sendto(b"", (fam.far, 9))


class Passt(Contestant):
    """passt and pasta from a directory."""

    ifname = "eth0"
    gateway = {4: topology.V4.gw, 6: topology.V6.gw}

    def __init__(self, procs, net, name, bindir):
        out = subprocess.run([os.path.join(bindir, "pasta"), "--version"],
                             text=True, check=False, stderr=subprocess.STDOUT,
                             stdout=subprocess.PIPE).stdout
        version = out.split("\n")[0].replace("pasta ", "")
        super().__init__(procs, net, version)
        self.name, self.bindir, self.guests = name, bindir, []

    def connect(self, tcp=None, udp=None, auto=False, config=True):
        opts = ["-t", "auto", "-u", "auto"] if auto else []
        opts += ["-t", tcp] if tcp else []
        opts += ["-u", udp] if udp else []
        self.pid = daemon.Pasta(self.procs, self.net.host, self.bindir,
                                self.tmp, opts, form="pid",
                                config_net=config, target=self.box.pid).pid
        self.box.ns.ip("link set %s up" % self.ifname)

    def vm(self, bridge):
        one = daemon.Passt(self.procs, self.net.host, self.bindir, self.tmp,
                           ["-t", "none", "-u", "none"])
        self.guests.append(daemon.Bridged(one, self.procs, bridge,
                                          topology.FAMILIES))
        return self.guests[-1].ns

    def vhost_user(self):
        try:
            daemon.Passt(self.procs, self.net.host, self.bindir, self.tmp,
                         ["--vhost-user"])
        except AssertionError as why:
            raise Lacking from why

    def close(self):
        super().close()
        for guest in self.guests:
            guest.close()
        self.guests = []
        for name in os.listdir(self.tmp):
            os.unlink(os.path.join(self.tmp, name))


class Slirp4netns(Contestant):
    """slirp4netns, ports published by its API socket."""

    name, ifname = "slirp4netns", "tap0"
    gateway = {4: "10.0.2.2", 6: "fd00::2"}

    def __init__(self, procs, net, prog):
        out = run_checked([prog, "--version"]).stdout
        super().__init__(procs, net, re.search(r"version (\S+)", out).group(1))
        self.prog = prog

    def connect(self, tcp=None, udp=None, auto=False, config=True):
        if auto:
            raise Lacking
        ready, ready_wr = os.pipe()
        api = os.path.join(self.tmp, "api")
        if os.path.exists(api):
            os.unlink(api)
        proc = self.procs.start(
            [self.prog, "--configure", "--enable-ipv6", "--ready-fd", ready_wr,
             "--api-socket", api, self.box.pid, self.ifname],
            ns=self.net.host, user="user", pass_fds=(ready_wr,),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(ready_wr)
        said = select.select([ready], [], [], 10)[0] and os.read(ready, 1)
        os.close(ready)
        assert said == b"1", "slirp4netns did not start"
        self.pid = proc.pid
        for proto, port in (("tcp", tcp), ("udp", udp)):
            for host in ("0.0.0.0", "::") if port else ():
                self.publish(api, proto, host, port)

    @staticmethod
    def publish(api, proto, host, port):
        """Ask for a port; a refusal shows when it is used."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(api)
            s.sendall(json.dumps({"execute": "add_hostfwd", "arguments": {
                "proto": proto, "host_addr": host, "host_port": port,
                "guest_port": port}}).encode())
            s.shutdown(socket.SHUT_WR)
            s.recv(4096)


class Libslirp(Contestant):
    """libslirp, which is QEMU's "-netdev user", joined to a tap of ours: a
    QEMU without machine."""

    name, ifname = "libslirp", "tap0"
    gateway = {4: "10.0.2.2", 6: "fec0::2"}
    joins = False

    def __init__(self, procs, net, prog):
        out = run_checked([prog, "--version"]).stdout
        super().__init__(procs, net, "in QEMU " +
                         re.search(r"version (\S+)", out).group(1))
        self.prog = prog

    def connect(self, tcp=None, udp=None, auto=False, config=True):
        if auto:
            raise Lacking
        forwards = "".join(",hostfwd=%s::%d-:%d" % (proto, port, port)
                           for proto, port in (("tcp", tcp), ("udp", udp))
                           if port)
        with self.box.ns.entered():
            tap = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(tap, TUNSETIFF, struct.pack(
                "16sH22x", self.ifname.encode(), IFF_TAP | IFF_NO_PI))
        self.pid = self.procs.start(
            [self.prog, "-machine", "none", "-nodefaults", "-display", "none",
             "-netdev", "user,id=u" + forwards,
             "-netdev", "hubport,hubid=0,id=h,netdev=u",
             "-netdev", "tap,id=t,fd=%d" % tap,
             "-netdev", "hubport,hubid=0,id=i,netdev=t"],
            ns=self.net.host, user="user", pass_fds=(tap,),
            stderr=subprocess.DEVNULL).pid
        os.close(tap)
        self.box.ns.batch("""
            link set %s up
            addr add 10.0.2.15/24 dev %s
            addr add fec0::15/64 dev %s nodad
            route add default via 10.0.2.2
            route add default via fec0::2
            """ % ((self.ifname,) * 3))
        # It answers once its loop runs
        wait_for(lambda: not self.box.ns.run(
            "ping", "-n", "-c", "1", "-W", "1", "10.0.2.2",
            check=False).returncode, "answer of libslirp")


def everybody(procs, net, ours, only=None):
    """Ours, and who else is installed, as daemon.install() wants the directory
    of ours. PEER_BIN and PEER_OLD_BIN: newer and older passt and pasta. Of
    them, if not empty, only those named."""
    found = [(name, lambda name=name, where=where:
              Passt(procs, net, name, where))
             for name, where in (("ours", ours),
                                 ("newest passt", os.environ.get("PEER_BIN")),
                                 ("older passt",
                                  os.environ.get("PEER_OLD_BIN"))) if where]
    found += [(kind.name, lambda kind=kind, prog=prog: kind(procs, net, prog))
              for kind, prog in (
                  (Slirp4netns, shutil.which("slirp4netns")),
                  (Libslirp, shutil.which("qemu-system-x86_64"))) if prog]
    return [make() for name, make in found if not only or name in only]
