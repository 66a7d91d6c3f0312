"""A queue of the strict netback: a ring of frames from the front end, one of buffers for it, and their ports.

What it does with a bad frontend is what Linux does, which is less than one would think: a slot that asks for the impossible is
either answered with an error, and the link lives, or it's *fatal*, and the vif does nothing more until it is closed and opened.

| in the tx ring                                            | |
|---|---|
| less than an Ethernet header                              | error |
| a page that isn't granted                                 | error for that slot, the others are fine, the frame is gone |
| more than 18 slots, a slot larger than what is left       | error for all of them |
| more than 20 slots                                        | fatal |
| over the border of a page                                 | fatal |
| slots or extras that are announced and not there          | fatal |
| an extra of no known type; GSO of size 0 or no known type | fatal |
| more requests than there are slots                        | fatal |
"""

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from ..hypervisor import PAGE, Pages
from . import layout
from .layout import Ring
from .units import ETHERNET, Unit, is_blank_as_promised

if TYPE_CHECKING:
    from .strict import StrictBack

SLOTS_MAX = 18  # XEN_NETBK_LEGACY_SLOTS_MAX: more are answered with an error
SLOTS_FATAL = 20  # fatal_skb_slots
QUEUE_BYTES = 131072  # of frames that wait for buffers
COPY_FAILED = -3  # GNTST_bad_gntref: an rx response carries the status of the copy, not of the protocol


class Slot(NamedTuple):
    """A tx request."""

    ref: int
    offset: int
    flags: int
    id: int
    size: int


class Waiting(NamedTuple):
    unit: Unit
    expires: int


