"""The short way from a query to its answer: read, looked up, patched, without an object but the key.

What has no short way is handed on: whatever isn't a plain query for what is in the table, or can be put there. The octets are the
same either way; the desk is the specification.
"""

from typing import Protocol

from ... import raw
from .. import const as dc
from ..ask import Ask
from ..packed import Packed
from .cookies import Cookies
from .limiter import Limiter
from .mib import DoorMib
from .shelf import Shelf

HAND_ON = -1  # `Quick.turn`: somebody else has to look at it
SILENCE = 0


class Versioned(Protocol):
    """A zone, or the set of them: `version` moves when answers may have changed."""

    @property
    def version(self) -> int: ...


class Filler(Protocol):
    """Whoever has the answers (`Desk`)."""

    @property
    def zones(self) -> Versioned: ...

    def fill(self, ask: Ask) -> tuple[Packed, Versioned] | None:
        """What answers `ask`, and all others with its key and DO, whoever sends them, until the version of the zone beside it moves, or
        that of `zones`; None where there is no such answer."""


class Quick:
    """`nsid`: what this server calls itself, to who asks (RFC 5001). `ask.buf` holds the answer after `turn`."""

    __slots__ = ("_checked", "_nsid", "_version", "ask", "cookies", "filler", "limiter", "mib", "shelf")

    def __init__(
        self,
        filler: Filler,
        *,
        payload: int = 1232,
        nsid: bytes = b"",
        shelf: Shelf | None = None,
        cookies: Cookies | None = None,
        limiter: Limiter | None = None,
        mib: DoorMib | None = None,
    ) -> None:
        self.filler = filler
        self.ask = Ask(payload)
        self.shelf = Shelf() if shelf is None else shelf
        self.cookies = cookies
        self.limiter = limiter
        self.mib = DoorMib() if mib is None else mib
        self._nsid = dc.NSID.to_bytes(2, "big") + len(nsid).to_bytes(2, "big") + nsid if nsid else b""
        self._version = -1
        self._checked = -1

    def changed(self) -> None:
        """Zones may have come or gone within this instant. (Whether they have is looked at once in each; whether the zone of an answer
        has changed, each time.)"""
        self._checked = -1

    def turn(self, data: "bytes | bytearray | memoryview", o: int, n: int, high: int, low: int, six: bool, now: int) -> int:
        """Answer the datagram of `n` octets at `o` of `data`: how many octets of `ask.buf` the answer has, SILENCE or HAND_ON.

        The client's address is `low` of IPv4, `high` and `low`, 64 bits each, of IPv6 (`six`).
        """
        ask = self.ask
        m = self.mib
        m.Queries += 1
        verdict = ask.read_at(data, o, n)
        if verdict != 0:
            if verdict == 1:
                m.InSilence += 1
                return 0
            m.HandedOn += 1
            return -1
        if now != self._checked:
            self._checked = now
            self.check()
        kept = self.shelf.find(ask.key)
        packed: Packed | None = None
        if kept is not None and kept.version == kept.zone.version:
            packed = kept.secure if ask.do else kept.plain
        if packed is None or kept is None:
            found = self.filler.fill(ask)
            if found is None:
                m.HandedOn += 1
                return -1
            packed = found[0]
            kept = self.shelf.put(ask.key, ask.do, packed, found[1])
            m.Fills += 1
        else:
            m.Hits += 1
        options = b""
        known = False
        if ask.cookie_n and self.cookies is not None:
            if self.cookies.judge(ask.buf, ask.cookie_at, ask.cookie_n, high, low, six, now) == dc.KNOWN:
                known = True
                m.CookieKnown += 1
            else:
                m.CookieNew += 1
            options = bytes(self.cookies.option)
            if not known and self.cookies.required:
                m.BadCookie += 1
                return self.bare(packed.flags & ~15 & ~dc.AA, dc.BADCOOKIE, options)
        if ask.nsid:
            options += self._nsid
        if self.limiter is not None and not known:
            verdict = self.limiter.judge(kept.kind, kept.question, high, low, six, now)
            if verdict != dc.SEND:
                if verdict == dc.DROP:
                    m.RateDropped += 1
                    return 0
                m.RateSlipped += 1
                return self.bare(packed.flags | dc.TC, 0, options)
        n = packed.patch(ask, ask.limit, 0, options)
        if raw.g8(ask.buf, 2) & 2:
            m.Truncated += 1
        return n

    def bare(self, flags: int, rcode: int, options: bytes) -> int:
        """An answer without records, into `ask.buf`. The lower four bits of `rcode` are added to the flags."""
        ask = self.ask
        ask.head(flags | rcode & 15, 0, 0, 1 if ask.edns else 0)
        if ask.edns:
            return ask.put_opt(ask.end, rcode >> 4, options)
        return ask.end

    def check(self) -> None:
        """Have zones come or gone?"""
        version = self.filler.zones.version
        if version != self._version:
            self._version = version
            self.shelf.clear()
