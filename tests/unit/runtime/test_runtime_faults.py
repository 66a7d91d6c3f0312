"""Programs that raise what they like, from inside a batch: the loop hears of it, and the net goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import netstack
from netstack.adapters import PyDatagramUser
from netstack.testing.wire import Wire

Report = dict[str, Any]


def reports_of(test: Callable[[Any, Any], Awaitable[None]]) -> list[Report]:
    """Run `test(a, b)` with two nets; returns what the loop's exception handler was told."""
    reported: list[Report] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        wire = Wire()
        async with (
            asyncio.timeout(20),
            netstack.open(wire.port("a"), addresses=["10.0.0.1/24"], seed=1) as a,
            netstack.open(wire.port("b"), addresses=["10.0.0.2/24"], seed=2) as b,
        ):
            await test(a, b)

    asyncio.run(main())
    return reported


def test_a_protocol_factory_that_fails_with_an_os_error_costs_its_connection_and_not_the_device() -> None:
    async def test(a: Any, b: Any) -> None:
        def factory() -> asyncio.Protocol:
            if not served:
                served.append(True)
                raise FileNotFoundError("no page there")
            return asyncio.Protocol()

        served: list[bool] = []
        await b.create_server(factory, port=80)
        closed = asyncio.get_running_loop().create_future()

        class Client(asyncio.Protocol):
            def connection_lost(self, error: Exception | None) -> None:
                closed.set_result(error)

        await a.create_connection(Client, "10.0.0.2", 80)
        assert isinstance(await closed, ConnectionResetError)
        assert b.failure is None
        transport, _ = await a.create_connection(asyncio.Protocol, "10.0.0.2", 80)
        transport.abort()

    (report,) = reports_of(test)
    assert isinstance(report["exception"], FileNotFoundError)


def test_an_error_handler_that_fails_costs_nobody_the_device() -> None:
    async def test(a: Any, b: Any) -> None:
        told = asyncio.get_running_loop().create_future()

        class Client(asyncio.DatagramProtocol):
            def error_received(self, error: Exception) -> None:
                told.set_result(None)
                raise error

        transport, _ = await a.create_datagram_endpoint(Client, remote_addr=("10.0.0.2", 9))
        transport.sendto(b"anybody there?")
        await told
        assert a.failure is None
        assert await a.ping("10.0.0.2") >= 0

    (report,) = reports_of(test)
    assert isinstance(report["exception"], ConnectionRefusedError)


def test_after_a_fault_the_next_turn_sends_what_the_batch_owed() -> None:
    """The fault ends the batch before its flush; nothing else arrives that would end it."""

    async def test(a: Any, b: Any) -> None:
        class Faulty:
            def on_datagram(self, data: bytes, address: int, port: int, now: int) -> None:
                raise ZeroDivisionError

            def on_error(self, error: Exception, address: int, port: int, now: int) -> None: ...

        b.stack.udp.bind(0, 9, PyDatagramUser(Faulty()))

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.read(100)).upper())
            writer.close()

        await b.start_server(answer, port=80)
        reader, writer = await a.open_connection("10.0.0.2", 80)
        socket = await a.udp()
        writer.write(b"hello")  # both in one batch: the datagram's fault is after the text, and before the flush
        socket.send_nowait(b"fault", ("10.0.0.2", 9))
        assert await asyncio.wait_for(reader.read(), 0.1) == b"HELLO"
        writer.close()
        await socket.aclose()

    (report,) = reports_of(test)
    assert isinstance(report["exception"], ZeroDivisionError)
