# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is measured: how each contestant is found and started on a path.

A contestant opens a Path: where the client runs, where the server runs, which
address leads from one to the other, and which processes do the work. The limit
is a contestant too: the same two ends without anybody between them.
"""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import time

from . import world as w

TAP = "tap0"
GUEST_TXQLEN = 10000
QUIET = ("-t", "none", "-u", "none")
QUIET_NS = QUIET + ("-T", "none", "-U", "none")


@dataclasses.dataclass
class Path:
    """Two ends with a contestant between them."""

    client: str                     # namespace
    server: str
    addr: str
    addr6: str = ""
    port: int = 0
    pids: list = dataclasses.field(default_factory=list)
    helpers: list = dataclasses.field(default_factory=list)  # bridges' PIDs
    namespaces: list = dataclasses.field(default_factory=list)
    procs: list = dataclasses.field(default_factory=list)
    log: pathlib.Path = None

    def close(self, world):
        for proc in self.procs:
            world.end(proc)
        for pid in self.pids:
            world.end_pid(pid)
        for ns in self.namespaces:
            world.delete_netns(ns)

    def check(self):
        """Raise Failed if the contestant has died."""
        for pid in self.pids:
            if not w.alive(pid):
                tail = self.log.read_text()[-200:] if self.log else ""
                raise w.Failed(f"ended early: {tail.strip()}")


class Contestant:
    """Base: name, how it is called in reports, and what it can do."""

    kinds = ()

    def __init__(self, name, label):
        self.name, self.label = name, label
        self.skipped = None         # why it does not take part

    def supports(self, kind):
        return self.skipped is None and kind in self.kinds

    def open(self, world, row):
        """Start for a row; returns a Path the caller closes."""
        return getattr(self, row.kind.replace("-", "_"))(world, row)


class Limit(Contestant):
    """The same measurement with nothing of anybody's in between."""

    kinds = ("tap", "splice-in", "splice-out", "passt", "start")

    def __init__(self, tools):
        super().__init__("limit", "limit (plain veth, lo, bridge pair)")
        self.tools = tools

    def tap(self, world, _row):
        return Path("host", "world", w.WORLD4, w.WORLD6, world.next_port())

    def splice_in(self, world, _row):
        return Path("host", "host", "127.0.0.1", "::1", world.next_port())

    splice_out = splice_in

    def start(self, _world, _row):
        return Path("host", "host", "", "")

    def start_command(self, inner):
        return ["unshare", "-rUnmip", "--fork", *inner]

    def passt(self, world, row):
        """Two stand-ins for QEMU back to back: their limit, and so ours."""
        guest, other = world.guest(), world.guest()
        sock = world.tmp / f"{guest}.pair"
        path = Path(guest, other, w.WORLD4, "", world.next_port(),
                    namespaces=[guest, other])
        server = world.spawn([self.tools["bridge"], TAP, sock, "listen"],
                             ns=other)
        path.procs.append(server)
        world.ready(server, "bridge")
        connect_bridge(world, self.tools, path, guest, sock)
        configure(world, guest, f"{w.HOST4}/24", w.GATEWAY4, row.mtu)
        configure(world, other, f"{w.GATEWAY4}/24", None, row.mtu)
        world.sh("ip", "addr", "add", f"{w.WORLD4}/32", "dev", "lo", ns=other)
        world.answer_as_world(other, TAP)
        path.helpers = [proc.pid for proc in path.procs]
        return path


