# SPDX-License-Identifier: GPL-2.0-or-later
"""podman -p and --network pasta:-t: every form of a published port.

All forms are published by one container, so each says itself which port of
the host leads to which of the container.
"""

import socket

import pytest

from doc import block
from engine import IMAGE, Container, datagrams, stream
from procs import wait_for
from topology import FAMILIES, V4, V6
from xfer import recv_exact

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("podman-ports")]

PROTOS = ("tcp", "udp")

# Where clients are, and what they dial: far and on the host the host's
# address, on the host loopback's. The kernel takes what goes to the host's
# own address of eth0 for arrived at eth0.
WAYS = ("far", "own", "loopback")

# name: ports in the row, whether translated, host part of -p or the part
# after "-t", which addresses it may be reached by
FORMS = {
    "single": (1, False, "-p {p}:{q}", WAYS),
    "range": (3, False, "-p {p}-{p3}:{q}-{q3}", WAYS),
    "translated": (1, True, "-p {p}:{q}", WAYS),
    "translated-range": (3, True, "-p {p}-{p3}:{q}-{q3}", WAYS),
    "any": (1, True, "-p {any}:{p}:{q}", WAYS),
    "address": (3, True, "-p {host}:{p}-{p3}:{q}-{q3}", ("far", "own")),
    "loopback": (3, True, "-p {lo}:{p}-{p3}:{q}-{q3}", ("loopback",)),
    "interface": (3, True, "-t {barehost}%eth0/{p}-{p3}:{q}-{q3}",
                  ("far", "own")),
    "interface-only": (1, True, "-t %eth0/{p}:{q}", ("far", "own")),
    "interface-lo": (3, True, "-t {barelo}%lo/{p}-{p3}:{q}-{q3}",
                     ("loopback",)),
}


def bracketed(fam, address):
    """As podman wants it."""
    return "[%s]" % address if fam.num == 6 else address


class Published:
    """A container that publishes all forms; where each of them leads."""

    def __init__(self, podman, net):
        self.net = net
        self.rows = {}
        publish, options = [], []
        for proto in PROTOS:
            for form in FORMS:
                for fam in FAMILIES:
                    flag, word = self._row(form, proto, fam)
                    if flag == "-p":
                        publish += ["-p", word + "/" + proto]
                    else:
                        options += ["-" + proto[0], word]
        self.box = podman.start("pasta:" + ",".join(options), *publish)

    def _row(self, form, proto, fam):
        n, translated, text, _ = FORMS[form]
        port = self.net.port(n)
        inner = port + 10000 if translated else port
        self.rows[form, proto, fam] = [(port + i, inner + i)
                                       for i in range(n)]
        flag, word = text.split()
        return flag, word.format(p=port, p3=port + n - 1, q=inner,
                                 q3=inner + n - 1, barehost=fam.host,
                                 barelo=fam.loopback,
                                 any=bracketed(fam, fam.any),
                                 host=bracketed(fam, fam.host),
                                 lo=bracketed(fam, fam.loopback))

    def client(self, fam, way):
        """Namespace of the client, address it dials."""
        return {"far": (self.net.far, fam.host),
                "own": (self.net.host, fam.host),
                "loopback": (self.net.host, fam.loopback)}[way]


@pytest.fixture(scope="module")
def published(podman, net):
    p = Published(podman, net)
    yield p
    p.box.remove()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
def test_tcp(published, fam, form, way):
    """Each port of a row leads where it should, or is shut."""
    where, dest = published.client(fam, way)
    for port, inner in published.rows[form, "tcp", fam]:
        if way in FORMS[form][3]:
            stream(published.box.ns, where, fam, dest, port, inner, 2048)
        else:
            with where.sock(fam.af) as s, \
                    pytest.raises(ConnectionRefusedError):
                s.connect((dest, port))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
def test_udp(published, fam, form, way):
    """The same, the empty datagram at the end included."""
    where, dest = published.client(fam, way)
    for port, inner in published.rows[form, "udp", fam]:
        if way in FORMS[form][3]:
            datagrams(published.box.ns, where, fam, dest, port, inner,
                      (1, 1024, 1024))
        else:
            with where.sock(fam.af, socket.SOCK_DGRAM) as s, \
                    pytest.raises(ConnectionRefusedError):
                s.connect((dest, port))
                s.send(b"x")
                s.recv(1)


