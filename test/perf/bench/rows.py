# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured: one row is one path with one kind of traffic.

A row opens a Path through each contestant and takes samples from it. A sample
is a dictionary: "value" is what the row is about, in its unit; other keys are
what else was seen (loss, retransmits, CPU time) and appear beside it.
"""

import contextlib
import dataclasses
import functools
import json
import pathlib
import re
import resource
import signal
import statistics
import time
import typing

from . import world as w

BULK_SECS = 1               # iperf3 takes no fractions
INTERVAL = 0.25             # what counts as an interval without throughput
UDP_SECS = 1
RR_SECS = 1
STRACE_COUNT = 500
STRACE_WARMUP = 50          # load_rr.c's WARMUP: traced, but not counted there
START_RUNS = 10
STALL_SECS, STALL_FOR = 2.5, 1.0
NOFILE = 20000
MANY = NOFILE - 500
MANY_PROCS, MANY_SECS = 4, 40
CLOSE_SECS = 3              # until all of them are forgotten
IDLE_SETTLE, IDLE_SECS = 2.0, 10.0
# Until ours looks rarely: SCAN_START_MS in fwd/scan.c, SCAN_IDLE_MS in scan.h,
# and some seconds in which a new link is busy with itself
IDLE_QUIET = 40.0
LONG_WIRE, ONE_WAY_MS = "far0", 10
LONG_WIRE_SECS = 2          # windows grow slowly there
LOSS = 1000                 # millionths
FAIR_RR, FAIR_PERIOD_MS = 50, 10
FAIR_BULK, FAIR_SECS = 64, 3
COST_SIZES, COST_COUNT = (10, 1000, 15000), 10000
BIG, SMALL = w.MAX_MTU, 1500


@dataclasses.dataclass
class Row:
    """One line of the comparison."""

    name: str
    title: str
    unit: str
    kind: str                       # which way in a contestant offers
    take: typing.Callable           # (tools, world, row, path) -> sample
    better: str = "more"
    mtu: int = BIG
    default: bool = True            # measured when no row is named
    rounds: int = None              # at most so many rounds make sense
    pinned: bool = False
    limit: bool = True              # has the bare kernel anything to show?
    give_up: bool = False           # who failed once will do so again
    together: bool = False          # take() waits: all contestants at once
    nofile: int = None
    options: dict = dataclasses.field(default_factory=dict)
    around: typing.Callable = None  # (tools, world) -> context manager
    pin: int = None                 # set by the runner if pinned

    def __getitem__(self, key):
        return self.options.get(key)


class Usage:
    """CPU time and retransmissions between two points in time."""

    def __init__(self, world, path):
        self.world, self.path = world, path
        self.start, self.before = time.monotonic(), self.read()

    def read(self):
        child = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (w.cpu_seconds(self.path.pids),
                w.cpu_seconds(self.path.helpers),
                child.ru_utime + child.ru_stime,
                self.world.retransmits(self.path.client, self.path.server,
                                       "host"))

    def per(self, gigabytes):
        """What was used since, the CPU seconds for each gigabyte."""
        daemon, helper, ends, retr = (
            after - before for after, before in zip(self.read(), self.before))
        used = {"retransmits": retr, "gb": gigabytes}
        if self.path.helpers:
            busy = helper / (time.monotonic() - self.start)
            used["bridge_busy"] = 100 * busy / len(self.path.helpers)
        if gigabytes > 0:
            used["cpu_daemon"] = daemon / gigabytes
            used["cpu_total"] = (daemon + helper + ends) / gigabytes
        return used


def iperf_start(world, row, path, addr, secs):
    """Server and client of iperf3, the client in the guest."""
    base = ["iperf3", "-J", "-i", INTERVAL, "-p", path.port]
    server = world.spawn([*base, "-s", "-1"], ns=path.server)
    world.listening(server, path.port)
    client = world.spawn([*base, "-c", addr, "-t", secs, "-C", "reno",
                          "--connect-timeout", 3000,
                          "-P", row["streams"] or 1, "-O", row["omit"] or 0,
                          *(["-R"] if row["reverse"] else [])],
                         ns=path.client)
    return server, client


def iperf(_tools, world, row, path):
    """Bulk TCP; value is what the receiver got, or how even it was."""
    addr = row["addr"] or (path.addr6 if row["v6"] else path.addr)
    if not addr:
        raise w.Failed("no IPv6 here")
    secs = row["secs"] or BULK_SECS
    if row["loss"]:
        world.wire.send_signal(signal.SIGUSR1)
    usage = Usage(world, path)
    server, client = iperf_start(world, row, path, addr, secs)
    try:
        out = json.loads(world.finish(client, secs + 12, "iperf3"))
        if "error" in out:
            raise w.Failed(out["error"])
        reader = out if row["reverse"] else \
            json.loads(world.finish(server, 5, "iperf3 server"))
    finally:
        world.end(server)
    received = out["end"]["sum_received"]
    sums = [i["sum"] for i in reader["intervals"]]
    zeros = sum(1 for i in sums if i["bytes"] == 0 and not i["omitted"] and
                i["seconds"] > INTERVAL / 2)
    scale = 1e6 if row.unit == "Mbit/s" else 1e9
    sample = {"value": received["bits_per_second"] / scale,
              "zero_intervals": zeros,
              **usage.per(sum(i["bytes"] for i in sums) / 1e9)}
    if row["spread"]:
        flows = sorted(stream["receiver"]["bytes"]
                       for stream in out["end"]["streams"])
        tenth = len(flows) // 10
        sample["gbps"] = sample["value"]
        sample["spread"] = (flows[-1] - flows[0]) / statistics.mean(flows)
        sample["value"] = flows[tenth] / max(flows[-1 - tenth], 1)
    return sample


def udp(tools, world, row, path):
    """UDP flood; value is the rate the receiver counted, in the row's unit."""
    usage = Usage(world, path)
    shape = [row["size"], UDP_SECS, row["pps"] or 0, row["nseg"] or 1]
    if row["reverse"]:
        server = world.spawn([tools["load"], "udp_source", path.port, *shape],
                             ns=path.server)
        world.ready(server, "udp_source")
        client = world.spawn([tools["load"], "udp_pull", path.addr, path.port],
                             ns=path.client)
    else:
        server = world.spawn([tools["load"], "udp_sink", path.port],
                             ns=path.server)
        world.ready(server, "udp_sink")
        client = world.spawn([tools["load"], "udp_flood", path.addr, path.port,
                              *shape], ns=path.client)
    try:
        near = json.loads(world.finish(client, UDP_SECS + 10, "client"))
        far = json.loads(world.finish(server, 10, "server"))
    finally:
        world.end(server)
    seen = near | far
    if not seen["received"] or not seen["secs"]:
        raise w.Failed("no datagram came through")
    secs = (near if row["reverse"] else far)["secs"]
    scale = 1e3 if row.unit == "kpps" else 1e9 / 8 / row["size"]
    return {"value": seen["received"] / secs / scale if secs else 0,
            "loss": 100 * (1 - seen["received"] / max(seen["sent"], 1)),
            "reordered": seen["reordered"],
            **usage.per(seen["bytes"] / 1e9)}


