# SPDX-License-Identifier: GPL-2.0-or-later
"""What our programs are to reach in each row: the aims, in one place.

Each aim bounds one thing, from the side on which the row is better: at least
so much where more is better, at most so much where less is. These are known:

    limit   our value by that of the limit
    peer    our value by that of the best peer
    newest  our value by that of the newest package of passt, no other
    value   our value itself, in the unit of the row
    KEY     another key of samples, of which less is better
"""

import fnmatch

# The first pattern that a row's name matches tells; the others are not tried
AIMS = (
    ("tap-out-*-8", {"peer": 1.2}),
    ("tap-in-*-8", {"peer": 1.4}),
    ("tap-out-65520", {"limit": 0.45, "peer": 1.5}),
    ("tap-in-65520", {"limit": 0.62, "peer": 1.9}),
    ("tap-out-1500", {"limit": 0.45, "peer": 3}),
    ("tap-in-1500", {"limit": 0.60, "peer": 8}),
    ("tbf-out", {"limit": 0.97}),
    ("stall-out", {"limit": 0.5, "newest": 10}),
    ("rtt-loss-*", {"limit": 0.97}),
    ("rtt-*", {"limit": 0.97, "peer": 1}),
    ("passt-*", {"newest": 1.3}),
    ("splice-rr*", {"peer": 0.95}),
    ("splice-*", {"limit": 0.72, "peer": 1.05}),
    ("udp-out-64", {"limit": 0.9, "peer": 2}),
    ("udp-out-1400", {"limit": 0.9, "peer": 2}),
    ("udp-in-1400", {"limit": 0.85, "peer": 2}),
    ("udp-*-65000", {"limit": 0.34, "peer": 1}),
    ("udp-out-gso", {"limit": 0.3, "peer": 6}),
    ("tcp-rr", {"limit": 2.2, "newest": 0.65}),
    ("udp-rr", {"limit": 2.2, "newest": 0.65}),
    ("tcp-crr", {"limit": 0.5, "newest": 1.5}),
    # by test/tree/syscalls, too
    ("syscalls-tcp-rr*", {"value": 7.2}),
    ("syscalls-tcp-crr-passt*", {"value": 21}),
    ("syscalls-tcp-crr*", {"value": 24}),
    ("syscalls-udp-rr*", {"value": 6.2}),
    ("fair-rr*", {"limit": 1.5}),
    ("fair-bulk*", {"value": 0.8}),
    ("cost-size", {"value": 1.3}),
    ("start-inner", {"limit": 3, "newest": 0.4}),
    ("start-total", {"limit": 3, "newest": 0.2}),
    ("idle-auto", {"value": 1}),
    ("idle-*", {"value": 4, "vmsize_mb": 32}),
    ("binary", {"value": 200}),
    ("many", {"value": 19500}),
)
WORDS = {"limit": " of limit", "peer": " of best peer",
         "newest": " of newest peer", "value": "", "vmsize_mb": " MB VmSize"}


def of(name):
    """The aims of a row, by what they bound; none if there are none."""
    return next((bounds for pattern, bounds in AIMS
                 if fnmatch.fnmatchcase(name, pattern)), {})


def reached(result, key):
    """What ours reached of one aim, None if that was not measured."""
    entries = result["contestants"]
    ours = entries.get("ours", {})
    if key == "limit":
        return ours.get("to_limit")
    if key == "peer":
        return ours.get("to_best_peer")
    if key == "newest":
        other = entries.get("peer", {}).get("value")
        return ours["value"] / other if other and "value" in ours else None
    return ours.get(key)


def check(result):
    """(text of the aim, met?) for each of a row; met is None if unknown."""
    checked = []
    for key, bound in of(result["name"]).items():
        more = result["better"] == "more" and key != "vmsize_mb"
        got = reached(result, key)
        met = None if got is None else got >= bound if more else got <= bound
        checked.append((f"{'>=' if more else '<='} {bound}{WORDS[key]}", met))
    return checked
