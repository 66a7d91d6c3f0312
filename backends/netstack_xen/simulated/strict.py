"""A netback in plain Python, as strict as Linux's: what a front end is tried on where there is no Xen.

It stands on `hypervisor.py` alone, so it also runs in a real domain 0, and takes nothing from the drivers of this package, since it
judges them. What Linux takes without a word, though it is against the protocol, is kept in `complaints`.

    back = StrictBack(machine.domain(0), vif.backend, receive=frames.append)
    back.poll(now)               # whenever `next_deadline` has come, or something was told
    back.send(Unit(frame), now)  # to the front end; cut and summed as far as it takes no offloads
"""

import re
from collections.abc import Callable
from contextlib import suppress

import attrs

from netstack.signatures import Rng

from ..hypervisor import COPIED, INTO_PAGE, ORDER, Hypervisor, Store
from . import layout
from .layout import CLOSED, CLOSING, CONNECTED, INIT_WAIT, INITIALISED, INITIALISING, RECONFIGURED, RECONFIGURING, Ring
from .steering import Steering
from .strictqueue import StrictQueue
from .units import Unit, headers, segments

SECOND = 10**9
DRAIN, DRAIN_POLLED, STALL = 10 * SECOND, SECOND * 30 // 1000, 60 * SECOND  # of Linux's module parameters
MULTICAST_MAX = 64  # XEN_NETBK_MCAST_MAX
NUMBER = re.compile(r"\s*([0-9]{1,10})")


@attrs.frozen
class Offers:
    """What stands in the back end's folder; Linux's own by default. None leaves a key out."""

    queues: "int | None" = 2
    features: "dict[str, str]" = attrs.field(
        factory=lambda: {
            "feature-sg": "1",
            "feature-gso-tcpv4": "1",
            "feature-gso-tcpv6": "1",
            "feature-ipv6-csum-offload": "1",
            "feature-rx-copy": "1",
            "feature-rx-flip": "0",
            "feature-multicast-control": "1",
            "feature-dynamic-multicast-control": "1",
            "feature-split-event-channels": "1",
            "feature-ctrl-ring": "1",
            "feature-xdp-headroom": "1",
        }
    )


class Refused(Exception):
    """The front end's words make no connection."""


