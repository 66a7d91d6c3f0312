"""The half of a netback's packet path that gives frames to the frontend; intake.py begins with what is to be known of both."""

from typing import Any

from netstack import const, gso, raw
from netstack.cores import Out
from netstack.gso import Cutter

from .. import orders, slots
from ..hypervisor import ORDERS_MOST
from . import const as own
from .intake import Intake
from .lane import Lane, Parcel
from .steering import Steering


class BackCore(Intake):
    """Without a connection, what is sent is counted and dropped.

    blank4 blank6 gso4 gso6 pieces   what the frontend takes        filtered   `groups` counts
    drain stall   nanoseconds that a frame may wait; after which without buffers a frontend is stalled, or 0
    """

    __slots__ = (
        "blank4", "blank6", "carrier", "cons", "cutter", "drain", "fill", "filtered", "flags", "gref", "gso4", "gso6", "hash_extra",
        "head", "id", "page", "pieces", "slot_of", "stall", "steering", "unit", "unit_extra",
    )  # fmt: skip

    def __init__(self, hypervisor: Any, front: int) -> None:
        super().__init__(hypervisor, front)
        self.cutter = Cutter()
        self.slot_of = bytearray(4 * ORDERS_MOST)  # the slot that an order into a page stands for
        self.head = bytearray(own.HEAD)
        self.steering = Steering(1)
        self.carrier = True
        # of the frame that is being laid out
        self.unit = self.flags = self.id = self.gref = self.fill = self.cons = 0
        self.unit_extra = self.hash_extra = 0
        self.page: Any = None
        self.forget()

    def forget(self) -> None:
        """Not connected, or not any more."""
        self.lanes = []
        self.disabled = False
        self.blank4 = self.blank6 = self.gso4 = self.gso6 = self.pieces = self.filtered = False
        self.groups = set()
        self.steering = Steering(1)
        self.drain = self.stall = 0
        self.control = None

    def send(self, p: Out, now: int) -> None:
        mib = self.mib
        if not self.lanes or self.disabled or not self.carrier:
            mib.OutDown += 1
            return
        if self.filtered and not self.wanted(p):
            mib.OutFiltered += 1
            return
        kind = 0
        if p.gso:
            kind = self.kind(p)
            if kind == 0:
                self.cut(p, now)
                return
        if p.csum_off and not self.leaves(p):
            gso.complete(p)
        self.put(p, kind, now)

    def wanted(self, p: Out) -> bool:
        """Does the frontend want to hear this? Of multicasts only some; a broadcast is none."""
        o = p.off
        b = p.hdr
        if const.HEADROOM - o < const.ETH_HEADER:
            b = self.headers(p)
            o = 0
        dst, _, _ = raw.get_eth(b, o)
        return not dst >> 40 & 1 or dst == const.MAC_BROADCAST or dst in self.groups

    def headers(self, p: Out) -> bytearray:
        """Those of a frame that somebody passes on in one piece, and perhaps more of it."""
        n = const.HEADROOM - p.off
        raw.move(self.head, 0, p.hdr, p.off, n)
        more = own.HEAD - n
        if more > p.n:
            more = p.n
        if more > 0:
            raw.fill(self.head, n, p.data, p.o, more)  # type: ignore[arg-type]  # with n there is data
        return self.head

    def kind(self, p: Out) -> int:
        """Of a super-segment, in the words of an extra; 0 for one that the frontend doesn't take. There is no word for CWR, which
        the first segment alone may have (RFC 3168 6.1.2): as Linux does, cut it here."""
        if p.csum_off != const.TCP_CHECKSUM or raw.g8(p.hdr, p.l4 + 13) & const.CWR or p.length() > slots.LONGEST:
            return 0
        if raw.g8(p.hdr, p.off + const.ETH_HEADER) >> 4 == 6:
            return slots.GSO_TCPV6 if self.gso6 else 0
        return slots.GSO_TCPV4 if self.gso4 else 0

    def leaves(self, p: Out) -> bool:
        """May the checksum be left undone?"""
        return self.blank6 if raw.g8(p.hdr, p.off + const.ETH_HEADER) >> 4 == 6 else self.blank4

    def cut(self, p: Out, now: int) -> None:
        """Send a super-segment as frames. Where one of them can't be sent, those behind it are as lost as it is."""
        cutter, mib = self.cutter, self.mib
        if not cutter.begin(p, const.ETH_HEADER):
            mib.OutRefused += 1
            return
        complete = not self.leaves(p)
        while cutter.next(p):
            if complete:
                gso.complete(p)
            mib.OutCut += 1
            if not self.put(p, 0, now):
                mib.OutNotReached += cutter.remaining()
                return

    def put(self, p: Out, kind: int, now: int) -> bool:
        """Copy a frame into buffers of the frontend, or have it wait. False when it is lost."""
        mib = self.mib
        steering = self.steering
        length = p.length()
        n = 0
        if steering.lanes > 1 or steering.algorithm:
            if p.off <= const.HEADROOM - own.HEADERS:
                n = steering.choose(p.hdr, p.off, const.HEADROOM)
            else:
                n = steering.choose(self.headers(p), 0, own.HEAD if length > own.HEAD else length)
        lane: Lane = self.lanes[n]
        extra = 0
        if steering.kind >= 0:
            extra = steering.value
            extra = extra << 16 | own.ALGORITHM_TOEPLITZ << 8 | steering.kind  # never 0, whatever the hash is
        if length > slots.LONGEST or (length > orders.PAGE and not self.pieces):
            mib.OutTooLong += 1
            return False
        if lane.held == 0 and self.room(lane, length, kind, extra):
            self.begin(lane, kind, p.gso, p.csum_off != 0, extra)
            self.memory.append(p.hdr)
            self.lay(lane, 0, p.off, const.HEADROOM - p.off)
            if p.n:
                self.memory.append(p.data)
                self.lay(lane, 1, p.o, p.n)
            if p.rest_n:
                self.gather(lane, p)
            self.end(lane, now)
            return True
        return self.wait(lane, Parcel(p.tobytes(), kind, p.gso, p.csum_off != 0, extra, now + self.drain), now)

    def wait(self, lane: Lane, parcel: Parcel, now: int) -> bool:
        mib = self.mib
        if self.stall and lane.rx.waiting() == 0 and now - lane.fed > self.stall:
            if not lane.stalled:
                lane.stalled = True
                mib.Stalls += 1
            mib.OutStalled += 1
            return False
        if lane.held + parcel.length > own.QUEUE_BYTES or lane.size() >= own.QUEUE_FRAMES:
            mib.OutNoRoom += 1
            return False
        lane.put(parcel)
        mib.OutQueued += 1
        self.feed(lane, now)
        return True

    def room(self, lane: Lane, length: int, kind: int, extra: int) -> bool:
        """Are there buffers enough for such a frame? If not, the frontend tells us when there are."""
        needed = (length + orders.PAGE - 1) // orders.PAGE
        if kind:
            needed += 1
        if extra:
            needed += 1
        n = lane.rx.waiting()
        if n < needed and n >= 0 and lane.rx.final_check(needed):
            n = lane.rx.waiting()
        if n < 0:
            self.mib.FatalRing += 1
            self.disable("more requests than the rx ring holds")
        return n >= needed

    def feed(self, lane: Lane, now: int) -> None:
        """Send what has waited, as far as there are buffers, and drop what has waited too long."""
        lanes = self.lanes
        while lanes is self.lanes and not self.disabled:
            parcel = lane.next()
            if parcel is None:
                break
            if now >= parcel.expires:
                self.mib.OutExpired += 1
                lane.drop()
                continue
            if not self.room(lane, parcel.length, parcel.kind, parcel.hash):
                break
            self.begin(lane, parcel.kind, parcel.gso, parcel.blank, parcel.hash)
            self.memory.append(parcel.data)
            self.lay(lane, 0, 0, parcel.length)
            self.end(lane, now)
            lane.drop()

    def purge(self) -> None:
        """What waits for buffers has waited in vain."""
        for lane in self.lanes:
            self.mib.OutPurged += lane.size()

    def expiry(self) -> int:
        """When the first of what waits has waited for too long; NEVER where nothing does."""
        soonest = const.NEVER
        for lane in self.lanes:
            parcel = lane.next()
            if parcel is not None and parcel.expires < soonest:
                soonest = parcel.expires
        return soonest

    def begin(self, lane: Lane, kind: int, size: int, blank: bool, extra: int) -> None:
        """Lay out a frame, from the next buffer on: pieces follow by `lay`, then `end`."""
        flags = 0
        if blank:
            flags = slots.RX_CSUM_BLANK | slots.RX_DATA_VALIDATED
            self.mib.OutBlank += 1
        self.unit = kind
        self.unit_extra = slots.gso(size, kind) if kind else 0
        self.hash_extra = extra
        if kind:
            self.mib.OutGso += 1
        if kind or extra:
            flags |= slots.RX_EXTRA_INFO
        self.flags = flags
        self.count = 0
        self.page = lane.rx.page
        self.cons = lane.rx.req_cons
        self.turn_page(lane)

    def turn_page(self, lane: Lane) -> None:
        """Take the next buffer."""
        self.id, self.gref = slots.get_rx(self.page, lane.rx.at(self.cons))
        self.fill = 0

    def lay(self, lane: Lane, which: int, place: int, n: int) -> None:
        """The next `n` bytes are in memory `which`, at `place`."""
        while n:
            if self.fill == orders.PAGE:
                self.close_slot(lane, slots.RX_MORE_DATA)
                self.turn_page(lane)
            step = orders.PAGE - self.fill
            if step > n:
                step = n
            orders.put(self.orders, self.count, self.gref, self.fill, step, place, which | orders.INTO_PAGE)
            raw.p32(self.slot_of, 4 * self.count, self.cons)
            self.count += 1
            self.fill += step
            place += step
            n -= step

    def gather(self, lane: Lane, p: Out) -> None:
        """The pieces behind the first one."""
        left = p.rest_n
        which = 2
        for piece in p.rest:  # type: ignore[union-attr]  # rest_n says that there are some
            n = raw.size(piece)
            if n > left:
                n = left
            self.memory.append(piece)
            self.lay(lane, which, 0, n)
            which += 1
            left -= n

    def close_slot(self, lane: Lane, more: int) -> None:
        """Answer the buffer that was filled, and behind the first one put what else there is to say of the frame."""
        ring = lane.rx
        slots.put_rx_response(self.page, ring.at(self.cons), self.id, 0, self.flags | more, self.fill)
        self.cons = (self.cons + 1) & const.M32
        if self.flags & slots.RX_EXTRA_INFO:
            if self.unit:
                slots.put_extra(
                    self.page, ring.at(self.cons), slots.EXTRA_GSO, slots.EXTRA_MORE if self.hash_extra else 0, self.unit_extra
                )
                self.cons = (self.cons + 1) & const.M32
            if self.hash_extra:
                slots.put_extra(self.page, ring.at(self.cons), slots.EXTRA_HASH, 0, self.hash_extra)
                self.cons = (self.cons + 1) & const.M32
        self.flags = 0

    def end(self, lane: Lane, now: int) -> None:
        """Copy the frame, and tell of it."""
        ring = lane.rx
        mib = self.mib
        self.close_slot(lane, 0)
        self.carry()
        k = orders.failed(self.orders, 0, self.count)
        if k >= 0:
            mib.OutBadRef += 1
            while k >= 0:
                at = ring.at(raw.g32(self.slot_of, 4 * k))
                id, offset, flags, _ = slots.get_rx_response(self.page, at)
                slots.put_rx_response(self.page, at, id, offset, flags, slots.ERROR)
                k = orders.failed(self.orders, k + 1, self.count - k - 1)
        else:
            mib.OutFrames += 1
        mib.OutSlots += (self.cons - ring.req_cons) & const.M32
        ring.req_cons = self.cons
        ring.rsp_prod = self.cons
        lane.fed = now
        lane.stalled = False
        if ring.push():
            self.tell(lane.rx_port)
