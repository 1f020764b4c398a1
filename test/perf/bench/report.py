# SPDX-License-Identifier: GPL-2.0-or-later
"""From samples to medians and ratios, as text, Markdown and JSON."""

import statistics

from . import aims

PEERS = ("peer", "older", "slirp")
EXTRAS = {      # key in samples: heading, format
    "cpu_daemon": ("daemon s/GB", "{:.3f}"),
    "cpu_total": ("all s/GB", "{:.3f}"),
    "retransmits": ("retr", "{:.0f}"),
    "zero_intervals": ("zero ivals", "{:.0f}"),
    "bridge_busy": ("bridge busy %", "{:.0f}"),
    "loss": ("loss %", "{:.2f}"),
    "reordered": ("reord", "{:.0f}"),
    "rate": ("per s", "{:.0f}"),
    "p50_us": ("p50 us", "{:.2f}"),
    "p99_us": ("p99 us", "{:.2f}"),
    "timeouts": ("timeouts", "{:.0f}"),
    "after_mb": ("MB after stall", "{:.0f}"),
    "vmsize_mb": ("VmSize MB", "{:.1f}"),
    "wakeups": ("wake-ups", "{:.0f}"),
    "opened": ("opened", "{:.0f}"),
    "connect_secs": ("connect s", "{:.1f}"),
    "fds_each": ("fds each", "{:.2f}"),
    "rss_bytes_each": ("RSS B each", "{:.0f}"),
    "rss_mb": ("RSS MB", "{:.2f}"),
    "rss_closed_mb": ("RSS MB, all closed", "{:.2f}"),
    "fds_left": ("fds left", "{:.0f}"),
    "cpu_ms": ("CPU ms", "{:.1f}"),
    "first_ms": ("CPU ms in first 10 s", "{:.1f}"),
    "as_built_kb": ("as it is, kB", "{:.0f}"),
    "gbps": ("Gbit/s", "{:.2f}"),
    "spread": ("(max - min) / mean", "{:.2f}"),
    "us_10": ("us, 10 flows", "{:.2f}"),
    "us_1000": ("us, 1000 flows", "{:.2f}"),
    "us_15000": ("us, 15000 flows", "{:.2f}"),
}


def summarise(row, samples, errors):
    """One row's result: what each contestant reached, and the ratios."""
    result = {"name": row.name, "title": row.title, "unit": row.unit,
              "better": row.better, "contestants": {}}
    for name, taken in samples.items():
        entry = {"samples": taken}
        if errors.get(name):
            entry["errors"] = errors[name]
        if taken:
            values = [sample["value"] for sample in taken]
            entry |= {"value": statistics.median(values), "min": min(values),
                      "max": max(values)}
            for key in EXTRAS:
                seen = [sample[key] for sample in taken if key in sample]
                if seen:
                    entry[key] = statistics.median(seen)
            # the median of mostly none hides that it does happen
            for key in ("retransmits", "zero_intervals"):
                if key in entry:
                    entry[f"max_{key}"] = max(s[key] for s in taken)
            if "calls" in taken[-1]:
                entry["calls"] = taken[-1]["calls"]
        result["contestants"][name] = entry
    ratios(result)
    return result


def ratios(result):
    """Add each contestant's ratio to the limit and to the best peer."""
    entries = result["contestants"]
    peers = [entries[name]["value"] for name in PEERS
             if "value" in entries.get(name, {})]
    best = (max if result["better"] == "more" else min)(peers, default=None)
    limit = entries.get("limit", {}).get("value")
    for entry in entries.values():
        if "value" not in entry:
            continue
        if limit:
            entry["to_limit"] = entry["value"] / limit
        if best:
            entry["to_best_peer"] = entry["value"] / best


