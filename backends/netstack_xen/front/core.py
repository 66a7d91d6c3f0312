"""The packet path of a front: frames into the rings of its queues, and out of them.

What is sent is copied into pages that the other end may read, and what comes is copied out of pages that it may write, once each:
what lies in such a page can change while it is looked at. Other ends are told once for all that a poll has brought about, and for
each frame that is sent outside of one, where they ask for it.

**Which queue.** A flow goes to one queue, by a hash of its addresses and ports that is the same for both directions; where the back
end takes our key and table (front/control.py), what it sends of the flow comes back by the same one. All queues are polled in
turn, some frames each. UDP is hashed by its addresses alone, as Linux's back end does: a fragment shows no ports.
"""

from netstack import const, gso, raw
from netstack.buffers import Pool
from netstack.cores import FrameSink, NetifCore, Out
from netstack.errors import UsageError
from netstack.gso import Cutter
from netstack.netif import SLAB, SendOnly

from .. import slots
from ..hypervisor import Hypervisor
from ..mib import FrontMib
from ..wire import folded_hashes
from .queue import Queue

TURN = 16  # frames that one queue hands up before it's the next one's turn
MAPPED = 128  # entries of the table from hash to queue
ATTEND = 64  # polls after which the store is asked, however busy the rings are


class FrontCore(NetifCore):
    """`queues` are those of the connection that is there, which the face puts in and takes out; `up` says whether frames may be
    sent.

    takes   OFFLOAD_* flags: what the back end does of what `send` is asked, the rest is done here
    gives   those that may come: what we told the back end that we take
    """

    __slots__ = (
        "again", "cutter", "due", "fault", "gives", "hashes", "hypervisor", "longest", "mib", "polling", "polls", "pool", "queues",
        "sink", "spare_out", "takes", "turn", "up",
    )  # fmt: skip

    def __init__(self, hypervisor: Hypervisor) -> None:
        self.hypervisor = hypervisor
        self.queues: list[Queue] = []
        self.up = False
        self.takes = 0
        self.gives = 0
        self.longest = slots.LONGEST  # of a frame: a page, where the back end takes no more
        self.due = 0  # when the control path wants to be called, whatever happens
        self.fault = False  # a back end has lied: the control path ends the connection
        self.polling = False
        self.polls = 0
        self.turn = 0
        self.mib = FrontMib()
        self.pool = Pool(SLAB)
        self.sink: FrameSink = SendOnly()
        self.cutter = Cutter()
        self.spare_out = Out()
        self.hashes = bytearray(folded_hashes())
        self.again = const.NEVER  # when a poll left something in the rings: at once

    def attach(self, sink: FrameSink) -> None:
        if not isinstance(self.sink, SendOnly):
            raise UsageError("this interface already has a stack on it: wrap or bridge it to share it")
        self.sink = sink

    # -- receiving ---------------------------------------------------------------------------------------------------------------

    def poll(self, now: int) -> bool:
        """Hand up at most BATCH frames, then flush; then see to the connection, where there may be something to see to. True when
        more may be waiting. Raises OSError when the interface was removed, or closed."""
        queues = self.queues
        self.hypervisor.pending()  # which ports it were is no matter: the rings tell more, and all where a notification was lost
        units = 0
        self.polling = True
        try:
            while units < const.BATCH and not self.fault:
                before = units
                for _ in range(len(queues)):
                    self.turn += 1
                    if self.turn >= len(queues):
                        self.turn = 0
                    units += self.walk(queues[self.turn], min(TURN, const.BATCH - units), now)
                    if self.queues is not queues or self.fault:
                        break
                if self.queues is not queues or units == before:
                    break
            if units:
                self.sink.flush(now)
                self.pool.reclaim()
        finally:
            self.polling = False
        more = self.settle() if self.queues is queues else True
        self.polls += 1
        if units == 0 or self.fault or now >= self.due or self.polls % ATTEND == 0:
            more = self.attend(now) or more
        self.again = now if more or units >= const.BATCH else const.NEVER
        return self.again == now

    def walk(self, q: Queue, most: int, now: int) -> int:
        """Hand up at most so many frames of a queue: how many there were, with those that were dropped."""
        queues = self.queues
        gives = self.gives
        n = 0
        while n < most:
            f = self.pool.get()
            what = q.receive(f, gives)
            if what != slots.TAKEN:
                self.pool.put(f)
                if what == slots.LOST:
                    n += 1
                    continue
                if what == slots.LIE:
                    self.fault = True
                return n
            n += 1
            f.now = now
            self.sink.input(f)
            self.pool.put(f)
            if self.queues is not queues:  # whoever got it has closed the interface
                return n
        return n

    def settle(self) -> bool:
        """Give back pages, send what waits, tell the other end of all that; then ask to be told. True when there is more to do."""
        more = False
        for q in self.queues:
            if self.fault:
                return True
            if q.waiting_bytes:
                if q.serve(self.spare_out) < 0:
                    self.fault = True
                    return True
                more = q.sleep_tx() or more
            if not q.full and len(q.spare) * 2 > len(q.rx_pages) and len(q.rx_pages) < slots.ENTRIES:
                self.grow_rx(q)
            q.refill()
            self.push(q)
            if q.rx.final_check(q.partial + 1):
                more = True
        return more

    def prepare(self) -> None:
        """`queues` are new, and the other end is there: it may have looked before there was anything."""
        self.settle()
        for q in self.queues:
            self.notify(q.port_rx)
            if q.port_tx != q.port_rx:
                self.notify(q.port_tx)

    def push(self, q: Queue) -> None:
        if q.rx.push():
            self.notify(q.port_rx)
        if q.tx.push():
            self.notify(q.port_tx)

    def notify(self, port: int) -> None:
        self.mib.Notified += 1
        try:
            self.hypervisor.notify(port)
        except OSError:  # a port of the time before we were suspended: the store has news that say so
            self.due = 0

    # -- sending -----------------------------------------------------------------------------------------------------------------

    def send(self, p: Out, now: int) -> None:
        if not self.up:
            self.mib.OutDown += 1
            return
        q: Queue = self.queues[self.choose(p) if len(self.queues) > 1 else 0]
        kind = self.kind(p) if p.gso else 0
        if p.gso and not kind:
            self.cut(q, p)
        else:
            if p.csum_off and not self.takes & const.OFFLOAD_CSUM:
                gso.complete(p)
            self.put(q, p, kind)
        if not self.polling:
            self.push(q)
            if q.waiting_bytes and q.sleep_tx():
                self.due = 0

    def kind(self, p: Out) -> int:
        """Of a super-segment, as the ring calls it; 0 for one that is cut here."""
        if p.csum_off != const.TCP_CHECKSUM or not self.takes & const.OFFLOAD_TSO4 or p.length() > self.longest:
            return 0
        if raw.g8(p.hdr, p.l4 + 13) & const.CWR:  # the first segment alone may keep it (RFC 3168 6.1.2), and the extra has no word
            return 0  # for that: Linux's netfront cuts those, too
        return slots.GSO_TCPV4

    def cut(self, q: Queue, p: Out) -> None:
        """Send a super-segment as frames. Where one of them finds no room, those behind it are as lost as it is."""
        cutter, mib = self.cutter, self.mib
        if not cutter.begin(p, const.ETH_HEADER):
            mib.OutRefused += 1
            return
        complete = not self.takes & const.OFFLOAD_CSUM
        while cutter.next(p):
            if complete:
                gso.complete(p)
            mib.OutCut += 1
            if not self.put(q, p, 0):
                mib.OutNotReached += cutter.remaining()
                return

    def put(self, q: Queue, p: Out, kind: int) -> bool:
        n = p.length()
        if n > self.longest:
            self.mib.OutTooLong += 1
            return False
        flags = slots.TX_CSUM_BLANK | slots.TX_DATA_VALIDATED if p.csum_off else 0
        if q.waiting_bytes == 0 and q.put(p, flags, kind):
            return True
        if q.broken:
            self.fault = True
            self.due = 0
        elif q.waiting_bytes == 0 and not q.full and self.grow_tx(q) and q.put(p, flags, kind):
            return True
        if q.keep_back(p, flags, kind):
            return True
        self.mib.OutNoRoom += 1
        return False

    def choose(self, p: Out) -> int:
        """Which queue: what the back end does with the other direction of the same flow."""
        hdr = p.hdr
        ip = p.off + const.ETH_HEADER
        if const.HEADROOM - ip < 20 or raw.g16(hdr, ip - 2) != const.ETH_IPV4:
            return 0
        a = raw.g32(hdr, ip + 12) ^ raw.g32(hdr, ip + 16)
        if (
            raw.g8(hdr, ip + 9) == const.PROTO_TCP
            and not raw.g16(hdr, ip + 6) & (const.IP_MF | const.IP_OFFSET)
            and const.HEADROOM - p.l4 >= 4
        ):
            a ^= raw.g32(hdr, p.l4)
        w = (a ^ a >> 16) & const.M16
        h = raw.g8(self.hashes, w >> 8) ^ raw.g8(self.hashes, 256 + (w & 255))
        return (h & (MAPPED - 1)) % len(self.queues)

    # -- of the face -------------------------------------------------------------------------------------------------------------

    def grow_tx(self, q: Queue) -> bool:
        """Share more pages for sending; False where there are no more."""
        raise NotImplementedError

    def grow_rx(self, q: Queue) -> None:
        """Share more pages for receiving, where there are more."""
        raise NotImplementedError

    def attend(self, now: int) -> bool:
        """See to the connection. True when `poll` is worth another call."""
        raise NotImplementedError
