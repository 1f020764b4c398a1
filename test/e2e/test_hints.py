# SPDX-License-Identifier: GPL-2.0-or-later
"""What is not permitted, or not there, at start: said with what could help."""

import os
import subprocess

import pytest

import without
from daemon import NO_PORTS
from procs import as_user

# How a directory of devices may look to those in a container
NO_TUN = "mount -t tmpfs tmpfs /dev/net"
ROOT_TUN = NO_TUN + " && mknod -m 600 /dev/net/tun c 10 200"

NO_USERNS = "echo 0 >/proc/sys/user/max_user_namespaces"


@pytest.fixture
def fails(net, bindir):
    """fails(*args, ...) -> what pasta says before it ends with status 1.
    before: a shell command as superuser, in a mount namespace of its own;
    inside: one as the user; programs: another directory of theirs."""
    def _fails(*args, before="true", inside="true", user="user",
               programs=bindir):
        argv = ["sh", "-c", inside + ' && exec "$@"', "sh",
                os.path.join(programs, "pasta"), *NO_PORTS, *args,
                "--", "true"]
        argv = ["unshare", "--mount", "--propagation", "slave", "--",
                "sh", "-c", before + ' && exec "$@"', "sh",
                *as_user(argv, user)]
        res = subprocess.run(net.host.wrap(argv), text=True, check=False,
                             stderr=subprocess.PIPE, timeout=60)
        assert res.returncode == 1, res.stderr
        return res.stderr
    return _fails


def test_no_tun(fails):
    assert "/dev/net/tun is missing" in fails(before=NO_TUN)


def test_tun_of_root(fails):
    assert "no permission on /dev/net/tun" in fails(before=ROOT_TUN)


def test_interface_is_there(fails):
    text = fails("--ns-ifname", "lo")
    assert "create tap device lo" in text and "see --ns-ifname" in text


def test_interface_in_use(pasta, fails):
    """The tap device of another pasta, which does not go."""
    p = pasta("-I", "tap9")
    with pytest.raises(AssertionError, match="that name is there, see --ns-i"):
        pasta("-I", "tap9", form="pid", target=p.inner, user="root")


def test_no_user_namespaces(fails):
    text = fails(inside=NO_USERNS, user="userns-root")
    assert "Cannot create a user namespace" in text
    assert "sysctl user.max_user_namespaces is 0" in text


def test_unshare_denied(fails, bindir, tmp):
    """As a container's filter of system calls does."""
    text = fails(programs=without.programs(tmp, bindir, "userns"))
    assert "Cannot create a user namespace: Operation not permitted" in text
    assert "denied by a container's seccomp filter" in text


def test_namespaces_denied(fails, bindir, tmp):
    """Those for isolation, which are made later."""
    text = fails("--netns-only", user="userns-root",
                 programs=without.programs(tmp, bindir, "mountns"))
    assert "Cannot isolate the process: new namespaces: " in text