def transactions(tools, world, row, path, secs=RR_SECS, count=0):
    """Run one of the request/response modes; returns what it printed."""
    addr = path.addr6 if row["v6"] else path.addr
    size = [row["size"]] if row["size"] else []
    server = world.spawn([tools["load"], row["server"], path.port, *size],
                         ns=path.server, pin=row.pin)
    try:
        world.ready(server, row["server"])
        client = world.spawn([tools["load"], row["client"], addr, path.port,
                              secs, count, *size], ns=path.client, pin=row.pin)
        seen = json.loads(world.finish(client, secs + 20, row["client"]))
    finally:
        world.end(server)
    if "error" in seen:
        raise w.Failed(seen["error"])
    return seen


def rr(tools, world, row, path):
    """Request/response on one CPU; value is the median or the rate."""
    seen = transactions(tools, world, row, path)
    value = seen["p50"] if row.unit == "us" else seen["rate"] / 1e3
    return {"value": value, "p50_us": seen["p50"], "p99_us": seen["p99"],
            "rate": seen["rate"], "timeouts": seen["errors"]}


def syscalls(tools, world, row, path):
    """System calls of the contestant for one transaction (strace -c)."""
    summary = world.tmp / "strace.txt"
    strace = world.spawn(["strace", "-f", "-c", "-o", summary,
                          "-p", path.pids[0]])
    try:
        line = strace.stderr.readline()
        if "attached" not in line:
            raise w.Failed(f"strace: {line.strip()}")
        seen = transactions(tools, world, row, path, 20, STRACE_COUNT)
        strace.send_signal(signal.SIGINT)
        strace.wait(timeout=5)
    finally:
        world.end(strace)
    table = {}
    for line in summary.read_text().splitlines():
        fields = line.split()
        if len(fields) >= 5 and re.fullmatch(r"[\d.]+", fields[0]):
            table[fields[-1]] = int(fields[3])
    if not table.get("total"):
        raise w.Failed("strace counted nothing")
    per = STRACE_WARMUP + seen["n"]
    top = sorted(table.items(), key=lambda item: -item[1])[1:7]
    return {"value": table["total"] / per,
            "calls": " ".join(f"{name} {n / per:.1f}" for name, n in top)}


