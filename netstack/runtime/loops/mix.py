"""An event loop whose network is a net.

`NetLoop` is a mix-in over any loop class. With a net attached (`loop.net`) all that concerns AF_INET and AF_INET6 is served by
the stack: connections, servers, datagrams, names, and the `sock_*` family, `add_reader` and `add_writer` of sockets that are the
stack's. Everything else (pipes, subprocesses, signals, threads, AF_UNIX, descriptors of the kernel) goes to the base loop, which
doesn't know the difference. Without a net it is the base loop in everything.

A program's own `socket.socket()` is adopted when it comes here first (adoption.py).
"""

# mypy: disable-error-code="no-any-return"
# (what `super()` finds is for the class that this is mixed into)

from __future__ import annotations

import asyncio
import errno
import functools
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ...sockets.base import Socket
from .. import connecting, endpoints, sendfiles, serving
from ..current import net_var
from ..names import AddrInfo, Host, Port, resolved
from ..threads.helm import Helm
from ..transports import TcpTransport
from .adoption import INET, by_descriptor, core_of, faced
from .readiness import READ, WRITE, Watch, ready

if TYPE_CHECKING:
    from ..base import Crank
    from ..net import Net

T = TypeVar("T")
Base: Any = object  # a loop follows it in the order of methods: what `super()` finds there is not for the checker


@functools.cache
def over(base: Any) -> type[NetLoop]:
    """The class of loops like `base` with a place for a net."""
    base = getattr(base, "plain", base)  # substitute.py has put its own in the place of one
    return type(f"Net{base.__name__}", (NetLoop, base), {"__module__": base.__module__, "__doc__": NetLoop.__doc__})


