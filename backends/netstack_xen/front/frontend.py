"""How a front end comes to a connection, loses it, and comes to it again: a state machine without I/O but the store.

What it hears are watches and instants; each time it reads afresh what both folders say, and so it is no matter how often it was
told, or in which order. What it does about the states of both ends is one table, `STEPS`; beside it stand the things that end a
connection from outside (`_upheaval`): another domain number, another back end, a state of ours that we did not write, a folder that
is gone. So it is after resuming elsewhere (everything is new), when the toolstack makes the vif anew, and when another driver takes
it.

Whoever finds the vif in use begins by closing it: this program before it was killed, or the kernel's netfront, has left it so. Each
wait on the way down ends by itself, since a back end may be gone, or hold its answer back until its hotplug script has run. The
rings are not looked at any more from the moment when we decide to close; pages and ports are given back when the back end says that
it has closed, or has had its time. They are never used again: who still has them mapped then writes into pages that the machine
keeps for him.

    ABSENT      no folder, or no back end in it          WAITING     we are at 1, the back end shall come to 2
    CONNECTING  we are at 4, it shall come to 4          CONNECTED   both are
    CLOSING     we are at 5, it shall come to 5 or 6     CLOSED      we are at 6, it shall come to 6: then we begin again
    GONE        the toolstack has removed the vif, or we were closed: nothing follows
"""

import contextlib
from collections.abc import Callable
from enum import Enum

from netstack import const
from netstack.address import Mac
from netstack.errors import NetstackError

from .. import xenbus
from ..hypervisor import Hypervisor, Store
from ..mib import FrontMib
from ..wire import MTU
from ..xenbus import State
from .connection import Connection, NoPages
from .control import Steering
from .terms import Event, Offer, Wish, read_offer

PATIENCE = 5 * const.SECOND  # for each step down: a busy domain 0 takes its time, one that is gone for ever longer
SLOW = 10 * const.SECOND  # to connect; then the user is told what is missing, and we wait on
PAUSE_LEAST = const.SECOND // 2  # after a connection that was refused or ended by a fault; doubled each time
PAUSE_MOST = 30 * const.SECOND
STEADY = 60 * const.SECOND  # a connection of this age has earned a quick return
TOKEN = "netfront"


class NoVif(NetstackError, OSError):
    """There is no such interface; the message says where one was looked for."""


class Phase(Enum):
    ABSENT = "absent"
    WAITING = "waiting for the back end"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSING = "closing"
    CLOSED = "closed"
    GONE = "gone"


