# SPDX-License-Identifier: GPL-2.0-or-later
"""passt's stream socket: framing, clients that come and go, options."""

import os
import re
import signal
import socket
import struct
import subprocess

import pytest
from scapy.all import ARP, Ether

import daemon
from guestlink import BROADCAST, MAC, OUR_MAC, Guest, encap
from procs import pidfd_wait, wait_for

ARP_REQUEST = Ether(src=MAC, dst=BROADCAST) / ARP(
    op=1, hwsrc=MAC, psrc="192.0.2.10", pdst="192.0.2.1")


def served(p):
    """Wait until a new client is served: passt may need a moment to see
    that the one before has left."""
    def serves():
        with Guest(p.path) as g:
            try:
                g.alive()
            except (AssertionError, ConnectionError):
                return False
        return True
    wait_for(serves, "service for a new client")


def is_answer(frame):
    return ARP in frame and frame[ARP].op == 2


def test_frame_in_pieces(passt):
    """Byte by byte, length included."""
    p = passt()
    with Guest(p.path) as g:
        for byte in encap(ARP_REQUEST):
            g.send_raw(bytes([byte]))
        g.expect(is_answer)


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 17, 45])
def test_frame_cut(passt, cut):
    """Two frames, the second of them cut, its rest later."""
    p = passt()
    data = encap(ARP_REQUEST) * 2
    cut += len(data) // 2
    with Guest(p.path) as g:
        g.passive = True            # nothing may get into the cut frame
        g.send_raw(data[:cut])
        g.expect(is_answer)
        g.silent(is_answer, 0.1)
        g.send_raw(data[cut:])
        g.expect(is_answer)


def test_many_frames_in_one_write(passt):
    """500 requests at once: an answer for each, framing kept."""
    p = passt()
    with Guest(p.path) as g:
        g.send_raw(encap(ARP_REQUEST) * 500)
        for _ in range(500):
            g.expect(is_answer)


@pytest.mark.parametrize("size", [1, 13, 14, 15, 20, 33, 41])
def test_short_frames(passt, size):
    """Frames cut off anywhere: dropped, the link lives. What has not even an
    Ethernet header may end the link, not passt."""
    p = passt()
    with Guest(p.path) as g:
        g.passive = True
        g.send(bytes(ARP_REQUEST)[:size])
        if size >= 14 or not g.closed(0.5):
            g.alive()
    served(p)
    assert p.running()


@pytest.mark.parametrize("length", [0, 65536 * 2, 0x7fffffff, 0xffffffff,
                                    0xfffffffc])
def test_broken_length(passt, length):
    """A length that cannot be: the link is closed or the frame ignored;
    passt stays, and a new client is served."""
    p = passt()
    with Guest(p.path) as g:
        try:
            g.send_raw(struct.pack("!I", length) + b"\xff" * 100)
        except ConnectionError:
            pass
        if length:
            assert g.closed()
    served(p)
    assert p.running()


def test_garbage(passt):
    """Frames of random bytes behind valid lengths: nothing happens."""
    p = passt()
    with Guest(p.path) as g:
        for size in range(14, 400, 7):
            for ethertype in (b"\x08\x00", b"\x08\x06", b"\x86\xdd", b"\0\0"):
                g.send(Ether(src=MAC, dst=OUR_MAC).build()[:12] + ethertype +
                       os.urandom(size))
        g.alive()
    assert p.running()


def test_garbage_headers(passt):
    """The same with headers that look right up to a point."""
    p = passt()
    eth = bytes(Ether(src=MAC, dst=OUR_MAC))[:12]
    v4 = bytes.fromhex("0800 4500 0064 0000 0000 40") + b"%c" + \
        bytes.fromhex("0000 c000020a c6336401")
    v6 = bytes.fromhex("86dd 60000000 0050") + b"%c" + bytes.fromhex(
        "40 20010db8000100000000000000000010"
        "20010db8000200000000000000000001")
    with Guest(p.path) as g:
        for proto in (0, 1, 6, 17, 43, 44, 58, 60, 132, 255):
            for size in (0, 1, 7, 8, 19, 20, 80):
                for start in (v4, v6):
                    g.send(eth + start.replace(b"%c", bytes([proto])) +
                           os.urandom(size))
        g.alive()
    assert p.running()


