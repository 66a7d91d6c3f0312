"""A pair of rings and the pages that go through them: one queue of an interface, as its front has it.

Pages are granted once and used again and again. Of those for sending each has a number, which is the id of its request: it is free,
or under way until the back end answers with that id. Of those for receiving each is posted in a slot, and the slot tells which page
it is: an extra stands in a slot of its own, over the id, so there is no other way to know (xen/io/netif.h).

**What is believed.** The other end is another machine's program. Each slot is read once; nothing that is read is used as an index
before it was looked at; a page is looked into only for as many bytes as lie in it. What it gets wrong costs it the frame, with a
counter that says why, as long as we still know which pages are whose. We don't when it

    claims to have answered more than was asked      FatalProducer
    answers an id that is not under way              FatalId: the page may be in use for another frame by now
    answers more extras than there were              FatalNull: an answer that was another's

and then the connection ends: nothing in these rings can be told from anything else any more. Linux's netfront draws the line in
the same place (xennet_tx_buf_gc, xennet_poll).
"""

from netstack import const, raw
from netstack.cores import Frame, Out

from .. import shm, slots
from ..mib import FrontMib
from ..ring import FrontRing

PAGES = 256  # of a kind: as many as there are slots
FORGET = 256  # frames of those that waited that are taken off the list at once: each time costs as much as the list is long
MOST_SLOTS = 64  # of a frame that comes: one of 64 KiB has 18, one in pieces of a KiB has these

WAIT_MOST = 16 << 20  # bytes that wait for room: a few connections' windows. What comes beyond is lost, as at any full queue



def lasts(data: "bytes | memoryview | None") -> bool:
    """Can nobody change it?"""
    return data is None or type(data) is bytes or (type(data) is memoryview and type(data.obj) is bytes)


class Waiting:
    """A frame that waits for room: what an Out says of it."""

    __slots__ = ("data", "flags", "gso", "head", "kind", "length", "n", "o", "rest", "rest_n")

    def __init__(self) -> None:
        self.head = b""
        self.data: bytes | memoryview | None = None
        self.rest: list[bytes | memoryview] | None = None
        self.o = self.n = self.rest_n = 0
        self.length = self.flags = self.kind = self.gso = 0


