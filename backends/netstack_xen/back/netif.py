"""XenBack: the netif."""

import errno
from collections.abc import Callable, Sequence
from typing import Self

from netstack import const
from netstack.address import Mac
from netstack.cores import NetifCore
from netstack.errors import NetstackError, UsageError
from netstack.instant import MILLISECOND, SECOND, Instant

from .. import slots, wire, xenbus
from ..hypervisor import Hypervisor
from ..xenbus import State
from . import settings
from .backend import Backend
from .connection import Connection
from .control import SLOT, ControlDesk
from .core import BackCore
from .intake import ALL
from .lane import Lane
from .steering import Steering

OWN = Mac(0xFEFFFFFFFFFF)  # of what is behind a vif, as Linux has it: no guest has it, so it differs from the frontend's
OFFLOAD = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4 | const.OFFLOAD_USO | const.OFFLOAD_GATHER  # done here where the frontend doesn't

DRAIN = 10 * SECOND  # rx_drain_timeout_msecs of Linux's netback: after that what is on its way is of no use to anybody
STALL = 60 * SECOND  # rx_stall_timeout_msecs
BRIEF = 30 * MILLISECOND  # how long a frame waits where the frontend doesn't say that it has given buffers
LOOK = 5 * MILLISECOND  # how often is looked whether it has

QUEUES = 4


class VifUnavailable(NetstackError, OSError):
    """There is no such vif, or no Xen; the message says what to do."""


