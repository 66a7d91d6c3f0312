"""`posix:` beside what every stack promises: asyncio's functions on it, how it is opened, and what leaving leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from netstack_sockets import KernelNet

import netstack
from netstack.errors import AddressInUse, BrokenError, ClosedError, Refused, TimedOut, Unreachable, UsageError
from netstack.instant import MILLISECOND, SECOND, Duration

try:
    import uvloop

    LOOPS = [asyncio.SelectorEventLoop, netstack.new_event_loop, uvloop.new_event_loop]
except ImportError:
    LOOPS = [asyncio.SelectorEventLoop, netstack.new_event_loop]

HERE = "127.0.0.1"
BIG = os.urandom(3 << 20)


def on_loops(test: Callable[[], Awaitable[None]]) -> Callable[..., None]:
    """Run on each loop; whatever is reported to the exception handler fails it, and so does a descriptor that is left."""

    @pytest.mark.parametrize("loop_factory", LOOPS, ids=lambda factory: f"{factory.__module__}.{factory.__name__}")
    def run(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        reported: list[dict[str, Any]] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, int)  # what the loop opens for itself is open
            loop.set_exception_handler(lambda loop, context: reported.append(context))
            before = open_sockets()
            async with asyncio.timeout(20):
                await test()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert open_sockets() == before

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main())
        assert not reported

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


def open_sockets() -> set[str]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{fd}")
            if target.startswith("socket:"):
                found.add(target)
    return found


def opened(address: str = HERE) -> AbstractAsyncContextManager[Any]:
    return netstack.open(f"posix:?address={address}")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def port_of(server: Any) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


# -- asyncio's functions -------------------------------------------------------------------------------------------------------


@on_loops
async def test_asyncios_streams_carry_megabytes() -> None:
    async with opened() as net:
        server = await net.start_server(echo)
        reader, writer = await net.open_connection(HERE, port_of(server))

        async def send() -> None:
            for i in range(0, len(BIG), 50_000):
                writer.write(BIG[i : i + 50_000])
                await writer.drain()
            writer.write_eof()

        _, received = await asyncio.gather(send(), reader.read())
        assert received == BIG
        writer.close()
        await writer.wait_closed()


@on_loops
async def test_a_protocol_gets_a_transport_as_from_the_loop() -> None:
    class Shout(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            assert transport.get_protocol() is self

        def data_received(self, data: bytes) -> None:
            self.transport.write(data.upper())

        def __len__(self) -> int:  # a protocol may be falsy
            return 0

    class Hear(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.room = bytearray(100)
            self.heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def get_buffer(self, hint: int) -> bytearray:
            return self.room

        def buffer_updated(self, n: int) -> None:
            self.heard.set_result(bytes(self.room[:n]))

    async with opened() as net:
        server = await net.create_server(Shout)
        transport, protocol = await net.create_connection(Hear, HERE, port_of(server), local_addr=("127.0.0.9", 0))
        assert type(protocol) is Hear
        assert transport.get_protocol() is protocol
        assert transport.get_extra_info("sockname")[0] == "127.0.0.9"
        transport.write(b"hello")
        assert await protocol.heard == b"HELLO"
        transport.close()


@on_loops
async def test_ssl_is_the_loops() -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    here, there = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(here)
    authority.configure_trust(there)
    async with opened() as net:
        server = await net.start_server(echo, ssl=here)
        reader, writer = await net.open_connection(HERE, port_of(server), ssl=there, server_hostname="localhost")
        writer.write(b"in secret")
        assert await reader.readexactly(9) == b"in secret"
        assert writer.get_extra_info("ssl_object") is not None
        writer.close()
        await writer.wait_closed()
        with pytest.raises(ssl.SSLError):
            await net.open_connection(HERE, port_of(server), ssl=there, server_hostname="elsewhere")


@on_loops
async def test_datagram_endpoints_are_the_loops() -> None:
    class Mirror(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            self.transport.sendto(data[::-1], address)

    class Ask(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def datagram_received(self, data: bytes, address: Any) -> None:
            self.answer.set_result(data)

    async with opened() as net:
        transport, _ = await net.create_datagram_endpoint(Mirror, ("", 0))
        address = transport.get_extra_info("sockname")
        assert address[0] == HERE
        asking, ask = await net.create_datagram_endpoint(Ask, remote_addr=address)
        asking.sendto(b"olleh")
        assert await ask.answer == b"hello"


@on_loops
async def test_the_worlds_errors_have_the_names_that_they_have_elsewhere() -> None:
    async with opened() as net:
        server = await net.create_server(asyncio.Protocol)
        port = port_of(server)
        with pytest.raises(AddressInUse):
            await net.create_server(asyncio.Protocol, port=port)
        server.close()
        with pytest.raises(Refused) as caught:
            await net.create_connection(asyncio.Protocol, HERE, port)
        assert isinstance(caught.value, ConnectionRefusedError)
        assert str(port) in str(caught.value)
        with pytest.raises(Unreachable):
            await net.create_server(asyncio.Protocol, host="192.0.2.1")
        with pytest.raises(Unreachable):
            await net.connect_stream("no-such-name.invalid", 80)
        with pytest.raises(UsageError):
            await net.connect_stream("", 80)
        with pytest.raises(UsageError, match="not an address to bind to"):
            await net.serve_streams(echo, 0, host="name.example")


@on_loops
async def test_a_connection_that_nobody_answers_times_out() -> None:
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.bind((HERE, 0))
        deaf.listen(0)
        for _ in range(2):  # its queue is full
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        async with opened() as net:
            with pytest.raises(TimedOut):
                await net.open_connection(*deaf.getsockname(), timeout=0.02)
            with pytest.raises(TimedOut):
                await net.connect_stream(*deaf.getsockname(), timeout=Duration(20 * MILLISECOND))


# -- addresses and names -------------------------------------------------------------------------------------------------------


@on_loops
async def test_a_name_is_resolved_by_the_system_and_its_addresses_are_tried_in_turn() -> None:
    async def greet(stream: Any) -> None:
        await stream.send_all(b"hi")

    async with netstack.open("posix:") as net:
        listener = await net.serve_streams(greet, 0)  # of IPv4: where localhost is ::1 first, that refuses
        stream = await net.connect_stream("localhost", listener.address[1])
        assert await stream.receive() == b"hi"
        assert stream.remote_address == (HERE, listener.address[1])
        await stream.aclose()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6: sysctl net.ipv6.conf.lo.disable_ipv6=0")
@on_loops
async def test_both_families_reach_who_listens_on_both() -> None:
    async def tell(stream: Any) -> None:
        await stream.send_all(stream.remote_address[0].encode())

    async with netstack.open("posix:") as net:
        listener = await net.serve_streams(tell, 0, host="::")
        for host in (HERE, "::1"):
            stream = await net.connect_stream(host, listener.address[1])
            assert await stream.receive() == host.encode()
            await stream.aclose()
        both = await net.bind_datagrams(host="::")
        for host in (HERE, "::1"):
            one = await net.bind_datagrams(remote=(host, both.local_address[1]))
            await one.send(b"hi")
            data, address = await both.receive()
            assert (data, address) == (b"hi", one.local_address)
            await both.send(b"hi yourself", address)
            assert (await one.receive())[0] == b"hi yourself"


# -- how it is opened ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "more", "sentence"),
    [
        ("posix:eth0", {}, "has no device 'eth0': write posix:"),
        ("posix:?mtu=9000", {}, "does not know the option 'mtu': it knows address=127.0.0.1"),
        ("posix:?address=here.example", {}, "not an address to bind to"),
        ("posix:?address=127.0.0.1&address=127.0.0.2", {}, "address stands twice"),
        ("posix:", {"addresses": ["127.0.0.1/8", "127.0.0.2/8"]}, "address stands twice"),
        ("posix:", {"gateway": "10.0.0.1"}, "has no device of ours: leave gateway out"),
        ("posix:", {"seed": 0}, "leave seed out"),
    ],
)
def test_what_can_not_be_is_one_sentence(spec: str, more: dict[str, Any], sentence: str) -> None:
    async def main() -> None:
        async with netstack.open(spec, **more):
            pass

    with pytest.raises(UsageError, match=sentence):
        asyncio.run(main())


def test_where_frames_are_needed_it_says_that_it_has_none() -> None:
    with pytest.raises(UsageError, match=r"posix is a stack of its own and no device, .* netstack.open takes it"):
        netstack.plugins.open_netif("posix:")  # type: ignore[attr-defined]


class Own:
    """A stack of somebody's, named in full: told by its `__aenter__` from a device."""

    def __init__(self, name: str, options: Any) -> None:
        self.said = (name, dict(options))

    async def __aenter__(self) -> Own:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.said = ("left", {})


