"""An event as a line of text: who, what it says, and behind the bar why, or what came of it.

    0.080112 a.49152 > b.80 Seq 1:1461 Ack 1 Win 65535 | data again: RTO after 0.240 s, backoff 1, the next in 0.480 s; …

The one on the left is the host that tells: `>` it sends, `<` it receives. Numbers are counted from the first of their direction,
windows are bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..address import ip4_text
from ..dns import message as dns
from ..dns.name import text as to_text
from ..dns.numbers import rcode_text, type_text
from ..errors import WireError
from ..instant import SECOND
from ..testing.dissect import describe
from .events import CAME, SENT, Event
from .flow import Flow
from .reading import ACK, SYN, Segment, flag_words
from .reasons import transition

_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}")
ANSWERS = 4  # records of a DNS message that are told
DNS_PORTS = (53, 5353)


class Words:
    """`names`: what hosts are called, by their addresses as text."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def end(self, address: int, port: int) -> str:
        text = ip4_text(address)
        return f"{self.names.get(text, text)}.{port}"

    def ends(self, flow: Flow) -> tuple[str, str]:
        """Ours, and the peer's."""
        local, local_port, remote, remote_port = flow.ends
        return self.end(local, local_port), self.end(remote, remote_port)

    def line(self, event: Event) -> str:
        why = self.why(event)
        said = f"{event.time / SECOND:.6f} {self.what(event)}"
        return f"{said} | {why}" if why else said

    def what(self, event: Event) -> str:
        flow, s = event.flow, event.segment
        if flow is None or s is None:
            if flow is not None:
                here, there = self.ends(flow)
                return f"{here} - {there}"
            return f"{event.host} {'>' if event.kind == SENT else '<'} {self.other(event)}"
        here, there = self.ends(flow)
        arrow = "<" if event.kind == CAME else ">"
        return f"{here} {arrow} {there} {fields(event, flow, s)}"

    def why(self, event: Event) -> str:
        """States first, then reasons."""
        return "; ".join([transition(*change) for change in event.states] + [note for note in event.notes if note])

    def other(self, event: Event) -> str:
        """What isn't TCP."""
        text = describe(event.data, bool(event.link), event.length).removeprefix("IP ")
        if ": UDP" in text:
            text += question(event.data[event.link :])
        return _ADDRESS.sub(lambda found: self.names.get(found[0], found[0]), text)


def fields(event: Event, flow: Flow, s: Segment) -> str:
    mine, theirs = (flow.iss, flow.irs) if event.kind == SENT else (flow.irs, flow.iss)
    seq = (s.seq - mine) & 0xFFFFFFFF
    parts = [words] if (words := flag_words(s.flags)) else []
    parts.append(f"Seq {seq}:{seq + s.n}" if s.n else f"Seq {seq}")
    if event.gso and s.n > event.gso:
        parts.append(f"({-(-s.n // event.gso)} segments)")
    if s.flags & ACK:
        parts.append(f"Ack {(s.ack - theirs) & 0xFFFFFFFF}")
    parts.append(f"Win {event.window}")
    for a, b in s.sacks:
        parts.append(f"SACK {(a - theirs) & 0xFFFFFFFF}:{(b - theirs) & 0xFFFFFFFF}")
    if s.flags & SYN:
        parts += [f"mss {s.mss}"] * (s.mss > 0) + [f"wscale {s.wscale}"] * (s.wscale >= 0)
        parts += ["sackOK"] * s.sack_permitted + ["timestamps"] * (s.tsval >= 0)
    return " ".join(parts)


def question(datagram: bytes) -> str:
    """What a DNS message in it asks or answers; nothing for anything else."""
    at = (datagram[0] & 15) * 4
    ports = datagram[at : at + 4]
    if not {int.from_bytes(ports[:2], "big"), int.from_bytes(ports[2:], "big")} & {*DNS_PORTS}:
        return ""
    try:
        m = dns.decode(datagram[at + 8 :])
        asked = ", ".join(f"{to_text(q.name)} {type_text(q.type)}" for q in m.question[:ANSWERS])
        if not m.qr:
            return f": DNS asks {asked}" if asked else ": DNS"
        found = ", ".join(f"{to_text(r.name)} {type_text(r.type)}" for r in m.answer[:ANSWERS])
        more = f" and {len(m.answer) - ANSWERS} more" if len(m.answer) > ANSWERS else ""
        return f": DNS answers {asked}: {found or rcode_text(m.rcode)}{more}"
    except WireError:
        return ": DNS, of which this is only a part, or it is broken"