class XenBack(BackCore):
    """The network of one frontend, on which the stack is the other host: a driver domain in Python.

    It connects and disconnects as the frontend comes and goes, and carries nothing meanwhile; `trouble` says why, where it knows.
    """

    __slots__ = (
        "_again",
        "_backend",
        "_connection",
        "_gone",
        "_looked",
        "_mac",
        "_mtu",
        "_name",
        "_notifies",
        "_own",
        "_queues",
        "_wait",
    )

    def __init__(
        self,
        hypervisor: Hypervisor,
        front: int,
        handle: int = 0,
        *,
        now: Instant,
        mac: "Mac | None" = None,
        mtu: "int | None" = None,
        queues: int = QUEUES,
        split: bool = True,
        control: bool = True,
        gso: bool = True,
        hotplug: bool = True,
        wait: bool = False,
        own: bool = False,
    ) -> None:
        """The vif `handle` of the domain `front`, whose folders the toolstack has made (`xl network-attach … backend=`).
        `hypervisor` stays the caller's, who closes it after this and lets nobody else listen to it; with `own` it is closed with
        this.

        mac       the stack's link address                    mtu    what the toolstack has said, or 1500
        queues    how many the frontend may have              split  may it have ports for each direction
        control   may it steer its frames                     gso    take super-segments from it
        hotplug   write hotplug-status here, as a script does for a kernel's backend; False waits for one
        wait      for the vif to be there, and to come again when it was removed

        Raises VifUnavailable where there is no such vif, UsageError for what can't be.
        """
        if not 1 <= queues <= 64:
            raise UsageError(f"queues={queues} is not possible: a vif has 1 to 64")
        if mac is not None and mac.is_group:
            raise UsageError(f"{mac} is a group address: give the stack one of its own, like 02:00:00:00:00:01")
        if mtu is not None and not 68 <= mtu <= slots.LONGEST - const.ETH_HEADER:
            raise UsageError(
                f"mtu={mtu} is not possible: a vif carries datagrams of 68 to {slots.LONGEST - const.ETH_HEADER} bytes"
            )
        super().__init__(hypervisor, front)
        self._name = f"vif{front}.{handle}"
        self._gone = False
        self._connection: Connection | None = None
        self._notifies = True
        self._looked = 0
        self._again = const.NEVER
        self._mac = OWN if mac is None else mac
        self._queues = queues
        self._wait = wait
        self._own = own
        said = settings.features(queues, split, control, gso)
        self._backend = Backend(hypervisor, front, handle, self, said, hotplug)
        if mtu is None:
            mtu = xenbus.read_number(hypervisor.store, xenbus.front_folder(front, handle), "mtu", wire.MTU, 68, slots.LONGEST - 14)
        self._mtu = mtu
        if not wait and hypervisor.store.read(f"{self._backend.folder}/state") is None:
            raise VifUnavailable(
                2, f"domain {hypervisor.domid} has no backend for vif {handle} of domain {front}: `xl network-attach {front} "
                f"backend={hypervisor.domid}` makes one, and wait=yes waits for it"
            )  # fmt: skip
        self._backend.start(now)

    # -- what the states ask for: backend.Vif --------------------------------------------------------------------------------------

    def connect(self, now: int) -> None:
        wanted = settings.read(self.hypervisor.store, self._backend.other, self._queues)
        connection = Connection(self.hypervisor, self.front)
        lanes: list[Lane] = []
        desk: ControlDesk | None = None
        steering = Steering(len(wanted.queues))
        try:
            for keys in wanted.queues:
                tx = connection.ring(keys.tx_ref, slots.TX)
                rx = connection.ring(keys.rx_ref, slots.RX)
                tx_port = connection.port(keys.tx_port)
                rx_port = tx_port if keys.rx_port == keys.tx_port else connection.port(keys.rx_port)
                lanes.append(Lane(len(lanes), tx, rx, tx_port, rx_port, now))
            if wanted.control is not None:
                ref, port = wanted.control
                ring = connection.ring(ref, SLOT)
                desk = ControlDesk(self.hypervisor, self.front, ring, connection.port(port), steering, self.mib)
        except BaseException:
            self.mib.Refusals += 1
            connection.close()
            raise
        self.forget()
        self._connection = connection
        self._notifies = wanted.notifies
        self.blank4, self.blank6, self.pieces = wanted.blank4, wanted.blank6, wanted.pieces
        self.gso4, self.gso6, self.filtered = wanted.gso4, wanted.gso6, wanted.filtered
        self.drain, self.stall = (DRAIN, STALL) if wanted.notifies else (BRIEF, 0)
        self.steering = steering
        self.control = desk
        self.lanes = lanes
        self.mib.Connects += 1

    def disconnect(self, now: "int | None" = None) -> None:
        connection = self._connection
        if connection is not None and now is not None:
            self.drink_up(now)
        if connection is None or connection is not self._connection:  # or somebody above has closed the vif meanwhile
            return
        self._connection = None
        self.purge()
        self.forget()
        connection.close()

    def filter(self, wanted: bool) -> None:
        self.filtered = wanted

    def complain(self, why: str) -> None:
        self._backend.complain(why)
        self._backend.tell_carrier(False)

    def hear(self, fired: "Sequence[tuple[str, str]]", now: int) -> None:
        self._backend.look(now)
        self._gone = not self._backend.there and not self._wait

    # -- for whoever looks after it ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """What stands in the store for this end."""
        return self._backend.state

    @property
    def trouble(self) -> str:
        """Why the frontend was refused or disabled, until it connects anew; else empty."""
        return self._backend.trouble

    def set_carrier(self, up: bool) -> None:
        """Pull the plug, or put it in: the frontend is told, and what is sent meanwhile is dropped."""
        self.carrier = up
        self._backend.tell_carrier(up and not self.disabled)

    def plain(self) -> None:
        """Send and take single frames with complete checksums from now on."""
        self.gives = 0

    # -- the Netif signature -------------------------------------------------------------------------------------------------------

    @property
    def core(self) -> NetifCore:
        return self

    @property
    def name(self) -> str:
        return self._name

    @property
    def mac(self) -> "Mac | None":
        return self._mac

    @property
    def mtu(self) -> int:
        return self._mtu

    @property
    def offload(self) -> int:
        """What `send` may be asked for: the frontend takes it, or it is done here."""
        return OFFLOAD if self.gives == ALL else 0

    def set_waker(self, waker: "Callable[[], None] | None") -> None:
        if not self.ended:
            self.hypervisor.set_waker(waker)

    def fileno(self) -> "int | None":
        return None if self.ended else self.hypervisor.fileno()

    def poll(self, now: Instant) -> bool:
        if self.ended or self._gone:
            raise OSError(errno.ENODEV, f"{self._name} is {'closed' if self.ended else 'gone: the toolstack has removed it'}")
        self._looked = now
        more = self.turn(now)
        self._again = now if more else const.NEVER
        return more

    def next_deadline(self) -> "Instant | None":
        soonest = self.expiry()
        # a loop comes back for more when a descriptor is still readable; one of event channels is not, once they were heard
        if self._again < soonest and self.fileno() is not None:
            soonest = self._again
        if soonest == const.NEVER:
            return None
        return Instant(soonest if self._notifies else min(soonest, self._looked + LOOK))

    def close(self) -> None:
        """Let go of the frontend, which is told; closing it again does nothing. What is sent from now on is counted and dropped."""
        if not self.ended:
            self.ended = True
            self._backend.stop()
            self.hypervisor.set_waker(None)
            if self._own:
                self.hypervisor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<XenBack {self._name} {'closed' if self.ended else self._backend.state.name.lower()}>"