class NetLoop(Base):  # type: ignore[misc]  # as above
    """An event loop of asyncio's kind whose network can be a net: `loop.net`."""

    _attached: Net | None = None
    _watches: dict[Socket, Watch] | None = None
    helm: Helm | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        self.debts: list[Crank] = []  # stacks that have put off to send what was written in this iteration
        super().__init__(*args, **options)

    @property
    def net(self) -> Net | None:
        """That on which the current task runs (current.py), or else the loop's own."""
        current: Any = net_var.get()
        return self._attached if current is None or current.closed else current

    def attach(self, net: Net) -> None:
        """Have `net`, which is at work on this loop, for the network from now on. It is closed with the loop."""
        if self._attached is not None:
            raise RuntimeError("this loop has a net already")
        self._attached = net
        self.helm = Helm()

    def run_forever(self) -> None:
        if self.helm is None or self.is_running():
            super().run_forever()
            return
        self.helm.take()
        try:
            super().run_forever()
        finally:
            while self.debts:
                self.debts.pop().pay()
            self.helm.let_go()

    def close(self) -> None:
        """Close the net in order first: what was written is still delivered, for as long as the net lingers."""
        if self._attached is not None and not self.is_closed() and not self.is_running():
            net, self._attached = self._attached, None
            try:
                self._leave(net)
            finally:
                for watch in list((self._watches or {}).values()):
                    watch.close()
                super().close()
        else:
            super().close()

    def _leave(self, net: Net) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:  # another loop runs in this thread, perhaps the garbage collector's caller: nobody can wait here
            net.drop()
            return
        task = self.create_task(net.aclose(reset=False))
        for _ in range(3):
            try:
                self.run_until_complete(task)
                return
            except RuntimeError:  # somebody's `stop` was still on its way
                if task.done():
                    raise
        net.drop()

    # -- whose it is --------------------------------------------------------------------------------------------------------

    def _core(self, sock: Any) -> Socket | None:
        """The socket of the stack behind an object; None where it is the base loop's affair."""
        return None if self.net is None else core_of(self.net, sock)

    def _core_at(self, fd: Any) -> Socket | None:
        """The same for what `add_reader` takes: an object or its descriptor."""
        if self.net is None:
            return None
        if isinstance(fd, int):
            return by_descriptor(fd)
        try:
            return core_of(self.net, fd)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            raise ValueError(f"Invalid file object: {fd!r}") from None  # closed: asyncio's word for it

    def _checked(self, sock: Any) -> Socket | None:
        core = self._core(sock)
        if core is not None and self.get_debug() and getattr(sock, "gettimeout", lambda: 0)() != 0:
            raise ValueError("the socket must be non-blocking")
        return core

    # -- names --------------------------------------------------------------------------------------------------------------

    async def getaddrinfo(
        self, host: Host, port: Port, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Sequence[AddrInfo]:
        if self.net is None:
            return await self.system_getaddrinfo(host, port, family=family, type=type, proto=proto, flags=flags)
        return await self.net.getaddrinfo(host, port, family=family, type=type, proto=proto, flags=flags)

    async def system_getaddrinfo(self, host: Host, port: Port, **options: Any) -> Sequence[AddrInfo]:
        """What the base loop says."""
        return await super().getaddrinfo(host, port, **options)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        if self.net is None:
            return await super().getnameinfo(sockaddr, flags)
        return await self.net.getnameinfo(sockaddr, flags)

    # -- streams ------------------------------------------------------------------------------------------------------------

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, *, sock: Any = None, **options: Any
    ) -> tuple[asyncio.Transport, Any]:
        if self.net is None or (sock is not None and self._core(sock) is None):
            return await super().create_connection(protocol_factory, host, port, sock=sock, **options)
        made = await connecting.create_connection(self.net, self.getaddrinfo, protocol_factory, host, port, sock=sock, **options)
        if sock is not None:
            sock.close()  # the transport has what it was
        return made

    async def connect_accepted_socket(self, protocol_factory: Any, sock: Any, **options: Any) -> tuple[asyncio.Transport, Any]:
        if self._core(sock) is None:
            return await super().connect_accepted_socket(protocol_factory, sock, **options)
        assert self.net is not None
        made = await connecting.connect_accepted_socket(self.net, protocol_factory, sock, **options)
        sock.close()
        return made

    async def create_server(
        self, protocol_factory: Any, host: Any = None, port: Any = None, *, sock: Any = None, **options: Any
    ) -> asyncio.AbstractServer:
        if self.net is None or (sock is not None and self._core(sock) is None):
            return await super().create_server(protocol_factory, host, port, sock=sock, **options)
        return await serving.create_server(self.net, self.getaddrinfo, protocol_factory, host, port, sock=sock, **options)

    async def start_tls(self, transport: Any, protocol: Any, sslcontext: Any, **options: Any) -> asyncio.Transport | None:
        if self.net is None or not _ours(transport):
            return await super().start_tls(transport, protocol, sslcontext, **options)
        return await self.net.start_tls(transport, protocol, sslcontext, **options)

    async def sendfile(self, transport: Any, file: Any, offset: int = 0, count: int | None = None, *, fallback: bool = True) -> int:
        if self.net is None or not _ours(transport):
            return await super().sendfile(transport, file, offset, count, fallback=fallback)
        return await sendfiles.sendfile(transport, file, offset, count, fallback=fallback)

    # -- datagrams ----------------------------------------------------------------------------------------------------------

    async def create_datagram_endpoint(
        self,
        protocol_factory: Any,
        local_addr: Any = None,
        remote_addr: Any = None,
        *,
        family: int = 0,
        sock: Any = None,
        **options: Any,
    ) -> tuple[asyncio.DatagramTransport, Any]:
        if self.net is None or family not in (0, *INET) or (sock is not None and self._core(sock) is None):
            return await super().create_datagram_endpoint(
                protocol_factory, local_addr, remote_addr, family=family, sock=sock, **options
            )
        options.pop("reuse_address", None)  # gone since Python 3.11, where it was refused if true
        return await endpoints.create_datagram_endpoint(  # type: ignore[return-value]  # by its `__class__`
            self.net, self.getaddrinfo, protocol_factory, local_addr, remote_addr, family=family, sock=sock, **options
        )

    # -- sockets, one call at a time: cancelled, each leaves its socket as it was --------------------------------------------

    async def _retried(self, core: Socket, mask: int, call: Callable[[], T]) -> T:
        while True:
            try:
                return call()
            except (BlockingIOError, InterruptedError):
                pass
            await ready(self, core, mask)

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        core = self._checked(sock)
        if core is None:
            return await super().sock_recv(sock, nbytes)
        return await self._retried(core, READ, lambda: core.recv(nbytes))

    async def sock_recv_into(self, sock: Any, buf: Any) -> int:
        core = self._checked(sock)
        if core is None:
            return await super().sock_recv_into(sock, buf)
        return await self._retried(core, READ, lambda: core.recv_into(buf))

    async def sock_recvfrom(self, sock: Any, bufsize: int) -> tuple[bytes, Any]:
        core = self._checked(sock)
        if core is None:
            return await super().sock_recvfrom(sock, bufsize)
        return await self._retried(core, READ, lambda: core.recvfrom(bufsize))

    async def sock_recvfrom_into(self, sock: Any, buf: Any, nbytes: int = 0) -> tuple[int, Any]:
        core = self._checked(sock)
        if core is None:
            return await super().sock_recvfrom_into(sock, buf, nbytes)
        return await self._retried(core, READ, lambda: core.recvfrom_into(buf, nbytes))

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        core = self._checked(sock)
        if core is None:
            await super().sock_sendall(sock, data)
            return
        rest = memoryview(data).cast("B") if not isinstance(data, bytes) else data
        sent = await self._retried(core, WRITE, lambda: core.send(rest))
        if sent < len(rest):
            view = memoryview(rest)
            while sent < len(view):
                sent += await self._retried(core, WRITE, functools.partial(core.send, view[sent:]))

    async def sock_sendto(self, sock: Any, data: Any, address: Any) -> int:
        core = self._checked(sock)
        if core is None:
            return await super().sock_sendto(sock, data, address)
        return await self._retried(core, WRITE, lambda: core.sendto(data, address))

    async def sock_connect(self, sock: Any, address: Any) -> None:
        core = self._checked(sock)
        if core is None:
            await super().sock_connect(sock, address)
            return
        assert self.net is not None
        infos = await resolved(self.getaddrinfo, address, core.family, core.type, core.proto, 0)
        await connecting.wait_connected(self.net, core, infos[0][4])

    async def sock_accept(self, sock: Any) -> tuple[Any, Any]:
        core = self._checked(sock)
        if core is None:
            return await super().sock_accept(sock)
        new, address = await self._retried(core, READ, core.accept)
        alike = getattr(sock, "accepted", faced)  # a StackSocket's: its module is imported where somebody has one
        return alike(new), address

    async def sock_sendfile(
        self, sock: Any, file: Any, offset: int = 0, count: int | None = None, *, fallback: bool | None = True
    ) -> int:
        core = self._checked(sock)
        if core is None:
            return await super().sock_sendfile(sock, file, offset, count, fallback=fallback)
        sendfiles.check_file(file, offset, count)
        if core.type != socket.SOCK_STREAM:
            raise ValueError("only SOCK_STREAM type sockets are supported")
        if not fallback:
            raise asyncio.SendfileNotAvailableError("there is no system call that sends a file on a socket of a stack")
        return await sendfiles.copy(file, offset, count, functools.partial(self.sock_sendall, sock))

    # -- readiness ----------------------------------------------------------------------------------------------------------

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        core = self._core_at(fd)
        if core is None:
            super().add_reader(fd, callback, *args)
        else:
            self._watch(core).add(READ, callback, args)

    def remove_reader(self, fd: Any) -> bool:
        core = self._core_at(fd)
        if core is None:
            return super().remove_reader(fd)
        return self._unwatch(core, READ)

    def add_writer(self, fd: Any, callback: Any, *args: Any) -> None:
        core = self._core_at(fd)
        if core is None:
            super().add_writer(fd, callback, *args)
        else:
            self._watch(core).add(WRITE, callback, args)

    def remove_writer(self, fd: Any) -> bool:
        core = self._core_at(fd)
        if core is None:
            return super().remove_writer(fd)
        return self._unwatch(core, WRITE)

    def _watch(self, core: Socket) -> Watch:
        core.check()
        if self._watches is None:
            self._watches = {}
        watch = self._watches.get(core)
        if watch is None:
            watch = self._watches[core] = Watch(self, core, self._watches)
        return watch

    def _unwatch(self, core: Socket, side: int) -> bool:
        watch = None if self._watches is None else self._watches.get(core)
        return watch is not None and watch.remove(side)


def _ours(transport: Any) -> bool:
    """A transport of the stack, or the standard library's TLS on one. What else has that TLS is served by the same code."""
    return type(transport) is TcpTransport or type(transport).__module__ == "asyncio.sslproto"