class Queue:
    """Rings of our own, `tx` and `rx`, and the ports by which they are told of; pages come by `add_tx` and `add_rx`."""

    __slots__ = (
        "at", "broken", "extras", "flying", "full", "left", "mib", "page", "partial", "port_rx", "port_tx", "rx", "rx_at",
        "rx_pages", "rx_refs", "skipping", "spare", "tx", "tx_free", "tx_pages", "tx_refs", "unit_flags", "unit_left",
        "waiting", "waiting_bytes", "waiting_from",
    )  # fmt: skip

    def __init__(self, tx: memoryview, rx: memoryview, port_tx: int, port_rx: int, mib: FrontMib) -> None:
        self.tx = FrontRing(tx, slots.TX)
        self.rx = FrontRing(rx, slots.RX)
        self.port_tx = port_tx
        self.port_rx = port_rx
        self.mib = mib
        self.tx_pages: list[memoryview] = []
        self.tx_refs: list[int] = []
        self.tx_free: list[int] = []
        self.flying = bytearray(PAGES)  # of each page for sending: is it under way?
        self.extras = 0  # slots under way that have no page
        self.rx_pages: list[memoryview] = []
        self.rx_refs: list[int] = []
        self.rx_at = bytearray(PAGES)  # of each slot: the page that is posted in it
        self.spare: list[int] = []  # pages for receiving that are not posted
        self.waiting: list[Waiting] = []  # what finds no room
        self.waiting_from = 0
        self.waiting_bytes = 0
        self.full = False  # the machine gives no more pages
        self.broken = False  # the back end has lied
        self.skipping = False  # what comes next belongs to a frame that was too long
        self.partial = 0  # slots of a frame that goes on behind them: more are worth a look only when there is one more
        self.page: memoryview | None = None  # being filled: where, and how much of it and behind it is left
        self.at = 0
        self.left = 0
        self.unit_left = 0
        self.unit_flags = 0

    # -- pages -------------------------------------------------------------------------------------------------------------------

    def add_tx(self, page: memoryview, ref: int) -> None:
        self.tx_free.append(len(self.tx_pages))
        self.tx_pages.append(page)
        self.tx_refs.append(ref)

    def add_rx(self, page: memoryview, ref: int) -> None:
        self.spare.append(len(self.rx_pages))
        self.rx_pages.append(page)
        self.rx_refs.append(ref)

    def let_go(self) -> int:
        """Nothing is looked at any more: the pages may be taken away. How many frames were lost by it, that had to wait."""
        lost = len(self.waiting) - self.waiting_from
        self.waiting = []
        self.waiting_from = self.waiting_bytes = 0
        for page in (*self.tx_pages, *self.rx_pages, self.tx.page, self.rx.page):
            page.release()
        self.page = None
        self.tx_pages, self.rx_pages = [], []
        self.tx_free, self.spare = [], []
        return lost

    # -- sending -----------------------------------------------------------------------------------------------------------------

    def put(self, p: Out, flags: int, kind: int) -> bool:
        """Copy a frame into pages, and their numbers into the ring; `kind` is one of GSO_*, or 0. False where there is no room.

        It is `push` that tells of it."""
        tx = self.tx
        n = const.HEADROOM - p.off + p.n + p.rest_n
        pages = (n + 4095) >> 12
        needed = pages + 1 if kind else pages
        if len(self.tx_free) < pages or tx.free() < needed:
            if self.collect() < 0 or len(self.tx_free) < pages or tx.free() < needed:
                return False
        self.unit_left = n
        self.unit_flags = flags
        self.left = 0
        self.open_page(n, kind, p.gso)
        self.pour(p.hdr, p.off, const.HEADROOM - p.off)
        if p.n:
            self.pour(p.data, p.o, p.n)
        if p.rest_n:
            n = p.rest_n
            for piece in p.rest:  # type: ignore[union-attr]  # with rest_n there is a rest
                k = len(piece)
                if k > n:
                    k = n
                self.pour(piece, 0, k)
                n -= k
        self.page = None
        self.mib.OutFrames += 1
        return True

    def open_page(self, whole: int, kind: int, size: int) -> None:
        """The next page of this frame, and its slot: the first one says how long all of the frame is."""
        tx = self.tx
        i = self.tx_free.pop()
        self.flying[i] = 1
        self.page = self.tx_pages[i]
        n = 4096 if self.unit_left > 4096 else self.unit_left
        self.at = 0
        self.left = n
        self.unit_left -= n
        flags = self.unit_flags
        if self.unit_left:
            flags |= slots.TX_MORE_DATA
        if kind:
            flags |= slots.TX_EXTRA_INFO
        slots.put_tx(tx.page, tx.at(tx.req_prod), self.tx_refs[i], 0, flags, i, whole if whole else n)
        tx.req_prod = (tx.req_prod + 1) & const.M32
        self.unit_flags = 0
        if kind:
            slots.put_extra(tx.page, tx.at(tx.req_prod), slots.EXTRA_GSO, 0, slots.gso(size, kind))
            tx.req_prod = (tx.req_prod + 1) & const.M32
            self.extras += 1

    def pour(self, data: "bytes | bytearray | memoryview | None", at: int, n: int) -> None:
        while n:
            if self.left == 0:
                self.open_page(0, 0, 0)
            k = self.left if n > self.left else n
            shm.fill(self.page, self.at, data, at, k)  # type: ignore[arg-type]  # where there is something left, there is a page
            self.at += k
            self.left -= k
            at += k
            n -= k

    def put_group(self, type: int, group: int) -> bool:
        """Tell the back end of a multicast group, in an extra beside a request for nothing: `group` are the six bytes of its
        address as a number, the first the lowest. False where there is no room."""
        tx = self.tx
        if (not self.tx_free or tx.free() < 2) and (self.collect() < 0 or not self.tx_free or tx.free() < 2):
            return False
        i = self.tx_free.pop()
        self.flying[i] = 1
        slots.put_tx(tx.page, tx.at(tx.req_prod), self.tx_refs[i], 0, slots.TX_EXTRA_INFO, i, 0)
        tx.req_prod = (tx.req_prod + 1) & const.M32
        slots.put_extra(tx.page, tx.at(tx.req_prod), type, 0, group)
        tx.req_prod = (tx.req_prod + 1) & const.M32
        self.extras += 1
        return True

    def collect(self) -> int:
        """Take back the pages that were answered: how many answers there were, or slots.LIE."""
        tx = self.tx
        if self.broken:
            return slots.LIE
        n = tx.waiting()
        if n < 0:
            self.mib.FatalProducer += 1
            self.broken = True
            return slots.LIE
        for _ in range(n):
            i, status = slots.get_tx_response(tx.page, tx.at(tx.rsp_cons))
            tx.rsp_cons = (tx.rsp_cons + 1) & const.M32
            if status == slots.NULL:
                if self.extras == 0:
                    self.mib.FatalNull += 1
                    self.broken = True
                    return slots.LIE
                self.extras -= 1
                continue
            if i >= len(self.tx_pages) or not self.flying[i]:
                self.mib.FatalId += 1
                self.broken = True
                return slots.LIE
            self.flying[i] = 0
            self.tx_free.append(i)
            if status != slots.OKAY:
                if status == slots.ERROR:
                    self.mib.OutErrors += 1
                elif status == slots.DROPPED:
                    self.mib.OutDropped += 1
                else:
                    self.mib.OutBadStatus += 1
        return n

    def keep_back(self, p: Out, flags: int, kind: int) -> bool:
        """Hold a frame until there is room, which `serve` looks for. False where too much waits already.

        Its payload is held where it is, if nobody can change it there: to copy what is in excess would halve the speed of the
        rest."""
        n = p.length()
        if self.waiting_bytes + n > WAIT_MOST:
            return False
        w = Waiting()
        w.head = raw.take(p.hdr, p.off, const.HEADROOM - p.off)
        w.length = n
        w.flags = flags
        w.kind = kind
        w.gso = p.gso
        if lasts(p.data) and (p.rest is None or all(map(lasts, p.rest))):
            w.data = p.data
            w.o = p.o
            w.n = p.n
            w.rest = None if p.rest is None else list(p.rest)
            w.rest_n = p.rest_n
        else:
            w.data = p.payload()
            w.o = 0
            w.n = len(w.data)
            w.rest = None
            w.rest_n = 0
        self.waiting.append(w)
        self.waiting_bytes += n
        self.mib.OutWaited += 1
        return True

    def serve(self, p: Out) -> int:
        """Send what had to wait, as far as there is room; `p` is for use here. 0, or slots.LIE."""
        if self.collect() < 0:
            return slots.LIE
        while self.waiting_from < len(self.waiting):
            w: Waiting = self.waiting[self.waiting_from]
            p.reset()
            p.off = const.HEADROOM - len(w.head)
            raw.pbytes(p.hdr, p.off, w.head)
            p.data = w.data
            p.o = w.o
            p.n = w.n
            p.rest = w.rest
            p.rest_n = w.rest_n
            p.gso = w.gso
            done = self.put(p, w.flags, w.kind)
            p.reset()
            if not done:
                break
            self.waiting_from += 1
            self.waiting_bytes -= w.length
        if self.waiting_from == len(self.waiting) or self.waiting_from >= FORGET:
            del self.waiting[: self.waiting_from]
            self.waiting_from = 0
        return slots.NOTHING

    def sleep_tx(self) -> bool:
        """Ask to be told of answers: when half of what is under way was answered, where frames wait for room; else as late as can
        be, since pages are taken back when they are needed. True when there is something to `serve` at once."""
        tx = self.tx
        if self.waiting_from < len(self.waiting):
            return tx.final_check((tx.unanswered() >> 1) + 1)
        tx.final_check(slots.ENTRIES)
        return False

    # -- receiving ---------------------------------------------------------------------------------------------------------------

    def receive(self, f: Frame, gives: int) -> int:
        """Copy the next frame out of its pages into `f`: slots.TAKEN, LOST, NOTHING or LIE. `gives` are the OFFLOAD_* flags of what
        may come.

        A frame of which only a part is there stays until all of it is; `refill` posts the pages again."""
        rx = self.rx
        n = rx.waiting()
        if n <= 0:
            if n < 0 and not self.broken:
                self.mib.FatalProducer += 1
                self.broken = True
            return slots.LIE if self.broken else slots.NOTHING
        mib = self.mib
        first = rx.rsp_cons
        k = 0  # slots
        total = 0
        size = 0
        kind = 0
        first_flags = 0
        fault = slots.TOO_LONG if self.skipping else slots.GOOD
        while True:
            slot = (first + k) & rx.mask
            i, offset, flags, status = slots.get_rx_response(rx.page, rx.at(slot))
            if fault == slots.GOOD:
                if status < 0:
                    fault = slots.ERRED
                elif i != slot:
                    fault = slots.BAD_ID
                elif offset + status > 4096:
                    fault = slots.BAD_SIZE
                elif total + status > slots.LONGEST:
                    fault = slots.TOO_LONG
                else:
                    shm.copy(self.rx_pages[self.rx_at[slot]], offset, f.buf, total, status)
                    total += status
            k += 1
            if k == 1:
                first_flags = flags
                more = flags & slots.RX_EXTRA_INFO
                while more:
                    if k == n:
                        return self.unfinished(n)
                    type, more, rest = slots.get_extra(rx.page, rx.at(first + k))
                    more &= slots.EXTRA_MORE
                    k += 1
                    if type == slots.EXTRA_GSO and kind == 0:
                        kind = slots.gso_kind(rest)
                        size = slots.gso_size(rest)
                        if kind == 0 or size == 0 or slots.gso_features(rest):
                            fault = fault or slots.BAD_GSO
                    elif type != slots.EXTRA_HASH:  # which queue it comes by has told us that already
                        fault = fault or slots.BAD_EXTRA
            if not flags & slots.RX_MORE_DATA:
                break
            if k == n:
                return self.unfinished(n)
        self.release_rx(k)
        self.skipping = False
        mib.InFrames += 1
        if fault == slots.GOOD and total < const.ETH_HEADER:
            fault = slots.TOO_SHORT
        if fault == slots.GOOD and kind:
            fault = gso_fault(f, kind, total, gives)
        if fault != slots.GOOD:
            self.count(fault)
            return slots.LOST
        f.off = 0
        f.end = total
        f.gso = size
        f.cast = const.UNICAST
        f.kept = 0
        if first_flags & slots.RX_CSUM_BLANK or kind:
            f.csum = const.CSUM_PARTIAL
            if not gives & const.OFFLOAD_CSUM and not finish(f):
                self.count(slots.UNFINISHED)
                return slots.LOST
        elif first_flags & slots.RX_DATA_VALIDATED:
            f.csum = const.CSUM_GOOD
        else:
            f.csum = const.CSUM_UNKNOWN
        return slots.TAKEN

    def unfinished(self, n: int) -> int:
        """A frame goes on behind the `n` slots that are there. A back end tells of whole frames, but need not; where no frame can
        be as long as this, or nothing more can come, it is dropped."""
        if n < MOST_SLOTS and n < self.rx.unanswered():
            self.partial = n
            return slots.NOTHING
        self.release_rx(n)
        self.skipping = True
        self.mib.InFrames += 1
        self.count(slots.TOO_LONG)
        return slots.LOST

    def release_rx(self, k: int) -> None:
        """So many slots were read: their pages can be posted again."""
        rx = self.rx
        for i in range(k):
            self.spare.append(self.rx_at[(rx.rsp_cons + i) & rx.mask])
        rx.rsp_cons = (rx.rsp_cons + k) & const.M32
        self.partial = 0

    def refill(self) -> None:
        """Post pages that were read."""
        rx, spare = self.rx, self.spare
        while spare and rx.free():
            slot = rx.req_prod & rx.mask
            page = spare.pop()
            self.rx_at[slot] = page
            slots.put_rx(rx.page, rx.at(slot), slot, self.rx_refs[page])
            rx.req_prod = (rx.req_prod + 1) & const.M32

    def count(self, fault: int) -> None:
        mib = self.mib
        if fault == slots.ERRED:
            mib.InErrors += 1
        elif fault == slots.BAD_ID:
            mib.InBadId += 1
        elif fault == slots.BAD_SIZE:
            mib.InBadSize += 1
        elif fault == slots.BAD_EXTRA:
            mib.InBadExtra += 1
        elif fault == slots.BAD_GSO:
            mib.InBadGso += 1
        elif fault == slots.TOO_LONG:
            mib.InTooLong += 1
        elif fault == slots.TOO_SHORT:
            mib.InTooShort += 1
        else:
            mib.InUnfinished += 1


