"""Ports that go on elsewhere: from a stack to the host, the other way round, or from one place of a stack to another.

    await net.forward("tcp:5432", "unix:/run/postgresql/.s.PGSQL.5432")      # the stack's port, served by the host
    await net.forward("host:127.0.0.1:8080", "tcp:10.0.0.1:80")              # the host's port, served through the stack

For programs that nobody can enter. How an end is written: ends.py. A connection to the stack is answered when the target has
taken it, and refused where the target refuses; one to the host, whose kernel answers by itself, is reset then. Half-closes, resets
and slow readers pass (joint.py).
Datagrams go on from a socket of their own for each sender, so that answers find their way back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import attrs

from ...errors import ClosedError, NetstackError, UsageError
from ...instant import SECOND, Duration
from ...tcp.catch import Request
from ..face import check_port
from ..serving import bound
from ..streams import UdpSocket
from .callers import Caller
from .ends import Place
from .hostside import HostEnd, HostListener, HostPackets, KernelSocket, dial, dial_tcp, resolve
from .joint import Counts, End, StackEnd, join
from .lookup import look_up

if TYPE_CHECKING:
    from ..net import Net

BREAKS = (OSError, NetstackError)
# connections at a time: each is two sockets and up to a receive buffer, and a stranger who could open more would take the
# last descriptor of the process
LIMIT = 1024
DIAL_TIMEOUT = Duration(20 * SECOND)  # a client waits for its answer no longer than this; the kernel's SYN retries take 127 s
BACKLOG = 128
FLOW_IDLE = 120.0  # seconds: RFC 4787 REQ-5 says that a binding of UDP must live for two minutes at least


@attrs.define
class Tally:
    """What a forward did. `bytes_in` went from whoever connected to the target, `bytes_out` back."""

    accepted: int = 0  # taken by the target; of connections to the host, all that its kernel took
    refused: int = 0  # the target did not take them
    turned_away: int = 0  # there were `limit` others
    broken: int = 0  # reset or timed out after that
    bytes_in: int = 0
    bytes_out: int = 0
    dropped: int = 0  # datagrams that could not go on


class Forward:
    """A forward at work. `address` is where it listens, `open` how many connections or senders it has now; `counts` what it did."""

    def __init__(self, net: Net, here: Place, there: Place, limit: int) -> None:
        self.here = here
        self.there = there
        self.counts = Tally()
        self.limit = limit
        self._net = net
        self._loop = net._loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._closers: list[Callable[[], object]] = []
        self.address: Any = None
        self.closed = False
        self.idle = FLOW_IDLE  # seconds
        self.senders: dict[Any, Flow] = {}  # of datagrams, the one that was silent for longest first

    @property
    def open(self) -> int:
        return len(self._tasks)

    def own(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self) -> None:
        """Listen no more, and reset the connections that are open."""
        if self.closed:
            return
        self.closed = True
        self._net._doors.discard(self)
        for close in self._closers:
            close()
        for task in list(self._tasks):
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.sleep(0)

    async def __aenter__(self) -> Forward:
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{self.open} open"
        return f"<Forward {self.here} -> {self.there} {state}>"

    # -- streams --------------------------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Raises what binding raises."""
        if self.here.on_host:
            self._listen_on_host(await host_listener(self.here, self._loop))
        else:
            host = await look_up(self._net, self.here.local) if self.here.local else ""
            server = self._net.new_server()
            place = (socket.AF_INET, (host, check_port(self.here.port)))
            server.bind(bound(self._net, [place], [(socket.SOL_SOCKET, socket.SO_REUSEADDR)]), lambda conn: None, BACKLOG)
            server.serve()
            server.catch(self._called)
            self._closers.append(server.close)
            self.address = server.address

    def _listen_on_host(self, sock: socket.socket) -> None:
        def accepted(sock: socket.socket) -> None:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.own(self._serve(HostEnd(sock, self._loop))).add_done_callback(left)
            if self.open >= self.limit:
                listener.pause()

        def left(task: object) -> None:
            if not self.closed and self.open < self.limit:
                listener.resume()

        self.address = sock.getsockname()
        path = self.here.path
        listener = HostListener(sock, self._loop, accepted)
        self._closers.append(listener.close)
        if path:
            self._closers.append(lambda: unlink(path))

    def _called(self, request: Request) -> None:
        """A SYN to a port of the stack."""
        caller = Caller(self._net, request)
        if self.open >= self.limit or self.closed:
            self.counts.turned_away += 1
            caller.refuse()
            return
        request.on_end = self.own(self._serve_caller(caller)).cancel

    async def _serve_caller(self, caller: Caller) -> None:
        """One connection, from its SYN to its end. A caller who has given up meanwhile has cancelled this."""
        try:
            far = await reach(self._net, self.there)
        except BREAKS:
            self.counts.refused += 1
            caller.refuse()
            return
        except BaseException:
            caller.refuse()
            raise
        try:
            near = StackEnd(await caller.accept())
        except BREAKS:
            self.counts.broken += 1
            far.abort()
            return
        except BaseException:
            far.abort()
            raise
        self.counts.accepted += 1
        await self._join(near, far)

    async def reach(self, near: End) -> End:
        """Connect to where `near` goes on. Raises OSError, NetstackError."""
        return await reach(self._net, self.there)

    async def connect_packets(self, peer: Any) -> UdpSocket | HostPackets:
        """What the datagrams of `peer` go on from. Raises the same."""
        return await connected_packets(self._net, self.there)

    async def _serve(self, near: End, counts: Counts | None = None) -> None:
        """One connection to the host, from its accept to its end. `counts` says what has gone through it, at any moment."""
        self.counts.accepted += 1
        try:
            far = await self.reach(near)
        except BREAKS:
            self.counts.refused += 1
            near.abort()
            return
        except BaseException:
            near.abort()
            raise
        await self._join(near, far, counts)

    async def _join(self, near: End, far: End, counts: Counts | None = None) -> None:
        count = Counts() if counts is None else counts
        try:
            await join(near, far, count)
        except BREAKS:
            self.counts.broken += 1
        finally:
            self.counts.bytes_in += count.there
            self.counts.bytes_out += count.back

    # -- datagrams --------------------------------------------------------------------------------------------------------------

    async def listen_datagrams(self) -> None:
        self.serve_datagrams(await bound_packets(self._net, self.here))

    def serve_datagrams(self, near: UdpSocket | HostPackets) -> None:
        self._closers.append(near.close)
        self.address = near.local_address if isinstance(near, UdpSocket) else near.sock.getsockname()
        flows = self.senders

        def forget(flow: Flow) -> None:
            if flows.get(flow.peer) is flow:
                del flows[flow.peer]
            flow.close()

        async def pump() -> None:
            while True:
                try:
                    data, peer = await near.receive()
                except ClosedError:
                    return
                except BREAKS:
                    continue  # an ICMP error about an answer that was sent
                flow = flows.pop(peer, None)
                if flow is None:
                    if len(flows) >= self.limit:  # as a NAT does, the one that was silent for longest goes: a flood of forged
                        self.counts.turned_away += 1  # senders makes the table forget, and not grow
                        forget(next(iter(flows.values())))
                    try:
                        flow = Flow(self, near, peer, await self.connect_packets(peer), forget)
                    except BREAKS:
                        self.counts.refused += 1
                        continue
                    self.counts.accepted += 1
                flows[peer] = flow  # behind all others
                flow.send(data)

        def ended(task: object) -> None:
            for flow in list(flows.values()):
                forget(flow)

        self.own(pump()).add_done_callback(ended)


