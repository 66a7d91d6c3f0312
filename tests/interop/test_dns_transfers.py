"""Zones between our server and those of others, each in the same namespace at an address of its own: named, knotd and nsd copy from
us and we from them, with TSIG and without, whole and by changes, told by NOTIFY both ways. And nsupdate, whose script has to make
the same zone of ours as of named's.

Real time, since their clocks can't be driven: every wait is for an event, and short.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netstack.dns import rdata
from netstack.dns.numbers import type_number

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
SECRET = "c2VjcmV0IG9mIHRoZSBsYWJvcmF0b3J5LCAzMiBvY3RldHM="
KEY = f"hmac-sha256:lab.key.:{SECRET}"
US, THEM, OTHER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
PATIENCE = 20  # seconds until something that must come has come

RECORDS: list[list[Any]] = [
    ["@", "SOA", 3600, "ns.example. hostmaster.example. 100 3600 600 86400 300"],
    ["@", "NS", 3600, "ns"],
    ["@", "NS", 3600, "ns2.other."],
    ["@", "MX", 3600, "10 mail"],
    ["@", "TXT", 3600, '"v=spf1 -all" "second \\"quoted\\" string"'],
    ["@", "CAA", 3600, '0 issue "ca.example.net"'],
    ["ns", "A", 3600, "192.0.2.53"],
    ["ns", "AAAA", 3600, "2001:db8::53"],
    ["Mail", "A", 300, "192.0.2.25"],
    ["www", "CNAME", 300, "web"],
    ["web", "A", 60, "192.0.2.80"],
    ["web", "A", 60, "192.0.2.81"],
    ["*.wild", "TXT", 60, '"star"'],
    ["_sip._tcp", "SRV", 60, "1 2 5060 web"],
    ["svc", "HTTPS", 60, "1 . alpn=h2,h3 ipv4hint=192.0.2.80"],
    ["old", "DNAME", 60, "new.other."],
    ["sub", "NS", 60, "ns.sub"],
    ["ns.sub", "A", 60, "192.0.2.54"],
    ["a.b.c", "TYPE65280", 60, "\\# 4 c0ffee00"],
]
BIG = [*RECORDS, *([f"host{i}", "A", 60, f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}"] for i in range(1500))]


def zone_text(records: list[list[Any]], serial: int = 100) -> str:
    lines = ["$ORIGIN example."]
    for owner, type, ttl, value in records:
        lines.append(f"{owner} {ttl} IN {type} {value}".replace(" 100 3600 ", f" {serial} 3600 "))
    return "\n".join(lines) + "\n"


class Ours:
    """Our server's process."""

    def __init__(self, netns: Any, address: str = US, **options: Any) -> None:
        options = {"address": address, "key": KEY, **options}
        path = f"{ROOT}{os.pathsep}{ROOT / 'backends'}"
        command = [sys.executable, str(ROOT / "tests" / "interop" / "dns_transfer_host.py")]
        self.process = netns.start(*command, stdin=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path})
        self._say(options)
        assert self._line() == "ready"

    def _say(self, what: Any) -> None:
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def _line(self) -> Any:
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"our server ended: {self.process.communicate()[1][-3000:]}")
        return json.loads(line)

    def order(self, *words: Any) -> Any:
        self._say(words)
        return self._line()

    def dump(self) -> list[str]:
        found: list[str] = self.order("dump", "example.")
        return found

    def serial(self) -> Any:
        return self.order("serial", "example.")

    def mib(self) -> dict[str, int]:
        found: dict[str, int] = self.order("mib", "example.")
        return found

    def change(self, removed: list[list[Any]], added: list[list[Any]]) -> int:
        serial: int = self.order("change", "example.", removed, added)
        return serial

    def stop(self) -> str:
        _, errors = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, errors
        assert "Traceback" not in errors, errors
        return str(errors)


class Theirs:
    """Somebody else's server, in the foreground, in a folder of its own."""

    program = ""
    changes: tuple[str, ...] = ()  # what its log has after two changes that came as such

    def __init__(self, netns: Any, folder: Path, address: str = THEM) -> None:
        self.netns = netns
        self.folder = folder
        self.address = address
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process: Any = None

    def begin(self, *command: str) -> None:
        self.log = (self.folder / "log").open("w")
        self.process = self.netns.start(*command, stdout=self.log, stderr=subprocess.STDOUT)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process is not None:
            self.log.close()

    def said(self) -> str:
        return (self.folder / "log").read_text()[-4000:]

    # what differs

    def secondary(self, signed: bool) -> None:
        raise NotImplementedError

    def primary(self, signed: bool, records: list[list[Any]]) -> None:
        raise NotImplementedError

    def add(self, line: str) -> None:
        """One more record, in a change of its own."""
        run_update(self.netns, self.address, f"update add {line}", "send")


