"""What a device of this kernel is to a stack beside its core."""

from collections.abc import Callable
from typing import Self

from .. import const
from ..address import Mac
from ..cores import NetifCore
from ..instant import Instant

SOFTWARE = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4 | const.OFFLOAD_USO  # what is done here when the device doesn't


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
