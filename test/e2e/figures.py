# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures that tests measured, for the summary; how long tests may be.

E2E_FIGURES names a file that test/run prints before its last line. E2E_LONG
is set by 'make check-long': tests marked long then do what they do for longer,
or with more.
"""

import os

LONG = bool(os.environ.get("E2E_LONG"))


def figure(what, text, *args):
    """Tell a figure. what: the test it belongs to."""
    line = "%s: %s" % (what, text % args if args else text)
    path = os.environ.get("E2E_FIGURES")
    if path:
        with open(path, "a", encoding="utf-8") as f:
            f.write(line + "\n")
    print(line)


def form(bounded, long):
    """One of two sizes, by the form that was asked for."""
    return long if LONG else bounded
