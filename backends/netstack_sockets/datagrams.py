"""A UDP port of the kernel's."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

from netstack.errors import BusyError, ClosedError, UsageError
from netstack.instant import Duration
from netstack.signatures import Address

from .world import address_of, check_port, for_family, named, resolve, wait_for, wake

LONGEST = 65536
ANSWERED = "the network answered to what was sent"
ANSWERS = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENOPROTOOPT, errno.EPROTO}


class KernelDatagrams:
    """`netstack.signatures.Datagrams`. The queue is the socket's."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, on_end: Callable[[KernelDatagrams], None], connected: bool
    ) -> None:
        """`sock` doesn't block, and is bound or connected."""
        self._loop = loop
        self._socket: socket.socket | None = sock
        self._family = sock.family
        self._connected = connected
        self._on_end = on_end
        self._local = address_of(sock.getsockname())
        self._answer: OSError | None = None  # of the network's, met while sending and not yet received
        self._receiving = False
        self._reader: asyncio.Future[None] | None = None
        self._writers: set[asyncio.Future[None]] = set()

    @property
    def _sock(self) -> socket.socket:
        if self._socket is None:
            raise ClosedError("this port is closed")
        return self._socket

    @property
    def local_address(self) -> Address:
        assert self._sock
        return self._local

    async def receive(self, timeout: Duration | None = None) -> tuple[bytes, Address]:
        if self._receiving:
            raise BusyError("another task is already receiving from this port")
        self._receiving = True
        try:
            while True:
                sock = self._sock
                if self._answer is not None:
                    answer, self._answer = self._answer, None
                    raise answer
                try:
                    data, peer = sock.recvfrom(LONGEST)
                except (BlockingIOError, InterruptedError):
                    pass
                except OSError as error:
                    raise named(error, ANSWERED) from error
                else:
                    return data, address_of(peer)
                self._reader = self._loop.create_future()
                self._loop.add_reader(sock, self._on_readable)
                try:
                    await wait_for(self._reader, timeout, "waiting for a datagram")
                finally:
                    self._reader = None
                    if self._socket is not None:
                        self._loop.remove_reader(sock)
        finally:
            self._receiving = False

    def _on_readable(self) -> None:
        wake(self._reader)

    def attend(self, attend: Callable[[], None]) -> socket.socket:
        """For who does it himself: the socket, and `attend` is called whenever it can be read, until this port is closed. Raises
        BusyError, and so does `receive` from then on."""
        if self._receiving:
            raise BusyError("another task is already receiving from this port")
        sock = self._sock
        self._receiving = True
        self._loop.add_reader(sock, attend)
        return sock

    async def send(self, data: bytes, address: Address | None = None) -> None:
        target = None
        if address is not None:
            check_port(address[1], 1)
            target = for_family(self._family, (await resolve(self._loop, *address, socket.SOCK_DGRAM, self._family))[0])
        elif not self._connected:
            raise UsageError("an unconnected port needs an address: send(data, (host, port))")
        while not self._send(self._sock, data, target):
            await self._room()

    def _send(self, sock: socket.socket, data: bytes, target: Any) -> bool:
        """False: the kernel has no room. What it says at first may be the answer to an earlier datagram: that is for `receive`."""
        answer = None
        while True:
            try:
                if target is None:
                    sock.send(data)
                else:
                    sock.sendto(data, target)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                if answer is not None or error.errno not in ANSWERS:
                    raise named(error, "sending a datagram") from error
                answer = named(error, ANSWERED)
                continue
            if answer is not None:
                self._answer = answer
                wake(self._reader)
            return True

    async def _room(self) -> None:
        writer = self._loop.create_future()
        self._writers.add(writer)
        self._loop.add_writer(self._sock, self._on_writable)
        try:
            await writer
        finally:
            self._writers.discard(writer)

    def _on_writable(self) -> None:
        self._loop.remove_writer(self._sock)
        for writer in self._writers:
            wake(writer)

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        sock, self._socket = self._socket, None
        if sock is None:
            return
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)
        sock.close()
        wake(self._reader)
        for writer in self._writers:
            wake(writer)
        self._on_end(self)
