"""The packet path of a netback: frames out of pages that a frontend has granted, and into its buffers.

Words are the frontend's: its *tx* is what comes to us, its *rx* takes what we send. Its pages are never mapped. A grant names a page
for one exchange, and Linux's netfront disables its device where the other end still maps a page at the response; so they are copied
from and to by Xen (`Hypervisor.copy`), once: between the page and a slab of the pool, or the memory of whoever sends. What was
copied can't change under us, and a page that was not granted is a status of that slot.

In. Slots are read once each, into orders to copy; after COPIES slots, or where there is no more, all are copied in one call,
answered in the order in which they were asked, and handed up. The answer to a slot is written where its request stood as soon as
that is read, and told after the copy has shown whether it stays.

Out. A frame is laid over as many buffers as it needs, one behind the other; what finds too few of them waits, bounded in bytes and
in time, and so does all that comes behind it.

Nothing that the frontend says is believed before it is checked. What a frontend may get wrong in good faith costs it the packet;
what only a broken or a malign one does disables the vif until it is connected anew, with Linux's netback as the measure, since
frontends are written against that. Each has a counter.
"""

from typing import Any

from netstack import const, gso, raw
from netstack.buffers import Pool
from netstack.cores import Frame, FrameSink, NetifCore, Out
from netstack.errors import UsageError, WireError
from netstack.gso import Cutter
from netstack.netif import SLAB, SendOnly

from .. import orders, slots
from ..hypervisor import ORDERS_MOST
from . import const as own
from .lane import Lane, Parcel, Taken
from .mib import BackMib
from .steering import Steering

ALL = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4 | const.OFFLOAD_TSO6  # what may come undone or uncut