def stall(tools, world, _row, path):
    """A reader that pauses; value is MB it got, "after" those after it."""
    usage = Usage(world, path)
    server = world.spawn([tools["load"], "tcp_stall", path.port, STALL_SECS,
                          STALL_FOR], ns=path.server)
    try:
        world.ready(server, "tcp_stall")
        client = world.spawn([tools["load"], "tcp_blast", path.addr, path.port,
                              STALL_SECS], ns=path.client)
        world.finish(client, STALL_SECS + 10, "tcp_blast")
        seen = json.loads(world.finish(server, 10, "tcp_stall"))
    finally:
        world.end(server)
    return {"value": seen["bytes"] / 1e6, "after_mb": seen["after"] / 1e6,
            **usage.per(seen["bytes"] / 1e9)}


def start(contestant, tools, world, row):
    """Time to the inner command, and until all of it has ended, in ms."""
    argv = contestant.start_command([tools["load"], "stamp"])
    inner, total = [], []
    for _ in range(START_RUNS):
        before = time.monotonic()
        out = world.sh(*argv, ns="host")
        total.append((time.monotonic() - before) * 1e3)
        inner.append(json.loads(out)["ns"] / 1e6 - before * 1e3)
    return {"value": statistics.median(total if row["total"] else inner)}


def status_kb(pid, key):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{key}:\s*(\d+)", text, re.M)
    return int(found.group(1)) if found else 0


def idle(_tools, _world, row, path):
    """Memory or CPU time of an idle contestant, and how often it wakes up.

    A generator: yields the seconds to wait, at last the sample.
    """
    pid, first = path.pids[0], {}
    yield IDLE_SETTLE
    if row["quiet"]:
        cpu = w.cpu_seconds(path.pids)
        yield IDLE_SECS
        first["first_ms"] = (w.cpu_seconds(path.pids) - cpu) * 1e3
        yield IDLE_QUIET - IDLE_SECS - IDLE_SETTLE
    before = status_kb(pid, "voluntary_ctxt_switches")
    cpu = w.cpu_seconds(path.pids)
    yield IDLE_SECS
    cpu_ms = (w.cpu_seconds(path.pids) - cpu) * 1e3
    rss_mb = status_kb(pid, "VmRSS") / 1e3
    wakeups = status_kb(pid, "voluntary_ctxt_switches") - before
    sample = {"wakeups": wakeups, "vmsize_mb": status_kb(pid, "VmSize") / 1e3,
              **first}
    yield sample | ({"value": cpu_ms, "rss_mb": rss_mb} if row.unit == "ms"
                    else {"value": rss_mb, "cpu_ms": cpu_ms})


def fair_rr(tools, world, row, path):
    """Requests at a given rate beside one bulk flow; value is their p99."""
    port = world.next_port()
    procs = [world.spawn([tools["load"], "many_serve", port, 1],
                         ns=path.server)]
    try:
        world.ready(procs[0], "many_serve")
        procs += iperf_start(world, row, path, path.addr, RR_SECS + 1)
        client = world.spawn([tools["load"], "tcp_crowd", path.addr, port,
                              RR_SECS, FAIR_RR, FAIR_PERIOD_MS],
                             ns=path.client)
        seen = json.loads(world.finish(client, RR_SECS + 20, "tcp_crowd"))
        bulk = json.loads(world.finish(procs[-1], RR_SECS + 12, "iperf3"))
    finally:
        for proc in procs:
            world.end(proc)
    for out in (seen, bulk):
        if "error" in out:
            raise w.Failed(out["error"])
    return {"value": seen["p99"], "p50_us": seen["p50"], "rate": seen["rate"],
            "timeouts": seen["errors"],
            "gbps": bulk["end"]["sum_received"]["bits_per_second"] / 1e9}


