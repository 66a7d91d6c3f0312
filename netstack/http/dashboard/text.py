"""The dashboard for terminals: what `curl` prints."""

from collections.abc import Iterable, Mapping, Sequence

ROWS = 20  # connections that are told: a terminal is not high


def summary(about: Mapping[str, object], total: int, connections: Sequence[Mapping[str, object]], uptime: int, host: str) -> str:
    """A few lines that say what this is, how it stands, and what to try. `uptime` in seconds."""
    facts = [
        ("device", about.get("netif", "")),
        ("addresses", ", ".join(map(str, _many(about.get("addresses"))))),
        ("build", about.get("build", "")),
        ("up for", uptime_text(uptime)),
        ("connections", f"{total:,}"),
    ]
    lines = ["This was served by netstack, a TCP/IP stack in Python that one imports.", ""]
    lines += [f"  {name:<13}{value}" for name, value in facts]
    if connections:
        lines += ["", f"  {'peer':<22}{'here':<22}{'state':<13}{'round trip':>11}{'in flight':>12}{'sent again':>12}"]
    for row in connections[:ROWS]:
        texts = (f"{row.get(key, '')!s:<22}" for key in ("remote", "local"))
        state, srtt, flight, again = (row.get(key, "") for key in ("state", "srtt", "in_flight", "retransmits"))
        lines.append(f"  {''.join(texts)}{state!s:<13}{_time(srtt):>11}{_size(flight):>12}{_size(again):>12}")
    if total > len(connections[:ROWS]):
        lines.append(f"  and {total - len(connections[:ROWS]):,} more")
    lines += [
        "",
        f"  A browser at http://{host}/ sees all that live, and draws it.",
        f"  curl http://{host}/stats.json              the same for programs, with all counters",
        f"  curl -o /dev/null http://{host}/bytes/100000000    a hundred million bytes, always the same",
        f"  curl -T FILE http://{host}/sha256          its SHA-256; /echo sends it back",
        "",
    ]
    return "\n".join(lines)


def comment(text: str) -> str:
    """`text` as a comment of HTML, whatever it holds."""
    plain = text.translate({ord("<"): "(", ord(">"): ")", ord("&"): "+"})
    while "--" in plain:
        plain = plain.replace("--", "- -")
    return f"<!--\n{plain}-->\n"


def uptime_text(seconds: int) -> str:
    """Seconds for people, in the two units that say most: "3 min 20 s"."""
    for unit, name, part, part_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= unit:
            return f"{seconds // unit} {name} {seconds % unit // part} {part_name}"
    return f"{seconds} s"


def round_trip_text(nanoseconds: int) -> str:
    for unit, name in ((10**9, "s"), (10**6, "ms"), (10**3, "µs")):
        if nanoseconds >= unit:
            return f"{nanoseconds / unit:.3g} {name}" if nanoseconds < 999 * unit else f"{nanoseconds // unit:,} {name}"
    return "under 1 µs"


def _time(value: object) -> str:
    return round_trip_text(value) if isinstance(value, int) and value > 0 else "-"  # none was measured yet


def _size(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and value >= 0 else "-"  # none was chosen yet


def _many(value: object) -> Iterable[object]:
    return value if isinstance(value, list | tuple) else ()
