"""Zones that nobody would write, questions that nobody would ask, and two programs that know the answers: nsd, which gives them
too, and unbound, which judges the proofs in ours. They run in a network namespace of their own.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from netstack.dns import name
from netstack.dns.authority.zone import Zone
from netstack.dns.edns import Edns
from netstack.dns.message import Message, Question, decode
from netstack.dns.numbers import Type, type_number, type_text

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backends'}", "PYTHONUNBUFFERED": "1"}
Asked = tuple[bytes, int, bool]  # name, type, with DNSSEC
ORIGIN = "example."
LABELS = ("a", "b", "c", "d", "w", "x")
ASKED = ("A", "A", "AAAA", "TXT", "MX", "NS", "SOA", "CNAME", "DNAME", "DS", "SRV", "NSEC", "NSEC3PARAM", "DNSKEY", "TYPE65280")

CLIENT = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", int(sys.argv[1])))
s.settimeout(0.05)
patience = 200  # for the first answer: the server may still be reading its zone
for line in sys.stdin:
    wire = bytes.fromhex(line)
    while True:
        try:
            s.send(wire)
            answer = s.recv(65535)
        except (ConnectionRefusedError, TimeoutError):
            patience -= 1
            if not patience:
                sys.exit("no answer to " + line)
            if patience > 100:
                import time
                time.sleep(0.05)
            continue
        if answer[:2] == wire[:2]:
            break
    s.settimeout(5)
    patience = 100
    print(answer.hex(), flush=True)
"""

SERVER = """
import socket, sys
from netstack.dns.authority import load
from netstack.dns.message import decode
zone = load.read(sys.argv[1], "example.")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", int(sys.argv[2])))
while True:
    wire, client = s.recvfrom(65535)
    m = decode(wire)
    q = m.question[0]
    reply = zone.answer(q.name, q.type, m.edns is not None and m.edns.do).message(q.name, q.type, m.id, m.flags & 0x0100)
    reply.edns = m.edns
    s.sendto(reply.encode(), client)
"""

SIGNERS = {  # program that signs, and its options
    "ldns-nsec": ("ldns", []),
    "ldns-nsec3": ("ldns", ["-n", "-s", "abcd", "-t", "3"]),
    "ldns-opt-out": ("ldns", ["-n", "-p", "-t", "0"]),
    "bind-nsec": ("bind", []),
    "bind-nsec3": ("bind", ["-3", "abcd", "-H", "2"]),
    "bind-opt-out": ("bind", ["-3", "-", "-H", "0", "-A"]),
}


def signed(folder: Path, how: str) -> Path:
    """`zone` of that folder, signed; a file `anchor` beside it with its key."""
    program, options = SIGNERS[how]

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    if program == "ldns":
        key = run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", ORIGIN)
        run("ldns-signzone", *options, "-o", ORIGIN, "-f", "signed", "zone", key)
    else:
        key = run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", ORIGIN)
        with (folder / "zone").open("a") as f:
            f.write((folder / f"{key}.key").read_text())
        run("dnssec-signzone", "-z", "-P", "-q", *options, "-o", ORIGIN, "-f", "signed", "zone", key)
    (folder / "anchor").write_text((folder / f"{key}.key").read_text())
    return folder / "signed"


class Namespace(Protocol):
    prefix: list[str]


def random_zone(rng: random.Random, size: int = 40) -> str:
    """A zone file: names that stand below each other, wildcards, aliases of all kinds, cuts with and without DS, glue, and what is
    hidden below cuts and DNAMEs."""
    there: dict[str, set[str]] = {}
    lines = [f"@ 3600 IN SOA ns1 admin 1 3600 300 3600000 {rng.choice([60, 7200])}"]
    lines += ["@ 3600 IN NS ns1", "@ 3600 IN NS ns.other.test.", "ns1 3600 IN A 192.0.2.53"]
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


def questions(rng: random.Random, owners: Sequence[bytes], n: int) -> list[Asked]:
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


def query(id: int, owner: bytes, kind: int, dnssec: bool) -> bytes:
    m = Message(id, 0x0100)
    m.question.append(Question(owner, kind))
    m.edns = Edns(65000, do=dnssec)
    return m.encode()


