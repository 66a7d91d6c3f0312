"""A netfront that lies: the other one of `hostile`."""

from contextlib import suppress

from netstack.signatures import Rng

from ..hypervisor import PAGE, Store
from . import layout
from .layout import CLOSED, CLOSING, CONNECTED, INIT_WAIT, INITIALISING, FrontRing
from .liar import Liar
from .machine import Machine
from .plainfront import FEATURES

KEYS: tuple[str, ...] = ("state", "request-rx-copy", "feature-sg", "feature-gso-tcpv4", "multi-queue-num-queues", "tx-ring-ref")
KEYS += ("rx-ring-ref", "event-channel", "ctrl-ring-ref", "event-channel-ctrl", "request-multicast-control", "mac")
PAGES, BUFFERS, BATCH = 32, 64, 60


class HostileQueue:
    def __init__(self, front: "HostileFront") -> None:
        self.front = front
        program, peer = front.program, front.peer
        self.rings = program.share(peer, 3)
        memory = self.rings.memory
        self.tx = FrontRing(memory[:PAGE], layout.TX_SLOT)
        self.rx = FrontRing(memory[PAGE : 2 * PAGE], layout.RX_SLOT)
        self.control = FrontRing(memory[2 * PAGE :], layout.CTRL_SLOT)
        memory.release()
        self.pages = program.share(peer, PAGES)
        self.buffers = program.share(peer, BUFFERS)
        self.ports = [program.allocate(peer) for _ in range(3)]
        self.posted = 0

    def keys(self) -> "dict[str, str]":
        tx, rx, control = (str(ref) for ref in self.rings.refs)
        ports = [str(port) for port in self.ports]
        names = ("tx-ring-ref", "rx-ring-ref", "ctrl-ring-ref", "event-channel-tx", "event-channel-rx", "event-channel-ctrl")
        return dict(zip(names, (tx, rx, control, *ports), strict=True))

    def end(self) -> None:
        for ring in (self.tx, self.rx, self.control):
            ring.end()
        program = self.front.program
        for pages in (self.rings, self.pages, self.buffers):
            program.unshare(pages)
        for port in self.ports:
            program.release(port)

    def send(self) -> None:
        """Frames of one slot and of several, with extras and without."""
        front, ring = self.front, self.tx
        ring.rsp_cons = ring.get(layout.RSP_PROD)
        room = ring.free
        for _ in range(front.number(BATCH)):
            slots = 1 + (front.number(18) if front.happens(0.2) else 0)
            extra = front.happens(0.1)
            if slots + extra > room:
                break
            room -= slots + extra
            front.frames += 1
            sizes = [front.number(800) + 14 for _ in range(slots)]
            total = sum(sizes)
            for n, size in enumerate(sizes):
                page = front.number(PAGES)
                self.pages.memory[page * PAGE : page * PAGE + 15] = b"\0\x16\x3e\0\0\1\0\x16\x3e\0\0\2\x08\0E"
                flags = layout.TX_MORE_DATA if n < slots - 1 else 0
                flags |= layout.TX_EXTRA_INFO if extra and not n else 0
                ref, offset, id_ = self.pages.refs[page], front.number(PAGE - size), front.short()
                length = total if not n else size
                if front.lie("tx ref"):
                    ref = front.rng.getrandbits(32) if front.happens(0.5) else self.pages.refs[0] - front.number(50)
                if front.lie("tx offset"):
                    offset = front.short()
                if front.lie("tx size"):
                    length = front.short()
                if front.lie("tx flags"):
                    flags = front.short()
                ring.put(layout.TX_REQUEST.pack(ref & layout.MASK, offset, flags, id_, length))
                if extra and not n:
                    kind = front.number(8) if front.lie("extra type") else 1 + front.number(4)
                    more = int(front.lie("extras without end"))
                    size = front.short() if front.lie("gso size") else 1000
                    gso = front.number(5) if front.lie("gso type") else layout.GSO_TCPV4
                    ring.put(layout.EXTRA.pack(kind, more, layout.GSO.pack(size, gso, 0, 0)))
        if front.lie("a page changes while it is read"):
            front.scribble(self.pages.memory)

    def post(self) -> None:
        """Buffers, as many as there is room for."""
        front, ring = self.front, self.rx
        ring.rsp_cons = ring.get(layout.RSP_PROD)
        for _ in range(min(ring.free, front.number(BUFFERS))):
            buffer = self.posted % BUFFERS
            self.posted += 1
            ref = self.buffers.refs[buffer]
            if front.lie("rx ref"):
                ref = front.rng.getrandbits(32)
            ring.put(layout.RX_REQUEST.pack(front.short() if front.lie("rx id") else buffer, 0, ref))

    def ask(self) -> None:
        front, ring = self.front, self.control
        ring.rsp_cons = ring.get(layout.RSP_PROD)
        for _ in range(min(ring.free, front.number(3))):
            data = [front.short() if front.happens(0.5) else front.rng.getrandbits(32) for _ in range(3)]
            if front.happens(0.5):
                data[0] = self.pages.refs[0]
            ring.put(layout.CTRL_REQUEST.pack(front.short(), front.number(13), *data))

    def lie_about_rings(self) -> None:
        front = self.front
        for ring, name in ((self.tx, "tx"), (self.rx, "rx"), (self.control, "control")):
            if front.lie(f"{name} producer leaps"):
                ring.req_prod += 1 + front.rng.getrandbits(front.number(32) + 1)
            if front.lie(f"{name} producer goes back"):
                ring.req_prod -= 1 + front.number(300)
            ring.req_prod &= layout.MASK
            if front.lie(f"{name} ring scribbled on"):
                front.scribble(ring.memory)
            if front.lie(f"{name} event"):
                ring.set((layout.RSP_EVENT, layout.REQ_EVENT, layout.RSP_PROD)[front.number(3)], front.rng.getrandbits(32))

    def push(self) -> None:
        for ring, port in zip((self.tx, self.rx, self.control), self.ports, strict=True):
            told = ring.push()
            ring.arm()
            if (told and not self.front.lie("notification left out")) or self.front.lie("notification for nothing"):
                with suppress(OSError):
                    self.front.program.notify(port)


