# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: a closed network, the daemons in it, and paths through them."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import daemon                       # noqa: E402
import figures                      # noqa: E402
import netns                        # noqa: E402
import topology                     # noqa: E402
from procs import Procs             # noqa: E402
from path import PATHS              # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: not part of 'test/run fast'")
    config.addinivalue_line("markers", "long: has a long form, see figures.py")
    config.addinivalue_line("markers", "xdist_group: run by one worker")
    if os.geteuid():
        pytest.exit("these tests make network namespaces: run as root", 1)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    # Ignored, as behind "&" or nohup, they would be so in what tests start,
    # too. With a handler they are not, and are still ignored here.
    for sig in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(sig) == signal.SIG_IGN:
            signal.signal(sig, lambda *_: None)
    netns.remove_orphans()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """No test runs for ever: an exception in the main thread ends it."""
    limit = 150 if item.get_closest_marker("slow") else 75
    if figures.LONG and item.get_closest_marker("long"):
        limit = 1800

    def expired(*_):
        raise TimeoutError("test not done within %d s" % limit)
    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(limit)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def bindir():
    """Directory of the programs under test, open to every user."""
    dest = tempfile.mkdtemp(prefix="e2e-bin-", dir="/var/tmp")
    os.chmod(dest, 0o755)
    yield daemon.install(dest)
    shutil.rmtree(dest)


@pytest.fixture(scope="module")
def net():
    """The network of topology.py, one for each test file."""
    network = topology.Network()
    yield network
    network.delete()


@pytest.fixture(params=topology.FAMILIES, ids=repr)
def fam(request):
    """Both address families, one after the other."""
    return request.param


@pytest.fixture
def tmp():
    """A scratch directory with a short path, open to every user."""
    path = tempfile.mkdtemp(prefix="e2e-")
    os.chmod(path, 0o777)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def procs():
    """What the test starts; ended with the test."""
    p = Procs()
    yield p
    p.end()


@pytest.fixture
def pasta(net, bindir, procs):
    """Factory: pasta(*options, user=, form=, ...) -> daemon.Pasta."""
    made = []
    dirs = []

    def make(*opts, where=None, programs=bindir, **kw):
        dirs.append(tempfile.mkdtemp(prefix="e2e-"))
        os.chmod(dirs[-1], 0o777)
        made.append(daemon.Pasta(procs, where or net.host, programs, dirs[-1],
                                 opts, **kw))
        return made[-1]

    yield make
    for p in made:
        p.close()
    procs.end()
    for path in dirs:
        shutil.rmtree(path)


@pytest.fixture
def passt(net, bindir, procs):
    """Factory: passt(*options, user=, sock=, ...) -> daemon.Passt."""
    dirs = []

    def make(*opts, where=None, programs=bindir, **kw):
        dirs.append(tempfile.mkdtemp(prefix="e2e-"))
        return daemon.Passt(procs, where or net.host, programs, dirs[-1],
                            opts, **kw)

    yield make
    procs.end()
    for path in dirs:
        shutil.rmtree(path)


def _compiled(name):
    """Fixture function: a program of one source file, test/NAME/NAME.c."""
    dest = tempfile.mkdtemp(prefix="e2e-")
    src = os.path.join(os.path.dirname(__file__), "..", name, name + ".c")
    prog = os.path.join(dest, name)
    subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-O2", "-o", prog,
                    src], check=True)
    yield prog
    shutil.rmtree(dest)


@pytest.fixture(scope="session")
def bridge():
    """The program that joins a tap and passt's socket."""
    yield from _compiled("bridge")


@pytest.fixture(scope="session")
def box():
    """The program that is a bad wire."""
    yield from _compiled("box")


@pytest.fixture(scope="session")
def load():
    """The program that is a crowd."""
    yield from _compiled("load")


@pytest.fixture(scope="session")
def failing():
    """Directory of passt and pasta whose system calls fail at random."""
    dest = tempfile.mkdtemp(prefix="e2e-bin-", dir="/var/tmp")
    os.chmod(dest, 0o755)
    subprocess.run(["make", "-s", "failpoints", "O=build/failpoints"],
                   cwd=daemon.TOP, check=True)
    for name in ("passt", "pasta"):
        shutil.copy(os.path.join(daemon.TOP, "build/failpoints/passt"),
                    os.path.join(dest, name))
    yield dest
    shutil.rmtree(dest)


@pytest.fixture
def bridged(net, passt, procs, bridge):
    """Factory: passt with a namespace as its guest -> daemon.Bridged."""
    made = []

    def make(*opts, **kw):
        made.append(daemon.Bridged(passt(*opts, **kw), procs, bridge,
                                   topology.FAMILIES))
        return made[-1]

    yield make
    procs.end()
    for b in made:
        b.close()


@pytest.fixture
def start(pasta, bridged):
    """Functions that start either program."""
    return {"pasta": pasta, "passt": bridged}


@pytest.fixture(params=PATHS, ids=lambda p: p.name)
def path(request, fam, net, start):
    """All ways through the daemon, each ready to be used."""
    return request.param(fam, net, start)


@pytest.fixture(params=[p for p in PATHS if p.tap], ids=lambda p: p.name)
def tap_path(request, fam, net, start):
    """The ways by frames."""
    return request.param(fam, net, start)


@pytest.fixture(params=[p for p in PATHS if not p.tap], ids=lambda p: p.name)
def splice_path(request, fam, net, start):
    """The two ways by loopback."""
    return request.param(fam, net, start)
