"""The short way from a query to its answer: read, looked up, patched, without an object but the key.

What has no short way is handed on: whatever isn't a plain query for what is in the table, or can be put there. The octets are the
same either way; the desk is the specification.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from ... import raw
from .. import const as dc
from ..ask import Ask
from ..packed import Packed
from .cookies import Cookies
from .enclosers import Enclosers
from .limiter import Limiter
from .mib import DoorMib
from .shelf import Kept, Shelf, kept_for

HAND_ON = -1  # `Quick.turn`: somebody else has to look at it
SILENCE = 0


class Versioned(Protocol):
    """A zone, or the set of them: `version` moves when answers may have changed."""

    @property
    def version(self) -> int: ...


class Filler(Protocol):
    """Whoever has the answers (`Desk`)."""

    @property
    def version(self) -> int:
        """Moves when zones come or go, or others who have a say."""

    @property
    def plain(self) -> bool:
        """Whether zones alone decide what is answered, to everybody."""

    @property
    def zones(self) -> Iterable[Any]:
        """All of them."""

    def fill(self, ask: Ask) -> tuple[Packed, Versioned] | None:
        """What answers `ask`, and all others with its key and DO, whoever sends them, until the version of the zone beside it
        moves, or that of `zones`; None where there is no such answer."""


class Quick:
    """`nsid`: what this server calls itself, to who asks (RFC 5001). `ask.buf` holds the answer after `turn`."""

    __slots__ = ("_checked", "_nsid", "_version", "ask", "cookies", "enclosers", "filler", "limiter", "mib", "shelf")

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
        self.enclosers = Enclosers(filler)
        self.cookies = cookies
        self.limiter = limiter
        self.mib = DoorMib() if mib is None else mib
        self._nsid = dc.NSID.to_bytes(2, "big") + len(nsid).to_bytes(2, "big") + nsid if nsid else b""
        self._version = -1
        self._checked = -1

    def changed(self) -> None:
        """Zones may have come or gone within this instant. (Whether they have is looked at once in each; whether the zone of an
        answer has changed, each time.)"""
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
            kept = self.enclosers.find(ask)
            if kept is None:
                found = self.filler.fill(ask)
                if found is None:
                    m.HandedOn += 1
                    return -1
                packed = found[0]
                kept = self.keep(packed, found[1])
                m.Fills += 1
            else:
                packed = kept.plain
                assert packed is not None  # an encloser's answers have both
                m.Alike += 1
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
                if self.cookies.required:
                    m.HandedOn += 1
                    return -1
            options = bytes(self.cookies.option)
        if ask.nsid:
            options += self._nsid
        if self.limiter is not None and not known:
            verdict = self.limiter.judge(kept.kind, kept.question, high, low, six, now)
            if verdict != dc.SEND:
                if verdict == dc.DROP:
                    m.RateDropped += 1
                    return 0
                m.RateSlipped += 1
                return self.bare(packed.flags | dc.TC, options)
        n = packed.patch(ask, ask.limit, 0, options)
        if raw.g8(ask.buf, 2) & 2:
            m.Truncated += 1
        return n

    def keep(self, packed: Packed, zone: Any) -> Kept:
        """What was filled in, where it may be found again."""
        if self.enclosers.learn(self.ask, packed, zone):
            return kept_for(self.ask.key, packed)
        return self.shelf.put(self.ask.key, self.ask.do, packed, zone)

    def bare(self, flags: int, options: bytes) -> int:
        """An answer without records, into `ask.buf`."""
        ask = self.ask
        ask.head(flags, 0, 0, 1 if ask.edns else 0)
        if ask.edns:
            return ask.put_opt(ask.end, 0, options)
        return ask.end

    def check(self) -> None:
        """Have zones come or gone?"""
        version = self.filler.version
        if version != self._version:
            self._version = version
            self.shelf.clear()
            self.enclosers.clear()