def test_a_stack_named_in_full_needs_no_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "some", sys.modules[__name__])
    monkeypatch.setitem(sys.modules, "some.module", sys.modules[__name__])

    async def main() -> None:
        async with netstack.open("some.module:Own:name?colour=red", addresses=["10.0.0.1/24"]) as net:
            own: Any = net
            assert own.said == ("name", {"colour": "red", "address": "10.0.0.1"})
        assert own.said == ("left", {})

    asyncio.run(main())


def test_a_net_is_entered_once_and_used_inside() -> None:
    async def main() -> None:
        net = KernelNet()
        with pytest.raises(UsageError, match="enter it first"):
            await net.connect_stream(HERE, 80)
        async with net:
            with pytest.raises(UsageError, match="entered before"):
                await net.__aenter__()
        for verb in (net.connect_stream(HERE, 80), net.bind_datagrams(), net.create_server(asyncio.Protocol)):
            with pytest.raises(ClosedError):
                await verb
        await net.aclose()

    asyncio.run(main())


# -- leaving -------------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def everything() -> AsyncIterator[tuple[Any, dict[str, Any]]]:
    """A net on which everything is open, and a client of another to see what becomes of it."""
    async with opened("127.0.0.2") as other:
        started: dict[str, Any] = {"cancelled": []}
        async with opened() as net:

            async def stubborn(*args: Any) -> None:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    started["cancelled"].append(args)
                    raise

            listener = await net.serve_streams(stubborn, 0)
            server = await net.start_server(stubborn)
            started["stream"] = await other.connect_stream(*listener.address)
            started["reader"], started["writer"] = await other.open_connection(HERE, port_of(server))
            started["plain"] = await net.create_server(asyncio.Protocol)
            started["reader2"], started["writer2"] = await other.open_connection(HERE, port_of(started["plain"]))
            started["datagrams"] = await net.bind_datagrams()
            await net.create_datagram_endpoint(asyncio.DatagramProtocol, ("", 0))
            started["waiting"] = asyncio.ensure_future(started["datagrams"].receive())
            await asyncio.sleep(0.02)
            yield net, started


