# SPDX-License-Identifier: GPL-2.0-or-later
"""buildah, and podman build: commands of a build in a network of pasta's."""

import pytest

from doc import block
from engine import IMAGE, NAME, NAME4, NAME6
from procs import wait_for
from topology import V4, V6
from xfer import Echo

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("buildah")]

# Printed by each build
LOOK = ("ip address && ip route && ip -6 route && cat /etc/resolv.conf "
        "/etc/hosts && nslookup " + NAME)


@pytest.fixture
def context(podman):
    """A directory with a Containerfile whose command looks around."""
    podman.sh("mkdir -p ~/context && printf 'FROM %s\\nRUN %s\\n' "
              ">~/context/Containerfile" % (IMAGE, LOOK))
    yield "cd ~/context\n"
    podman.sh("rm -r ~/context")


@pytest.fixture
def working(podman):
    """A working container of buildah's."""
    name = podman.run("buildah", "from", IMAGE).stdout.strip()
    yield name
    podman.run("buildah", "rm", name)


def as_host(out):
    """Whether it is what the host has, with the resolver of ours."""
    for fam in (V4, V6):
        assert " %s/%d " % (fam.host, fam.plen) in out
        assert "default via %s dev eth0" % fam.gw in out
    assert "nameserver 169.254.1.1\n" in out
    assert " mtu 65520 " in out
    assert "169.254.1.2\thost.containers.internal" in out
    assert "\n%s\t" % V4.host in out
    assert NAME4 in out and NAME6 in out


@pytest.mark.parametrize("program", ("podman", "buildah"))
def test_build(podman, context, program):
    """Both programs have the option, and pasta goes with the build."""
    text = block("buildah-build").replace("buildah", program)
    as_host(podman.sh(context + text))
    wait_for(lambda: not podman.pastas(), "end of pasta", timeout=5)


def test_build_private(podman, context):
    """What a network of the build's own means to an ordinary user."""
    as_host(podman.sh(context + "buildah build --network private --no-cache"))


def test_run(podman, working):
    text = block("buildah-run", CONTAINER=working,
                 COMMAND="sh -c '%s'" % LOOK)
    as_host(podman.sh(text))
    wait_for(lambda: not podman.pastas(), "end of pasta", timeout=5)


def test_run_options(podman, working):
    """Options of pasta, as podman takes them."""
    out = podman.run("buildah", "run", "--network", "pasta:-m,1280,-4",
                     working, "ip", "address").stdout
    assert " mtu 1280 " in out
    assert V4.host in out and V6.host not in out


def test_slirp4netns_options(podman, context, net):
    """The network that slirp4netns makes; the world is reached from it."""
    out = podman.sh(context + block("buildah-slirp4netns"))
    assert " 10.0.2.0/24 " in out
    assert "default via 10.0.2.2 dev eth0" in out
    assert " mtu 1500 " in out
    assert "nameserver 10.0.2.3\n" in out
    assert V6.host not in out and "default via " + V6.gw not in out
    assert NAME4 in out


def test_reaches(podman, net, working, fam):
    """TCP from a command of the build."""
    port = net.port()
    with net.far.sock(fam.af) as listener:
        listener.bind((fam.far, port))
        listener.listen()
        with Echo(listener) as echo:
            out = podman.run("buildah", "run", "--network", "pasta", working,
                             "sh", "-c", "echo hello | nc %s %d" %
                             (fam.far, port)).stdout
            assert {peer[0] for peer in echo.peers} == {fam.host}
    assert out == "hello\n"


def test_failed_option(podman, working):
    """What we say reaches the user."""
    res = podman.run("buildah", "run", "--network", "pasta:--mtu,ten",
                     working, "true", check=False)
    assert res.returncode
    assert "pasta failed with exit code 1" in res.stderr
    assert "ten" in res.stderr
