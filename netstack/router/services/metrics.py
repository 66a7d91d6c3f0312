"""Counters as Prometheus reads them (text exposition format 0.0.4). Names as node_exporter has the kernel's:
`netstack_Tcp_InSegs`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ODD = re.compile(r"[^a-zA-Z0-9_]")
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

Gauge = tuple[str, str, Iterable[tuple[Mapping[str, str], float]]]  # name, what it says, values by their labels


def text(counters: Mapping[str, Mapping[str, int]], meanings: Mapping[str, Mapping[str, str]], gauges: Iterable[Gauge] = ()) -> str:
    """`counters` and `meanings` by group, as nets have them."""
    lines: list[str] = []
    for group, values in counters.items():
        for name, value in values.items():
            metric = _ODD.sub("_", f"netstack_{group}_{name}")
            meaning = meanings.get(group, {}).get(name)
            if meaning:
                lines.append(f"# HELP {metric} {meaning.translate(_ESCAPES)}")
            lines += (f"# TYPE {metric} untyped", f"{metric} {value}")  # most rise, some are what is there now
    for name, meaning, rows in gauges:
        lines += (f"# HELP {name} {meaning.translate(_ESCAPES)}", f"# TYPE {name} gauge")
        for labels, number in rows:
            said = ",".join(f'{key}="{value.translate(_ESCAPES)}"' for key, value in labels.items())
            lines.append(f"{name}{'{' + said + '}' if said else ''} {number:g}")
    return "\n".join(lines) + "\n"
