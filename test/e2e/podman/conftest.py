# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixture: podman in the closed network."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from engine import Engine           # noqa: E402
from procs import Procs             # noqa: E402


@pytest.fixture(scope="module")
def podman(net, bindir):
    """An Engine for the tests of a file."""
    procs = Procs()
    try:
        engine = Engine(procs, net, bindir)
        yield engine
        engine.tree.close()
    finally:
        procs.end()
