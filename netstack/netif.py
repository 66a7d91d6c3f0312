"""A base for devices written in plain Python: whole frames in, whole frames out.

The cores that carry packets are compiled, and a Python class can't override their methods. `FrameNetif` is the bridge: derive
from it, override `transmit`, call `receive` for each frame that arrives and `flush` after each batch. It costs one copy each
way, which a device in Python pays anyway. Devices that are written for speed derive from `cores.NetifCore` themselves.
"""

from collections.abc import Callable

from . import const, raw
from .address import Mac
from .buffers import Pool
from .cores import Frame, FrameSink, NetifCore, Out
from .errors import UsageError
from .instant import Instant
from .signatures import Netif

SLAB = 65536 + 1024  # the largest datagram, and room for every link header


def carry_plain(netif: Netif) -> None:
    """Have `netif` carry single frames with complete checksums, as a wire does: asked by whoever looks at each frame, loses some,
    or hands them to somebody else, before anything is sent. A device that can do otherwise has a method `plain`.

    Raises UsageError where that can't be, or was ruled out.
    """
    plain = getattr(netif, "plain", None)
    if plain is not None:
        plain()
    if netif.offload:
        raise UsageError(f"{netif.name} leaves segments uncut and checksums undone: open it without offload")


class SendOnly(FrameSink):
    """Where frames go before `attach`: nowhere."""

    __slots__ = ()

    def input(self, f: Frame) -> None:
        pass

    def flush(self, now: int) -> None:
        pass


class FrameNetif(NetifCore):
    """A device that deals in `bytes`. The defaults are an Ethernet without offloads or descriptor, polled when it says so."""

    __slots__ = ("_mac", "_mtu", "_name", "_pool", "_sink", "_waker")

    def __init__(self, name: str, mac: "Mac | None", mtu: int) -> None:
        self._name = name
        self._mac = mac
        self._mtu = mtu
        self._pool = Pool(SLAB)
        self._sink: FrameSink = SendOnly()
        self._waker: Callable[[], None] | None = None

    # -- for the device ---------------------------------------------------------------------------------------------------

    def transmit(self, frame: bytes, now: int) -> None:
        """Put one whole frame on the wire. Override."""
        raise NotImplementedError

    def receive(self, frame: bytes, now: int) -> None:
        """Hand a frame up. Frames longer than a slab are cut, and so fail their length checks above."""
        f = self._pool.get()
        n = min(raw.size(frame), SLAB)
        raw.fill(f.buf, 0, frame, 0, n)
        f.off = 0
        f.end = n
        f.now = now
        f.cast = const.UNICAST
        f.csum = const.CSUM_UNKNOWN
        f.gso = 0
        f.kept = 0
        try:
            self._sink.input(f)
        finally:
            self._pool.put(f)

    def flush(self, now: int) -> None:
        """The batch is over."""
        self._sink.flush(now)
        self._pool.reclaim()

    def wake(self) -> None:
        """Tell the driver that `poll` has become worth a call: for devices without a descriptor."""
        if self._waker is not None:
            self._waker()

    # -- the Netif signature ----------------------------------------------------------------------------------------------

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
        return 0

    def attach(self, sink: FrameSink) -> None:
        if type(self._sink) is not SendOnly:
            raise UsageError(f"{self._name} already has a stack on it: wrap or bridge it to share it")
        self._sink = sink

    def set_waker(self, waker: "Callable[[], None] | None") -> None:
        self._waker = waker

    def fileno(self) -> "int | None":
        return None

    def poll(self, now: Instant) -> bool:
        """Hand up at most BATCH waiting frames, then flush. True when more are waiting. Override where frames are queued."""
        return False

    def next_deadline(self) -> "Instant | None":
        return None

    def close(self) -> None:
        self._sink = SendOnly()
        self._waker = None

    def send(self, p: Out, now: int) -> None:
        self.transmit(p.tobytes(), now)