def gso_fault(f: Frame, kind: int, n: int, gives: int) -> int:
    """Of a super-segment of `n` bytes, not yet taken: slots.GOOD, or what is wrong with what its extra says."""
    ethertype = raw.g16(f.buf, 12)
    if kind == slots.GSO_TCPV4:
        if not gives & const.OFFLOAD_TSO4 or ethertype != const.ETH_IPV4 or n < 54 or raw.g8(f.buf, 23) != const.PROTO_TCP:
            return slots.BAD_GSO
    elif kind != slots.GSO_TCPV6 or not gives & const.OFFLOAD_TSO6 or ethertype != const.ETH_IPV6:
        return slots.BAD_GSO
    return slots.GOOD


def finish(f: Frame) -> bool:
    """Complete the checksum of a frame, which shall not go up without. False where there is none that could be."""
    b = f.buf
    ethertype = raw.g16(b, 12)
    if ethertype == const.ETH_IPV4 and f.end >= 34:
        l4 = 14 + ((raw.g8(b, 14) & 15) << 2)
        proto = raw.g8(b, 23)
        end = 14 + raw.g16(b, 16)
        if raw.g16(b, 20) & (const.IP_MF | const.IP_OFFSET):
            return False
    elif ethertype == const.ETH_IPV6 and f.end >= 54:
        l4 = 54
        proto = raw.g8(b, 20)
        end = 54 + raw.g16(b, 18)
    else:
        return False
    if proto == const.PROTO_TCP:
        at = l4 + const.TCP_CHECKSUM
    elif proto == const.PROTO_UDP:
        at = l4 + const.UDP_CHECKSUM
    else:
        return False
    if end > f.end or at + 2 > end:
        return False
    s = raw.csum(b, l4, end - l4, 0) ^ const.M16
    raw.p16(b, at, s or const.M16)
    f.csum = const.CSUM_GOOD
    return True
