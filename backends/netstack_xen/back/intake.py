"""The packet path of a netback: what both halves share, and the one that takes what a frontend sends. The other is core.py.

Words are the frontend's: its *tx* is what comes to us, its *rx* takes what we send. Its pages are never mapped. A grant names a
page for one exchange, and Linux's netfront disables its device where the other end still maps a page at the response. So Xen
copies from them and to them (`Hypervisor.copy`), once: between the page and a slab of the pool, or the memory of whoever sends.
What was copied can't change under us, and a page that was not granted is a status of that slot.

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

from netstack import const, raw
from netstack.buffers import Pool
from netstack.cores import Frame, FrameSink, NetifCore
from netstack.errors import UsageError, WireError
from netstack.netif import SLAB, SendOnly

from .. import orders, slots
from ..hypervisor import ORDERS_MOST
from . import const as own
from .lane import Lane, Taken
from .mib import BackMib

ALL = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4 | const.OFFLOAD_TSO6  # what may come undone or uncut


class Intake(NetifCore):
    """The queues of one vif while it is connected, and what comes by them.

    gives    OFFLOAD_* flags of what may go up        groups  multicast addresses that the frontend wants to hear
    disabled by what the frontend did                 ended   closed from above
    """

    __slots__ = (
        "control", "count", "disabled", "ended", "front", "gives", "groups", "hypervisor", "lanes", "memory", "mib", "orders",
        "pool", "sink", "taken",
    )  # fmt: skip

    def __init__(self, hypervisor: Any, front: int) -> None:
        self.hypervisor = hypervisor
        self.front = front
        self.gives = ALL
        self.mib = BackMib()
        self.pool = Pool(SLAB)
        self.sink: FrameSink = SendOnly()
        self.orders = bytearray(16 * ORDERS_MOST)
        self.memory: list[Any] = []  # what orders speak of
        self.count = 0  # of orders
        self.taken = [Taken() for _ in range(own.COPIES)]
        self.lanes: list[Lane] = []
        self.control: Any = None
        self.groups: set[int] = set()
        self.disabled = False
        self.ended = False

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

    def feed(self, lane: Lane, now: int) -> None:
        """Send what has waited for buffers."""
        raise NotImplementedError

    def tell(self, port: int) -> None:
        self.mib.Notified += 1
        self.hypervisor.notify(port)

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