@on_loops
async def test_leaving_ends_everything_and_says_so_to_everybody() -> None:
    async with contextlib.AsyncExitStack() as stack:
        _, started = await stack.enter_async_context(everything())
        stream, reader, reader2 = started["stream"], started["reader"], started["reader2"]
        ends = [asyncio.ensure_future(work) for work in (stream.receive(), reader.read(), reader2.read())]
        await asyncio.sleep(0)
    results = await asyncio.gather(*ends, return_exceptions=True)
    assert isinstance(results[0], BrokenError)
    assert isinstance(results[1], ConnectionResetError)
    assert isinstance(results[2], ConnectionResetError)
    assert len(started["cancelled"]) == 2
    with pytest.raises(ClosedError):
        await started["waiting"]
    for writer in (started["writer"], started["writer2"]):
        writer.close()


@on_loops
async def test_what_was_closed_is_delivered_though_its_net_is_left_at_once() -> None:
    received: dict[str, bytes] = {}
    done = [asyncio.Event(), asyncio.Event()]

    async def slowly(stream: Any) -> None:
        await asyncio.sleep(0.05)
        got = bytearray()
        async for segment in stream:
            got += segment
        received["stream"] = bytes(got)
        done[0].set()

    async def slow_reader(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        received["writer"] = await reader.read()
        writer.close()
        done[1].set()

    data = BIG * 4
    async with opened() as there:
        listener, server = await there.serve_streams(slowly, 0), await there.start_server(slow_reader)
        async with opened() as net:
            stream = await net.connect_stream(*listener.address)
            sending = asyncio.ensure_future(stream.send_all(data))
            _, writer = await net.open_connection(HERE, port_of(server))
            writer.write(data)
            await asyncio.sleep(0)
            sending.cancel()
            await stream.aclose()
            writer.close()
        for event in done:
            await event.wait()
    assert received == {"stream": data, "writer": data}


@on_loops
async def test_leaving_waits_for_a_peer_that_does_not_read_for_no_longer_than_it_was_told() -> None:
    loop = asyncio.get_running_loop()
    async with opened() as there:
        listener = await there.serve_streams(lambda stream: asyncio.sleep(3600), 0)  # type: ignore[arg-type,return-value]
        net = KernelNet(HERE)
        await net.__aenter__()
        stream = await net.connect_stream(*listener.address)
        with pytest.raises(TimedOut):
            await stream.send_all(bytes(64 << 20), timeout=Duration(20 * MILLISECOND))
        await stream.aclose()
        begun = loop.time()
        await net.aclose(linger=Duration(SECOND // 10))
        assert 0.099 <= loop.time() - begun < 2  # uvloop counts milliseconds


@on_loops
async def test_connections_by_the_thousand_leave_nothing() -> None:
    async def brief(stream: Any) -> None:
        with contextlib.suppress(BrokenError):
            await stream.receive()

    async with opened() as net:
        listener = await net.serve_streams(brief, 0)
        for i in range(1000):
            stream = await net.connect_stream(*listener.address)
            if i % 3 == 0:
                await stream.aclose()
            elif i % 3 == 1:
                stream.abort()
            else:
                await stream.send_eof()
                assert await stream.receive() == b""  # over on both sides: nothing needs to be closed
        server = await net.create_server(asyncio.Protocol)
        for _ in range(300):
            transport, _ = await net.create_connection(asyncio.Protocol, HERE, port_of(server))
            transport.close()
        await asyncio.sleep(0.01)
        assert not net._streams
        assert len(net._transports) < 200
        assert len(open_sockets()) < 20


@on_loops
async def test_running_out_of_descriptors_is_told_and_survived() -> None:
    """The listener stops asking for a second, instead of turning in place."""
    import resource

    from netstack_sockets import listener as module

    reported: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    retry, module.RETRY = module.RETRY, 0.05
    handled = asyncio.Event()

    async def handler(stream: Any) -> None:
        handled.set()

    async with opened() as net:
        listener = await net.serve_streams(handler, 0)
        with socket.socket() as client:
            client.setblocking(False)
            loop.set_exception_handler(lambda loop, context: reported.append(context))
            used = max(int(fd) for fd in os.listdir("/proc/self/fd"))
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
            try:
                client.connect_ex(listener.address)
                await asyncio.sleep(0.12)
                assert not handled.is_set()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, before)
                module.RETRY = retry
            await handled.wait()
    assert used < before[0]
    assert 1 <= len(reported) <= 4
    assert all(context["exception"].errno == 24 for context in reported)


def test_the_address_is_who_we_are(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened("127.0.0.5") as net:
            assert net.addresses == ["127.0.0.5/32"]
            seen: list[Any] = []

            async def look(stream: Any) -> None:
                seen.append((stream.local_address[0], stream.remote_address[0]))

            listener = await net.serve_streams(look, 0)
            assert listener.address[0] == "127.0.0.5"
            stream = await net.connect_stream(*listener.address)
            assert await stream.receive() == b""
            assert seen == [("127.0.0.5", "127.0.0.5")]
            await stream.aclose()
        async with netstack.open("posix:") as net:
            assert net.addresses == ["127.0.0.1/8"]

    asyncio.run(main())
