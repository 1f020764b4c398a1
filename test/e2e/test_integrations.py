# SPDX-License-Identifier: GPL-2.0-or-later
"""Command lines of doc/integrations.md that need nobody but pasta itself."""

import os
import shlex

from doc import block
from procs import as_user


def test_shell(net, bindir):
    """The first thing people type: a shell that has the host's address."""
    argv = shlex.split(block("shell"))
    assert argv[0] == "pasta"
    argv[0] = os.path.join(bindir, "pasta")
    res = net.host.run(*as_user(argv, "user"), input="ip address\n",
                       stdin=None)
    assert "inet 192.0.2.10/24" in res.stdout
    assert "inet6 2001:db8:1::10/64" in res.stdout
