# SPDX-License-Identifier: GPL-2.0-or-later
"""UDP traceroute: the hop limit travels out, ICMP errors travel back."""


def hops(ns, fam, dest):
    """Addresses on the way as traceroute prints them."""
    out = ns.run("traceroute", "-%d" % fam.num, "-n", "-U", "-q", "2", "-N",
                 "1", "-w", "5", "-m", "4", dest, "60").stdout
    return [line.split()[1] for line in out.splitlines()[1:]]


def test_hops(pasta, fam, net):
    """Inside, the way looks as it does from the host: no hop more or less."""
    want = [fam.gw, fam.beyond]
    assert hops(net.host, fam, fam.beyond) == want
    assert hops(pasta().ns, fam, fam.beyond) == want


def test_one_hop(pasta, fam):
    assert hops(pasta().ns, fam, fam.far) == [fam.far]


def test_tracepath(pasta, fam):
    """tracepath finds its way with packets as large as the tap's MTU."""
    out = pasta().run("tracepath", "-%d" % fam.num, "-n", "-m", "5",
                      fam.beyond).stdout
    assert "reached" in out
    assert "hops 2" in out
