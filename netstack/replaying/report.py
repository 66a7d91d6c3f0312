"""What came of a replay: every difference with its place, and what was played."""

from __future__ import annotations

import json
from typing import Any

import attrs

from ..instant import SECOND
from .compare import Difference, hexdump


@attrs.frozen
class Mismatch:
    """One difference between what our host did and what the capture says it did.

    kind      "differs", "missing", "extra": bytes of a stream, or datagrams. "received": the stack delivered something else than
              the capture has. "ended": closed otherwise than captured. "never opened", "refused", "extra connection", "stuck"
    where     the connection, as captured: "10.0.0.2:4711 > 10.1.1.7:80"
    text      a sentence
    offset    of the first byte concerned, in the captured stream
    packet    the packet of the capture that has it, as Wireshark counts
    expected, got       bytes around it, of the capture and of our host
    at_expected, at_got where in the streams these begin
    got_offset          as `offset`, in what our host sent
    """

    kind: str
    where: str
    text: str
    offset: int | None = None
    packet: int | None = None
    expected: bytes = b""
    got: bytes = b""
    at_expected: int = 0
    at_got: int = 0
    got_offset: int = 0

    def __str__(self) -> str:
        if self.offset is None:
            return f"{self.where}: {self.text}"
        parts = [f"{self.where}: {self.text}"]
        for title, data, begin, mark in (
            ("captured", self.expected, self.at_expected, self.offset),
            ("here", self.got, self.at_got, self.got_offset),
        ):
            parts += [f"  {title}:", *(f"    {line}" for line in hexdump(data, begin, mark).splitlines())]
        return "\n".join(parts)


def of_bytes(where: str, found: Difference, packet: int | None, kind: str = "", what: str = "") -> Mismatch:
    """As a mismatch. `what` names the stream."""
    place = f"byte {found.expected_offset}{what}" + ("" if packet is None else f", in packet {packet}")
    text = {
        "differs": f"{place} of the capture, differs",
        "missing": f"{found.length} bytes{what} are missing from {place} of the capture",
        "extra": f"{found.length} bytes{what} more than the capture has, from {place} on",
    }[found.kind]
    return Mismatch(
        kind or found.kind, where, text, found.expected_offset, packet, found.expected, found.got, found.at_expected, found.at_got,
        found.got_offset,
    )  # fmt: skip


@attrs.frozen
class Played:
    """A connection. `received` is what the program on our host was given, where the program is ours (`deliver`), else None."""

    name: str
    packet: int  # its first
    sent: bytes
    received: bytes | None = None


@attrs.frozen
class Report:
    """`mismatches` is empty when all was as captured. `notes` say what could not be played or compared. `played` has the
    streams of each connection, in the order of the capture."""

    mismatches: list[Mismatch]
    notes: list[str] = attrs.field(factory=list)
    connections: int = 0
    exchanges: int = 0
    packets: int = 0
    duration: int = 0  # nanoseconds on the clock of the replay
    played: list[Played] = attrs.field(factory=list, repr=False)

    @property
    def ok(self) -> bool:
        return not self.mismatches

    def __str__(self) -> str:
        took = f"{self.packets} packets played in {self.duration / SECOND:.6g} s"
        what = f"{self.connections} connections, {self.exchanges} exchanges of datagrams, {took}"
        lines = [f"{what}: {'as captured' if self.ok else f'{len(self.mismatches)} mismatches'}"]
        lines += [str(mismatch) for mismatch in self.mismatches]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    def json(self) -> str:
        """All but the streams; bytes as hexadecimal digits."""
        fields: dict[str, Any] = attrs.asdict(self, filter=lambda field, _: field.name != "played")
        fields["ok"] = self.ok
        for mismatch in fields["mismatches"]:
            mismatch["expected"] = mismatch["expected"].hex()
            mismatch["got"] = mismatch["got"].hex()
        return json.dumps(fields, indent=1)
