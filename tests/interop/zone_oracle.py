"""Zones that nobody would write, questions that nobody would ask, and nsd, which answers them too.

nsd and its client run in a network namespace of their own. Answers are compared as sets, section by section.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from netstack.dns import name
from netstack.dns.message import Message, decode
from netstack.dns.numbers import Type, type_number, type_text

ORIGIN = "example."
LABELS = ("a", "b", "c", "d", "w", "x")
ASKED = ("A", "A", "AAAA", "TXT", "MX", "NS", "SOA", "CNAME", "DNAME", "DS", "SRV", "NSEC", "NSEC3PARAM", "DNSKEY", "TYPE65280")

CLIENT = """
import os, socket, sys
port = int(sys.argv[1])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", port))
s.settimeout(5)
for line in sys.stdin:
    s.send(bytes.fromhex(line))
    print(s.recv(65535).hex(), flush=True)
"""


def random_zone(rng: random.Random, size: int = 40) -> str:
    """A zone file: names that stand below each other, wildcards, aliases of all kinds, cuts with and without DS, glue, and what is
    hidden below cuts and DNAMEs."""
    there: dict[str, set[str]] = {}
    lines = [
        f"@ 3600 IN SOA ns1 admin 1 3600 300 3600000 {rng.choice([60, 7200])}",
        "@ 3600 IN NS ns1",
        "@ 3600 IN NS ns.other.test.",
    ]
    lines.append("ns1 3600 IN A 192.0.2.53")
    there["ns1"] = {"A"}

    def label() -> str:
        return rng.choice(LABELS)

    def target() -> str:
        return rng.choice(
            [
                lambda: f"{label()}.{label()}",
                label,
                lambda: rng.choice(list(there)),
                lambda: f"{label()}.{rng.choice(list(there))}",
                lambda: "out.test.",
                lambda: "ns1",
            ]
        )()

    for i in range(size):
        owner = ".".join(label() for _ in range(rng.choice([1, 1, 2, 2, 3])))
        if rng.randrange(5) == 0:
            owner = "*." + owner if rng.randrange(3) else "*"
        if rng.randrange(6) == 0:
            owner = rng.choice(list(there)) if rng.randrange(2) else f"{label()}.{rng.choice(list(there))}"
        kind = rng.choice(["A", "A", "AAAA", "TXT", "MX", "SRV", "CNAME", "CNAME", "DNAME", "NS", "NS", "TYPE65280"])
        has = there.get(owner, set())
        wild = owner.startswith("*")
        if "CNAME" in has or (kind == "CNAME" and has) or (kind == "DNAME" and (has & {"DNAME", "NS", "CNAME"})):
            continue
        if (wild and kind in ("NS", "DNAME")) or (kind == "NS" and has & {"DNAME"}) or ("NS" in has and kind != "A"):
            continue
        value = {
            "A": f"192.0.2.{i}",
            "AAAA": f"2001:db8::{i:x}",
            "TXT": f'"{i}"',
            "MX": f"{i} {target()}",
            "SRV": f"0 0 {i} {target()}",
            "CNAME": target(),
            "DNAME": target(),
            "NS": rng.choice([f"ns.{owner}", f"ns{i}.test.", target()]),
            "TYPE65280": "\\# 1 00",
        }[kind]
        lines.append(f"{owner} 3600 IN {kind} {value}")
        there.setdefault(owner, set()).add(kind)
        if kind == "NS":
            if rng.randrange(2):
                lines.append(f"{owner} 3600 IN DS 12345 13 2 {'ab' * 32}")
            if rng.randrange(2):
                lines.append(f"ns.{owner} 3600 IN A 198.51.100.{i}")
                there.setdefault(f"ns.{owner}", set()).add("A")
    renamed = tuple(f".{owner}" for owner, kinds in there.items() if "DNAME" in kinds)  # below these nsd lets nothing stand
    kept = [line for line in lines if not (renamed and line.split()[0].endswith(renamed))]
    return f"$ORIGIN {ORIGIN}\n" + "\n".join(kept) + "\n"


def questions(rng: random.Random, owners: Sequence[bytes], n: int) -> list[tuple[bytes, int, bool]]:
    """Names that are there, above, below and beside what is there."""
    found = []
    for _ in range(n):
        owner = rng.choice(owners)
        for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
            owner = name.parse(rng.choice([*LABELS, "ns", "*", "zz", "0"]), owner)
        if rng.randrange(6) == 0 and owner != name.parse(ORIGIN):
            owner = name.parent(owner)
        if name.under(owner.lower(), name.parse(ORIGIN)):
            found.append((owner, type_number(rng.choice(ASKED)), bool(rng.randrange(2))))
    return found


def query(owner: bytes, kind: int, dnssec: bool) -> bytes:
    from netstack.dns.edns import Edns
    from netstack.dns.message import Question

    m = Message(1, 0)
    m.question.append(Question(owner, kind))
    m.edns = Edns(payload=65000, do=dnssec)
    return m.encode()


def shown(m: Message) -> list[str]:
    """What is compared: rcode, AA, and each section as a set. Without the zone's own NS set, which nsd adds to what it answers (RFC
    1034 4.3.2 lets it), and the addresses in it."""
    origin, server = name.parse(ORIGIN), name.parse("ns1." + ORIGIN)
    out = [f"rcode {m.rcode & 15}", f"aa {m.aa}"]
    for section in ("answer", "authority", "additional"):
        for r in getattr(m, section):
            covered = int.from_bytes(r.rdata[:2], "big") if r.type == Type.RRSIG else r.type
            own = section == "authority" and covered == Type.NS and r.name.lower() == origin
            if not own and not (section == "additional" and r.name.lower() == server):
                out.append(f"{section} {name.text(r.name).lower()} {r.ttl} {type_text(r.type)} {r.rdata.lower().hex()}")
    return sorted(set(out))


@contextlib.contextmanager
def nsd(netns: object, folder: Path, zone_file: Path, port: int = 5300) -> Iterator[list[str]]:
    """The command that asks it, for `ask`."""
    inside = netns.prefix
    config = folder / "nsd.conf"
    config.write_text(
        f"""server:
    ip-address: 127.0.0.1
    port: {port}
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    database: ""
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd.state"
    zonelistfile: "{folder}/zone.list"
    xfrdir: "{folder}"
    logfile: "{folder}/nsd.log"
    server-count: 1
    ipv4-edns-size: 65000
    minimal-responses: no
    refuse-any: no
    round-robin: no
    rrl-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: {ORIGIN}
    zonefile: {zone_file}
"""
    )
    process = subprocess.Popen(
        [*inside, "/usr/sbin/nsd", "-d", "-c", str(config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        time.sleep(0.5)
        yield [*inside, sys.executable, "-c", CLIENT, str(port)]
    finally:
        process.terminate()
        process.communicate(timeout=20)


def ask(command: list[str], wires: list[bytes]) -> list[Message]:
    done = subprocess.run(command, input="\n".join(w.hex() for w in wires) + "\n", capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return [decode(bytes.fromhex(line)) for line in done.stdout.split()]
