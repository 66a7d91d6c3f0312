"""Xen: the netif."""

import errno
import logging
import select
from collections import deque
from collections.abc import Callable, Iterable
from typing import Self

from netstack import const
from netstack.address import Mac
from netstack.cores import NetifCore
from netstack.device.face import read_offload
from netstack.errors import UsageError
from netstack.instant import Instant

from .. import slots
from ..hypervisor import Hypervisor
from .connection import Connection
from .core import FrontCore
from .frontend import Frontend, Phase
from .queue import Queue
from .terms import Event, Offer, Wish

LOG = logging.getLogger("netstack.xen")
# done here where the back end doesn't
SOFTWARE = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4 | const.OFFLOAD_USO | const.OFFLOAD_GATHER
CARRIED = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4 | const.OFFLOAD_TSO6  # what Xen's rings have words for
QUEUES_MOST = 32
GROUPS_MOST = 64  # XEN_NETBK_MCAST_MAX of Linux
FAREWELL = 2.0  # seconds of silence until a back end is given up that should hear that we are closing; it takes milliseconds


class Xen(FrontCore):
    """The Ethernet interface `handle` of this domain."""

    __slots__ = (
        "_closed", "_connection", "_demanded", "_frontend", "_groups", "_handle", "_mac", "_mtu", "_now", "_own", "_storeless",
        "events",
    )  # fmt: skip

    def __init__(
        self,
        hypervisor: Hypervisor,
        handle: int = 0,
        *,
        queues: int = 1,
        split: bool = True,
        offload: "bool | str | None" = None,
        mac: "Mac | None" = None,
        steer: bool = True,
        groups: "Iterable[Mac] | None" = None,
        now: int = 0,
        own: bool = False,
    ) -> None:
        """`hypervisor` stays the caller's, who closes it after this; with `own` it is closed with this.

        queues    how many, where the back end has as many     split     a port for either direction, where it can do so
        offload   what is left to the back end, and taken from it: None for all, False for nothing, or some of "csum,tso4,tso6"
        mac       the stack's link address: the vif's own, unless another one is given
        steer     ask the back end to send flows by the queue by which they go
        groups    None: all multicasts come. Else those of these groups only, and of the ones told to `join`, as far as the back end
                  can tell them apart: the stack chooses from what comes in any case, so this saves work and nothing else

        It is there at once, and connected when the back end is. What happens to it is in `events`, and logged; frames that are sent
        while there is no connection are counted. Raises NoVif (an OSError), UsageError.
        """
        if not 1 <= queues <= QUEUES_MOST:
            raise UsageError(f"queues={queues} is not possible: ask for 1 to {QUEUES_MOST}")
        if mac is not None and mac.is_group:
            raise UsageError(f"{mac} is a group address: give the stack one of its own, like 00:16:3e:00:00:01")
        self._groups: set[Mac] | None = None
        if groups is not None:
            self._groups = set()
            for group in groups:
                self._check_group(group)
                self._groups.add(group)
        wanted = read_offload(offload)
        super().__init__(hypervisor)
        self._demanded = wanted.demanded
        self._closed = False
        self._own = own
        self._handle = handle
        self._now = now
        self._storeless = False
        self._connection: Connection | None = None
        self.events: deque[Event] = deque(maxlen=64)
        flags = wanted.flags & CARRIED
        self._frontend = Frontend(
            hypervisor,
            handle,
            Wish(queues=queues, split=split, gives=flags, takes=flags, steer=steer, filter=groups is not None),
            self.mib,
            joined=self._joined,
            parted=self._parted,
            carrier=self._set_up,
            tell=self._tell,
        )
        self._mac = mac or self._frontend.read_mac()
        self._mtu = self._frontend.read_mtu()
        try:
            self._frontend.start(now)
        except BaseException:
            self._frontend.abandon()
            raise
        self.due = self._frontend.deadline

    # -- told by the front end ---------------------------------------------------------------------------------------------------

    def _joined(self, connection: Connection, offer: Offer) -> None:
        wish = self._frontend.wish
        self._connection = connection
        self.gives = wish.gives
        self.takes = wish.takes & const.OFFLOAD_CSUM
        if offer.sg and offer.tso4 and self.takes:
            self.takes |= wish.takes & const.OFFLOAD_TSO4
        self.longest = slots.LONGEST if offer.sg else 4096
        self.fault = False
        self.queues = connection.queues
        for group in sorted(self._groups or ()) if offer.multicast else ():
            self._tell_group(slots.EXTRA_MCAST_ADD, group)
        self.prepare()

    def _parted(self) -> None:
        self.up = False
        self.queues = []
        self._connection = None

    def _set_up(self, up: bool) -> None:
        self.up = up

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        bad = event.what in ("lost", "refused", "slow", "removed", "short", "store", "groups")
        LOG.log(logging.WARNING if bad else logging.INFO, "%s", event.sentence)

    # -- multicast groups --------------------------------------------------------------------------------------------------------

    def _check_group(self, group: Mac) -> None:
        if self._groups is None:
            raise UsageError(f"{self.name} takes all multicasts: open it with groups=… to choose")
        if not group.is_group:
            raise UsageError(f"{group} is no group address: those have an odd first byte, like 01:00:5e:00:00:01")
        if len(self._groups) >= GROUPS_MOST and group not in self._groups:
            raise UsageError(f"{group} is one group too many: a back end knows {GROUPS_MOST}, so open {self.name} without groups")

    def join(self, group: Mac) -> None:
        """Multicasts to `group` shall come from now on. Raises UsageError where all do, or there are too many."""
        self._check_group(group)
        assert self._groups is not None
        self._groups.add(group)
        self._tell_group(slots.EXTRA_MCAST_ADD, group)

    def leave(self, group: Mac) -> None:
        """They need not come any more."""
        self._check_group(group)
        assert self._groups is not None
        if group in self._groups:
            self._groups.remove(group)
            self._tell_group(slots.EXTRA_MCAST_DEL, group)

    def _tell_group(self, what: int, group: Mac) -> None:
        if not self.queues:
            return  # all are told to the next connection
        queue = self.queues[0]
        number = int.from_bytes(bytes(group), "little")
        if queue.put_group(what, number) or (self.grow_tx(queue) and queue.put_group(what, number)):
            self.prepare()
            return
        self._tell(Event(self._now, "groups", f"{self.name} could not tell its back end of the group {group}: the ring is full"))

    # -- of the core -------------------------------------------------------------------------------------------------------------

    def grow_tx(self, q: Queue) -> bool:
        return self._grew(self._connection is not None and self._connection.grow_tx(q))

    def grow_rx(self, q: Queue) -> None:
        self._grew(self._connection is not None and self._connection.grow_rx(q))

    def _grew(self, grew: bool) -> bool:
        connection = self._connection
        if not grew and connection is not None and connection.short:
            self._tell(Event(self._now, "short", f"xen:{self._handle} {connection.short}"))
            connection.short = ""
        return grew

    def attend(self, now: int) -> bool:
        """See to the store, and to what the rings have brought to light."""
        if self._closed:
            raise OSError(errno.EBADF, f"{self.name} is closed")
        self._now = now
        frontend = self._frontend
        try:
            if self.fault:
                self.fault = False
                frontend.fault(now, "the back end has answered what can't be: see the Fatal counters")
            fired = self.hypervisor.store.fired()
            if fired or now >= frontend.deadline or frontend.steering is not None:
                frontend.step(now)
            self.due = frontend.deadline
            self._storeless = False
        except OSError as error:
            if not self._storeless:
                self._storeless = True
                self._tell(Event(now, "store", f"{self.name} goes on as it is: the store can't be asked ({error})"))
            self.due = now + const.SECOND
        if frontend.phase is Phase.GONE:
            raise OSError(errno.ENODEV, f"{self.name} was removed")
        return False

    # -- the Netif signature -----------------------------------------------------------------------------------------------------

    @property
    def core(self) -> NetifCore:
        return self

    @property
    def name(self) -> str:
        return f"xen:{self._handle}"

    @property
    def mac(self) -> Mac:
        return self._mac

    @property
    def mtu(self) -> int:
        return self._mtu

    @property
    def offload(self) -> int:
        """What `send` may be asked for, whoever does it: the same with each back end."""
        return SOFTWARE

    @property
    def phase(self) -> Phase:
        return self._frontend.phase

    @property
    def steered(self) -> bool:
        """Does each flow come by the queue by which it goes?"""
        steering = self._frontend.steering
        return steering is not None and steering.works

    def set_waker(self, waker: "Callable[[], None] | None") -> None:
        self.hypervisor.set_waker(waker)

    def fileno(self) -> "int | None":
        return None if self._closed else self.hypervisor.fileno()

    def next_deadline(self) -> "Instant | None":
        soonest = self.due
        # a loop comes back for more when the descriptor is still readable: one of event channels is not, once they were heard
        if self.again < soonest and self.fileno() is not None:
            soonest = self.again
        return None if soonest == const.NEVER else Instant(soonest)

    def close(self) -> None:
        """Leave the back end in order, and give back all that it had of us. Where the machine has a descriptor it waits for the
        back end to say that it has heard, and gives up after two seconds of silence. Closing it again does nothing."""
        if self._closed:
            return
        frontend = self._frontend
        try:
            frontend.close(self._now)
            fd = self.hypervisor.fileno()
            while frontend.phase is not Phase.GONE and fd is not None and select.select([fd], [], [], FAREWELL)[0]:
                self.hypervisor.pending()
                self.hypervisor.store.fired()
                frontend.step(self._now)
        except OSError:  # the store is gone: what we have is ours to give back all the same
            pass
        frontend.abandon()
        self._closed = True
        if self._own:
            self.hypervisor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Xen {self.name} {'closed' if self._closed else self._frontend.phase.value}>"