def test_second_client(passt):
    """A second client is turned away, the first one stays."""
    p = passt()
    with Guest(p.path) as first:
        first.alive()
        with Guest(p.path) as second:
            assert second.closed()
        first.alive()


def test_reconnect(passt):
    """A client leaves, the next one is served; ten times."""
    p = passt()
    for _ in range(10):
        served(p)


def test_reconnect_at_once(passt):
    """A client leaves and the next one comes in the same moment, as when QEMU
    reconnects: not mistaken for a second one."""
    p = passt()
    for last_words in (b"", encap(ARP_REQUEST) * 3, encap(ARP_REQUEST)[:20]):
        with Guest(p.path) as g:
            g.alive()
            os.kill(p.pid, signal.SIGSTOP)
            # the listener becomes ready first, so that it is handled first
            after = Guest(p.path)
            g.send_raw(last_words)
        os.kill(p.pid, signal.SIGCONT)
        with after:
            after.alive()
    assert "turned away" not in p.text()


def test_one_off_successor(passt):
    """--one-off: nobody comes after the first one, however quickly."""
    p = passt("-1")
    with Guest(p.path) as g:
        g.alive()
        os.kill(p.pid, signal.SIGSTOP)
        after = Guest(p.path)
    os.kill(p.pid, signal.SIGCONT)
    with after:
        assert p.proc.wait(10) == 0
        assert after.closed()


def test_reconnect_cut_frame(passt):
    """A client leaves in the middle of a frame: the next one begins anew."""
    # Others put what they kept before the first frame of the next client.
    p = passt()
    with Guest(p.path) as g:
        g.alive()
        g.send_raw(encap(ARP_REQUEST)[:20])
    served(p)


@pytest.mark.slow
def test_slow_client(passt):
    """A client that does not read, then reads: framing is intact."""
    p = passt()
    with Guest(p.path) as g:
        g.sock.settimeout(1)
        sent = 0
        try:
            while sent < 20000:
                g.sock.sendall(encap(ARP_REQUEST) * 100)
                sent += 100
        except socket.timeout:
            pytest.fail("passt stopped reading after %d frames" % sent)
        g.sock.setblocking(False)
        g.expect(is_answer)
        for _ in range(50):             # what is there, is well formed
            g._fill(0.05)
        g._frames.clear()
        g.alive()


def test_one_off(passt):
    """-1: status 0 when the client leaves."""
    p = passt("-1")
    with Guest(p.path) as g:
        g.alive()
    assert p.proc.wait(10) == 0


@pytest.mark.parametrize("number", [3, 5, 100])
def test_fd(passt, number):
    """-F: an inherited socket of any number; the end with the client."""
    ours, theirs = socket.socketpair()
    os.dup2(theirs.fileno(), number + 200, inheritable=True)
    theirs.close()
    p = passt("--fd", number + 200, pass_fds=(number + 200,))
    os.close(number + 200)
    with Guest(sock=ours) as g:
        g.alive()
    assert p.proc.wait(10) == 0


def test_fd_early_frames(passt):
    """Frames sent before passt starts are served."""
    ours, theirs = socket.socketpair()
    with Guest(sock=ours) as g:
        g.send(ARP_REQUEST)
        p = passt("-F", theirs.fileno(), pass_fds=(theirs.fileno(),))
        theirs.close()
        g.expect(is_answer)
    assert p.proc.wait(10) == 0


def test_bad_fd(net, bindir):
    res = net.host.run(bindir + "/passt", "-f", "--fd", "777", check=False)
    assert res.returncode == 1
    assert "fd" in res.stderr.lower()