@pytest.mark.parametrize("way", ("far", "loopback"))
def test_bulk(published, fam, way):
    """10 MB in and out again, compared by hash."""
    where, dest = published.client(fam, way)
    port, inner = published.rows["single", "tcp", fam][0]
    stream(published.box.ns, where, fam, dest, port, inner, 10 << 20)


@pytest.mark.parametrize("way", ("far", "loopback"))
def test_udp_burst(published, fam, way):
    """A quarter of the default socket buffer, sent at once: nothing lost."""
    with open("/proc/sys/net/core/wmem_default", encoding="ascii") as f:
        nbytes = int(f.read()) // 4
    where, dest = published.client(fam, way)
    port, inner = published.rows["single", "udp", fam][0]
    datagrams(published.box.ns, where, fam, dest, port, inner,
              [1024] * (nbytes // 1024))


def test_peer_address(published, net, fam):
    """The container sees who called."""
    port, inner = published.rows["single", "tcp", fam][0]
    assert stream(published.box.ns, net.far, fam, fam.host, port, inner,
                  1) in (fam.far, fam.gw, fam.neigh)


def test_link_local(published, net):
    """IPv6 link-local addresses, of the host and of the caller."""
    for ns in (net.host, net.far):
        wait_for(lambda ns=ns: "fe80:" in ns.ip("-6 addr show dev eth0 scope "
                                                "link -tentative"), "fe80::")
    words = net.host.ip("-6 addr show dev eth0 scope link").split()
    dest = words[words.index("inet6") + 1].partition("/")[0]
    with net.far.entered():
        scope = socket.if_nametoindex("eth0")
    for proto, talk, what in (("tcp", stream, 1 << 20),
                              ("udp", datagrams, (1, 1024))):
        port, inner = published.rows["translated", proto, V6][0]
        talk(published.box.ns, net.far, V6, "%s%%%d" % (dest, scope), port,
             inner, what)


def test_own_port(published):
    """A container reaches its own published ports by the host's name."""
    for proto, talk, what in (("tcp", stream, 2048),
                              ("udp", datagrams, (1, 1024))):
        port, inner = published.rows["translated", proto, V4][0]
        talk(published.box.ns, published.box.ns, V4, "169.254.1.2", port,
             inner, what)


def test_families_apart(podman, net):
    """The same port of both families, and of loopback, led to others."""
    port = net.port()
    boxes = [podman.start("pasta", "-p", "%s:%d:80" % (addr, port))
             for addr in (V4.host, V4.loopback, "[::]")]
    try:
        for box, fam, way in zip(boxes, (V4, V4, V6), ("far", "own", "far")):
            where = net.far if way == "far" else net.host
            dest = fam.host if way == "far" else fam.loopback
            stream(box.ns, where, fam, dest, port, 80, 1)
    finally:
        for box in boxes:
            box.remove()


def test_localhost(published, net):
    """Who dials localhost gets ::1 first: a server of IPv4 only is found."""
    port, inner = published.rows["translated", "tcp", V6][0]
    with published.box.ns.sock(socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((V4.any, inner))
        listener.listen()
        with net.host.sock(socket.AF_INET6) as client:
            client.connect((V6.loopback, port))
            client.sendall(b"hello")
            server, _ = listener.accept()
            with server:
                assert recv_exact(server, 5) == b"hello"
                server.sendall(b"world")
                assert recv_exact(client, 5) == b"world"


def test_container_loopback(podman, net, fam):
    """A service on the container's loopback is not published, but can be."""
    port, other = net.port(), net.port()
    box = podman.start("pasta", "-p", "%d:80" % port)
    with box.ns.sock(fam.af) as listener:
        listener.bind((fam.loopback, 80))
        listener.listen()
        with net.host.sock(fam.af) as s, pytest.raises(ConnectionError):
            s.connect((fam.loopback, port))
            assert s.recv(1)
    box.remove()
    text = block("podman-container-loopback", IMAGE=IMAGE + " sleep 600")
    box = Container(podman, podman.sh(
        text.replace("8080", str(other))).strip())
    try:
        stream(box.ns, net.host, fam, fam.loopback, other, 80, 1,
               bind=fam.loopback)
    finally:
        box.remove()


def test_auto(podman, net, fam):
    """What a container listens on is published as it comes."""
    box = Container(podman, podman.sh(block(
        "podman-auto", IMAGE=IMAGE + " sleep 600")).strip())
    port = net.port()
    try:
        with box.ns.sock(fam.af) as listener:
            listener.bind((fam.any, port))
            listener.listen()

            def dial():
                s = net.far.sock(fam.af)
                try:
                    s.connect((fam.host, port))
                    return s
                except ConnectionRefusedError:
                    s.close()
                    return None
            with wait_for(dial, "published port", timeout=5):
                listener.accept()[0].close()
    finally:
        box.remove()


def test_two_containers(podman, published, net, fam):
    """A second one has the same addresses and ports of its own."""
    port = net.port()
    other = podman.start("pasta", "-p", "%d:80" % port, "-p",
                         "%d:80/udp" % port)
    try:
        first, inner = published.rows["single", "tcp", fam][0]
        stream(other.ns, net.far, fam, fam.host, port, 80, 1)
        stream(published.box.ns, net.far, fam, fam.host, first, inner, 1)
        datagrams(other.ns, net.far, fam, fam.host, port, 80, (1,))
        # from the one to the other, by an address that is its own too
        with published.box.ns.sock(fam.af) as s, \
                pytest.raises(ConnectionRefusedError):
            s.connect((fam.host, port))
    finally:
        other.remove()


@pytest.mark.parametrize("proto", PROTOS)
def test_port_in_use(podman, net, proto):
    """Which port, and that it is taken; the container does not start."""
    kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
    port = net.port()
    with net.host.sock(socket.AF_INET, kind) as taken:
        taken.bind((V4.any, port))
        if proto == "tcp":
            taken.listen()
        said = podman.fails("run", "--rm", "-p", "%d:80/%s" % (port, proto),
                            IMAGE, "true")
    assert "pasta failed with exit code 1" in said
    assert "port %d " % port in said
    assert "Address already in use" in said


def test_privileged_port(podman):
    """Which sysctl it takes."""
    said = podman.fails("run", "--rm", "-p", "80:80", IMAGE, "true")
    assert "port 80 " in said
    assert "net.ipv4.ip_unprivileged_port_start" in said


def test_sctp(podman, net):
    """Refused by podman before we are started."""
    said = podman.fails("run", "--rm", "--network", "pasta",
                        "-p", "%d:80/sctp" % net.port(), IMAGE, "true")
    assert "can't forward protocol: sctp" in said


def test_none_added(podman, net, fam):
    """podman does not see the spelling with '=', and adds '-t none'."""
    port = net.port()
    box = podman.start("pasta:--tcp-ports=%d:80,--udp-ports=%d:80" %
                       (port, port))
    try:
        stream(box.ns, net.far, fam, fam.host, port, 80, 1)
        datagrams(box.ns, net.far, fam, fam.host, port, 80, (1,))
    finally:
        box.remove()


def test_publish_and_option(podman, net, fam):
    """Rules of -p and those of options hold side by side."""
    port = net.port(2)
    box = podman.start("pasta:-t,%d:80" % port, "-p", "%d:81" % (port + 1))
    try:
        stream(box.ns, net.far, fam, fam.host, port, 80, 1)
        stream(box.ns, net.far, fam, fam.host, port + 1, 81, 1)
    finally:
        box.remove()


def test_documented(podman, net, fam):
    """The forms that the document shows."""
    ids = podman.sh(block("podman-publish", IMAGE=IMAGE + " sleep 600"))
    web, local, ports = boxes = [Container(podman, word)
                                 for word in ids.split()]
    try:
        stream(web.ns, net.far, fam, fam.host, 8080, 80, 2048)
        stream(local.ns, net.host, fam, fam.loopback, 8081, 80, 2048)
        with net.far.sock(fam.af) as s, pytest.raises(ConnectionRefusedError):
            s.connect((fam.host, 8081))
        for i in range(3):
            stream(ports.ns, net.far, fam, fam.host, 8090 + i, 80 + i, 1)
            datagrams(ports.ns, net.far, fam, fam.host, 8090 + i, 80 + i, (1,))
    finally:
        for box in boxes:
            box.remove()


def test_documented_interface(podman, net, fam):
    """Not reached by what is not on eth0."""
    box = Container(podman, podman.sh(block(
        "podman-interface", IMAGE=IMAGE + " sleep 600")).strip())
    try:
        stream(box.ns, net.far, fam, fam.host, 8080, 80, 1)
        datagrams(box.ns, net.far, fam, fam.host, 8080, 80, (1,))
        with net.host.sock(fam.af) as s, pytest.raises(ConnectionRefusedError):
            s.connect((fam.loopback, 8080))
    finally:
        box.remove()
