# SPDX-License-Identifier: GPL-2.0-or-later
"""The network everything is measured in, and the processes started there.

    guest  --tap-->  contestant  --sockets-->  host  --veth-->  world

"host" is where contestants run, "world" is the machine far away, and each
contestant gets a guest namespace of its own. All addresses are documentation
addresses. The program has entered user, mount, PID and network namespaces of
its own before it gets here, so that whatever happens to it, the kernel takes
all of this down with it.
"""

import os
import pathlib
import select
import signal
import subprocess
import tempfile
import time

HOST4, GATEWAY4, WORLD4 = "192.0.2.2", "192.0.2.1", "198.51.100.1"
HOST4_NET = "192.0.2.0/24"
HOST6, GATEWAY6, WORLD6 = "2001:db8:0:1::2", "2001:db8:0:1::1", "2001:db8:0:2::1"
FAR4 = "198.51.100.2"       # the world's address behind the long wire
SLIRP_CIDR = "203.0.113.0/24"
NETNS_DIR = pathlib.Path("/run/netns")
MAX_MTU = 65520

# One congestion control for everybody: without it, what the host happens to
# default to decides the result. Few TIME_WAIT sockets and many ports, so that
# one contestant's connections do not slow down the next one's port search.
SYSCTLS = {
    "net.ipv4.tcp_congestion_control": "reno",
    "net.ipv4.tcp_max_tw_buckets": "20",
    "net.ipv4.ip_local_port_range": "1024 65000",
    "net.ipv4.ping_group_range": "0 0",
    "net.ipv6.conf.default.router_solicitations": "0",
}


class Failed(Exception):
    """A measurement that cannot be had; its text goes to the report."""


def wait_for(condition, seconds, what):
    """Poll until condition() is true, or raise Failed after that many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"timed out: {what}")
        time.sleep(0.005)


def cpu_seconds(pids):
    """CPU time which all threads of these processes have used so far."""
    total = 0
    for pid in pids:
        for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                total += int(stat.read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                pass
    return total / 1e9


def alive(pid):
    """Whether a process exists and is not a zombie."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


