"""What a device of this kernel is to a stack beside its core, and which offloads it shall have: what a user says.

Kernels have had bugs here, and other things stand in for one: so each can be had or left out by name. Without a word, a device
gets all that the kernel takes; what it refuses is left out, and nothing fails.
"""

from collections.abc import Callable
from typing import Self

from .. import const
from ..address import Mac
from ..cores import NetifCore
from ..errors import UsageError
from ..instant import Instant
from ..records import frozen

SOFTWARE = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4 | const.OFFLOAD_USO  # what is done here when the device doesn't
NAMES = {
    "csum": const.OFFLOAD_CSUM,
    "tso4": const.OFFLOAD_TSO4,
    "tso6": const.OFFLOAD_TSO6,
    "tso-ecn": const.OFFLOAD_TSO_ECN,
    "uso": const.OFFLOAD_USO,
}
TSO = const.OFFLOAD_TSO4 | const.OFFLOAD_TSO6
ALL = sum(NAMES.values())


@frozen
class Wanted:
    """OFFLOAD_* flags, and whether the user named them: then nothing may quietly do without."""

    flags: int
    demanded: bool


NONE = Wanted(0, False)


def read_offload(said: "bool | str | None") -> Wanted:
    """`None` for whatever is there; a bool, or what stands behind `offload=` in a SPEC. Raises UsageError."""
    if said is None:
        return Wanted(ALL, False)
    word = str(said).lower()
    if word in ("yes", "on", "true", "1"):
        return Wanted(ALL, True)
    if word in ("no", "off", "false", "0"):
        return NONE
    flags = 0
    for name in word.split(","):
        if name not in NAMES:
            raise UsageError(f"offload={said} is not possible: write yes, no, or some of {','.join(NAMES)}")
        flags |= NAMES[name]
    if not flags & const.OFFLOAD_CSUM:
        raise UsageError(f"offload={said} is not possible: a cut segment needs its checksum, so write offload=csum,{word}")
    if flags & const.OFFLOAD_TSO_ECN and not flags & TSO:
        raise UsageError(f"offload={said} is not possible: tso-ecn is a kind of tso4 and tso6, so name one of them as well")
    return Wanted(flags, True)


def show_offload(flags: int) -> str:
    """In the form that `read_offload` takes: "csum,tso4", or "no"."""
    return ",".join(name for name, flag in NAMES.items() if flags & flag) or "no"


class DeviceFace:
    """For a class that is a `DeviceCore` as well: the rest of `signatures.Netif`, but for `name`, `mtu` and `close`."""

    frames_alone = True  # move it: it has no deadline, ever

    fd: int
    takes: int
    _mac: "Mac | None"
    _software: int
    _closed: bool

    @property
    def core(self) -> NetifCore:
        return self  # type: ignore[return-value]  # the other half of this class

    @property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def mac(self) -> "Mac | None":
        return self._mac

    @property
    def offload(self) -> int:
        """What `send` may be asked for, whoever does it."""
        offload = self.takes | self._software
        if self.takes & const.OFFLOAD_CSUM and self.takes & const.OFFLOAD_TSO4:  # or we read, and cut, what is in one piece
            offload |= const.OFFLOAD_GATHER
        return offload

    def set_waker(self, waker: "Callable[[], None] | None") -> None:
        """Nobody needs waking: the descriptor tells."""

    def fileno(self) -> "int | None":
        return None if self._closed else self.fd

    def next_deadline(self) -> "Instant | None":
        return None

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}{' closed' if self._closed else ''}>"
