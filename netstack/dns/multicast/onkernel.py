"""Port 5353 of the kernel's, on asyncio: shared with whoever has it already, as avahi might.

What name an address leads back to is for the system's own responder to say. Avahi takes ours for a conflict over its host's name,
and looks for another name for ever.
"""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import random
import socket
import struct

import attrs

from ...errors import AddressInUse, Unreachable
from ...instant import NEVER, SECOND
from .core import Core, MdnsConfig
from .message import GROUP, PORT

IP_PKTINFO = 8  # of Linux; in socket since Python 3.13 only
IP_MULTICAST_ALL = 49
SIOCGIFADDR = 0x8915
SIOCGIFNETMASK = 0x891B
BATCH = 64  # datagrams in one call of the loop
LONGEST = 9000


class KernelPort:
    """Multicast DNS on the link of `address`, "" for the one that the kernel sends to the group on. After every call of `core` from
    outside, `stir`."""

    def __init__(self, address: str, config: MdnsConfig) -> None:
        """Raises AddressInUse, Unreachable, OSError."""
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        alone = _is_free()
        self._address = address or _own_address()
        self._network = _network(self._address)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._prepare(self._socket)
        except BaseException:
            self._socket.close()
            raise
        self.core = Core(random.SystemRandom(), self.now(), self.addresses(), attrs.evolve(config, reverse=False), alone)
        self._loop.add_reader(self._socket, self._readable)

    def _prepare(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(("", PORT))
        except OSError as error:
            raise AddressInUse(f"port {PORT} is taken by somebody who does not share it") from error
        own = socket.inet_aton(self._address)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)  # RFC 6762 11
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)  # others on this host are on the link too
        sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        try:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + own)
        except OSError as error:
            raise Unreachable(f"no multicast on the link of {self._address}") from error

    def now(self) -> int:
        return int(self._loop.time() * SECOND)

    def addresses(self) -> list[str]:
        return [self._address]

    def _readable(self) -> None:
        for _ in range(BATCH):
            try:
                data, ancillary, _, (source, port) = self._socket.recvmsg(LONGEST, 64)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                continue  # what the network answered to somebody's datagram
            to_group = any(
                level == socket.IPPROTO_IP and kind == IP_PKTINFO and item[8:12] == socket.inet_aton(GROUP)
                for level, kind, item in ancillary
            )
            near = ipaddress.IPv4Address(source) in self._network
            self.core.input(data, source, port, to_group, near, self.now())
        self.stir()

    def stir(self) -> None:
        """Something was asked of `core`, or is due."""
        if self._socket.fileno() < 0:
            return
        now = self.now()
        self._send(now)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.core.deadline()
        if deadline < NEVER:
            self._timer = self._loop.call_at(max(deadline, now + 1) / SECOND, self.stir)

    def _send(self, now: int) -> None:
        for data, address, port in self.core.run(now):
            self._put(data, address, port)

    def _put(self, data: bytes, address: str, port: int) -> None:
        try:
            self._socket.sendto(data, (address, port))
        except OSError:
            return  # no room, no link: lost, as any datagram may be

    def close(self) -> None:
        """Say goodbye and go. Closing twice is closing once."""
        if self._socket.fileno() < 0:
            return
        if self._timer is not None:
            self._timer.cancel()
        for data, address, port in self.core.leave(self.now()):
            self._put(data, address, port)
        self._loop.remove_reader(self._socket)
        self._socket.close()


def _is_free() -> bool:
    """Has nobody port 5353 yet (RFC 6762 15.1)?"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("", PORT))
        except OSError:
            return False
    return True


def _own_address() -> str:
    """The one with which the kernel sends to the group."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((GROUP, PORT))
        except OSError as error:
            raise Unreachable("the kernel has no way to 224.0.0.251: name an address, like posix:?address=192.168.1.2") from error
        address: str = sock.getsockname()[0]
        return address


def _network(address: str) -> ipaddress.IPv4Network:
    """Of the interface that has this address; of the address alone where none is found."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                if socket.inet_ntoa(fcntl.ioctl(sock, SIOCGIFADDR, request)[20:24]) == address:
                    mask = socket.inet_ntoa(fcntl.ioctl(sock, SIOCGIFNETMASK, request)[20:24])
                    return ipaddress.IPv4Network((address, mask), strict=False)
            except OSError:
                continue  # it has no IPv4 address
    return ipaddress.IPv4Network((address, 32))