def ask(netns: Namespace, port: int, questions: Sequence[Asked]) -> list[Message]:
    """What the server at that port of the namespace says."""
    wires = "".join(query(i, *question).hex() + "\n" for i, question in enumerate(questions))
    command = [*netns.prefix, sys.executable, "-c", CLIENT, str(port)]
    done = subprocess.run(command, input=wires, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [decode(bytes.fromhex(line)) for line in done.stdout.split()]


def shown(m: Message) -> dict[str, set[str]]:
    """What is compared. Without the zone's own NS set, which nsd adds to what it answers (RFC 1034 4.3.2 lets it), and its
    addresses."""
    origin, server = name.parse(ORIGIN), name.parse("ns1." + ORIGIN)
    out = {"head": {f"rcode {m.rcode & 15}", f"aa {m.aa}"}}
    for section in ("answer", "authority", "additional"):
        out[section] = set()
        for r in getattr(m, section):
            covered = int.from_bytes(r.rdata[:2], "big") if r.type == Type.RRSIG else r.type
            own = section == "authority" and covered == Type.NS and r.name.lower() == origin
            if not own and not (section == "additional" and r.name.lower() == server):
                out[section].add(f"{name.text(r.name).lower()} {r.ttl} {type_text(r.type)} {r.rdata.lower().hex()}")
    return out


def aliases(m: Message) -> list[bytes]:
    return [r.rdata.lower() for r in m.answer if r.type == Type.CNAME]


def difference(zone: Zone, asked: Asked, ours: Message, theirs: Message) -> str:
    """What nsd says otherwise, and is not known to be lawful:

    - nsd makes up addresses in additional sections from wildcards; we don't, since nobody asked for that name;
    - after a DNAME nsd denies the name before it, not the one behind it: it sends other proofs, or fewer, than RFC 4035 3.1.3.2
      wants (a wildcard behind the DNAME has no such type: the name itself must be denied too); what unbound says of ours counts;
    - when asked for a wildcard itself nsd sends the closest encloser too, which nobody needs (RFC 5155 7.2.3);
    - under opt-out nsd takes an empty non-terminal without a record for the closest encloser: unbound shows that ours is right;
    - DNAMEs that make a name grow are followed as far as each pleases.
    """
    if len(aliases(ours)) > 6:
        return ""
    a, b = shown(ours), shown(theirs)
    b["additional"] = {r for r in b["additional"] if r in a["additional"] or known(zone, r.split()[0])}
    renamed = any(r.type == Type.DNAME for r in theirs.answer)
    wild = any(key.startswith(b"\1*") for key in (asked[0], *aliases(ours)))
    if (renamed and a["answer"] == b["answer"]) or (wild and a["authority"] <= b["authority"]):
        a["authority"] = b["authority"]
    if a == b:
        return ""
    lines = [f"{name.text(asked[0])} {type_text(asked[1])} dnssec={asked[2]}"]
    for part in a:
        lines += [f"  ours   {part} {r}" for r in sorted(a[part] - b[part])]
        lines += [f"  theirs {part} {r}" for r in sorted(b[part] - a[part])]
    return "\n".join(lines)


def known(zone: Zone, owner: str) -> bool:
    key = name.parse(owner)
    return any(r.name.lower() == key for r in zone.records())


def unproven(zone: Zone, owner: bytes) -> bool:
    """Does opt-out leave a name between it and the apex without an NSEC3 record?"""
    chain = zone.chain()
    origin = name.parse(ORIGIN)
    names = [r.name.lower() for r in zone.records() if r.type not in (Type.NSEC3, Type.RRSIG)]
    while owner != origin:
        there = any(name.under(other, owner) for other in names)
        if there and not chain.match(owner[: -len(origin)]):
            return True
        owner = name.parent(owner)
    return False


@contextlib.contextmanager
def running(netns: Namespace, *words: str) -> Iterator[None]:
    """A server, until the block ends."""
    process = subprocess.Popen([*netns.prefix, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT)
    try:
        yield
    except BaseException:
        process.kill()
        print((process.communicate()[0] or b"").decode(errors="replace")[-2000:])
        raise
    finally:
        process.terminate()
        process.communicate(timeout=20)


def nsd_config(folder: Path, zone_file: Path, port: int) -> str:
    path = folder / "nsd.conf"
    path.write_text(f"""
server:
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
    server-count: 1
    ipv4-edns-size: 65000
    minimal-responses: no
    refuse-any: no
    rrl-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: {ORIGIN}
    zonefile: {zone_file}
""")
    return str(path)


def unbound_config(folder: Path, port: int, upstream: int) -> str:
    path = folder / "unbound.conf"
    path.write_text(f"""
server:
    interface: 127.0.0.1@{port}
    directory: "{folder}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-ip6: no
    do-daemonize: no
    num-threads: 1
    edns-buffer-size: 4096
    max-udp-size: 4096
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    module-config: "validator iterator"
    trust-anchor-file: "{folder}/anchor"
    qname-minimisation: no
    aggressive-nsec: no
    minimal-responses: no
stub-zone:
    name: {ORIGIN}
    stub-addr: 127.0.0.1@{upstream}
""")
    return str(path)