class StrictQueue:
    def __init__(self, vif: "StrictBack", number: int, tx: Pages, rx: Pages, ports: "tuple[int, int]") -> None:
        self.vif, self.number = vif, number
        self.pages = (tx, rx)
        self.tx_port, self.rx_port = ports
        self.tx, self.rx = Ring(tx.memory, layout.TX_SLOT), Ring(rx.memory, layout.RX_SLOT)
        self.waiting: deque[Waiting] = deque()
        self.bytes_waiting = 0
        self.stalled = True
        self.last_rx = 0
        self.credit = vif.credit_bytes
        self.credit_since = 0
        self.held: list[tuple[int, int, int]] = []  # responses that are given late: id, status, extras

    def end(self) -> None:
        for ring in (self.tx, self.rx):
            ring.end()
        hypervisor = self.vif.hypervisor
        for pages in self.pages:
            hypervisor.unmap(pages)
        for port in {self.tx_port, self.rx_port}:
            hypervisor.release(port)

    # -- from the front end ------------------------------------------------------------------------------------------------------

    def work(self, now: int) -> None:
        if self.vif.disabled:
            return
        while True:
            while not self.vif.disabled and self._take_one(now):
                pass
            if self.vif.disabled or self.vif.next_credit or not self.tx.arm():
                break
        self._push_tx()

    def _take_one(self, now: int) -> bool:
        ring = self.tx
        left = ring.waiting
        if left > ring.size:
            self.vif.fatal(f"Impossible number of requests: {left} in a ring of {ring.size}")
            return False
        if not left:
            return False
        first = Slot(*layout.TX_REQUEST.unpack(ring.request()))
        if not self._afford(first.size, now):
            return False
        ring.consume()
        left -= 1
        extras: dict[int, bytes] = {}
        count = 0
        more = bool(first.flags & layout.TX_EXTRA_INFO)
        while more:
            if left <= 0:
                self.vif.fatal("Missing extra info")
                return False
            kind, flags, text = layout.EXTRA.unpack_from(ring.request())
            ring.consume()
            left -= 1
            count += 1
            if not 0 < kind < layout.EXTRA_MAX:
                self.vif.fatal(f"Invalid extra type: {kind}")
                return False
            extras[kind] = text
            more = bool(flags & layout.EXTRA_FLAG_MORE)
        for kind in (layout.EXTRA_MCAST_ADD, layout.EXTRA_MCAST_DEL):
            if kind in extras:
                fine = self.vif.listen(extras[kind], wanted=kind == layout.EXTRA_MCAST_ADD)
                self._respond(first.id, layout.RSP_OKAY if fine else layout.RSP_ERROR, count)
                return True
        return self._take_frame(first, extras, count, left)

    def _take_frame(self, first: Slot, extras: "dict[int, bytes]", count: int, left: int) -> bool:
        """The rest of the slots of a frame."""
        ring, vif = self.tx, self.vif
        rest: list[Slot] = []
        size = first.size
        refused = False
        more = bool(first.flags & layout.TX_MORE_DATA)
        while more:
            if len(rest) >= left:
                vif.fatal(f"Asked for {left} slots but exceeds this limit")
                return False
            if len(rest) >= SLOTS_FATAL:
                vif.fatal(f"Malicious frontend using {len(rest)} slots, threshold {SLOTS_FATAL}")
                return False
            slot = Slot(*layout.TX_REQUEST.unpack(ring.request(len(rest))))
            refused = refused or len(rest) >= SLOTS_MAX or slot.size > size
            size = (size - slot.size) & 0xFFFF
            rest.append(slot)
            if slot.offset + slot.size > PAGE:
                vif.fatal(f"Cross page boundary, txp->offset: {slot.offset}, size: {slot.size}")
                return False
            more = bool(slot.flags & layout.TX_MORE_DATA)
        ring.consume(len(rest))
        if refused or size < ETHERNET:
            vif.count("tx_refused")
            for n, slot in enumerate([first, *rest]):
                self._respond(slot.id, layout.RSP_ERROR, 0 if n else count)
            return True
        if first.offset + size > PAGE:
            vif.fatal(f"txreq.offset: {first.offset}, size: {size}, end: {first.offset + size}")
            return False
        gso_size, gso_type = 0, layout.GSO_NONE
        if layout.EXTRA_GSO in extras:
            gso_size, gso_type, _, _ = layout.GSO.unpack(extras[layout.EXTRA_GSO])
            if not gso_size or gso_type not in (layout.GSO_TCPV4, layout.GSO_TCPV6):
                vif.fatal(f"Bad GSO type {gso_type}" if gso_size else "GSO size must not be zero.")
                return False
        pieces = [vif.fetch(first.ref, first.offset, size), *(vif.fetch(slot.ref, slot.offset, slot.size) for slot in rest)]
        for n, (slot, piece) in enumerate(zip([first, *rest], pieces, strict=True)):
            self._respond(slot.id, layout.RSP_ERROR if piece is None else layout.RSP_OKAY, 0 if n else count)
        if None in pieces:
            vif.count("tx_not_granted")
            return True
        frame = b"".join(piece for piece in pieces if piece is not None)
        blank = bool(first.flags & layout.TX_CSUM_BLANK)
        self._deliver(Unit(frame, blank, bool(first.flags & layout.TX_DATA_VALIDATED), gso_type, gso_size, _hash(extras)))
        return True

    def _deliver(self, unit: Unit) -> None:
        vif = self.vif
        if unit.gso_size and not unit.csum_blank:
            vif.complain("a frame with a GSO extra whose checksum isn't blank")  # Linux fills it in: rx_gso_checksum_fixup
            unit = Unit(unit.frame, True, unit.validated, unit.gso_type, unit.gso_size, unit.hash)
        elif unit.csum_blank and not is_blank_as_promised(unit.frame):
            vif.complain("a blank checksum that isn't the sum of the pseudo-header of TCP or UDP")
        if unit.csum_blank and not unit.validated:
            vif.complain("csum_blank without data_validated")
        vif.count("tx_frames")
        vif.receive(unit)

    def _afford(self, size: int, now: int) -> bool:
        """`rate` of the store: so many bytes in so many microseconds, and a burst of 128 KiB at most."""
        vif = self.vif
        if vif.credit_bytes is None or self.credit is None:
            return True
        if size > self.credit:
            if now < self.credit_since + vif.credit_time:
                vif.next_credit = self.credit_since + vif.credit_time
                return False
            self.credit_since = now
            self.credit = min(self.credit + vif.credit_bytes, max(QUEUE_BYTES, vif.credit_bytes))
            if size > self.credit:
                vif.next_credit = now + max(vif.credit_time, 1)
                return False
        self.credit -= size
        return True

    def _respond(self, id_: int, status: int, extras: int) -> None:
        if self.vif.rng is not None:
            self.held.append((id_, status, extras))
            return
        self.tx.respond(layout.TX_RESPONSE.pack(id_, status))
        for _ in range(extras):
            self.tx.respond(layout.TX_RESPONSE.pack(0, layout.RSP_NULL))

    def _push_tx(self) -> None:
        """With dice, responses come late and in any order, as Linux's do when the frames have left by a real card."""
        rng = self.vif.rng
        if rng is not None:
            held, self.held = self.held, []
            while held:
                id_, status, extras = held.pop(rng.getrandbits(16) % len(held))
                self.tx.respond(layout.TX_RESPONSE.pack(id_, status))
                for _ in range(extras):
                    self.tx.respond(layout.TX_RESPONSE.pack(0, layout.RSP_NULL))
        if self.tx.rsp_prod != self.tx.pushed and self.tx.push():
            self.vif.hypervisor.notify(self.tx_port)

    # -- to the front end --------------------------------------------------------------------------------------------------------

    def send(self, unit: Unit, now: int) -> None:
        """Queue it, for as long as it takes until there are buffers, or until it expires."""
        if self.bytes_waiting > QUEUE_BYTES:
            self.vif.count("rx_queue_full")
            return
        self.waiting.append(Waiting(unit, now + self.vif.drain_timeout))
        self.bytes_waiting += len(unit.frame)

    def fill(self, now: int) -> None:
        """Frames into buffers, as far as there are any."""
        if self.vif.disabled:
            return
        while self.waiting:
            unit = self.waiting[0].unit
            if not self._has_buffers(-(-len(unit.frame) // PAGE) + bool(unit.gso_size) + (unit.hash is not None)):
                break
            self._drop_first()
            self._fill_one(unit)
            self.last_rx = now
        if self.rx.rsp_prod != self.rx.pushed and self.rx.push():
            self.vif.hypervisor.notify(self.rx_port)
        while self.waiting and self.waiting[0].expires <= now:
            self._drop_first()
            self.vif.count("rx_expired")
        self._look_for_stall(now)

    def _has_buffers(self, count: int) -> bool:
        if self.rx.waiting > self.rx.size:
            self.vif.fatal(f"Impossible number of requests: {self.rx.waiting} rx buffers in a ring of {self.rx.size}")
            return False
        return self.rx.arm_for(count)

    def _drop_first(self) -> None:
        self.bytes_waiting -= len(self.waiting.popleft().unit.frame)

    def _fill_one(self, unit: Unit) -> None:
        extras = []
        if unit.gso_size:
            extras.append((layout.EXTRA_GSO, layout.GSO.pack(unit.gso_size, unit.gso_type, 0, 0)))
        if unit.hash is not None:
            kind, value = divmod(unit.hash, 1 << 32)
            extras.append((layout.EXTRA_HASH, layout.HASH.pack(kind, layout.ALGORITHM_TOEPLITZ, value.to_bytes(4, "little"))))
        flags = (layout.RX_CSUM_BLANK | layout.RX_DATA_VALIDATED) if unit.csum_blank else 0
        flags |= layout.RX_DATA_VALIDATED if unit.validated else 0
        flags |= layout.RX_EXTRA_INFO if extras else 0
        at = 0
        while at < len(unit.frame):
            id_, _, ref = layout.RX_REQUEST.unpack(self.rx.request())
            self.rx.consume()
            piece = unit.frame[at : at + PAGE]
            at += len(piece)
            flags |= layout.RX_MORE_DATA if at < len(unit.frame) else 0
            fine = self.vif.store_into(ref, 0, piece)
            self.rx.respond(layout.RX_RESPONSE.pack(id_, 0, flags, len(piece) if fine else COPY_FAILED))
            flags = 0
            while extras:
                kind, text = extras.pop(0)
                self.rx.consume()
                self.rx.respond(layout.EXTRA.pack(kind, layout.EXTRA_FLAG_MORE if extras else 0, text))
        self.vif.count("rx_frames")

    def _look_for_stall(self, now: int) -> None:
        """No buffers for a minute turn the carrier off, if the front end promised to tell of new ones; the first turns it on."""
        vif = self.vif
        if vif.stall_timeout is None:
            self.stalled = False
        elif not self.stalled and not self.rx.waiting and now > self.last_rx + vif.stall_timeout:
            self.stalled = True
            vif.say("Guest Rx stalled")
        elif self.stalled and self.rx.waiting:
            self.stalled = False
            self.last_rx = now
            vif.say("Guest Rx ready")

    def next_deadline(self) -> "int | None":
        deadlines = [self.waiting[0].expires] if self.waiting else []
        if self.vif.stall_timeout is not None and not self.stalled:
            deadlines.append(self.last_rx + self.vif.stall_timeout + 1)
        return min(deadlines, default=None)


def _hash(extras: "dict[int, bytes]") -> "int | None":
    """The type above, the value below."""
    if layout.EXTRA_HASH not in extras:
        return None
    kind, _, value = layout.HASH.unpack(extras[layout.EXTRA_HASH])
    return int(kind) << 32 | int.from_bytes(value, "little")