def binary(_tools, world, _row, path):
    """Size of the program on disk, without what only a debugger reads."""
    stripped = 0
    for file in path.files:
        copy = world.tmp / "stripped"
        world.sh("strip", "-o", copy, file)
        stripped += copy.stat().st_size
    return {"value": stripped / 1e3, "as_built_kb":
            sum(file.stat().st_size for file in path.files) / 1e3}


def fds(path):
    """Descriptors which the contestant has open."""
    return sum(len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
               for pid in path.pids)


def rss_kb(path):
    return sum(status_kb(pid, "VmRSS") for pid in path.pids)


@contextlib.contextmanager
def crowd(tools, world, path, n):
    """Hold n connections; yields what many_hold saw of them."""
    before = fds(path)
    port = world.next_port()
    server = world.spawn([tools["load"], "many_serve", port, MANY_PROCS],
                         ns=path.server, start_new_session=True)
    client = None
    try:
        world.ready(server, "many_serve")
        client = world.spawn([tools["load"], "many_hold", path.addr, port,
                              n, MANY_PROCS], ns=path.client,
                             stdin=-1, start_new_session=True)
        yield json.loads(world.ready(client, "many_hold", MANY_SECS))
    finally:
        for proc in (client, server):
            if proc:
                with contextlib.suppress(ProcessLookupError):
                    w.os.killpg(proc.pid, signal.SIGKILL)
                world.end(proc)
        # what is left after that is told, not an error
        with contextlib.suppress(w.Failed):
            w.wait_for(lambda: fds(path) <= before, CLOSE_SECS, "close")


def many(tools, world, _row, path):
    """Connections which still echo when all that can be opened are open."""
    before, rss = fds(path), rss_kb(path)
    with crowd(tools, world, path, MANY) as seen:
        nfds, grown = fds(path), rss_kb(path) - rss
    sample = {"value": seen["alive"], "opened": seen["opened"],
              "connect_secs": seen["secs"]}
    if path.pids and seen["opened"]:
        sample["fds_each"] = nfds / seen["opened"]
        sample["rss_bytes_each"] = grown * 1024 / seen["opened"]
        sample["rss_mb"] = (rss + grown) / 1e3
        sample["rss_closed_mb"] = rss_kb(path) / 1e3
        sample["fds_left"] = fds(path) - before
    return sample


def cost_size(tools, world, row, path):
    """CPU time for a transaction with ever more flows open, the last by the
    first."""
    cost = {}
    for n in COST_SIZES:
        with crowd(tools, world, path, n) as seen:
            if seen["alive"] < n:
                raise w.Failed(f"{seen['alive']} of {n} connections alive")
            before = w.cpu_seconds(path.pids)
            done = transactions(tools, world, row, path, 20, COST_COUNT)["n"]
            cost[n] = (w.cpu_seconds(path.pids) - before) / done * 1e6
    return {"value": cost[COST_SIZES[-1]] / cost[COST_SIZES[0]],
            **{f"us_{n}": us for n, us in cost.items()}}


@contextlib.contextmanager
def long_wire(tools, world, loss=0):
    """Put an address of the world behind a wire with 20 ms round-trip time."""
    wire = world.spawn([tools["delay"], LONG_WIRE, w.NETNS_DIR / "world",
                        ONE_WAY_MS, *([loss] if loss else [])], ns="host")
    world.wire = wire
    try:
        world.ready(wire, "delay")
        for ns in ("host", "world"):
            world.sh("ip", "link", "set", LONG_WIRE, "mtu", str(SMALL),
                     "txqueuelen", "10000", "up", ns=ns)
        world.sh("ip", "addr", "add", f"{w.FAR4}/32", "dev", "lo", ns="world")
        world.sh("ip", "route", "add", w.FAR4, "dev", LONG_WIRE, "src",
                 w.HOST4, ns="host")
        world.sh("ip", "route", "add", w.HOST4, "dev", LONG_WIRE, "src",
                 w.FAR4, ns="world")
        yield
    finally:
        world.end(wire)
        world.sh("ip", "addr", "del", f"{w.FAR4}/32", "dev", "lo", ns="world",
                 check=False)


