"""Putting fragments together (RFC 791 3.2, RFC 815 for the history), against people who send the wrong ones.

A datagram of which pieces have arrived is a `Partial`: its pieces, sorted, never overlapping. It is complete when the piece
without MF has come and the lengths add up. Everything else in this file is about what must not happen:

overlap       Any overlap that is not a piece repeated byte for byte gives up the whole datagram. RFC 791 would let the newer
              bytes win, which is how teardrop and every later filter evasion worked; RFC 5722 forbids overlaps in IPv6, and
              Linux (since 4.20) and MirageOS drop such datagrams in IPv4 too.
given up      A datagram that was given up stays as an empty entry until its time is over, so that its remaining pieces don't
              begin a new one (RFC 5722 4 asks for that).
memory        All pieces together hold 4 MiB, Linux's figure: 64 datagrams of full length. One source holds at most a quarter
              of that, and 64 datagrams, so that one careless peer can't starve the others (a flood with forged sources still
              can; then the oldest goes first, and only fragments suffer). Each piece costs its bytes and OVERHEAD, else a flood
              of 8-byte pieces would hold many times what it is charged for.
pieces        At most 128 for a datagram: 65,535 bytes in fragments for the 576 bytes that every host must take are 119.
              FragmentSmack (CVE-2018-5391) lived on thousands. A binary search and two neighbours are all the work for a piece.
time          30 s from the first piece, Linux's figure; RFC 1122 3.3.2 would have 60 to 120. Not prolonged by later pieces.
"""

from bisect import bisect_right

from .. import const, raw
from ..cores import Frame
from .mib import IpMib

LIFE = 30 * const.SECOND
BYTES = 4 << 20
BYTES_FROM_ONE = 1 << 20
DATAGRAMS = 1024
DATAGRAMS_FROM_ONE = 64
PIECES = 128
OVERHEAD = 128  # of CPython for a bytes object, its places in two lists, and its share of the entry
ENTRY = 1024  # of an entry: the object, its lists, its key and two table slots


class Partial:
    """A datagram of which pieces have arrived. `header` is that of the first piece, or None until it comes."""

    __slots__ = ("cast", "cost", "dead", "ecn", "filled", "header", "key", "length", "lsrc", "parts", "since", "src", "starts")

    def __init__(self, key: tuple[int, int, int], src: int, since: int) -> None:
        self.key = key
        self.src = src
        self.since = since
        self.header: bytes | None = None
        self.starts: list[int] = []
        self.parts: list[bytes] = []
        self.filled = 0
        self.length = -1  # of the payload, once the last piece has told
        self.cost = ENTRY
        self.ecn = 0  # which of the four ECN codepoints were seen, a bit each
        self.cast = 0
        self.lsrc = 0
        self.dead = False