class World:
    """Owns namespaces and processes; use as a context manager."""

    def __init__(self):
        self.tmp = pathlib.Path(tempfile.mkdtemp(dir="/run", prefix="perf-"))
        self.procs = []
        self.pids = []
        self.guests = 0
        self.port = 20000

    def __enter__(self):
        for ns in ("host", "world"):
            self.netns(ns)
        self.veth()
        return self

    def __exit__(self, *_):
        for proc in list(self.procs):
            self.end(proc)
        for pid in list(self.pids):
            self.end_pid(pid)
        for path in NETNS_DIR.iterdir():
            self.delete_netns(path.name)

    # Namespaces

    def netns(self, name):
        """Create a network namespace with our sysctls and loopback up."""
        self.sh("ip", "netns", "add", name)
        for key, value in SYSCTLS.items():
            self.sh("sysctl", "-qw", f"{key}={value}", ns=name)
        self.sh("ip", "link", "set", "lo", "up", ns=name)

    def guest(self):
        """Create the namespace of one more guest; returns its name."""
        self.guests += 1
        name = f"guest{self.guests}"
        self.netns(name)
        return name

    def delete_netns(self, name):
        self.sh("ip", "netns", "del", name, check=False)

    def veth(self):
        """Connect host and world, with the world one hop behind its router."""
        self.sh("ip", "link", "add", "eth0", "netns", "host", "type", "veth",
                "peer", "name", "eth0", "netns", "world")
        for ns, addrs in (("host", (f"{HOST4}/24", f"{HOST6}/64")),
                          ("world", (f"{GATEWAY4}/24", f"{GATEWAY6}/64"))):
            for addr in addrs:
                # the kernel's route would be preferred to the one below
                flags = ["nodad"] if ":" in addr else []
                flags += ["noprefixroute"] if addr == f"{GATEWAY6}/64" else []
                self.sh("ip", "addr", "add", addr, "dev", "eth0", *flags,
                        ns=ns)
            self.sh("ip", "link", "set", "eth0", "up", ns=ns)
        self.sh("ip", "addr", "add", f"{WORLD4}/32", "dev", "lo", ns="world")
        self.sh("ip", "addr", "add", f"{WORLD6}/128", "dev", "lo", "nodad",
                ns="world")
        self.answer_as_world("world", "eth0")
        self.sh("ip", "-6", "route", "replace", "2001:db8:0:1::/64", "dev",
                "eth0", "src", WORLD6, ns="world")
        self.sh("ip", "route", "add", "default", "via", GATEWAY4, ns="host")
        self.sh("ip", "-6", "route", "add", "default", "via", GATEWAY6,
                ns="host")

    def answer_as_world(self, ns, link):
        """Let servers there answer datagrams from the address asked."""
        self.sh("ip", "route", "replace", HOST4_NET, "dev", link, "src",
                WORLD4, ns=ns)

    def set_mtu(self, mtu):
        """Give the wire between host and world this MTU."""
        for ns in ("host", "world"):
            self.sh("ip", "link", "set", "eth0", "mtu", str(mtu), ns=ns)

    def links(self, ns):
        """Names of the network interfaces in a namespace."""
        out = self.sh("ip", "-o", "link", "show", ns=ns, check=False)
        return [line.split(":")[1].split("@")[0].strip()
                for line in out.splitlines()]

    def retransmits(self, *namespaces):
        """Sum of the TCP segments retransmitted so far in namespaces."""
        total = 0
        for ns in set(namespaces):
            out = self.sh("cat", "/proc/net/snmp", ns=ns)
            names, values = [line.split() for line in out.splitlines()
                             if line.startswith("Tcp:")]
            total += int(values[names.index("RetransSegs")])
        return total

    # Processes

    @staticmethod
    def inside(ns, argv, pin=None):
        """Command line that runs argv in a namespace, bound to one CPU."""
        prefix = ["nsenter", f"--net={NETNS_DIR / ns}"] if ns else []
        if pin is not None:
            prefix += ["taskset", "-c", str(pin)]
        return prefix + [str(arg) for arg in argv]

    def sh(self, *argv, ns=None, check=True, timeout=20):
        """Run a command to its end and return its standard output."""
        proc = subprocess.run(self.inside(ns, argv), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout)
        if check and proc.returncode:
            raise Failed(f"{' '.join(map(str, argv))}: "
                         f"{proc.stderr.strip()[:200]}")
        return proc.stdout

    def spawn(self, argv, ns=None, pin=None, **kwargs):
        """Start a command; it is ended with the world at the latest."""
        kwargs = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                  "stderr": subprocess.PIPE, "text": True} | kwargs
        proc = subprocess.Popen(self.inside(ns, argv, pin), **kwargs)
        self.procs.append(proc)
        return proc

    def end(self, proc):
        """End a command we started, and collect what it left."""
        if proc in self.procs:
            self.procs.remove(proc)
        if proc.poll() is None:
            proc.kill()
        proc.wait()
        for pipe in (proc.stdin, proc.stdout, proc.stderr):
            if pipe:
                pipe.close()

    def finish(self, proc, timeout, what):
        """Wait for a command; returns its output or raises Failed."""
        try:
            out, err = proc.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"{what}: no end after {timeout} s") from None
        finally:
            self.end(proc)
        if proc.returncode and not out:
            raise Failed(f"{what}: {err.strip()[:200]}")
        return out

    def ready(self, proc, what, seconds=5):
        """Wait for one line of a command's output, and return it."""
        if not select.select([proc.stdout], [], [], seconds)[0]:
            self.end(proc)
            raise Failed(f"{what}: silent for {seconds} s")
        line = proc.stdout.readline()
        if not line:
            err = proc.stderr.read().strip()[:200]
            self.end(proc)
            raise Failed(f"{what}: {err}")
        return line

    def adopt(self, pid):
        """Take over a process which put itself in the background."""
        self.pids.append(pid)

    def end_pid(self, pid):
        """End such a process: ask first, insist after two seconds."""
        if pid in self.pids:
            self.pids.remove(pid)
        for sig, seconds in ((signal.SIGTERM, 2), (signal.SIGKILL, 2)):
            try:
                os.kill(pid, sig)
                wait_for(lambda: not alive(pid), seconds, "exit")
                os.waitpid(pid, os.WNOHANG)
                return
            except (ProcessLookupError, ChildProcessError):
                return
            except Failed:
                pass

    def listening(self, proc, port, seconds=3):
        """Wait until a process' namespace has a TCP listener on port."""
        needle = f":{port:04X} "

        def check():
            if proc.poll() is not None:
                raise Failed(f"server: {proc.stderr.read().strip()[:200]}")
            for table in ("tcp", "tcp6"):
                path = pathlib.Path(f"/proc/{proc.pid}/net/{table}")
                for line in path.read_text().splitlines():
                    fields = line.split()
                    if needle in fields[1] + " " and fields[3] == "0A":
                        return True
            return False

        wait_for(check, seconds, f"listener on port {port}")

    def next_port(self):
        self.port += 1
        return self.port
