"""Two stacks of vchans where something goes wrong: a domain dies at any of its calls, the machine refuses any of them, peers lie.
The other side goes on, nobody hangs, and the books are even."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
from collections.abc import Callable
from typing import Any

import pytest
from netstack_xen.hypervisor import EVERYONE
from netstack_xen.simulated import Machine, Program
from netstack_xen.vchan import Vchan, paths, wire
from netstack_xen.vchan.joint import Joint, claim, offer

import netstack
from netstack.errors import BrokenError, ClosedError, Refused, TimedOut, WireError
from netstack.instant import SECOND, Duration
from netstack.signatures import Stream

CALLS = ("share", "unshare", "map", "unmap", "allocate", "bind", "release", "notify", "pending")
STORE_CALLS = ("read", "list", "write", "make", "remove", "permit", "watch", "unwatch", "fired", "together")
BOUND = Duration(30 * SECOND)


class Counted:
    """Passes on, and has `before` called with the number of each call."""

    def __init__(self, what: Any, names: tuple[str, ...], before: Callable[[], None]) -> None:
        self._what, self._names, self._before = what, names, before

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._what, name)
        if name == "store":
            return Counted(found, STORE_CALLS, self._before)
        if name not in self._names:
            return found

        def call(*args: Any, **more: Any) -> Any:
            self._before()
            return found(*args, **more)

        return call


class Fate:
    """At the `at`th call something happens."""

    def __init__(self, at: int, what: Callable[[], None]) -> None:
        self.left = at
        self._what = what

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            self._what()


async def echo(stream: Stream) -> None:
    while data := await stream.receive():
        await stream.send_all(data)


async def visit(net: Vchan, port: int = 80) -> None:
    """A whole connection, with more than a ring holds."""
    stream = await net.connect_stream("1", port, BOUND)
    data = bytes(range(256)) * 200
    await stream.send_all(data, BOUND)
    got = bytearray()
    while len(got) < len(data):
        piece = await stream.receive(timeout=BOUND)
        assert piece, "an end in the middle"
        got += piece
    assert got == data
    await stream.send_eof()
    assert await stream.receive(timeout=BOUND) == b""
    await stream.aclose()


def run(main: Any) -> None:
    netstack.run_virtual(main)


async def with_a_dying_client(at: int) -> bool:
    """Is there such a call?"""
    with Machine() as machine:
        program = machine.domain(2)
        fate = Fate(at, lambda: machine.kill(program))
        async with Vchan(machine.domain(1)) as server:
            await server.serve_streams(echo, 80)
            with contextlib.suppress(OSError, ClosedError):
                async with Vchan(Counted(program, CALLS, fate)) as client:
                    await visit(client)
            await asyncio.sleep(12)  # an offer may have been open
            async with Vchan(machine.domain(3)) as other:
                await visit(other)
            await asyncio.sleep(12)
            assert not server._streams
            assert not server._desks[80].offers
        machine.books.assert_even()
    return fate.left <= 0


async def with_a_dying_server(at: int) -> bool:
    with Machine() as machine:
        program = machine.domain(1)
        fate = Fate(at, lambda: machine.kill(program))
        with contextlib.suppress(OSError, ClosedError):
            async with Vchan(Counted(program, CALLS, fate)) as server:
                await server.serve_streams(echo, 80)
                async with Vchan(machine.domain(2)) as client:
                    with contextlib.suppress(Refused, TimedOut, BrokenError):
                        await visit(client)
        async with Vchan(machine.domain(1)) as server, Vchan(machine.domain(2)) as client:
            await server.serve_streams(echo, 80)  # takes over what the dead one has left
            await visit(client)
        machine.books.assert_even()
    return fate.left <= 0


@pytest.mark.parametrize("story", [with_a_dying_client, with_a_dying_server])
def test_a_domain_may_die_at_any_of_its_calls(story: Any):
    async def all_of_them() -> int:
        at = 1
        while await story(at):
            at += 1
        return at

    async def main() -> None:
        assert 25 < await all_of_them() < 500

    run(main())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EINVAL])
@pytest.mark.parametrize("side", [1, 2])
def test_the_machine_may_refuse_any_call(side: int, number: int):
    """Who is refused may fail, and says so by an OSError; everything is given back, but what the machine would not take back."""

    def refuse() -> None:
        raise OSError(number, "no")

    async def once(at: int) -> bool:
        with Machine() as machine:
            fate = Fate(at, refuse)
            programs = {each: machine.domain(each) for each in (1, 2)}
            wrapped = {each: Counted(program, CALLS, fate) if each == side else program for each, program in programs.items()}
            with contextlib.suppress(OSError, ClosedError, WireError):
                async with Vchan(wrapped[1]) as server, Vchan(wrapped[2]) as client:
                    await server.serve_streams(echo, 80)
                    with contextlib.suppress(OSError, ClosedError, WireError):
                        await visit(client)
            for program in programs.values():
                program.close()
            machine.books.assert_even()
        return fate.left <= 0

    async def main() -> None:
        at = 1
        while await once(at):
            at += 1
        assert at > 20

    run(main())


# -- peers that lie -----------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def server_and_liar(**options: Any) -> Any:
    """A stack that serves in domain 1, and a program in domain 2 that does as it likes."""
    with Machine() as machine:
        liar = machine.domain(2)
        async with Vchan(machine.domain(1), **options) as server:
            yield machine, server, liar
            liar.close()
        machine.books.assert_even()


def call(liar: Program, name: str = "77-00000000") -> None:
    folder = paths.calls(2, 1, 80)
    liar.store.make(folder)
    liar.store.permit(folder, 2, readers=[1])
    liar.store.write(f"{folder}/{name}", "")
    liar.store.write(paths.bell(1, 80), "2")


def take_up(liar: Program, name: str = "77-00000000") -> Joint:
    shelf = f"{paths.shelf(1, 80, 2)}/{name}"
    return claim(liar, 1, int(liar.store.read(f"{shelf}/ring-ref") or 0), int(liar.store.read(f"{shelf}/event-channel") or 0))


def scribble(offset: int, data: bytes) -> Callable[[Joint], None]:
    def do(joint: Joint) -> None:
        joint.channel.page[offset : offset + len(data)] = data

    return do


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        (scribble(wire.LEFT + wire.PROD, b"\xff\xff\xff\x0f"), WireError),
        (scribble(wire.RIGHT, b"\xff\xff\xff\x0f"), WireError),
        (scribble(wire.LEFT + wire.PROD, b"\0\0\0\x80"), ConnectionResetError),
        (scribble(wire.CLI_LIVE, b"\0"), ConnectionResetError),
    ],
)
def test_a_liar_costs_his_own_connection_and_is_counted(lie: Any, error: type[BaseException]):
    async def main() -> None:
        caught: list[BaseException] = []

        async def handler(stream: Stream) -> None:
            try:
                for _ in range(6):
                    await stream.send_all(b"x")
                    with contextlib.suppress(TimedOut):
                        await stream.receive(timeout=Duration(SECOND // 2))
            except BrokenError as broken:
                caught.append(broken.__cause__ or broken)

        async with server_and_liar() as (_, server, liar):
            await server.serve_streams(handler, 80)
            await asyncio.sleep(0)
            call(liar)
            await asyncio.sleep(0.1)
            joint = take_up(liar)
            await asyncio.sleep(0.1)
            lie(joint)
            liar.notify(joint.port)
            await asyncio.sleep(5)
            assert [type(each) for each in caught if isinstance(each, error)], caught
            assert server.mib.InErrors == (error is WireError)
            assert not server._streams
            joint.close()

    run(main())


def test_random_scribbling_never_raises_anything_else(seed: int):
    async def main() -> None:
        rng = random.Random(seed)
        strange: list[BaseException] = []
        ended = 0

        async def handler(stream: Stream) -> None:
            nonlocal ended
            try:
                while data := await stream.receive(timeout=Duration(SECOND)):
                    await stream.send_all(data[:10])
            except (BrokenError, TimedOut):
                pass
            except BaseException as error:
                strange.append(error)
                raise
            finally:
                ended += 1

        async with server_and_liar(buffer=4096) as (_, server, liar):
            await server.serve_streams(handler, 80)
            for i in range(60):
                name = f"{i + 1}-{i:08x}"
                call(liar, name)
                await asyncio.sleep(0.05)
                joint = take_up(liar, name)
                liar.store.remove(f"{paths.calls(2, 1, 80)}/{name}")
                for _ in range(8):
                    at = rng.choice([*range(24), 36, 40, 44, 45])
                    joint.channel.page[at] = rng.randrange(256)
                    liar.notify(joint.port)
                    await asyncio.sleep(rng.choice([0, 0.001]))
                joint.close()
                await asyncio.sleep(1.5)
            await asyncio.sleep(5)
            assert not strange
            assert ended == server.mib.PassiveOpens
            # who says before the server has looked that he is not there yet, and takes his call away, is believed
            assert server.mib.PassiveOpens + server.mib.OffersWithdrawn == 60
            assert server.mib.PassiveOpens > 50
            assert not server._streams

    run(main())


def test_offers_have_a_bound_and_a_time_and_others_are_served_meanwhile():
    async def main() -> None:
        async with server_and_liar() as (machine, server, liar):
            await server.serve_streams(echo, 80, backlog=8)
            for i in range(100):
                call(liar, f"{i + 1}-00000000")
            await asyncio.sleep(0.1)
            desk = server._desks[80]
            assert len(desk.offers) == 4, "half of the backlog"
            assert server.mib.CallsPutOff
            async with Vchan(machine.domain(3)) as other:
                await visit(other)
            await asyncio.sleep(11)
            assert server.mib.OffersExpired == 4
            liar.store.remove(paths.calls(2, 1, 80))
            await asyncio.sleep(1)
            assert not desk.offers

    run(main())


def test_a_bell_that_was_spoilt_is_made_anew():
    async def main() -> None:
        async with server_and_liar() as (machine, server, liar):
            await server.serve_streams(echo, 80)
            await asyncio.sleep(0.1)
            bell = paths.bell(1, 80)
            for spoil in (
                lambda: liar.store.remove(bell),
                lambda: liar.store.write(f"{bell}/hanging", "x" * 500),
                lambda: liar.store.write(bell, "x" * 1000),
                lambda: liar.store.write(bell, "999999"),
                lambda: liar.store.write(bell, "-1"),
                lambda: liar.store.write(bell, "5"),  # who hasn't called
            ):
                spoil()
                await asyncio.sleep(0.01)
                async with Vchan(machine.domain(3)) as other:
                    await visit(other)
            assert server.mib.BellsMended >= 2
            assert server.mib.CallsIgnored >= 3

    run(main())


def test_nobody_can_call_in_the_name_of_another():
    async def main() -> None:
        async with server_and_liar() as (machine, server, liar):
            await server.serve_streams(echo, 80)
            machine.domain(3)
            with pytest.raises(OSError, match="may not"):
                liar.store.write(f"{paths.calls(3, 1, 80)}/1-00000000", "")
            liar.store.write(paths.bell(1, 80), "3")
            await asyncio.sleep(0.5)
            assert server.mib.Offers == 0

    run(main())


def test_only_the_chosen_are_served():
    async def main() -> None:
        with Machine() as machine:
            async with (
                Vchan(machine.domain(1), clients=[2]) as server,
                Vchan(machine.domain(2)) as chosen,
                Vchan(machine.domain(3)) as other,
            ):
                await server.serve_streams(echo, 80)
                await visit(chosen)
                with pytest.raises(Refused):
                    await visit(other)
            machine.books.assert_even()

    run(main())


@pytest.mark.parametrize(
    ("ref", "port"), [("x", "1"), ("1", "x"), ("-1", "5"), ("99999999999999", "5"), ("0", "0"), ("4294967295", "131072"), ("", "")]
)
def test_a_server_whose_offer_is_nonsense_is_an_error_or_a_wait(ref: str, port: str):
    async def main() -> None:
        with Machine() as machine:
            liar = machine.domain(1)
            for leaf, text in (("ring-ref", ref), ("event-channel", port)):
                liar.store.write(f"{paths.shop(1, 80)}/{leaf}", text)
                liar.store.permit(f"{paths.shop(1, 80)}/{leaf}", 1, readers=[EVERYONE])
            async with Vchan(machine.domain(2)) as client:
                with pytest.raises((WireError, TimedOut)):
                    await client.connect_stream("1", 80, Duration(SECOND))
                assert client.mib.AttemptFails == 1
            liar.close()
            machine.books.assert_even()

    run(main())


def test_a_client_hears_that_the_server_has_gone_while_it_waits():
    async def main() -> None:
        with Machine() as machine:
            mute = machine.domain(1)
            mute.store.write(paths.shop(1, 80), paths.VERSION)
            mute.store.permit(paths.shop(1, 80), 1, readers=[EVERYONE])
            async with Vchan(machine.domain(2)) as client:
                connecting = asyncio.create_task(client.connect_stream("1", 80))
                await asyncio.sleep(0.2)
                mute.store.remove(paths.shop(1, 80))
                with pytest.raises(Refused):
                    await connecting
            mute.close()
            machine.books.assert_even()

    run(main())


def test_a_call_that_is_given_up_takes_its_offer_with_it():
    async def main() -> None:
        async with server_and_liar() as (_, server, liar):
            await server.serve_streams(echo, 80)
            await asyncio.sleep(0.1)
            call(liar)
            await asyncio.sleep(0.1)
            assert len(server._desks[80].offers) == 1
            liar.store.remove(f"{paths.calls(2, 1, 80)}/77-00000000")
            await asyncio.sleep(0.1)
            assert not server._desks[80].offers
            assert server.mib.OffersWithdrawn == 1
            assert liar.store.list(paths.calls(2, 1, 80)) == []

    run(main())


def test_a_call_that_is_taken_away_may_have_been_answered():
    """By a client that came between our look at the ports and our look at the store."""

    async def main() -> None:
        async with server_and_liar() as (_, server, liar):
            await server.serve_streams(echo, 80)
            await asyncio.sleep(0.1)
            call(liar)
            await asyncio.sleep(0.1)
            (made,) = server._desks[80].offers.values()
            claimed: list[Joint] = []

            class Meanwhile:
                def __init__(self, store: Any) -> None:
                    self._store = store

                def __getattr__(self, name: str) -> Any:
                    return getattr(self._store, name)

                def list(self, path: str) -> Any:
                    if not claimed:
                        claimed.append(claim(liar, 1, made.joint.ref, made.joint.port))
                        liar.store.remove(f"{paths.calls(2, 1, 80)}/77-00000000")
                    return self._store.list(path)

            server._desks[80]._store = Meanwhile(server._desks[80]._store)
            liar.store.write(f"{paths.calls(2, 1, 80)}/78-00000000", "")
            await asyncio.sleep(0.1)
            assert claimed[0].channel.there()
            assert server.mib.OffersWithdrawn == 0
            assert server.mib.PassiveOpens == 1
            claimed[0].close()

    run(main())


def test_an_offer_that_is_too_late_is_called_for_again():
    """Its server took it back before the client came: that asks anew, under another name."""

    async def main() -> None:
        async with server_and_liar() as (_, server, liar):
            xen = server._hypervisor

            async with Vchan(liar, keep=True) as client:
                original = client._calls.begin

                def begin(*args: Any) -> Any:
                    made = original(*args)
                    gone = offer(xen, 2, wire.layout(10, 11))
                    for leaf, value in (("ring-ref", gone.ref), ("event-channel", gone.port)):
                        xen.store.write(f"{made.path}/{leaf}", str(value))
                        xen.store.permit(f"{made.path}/{leaf}", 1, readers=[2])
                    gone.close()
                    made.heard(f"{made.path}/event-channel")
                    return made

                await server.serve_streams(echo, 80)
                client._calls.begin = begin  # type: ignore[method-assign]  # for this one
                await visit(client)
                assert client.mib.ClaimsLost == 1

    run(main())


def test_another_program_of_the_domain_takes_the_port_over():
    async def main() -> None:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        with Machine() as machine:
            async with Vchan(machine.domain(1)) as one, Vchan(machine.domain(1)) as two, Vchan(machine.domain(2)) as client:
                first = await one.serve_streams(echo, 80)

                async def greet(stream: Stream) -> None:
                    await stream.send_all(b"the second")

                await two.serve_streams(greet, 80)
                await asyncio.sleep(0.1)
                assert len(told) == 1
                with pytest.raises(ClosedError):
                    _ = first.address
                stream = await client.connect_stream("1", 80)
                assert await stream.receive() == b"the second"
                await stream.aclose()
            machine.books.assert_even()

    run(main())


@pytest.mark.parametrize("new", [1, 11])
@pytest.mark.parametrize("listening", [True, False])
def test_a_domain_that_is_resumed_elsewhere_has_lost_its_streams_and_says_so(new: int, listening: bool):
    async def main() -> None:
        with Machine() as machine:
            async with Vchan(machine.domain(1)) as moving, Vchan(machine.domain(2)) as other:
                server, client = (moving, other) if listening else (other, moving)
                await server.serve_streams(echo, 80)
                stream = await client.connect_stream("1" if listening else "2", 80)
                await stream.send_all(b"x")
                assert await stream.receive() == b"x"
                machine.suspend(1)
                machine.resume(1, new)
                await asyncio.sleep(0.1)
                assert isinstance(moving.failure, OSError)
                with pytest.raises(BrokenError):
                    await moving.connect_stream("2", 80)
                if not listening:
                    with pytest.raises(BrokenError):
                        await stream.receive()
            machine.books.assert_even()

    run(main())


def test_a_store_that_comes_back_changes_nothing():
    async def main() -> None:
        async with server_and_liar() as (machine, server, _):
            await server.serve_streams(echo, 80)
            async with Vchan(machine.domain(3)) as client:
                stream = await client.connect_stream("1", 80)
                await asyncio.sleep(0.1)
                machine.start_store()  # a live update: all watches fire
                await asyncio.sleep(0.1)
                await stream.send_all(b"still here")
                assert await stream.receive() == b"still here"
                await stream.aclose()
                await visit(client)

    run(main())


def test_where_pages_are_few_one_each_must_do():
    async def main() -> None:
        with Machine(page_limit=12) as machine:
            async with Vchan(machine.domain(1)) as server, Vchan(machine.domain(2)) as client:
                await server.serve_streams(echo, 80)
                streams = [await client.connect_stream("1", 80) for _ in range(4)]
                for stream in streams:
                    await stream.send_all(b"hello")
                    assert await stream.receive() == b"hello"
                more = asyncio.create_task(client.connect_stream("1", 80))
                await asyncio.sleep(3)
                assert not more.done()
                assert server.mib.OffersFailed
                await streams[0].aclose()
                late = await more  # as soon as there are pages again
                await late.aclose()
                for stream in streams:
                    await stream.aclose()
            machine.books.assert_even()

    run(main())
