"""A netfront in plain Python, as plain as it gets and watchful: what a back end is tried on where there is no Xen.

It stands on `hypervisor.py` alone and takes nothing from the drivers of this package, since it judges them. Of what a back end does
against the protocol, `complaints` keeps the words.

    front = PlainFront(machine.domain(1), "device/vif/0", receive=frames.append)
    front.poll(now)          # whenever something was told
    front.send(Unit(frame))
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress

from ..hypervisor import PAGE, Hypervisor, Store
from . import layout
from .layout import CLOSED, CLOSING, CONNECTED, INIT_WAIT, INITIALISING, FrontRing
from .units import Unit

FEATURES = ("feature-rx-notify", "feature-sg", "feature-gso-tcpv4", "feature-gso-tcpv6", "feature-ipv6-csum-offload")
TX_PAGES = 64


class FrontQueue:
    def __init__(self, front: "PlainFront", *, split: bool) -> None:
        self.front = front
        hypervisor, peer = front.hypervisor, front.peer
        self.rings = hypervisor.share(peer, 2)
        self.tx = FrontRing(self.rings.memory[:PAGE], layout.TX_SLOT)
        self.rx = FrontRing(self.rings.memory[PAGE:], layout.RX_SLOT)
        self.buffers = hypervisor.share(peer, self.rx.size)
        self.pages = hypervisor.share(peer, TX_PAGES, writable=False)
        self.tx_port = hypervisor.allocate(peer)
        self.rx_port = hypervisor.allocate(peer) if split else self.tx_port
        self.tx_free = deque(range(TX_PAGES))
        self.tx_out: dict[int, int] = {}  # id: status that is awaited; each has a page of its number
        self.nulls = 0  # answers to extras that are awaited
        self.posted: dict[int, int] = {}  # slot: buffer
        self.frame: list[bytes] | None = None
        self.first_flags = 0
        self.extras: dict[int, bytes] = {}
        self.failed = False
        self.statuses: list[int] = []
        for buffer in range(self.rx.size):
            self.post(buffer)

    def keys(self, *, split: bool) -> "dict[str, str]":
        texts = {"tx-ring-ref": str(self.rings.refs[0]), "rx-ring-ref": str(self.rings.refs[1])}
        if split:
            return texts | {"event-channel-tx": str(self.tx_port), "event-channel-rx": str(self.rx_port)}
        return texts | {"event-channel": str(self.tx_port)}

    def end(self) -> None:
        for ring in (self.tx, self.rx):
            ring.end()
        hypervisor = self.front.hypervisor
        for pages in (self.rings, self.buffers, self.pages):
            hypervisor.unshare(pages)
        for port in {self.tx_port, self.rx_port}:
            hypervisor.release(port)

    def post(self, buffer: int) -> None:
        slot = self.rx.put(layout.RX_REQUEST.pack(buffer, 0, self.buffers.refs[buffer]))
        self.posted[slot] = buffer

    # -- to the back end ---------------------------------------------------------------------------------------------------------

    def send(self, unit: Unit, size: int) -> bool:
        """In slots of `size` bytes at most; False when there is no room."""
        pieces = [unit.frame[at : at + size] for at in range(0, len(unit.frame), size)] or [b""]
        if len(self.tx_free) < len(pieces) or self.tx.free < len(pieces) + 1:
            return False
        for n, piece in enumerate(pieces):
            page = self.tx_free.popleft()
            self.pages.memory[page * PAGE : page * PAGE + len(piece)] = piece
            self.tx_out[page] = layout.RSP_OKAY
            flags = layout.TX_MORE_DATA if n < len(pieces) - 1 else 0
            if not n:
                flags |= layout.TX_CSUM_BLANK if unit.csum_blank else 0
                flags |= layout.TX_DATA_VALIDATED if unit.validated or unit.csum_blank else 0
                flags |= layout.TX_EXTRA_INFO if unit.gso_size else 0
            length = len(piece) if n else len(unit.frame)
            self.tx.put(layout.TX_REQUEST.pack(self.pages.refs[page], 0, flags, page, length))
            if not n and unit.gso_size:
                self.extra(layout.EXTRA_GSO, layout.GSO.pack(unit.gso_size, unit.gso_type, 0, 0))
        self.push()
        return True

    def extra(self, kind: int, text: bytes) -> None:
        self.tx.put(layout.EXTRA.pack(kind, 0, text))
        self.nulls += 1

    def push(self) -> None:
        if self.tx.push():
            self.front.hypervisor.notify(self.tx_port)

    def reap(self) -> None:
        while self._sane(self.tx, "tx"):
            while self.tx.answered:
                id_, status = layout.TX_RESPONSE.unpack_from(self.tx.take()[1])
                if status == layout.RSP_NULL:
                    self.nulls -= 1
                    if self.nulls < 0:
                        self.front.complain("an answer to an extra that was not sent")
                    continue
                if status not in (layout.RSP_OKAY, layout.RSP_ERROR, layout.RSP_DROPPED):
                    self.front.complain(f"tx status {status}")
                self.statuses.append(status)
                if self.tx_out.pop(id_, None) is None:
                    self.front.complain(f"tx response with id {id_}, which was not sent")
                else:
                    self.tx_free.append(id_)
            if not self.tx.arm():
                break

    def _sane(self, ring: FrontRing, name: str) -> bool:
        outstanding = (ring.req_prod - ring.rsp_cons) & layout.MASK
        if ring.answered > outstanding:
            self.front.complain(f"{ring.answered} {name} responses to {outstanding} requests")
            self.front.broken = True
        return not self.front.broken

    # -- from the back end -------------------------------------------------------------------------------------------------------

    def take(self) -> None:
        while self._sane(self.rx, "rx"):
            taken = False
            while self.rx.answered:
                self._take_slot(*self.rx.take())
                taken = True
            if taken and self.rx.push():
                self.front.hypervisor.notify(self.rx_port)
            if not self.rx.arm():
                break

    def _take_slot(self, slot: int, text: bytes) -> None:
        buffer = self.posted.pop(slot)
        if self.frame is not None and self.first_flags & layout.RX_EXTRA_INFO:
            kind, flags, words = layout.EXTRA.unpack(text)
            if not 0 < kind < layout.EXTRA_MAX or kind in self.extras:
                self.front.complain(f"rx extra of type {kind}")
            self.extras[kind] = words
            if not flags & layout.EXTRA_FLAG_MORE:
                self.first_flags &= ~layout.RX_EXTRA_INFO
        else:
            id_, offset, flags, status = layout.RX_RESPONSE.unpack(text)
            if id_ != buffer:
                self.front.complain(f"rx response with id {id_} in the slot of {buffer}")
            if status > 0 and offset + status > PAGE:
                self.front.complain(f"rx response of {status} bytes at {offset}")
                status = layout.RSP_ERROR
            if self.frame is None:
                self.frame, self.first_flags, self.extras, self.failed = [], flags, {}, False
            self.failed = self.failed or status <= 0
            self.frame.append(bytes(self.buffers.memory[buffer * PAGE + offset : buffer * PAGE + offset + max(status, 0)]))
            self.more = bool(flags & layout.RX_MORE_DATA)
        self.post(buffer)
        if not self.first_flags & layout.RX_EXTRA_INFO and not self.more:
            self._deliver()

    def _deliver(self) -> None:
        frame, self.frame = b"".join(self.frame or ()), None
        if self.failed:
            self.front.complain("rx error")
            return
        size = kind = 0
        if layout.EXTRA_GSO in self.extras:
            size, kind, _, _ = layout.GSO.unpack(self.extras[layout.EXTRA_GSO])
        hashed = None
        if layout.EXTRA_HASH in self.extras:
            form, _, value = layout.HASH.unpack(self.extras[layout.EXTRA_HASH])
            hashed = form << 32 | int.from_bytes(value, "little")
        blank, validated = bool(self.first_flags & layout.RX_CSUM_BLANK), bool(self.first_flags & layout.RX_DATA_VALIDATED)
        self.front.receive(Unit(frame, blank, validated, kind, size, hashed))


class PlainFront:
    """`receive` gets what comes. It connects as soon as the back end waits for it; `close` goes through Closing to Closed, as far
    as the back end follows; `hypervisor` stays the caller's."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        folder: str,
        *,
        receive: "Callable[[Unit], None]",
        queues: int = 1,
        split: bool = True,
        control: bool = False,
        features: "tuple[str, ...]" = FEATURES,
        texts: "dict[str, str] | None" = None,
    ) -> None:
        self.hypervisor, self.folder, self.receive = hypervisor, folder, receive
        self.wanted, self.split, self.features, self.texts = queues, split, features, texts or {}
        self.with_control = control
        store = hypervisor.store
        self.backend = store.read(f"{folder}/backend") or ""
        self.peer = int(store.read(f"{folder}/backend-id") or 0)
        self.state = INITIALISING
        self.queues: list[FrontQueue] = []
        self.complaints: list[str] = []
        self.broken = False
        self.answers: list[tuple[int, int, int, int]] = []  # id, type, status, data
        self._control: FrontRing | None = None
        self._closing = False
        self.token = f"plain {folder}"
        store.watch(f"{self.backend}/state", self.token)

    def complain(self, text: str) -> None:
        self.complaints.append(text)

    @property
    def store(self) -> Store:
        return self.hypervisor.store

    def _write_state(self, state: int) -> None:
        self.state = state
        self.store.write(f"{self.folder}/state", str(state))

    def backend_state(self) -> int:
        text = self.store.read(f"{self.backend}/state")
        return int(text) if text else 0

    def poll(self, now: int) -> None:
        self.hypervisor.pending()
        if self.store.fired():
            self._backend_changed()
        if self.broken:
            return
        for queue in self.queues:
            queue.reap()
            queue.take()
        self._take_answers()

    def _backend_changed(self) -> None:
        theirs = self.backend_state()
        if theirs == INIT_WAIT and self.state == INITIALISING:
            self.connect()
        elif theirs == CLOSING and self.state in (INITIALISING, CONNECTED):
            self._write_state(CLOSING)
        elif theirs == CLOSED and self._closing and self.state == CLOSED:
            self.drop()
        elif theirs in (CLOSING, CLOSED) and self._closing and self.state == CLOSING:
            self._write_state(CLOSED)
            self._backend_changed()

    def connect(self) -> None:
        self.queues = [FrontQueue(self, split=self.split) for _ in range(self.wanted)]
        texts = dict.fromkeys(("request-rx-copy", *self.features), "1") | self._share_control() | self.texts
        for number, queue in enumerate(self.queues):
            prefix = f"queue-{number}/" if len(self.queues) > 1 else ""
            texts |= {prefix + name: text for name, text in queue.keys(split=self.split).items()}
        if len(self.queues) > 1:
            texts["multi-queue-num-queues"] = str(len(self.queues))

        def change(within: Store) -> None:
            for name, text in texts.items():
                within.write(f"{self.folder}/{name}", text)

        self.store.together(change)
        for queue in self.queues:
            queue.rx.push()
        self._write_state(CONNECTED)

    def send(self, unit: Unit, queue: int = 0, *, size: int = PAGE) -> bool:
        return self.queues[queue].send(unit, size)

    def listen(self, address: bytes, *, wanted: bool = True) -> None:
        """A multicast address for the back end's list, by a frame that is none."""
        queue = self.queues[0]
        page = queue.tx_free.popleft()
        queue.tx_out[page] = layout.RSP_OKAY
        queue.tx.put(layout.TX_REQUEST.pack(queue.pages.refs[page], 0, layout.TX_EXTRA_INFO, page, 0))
        queue.extra(layout.EXTRA_MCAST_ADD if wanted else layout.EXTRA_MCAST_DEL, address)
        queue.push()

    # -- the control ring --------------------------------------------------------------------------------------------------------

    def _share_control(self) -> "dict[str, str]":
        if not self.with_control:
            return {}
        self.control_pages = self.hypervisor.share(self.peer, 2)
        self._control = FrontRing(self.control_pages.memory[:PAGE], layout.CTRL_SLOT)
        self.control_port = self.hypervisor.allocate(self.peer)
        return {"ctrl-ring-ref": str(self.control_pages.refs[0]), "event-channel-ctrl": str(self.control_port)}

    def ask(self, id_: int, kind: int, *data: int, page: bytes = b"") -> None:
        """A request in the control ring; `page` is put at the beginning of the page whose reference is `control_pages.refs[1]`."""
        assert self._control is not None
        self.control_pages.memory[PAGE : PAGE + len(page)] = page
        words = (*data, 0, 0, 0)[:3]
        self._control.put(layout.CTRL_REQUEST.pack(id_, kind, *words))
        if self._control.push():
            self.hypervisor.notify(self.control_port)

    def _take_answers(self) -> None:
        while self._control is not None:
            while self._control.answered:
                self.answers.append(layout.CTRL_RESPONSE.unpack_from(self._control.take()[1]))
            if not self._control.arm():
                break

    # -- the end -----------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closing, then Closed as the back end follows; the rest is done by `poll`."""
        self._closing = True
        self._write_state(CLOSING)
        self._backend_changed()

    def reopen(self) -> None:
        """After it was closed: at the beginning again."""
        self._closing = self.broken = False
        self._write_state(INITIALISING)
        self._backend_changed()

    def drop(self) -> None:
        """Give back all, whatever the back end has of it."""
        queues, self.queues = self.queues, []
        for queue in queues:
            queue.end()
        if self._control is not None:
            self._control.end()
            self._control = None
            self.hypervisor.unshare(self.control_pages)
            self.hypervisor.release(self.control_port)

    def end(self) -> None:
        self.drop()
        with suppress(OSError):
            self.store.unwatch(f"{self.backend}/state", self.token)