class Frontend:
    """`joined` is called with a Connection and an Offer when there is one, `parted` when it has ended and before pages go,
    `carrier` when the link goes up or down; `tell` with each Event."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        handle: int,
        wish: Wish,
        mib: FrontMib,
        *,
        joined: Callable[[Connection, Offer], None],
        parted: Callable[[], None],
        carrier: Callable[[bool], None],
        tell: Callable[[Event], None],
    ) -> None:
        self.hypervisor = hypervisor
        self.handle = handle
        self.wish = wish
        self.mib = mib
        self.phase = Phase.ABSENT
        self.connection: Connection | None = None
        self.steering: Steering | None = None
        self.up = False
        self.deadline = const.NEVER
        self._joined, self._parted, self._carrier, self._tell = joined, parted, carrier, tell
        self._domid = -1
        self._front = ""
        self._back = ""
        self._peer = -1
        self._wrote = State.UNKNOWN
        self._offer: Offer | None = None
        self._pause = PAUSE_LEAST
        self._not_before = 0
        self._since = 0
        self._leaving = False  # for good: closed by us, or removed
        self._watched: list[str] = []
        self._slow_told = False

    # -- the folders -------------------------------------------------------------------------------------------------------------

    @property
    def front(self) -> str:
        return xenbus.front_folder(self.hypervisor.domid, self.handle)

    def read_mac(self) -> Mac:
        """Raises NoVif where there is no such interface."""
        text = self.hypervisor.store.read(f"{self.front}/mac")
        if text is None:
            there = self.hypervisor.store.list(self.front.rpartition("/")[0]) or ()
            others = f"there is {', '.join(f'xen:{name}' for name in there)}" if there else "it has none at all"
            raise NoVif(2, f"this domain has no network interface {self.handle} ({self.front} of the store has no mac): {others}")
        return Mac.parse(text.strip())

    def read_mtu(self) -> int:
        return xenbus.read_number(self.hypervisor.store, self.front, "mtu", MTU, 68, 65521)

    def _watch(self, path: str) -> None:
        if path not in self._watched:
            self.hypervisor.store.watch(path, TOKEN)
            self._watched.append(path)

    def _unwatch(self, *keep: str) -> None:
        for path in [path for path in self._watched if path not in keep]:
            self._watched.remove(path)
            try:
                self.hypervisor.store.unwatch(path, TOKEN)
            except OSError:  # the store is gone, or was another's before we were resumed
                continue

    # -- in and out --------------------------------------------------------------------------------------------------------------

    def start(self, now: int) -> None:
        """Look at what there is, and go on from there."""
        store = self.hypervisor.store
        self._domid = self.hypervisor.domid
        self._front = self.front
        self._watch(self._front)
        self._back = (store.read(f"{self._front}/backend") or "").strip()
        self._peer = xenbus.read_number(store, self._front, "backend-id", -1, 0, 0x7FFF)
        state = xenbus.read_state(store, self._front)
        if not self._back.startswith("/") or self._peer < 0 or state == State.UNKNOWN:
            self._unwatch(self._front)
            self._enter(Phase.ABSENT, const.NEVER)
            return
        self._unwatch(self._front, self._back)
        self._watch(self._back)
        self._wrote = state
        if state in (State.INITIALISING, State.INIT_WAIT, State.INITIALISED):
            self._write(State.INITIALISING)
            self._enter(Phase.WAITING, now + SLOW)
        else:
            self._say(now, "found", f"was left {state.name.lower()} by whoever had it before: it is closed and opened again")
            self._close(now)
        self.step(now)

    def step(self, now: int) -> None:
        """Something may have changed, or it's time."""
        for _ in range(16):  # each turn is a step of the table; a store that changes at each look must not hold us here
            if self.phase is Phase.GONE or self._upheaval(now):
                return
            before = self.phase
            if self.phase is not Phase.ABSENT:
                back = xenbus.read_state(self.hypervisor.store, self._back)
                STEPS[self.phase](self, back, now)
            if self.phase is before:
                return

    def close(self, now: int) -> None:
        """For good: in order, which takes the back end's answers. `abandon` ends it at once."""
        self._leaving = True
        if self.phase in (Phase.CONNECTED, Phase.CONNECTING):
            self._close(now)
            self.step(now)
        elif self.phase not in (Phase.CLOSING, Phase.CLOSED):
            self._end(now, "closed", "is closed")

    def abandon(self) -> None:
        """Whatever the other end does: nothing of ours is left."""
        self._drop()
        if self.phase in (Phase.CLOSING, Phase.CONNECTED, Phase.CONNECTING):
            with contextlib.suppress(OSError):
                self._write(State.CLOSED)
        self._unwatch()
        self.phase = Phase.GONE
        self.deadline = const.NEVER

    def fault(self, now: int, sentence: str) -> None:
        """The other end has lied: leave, and come back after a pause."""
        if self.phase is Phase.CONNECTED:
            self._lose(now, sentence)
            xenbus.complain(self.hypervisor.store, self._front, sentence)
            self._close(now)
            self.step(now)

    # -- what ends a connection from outside -------------------------------------------------------------------------------------

    def _upheaval(self, now: int) -> bool:
        """Is this not the vif any more that we knew? Then begin anew; True."""
        store = self.hypervisor.store
        if self.hypervisor.domid != self._domid:
            why = f"this domain was resumed as number {self.hypervisor.domid}"
        else:
            state = xenbus.read_state(store, self._front)
            if state == State.UNKNOWN:
                if self.phase is Phase.ABSENT:
                    return False
                why = "its folder in the store was removed"
            elif self.phase is Phase.ABSENT:
                why = ""
            elif (store.read(f"{self._front}/backend") or "").strip() != self._back:
                why = "it has another back end"
            elif state != self._wrote and state not in (State.RECONFIGURING, State.RECONFIGURED):
                why = "somebody else has written its state: it was made anew, as after resuming, or another driver has taken it"
            else:
                return False
        if why:
            self._lose(now, why)
        self._drop()
        if self._leaving:
            self._end(now, "closed", "is closed")
            return True
        if self.phase is Phase.ABSENT and not why and not store.read(f"{self._front}/backend"):
            return False
        self._not_before = 0
        self.start(now)
        return True

    # -- the table ---------------------------------------------------------------------------------------------------------------

    def _waiting(self, back: State, now: int) -> None:
        if self._leaving:
            self._end(now, "closed", "is closed")
        elif back == State.INIT_WAIT:
            self._connect(now)
        elif back in (State.CONNECTED, State.INITIALISED):  # of an earlier life of ours
            self._close(now)
        elif self._is_removed(back):
            self._end(now, "removed", "was removed")
        else:
            self._slow(now, f"waits for its back end, which is {back.name.lower()}")

    def _connecting(self, back: State, now: int) -> None:
        if back == State.CONNECTED:
            self._settle(now)
        elif back in (State.CLOSING, State.CLOSED, State.UNKNOWN):
            error = self._back_error()
            self._later(now)
            self._say(now, "refused", f"the back end has refused the connection{error and ': ' + error}")
            self._close(now)
        elif now >= self.deadline:
            status = self.hypervisor.store.read(f"{self._back}/hotplug-status")
            hint = "" if status == "connected" else f": its hotplug script has not said connected (hotplug-status is {status})"
            self._slow(now, f"waits for the back end to connect{hint}")

    def _connected(self, back: State, now: int) -> None:
        if back != State.CONNECTED and back not in (State.RECONFIGURING, State.RECONFIGURED):
            if self._is_removed(back):
                self._close(now)
                return
            if back == State.UNKNOWN:
                why = "its back end has disappeared"
            elif back in (State.CLOSING, State.CLOSED):
                why = "its back end has closed"
            else:
                why = "its back end was restarted"
            self._lose(now, why)
            self._close(now)
            return
        up = xenbus.read_flag(self.hypervisor.store, self._back, "carrier", True)
        if up != self.up:
            self.up = up
            if not up:
                self.mib.CarrierLost += 1
            self._carrier(up)
            self._say(now, "carrier", f"the link is {'up' if up else 'down'}, says the back end")
        if self.steering is not None:
            self.steering.step(now)
            self._note_steering(now)

    def _closing(self, back: State, now: int) -> None:
        # not at INIT_WAIT: one that waits for its hotplug script shows that, and nothing else, whatever it does
        if back in (State.CLOSING, State.CLOSED, State.UNKNOWN) or now >= self.deadline:
            self._write(State.CLOSED)
            self._enter(Phase.CLOSED, now + PATIENCE)

    def _closed(self, back: State, now: int) -> None:
        if back in (State.CLOSED, State.UNKNOWN, State.INITIALISING) or now >= self.deadline:
            self._drop()
            if self._is_removed(back):
                self._end(now, "removed", "was removed")
            elif self._leaving:
                self._end(now, "closed", "is closed")
            elif now < self._not_before:
                self.deadline = self._not_before
            elif back == State.UNKNOWN:
                self.deadline = const.NEVER  # its watch tells when there is one again
            else:
                self._forget_keys()
                self._write(State.INITIALISING)
                self._enter(Phase.WAITING, now + SLOW)

    # -- steps -------------------------------------------------------------------------------------------------------------------

    def _enter(self, phase: Phase, deadline: int) -> None:
        self.phase = phase
        self.deadline = deadline
        self._slow_told = False

    def _write(self, state: State) -> None:
        self._wrote = state
        xenbus.switch(self.hypervisor.store, self._front, state)

    def _connect(self, now: int) -> None:
        offer = self._offer = read_offer(self.hypervisor, self._back)
        wish = self.wish
        queues = min(wish.queues, offer.queues)
        if queues < wish.queues:
            self._say(now, "short", f"has {queues} of {wish.queues} queues: its back end has no more")
        self._drop()
        try:
            self.connection = Connection(
                self.hypervisor,
                self._peer,
                queues,
                split=wish.split and offer.split,
                control=wish.steer and offer.control and queues > 1,
                mib=self.mib,
            )
            keys = self.connection.keys()
            keys |= {"request-rx-copy": "1", "feature-rx-notify": "1", "feature-sg": "1"}
            keys["feature-no-csum-offload"] = "0" if wish.gives & const.OFFLOAD_CSUM else "1"
            keys["feature-ipv6-csum-offload"] = "1" if wish.gives & const.OFFLOAD_CSUM else "0"
            keys["feature-gso-tcpv4"] = "1" if wish.gives & const.OFFLOAD_TSO4 else "0"
            keys["feature-gso-tcpv6"] = "1" if wish.gives & const.OFFLOAD_TSO6 else "0"
            if wish.filter and offer.multicast:  # one that doesn't know it sends all of them
                keys["request-multicast-control"] = "1"
            self._publish(keys)
        except OSError as error:
            self._drop()
            self._later(now)
            self._enter(Phase.CLOSED, self._not_before)
            self._write(State.CLOSED)
            self._say(now, "refused", str(error) if isinstance(error, NoPages) else f"can't be connected: {error}")
            return
        self._enter(Phase.CONNECTING, now + SLOW)

    def _publish(self, keys: dict[str, str]) -> None:
        """Our side of the connection, and state 4, at once: half of it must never be seen."""
        front = self._front

        def change(t: Store) -> None:
            for key, value in keys.items():
                t.write(f"{front}/{key}", value)
            t.write(f"{front}/state", str(int(State.CONNECTED)))

        self.hypervisor.store.together(change)
        self._wrote = State.CONNECTED

    def _forget_keys(self) -> None:
        """What an earlier connection has said, which the next one may not say again."""
        front = self._front
        store = self.hypervisor.store
        old = [
            key
            for key in store.list(front) or ()
            if key.startswith(("queue-", "feature-", "request-", "event-channel", "multi-queue-")) or key.endswith("-ring-ref")
        ]

        def change(t: Store) -> None:
            for key in old:
                t.remove(f"{front}/{key}")

        if old:
            store.together(change)

    def _settle(self, now: int) -> None:
        connection, offer = self.connection, self._offer
        assert connection is not None
        assert offer is not None
        self._enter(Phase.CONNECTED, const.NEVER)
        self._since = now
        self.mib.Connects += 1
        self.up = xenbus.read_flag(self.hypervisor.store, self._back, "carrier", True)
        self._joined(connection, offer)
        self._carrier(self.up)
        n = len(connection.queues)
        self._say(
            now,
            "connected",
            f"is connected to domain {self._peer}, with {n} queue{'s' if n > 1 else ''}{'' if self.up else ', and no link yet'}",
        )
        if connection.short:
            self._say(now, "short", connection.short)
        if connection.control_page is not None:
            self.steering = Steering(self.hypervisor, connection, self.mib)
            self.steering.begin(now)

    def _note_steering(self, now: int) -> None:
        steering = self.steering
        if steering is not None:
            self.deadline = steering.deadline
            if steering.outcome and not steering.told:
                steering.told = True
                self._say(now, "steering", steering.outcome)

    def _close(self, now: int) -> None:
        self._part()
        self._write(State.CLOSING)
        self._enter(Phase.CLOSING, now + PATIENCE)

    def _part(self) -> None:
        """Look at the rings no more."""
        self.up = False
        self.steering = None
        self._parted()

    def _drop(self) -> None:
        """Give back all that the connection had."""
        self._part()
        connection, self.connection = self.connection, None
        if connection is not None:
            self.mib.OutDown += connection.close()

    def _lose(self, now: int, why: str) -> None:
        if self.phase is Phase.CONNECTED:
            self.mib.Losses += 1
            if now - self._since >= STEADY:
                self._pause = PAUSE_LEAST
            if self._leaving:
                return
            self._later(now)
            self._say(now, "lost", f"has lost its connection: {why}")

    def _later(self, now: int) -> None:
        self._not_before = now + self._pause
        self._pause = min(2 * self._pause, PAUSE_MOST)

    def _end(self, now: int, what: str, sentence: str) -> None:
        self._drop()
        self._unwatch()
        self._enter(Phase.GONE, const.NEVER)
        self._say(now, what, sentence)

    def _is_removed(self, back: State) -> bool:
        """The toolstack wants the vif away, and has said so."""
        if back not in (State.CLOSING, State.CLOSED):
            return False
        return self.hypervisor.store.read(f"{self._back}/online") == "0"

    def _back_error(self) -> str:
        domain, _, device = self._back.partition("/backend/")
        try:
            return self.hypervisor.store.read(f"{domain}/error/backend/{device}/error") or ""
        except OSError:  # it is the back end's, and we may not look
            return ""

    def _slow(self, now: int, sentence: str) -> None:
        if now >= self.deadline:
            self.deadline = const.NEVER
            if not self._slow_told:
                self._slow_told = True
                self._say(now, "slow", sentence)

    def _say(self, now: int, what: str, sentence: str) -> None:
        self._tell(Event(now, what, f"xen:{self.handle} {sentence}"))


STEPS: dict[Phase, Callable[[Frontend, State, int], None]] = {
    Phase.WAITING: Frontend._waiting,
    Phase.CONNECTING: Frontend._connecting,
    Phase.CONNECTED: Frontend._connected,
    Phase.CLOSING: Frontend._closing,
    Phase.CLOSED: Frontend._closed,
}
