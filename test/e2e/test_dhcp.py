# SPDX-License-Identifier: GPL-2.0-or-later
"""Real clients configure themselves: DHCP, DHCPv6, router advertisements."""

import json
import os

import pytest

from procs import wait_for

RESOLV = """nameserver 198.51.100.53
nameserver 2001:db8:2::53
search one.example two.example
"""

# What a client's script does: note the environment, do nothing else.
SCRIPT = """#!/bin/sh
[ -n "$1" ] && echo "script_argument=$1" >> %(out)s
env >> %(out)s
"""


@pytest.fixture
def resolv(tmp):
    """A resolv.conf with servers of both families and a search list."""
    path = os.path.join(tmp, "resolv.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write(RESOLV)
    return path


@pytest.fixture
def guest(pasta, resolv):
    """Factory: a namespace whose link is up and has no address."""
    def make(*opts):
        p = pasta("--dhcp-dns", "--dhcp-search", *opts, config_net=False,
                  resolv=resolv)
        p.ns.sysctl(ipv6__conf__eth0__accept_dad=0)
        p.ns.ip("link set eth0 up")
        wait_for(lambda: "fe80:" in p.ns.ip("-6 addr show dev eth0") and
                 "tentative" not in p.ns.ip("-6 addr show dev eth0"),
                 "link-local address")
        return p
    return make


@pytest.fixture
def script(tmp):
    """A client script, and a function that reads what it noted."""
    path, out = os.path.join(tmp, "script"), os.path.join(tmp, "env")
    with open(path, "w", encoding="ascii") as f:
        f.write(SCRIPT % {"out": out})
    os.chmod(path, 0o755)

    def read():
        env = {}
        if os.path.exists(out):
            with open(out, encoding="utf-8", errors="replace") as f:
                for line in f:
                    key, _, value = line.rstrip("\n").partition("=")
                    env[key] = value
        return env
    return path, read


def private(argv):
    """argv in a mount namespace with empty state directories of its own."""
    dirs = " ".join(d for d in ("/var/lib/dhcpcd", "/var/lib/dhcp", "/run")
                    if os.path.isdir(d))
    return ["unshare", "--mount", "--", "sh", "-c",
            "for d in %s; do mount -t tmpfs none $d; done; exec \"$@\"" % dirs,
            "sh", *argv]


def udhcpc(p, script, *opts):
    p.run("udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "5", "-T", "2",
          "-s", script[0], *opts)
    return script[1]()


def test_udhcpc(guest, script):
    """Address, mask, router, servers, search list, MTU, lease for ever."""
    env = udhcpc(guest(), script, "-O", "mtu", "-O", "search",
                 "-O", "staticroutes")
    assert env["ip"] == "192.0.2.10"
    assert env["subnet"] == "255.255.255.0"
    assert env["router"] == "192.0.2.1"
    assert env["dns"] == "198.51.100.53"
    assert env["search"].split() == ["one.example", "two.example"]
    assert env["mtu"] == "65520"
    assert int(env["lease"]) >= 0x7fffffff


def test_udhcpc_options(guest, script):
    """-a -n -g -D -S -m -H --fqdn replace what the host has."""
    env = udhcpc(guest("-a", "198.51.100.77", "-n", "28", "-g",
                       "198.51.100.65", "-D", "203.0.113.53", "-S",
                       "three.example", "-m", "1400", "-H", "box"),
                 script, "-O", "mtu", "-O", "search", "-O", "hostname")
    assert env["ip"] == "198.51.100.77"
    assert env["subnet"] == "255.255.255.240"
    assert env["router"] == "198.51.100.65"
    assert env["dns"] == "203.0.113.53"
    assert env["search"] == "three.example"
    assert env["mtu"] == "1400"
    assert env["hostname"] == "box"


def test_udhcpc_no_dns(guest, script):
    """-D none, -S none: none are handed out."""
    env = udhcpc(guest("-D", "none", "-S", "none"), script, "-O", "search")
    assert "dns" not in env
    assert "search" not in env


def test_gateway_outside(guest, script):
    """A router outside of the subnet comes with a route to it."""
    env = udhcpc(guest("-a", "198.51.100.77", "-n", "32", "-g", "192.0.2.1"),
                 script, "-O", "staticroutes")
    assert env["staticroutes"].split()[:2] == ["192.0.2.1/32", "0.0.0.0"]
    assert "0.0.0.0/0 192.0.2.1" in env["staticroutes"]


@pytest.mark.slow
def test_no_dhcp(guest):
    """--no-dhcp: nobody answers."""
    res = guest("--no-dhcp").run(
        "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "2", "-T", "1",
        "-s", "/bin/true", check=False)
    assert res.returncode != 0


@pytest.fixture
def isc(procs, tmp, script):
    """Factory: dhclient runs until its script has a lease."""
    def run(p, *opts):
        files = {n: os.path.join(tmp, n) for n in ("conf", "lease", "pid")}
        with open(files["conf"], "w", encoding="ascii") as f:
            f.write("timeout 20; retry 1; initial-interval 1;\n"
                    "request subnet-mask, routers, domain-name-servers, "
                    "interface-mtu, domain-search;\n"
                    "also request dhcp6.name-servers, dhcp6.domain-search;\n")
        procs.start(private(
            ["dhclient", "-d", "-sf", script[0], "-cf", files["conf"],
             "-lf", files["lease"], "-pf", files["pid"], *opts, "eth0"]),
            ns=p.ns, stdout=-3, stderr=-3)
        wait_for(lambda: script[1]().get("reason") in ("BOUND", "BOUND6"),
                 "lease", 30)
        return script[1]()
    return run


def test_dhclient4(guest, isc):
    env = isc(guest(), "-4")
    assert env["new_ip_address"] == "192.0.2.10"
    assert env["new_subnet_mask"] == "255.255.255.0"
    assert env["new_routers"] == "192.0.2.1"
    assert env["new_domain_name_servers"] == "198.51.100.53"
    assert env["new_interface_mtu"] == "65520"
    assert env["new_domain_search"].split() == ["one.example.",
                                                "two.example."]


def test_dhclient6(guest, isc):
    env = isc(guest(), "-6")
    assert env["new_ip6_address"] == "2001:db8:1::10"
    assert env["new_dhcp6_name_servers"] == "2001:db8:2::53"
    assert env["new_dhcp6_domain_search"].split() == ["one.example.",
                                                      "two.example."]


def test_dhclient6_stateless(guest, procs, tmp, script):
    """-S: an Information-request gets servers, and no address."""
    p = guest()
    procs.start(private(
        ["dhclient", "-6", "-S", "-d", "-sf", script[0], "-lf",
         os.path.join(tmp, "lease"), "-pf", os.path.join(tmp, "pid"),
         "eth0"]), ns=p.ns, stdout=-3, stderr=-3)
    wait_for(lambda: "new_dhcp6_name_servers" in script[1](), "answer", 30)
    assert script[1]()["new_dhcp6_name_servers"] == "2001:db8:2::53"


@pytest.mark.slow
@pytest.mark.parametrize("opts, keys", [
    (("-4",), {"new_ip_address": "192.0.2.10",
               "new_routers": "192.0.2.1",
               "new_interface_mtu": "65520"}),
    (("-6",), {"new_dhcp6_ia_na1_ia_addr1": "2001:db8:1::10"}),
])
def test_dhcpcd(guest, procs, tmp, script, opts, keys):
    conf = os.path.join(tmp, "dhcpcd.conf")
    with open(conf, "w", encoding="ascii") as f:
        f.write("noarp\nnoipv4ll\noption interface_mtu\nipv6rs\n"
                "option dhcp6_name_servers\n")
    p = guest()
    procs.start(private(["dhcpcd", "-B", "-f", conf, "-c", script[0], *opts,
                         "eth0"]), ns=p.ns, stdout=-3, stderr=-3)

    def bound():
        env = script[1]()
        return all(env.get(k) == v for k, v in keys.items())
    try:
        wait_for(bound, "lease", 30)
    except AssertionError:
        raise AssertionError("got %r" % script[1]()) from None


def test_rdisc6(guest):
    """One advertisement: prefix, MTU, servers, search list, our MAC."""
    out = guest().run("rdisc6", "-1", "-w", "5000", "eth0").stdout
    # Bits beyond the length are zero (RFC 4861, 4.6.2). Others leave them.
    assert "2001:db8:1::/64" in out
    assert "Stateful address conf.    :          Yes" in out
    assert "65520" in out
    assert "2001:db8:2::53" in out
    assert "one.example" in out
    assert "9A:55:9A:55:9A:55" in out.upper()


def test_no_ra(guest):
    res = guest("--no-ra").run("rdisc6", "-1", "-w", "1000", "-r", "1",
                               "eth0", check=False)
    assert res.returncode != 0


def test_kernel_slaac(guest):
    """The kernel's own client: address, default route, then traffic."""
    p = guest()
    p.ns.sysctl(ipv6__conf__eth0__accept_ra=2,
                ipv6__conf__eth0__router_solicitations=3,
                ipv6__conf__eth0__router_solicitation_delay=0)
    p.ns.ip("link set eth0 down")
    p.ns.ip("link set eth0 up")

    def slaac():
        return [a for link in json.loads(p.ns.ip("-j -6 addr show dev eth0"))
                for a in link["addr_info"] if a["scope"] == "global"]
    addr = wait_for(slaac, "address")[0]
    assert addr["local"].startswith("2001:db8:1:")
    assert addr["prefixlen"] == 64
    wait_for(lambda: "default via fe80:" in p.ns.ip("-6 route show"),
             "default route")
    p.run("ping", "-n", "-c", "1", "-W", "10", "2001:db8:2::1")


def test_configured_by_lease(guest, script):
    """The address of the lease, set by hand, carries traffic."""
    p = guest()
    env = udhcpc(p, script)
    p.ns.batch("addr add %s/24 dev eth0\nroute add default via %s\n"
               % (env["ip"], env["router"]))
    p.run("ping", "-n", "-c", "1", "-W", "10", "198.51.100.1")


def test_foreign_address(guest):
    """An address that nobody handed out works as well, if it is on-link."""
    p = guest()
    p.ns.batch("addr add 192.0.2.123/24 dev eth0\n"
               "addr add 2001:db8:1::123/64 dev eth0 nodad\n"
               "route add default via 192.0.2.1\n"
               "route replace default via fe80::1 dev eth0\n")
    p.ns.wait_ipv6("eth0")
    for dest in ("198.51.100.1", "2001:db8:2::1"):
        p.run("ping", "-n", "-c", "1", "-W", "10", dest)


def test_local_resolver(pasta, net, tmp, script):
    """A resolver on host loopback is shown to the guest as the address that
    is mapped to host loopback."""
    path = os.path.join(tmp, "resolv.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write("nameserver 127.0.0.53\n")
    p = pasta("--dhcp-dns", config_net=False, resolv=path)
    p.ns.ip("link set eth0 up")
    assert udhcpc(p, script)["dns"] == "192.0.2.1"
