"""The zone that all DNS servers of a row serve, and what they are asked: drawn with one seed, so that they are the same in each
run."""

from __future__ import annotations

import random
from pathlib import Path

ORIGIN = "bench.test."
NAMES = 10_000
QUERIES = 100_000
PORT = 5300

# without limits on the rate, of which Debian's nsd has one
NSD = """server:
  ip-address: 0.0.0.0
  port: {port}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: ""
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
  server-count: 1
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: bench.test
  zonefile: bench.zone
"""
KNOT = """server:
  rundir: {folder}
  listen: 0.0.0.0@{port}
  udp-workers: 1
database:
  storage: {folder}
zone:
  - domain: bench.test
    file: {folder}/bench.zone
    zonefile-load: whole
    journal-content: none
"""


def write(folder: Path) -> None:
    """`bench.zone` and `queries` into `folder`, and settings for nsd and knot."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nsd.conf").write_text(NSD.format(folder=folder, port=PORT))
    (folder / "knot.conf").write_text(KNOT.format(folder=folder, port=PORT))
    dice = random.Random(6)
    lines = [
        f"$ORIGIN {ORIGIN}",
        "$TTL 300",
        "@ SOA ns1 hostmaster 2026010101 3600 900 604800 300",
        "@ NS ns1",
        "@ NS ns2",
        "ns1 A 192.0.2.1",
        "ns2 A 192.0.2.2",
    ]
    for i in range(NAMES):
        lines.append(f"host{i} A 198.51.{i >> 8}.{i & 255}")
        if i % 2 == 0:
            lines.append(f"host{i} AAAA 2001:db8::{i:x}")
        if i % 10 == 0:
            lines.append(f"host{i} MX 10 host{i + 1}")
    (folder / "bench.zone").write_text("\n".join(lines) + "\n")
    # of a hundred questions: 50 for an A that is there, 20 for AAAA (every second name has one), 10 for MX (every tenth, and the
    # address of the exchange goes with it), 20 for names that are not there
    queries = []
    for _ in range(QUERIES):
        i, kind = dice.randrange(NAMES), dice.randrange(10)
        if kind < 8:
            queries.append(f"host{i}.{ORIGIN} {'A' if kind < 5 else 'AAAA' if kind < 7 else 'MX'}")
        else:
            queries.append(f"absent{i}.{ORIGIN} A")
    (folder / "queries").write_text("\n".join(queries) + "\n")
