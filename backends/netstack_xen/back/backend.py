"""The life of a vif, as its backend sees it: states in the store, of both ends, and what is done when they change.

Nothing is remembered but the state that was last written: whatever was heard of, `look` reads what stands there now, and goes on
from where it is. So a watch that fires twice or for nothing, or for two changes at once, makes no difference.

    frontend        backend
    1 Initialising  -> 2 InitWait, by way of 5 and 6 where there was a connection
    4 Connected     2 -> 4, when its rings are mapped and hotplug-status is "connected"
    5 Closing       -> 5, all given back          6 Closed -> 6
    7 Reconfiguring -> 8, without doing anything: nothing can be changed on the way
    no state        the frontend's domain is gone -> 6

A backend that finds a connection which it did not make (one before it has died) goes to 5, and waits for the frontend to do the
same: which pages that one still counts on, only it knows.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from netstack.errors import WireError

from .. import xenbus
from ..hypervisor import Hypervisor, Store
from ..xenbus import State

CONNECTED = "connected"


class Vif(Protocol):
    """What is connected. `carrier` is whether its link shall be up."""

    carrier: bool

    def connect(self, now: int) -> None:
        """Map and bind what the frontend has named. Raises WireError or OSError where that can't be, and has done nothing then."""

    def disconnect(self, now: "int | None") -> None:
        """Give all of it back. What has come by `now` is handed up before; with None it isn't."""

    def filter(self, wanted: bool) -> None:
        """Multicasts are to be sent only where they were asked for."""


class Backend:
    """`state` is what was last written; `trouble` says why a frontend was refused, or "". `there` is False when the folder of the
    device is gone, and so the device."""

    def __init__(
        self, hypervisor: Hypervisor, front: int, handle: int, vif: Vif, features: Mapping[str, str], writes_hotplug: bool
    ) -> None:
        self._hypervisor = hypervisor
        self._store: Store = hypervisor.store
        self._vif = vif
        self._features = features
        self._writes_hotplug = writes_hotplug
        self._front = front
        self.folder = xenbus.back_folder(hypervisor.domid, front, handle)
        self.other = xenbus.front_folder(front, handle)
        self.state = State.UNKNOWN
        self.there = False
        self.trouble = ""
        self._held = False  # connected, and not yet said
        self._dark = False  # `carrier` was written as 0
        self._watches: list[tuple[str, str]] = []

    def start(self, now: int) -> None:
        """Hear of changes from now on."""
        for path in (self.folder, f"{self.other}/state", f"{self.other}/request-multicast-control", "@releaseDomain"):
            try:
                self._store.watch(path, "vif")
            except PermissionError:  # of the death of domains not every domain hears; the toolstack says it too
                continue
            self._watches.append((path, "vif"))
        self.look(now)

    def look(self, now: int) -> None:
        """Go on as far as what stands in the store allows."""
        store = self._store
        text = store.read(f"{self.folder}/state")
        if text is None:
            self._vanish(now)
            return
        if not self.there:
            self._appear()
        theirs = xenbus.read_state(store, self.other)
        mine = xenbus.read_state(store, self.folder)
        if mine == State.CLOSING != self.state and xenbus.read_number(store, self.folder, "online", 1) == 0:
            self._leave(now)  # the toolstack wants it closed for good
            self.state = mine
        match theirs:
            case State.INITIALISING:
                self._begin(now)
            case State.CONNECTED:
                self._connect(now)
            case State.CLOSING:
                if self.state != State.CLOSED:
                    self._close(now)
            case State.CLOSED | State.UNKNOWN:
                self._close(now)
                self._switch(State.CLOSED)
            case State.RECONFIGURING if self.state == State.CONNECTED:
                self._switch(State.RECONFIGURED)
        if self.state in (State.CONNECTED, State.RECONFIGURED):
            self._vif.filter(xenbus.read_flag(store, self.other, "request-multicast-control"))

    def _appear(self) -> None:
        """The folder is there: say what can be done. Whatever state stands there, somebody else has written it."""
        other = self._store.read(f"{self.folder}/frontend")
        if other is not None:
            self.other = other
        self.there = True
        found = xenbus.read_state(self._store, self.folder)

        def change(t: Store) -> None:
            for key, value in self._features.items():
                t.write(f"{self.folder}/{key}", value)

        self._store.together(change)
        self.state = found
        if found in (State.CONNECTED, State.RECONFIGURED, State.RECONFIGURING):
            self._switch(State.CLOSING)

    def _vanish(self, now: int) -> None:
        self._leave(now)
        self.there = False
        self.state = State.UNKNOWN

    def _begin(self, now: int) -> None:
        if self.state in (State.CONNECTED, State.RECONFIGURED) or self._held:  # begins anew without having closed
            self._close(now)
        if self.state == State.CLOSING:
            self._switch(State.CLOSED)
        if self.state != State.INIT_WAIT:
            self.trouble = ""
            self._switch(State.INIT_WAIT)

    def _connect(self, now: int) -> None:
        if self.state in (State.UNKNOWN, State.INITIALISING):  # it has connected to one before us, and that one never saw it
            self._switch(State.INIT_WAIT)
        if self.state == State.RECONFIGURED:
            self._switch(State.CONNECTED)
        if self.state != State.INIT_WAIT:
            return
        if not self._held:
            try:
                self._vif.connect(now)
            except (WireError, OSError) as error:
                self.complain(str(error))
                self._switch(State.CLOSING)
                return
            self._held = True
        if self._writes_hotplug:
            self._write("hotplug-status", CONNECTED)
        if self._store.read(f"{self.folder}/hotplug-status") == CONNECTED:
            self._held = False
            self.trouble = ""
            if self._dark:
                self.tell_carrier(self._vif.carrier)
            self._switch(State.CONNECTED)

    def _close(self, now: int) -> None:
        self._leave(now)
        if self.state != State.CLOSED:
            self._switch(State.CLOSING)

    def _leave(self, now: "int | None") -> None:
        self._held = False
        self._vif.disconnect(now)

    def stop(self) -> None:
        """This backend ends. Another one may take its place: the folder stays."""
        for path, token in self._watches:
            self._quietly(lambda path=path, token=token: self._store.unwatch(path, token))  # type: ignore[misc]
        self._watches.clear()
        self._leave(None)
        if self.there:
            if self._writes_hotplug:
                self._quietly(lambda: self._store.remove(f"{self.folder}/hotplug-status"))
            for state in (State.CLOSING, State.CLOSED):
                self._quietly(lambda state=state: self._switch(state))  # type: ignore[misc]

    def complain(self, why: str) -> None:
        self.trouble = why
        xenbus.complain(self._store, self.folder, why)

    def tell_carrier(self, up: bool) -> None:
        """Whether the link is up, where the frontend sees it."""
        self._dark = not up
        self._write("carrier", str(int(up)))

    def _write(self, key: str, value: str) -> None:
        path = f"{self.folder}/{key}"
        if self.there and self._store.read(path) != value:
            self._store.write(path, value)

    def _switch(self, state: State) -> None:
        if self.state != state:
            self.state = state
            xenbus.switch(self._store, self.folder, state)

    @staticmethod
    def _quietly(step: "Callable[[], None]") -> None:
        """At the end nobody is helped by hearing that the store is gone."""
        try:
            step()
        except OSError:
            return
