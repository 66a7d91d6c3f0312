"""`net.accept_any`: whoever is called, and what the caller hears."""

import asyncio
import contextlib
import functools
import warnings

import pytest

import netstack
from netstack.errors import Refused, TimedOut, Unreachable, UsageError
from netstack.instant import MILLISECOND
from netstack.ipv4.ipv4 import Ipv4Config
from netstack.stack import StackConfig
from netstack.testing.wire import Wire


def on_loop(test):
    """`trap` is every address; `guest` has it as its gateway."""

    @functools.wraps(test)
    def run():
        async def main():
            wire = Wire()
            config = StackConfig(ip=Ipv4Config(any_ip=True))
            async with (
                asyncio.timeout(20),
                netstack.open(wire.port("trap"), addresses=["10.0.0.1/24"], seed=1, config=config) as trap,
                netstack.open(wire.port("guest"), addresses=["10.0.0.2/24"], gateway="10.0.0.1", seed=2) as guest,
            ):
                await test(trap, guest)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            asyncio.run(main())

    del run.__wrapped__
    return run


@on_loop
async def test_a_honeypot_answers_on_every_address_and_knows_which(trap, guest):
    async def attend(caller):
        stream = await caller.accept()
        host, port = stream.local_address
        await stream.send_all(f"I am {host}:{port}".encode())
        await stream.aclose()

    await trap.accept_any(attend)
    for host, port in (("192.0.2.7", 22), ("203.0.113.9", 8080), ("10.0.0.1", 5)):
        stream = await guest.connect_stream(host, port)
        assert await stream.receive() == f"I am {host}:{port}".encode()
        await stream.aclose()


@on_loop
async def test_what_is_said_is_what_the_caller_hears(trap, guest):
    async def attend(caller):
        port = caller.destination[1]
        if port == 1:
            caller.refuse()
        elif port == 2:
            caller.unreachable(13)
        elif port == 3:
            caller.drop()

    callers = await trap.accept_any(attend)
    with pytest.raises(Refused):
        await guest.connect_stream("192.0.2.1", 1)
    with pytest.raises(Unreachable):
        await guest.connect_stream("192.0.2.1", 2)
    with pytest.raises(TimedOut):
        await guest.connect_stream("192.0.2.1", 3, 20 * MILLISECOND)
    with pytest.raises(Refused):  # it didn't say anything
        await guest.connect_stream("192.0.2.1", 4)
    with pytest.raises(UsageError, match="already"):
        await trap.accept_any(attend)
    assert callers.open == 0


@on_loop
async def test_nothing_is_answered_before_it_decides_and_a_fault_refuses(trap, guest):
    decide = asyncio.Event()
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context["exception"]))

    async def attend(caller):
        await decide.wait()
        if caller.destination[1] == 5:
            raise ZeroDivisionError
        (await caller.accept()).close()

    await trap.accept_any(attend)
    connecting = asyncio.ensure_future(guest.connect_stream("192.0.2.1", 80))
    failing = asyncio.ensure_future(guest.connect_stream("192.0.2.1", 5))
    await asyncio.sleep(0.02)
    assert not connecting.done() and trap.counters()["TcpExt"]["SynHeld"] == 2
    decide.set()
    await (await connecting).aclose()
    with pytest.raises(Refused):
        await failing
    assert [type(error) for error in faults] == [ZeroDivisionError]


@on_loop
async def test_more_than_the_limit_are_refused_and_closing_frees_the_rest(trap, guest):
    async def attend(caller):
        await asyncio.Event().wait()

    callers = await trap.accept_any(attend, limit=1)
    waiting = asyncio.ensure_future(guest.connect_stream("192.0.2.1", 80))
    await asyncio.sleep(0.01)
    assert callers.open == 1
    with pytest.raises(Refused):
        await guest.connect_stream("192.0.2.1", 81)
    assert callers.turned_away == 1
    await callers.aclose()
    assert callers.open == 0 and len(trap.stack.tcp.held) == 0
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    with pytest.raises(Refused):
        await guest.connect_stream("192.0.2.1", 80)
    with pytest.raises(UsageError, match="limit=0"):
        await trap.accept_any(attend, limit=0)
