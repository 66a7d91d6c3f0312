"""Ends of a vif that lie, by seeded dice: what our drivers must live with.

Each plays its part for most of the time, or nothing would ever get as far as the rings, and lies at a `rate` wherever there is an
occasion: texts that are no numbers, states that jump, answers to what was not asked, lengths and offsets over every border,
producers that leap and go back, packets that never end, extras out of place, memory that changes while it is read, notifications
for nothing, and death at any step. With a rate of 0 it keeps to the protocol, as far as somebody so simple can.

    back = HostileBack(machine, vif.backend, random.Random(seed))
    back.turn()
"""

from contextlib import suppress

from netstack.signatures import Rng

from ..hypervisor import COPIED, INTO_PAGE, ORDER, PAGE, Pages
from . import layout
from .layout import CLOSED, CLOSING, CONNECTED, INIT_WAIT, INITIALISING, Ring
from .liar import Liar
from .machine import Machine
from .strict import NUMBER, Offers

KEYS: tuple[str, ...] = ("state", "feature-sg", "feature-gso-tcpv4", "feature-rx-copy", "feature-split-event-channels")
KEYS += ("multi-queue-max-queues", "feature-ctrl-ring", "carrier", "mac", "feature-multicast-control", "online", "hotplug-status")
BATCH = 120  # buffers that are filled in a turn at most


class BackQueue:
    def __init__(self, back: "HostileBack", tx: Pages, rx: Pages, ports: "list[int]") -> None:
        self.back, self.pages, self.ports = back, (tx, rx), ports
        self.tx, self.rx = Ring(tx.memory, layout.TX_SLOT), Ring(rx.memory, layout.RX_SLOT)
        self.buffers: list[tuple[int, int]] = []  # (id, reference) that were seen

    def end(self) -> None:
        for ring in (self.tx, self.rx):
            ring.end()
        for pages in self.pages:
            self.back.program.unmap(pages)
        for port in self.ports:
            self.back.program.release(port)

    def answer(self) -> None:
        """What was sent: well, wrongly, twice, or not."""
        back, ring = self.back, self.tx
        for _ in range(min(ring.waiting, ring.size)):
            _, _, _, id_, _ = layout.TX_REQUEST.unpack(ring.request())
            ring.consume()
            status = layout.RSP_OKAY
            if back.lie("tx unanswered"):
                continue
            if back.lie("tx id"):
                id_ = back.short()
            if back.lie("tx status"):
                status = back.rng.getrandbits(16) - 0x8000
            ring.respond(layout.TX_RESPONSE.pack(id_, status))
            if back.lie("tx twice"):
                ring.respond(layout.TX_RESPONSE.pack(id_, status))

    def fill(self, most: int) -> None:
        """Frames of one slot and of several, with extras and without."""
        back, ring = self.back, self.rx
        count = min(ring.waiting, ring.size, back.number(most + 1))
        left = 0
        extras = 0
        for n in range(count):
            id_, _, ref = layout.RX_REQUEST.unpack(ring.request())
            ring.consume()
            if len(self.buffers) < 512:
                self.buffers.append((id_, ref))
            if extras:
                extras -= 1
                kind = back.number(8) if back.lie("extra type") else layout.EXTRA_GSO
                more = extras > 0 or back.lie("extras without end")
                size = back.short() if back.lie("gso size") else 1000
                gso = back.number(5) if back.lie("gso type") else layout.GSO_TCPV4
                ring.respond(layout.EXTRA.pack(kind, int(more), layout.GSO.pack(size, gso, 0, back.number(2))))
                continue
            first = not left
            if first:
                left = back.number(4) if back.happens(0.3) else 0
                back.frames += 1
            else:
                left -= 1
            flags = layout.RX_MORE_DATA if left and n < count - 1 else 0
            if first and back.happens(0.1) and n < count - 2:
                flags |= layout.RX_EXTRA_INFO | layout.RX_CSUM_BLANK | layout.RX_DATA_VALIDATED
                extras = 1
            if not flags & layout.RX_MORE_DATA and not extras:
                left = 0
            length = back.number(PAGE) + 1 if left or not first else back.number(1500) + 14
            offset = 0
            if back.lie("rx id"):
                id_ = back.short()
            if back.lie("rx offset"):
                offset = back.short()
            if back.lie("rx status"):
                length = back.short() - (0x10000 if back.happens(0.5) else 0)
            if back.lie("rx flags"):
                flags = back.short()
            length = max(-0x8000, min(length, 0x7FFF))
            ring.respond(layout.RX_RESPONSE.pack(id_, offset, flags, length))
            if back.happens(0.2):
                back.write_into(ref, b"\0\x16\x3e\0\0\1\0\x16\x3e\0\0\2\x08\0E" + bytes(40))

    def lie_about_rings(self) -> None:
        back = self.back
        for ring, name in ((self.tx, "tx"), (self.rx, "rx")):
            if back.lie(f"{name} producer leaps"):
                ring.rsp_prod += 1 + back.rng.getrandbits(back.number(32) + 1)
            if back.lie(f"{name} producer goes back"):
                ring.rsp_prod -= 1 + back.number(300)
            ring.rsp_prod &= layout.MASK
            if back.lie(f"{name} ring scribbled on"):
                back.scribble(ring.memory)
            if back.lie(f"{name} event"):
                ring.set(layout.REQ_EVENT, back.rng.getrandbits(32))
            if back.lie(f"{name} consumer's words overwritten"):
                ring.set((layout.REQ_PROD, layout.RSP_EVENT)[back.number(2)], back.rng.getrandbits(32))
        if self.buffers and back.lie("a buffer changes while it is read"):
            back.write_into(self.buffers[back.number(len(self.buffers))][1], back.rng.getrandbits(512).to_bytes(64, "little"))

    def push(self) -> None:
        for ring, port in ((self.tx, self.ports[0]), (self.rx, self.ports[-1])):
            told = ring.push()
            ring.arm()
            if (told and not self.back.lie("notification left out")) or self.back.lie("notification for nothing"):
                with suppress(OSError):
                    self.back.program.notify(port)