class Reassembly:
    """The datagrams in pieces of one stack."""

    __slots__ = ("bytes", "mib", "partials", "sources")

    def __init__(self, mib: IpMib) -> None:
        self.mib = mib
        self.bytes = 0
        self.partials: dict[tuple[int, int, int], Partial] = {}  # the oldest first
        self.sources: dict[int, dict[tuple[int, int, int], Partial]] = {}

    def add(self, f: Frame, ihl: int, frag: int, ident: int) -> "Partial | None":
        """Take a copy of the fragment in `f`, whose `off` is at its payload. Returns the datagram when this completes it."""
        m = self.mib
        m.ReasmReqds += 1
        key = (f.src, f.dst, f.proto << 16 | ident)
        t = self.partials.get(key)
        if t is None:
            t = self.begin(key, f)
        elif t.dead:
            m.ReasmLate += 1
            return None
        start = (frag & const.IP_OFFSET) << 3
        n = f.end - f.off
        more = frag & const.IP_MF
        if ihl + start + n > 65535:
            m.ReasmTooBig += 1
            self.give_up(t)
        elif n == 0 or (more and n & 7) or not self.fits(t, start + n, more):
            m.ReasmInconsistent += 1
            self.give_up(t)
        elif f.proto == const.PROTO_TCP and ((start == 0 and n < 20) or 0 < start < 20):
            m.ReasmTiny += 1  # ports and flags must be in one piece: filters look there
            self.give_up(t)
        else:
            return self.insert(t, f, ihl, start, n)
        return None

    def begin(self, key: tuple[int, int, int], f: Frame) -> Partial:
        mine = self.sources.get(f.src)
        if mine is not None and len(mine) >= DATAGRAMS_FROM_ONE:
            self.evict(next(iter(mine.values())))
        elif len(self.partials) >= DATAGRAMS:
            self.evict(next(iter(self.partials.values())))
        t = Partial(key, f.src, f.now)
        self.partials[key] = t
        self.sources.setdefault(f.src, {})[key] = t
        self.bytes += ENTRY
        return t

    def fits(self, t: Partial, end: int, more: int) -> bool:
        """Does a piece that ends here agree with what is known of the length?"""
        if more:
            return t.length < 0 or end < t.length
        if t.length >= 0:
            return end == t.length
        last = len(t.starts) - 1
        if last >= 0 and t.starts[last] + len(t.parts[last]) > end:
            return False
        t.length = end
        return True

    def insert(self, t: Partial, f: Frame, ihl: int, start: int, n: int) -> "Partial | None":
        m = self.mib
        i = bisect_right(t.starts, start)
        part = raw.take(f.buf, f.off, n)
        if i > 0:
            before = t.starts[i - 1]
            if before == start and t.parts[i - 1] == part:
                return None  # a duplicate, as networks make them
            if before + len(t.parts[i - 1]) > start:
                m.ReasmOverlaps += 1
                self.give_up(t)
                return None
        if i < len(t.starts) and start + n > t.starts[i]:
            m.ReasmOverlaps += 1
            self.give_up(t)
            return None
        if len(t.starts) >= PIECES:
            m.ReasmLimit += 1
            self.give_up(t)
            return None
        t.starts.insert(i, start)
        t.parts.insert(i, part)
        t.filled += n
        t.cost += n + OVERHEAD
        self.bytes += n + OVERHEAD
        t.ecn |= 1 << (f.tos & 3)
        t.lsrc = f.lsrc
        if f.cast:
            t.cast = f.cast
        if start == 0:
            t.header = raw.take(f.buf, f.l3, ihl)
        if t.filled == t.length:
            return self.complete(t)
        self.make_room(t)
        return None

    def complete(self, t: Partial) -> "Partial | None":
        assert t.header is not None
        if t.ecn & 8 and t.ecn & 1:  # congestion experienced and not-ECT in one datagram: somebody rewrote it (RFC 3168 5.3)
            self.mib.ReasmEcn += 1
            self.give_up(t)
            return None
        self.remove(t)
        if len(t.header) + t.length > 65535:
            self.mib.ReasmTooBig += 1
            self.mib.ReasmFails += 1
            return None
        self.mib.ReasmOKs += 1
        return t

    def make_room(self, t: Partial) -> None:
        """Hold the bounds after `t` grew: the oldest goes, of its source or of all; it may be `t` itself."""
        mine = self.sources[t.src]
        held = 0
        if self.bytes > BYTES_FROM_ONE:
            for other in mine.values():
                held += other.cost
            while held > BYTES_FROM_ONE:
                oldest = next(iter(mine.values()))
                held -= oldest.cost
                self.evict(oldest)
        while self.bytes > BYTES:
            self.evict(next(iter(self.partials.values())))

    def give_up(self, t: Partial) -> None:
        """Forget the pieces; the empty entry stays until its time is over."""
        self.mib.ReasmFails += 1
        self.bytes -= t.cost - ENTRY
        t.cost = ENTRY
        t.dead = True
        t.header = None
        t.starts = []
        t.parts = []

    def evict(self, t: Partial) -> None:
        if not t.dead:
            self.mib.ReasmLimit += 1
            self.mib.ReasmFails += 1
        self.remove(t)

    def remove(self, t: Partial) -> None:
        self.bytes -= t.cost
        del self.partials[t.key]
        mine = self.sources[t.src]
        del mine[t.key]
        if not mine:
            del self.sources[t.src]

    def next_deadline(self) -> int:
        """When `expire` is next worth a call; NEVER when there is nothing in pieces."""
        for t in self.partials.values():
            return t.since + LIFE
        return const.NEVER

    def expire(self, now: int) -> list[Partial]:
        """Forget what is too old. Returns those whose first piece had come: their senders are to be told (RFC 792)."""
        told = []
        for t in list(self.partials.values()):
            if t.since + LIFE > now:
                break
            self.remove(t)
            if not t.dead:
                self.mib.ReasmTimeout += 1
                self.mib.ReasmFails += 1
                if t.header is not None:
                    told.append(t)
        return told


def write(t: Partial, f: Frame) -> None:
    """The complete datagram, header and all, from offset 0 of the slab `f`."""
    assert t.header is not None
    b = f.buf
    ihl = len(t.header)
    raw.pbytes(b, 0, t.header)
    raw.p16(b, 2, ihl + t.length)
    raw.p16(b, 6, 0)
    if t.ecn & 8:  # RFC 3168 5.3: one marked piece marks the datagram
        raw.p8(b, 1, raw.g8(b, 1) | 3)
    raw.p16(b, 10, 0)
    raw.p16(b, 10, raw.csum(b, 0, ihl, 0) ^ const.M16)
    for i in range(len(t.starts)):
        raw.pbytes(b, ihl + t.starts[i], t.parts[i])
    f.off = 0
    f.end = ihl + t.length
