"""Which ports somebody listens on in a network namespace: proc(5) says it, `/proc/net/tcp` and its like.

Such a file is of the namespace in which it was opened, whoever reads it later: so it is opened from inside, once, and needs no
right afterwards.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from ...errors import UsageError
from .namespaces import NotEntered, Place, fork, receive_fds, refusal

FILES = ("tcp", "tcp6", "udp", "udp6")
LISTENS = {"tcp": "0A", "udp": "07"}  # TCP_LISTEN; TCP_CLOSE, as of a datagram socket that is not connected
EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range"
LARGEST = 1 << 22  # bytes of a file that are read: of ten thousand sockets


class Listening:
    """The sockets of one namespace."""

    def __init__(self, descriptors: Sequence[int], ephemeral: range = range(32768, 61000)) -> None:
        """Descriptors of FILES, in their order; they are ours from now on. `ephemeral` ports of datagrams are those of clients."""
        self._fds = tuple(descriptors)
        self._ephemeral = ephemeral

    def ports(self, proto: str) -> set[int]:
        """On which somebody can be reached from outside: not those of its loopback."""
        found: set[int] = set()
        for name, fd in zip(FILES, self._fds, strict=True):
            if name.startswith(proto):
                found |= listeners(self._read(fd), LISTENS[proto])
        return found if proto == "tcp" else {port for port in found if port not in self._ephemeral}

    def _read(self, fd: int) -> str:
        said = b""
        while len(said) < LARGEST and (piece := os.pread(fd, 65536, len(said))):
            said += piece
        return said.decode("ascii", "replace")

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds = ()


def listeners(text: str, state: str) -> set[int]:
    """Ports of the sockets in `state`, from the lines of such a file, but for those that only loopback reaches."""
    found = set()
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) < 4 or words[3] != state:
            continue
        address, _, port = words[1].rpartition(":")
        if not _is_loopback(address):
            found.add(int(port, 16))
    found.discard(0)
    return found


def _is_loopback(address: str) -> bool:
    """As the kernel writes it: words of 32 bits, in the order of its machine."""
    words = b"".join(int(address[i : i + 8], 16).to_bytes(4, "little") for i in range(0, len(address), 8))
    if len(words) == 4:
        return words[0] == 127
    return words == bytes(15) + b"\1" or (words[:12] == bytes(10) + b"\xff\xff" and words[12] == 127)


def listening_in(place: Place) -> Listening:
    """Of a namespace. Raises NotEntered."""

    def work(out: socket.socket) -> None:
        place.enter()
        send(out)

    child, here = fork(work)
    with here:
        try:
            return Listening(receive_fds(here, len(FILES)))
        except OSError as error:
            raise NotEntered(error.errno, refusal(error, place.net)) from None
        finally:
            os.waitpid(child, 0)


def listening_of(pid: int) -> Listening:
    """Of the namespace in which a process is. Raises OSError."""
    return Listening(_open(f"/proc/{pid}/net"))


def send(out: socket.socket) -> None:
    """Those of this process's namespace."""
    fds = _open("/proc/self/net")
    socket.send_fds(out, [b"{}"], fds)


def _open(folder: str) -> list[int]:
    fds: list[int] = []
    try:
        for name in FILES:
            try:
                fds.append(os.open(f"{folder}/{name}", os.O_RDONLY | os.O_CLOEXEC))
            except FileNotFoundError:  # a kernel without IPv6
                fds.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return fds


def ephemeral_ports() -> range:
    """Of this namespace. Raises UsageError where it can't be read as such."""
    try:
        with open(EPHEMERAL) as file:
            first, last = map(int, file.read().split())
    except (OSError, ValueError) as error:
        raise UsageError(f"{EPHEMERAL} can't be read: {error}") from None
    return range(first, last + 1)