class Passt(Contestant):
    """passt and pasta as installed in some directory."""

    kinds = ("tap", "splice-in", "splice-out", "passt", "start", "pasta",
             "pasta-auto", "crowd", "passt-idle", "binary")

    def __init__(self, name, label, directory, tools, why):
        super().__init__(name, label)
        self.dir = pathlib.Path(directory).absolute() if directory else None
        self.tools = tools
        self.version = ""
        if not self.dir or not os.access(self.dir / "pasta", os.X_OK):
            self.skipped = why
            return
        out = subprocess.run([self.dir / "pasta", "--version"],
                             capture_output=True, text=True, timeout=10)
        lines = (out.stdout + out.stderr).strip().splitlines()
        self.version = lines[0] if lines else "?"

    def pasta(self, world, row, extra=QUIET_NS):
        """pasta joined to a fresh namespace, configured there by itself."""
        guest = world.guest()
        path = Path(guest, "world", w.WORLD4, w.WORLD6, world.next_port(),
                    namespaces=[guest])
        argv = [self.dir / "pasta", "--config-net", "-q", "-I", TAP,
                "-m", row.mtu, *extra, "--netns", w.NETNS_DIR / guest]
        self.daemon(world, row, path, argv)
        return path

    tap = crowd = pasta

    def pasta_auto(self, world, row):
        """pasta that looks out for listening sockets on both sides."""
        return self.pasta(world, row, ("-t", "auto", "-T", "auto",
                                       "-u", "none", "-U", "none"))

    def splice_in(self, world, row):
        path = self.pasta(world, row, ("-t", str(world.port + 1), "-u", "none",
                                       "-T", "none", "-U", "none"))
        path.client, path.server = "host", path.client
        path.addr, path.addr6 = "127.0.0.1", "::1"
        return path

    def splice_out(self, world, row):
        path = self.pasta(world, row, ("-T", str(world.port + 1), "-u", "none",
                                       "-t", "none", "-U", "none"))
        path.server = "host"
        path.addr, path.addr6 = "127.0.0.1", "::1"
        return path

    def passt(self, world, row):
        """passt with our stand-in for QEMU on its socket."""
        guest = world.guest()
        path = self.passt_idle(world, row)
        path.client, path.namespaces = guest, [guest]
        connect_bridge(world, self.tools, path, guest, path.sock)
        world.sh("sysctl", "-qw", f"net.ipv6.conf.{TAP}.accept_ra=0", ns=guest)
        configure(world, guest, f"{w.HOST4}/24", w.GATEWAY4, row.mtu)
        world.sh("ip", "addr", "add", f"{w.HOST6}/64", "dev", TAP, "nodad",
                 ns=guest)
        world.sh("ip", "-6", "route", "add", "default", "via", w.GATEWAY6,
                 "dev", TAP, ns=guest)
        path.helpers = [proc.pid for proc in path.procs]
        return path

    def passt_idle(self, world, row):
        port = world.next_port()
        path = Path("host", "world", w.WORLD4, w.WORLD6, port)
        path.sock = world.tmp / f"{port}.sock"
        argv = [self.dir / "passt", "-q", "-s", path.sock, "-m", row.mtu,
                *QUIET]
        self.daemon(world, row, path, argv)
        return path

    def daemon(self, world, row, path, argv):
        """Start in the background: it is ready when its parent exits."""
        pid_file = world.tmp / f"{path.port}.pid"
        path.log = world.tmp / f"{path.port}.log"
        argv = [*argv[:1], "-P", pid_file, *argv[1:]]
        if row.nofile:
            argv = ["prlimit", f"--nofile={row.nofile}:{row.nofile}", *argv]
        with open(path.log, "w", encoding="utf-8") as log:
            proc = world.spawn(argv, ns="host", pin=row.pin, stdout=log,
                               stderr=log)
            try:
                status = proc.wait(timeout=10)
            except subprocess.TimeoutExpired:
                status = "no end"
            finally:
                world.end(proc)
        if status != 0:
            path.close(world)
            raise w.Failed(f"start: status {status}: "
                           f"{path.log.read_text().strip()[-200:]}")
        path.pids = [int(pid_file.read_text())]
        world.adopt(path.pids[0])

    def start(self, _world, _row):
        return Path("host", "host", "", "")

    def start_command(self, inner):
        return [self.dir / "pasta", "--config-net", "-q", *QUIET_NS, "--",
                *inner]

    def binary(self, _world, _row):
        path = Path("host", "host", "", "")
        path.files = {(self.dir / name).resolve()
                      for name in ("passt", "pasta")}
        return path


class Slirp(Contestant):
    """slirp4netns, if it is installed."""

    kinds = ("tap", "pasta", "binary")

    def __init__(self):
        super().__init__("slirp", "slirp4netns")
        self.path = shutil.which("slirp4netns")
        self.version = ""
        if not self.path:
            self.skipped = "slirp4netns is not installed"
            return
        out = subprocess.run([self.path, "--version"], capture_output=True,
                             text=True, timeout=10).stdout
        self.version = re.sub(r"\s+", " ", out.split("commit")[0]).strip()

    def tap(self, world, row):
        guest = world.guest()
        path = Path(guest, "world", w.WORLD4, "", world.next_port(),
                    namespaces=[guest])
        rfd, wfd = os.pipe()
        path.log = world.tmp / f"{path.port}.log"
        argv = [self.path, "-c", f"--mtu={row.mtu}", "-r", wfd,
                f"--cidr={w.SLIRP_CIDR}", "--netns-type=path",
                w.NETNS_DIR / guest, TAP]
        if row.nofile:
            argv = ["prlimit", f"--nofile={row.nofile}:{row.nofile}", *argv]
        with open(path.log, "w", encoding="utf-8") as log:
            proc = world.spawn(argv, ns="host", pin=row.pin, pass_fds=(wfd,),
                               stdout=log, stderr=log)
        os.close(wfd)
        ready = os.read(rfd, 1)
        os.close(rfd)
        path.procs = [proc]
        if not ready:
            path.close(world)
            raise w.Failed(f"start: {path.log.read_text().strip()[-200:]}")
        path.pids = [proc.pid]
        return path

    pasta = tap

    def binary(self, _world, _row):
        path = Path("host", "host", "", "")
        path.files = {pathlib.Path(self.path).resolve()}
        return path


def connect_bridge(world, tools, path, guest, sock):
    """Attach a stand-in for QEMU to a socket; adds it to path.procs."""
    for attempt in range(20):
        proc = world.spawn([tools["bridge"], TAP, sock], ns=guest)
        if proc.stdout.readline():
            path.procs.append(proc)
            return
        err = proc.stderr.read().strip()
        world.end(proc)
        time.sleep(0.05 * (attempt > 0))
    path.close(world)
    raise w.Failed(f"bridge: {err}")


def configure(world, guest, addr, gateway, mtu):
    """Configure the tap of a guest by hand, as its own DHCP client would."""
    world.sh("ip", "link", "set", TAP, "mtu", str(mtu), "txqueuelen",
             str(GUEST_TXQLEN), "up", ns=guest)
    world.sh("ip", "addr", "add", addr, "dev", TAP, ns=guest)
    if gateway:
        world.sh("ip", "route", "add", "default", "via", gateway, ns=guest)


def everybody(tools, ours):
    """All contestants, those that cannot take part marked as skipped."""
    peer = os.environ.get("PEER_BIN")
    older = os.environ.get("PEER_OLD_BIN", "/usr/bin")
    return [
        Limit(tools),
        Passt("ours", "ours", ours, tools,
              f"no executable pasta in {ours}: build it first"),
        Passt("peer", "passt/pasta, newest package", peer, tools,
              "PEER_BIN does not name a directory with passt and pasta"),
        Passt("older", "passt/pasta, older package", older, tools,
              "neither PEER_OLD_BIN nor /usr/bin has passt and pasta"),
        Slirp(),
    ]