class BackCore(NetifCore):
    """The queues of one vif, while it is connected; without one, what is sent is counted and dropped.

    gives   OFFLOAD_* flags of what may go up      blank4 blank6 gso4 gso6 pieces   what the frontend takes
    groups  multicast addresses it wants to hear, which counts while `filtered`
    drain stall   nanoseconds that a frame may wait; after which without buffers a frontend is stalled, or 0
    """

    __slots__ = (
        "blank4", "blank6", "carrier", "cons", "control", "count", "cutter", "disabled", "drain", "ended", "fill", "filtered", "flags", "front", "gives",
        "gref", "groups", "gso4", "gso6", "hash_extra", "head", "hypervisor", "id", "lanes", "memory", "mib", "orders", "page", "pieces",
        "pool", "sink", "slot_of", "stall", "steering", "taken", "unit", "unit_extra",
    )  # fmt: skip

    def __init__(self, hypervisor: Any, front: int) -> None:
        self.hypervisor = hypervisor
        self.front = front
        self.gives = ALL
        self.mib = BackMib()
        self.pool = Pool(SLAB)
        self.sink: FrameSink = SendOnly()
        self.cutter = Cutter()
        self.orders = bytearray(16 * ORDERS_MOST)
        self.slot_of = bytearray(4 * ORDERS_MOST)  # the slot that an order into a page stands for
        self.memory: list[Any] = []  # what orders speak of
        self.count = 0  # of orders
        self.head = bytearray(own.HEAD)
        self.taken = [Taken() for _ in range(own.COPIES)]
        self.lanes: list[Lane] = []
        self.steering = Steering(1)
        self.groups: set[int] = set()
        self.carrier = True
        self.ended = False
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
        self.control: Any = None

    def attach(self, sink: FrameSink) -> None:
        if not isinstance(self.sink, SendOnly):
            raise UsageError("this device already has a stack on it: wrap or bridge it to share it")
        self.sink = sink

    def disable(self, why: str) -> None:
        """The frontend has done what none does: nothing is taken from it or given to it until it connects anew."""
        self.disabled = True
        self.complain(why)

    def complain(self, why: str) -> None:
        """Say where an administrator looks why this vif is of no use."""
        raise NotImplementedError

    def hear(self, fired: Any, now: int) -> None:
        """Something in the store has changed, or the hypervisor has to be asked anew."""
        raise NotImplementedError

    # -- in -------------------------------------------------------------------------------------------------------------------

    def turn(self, now: int) -> bool:
        """Look at all rings: hand up at most BATCH packets, then flush; and then at the store. True when more may be waiting."""
        hypervisor = self.hypervisor
        hypervisor.pending()  # whom it was about doesn't matter: to look at a ring is cheaper than to know that one needn't
        lanes = self.lanes
        units = 0
        more = False
        for lane in lanes:
            if self.disabled or lanes is not self.lanes:  # somebody above has closed the vif meanwhile
                break
            if lane.held:
                self.feed(lane, now)
            if units < const.BATCH:
                units += self.take(lane, const.BATCH - units, now)
        if units:
            self.sink.flush(now)
            self.pool.reclaim()
        if lanes is self.lanes and not self.disabled:
            for lane in lanes:
                if lane.tx.final_check(1):
                    more = True
            if self.control is not None and self.serve():
                more = True
        if self.ended:  # by somebody above
            return False
        fired = hypervisor.store.fired()
        if fired:
            self.hear(fired, now)
        return more

    def serve(self) -> bool:
        """Answer what the frontend asks on its control ring. True when more waits."""
        try:
            more: bool = self.control.serve()
        except WireError as error:
            self.mib.FatalRing += 1
            self.disable(str(error))
            return False
        return more

    def take(self, lane: Lane, room: int, now: int) -> int:
        """Hand up packets of a queue, at most `room`; how many there were, the refused ones among them."""
        ring = lane.tx
        lanes = self.lanes
        units = 0
        while units < room and not self.disabled and lanes is self.lanes:
            waiting = ring.waiting()
            if waiting < 0:
                self.mib.FatalRing += 1
                self.disable("more requests than the tx ring holds")
            if waiting <= 0:
                break
            n = 0
            self.count = 0
            while waiting > 0 and units < room and self.count < own.COPIES and n < own.COPIES:
                t: Taken = self.taken[n]
                used = self.parse(lane, t, n, waiting)
                if used == 0:
                    break
                waiting -= used
                units += 1
                self.mib.InSlots += used
                if t.frame is not None:
                    n += 1
            if n:
                self.fetch(lane, n)
            if ring.push():
                self.tell(lane.tx_port)
            i = 0
            while i < n:
                t = self.taken[i]
                if t.frame is not None:
                    self.up(t, now)
                i += 1
        return units

    def parse(self, lane: Lane, t: Taken, which: int, waiting: int) -> int:
        """Read the slots of a packet, of the `waiting` ones, into orders that copy it to memory `which`, and write their answers.
        How many it were; 0 when the vif was disabled for it. `t.frame` is None for one that was refused, or is no packet."""
        ring = lane.tx
        page = ring.page
        mib = self.mib
        i = ring.req_cons
        used = 1
        status = slots.OKAY
        dummy = False
        t.frame = None
        t.kind = 0
        gref, offset, flags, id, size = slots.get_tx(page, ring.at(i))
        slots.put_tx_response(page, ring.at(i), id, slots.OKAY)
        more = flags & slots.TX_EXTRA_INFO
        while more:
            if used == waiting:
                mib.FatalMissing += 1
                self.disable("an extra that is announced is missing")
                return 0
            at = ring.at((i + used) & const.M32)
            kind, marks, rest = slots.get_extra(page, at)
            slots.put_tx_response(page, at, 0, slots.NULL)
            used += 1
            more = marks & slots.EXTRA_MORE
            if kind == slots.EXTRA_GSO:
                t.kind = slots.gso_kind(rest)
                t.gso = slots.gso_size(rest)
                if t.gso == 0 or (t.kind != slots.GSO_TCPV4 and t.kind != slots.GSO_TCPV6):
                    mib.FatalGso += 1
                    self.disable("a super-segment of no size or kind")
                    return 0
            elif kind == slots.EXTRA_MCAST_ADD or kind == slots.EXTRA_MCAST_DEL:
                dummy = True
                mib.InMulticast += 1
                if not self.listen(rest, kind == slots.EXTRA_MCAST_ADD):
                    status = slots.ERROR
            elif kind != slots.EXTRA_HASH:
                mib.FatalExtra += 1
                self.disable(f"an extra of the kind {kind}")
                return 0
        t.extras = used - 1
        first = self.count
        count = 1
        tail = 0  # bytes behind the first slot
        if dummy:
            slots.put_tx_response(page, ring.at(i), id, status)
            self.consume(lane, used)
            return used
        many = wrong = False
        more = flags & slots.TX_MORE_DATA
        while more:
            if used == waiting:
                mib.FatalMissing += 1
                self.disable("a slot that is announced is missing")
                return 0
            if count > own.FATAL_SLOTS:
                mib.FatalSlots += 1
                self.disable(f"a packet of more than {own.FATAL_SLOTS} slots")
                return 0
            at = ring.at((i + used) & const.M32)
            r, o, flags_n, id_n, n = slots.get_tx(page, at)
            slots.put_tx_response(page, at, id_n, slots.OKAY)
            used += 1
            if o + n > orders.PAGE:
                mib.FatalPageBorder += 1
                self.disable(f"a slot from {o} to {o + n} of a page")
                return 0
            if n > size - tail:
                wrong = True
            if count > own.MORE_SLOTS:
                many = True
            else:
                orders.put(self.orders, first + count, r, o, n, tail, which)
            tail += n
            count += 1
            more = flags_n & slots.TX_MORE_DATA
        length = size - tail
        if many or wrong or length < const.ETH_HEADER:
            if many:
                mib.InTooManySlots += 1
            elif wrong:
                mib.InLengths += 1
            else:
                mib.InShort += 1
            self.refuse(lane, t.extras, used)
        elif offset + length > orders.PAGE:
            mib.FatalPageBorder += 1
            self.disable(f"a slot from {offset} to {offset + length} of a page")
            return 0
        else:
            orders.put(self.orders, first, gref, offset, length, 0, which)
            orders.settle(self.orders, first, count, length)
            self.count += count
            f = self.pool.get()
            f.off = 0
            f.end = size
            t.frame = f
            t.first = first
            t.count = count
            t.slot = i
            t.blank = (flags & slots.TX_CSUM_BLANK) != 0
            t.valid = (flags & slots.TX_DATA_VALIDATED) != 0
            self.memory.append(f.buf)
        self.consume(lane, used)
        return used

    def consume(self, lane: Lane, used: int) -> None:
        """So many slots were read, and their answers written."""
        ring = lane.tx
        ring.req_cons = (ring.req_cons + used) & const.M32
        ring.rsp_prod = (ring.rsp_prod + used) & const.M32

    def refuse(self, lane: Lane, extras: int, used: int) -> None:
        """The next `used` slots are answered as errors, but for the extras behind the first."""
        ring = lane.tx
        i = 0
        while i < used:
            if i == 0 or i > extras:
                self.spoil(lane, (ring.req_cons + i) & const.M32)
            i += 1

    def spoil(self, lane: Lane, slot: int) -> None:
        at = lane.tx.at(slot)
        id, _ = slots.get_tx_response(lane.tx.page, at)
        slots.put_tx_response(lane.tx.page, at, id, slots.ERROR)

    def listen(self, rest: int, wanted: bool) -> bool:
        """The frontend wants to hear a multicast address, or no longer. False when it has asked for too many."""
        group = int.from_bytes(rest.to_bytes(6, "little"), "big")  # in the order of the wire
        if not wanted:
            self.groups.discard(group)
        elif group not in self.groups:
            if len(self.groups) >= own.GROUPS:
                self.mib.InGroupsFull += 1
                return False
            self.groups.add(group)
        return True

    def fetch(self, lane: Lane, n: int) -> None:
        """Copy the first `n` of `taken`. A slot whose page can't be had is answered so, and its packet is dropped."""
        self.carry()
        if orders.failed(self.orders, 0, self.count) < 0:
            return
        i = 0
        while i < n:
            t: Taken = self.taken[i]
            i += 1
            k = orders.failed(self.orders, t.first, t.count)
            if k < 0:
                continue
            end = t.first + t.count
            while k >= 0:
                past = k - t.first
                if past:
                    past += t.extras
                self.spoil(lane, (t.slot + past) & const.M32)
                k = orders.failed(self.orders, k + 1, end - k - 1)
            self.mib.InBadRef += 1
            self.pool.put(t.frame)  # type: ignore[arg-type]  # what was refused before is not among them
            t.frame = None

    def carry(self) -> None:
        """Have the orders carried out."""
        try:
            self.hypervisor.copy(self.front, self.orders, self.count, self.memory)
        except OSError:  # of none of them can be said how it went
            k = 0
            while k < self.count:
                orders.answer(self.orders, k, slots.ERROR)
                k += 1
        self.memory.clear()

    def up(self, t: Taken, now: int) -> None:
        f: Frame = t.frame  # type: ignore[assignment]  # the caller has looked
        mib = self.mib
        t.frame = None
        mib.InFrames += 1
        f.now = now
        f.cast = const.UNICAST
        f.csum = const.CSUM_GOOD if t.valid else const.CSUM_UNKNOWN
        f.gso = 0
        f.kept = 0
        if not (t.blank or t.kind) or self.undone(f, t):
            self.sink.input(f)
        self.pool.put(f)

    def undone(self, f: Frame, t: Taken) -> bool:
        """The checksum of the transport is to be done, and perhaps the cutting. False for a frame to be dropped: none can be."""
        b = f.buf
        mib = self.mib
        kind = raw.g16(b, 12)
        l4 = n = proto = 0
        six = False
        if kind == const.ETH_IPV4 and f.end >= 34:
            l4 = 14 + ((raw.g8(b, 14) & 15) << 2)
            n = 14 + raw.g16(b, 16) - l4
            proto = raw.g8(b, 23)
            if raw.g8(b, 14) >> 4 != 4 or l4 < 34 or raw.g16(b, 20) & (const.IP_MF | const.IP_OFFSET):
                proto = 0
        elif kind == const.ETH_IPV6 and f.end >= 54:
            six = True
            l4 = 54
            n = raw.g16(b, 18)
            proto = raw.g8(b, 20)
        if n < 8 or l4 + n > f.end or (proto != const.PROTO_TCP and (proto != const.PROTO_UDP or t.kind)):
            proto = 0
        if proto == const.PROTO_TCP and n < 20:
            proto = 0
        if t.kind:
            mib.InGso += 1
            asked = const.OFFLOAD_TSO6 if six else const.OFFLOAD_TSO4
            if not proto or six != (t.kind == slots.GSO_TCPV6) or not self.gives & asked:
                mib.InBadGso += 1
                return False
        if not proto:
            mib.InBadBlank += 1
            return False
        at = l4 + (const.TCP_CHECKSUM if proto == const.PROTO_TCP else const.UDP_CHECKSUM)
        if t.blank:
            mib.InBlank += 1
        else:  # a super-segment's always is, and some frontends don't say so
            addresses = raw.csum(b, 22, 32, proto + n) if six else raw.csum(b, 26, 8, proto + n)
            raw.p16(b, at, addresses)
        if self.gives & const.OFFLOAD_CSUM:
            f.csum = const.CSUM_PARTIAL
            f.gso = t.gso if t.kind else 0
            return True
        raw.p16(b, at, (raw.csum(b, l4, n, 0) ^ const.M16) or const.M16)
        f.csum = const.CSUM_UNKNOWN
        return True

    # -- out ------------------------------------------------------------------------------------------------------------------

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
        """Of a super-segment, in the words of an extra; 0 for one that the frontend doesn't take. There is no word for CWR, which the
        first segment alone may have (RFC 3168 6.1.2): as Linux does, cut it here."""
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

    def drink_up(self, now: int) -> None:
        """The last look at what the frontend has sent, a ring of each queue at most."""
        lanes = self.lanes
        for lane in lanes:
            left = lane.tx.n
            while left > 0 and lanes is self.lanes and not self.disabled:
                units = self.take(lane, const.BATCH, now)
                if units == 0:
                    break
                left -= units
        self.sink.flush(now)

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
                slots.put_extra(self.page, ring.at(self.cons), slots.EXTRA_GSO, slots.EXTRA_MORE if self.hash_extra else 0, self.unit_extra)
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

    def tell(self, port: int) -> None:
        self.mib.Notified += 1
        self.hypervisor.notify(port)
