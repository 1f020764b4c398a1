# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP and ICMPv6 echo from inside, and the id it carries."""

import re
import socket
import struct

import pytest


def ping(p, *args):
    """One ping inside. Return: its output; fails when nothing comes back."""
    return p.run("ping", "-n", "-c", "1", "-W", "10", *args).stdout


@pytest.mark.parametrize("where", ["gw", "neigh", "far"])
def test_reply(pasta, fam, where):
    out = ping(pasta(), getattr(fam, where))
    assert " 0% packet loss" in out


def test_large(pasta, fam):
    out = ping(pasta(), "-s", "8000", fam.far)
    assert "8008 bytes from" in out


def test_fragmented(pasta, fam):
    """44 fragments on a tap with the MTU of Ethernet, whole beyond it."""
    out = ping(pasta("-m", "1500"), "-s", "65000", fam.neigh)
    assert "65008 bytes from" in out


def test_empty(pasta, fam):
    assert "8 bytes from" in ping(pasta(), "-s", "0", fam.far)


def test_sequence(pasta, fam):
    """Several echoes of one flow arrive in order, none twice."""
    out = pasta().run("ping", "-n", "-c", "5", "-i", "0.05", "-W", "10",
                      fam.far).stdout
    assert re.findall(r"icmp_seq=(\d)", out) == list("12345")
    assert "duplicates" not in out


def echo_request(fam, ident, seq):
    """An ICMP(v6) echo request; the kernel sums it up for ICMPv6."""
    if fam.num == 6:
        return struct.pack("!BBHHH", 128, 0, 0, ident, seq)
    total = (8 << 8) + ident + seq
    return struct.pack("!BBHHH", 8, 0, ~(total + (total >> 16)) & 0xffff,
                       ident, seq)


def raw_icmp(ns, fam):
    """A raw socket that sees all ICMP of its namespace."""
    proto = socket.IPPROTO_ICMP if fam.num == 4 else socket.IPPROTO_ICMPV6
    return ns.sock(fam.af, socket.SOCK_RAW, proto)


def recv_icmp(s, fam, kind):
    """Next message of an ICMP type. Return: id, sequence number."""
    while True:
        data = s.recv(2048)
        if fam.num == 4:
            data = data[(data[0] & 15) * 4:]
        if data[0] == kind:
            return struct.unpack("!HH", data[4:8])


def test_identifier_kept(pasta, fam, net):
    """The far host sees the id chosen inside, and the answer carries it."""
    # Ours: kept on the wire. Others let the kernel choose another there.
    request, reply = (8, 0) if fam.num == 4 else (128, 129)
    p = pasta()
    with raw_icmp(p.ns, fam) as inside, raw_icmp(net.far, fam) as far:
        inside.sendto(echo_request(fam, 0x1d5a, 7), (fam.far, 0))
        assert recv_icmp(far, fam, request) == (0x1d5a, 7)
        assert recv_icmp(inside, fam, reply) == (0x1d5a, 7)


def test_two_identifiers(pasta, fam):
    """Flows of two ids to one host do not mix."""
    p = pasta()
    reply = 0 if fam.num == 4 else 129
    with raw_icmp(p.ns, fam) as s:
        for seq in range(1, 4):
            for ident in (100, 200):
                s.sendto(echo_request(fam, ident, seq), (fam.far, 0))
        got = sorted(recv_icmp(s, fam, reply) for _ in range(6))
        assert got == [(i, n) for i in (100, 200) for n in (1, 2, 3)]


def test_one_identifier(pasta, fam):
    """Two hosts asked by turns with one id, as some systems have for all."""
    p = pasta()
    reply = 0 if fam.num == 4 else 129
    with raw_icmp(p.ns, fam) as s:
        for seq in range(1, 4):
            for host in (fam.far, fam.neigh):
                s.sendto(echo_request(fam, 1, seq), (host, 0))
                assert recv_icmp(s, fam, reply) == (1, seq)


def test_no_icmp(pasta, fam):
    """With --no-icmp nothing answers. ARP/NDP of IPv6 may be off as well."""
    res = pasta("--no-icmp").run("ping", "-n", "-c", "1", "-W", "1", fam.far,
                                 check=False)
    assert res.returncode != 0