class Named(Theirs):
    program = "named"
    changes = ("1 messages, 6 records", "1 messages, 7 records")

    def _configure(self, zone: str) -> None:
        (self.folder / "named.conf").write_text(f"""
            options {{ directory "{self.folder}"; listen-on port 53 {{ {self.address}; }}; listen-on-v6 {{ none; }};
                pid-file "{self.folder}/pid"; session-keyfile "{self.folder}/session.key"; recursion no; dnssec-validation no;
                notify explicit; query-source {self.address}; transfer-source {self.address}; notify-source {self.address};
                managed-keys-directory "{self.folder}"; startup-notify-rate 100; notify-rate 100; serial-query-rate 100; }};
            key lab.key. {{ algorithm hmac-sha256; secret "{SECRET}"; }};
            controls {{}};
            {zone}
        """)
        self.begin("named", "-g", "-n", "1", "-c", str(self.folder / "named.conf"))

    def secondary(self, signed: bool) -> None:
        key = " key lab.key." if signed else ""
        self._configure(f"""zone "example" {{ type secondary; primaries {{ {US}{key}; }}; file "{self.folder}/copy";
                masterfile-format text; allow-notify {{ {US}; }}; }};""")

    def primary(self, signed: bool, records: list[list[Any]]) -> None:
        (self.folder / "example.zone").write_text(zone_text(records))
        key = " key lab.key." if signed else ""
        allow = "key lab.key.;" if signed else "any;"
        self._configure(f"""zone "example" {{ type primary; file "{self.folder}/example.zone"; allow-transfer {{ {allow} }};
                allow-update {{ key lab.key.; }}; also-notify {{ {US}{key}; }}; notify-delay 0; }};""")


class Knot(Theirs):
    program = "knotd"
    changes = ("IXFR, incoming", "finished, 0.00 seconds, 1 messages")

    def _configure(self, zone: str) -> None:
        (self.folder / "db").mkdir()
        (self.folder / "knot.conf").write_text(f"""
server:
    rundir: "{self.folder}"
    listen: {self.address}@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: debug
database:
    storage: "{self.folder}/db"
key:
  - id: lab.key.
    algorithm: hmac-sha256
    secret: {SECRET}
{zone}
""")
        self.begin("knotd", "-c", str(self.folder / "knot.conf"))

    def _remote(self, signed: bool) -> str:
        return f"""
remote:
  - id: us
    address: {US}@53
    via: {self.address}
    {"key: lab.key." if signed else ""}
"""

    def secondary(self, signed: bool) -> None:
        self._configure(f"""{self._remote(signed)}
acl:
  - id: news
    address: {US}
    {"key: lab.key." if signed else ""}
    action: notify
zone:
  - domain: example
    storage: "{self.folder}"
    file: copy
    master: us
    acl: news
""")

    def primary(self, signed: bool, records: list[list[Any]]) -> None:
        (self.folder / "example.zone").write_text(zone_text(records))
        self._configure(f"""{self._remote(signed)}
acl:
  - id: out
    address: {US}
    {"key: lab.key." if signed else ""}
    action: transfer
  - id: in
    key: lab.key.
    action: update
zone:
  - domain: example
    storage: "{self.folder}"
    file: example.zone
    journal-content: all
    zonefile-load: difference-no-serial
    notify: us
    acl: [out, in]
""")


class Nsd(Theirs):
    program = "nsd"

    def _configure(self, zone: str) -> None:
        (self.folder / "nsd.conf").write_text(f"""
server:
    ip-address: {self.address}
    username: ""
    zonesdir: "{self.folder}"
    pidfile: "{self.folder}/pid"
    database: ""
    xfrdfile: "{self.folder}/xfrd.state"
    xfrdir: "{self.folder}"
    zonelistfile: "{self.folder}/zone.list"
    server-count: 1
    verbosity: 3
remote-control:
    control-enable: no
key:
    name: lab.key.
    algorithm: hmac-sha256
    secret: "{SECRET}"
zone:
    name: example
    {zone}
""")
        self.begin("nsd", "-d", "-c", str(self.folder / "nsd.conf"))

    def secondary(self, signed: bool) -> None:
        key = "lab.key." if signed else "NOKEY"
        self._configure(f"""zonefile: "{self.folder}/copy"
    request-xfr: {US} {key}
    allow-notify: {US} {key}
    outgoing-interface: {self.address}
""")

    def primary(self, signed: bool, records: list[list[Any]]) -> None:
        self.records = list(records)
        self.at = 100
        (self.folder / "example.zone").write_text(zone_text(self.records))
        key = "lab.key." if signed else "NOKEY"
        self._configure(f"""zonefile: "{self.folder}/example.zone"
    provide-xfr: 127.0.0.0/8 {key}
    notify: {US} {key}
    outgoing-interface: {self.address}
    store-ixfr: yes
    create-ixfr: yes
""")

    def add(self, line: str) -> None:
        """It takes no updates: its file changes, and it reads it again."""
        owner, ttl, type, value = line.split(maxsplit=3)
        self.records.append([owner, type, int(ttl), value])
        self.at += 1
        time.sleep(1.1)  # it looks at the time of the file, in seconds
        (self.folder / "example.zone").write_text(zone_text(self.records, self.at))
        self.process.send_signal(1)