def number(value):
    """Three significant digits, without an exponent."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def extras(entry):
    """What else was seen, as short text."""
    parts = []
    for key, (heading, form) in EXTRAS.items():
        if key not in entry:
            continue
        text = form.format(entry[key])
        worst = entry.get(f"max_{key}", entry[key])
        if worst != entry[key]:
            text += f" (max {worst:.0f})"
        parts.append(f"{heading} {text}")
    if "calls" in entry:
        parts.append(entry["calls"])
    return "; ".join(parts)


def note(entry):
    """Why there is no figure, or fewer than there should be."""
    errors = entry.get("errors", [])
    if not errors:
        return ""
    return f"{len(errors)} failed: {' '.join(errors[0].split())[:120]}"


def aim(result):
    """What a row is to reach, and whether it does, as short text."""
    checked = aims.check(result)
    if not checked:
        return "-"
    text_of = {True: "met", False: "falls short", None: "not measured"}
    verdict = min((met for _, met in checked),
                  key=(False, None, True).index)
    short = [wanted for wanted, met in checked if met is verdict]
    return (", ".join(wanted for wanted, _ in checked) +
            f": {'**' if verdict is False else ''}{text_of[verdict]}"
            f"{'**' if verdict is False else ''}" +
            (f" ({', '.join(short)})"
             if verdict is not True and len(short) < len(checked) else ""))


def text(result):
    """A row as lines for a terminal."""
    lines = [f"{result['name']}: {result['title']} "
             f"[{result['unit']}, {result['better']} is better]"]
    for name, entry in result["contestants"].items():
        lines.append(
            f"  {name:<6} {number(entry.get('value')):>7}  "
            f"({number(entry.get('min'))}..{number(entry.get('max'))})  "
            f"x limit {number(entry.get('to_limit'))}  "
            f"x best peer {number(entry.get('to_best_peer'))}  "
            f"{extras(entry)} {note(entry)}".rstrip())
    if "ours" in result["contestants"]:
        lines.append(f"  aim: {aim(result).replace('**', '')}")
    return "\n".join(lines)


def markdown(report):
    """The whole report as a Markdown document."""
    meta = report["meta"]
    names = [name for name in meta["contestants"]
             if name not in meta["skipped"]]
    lines = ["| row | unit | " + " | ".join(names) +
             " | ours / limit | ours / best peer | aim |",
             "|---" * (len(names) + 5) + "|"]
    for result in report["rows"]:
        entries = result["contestants"]
        ours = entries.get("ours", {})
        unit = result["unit"] + (" (less is better)"
                                 if result["better"] == "less" else "")
        cells = [number(entries.get(name, {}).get("value"))
                 if not entries.get(name, {}).get("errors") or
                 "value" in entries[name] else "failed" for name in names]
        lines.append(f"| {result['title']} (`{result['name']}`) | {unit} | " +
                     " | ".join(cells) +
                     f" | {number(ours.get('to_limit'))}"
                     f" | {number(ours.get('to_best_peer'))}"
                     f" | {aim(result)} |")
    lines += ["", "Contestants:", ""]
    for name, about in meta["contestants"].items():
        why = meta["skipped"].get(name)
        lines.append(f"- {name}: {about}" + (f"; skipped: {why}" if why
                                             else ""))
    lines += ["", "Beside the value of each (median of all rounds):", "",
              "| row | contestant | rounds | value | min..max | also seen |",
              "|---|---|---|---|---|---|"]
    for result in report["rows"]:
        for name, entry in result["contestants"].items():
            also = "; ".join(filter(None, (extras(entry), note(entry))))
            lines.append(f"| `{result['name']}` | {name} | "
                         f"{len(entry['samples'])} | "
                         f"{number(entry.get('value'))} | "
                         f"{number(entry.get('min'))}.."
                         f"{number(entry.get('max'))} | {also} |")
    lines += ["", f"{meta['cpus']} CPUs ({meta['machine']}), Linux "
              f"{meta['kernel']}; {meta['rounds']} rounds, or as many as the "
              f"table says, alternating; bulk transfers of "
              f"{meta.get('seconds', 2)} s; congestion control reno; "
              f"{meta['date']}."]
    return "\n".join(lines)
