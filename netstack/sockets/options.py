"""Socket options by the kernel's own numbers: what is known, what it may be, what it does.

An option that is here has its effect, or none to have: `SO_DEBUG` and its like change nothing that a program could see on Linux
either. One that is not here is ENOPROTOOPT, so that a program that needs it learns that.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Mapping
from typing import Any

from ..records import frozen
from .failures import failure

_INT = struct.Struct("=i")

Key = tuple[int, int]  # level, number


@frozen
class Option:
    """low, high   what an int may be; what lies outside is EINVAL, or with `clamp` the nearest
    flag        any int, and its truth counts
    apply       `apply(socket, value)` when it is set, and again when a connection begins; it may raise and nothing has changed
    read        `read(socket)` in place of what was set: an int, or the bytes of a structure
    write       `write(socket, bytes or int)` in place of keeping an int
    """

    default: int = 0
    low: int = 0
    high: int = 0x7FFFFFFF
    flag: bool = False
    clamp: bool = False
    apply: Callable[[Any, int], None] | None = None
    read: Callable[[Any], int | bytes] | None = None
    write: Callable[[Any, int | bytes], None] | None = None
    fixed: bool = False  # to be read only


class Options:
    """The options of one socket. `known` is shared by all of a type; what was set is kept here. A `sock` is a Socket, or what has
    the attributes that the options ask for."""

    __slots__ = ("known", "values")

    def __init__(self, known: Mapping[Key, Option]) -> None:
        self.known = known
        self.values: dict[Key, int] = {}

    def __getitem__(self, key: Key) -> int:
        value = self.values.get(key)
        return self.known[key].default if value is None else value

    def get(self, sock: Any, level: int, number: int, buflen: int) -> int | bytes:
        option = self.known.get((level, number))
        if option is None:
            raise failure(errno.ENOPROTOOPT)
        if not 0 <= buflen <= 1024:
            raise failure(errno.EINVAL, "getsockopt buflen out of range")
        value: int | bytes = self[level, number] if option.read is None else option.read(sock)
        if isinstance(value, int):
            return _INT.pack(value)[:buflen] if buflen else int(value)
        if buflen:
            return bytes(value[:buflen])
        return int(_INT.unpack(value[:4].ljust(4, b"\0"))[0])  # as the kernel writes into the int that was offered

    def set(self, sock: Any, level: int, number: int, value: Any) -> None:
        option = self.known.get((level, number))
        if option is None or option.fixed:
            raise failure(errno.ENOPROTOOPT)
        if option.write is not None:
            option.write(sock, value if isinstance(value, int) else bytes(value or b""))
            return
        self.put(sock, (level, number), option, _number(value))

    def put(self, sock: Any, key: Key, option: Option, value: int) -> None:
        if option.flag:
            value = int(value != 0)
        elif not option.low <= value <= option.high:
            if not option.clamp:
                raise failure(errno.EINVAL)
            value = max(option.low, min(value, option.high))
        if option.apply is not None:
            option.apply(sock, value)
        self.values[key] = value

    def apply_all(self, sock: Any) -> None:
        """To a connection that begins."""
        for key, value in self.values.items():
            apply = self.known[key].apply
            if apply is not None:
                apply(sock, value)


def _number(value: Any) -> int:
    if isinstance(value, int):
        if not -0x80000000 <= value <= 0x7FFFFFFF:
            raise OverflowError("signed integer is out of range for a socket option")
        return value
    data = bytes(value)
    if len(data) >= 4:
        return int(_INT.unpack_from(data)[0])
    if len(data) == 1:
        return data[0]
    raise failure(errno.EINVAL)


def cell(key: Key, default: int = 0) -> Callable[[Any], int]:
    """Reads another option: two numbers for one thing."""
    return lambda sock: int(sock.options.values.get(key, default))