SERVERS = [Named, Knot, Nsd]
servers = pytest.mark.parametrize(
    "kind",
    [pytest.param(each, marks=pytest.mark.needs(each.program, "dig", "nsupdate")) for each in SERVERS],
    ids=lambda kind: kind.program,
)
signing = pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])


@pytest.fixture
def them(netns: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes servers, and ends them."""
    for address in (THEM, OTHER):
        netns.run("ip", "address", "add", f"{address}/8", "dev", "lo", check=True)  # named listens at addresses of interfaces alone
    made: list[Any] = []

    def make(kind: Any, *args: Any, **options: Any) -> Any:
        server = kind(netns, tmp_path / f"{kind.program}{len(made)}", *args) if kind is not Ours else Ours(netns, **options)
        made.append(server)
        return server

    yield make
    for each in reversed(made):
        each.stop() if isinstance(each, Ours) else each.end()


def dig(netns: Any, *words: str) -> str:
    return str(netns.run("dig", "+time=2", "+tries=1", *words, timeout=30).stdout)


def transferred(netns: Any, server: str, signed: bool = True) -> list[str]:
    """A zone by dig, in the form of dns_transfer_host.dump."""
    out = dig(netns, f"@{server}", "example.", "AXFR", "-b", US, *(("-y", KEY) if signed else ()))
    lines = []
    for line in out.splitlines():
        if line and not line.startswith(";"):
            owner, ttl, _, type, value = line.split(None, 4)
            if type != "TSIG":
                number = type_number(type)
                value = rdata.to_text(number, rdata.from_text(number, value))  # quotes and hexadecimal digits as we write them
                lines.append(f"{owner.lower()} {ttl} {type} {value}")
    assert len(lines) > 2 and lines[0] == lines[-1], out
    return [lines[0], *sorted(lines[1:-1])]


def serial_at(netns: Any, server: str) -> int | None:
    words = dig(netns, f"@{server}", "example.", "SOA", "+short", "+norec").split()
    return int(words[2]) if len(words) == 7 else None


def until(what: Callable[[], Any], wanted: Any, *witnesses: Callable[[], object]) -> None:
    """Wait until `what()` is `wanted`."""
    end = time.monotonic() + PATIENCE
    found = what()
    while found != wanted:
        if time.monotonic() > end:
            raise AssertionError(f"{found!r}, and not {wanted!r}: " + "\n".join(str(witness()) for witness in witnesses))
        time.sleep(0.05)
        found = what()


def run_update(netns: Any, server: str, *lines: str, key: str = KEY) -> str:
    script = "\n".join((f"server {server}", "zone example.", *lines, ""))
    keyed = ("-y", key) if key else ()
    done = subprocess.run([*netns.prefix, "nsupdate", *keyed, "-t", "5"], input=script, capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


# -- they copy from us --------------------------------------------------------------------------------------------------------


@signing
@servers
def test_they_copy_our_zone_whole_and_then_by_changes_that_we_tell_of(
    kind: type[Theirs], signed: bool, netns: Any, them: Callable[..., Any]
) -> None:
    access = {"transfer": "key:lab.key." if signed else "any"}
    ours = them(Ours, zones={"example.": BIG}, access=access, notify=[THEM], signed=signed)
    theirs = them(kind)
    theirs.secondary(signed)
    until(lambda: serial_at(netns, THEM), 100, theirs.said, ours.mib)
    if kind is Named:  # the others transfer to nobody here
        assert transferred(netns, THEM) == ours.dump()
    else:
        for owner, type in (("www", "CNAME"), ("host1499", "A"), ("_sip._tcp", "SRV"), ("a.b.c", "TYPE65280")):
            asked = ("+short", "+norec", f"{owner}.example.", type)
            assert dig(netns, f"@{THEM}", *asked) == dig(netns, f"@{US}", *asked) != ""
    before = ours.mib()["XfrReqDone"]
    ours.change([["web", "A", 60, "192.0.2.80"]], [["fresh", "TXT", 60, '"first"']])
    until(lambda: serial_at(netns, THEM), 101, theirs.said, ours.mib)
    ours.change([["fresh", "TXT", 60, '"first"']], [["fresh", "TXT", 60, '"second"'], ["web", "AAAA", 60, "2001:db8::80"]])
    until(lambda: serial_at(netns, THEM), 102, theirs.said, ours.mib)
    assert dig(netns, f"@{THEM}", "fresh.example.", "TXT", "+short", "+norec") == '"second"\n'
    assert dig(netns, f"@{THEM}", "web.example.", "A", "+short", "+norec") == "192.0.2.81\n"
    until(lambda: ours.order("told", "example."), [102], theirs.said)
    assert ours.mib()["XfrReqDone"] > before
    if kind is Named:
        assert transferred(netns, THEM) == ours.dump()
    for line in theirs.changes:
        assert line in theirs.said(), theirs.said()


# -- we copy from them --------------------------------------------------------------------------------------------------------


@signing
@servers
def test_we_copy_their_zone_whole_and_then_by_changes_that_they_tell_of(
    kind: type[Theirs], signed: bool, netns: Any, them: Callable[..., Any]
) -> None:
    theirs = them(kind)
    theirs.primary(signed, BIG)
    until(lambda: serial_at(netns, THEM), 100, theirs.said)
    ours = them(Ours, copies={"example.": [THEM]}, signed=signed)
    until(ours.serial, 100, theirs.said, lambda: ours.order("why", "example."), ours.mib)
    assert ours.dump() == transferred(netns, THEM, signed)
    theirs.add('fresh.example. 60 TXT "first"' if kind is not Nsd else 'fresh 60 TXT "first"')
    until(ours.serial, 101, theirs.said, lambda: ours.order("why", "example."), ours.mib)
    theirs.add("fresh2.example. 60 A 192.0.2.99" if kind is not Nsd else "fresh2 60 A 192.0.2.99")
    until(ours.serial, 102, theirs.said, lambda: ours.order("why", "example."), ours.mib)
    assert ours.dump() == transferred(netns, THEM, signed)
    mib = ours.mib()
    assert (mib["XfrWhole"], mib["XfrFallbacks"]) == (1, 0) and mib["XfrChanges"] == 2, mib
    assert mib["NotifyNotNeeded"] + mib["NotifyIn"] >= 2 and mib["NotifyRefused"] == 0


def test_a_primary_whose_key_is_another_gives_us_nothing_and_says_why(netns: Any, them: Callable[..., Any]) -> None:
    if shutil.which("named") is None:
        pytest.skip("named is not installed")
    theirs = them(Named)
    theirs.primary(True, RECORDS)
    until(lambda: serial_at(netns, THEM), 100, theirs.said)
    wrong = KEY.replace(SECRET, "d3Jvbmc=")
    ours = them(Ours, copies={"example.": [THEM]}, signed=True, key=wrong)
    until(lambda: "BADSIG" in (ours.order("why", "example.") or ""), True, lambda: ours.order("why", "example."), theirs.said)
    assert ours.serial() is None


# -- clients of ours ----------------------------------------------------------------------------------------------------------


@pytest.mark.needs("dig")
def test_dig_transfers_with_a_key_and_is_told_what_is_wrong_with_it(netns: Any, them: Callable[..., Any]) -> None:
    ours = them(Ours, zones={"example.": BIG}, access={"transfer": "key:lab.key."})
    assert transferred(netns, US) == ours.dump()
    assert len(transferred(netns, US)) == len(BIG)
    assert "Transfer failed" in dig(netns, f"@{US}", "example.", "AXFR")
    wrong = dig(netns, f"@{US}", "example.", "AXFR", "-y", KEY.replace(SECRET, "d3Jvbmc="))
    assert "BADSIG" in wrong
    assert "BADKEY" in dig(netns, f"@{US}", "example.", "AXFR", "-y", KEY.replace("lab.key.", "other.key."))
    changed = ours.change([], [["one", "A", 60, "192.0.2.1"]])
    out = dig(netns, f"@{US}", "example.", "IXFR=100", "-y", KEY, "+short")
    assert changed == 101 and len(out.splitlines()) == 5
    for algorithm in ("hmac-sha512", "hmac-sha384", "hmac-sha224", "hmac-sha1"):
        assert "BADKEY" in dig(netns, f"@{US}", "example.", "SOA", "-y", KEY.replace("hmac-sha256", algorithm))
    assert "BADSIG" not in (signed := dig(netns, f"@{US}", "example.", "SOA", "-y", KEY)) and "NOERROR" in signed


@pytest.mark.needs("kdig")
def test_kdig_transfers_with_a_key_whole_and_by_changes(netns: Any, them: Callable[..., Any]) -> None:
    ours = them(Ours, zones={"example.": BIG}, access={"transfer": "key:lab.key."})
    ours.change([], [["one", "A", 60, "192.0.2.1"]])
    for type, lines in (("AXFR", len(BIG) + 2), ("IXFR=100", 5)):
        done = netns.run("kdig", "+noall", "+answer", f"@{US}", "example.", type, "-y", KEY, timeout=30)
        found = [line for line in done.stdout.splitlines() if line and line[0] != ";"]
        assert len(found) == lines, done.stdout[-500:] + done.stderr
    wrong = netns.run("kdig", f"@{US}", "example.", "AXFR", "-y", KEY.replace(SECRET, "d3Jvbmc="), timeout=30)
    assert "BADSIG" in wrong.stdout + wrong.stderr


SCRIPTS: list[tuple[str, ...]] = [
    ("update add new.example. 300 A 192.0.2.200", "update add new.example. 300 A 192.0.2.201", "send"),
    ("prereq yxdomain web.example.", "update delete web.example. A 192.0.2.80", "send"),
    ("prereq nxdomain web.example.", "update add never.example. 60 A 192.0.2.1", "send"),
    ("prereq yxrrset web.example. A 192.0.2.81", 'update add web.example. 600 TXT "exact"', "send"),
    ("prereq yxrrset web.example. A 192.0.2.80", "update add never.example. 60 A 192.0.2.1", "send"),
    ("prereq nxrrset web.example. MX", "update add web.example. 60 MX 5 mail.example.", "send"),
    ("update delete a.b.c.example.", "send"),
    ("update delete example. NS ns.example.", "send"),
    ("update delete example. NS ns2.other.", "send"),
    ("update delete example. SOA", "send"),
    ("update delete example. MX", "send"),
    ("update add www.example. 60 A 192.0.2.9", "send"),
    ("update add web.example. 60 CNAME ns.example.", "send"),
    ("update add www.example. 60 CNAME mail.example.", "send"),
    ("update add new.example. 60 A 192.0.2.200", "send"),
    ("update delete new.example. A", "update add new.example. 60 AAAA 2001:db8::9", "send"),
    ("update add old.example. 60 DNAME newer.other.", "send"),
    ("update add example. 3600 SOA ns.example. root.example. 90 1 2 3 4", "send"),
    ("update add example. 3600 SOA ns.example. root.example. 500 3600 600 86400 300", "send"),
    ("update add unknown.example. 60 TYPE65281 \\# 2 abcd", "send"),
    ("update delete example.", "send"),
    ('update add deep.er.than.example. 60 TXT "x"', "update delete deep.er.than.example.", "send"),
    ("update add out.of.zone. 60 A 192.0.2.1", "send"),
    ("update add MAIL.example. 60 A 192.0.2.26", "send"),
    ("update delete mail.example. A 192.0.2.25", "send"),
]


@pytest.mark.needs("named", "nsupdate", "dig")
def test_the_same_updates_make_the_same_zone_of_ours_as_of_nameds(netns: Any, them: Callable[..., Any]) -> None:
    ours = them(Ours, zones={"example.": RECORDS}, access={"update": "key:lab.key.", "transfer": "key:lab.key."})
    theirs = them(Named)
    theirs.primary(True, RECORDS)
    until(lambda: serial_at(netns, THEM), 100, theirs.said)
    assert transferred(netns, US) == transferred(netns, THEM)
    for script in SCRIPTS:
        said = [run_update(netns, server, *script) for server in (US, THEM)]
        assert said[0] == said[1], script
        zones = [transferred(netns, server) for server in (US, THEM)]
        assert zones[0] == zones[1], script
    assert ours.mib()["UpdateDone"] > 15
    serial = ours.serial()
    bad = ("update add never.example. 60 A 192.0.2.1", "send")
    assert "REFUSED" in run_update(netns, US, *bad, key="")
    assert "BADKEY" in run_update(netns, US, *bad, key=KEY.replace("lab.key.", "other.key."))
    assert "BADSIG" in run_update(netns, US, *bad, key=KEY.replace(SECRET, "d3Jvbmc="))
    assert ours.serial() == serial