class Flow:
    """The datagrams of one sender."""

    def __init__(
        self,
        forward: Forward,
        near: UdpSocket | HostPackets,
        peer: Any,
        far: UdpSocket | HostPackets,
        forget: Callable[[Flow], None],
    ) -> None:
        self.peer = peer
        self.tag: Any = None  # whatever somebody who looks on wants to find here
        self.began = forward._loop.time()
        self.there = 0  # bytes
        self.back = 0
        self._forward = forward
        self._near = near
        self._far = far
        self._forget = forget
        self._loop = forward._loop
        self.used = self._loop.time()
        self._timer = self._loop.call_later(forward.idle, self._look)
        self._task = forward.own(self._answers())

    def send(self, data: bytes) -> None:
        self.used = self._loop.time()
        try:
            self._far.send_nowait(data)
        except BREAKS:
            self._forward.counts.dropped += 1
        else:
            self._forward.counts.bytes_in += len(data)
            self.there += len(data)

    async def _answers(self) -> None:
        counts = self._forward.counts
        while True:
            try:
                data, _ = await self._far.receive()
                self.used = self._loop.time()
                self._near.send_nowait(data, self.peer)
                counts.bytes_out += len(data)
                self.back += len(data)
            except ClosedError:
                return
            except BREAKS:  # an ICMP error about what was sent, or no way back
                counts.dropped += 1

    def _look(self) -> None:
        left = self.used + self._forward.idle - self._loop.time()
        if left <= 0:
            self._forget(self)
        else:
            self._timer = self._loop.call_later(left, self._look)

    def close(self) -> None:
        self._timer.cancel()
        self._task.cancel()
        self._far.close()


