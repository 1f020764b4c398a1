# SPDX-License-Identifier: GPL-2.0-or-later
"""Side-by-side measurements: namespaces, contestants, rows and reports."""