class HostileBack(Liar):
    """`frames` counts those that it put into buffers, good and bad; `deaths`, how often it was killed and came again."""

    def __init__(self, machine: Machine, folder: str, rng: Rng, *, rate: float = 0.01, mortal: bool = True) -> None:
        super().__init__(rng, rate)
        self.machine, self.folder, self.mortal = machine, folder, mortal
        self.frames = self.deaths = 0
        self.start()

    def start(self) -> None:
        """A back end that is new here, whatever was before."""
        self.program = self.machine.domain(0)
        store = self.program.store
        self.front = store.read(f"{self.folder}/frontend") or ""
        self.peer = int(store.read(f"{self.folder}/frontend-id") or 0)
        self.queues: list[BackQueue] = []
        self.state = INITIALISING
        self._say(INITIALISING)

    def _say(self, state: int) -> None:
        self.state = state
        self.program.store.write(f"{self.folder}/state", str(state))

    def _read(self, name: str) -> int:
        found = NUMBER.match(self.program.store.read(f"{self.front}/{name}") or "")
        return int(found[1]) if found else 0

    def turn(self) -> None:
        """Some of what it does."""
        self.program.pending()
        self.program.store.fired()
        if self.mortal and self.happens(self.rate / 20):
            self.die()
        if self.lie("text"):
            self.write_nonsense(self.program.store, self.folder, KEYS)
            self.state = 0
        if self.happens(self.rate / 3) and self.lie("state"):
            self.program.store.write(f"{self.folder}/state", str(self.number(12)))
            self.state = 0
        self._follow()
        for queue in self.queues:
            queue.answer()
            queue.fill(BATCH)
            queue.lie_about_rings()
            queue.push()

    def die(self) -> None:
        """By SIGKILL, at whatever it is; another one starts."""
        self.deaths += 1
        self.queues.clear()
        self.machine.kill(self.program)
        self.start()

    def _follow(self) -> None:
        """What a back end does by the front end's state."""
        theirs = self._read("state")
        if theirs == INITIALISING and self.state != INIT_WAIT:
            self._part()
            for name, text in Offers().features.items():
                self.program.store.write(f"{self.folder}/{name}", self.text() if self.lie("feature") else text)
            self.program.store.write(f"{self.folder}/multi-queue-max-queues", self.text() if self.lie("feature") else "4")
            self._say(INIT_WAIT)
        elif theirs == CONNECTED and self.state in (INIT_WAIT, 0) and not self.queues:
            try:
                self._join()
            except OSError:
                self._part()
            self._say(CONNECTED if self.queues else CLOSING)
        elif theirs == CONNECTED and self.state == 0:
            self._say(CONNECTED)
        elif theirs == CLOSING and self.state != CLOSING:
            self._part()
            self._say(CLOSING)
        elif theirs in (CLOSED, 0) and self.state != CLOSED:
            self._part()
            self._say(CLOSED)

    def _join(self) -> None:
        count = max(1, min(self._read("multi-queue-num-queues"), 4))
        for number in range(count):
            where = f"queue-{number}/" if count > 1 else ""
            pages = [self.program.map(self.peer, [self._read(f"{where}{name}-ring-ref")]) for name in ("tx", "rx")]
            names = ("event-channel-tx", "event-channel-rx") if self._read(f"{where}event-channel-tx") else ("event-channel",)
            ports = [self.program.bind(self.peer, self._read(where + name)) for name in names]
            self.queues.append(BackQueue(self, pages[0], pages[1], ports))

    def _part(self) -> None:
        queues, self.queues = self.queues, []
        if self.lie("never unmaps"):
            return
        for queue in queues:
            queue.end()

    def write_into(self, ref: int, data: bytes) -> None:
        """Into a page of the front end's, if it is still granted."""
        self.program.copy(self.peer, bytearray(ORDER.pack(ref, 0, len(data), 0, INTO_PAGE, COPIED)), 1, [data])

    def close(self) -> None:
        self.queues.clear()
        self.machine.kill(self.program)
