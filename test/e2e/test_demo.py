# SPDX-License-Identifier: GPL-2.0-or-later
"""doc/demo.sh: what it shows is what it says, to an ordinary user."""

import os
import shutil
import subprocess

import pytest

from daemon import TOP
from procs import as_user


def demo(part, bindir, tmp, timeout, **env):
    """Run a part of the demonstration. Return: what it printed."""
    script = shutil.copy(os.path.join(TOP, "doc", "demo.sh"), tmp)
    res = subprocess.run(
        as_user(["unshare", "--map-root-user", "--net", script, part], "user"),
        env={**os.environ, "PASST_BIN_DIR": bindir, **env}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=timeout, check=False)
    assert res.returncode == 0, res.stdout + res.stderr
    assert res.stdout.endswith("# That was all.\n")
    return res.stdout


def test_pasta(bindir, tmp):
    """Addresses of the host, both versions of IP, a forwarded port."""
    out = demo("pasta", bindir, tmp, 60)
    assert "192.0.2.10/24 2001:db8:1::10/64" in out
    assert out.count("\nThis is the world.\n") == 2
    assert out.count("\nThis is the guest.\n") == 1


@pytest.mark.slow
def test_passt(bindir, tmp):
    """A machine that boots, gets its address and serves a page."""
    images = os.path.join(tmp, "images")
    subprocess.run([os.path.join(TOP, "test", "guest", "build"), images],
                   check=True)
    os.chmod(images, 0o755)
    os.chmod(os.path.join(images, "vmlinuz"), 0o644)
    out = demo("passt", bindir, tmp, 140, GUEST_IMAGES=images)
    assert "inet 192.0.2.10/24" in out
    assert out.count("\nThis is the world.\n") == 1
    assert out.count("\nThis is the machine.\n") == 1