# -- both sides, by the name of a place -------------------------------------------------------------------------------------------


async def reach(net: Net, place: Place) -> End:
    """Connect to where a forward goes on. Raises OSError, NetstackError; TimeoutError after DIAL_TIMEOUT."""
    async with asyncio.timeout(DIAL_TIMEOUT / SECOND):
        if place.kind == "unix":
            return await dial(socket.AF_UNIX, place.path, net._loop)
        if place.on_host:
            return await dial_tcp(place.target, place.port, net._loop)
        return StackEnd(await net.connect_stream(await look_up(net, place.target), place.port))


async def host_listener(place: Place, loop: asyncio.AbstractEventLoop) -> socket.socket:
    """A listening socket of the host. A unix socket's path is taken over from one that nobody listens on. Raises OSError."""
    if place.kind == "unix":
        return _listening(socket.AF_UNIX, await _unix_path(place.path, loop))
    found = await resolve(place.local, place.port, socket.SOCK_STREAM, loop)
    return _listening(found[0][0], found[0][4])


def _listening(family: int, address: Any) -> socket.socket:
    sock = KernelSocket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


async def _unix_path(path: str, loop: asyncio.AbstractEventLoop) -> str:
    """Remove a socket that its process has left behind. A living one, and what is no socket, stays, and bind() says so."""
    try:
        left_behind = stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return path
    if left_behind:
        try:
            (await dial(socket.AF_UNIX, path, loop)).close()
        except ConnectionRefusedError:
            unlink(path)
        except OSError:
            pass
    return path


def unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


async def bound_packets(net: Net, place: Place) -> UdpSocket | HostPackets:
    if not place.on_host:
        return await net.udp(place.port, await look_up(net, place.local) if place.local else "")
    found = await resolve(place.local, place.port, socket.SOCK_DGRAM, net._loop)
    sock = KernelSocket(found[0][0], socket.SOCK_DGRAM)
    try:
        sock.bind(found[0][4])
    except BaseException:
        sock.close()
        raise
    return HostPackets(sock, net._loop)


async def connected_packets(net: Net, place: Place) -> UdpSocket | HostPackets:
    if not place.on_host:
        return await net.udp(remote=(await look_up(net, place.target), place.port))
    found = await resolve(place.target, place.port, socket.SOCK_DGRAM, net._loop)
    sock = KernelSocket(found[0][0], socket.SOCK_DGRAM)
    try:
        sock.connect(found[0][4])
    except BaseException:
        sock.close()
        raise
    return HostPackets(sock, net._loop)


async def forward(net: Net, here: Place, there: Place, limit: int = LIMIT) -> Forward:
    if limit < 1:
        raise UsageError(f"limit={limit} would forward nothing: allow one connection or more")
    it = Forward(net, here, there, limit)
    start: Callable[[], Awaitable[None]] = it.listen_datagrams if here.kind == "udp" else it.listen
    await start()
    net._doors.add(it)
    return it