class HostileFront(Liar):
    """`frames` counts those that it sent, good and bad; `deaths`, how often it was killed and came again."""

    def __init__(self, machine: Machine, domid: int, folder: str, rng: Rng, *, rate: float = 0.01, mortal: bool = True) -> None:
        super().__init__(rng, rate)
        self.machine, self.domid, self.folder, self.mortal = machine, domid, folder, mortal
        self.frames = self.deaths = 0
        self.start()

    def start(self) -> None:
        """A front end that finds the vif as another one left it."""
        self.program = self.machine.domain(self.domid)
        store = self.program.store
        self.backend = store.read(f"{self.folder}/backend") or ""
        self.peer = int(store.read(f"{self.folder}/backend-id") or 0)
        self.queues: list[HostileQueue] = []
        self.state = CLOSING
        store.write(f"{self.folder}/state", str(CLOSING))

    def _say(self, state: int) -> None:
        self.state = state
        self.program.store.write(f"{self.folder}/state", str(state))

    def turn(self) -> None:
        self.program.pending()
        self.program.store.fired()
        if self.mortal and self.happens(self.rate / 20):
            self.die()
        if self.lie("text"):
            self.write_nonsense(self.program.store, self.folder, KEYS)
        if self.happens(self.rate / 3) and self.lie("state"):
            self._say(self.number(12))
        if self.happens(self.rate / 10):
            self._say(CLOSING)
        self._follow()
        for queue in self.queues:
            queue.send()
            queue.post()
            queue.ask()
            queue.lie_about_rings()
            queue.push()

    def die(self) -> None:
        self.deaths += 1
        self.queues.clear()
        self.machine.kill(self.program)
        self.start()

    def _follow(self) -> None:
        """What a front end does by the back end's state."""
        text = self.program.store.read(f"{self.backend}/state") or "0"
        theirs = int(text) if text.isdigit() else 0
        if theirs == INIT_WAIT and self.state != CONNECTED:
            self._part()
            self._join()
        elif theirs == CLOSING and self.state != CLOSED:
            self._part()
            self._say(CLOSED)
        elif theirs == CLOSED and self.state != INITIALISING:
            self._part()
            self._say(INITIALISING)
        elif theirs == CONNECTED and (self.state not in (CONNECTED, CLOSING) or self.happens(0.02)):
            self._say(CLOSING)  # now and then without a reason: it may be that the vif is disabled

    def _join(self) -> None:
        try:
            queue = HostileQueue(self)
        except OSError:
            return  # what it shared before is still mapped: it has no more
        self.queues.append(queue)
        texts = dict.fromkeys(("request-rx-copy", *FEATURES), "1") | queue.keys()

        def change(within: Store) -> None:
            for name in within.list(self.folder) or ():
                if name not in ("backend", "backend-id", "handle", "mac", "trusted", "state"):
                    within.remove(f"{self.folder}/{name}")
            for name, text in texts.items():
                within.write(f"{self.folder}/{name}", self.text() if self.lie("feature") else text)

        self.program.store.together(change)
        queue.post()
        queue.push()
        self._say(CONNECTED)

    def _part(self) -> None:
        queues, self.queues = self.queues, []
        for queue in queues:
            queue.end()

    def close(self) -> None:
        self.queues.clear()
        self.machine.kill(self.program)