@contextlib.contextmanager
def bottleneck(_tools, world):
    """Let the wire from host to world carry 1 Gbit/s."""
    world.sh("tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate",
             "1gbit", "burst", "256kb", "latency", "20ms", ns="host")
    try:
        yield
    finally:
        world.sh("tc", "qdisc", "del", "dev", "eth0", "root", ns="host")


def bulk_rows():
    """TCP in bulk through the tap, spliced, and through QEMU's socket."""
    ways = (("out", False), ("in", True))
    for mtu in (BIG, SMALL):
        for way, reverse in ways:
            for streams, v6, mark, extra in (
                    (1, False, "", ""), (8, False, "-8", ", 8 streams"),
                    (1, True, "-v6", ", IPv6")):
                yield Row(f"tap-{way}-{mtu}{mark}",
                          f"pasta, TCP {way}, MTU {mtu}{extra}", "Gbit/s",
                          "tap", iperf, mtu=mtu, default=not mark,
                          options={"reverse": reverse, "streams": streams,
                                   "v6": v6})
    for way in ("in", "out"):
        yield Row(f"splice-{way}", f"pasta, TCP {way} over loopback (splice)",
                  "Gbit/s", f"splice-{way}", iperf)
        yield Row(f"splice-{way}-8",
                  f"pasta, TCP {way} over loopback (splice), 8 streams",
                  "Gbit/s", f"splice-{way}", iperf, default=False,
                  options={"streams": 8})
    for mtu in (BIG, SMALL):
        for way, reverse in ways:
            yield Row(f"passt-{way}-{mtu}",
                      f"passt, TCP {way}, MTU {mtu}, stream socket", "Gbit/s",
                      "passt", iperf, mtu=mtu, options={"reverse": reverse})


def udp_rows():
    """Datagrams of four sizes, both ways."""
    for size, unit, mtu, default in (
            (64, "kpps", SMALL, True), (1000, "kpps", SMALL, False),
            (1400, "kpps", SMALL, True), (65000, "Gbit/s", BIG, True)):
        for way, reverse in (("out", False), ("in", True)):
            yield Row(f"udp-{way}-{size}", f"pasta, UDP {way}, {size} bytes",
                      unit, "tap", udp, mtu=mtu, default=default,
                      options={"size": size, "reverse": reverse})
    yield Row("udp-in-paced", "pasta, UDP in, 1400 bytes, 250 kpps offered",
              "kpps", "tap", udp, mtu=SMALL, default=False,
              options={"size": 1400, "pps": 250000, "reverse": True})
    yield Row("udp-out-paced", "pasta, UDP out, 64 bytes, 300 kpps offered",
              "kpps", "tap", udp, mtu=SMALL, default=False,
              options={"size": 64, "pps": 300000})
    yield Row("udp-out-gso", "pasta, UDP out, 1400 bytes, sender segments",
              "kpps", "tap", udp, mtu=SMALL, default=False,
              options={"size": 1400, "nseg": 40})


def latency_rows():
    """Transactions with everything on one CPU: the cost of the path."""
    for name, client, server, unit, better in (
            ("tcp-rr", "tcp_rr", "tcp_echo", "us", "less"),
            ("tcp-crr", "tcp_crr", "tcp_echo", "k/s", "more"),
            ("udp-rr", "udp_rr", "udp_echo", "us", "less")):
        modes = {"client": client, "server": server}
        what = name.upper().replace("-", "_")
        yield Row(name, f"pasta, {what} on one CPU, " +
                  ("median" if unit == "us" else "rate"), unit, "tap", rr,
                  better=better, pinned=True, options=modes)
        yield Row(f"{name}-passt", f"passt, {what} on one CPU, " +
                  ("median" if unit == "us" else "rate"), unit, "passt", rr,
                  better=better, pinned=True, default=False, options=modes)
        for program, kind, mark in (("pasta", "pasta", ""),
                                    ("passt", "passt", "-passt")):
            for v6 in (False, True):
                yield Row(f"syscalls-{name}{mark}{'-v6' if v6 else ''}",
                          f"{program}, system calls for one {what}" +
                          (", IPv6" if v6 else ""), "calls", kind, syscalls,
                          better="less", rounds=1, limit=False,
                          options=modes | {"v6": v6},
                          default=not mark and not v6)


    for mark, size, text in (("", 1, "1 byte"), ("-64k", 65536, "64 kB")):
        yield Row(f"splice-rr{mark}", "pasta, requests and answers of "
                  f"{text} over loopback (splice) on one CPU, median", "us",
                  "splice-in", rr, better="less", pinned=True,
                  default=not mark,
                  options={"client": "tcp_rr_n", "server": "tcp_echo_n",
                           "size": size})