def test_probed_path(net, bindir, procs):
    """Without -s: the first free /tmp/passt_N.socket, which is printed."""
    # A mount namespace with a /tmp of its own: nobody else's is in the way
    prog = os.path.join(bindir, "passt")
    assert not prog.startswith("/tmp/"), "programs must be outside of /tmp"
    proc = procs.start(["unshare", "--mount", "--propagation", "slave", "sh",
                        "-c", "mount -t tmpfs none /tmp; exec 2>&1; "
                        "%s -f & read x; %s -f & wait" % (prog, prog)],
                       ns=net.host, stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE, text=True)
    for want in ("/tmp/passt_1.socket", "/tmp/passt_2.socket"):
        line = ""
        while ".socket" not in line or want.endswith("_2.socket") and \
                "_1.socket" in line:
            line = proc.stdout.readline()
            assert line, "passt ended"
        assert re.search(r"/tmp/passt_\d+\.socket", line).group() == want
        wait_for(lambda: daemon.listening(net.host, want), "socket")
        if want.endswith("_1.socket"):
            proc.stdin.write("next\n")
            proc.stdin.flush()


@pytest.mark.parametrize("opts", [(), ("--one-off",)], ids=["", "one-off"])
def test_path_in_use(passt, net, bindir, opts):
    """-s with a path that is served: status 1, and the first one, which may
    wait for its only guest, is not even touched."""
    p = passt(*opts)
    res = net.host.run(bindir + "/passt", "-f", "-s", p.path, check=False)
    assert res.returncode == 1
    assert res.stderr
    assert "Accepted connection" not in p.text()
    with Guest(p.path) as g:
        g.alive()


def test_stale_path(passt):
    """-s with a path left over from a passt that was killed."""
    p = passt()
    os.kill(p.pid, signal.SIGKILL)
    p.proc.wait(10)
    assert os.path.exists(p.path)
    again = passt(sock=p.path)
    with Guest(again.path) as g:
        g.alive()


def test_background(passt, procs):
    """Without -f: parent's status 0 means the socket is there and the PID
    file complete; SIGTERM ends the daemon."""
    pidfile = "/tmp/e2e-passt-%d.pid" % os.getpid()
    with open(pidfile, "w", encoding="ascii"):
        os.chmod(pidfile, 0o666)
    try:
        p = passt("--pid", pidfile, foreground=False)
        assert p.proc.wait(10) == 0
        with open(pidfile, encoding="ascii") as f:
            text = f.read()
        assert re.fullmatch(r"\d+\n", text)
        pidfd = procs.adopt(int(text))
        with Guest(p.path) as g:
            g.alive()
        os.kill(int(text), signal.SIGTERM)
        assert pidfd_wait(pidfd, 10)
    finally:
        os.unlink(pidfile)


@pytest.mark.parametrize("user", ["root", "userns-root"])
def test_users(passt, user):
    with Guest(passt(user=user).path) as g:
        g.alive()


@pytest.mark.parametrize("opts, word", [
    (("extra",), "xtra"),
    (("-t", "auto"), "auto"),
    (("-T", "80"), "pasta"),
    (("--config-net",), "pasta"),
])
def test_bad_usage(net, bindir, opts, word):
    res = net.host.run(bindir + "/passt", "-f", "-1", *opts, check=False)
    assert res.returncode == 1
    assert word in res.stderr


def test_sigterm(passt):
    p = passt()
    os.kill(p.pid, signal.SIGTERM)
    assert p.proc.wait(10) == 0


def test_pcap(passt, tmp):
    """--pcap: both directions, readable."""
    from scapy.all import rdpcap
    path = os.path.join(tmp, "capture")
    p = passt("--pcap", path)
    with Guest(p.path) as g:
        g.alive()
    os.kill(p.pid, signal.SIGTERM)
    p.proc.wait(10)
    ops = [f[ARP].op for f in rdpcap(path) if ARP in f]
    assert 1 in ops and 2 in ops


def test_pidfile_unwritable(net, bindir):
    res = net.host.run(bindir + "/passt", "-P", "/nonexistent/pid",
                       check=False)
    assert res.returncode == 1
    assert "PID" in res.stderr or "/nonexistent/pid" in res.stderr
