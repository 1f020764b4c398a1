#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual page and the option table say the same."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("PASST_BIN_DIR", TOP))


def run(program, *args):
    return subprocess.run([BIN / program, *args], capture_output=True,
                          text=True, timeout=10, check=False)


def usage_options(program):
    """Long options of --help, as a set of (short or None, long)."""
    done = run(program, "--help")
    assert done.returncode == 0
    found = re.findall(r"^  (?:-(\S),|   ) --([a-z0-9-]+)", done.stdout, re.M)
    assert len(found) > 40
    return {(short or None, name) for short, name in found}


def manual_text():
    return (TOP / "passt.1").read_text().replace("\\-", "-")


def manual_options():
    """Long options of the page."""
    return set(re.findall(r"(?<![a-z0-9-])--([a-z0-9][a-z0-9-]*)",
                          manual_text()))


@pytest.mark.parametrize("program", ["passt", "pasta"])
def test_usage_is_in_manual(program):
    text = manual_text()
    for short, name in usage_options(program):
        assert name in manual_options()
        if short:
            assert re.search(rf'^\.BR -{short} ", " --{name}\b', text, re.M), \
                f"-{short} does not stand with --{name}"


def test_manual_is_accepted():
    """Every option of the page is one of the program."""
    for name in manual_options():
        for program in ("passt", "pasta"):
            # ends at the latest at the last one, whatever the first one does
            done = run(program, f"--{name}=x", "--no-such-option")
            assert done.returncode == 1
            assert f"unrecognized option '--{name}" not in done.stderr


if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", __file__]))