def many_flow_rows():
    """What flows do to each other."""
    for way, reverse in (("", False), ("-in", True)):
        yield Row(f"fair-rr{way}", f"pasta, {FAIR_RR} request/response flows "
                  f"of {1000 // FAIR_PERIOD_MS}/s each beside 1 bulk flow "
                  f"{'in' if reverse else 'out'}, p99", "us", "tap", fair_rr,
                  better="less", rounds=3, options={"reverse": reverse})
    for way, reverse in (("", False), ("-in", True)):
        yield Row(f"fair-bulk{way}", f"pasta, {FAIR_BULK} TCP flows "
                  f"{'in' if reverse else 'out'} at a time, bytes of each: "
                  "10th by 90th percentile", "evenness", "tap", iperf,
                  rounds=3, default=False,
                  options={"streams": FAIR_BULK, "secs": FAIR_SECS,
                           "reverse": reverse, "spread": True})
    yield Row("cost-size", f"pasta, daemon's CPU for one TCP_RR with "
              f"{COST_SIZES[-1]} flows open, by that with {COST_SIZES[0]}",
              "times", "crowd", cost_size, better="less", rounds=3,
              default=False, pinned=True, nofile=NOFILE, give_up=True,
              options={"client": "tcp_rr", "server": "tcp_echo"})


def other_rows():
    """Misfortune, start-up and footprint."""
    yield Row("tbf-out", "pasta, TCP out, 1 Gbit/s bottleneck", "Gbit/s",
              "tap", iperf, rounds=3, around=bottleneck)
    for way, reverse in (("out", False), ("in", True)):
        yield Row(f"rtt-{way}", f"pasta, TCP {way}, MTU 1500, 20 ms RTT",
                  "Gbit/s", "tap", iperf, mtu=SMALL, rounds=3,
                  around=long_wire,
                  options={"reverse": reverse, "addr": w.FAR4, "omit": 1,
                           "secs": LONG_WIRE_SECS})
        yield Row(f"rtt-loss-{way}", f"pasta, TCP {way}, MTU 1500, 20 ms RTT, "
                  f"{LOSS / 1e4} % loss", "Mbit/s", "tap", iperf, mtu=SMALL,
                  rounds=3, default=False,
                  around=functools.partial(long_wire, loss=LOSS),
                  options={"reverse": reverse, "addr": w.FAR4, "omit": 1,
                           "secs": LONG_WIRE_SECS, "loss": True})
    yield Row("stall-out", "pasta, TCP out, reader stalls 1 s of 2.5 s", "MB",
              "tap", stall, rounds=3)
    for key, what in (("inner", "time to the inner command"),
                      ("total", "whole run of a command that does nothing")):
        yield Row(f"start-{key}", f"pasta, {what}", "ms", "start", None,
                  better="less", options={"total": key == "total"})
    for name, what, unit, kind in (
            ("pasta", "pasta, idle: resident memory", "MB", "pasta"),
            ("passt", "passt, idle: resident memory", "MB", "passt-idle"),
            ("auto", "pasta, idle for long with -t auto -T auto: CPU time in "
             f"{IDLE_SECS:.0f} s", "ms", "pasta-auto")):
        yield Row(f"idle-{name}", what, unit, kind, idle, better="less",
                  rounds=1, limit=False, together=True,
                  options={"quiet": name == "auto"})
    yield Row("binary", "size of the program file, stripped", "kB", "binary",
              binary, better="less", rounds=1)
    yield Row("many", f"pasta, connections alive of {MANY}, NOFILE {NOFILE}",
              "alive", "tap", many, rounds=1, nofile=NOFILE)


def catalogue():
    """All rows, by name, in the order in which they are measured."""
    makers = (bulk_rows, udp_rows, latency_rows, many_flow_rows, other_rows)
    return {row.name: row for make in makers for row in make()}