class StrictBack:
    """`receive` gets what the front end sends. With `rng`, responses come in any order. `hypervisor` stays the caller's."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        folder: str,
        *,
        receive: "Callable[[Unit], None]",
        offers: "Offers | None" = None,
        rng: "Rng | None" = None,
    ) -> None:
        self.hypervisor, self.folder, self.receive, self.rng = hypervisor, folder, receive, rng
        self.offers = offers or Offers()
        self.queues: list[StrictQueue] = []
        self.said: list[str] = []
        self.complaints: list[str] = []
        self.counters: dict[str, int] = {}
        self.multicast: list[bytes] = []
        self.disabled = False
        self.gone = False
        self.state = INITIALISING
        self._waits_for_hotplug = False
        self._ctrl: Ring | None = None
        self._watches: list[tuple[str, str]] = []
        self._token = f"strict {folder}"
        self._forget_features()
        self.front = self._need("frontend")
        self.peer = int(self._need("frontend-id"))
        self._probe()

    # -- the store ---------------------------------------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        return self.hypervisor.store

    def _need(self, name: str) -> str:
        text = self.store.read(f"{self.folder}/{name}")
        if text is None:
            raise Refused(f"2 reading {name}")
        return text

    def _said(self, name: str, folder: "str | None" = None) -> "int | None":
        """What the front end wrote, as scanf reads a number."""
        text = None
        with suppress(OSError):
            text = self.store.read(f"{folder or self.front}/{name}")
        found = NUMBER.match(text or "")
        return None if found is None else int(found[1]) & layout.MASK

    def _wanted(self, name: str, folder: "str | None" = None) -> int:
        value = self._said(name, folder)
        if value is None:
            raise Refused(f"2 reading {folder or self.front}/{name}")
        return value

    def _watch(self, path: str) -> None:
        self.store.watch(path, self._token)
        self._watches.append((path, self._token))

    def _unwatch(self, path: str) -> None:
        if (path, self._token) in self._watches:
            self._watches.remove((path, self._token))
            self.store.unwatch(path, self._token)

    def _write_state(self, state: int) -> None:
        if self.store.read(f"{self.folder}/state") is not None:
            self.store.write(f"{self.folder}/state", str(state))

    def say(self, text: str) -> None:
        self.said.append(text)

    def complain(self, text: str) -> None:
        self.complaints.append(text)

    def count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1

    def _error(self, text: str) -> None:
        """xenbus_dev_fatal: an error node, and Closing."""
        self.say(text)
        own = self.folder.split("/", 4)
        self.store.write(f"/local/domain/{own[3]}/error/{own[4]}/error", text)
        self._write_state(CLOSING)

    def fatal(self, text: str) -> None:
        """The front end is taken for malicious: nothing works any more until it's closed and opened."""
        self.say(f"{text}; fatal error; disabling device")
        self.disabled = True

    # -- states ------------------------------------------------------------------------------------------------------------------

    def _probe(self) -> None:
        def change(within: Store) -> None:
            for name, text in self.offers.features.items():
                within.write(f"{self.folder}/{name}", text)
            if self.offers.queues is not None:
                within.write(f"{self.folder}/multi-queue-max-queues", str(self.offers.queues))

        self._write_state(INITIALISING)
        self.store.together(change)
        try:
            self._need("script")
            self._need("handle")
        except Refused as error:
            self._error(str(error))
            self._end(CLOSED)
            return
        self._watch(f"{self.front}/state")
        self._watch(self.folder)
        self._watch(f"{self.front}/request-multicast-control")

    def _switch(self, state: int) -> None:
        """Shown in the store only when no hotplug script is waited for."""
        self.state = state
        if not self._waits_for_hotplug:
            self._write_state(state)

    def _go(self, goal: int, now: int) -> None:
        """To `goal` by the shortest way: 1 -> 2 -> 4 -> 5 -> 6 -> 2."""
        while self.state != goal and not self.gone:
            if self.state in (INITIALISING, CLOSED):
                closing = goal in (CLOSED, CLOSING) if self.state == CLOSED else goal == CLOSED
                self._switch(goal if closing else INIT_WAIT)
            elif self.state == INIT_WAIT:
                if goal == CONNECTED:
                    self._connect(now)
                    self._switch(CONNECTED)  # even when it could not: so Linux goes on
                else:
                    self._switch(CLOSING)
            elif self.state == CONNECTED:
                self._disconnect()
                self._switch(CLOSING)
            else:
                self._switch(CLOSED)

    def _front_changed(self, now: int) -> None:
        state = self._said("state") or 0
        if state == INITIALISING:
            self._go(INIT_WAIT, now)
        elif state == INITIALISED:
            pass
        elif state == CONNECTED:
            self._go(CONNECTED, now)
        elif state == CLOSING:
            self._go(CLOSING, now)
        elif state in (CLOSED, 0):
            self._go(CLOSED, now)
            if state == 0 or self._said("online", self.folder) != 1:
                self._end(CLOSED)
        elif state == RECONFIGURING:
            if self._said("xdp-headroom"):
                self.complain("xdp-headroom, which is not played here")
            self._write_state(RECONFIGURED)
        else:
            self._error(f"22 saw state {state} at frontend")

    def _hotplug_changed(self) -> None:
        if self._waits_for_hotplug and self.store.read(f"{self.folder}/hotplug-status") == "connected":
            self._waits_for_hotplug = False
            self._unwatch(f"{self.folder}/hotplug-status")
            self._write_state(self.state)

    # -- connecting --------------------------------------------------------------------------------------------------------------

    def _forget_features(self) -> None:
        self.can_sg, self.gso, self.ip_csum, self.ipv6_csum = True, set[int](), True, False
        self.drain_timeout = DRAIN
        self.stall_timeout: int | None = STALL
        self.credit_bytes: int | None = None
        self.credit_time = 0
        self.next_credit = 0
        self.multicast_control = False

    def _read_features(self) -> None:
        if not self._said("request-rx-copy"):
            self.complain("no request-rx-copy: nothing of what the frontend takes is read")
            return
        if not self._said("feature-rx-notify"):
            self.drain_timeout, self.stall_timeout = DRAIN_POLLED, None
        self.can_sg = bool(self._said("feature-sg"))
        self.gso = {n for n, name in ((1, "feature-gso-tcpv4"), (2, "feature-gso-tcpv6")) if self._said(name)}
        self.ip_csum = not self._said("feature-no-csum-offload")
        self.ipv6_csum = bool(self._said("feature-ipv6-csum-offload"))

    def _connect(self, now: int) -> None:
        try:
            self._connect_all(now)
        except (Refused, OSError) as error:
            self._disconnect()
            self._error(str(error) if isinstance(error, Refused) else f"{error.errno} {error.strerror}")

    def _connect_all(self, now: int) -> None:
        wanted = self._said("multi-queue-num-queues")
        count = 1 if wanted is None else wanted
        most = self.offers.queues or 1
        if not 1 <= count <= most:
            raise Refused(f"22 guest requested {count} queues, but valid range is 1 - {most}.")
        if not re.fullmatch(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}", self.store.read(f"{self.folder}/mac") or ""):
            raise Refused(f"2 parsing {self.folder}/mac")
        self._forget_features()
        rate = re.fullmatch(r"([0-9]+),([0-9]+)", self.store.read(f"{self.folder}/rate") or "")
        if rate is not None:
            self.credit_bytes, self.credit_time = int(rate[1]), int(rate[2]) * 1000
        self.multicast_control = bool(self._said("request-multicast-control"))
        self._read_features()
        self._connect_control()
        self.disabled = False
        for number in range(count):
            self._connect_queue(number, self.front if count == 1 else f"{self.front}/queue-{number}", now)
        self._waits_for_hotplug = True
        self._unwatch(f"{self.folder}/hotplug-status")
        self._watch(f"{self.folder}/hotplug-status")  # fires at once: what was said before still counts

    def _connect_control(self) -> None:
        self.steering = Steering(lambda ref, length: self.fetch(ref, 0, length))
        ref = self._said("ctrl-ring-ref")
        if ref is None:
            return
        port = self._wanted("event-channel-ctrl")
        self._ctrl_pages = self.hypervisor.map(self.peer, [ref])
        self._ctrl = Ring(self._ctrl_pages.memory, layout.CTRL_SLOT)
        self._ctrl_port = -1
        self._ctrl_port = self.hypervisor.bind(self.peer, port)

    def _connect_queue(self, number: int, folder: str, now: int) -> None:
        refs = [self._wanted("tx-ring-ref", folder), self._wanted("rx-ring-ref", folder)]
        both = (self._said("event-channel-tx", folder), self._said("event-channel-rx", folder))
        split = None not in both
        theirs = both if split else (self._wanted("event-channel", folder),)
        hypervisor = self.hypervisor
        pages = []
        ports = []
        try:
            for ref in refs:
                pages.append(hypervisor.map(self.peer, [ref]))
            for port in theirs:
                ports.append(hypervisor.bind(self.peer, port or 0))
        except OSError:
            for mapped in pages:
                hypervisor.unmap(mapped)
            for port in ports:
                hypervisor.release(port)
            raise Refused(f"22 mapping shared-frames {refs[0]}/{refs[1]} port tx {theirs[0]} rx {theirs[-1]}") from None
        queue = StrictQueue(self, number, pages[0], pages[1], (ports[0], ports[-1]))
        self.queues.append(queue)
        queue.last_rx = queue.credit_since = now
        for ring in (queue.tx, queue.rx):
            if ring.waiting > ring.size:
                raise Refused(f"5 mapping shared-frames {refs[0]}/{refs[1]} port tx {theirs[0]} rx {theirs[-1]}")

    def _disconnect(self) -> None:
        queues, self.queues = self.queues, []
        for queue in queues:
            queue.end()
        self.multicast.clear()
        if self._ctrl is not None:
            self._ctrl.end()
            self._ctrl = None
            self.hypervisor.unmap(self._ctrl_pages)
            if self._ctrl_port >= 0:
                self.hypervisor.release(self._ctrl_port)

    def _end(self, state: int) -> None:
        """The device is gone for this driver."""
        if self.gone:
            return
        self.gone = True
        self._disconnect()
        for path, token in self._watches:
            with suppress(OSError):
                self.store.unwatch(path, token)
        self._watches.clear()
        self.state = state
        with suppress(OSError):
            self._write_state(state)

    def close(self) -> None:
        """As when the driver is taken off the device: Closed, and everything is given back."""
        self._end(CLOSED)

    def set_carrier(self, *, up: bool) -> None:
        """What other back ends than Linux's say of their link."""
        self.store.write(f"{self.folder}/carrier", str(int(up)))

    # -- at work -----------------------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return bool(self.queues) and not self.disabled

    @property
    def carrier(self) -> bool:
        """Whether the kernel would hand frames to the vif."""
        return self.connected and not any(queue.stalled for queue in self.queues)

    def poll(self, now: int) -> None:
        self.hypervisor.pending()
        fired = self.store.fired()
        if self.gone:
            return
        if fired:
            if self.store.read(f"{self.folder}/state") is None:
                self._end(CLOSED)
                return
            paths = {path for path, _ in fired}
            if f"{self.front}/state" in paths:
                self._front_changed(now)
            if f"{self.folder}/hotplug-status" in paths:
                self._hotplug_changed()
            if f"{self.front}/request-multicast-control" in paths:
                self.multicast_control = bool(self._said("request-multicast-control"))
        if self.next_credit and now >= self.next_credit:
            self.next_credit = 0
        self._answer_control()
        for queue in self.queues:
            queue.work(now)
            queue.fill(now)

    def _answer_control(self) -> None:
        ring = self._ctrl
        if ring is None or self.disabled:
            return
        while True:
            if ring.waiting > ring.size:
                self.fatal(f"Impossible number of requests: {ring.waiting} in the control ring")
                return
            while ring.waiting:
                id_, kind, one, two, three = layout.CTRL_REQUEST.unpack(ring.request())
                ring.consume()
                status, data = self.steering.answer(kind, (one, two, three), len(self.queues))
                ring.respond(layout.CTRL_RESPONSE.pack(id_, kind, status, data))
                if ring.push():
                    self.hypervisor.notify(self._ctrl_port)
            if not ring.arm():
                return

    def send(self, unit: Unit, now: int, queue: "int | None" = None) -> None:
        """To the front end, by the queue that its hash leads to."""
        if not self.carrier:
            self.count("rx_no_carrier")
            return
        frame = unit.frame
        if self.multicast_control and frame[0] & 1 and frame[:6] != b"\xff" * 6 and frame[:6] not in self.multicast:
            self.count("rx_multicast_filtered")
            return
        known = self.steering.hashed(frame)
        if queue is None:
            queue = self.steering.queue(known[1], len(self.queues)) if known is not None else sum(frame[26:38]) % len(self.queues)
        chosen = self.queues[queue % len(self.queues)]
        for piece in self._as_taken(unit):
            chosen.send(attrs.evolve(piece, hash=None if known is None else known[0] << 32 | known[1]), now)
        chosen.fill(now)

    def _as_taken(self, unit: Unit) -> "list[Unit]":
        """What the kernel does before it hands a frame to a device that takes less."""
        where = headers(unit.frame)
        takes_blank = where is not None and (self.ip_csum if where.version == 4 else self.ipv6_csum)
        if unit.gso_size and not (takes_blank and unit.gso_type in self.gso and self.can_sg):
            return [Unit(frame) for frame in segments(unit)]
        if unit.csum_blank and not takes_blank:
            return [Unit(next(segments(unit)))]
        if len(unit.frame) > 4096 and not self.can_sg:
            self.count("rx_too_long")
            return []
        return [unit]

    def listen(self, address: bytes, *, wanted: bool) -> bool:
        """A multicast address is added to the list, or taken off it; False where the list is full."""
        if not wanted:
            with suppress(ValueError):
                self.multicast.remove(address)
            return True
        if len(self.multicast) >= MULTICAST_MAX:
            return False
        self.multicast.append(address)
        return True

    def fetch(self, ref: int, offset: int, length: int) -> "bytes | None":
        """A grant copy; None where it isn't granted."""
        into = bytearray(length)
        return bytes(into) if self._copy(ref, offset, length, 0, into) else None

    def store_into(self, ref: int, offset: int, data: bytes) -> bool:
        return self._copy(ref, offset, len(data), INTO_PAGE, data)

    def _copy(self, ref: int, offset: int, length: int, which: int, memory: "bytes | bytearray") -> bool:
        order = bytearray(ORDER.pack(ref, offset, length, 0, which, COPIED))
        self.hypervisor.copy(self.peer, order, 1, [memory])
        return bool(ORDER.unpack(order)[5] == COPIED)

    def next_deadline(self) -> "int | None":
        deadlines = [deadline for queue in self.queues if (deadline := queue.next_deadline()) is not None]
        if self.next_credit:
            deadlines.append(self.next_credit)
        return min(deadlines, default=None)
