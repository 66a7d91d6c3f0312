"""Datagrams: whole or lost, one for one, and what the network answers."""

from __future__ import annotations

import contextlib

from ...errors import AddressInUse, BusyError, ClosedError, MessageTooLong, Refused, TimedOut, Unreachable, UsageError
from ...instant import SECOND, Duration
from ...signatures import Datagrams, DatagramStack
from .runner import Cancelled
from .suite import NOBODY, SOON, DatagramSuiteBase, World, case, needs, pattern, raises

DatagramWorld = World[DatagramStack]
PATIENCE = Duration(5 * SECOND)


async def pair(world: DatagramWorld) -> tuple[Datagrams, Datagrams]:
    """A connected port of the client's, and the server's that it is connected to."""
    far = await world.server.bind_datagrams()
    near = await world.client.bind_datagrams(remote=(world.host, far.local_address[1]))
    return near, far


class DatagramStackSuite(DatagramSuiteBase):
    """Any DatagramStack. Supply `ends`, and set flags to False where they can't hold (see DatagramSuiteBase)."""

    # -- there and back --------------------------------------------------------------------------------------------------------

    @case
    async def test_a_datagram_comes_with_its_senders_address(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        await near.send(b"who am I?")
        data, address = await far.receive()
        assert data == b"who am I?"
        assert address == near.local_address
        await far.send(b"you are", address)
        assert await near.receive() == (b"you are", (world.host, far.local_address[1]))

    @case
    async def test_an_unconnected_port_talks_to_anybody(self, world: DatagramWorld) -> None:
        here = await world.client.bind_datagrams()
        for _ in range(3):
            there = await world.server.bind_datagrams()
            await here.send(b"hello", (world.host, there.local_address[1]))
            data, address = await there.receive()
            assert (data, address[1]) == (b"hello", here.local_address[1])
            await there.send(b"hello yourself", address)
            assert await here.receive() == (b"hello yourself", (world.host, there.local_address[1]))

    @case
    async def test_each_datagram_is_received_alone(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        sent = [b"one", b"two, which is longer", b"3"]
        for data in sent:
            await near.send(data)
        assert sorted([(await far.receive())[0] for _ in sent]) == sorted(sent)

    @case
    async def test_an_empty_datagram_is_one(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        await near.send(b"")
        assert await far.receive() == (b"", near.local_address)

    @needs("lossless")
    @case
    async def test_datagrams_of_every_size_come_as_they_were(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        for size in (1, 2, 511, 512, 1471, 1472, 1473, 3000, 9000, 32768):
            if size <= self.largest:
                data = pattern(size, size)
                await near.send(data)
                assert (await far.receive())[0] == data

    @case
    async def test_the_longest_datagram_arrives(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        data = pattern(self.largest)
        await near.send(data)
        assert (await far.receive())[0] == data

    @case
    async def test_a_longer_one_is_refused_and_the_port_goes_on(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        with raises(MessageTooLong) as caught:
            await near.send(bytes(self.largest + 1))
        assert isinstance(caught.error, OSError)
        await near.send(b"short")
        assert (await far.receive())[0] == b"short"

    @needs("lossless")
    @case
    async def test_many_come_in_order(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        for i in range(200):
            await near.send(i.to_bytes(2, "big"))
            if i % 20 == 19:
                for k in range(i - 19, i + 1):
                    assert (await far.receive())[0] == k.to_bytes(2, "big")

    @case
    async def test_a_port_hears_many_senders(self, world: DatagramWorld) -> None:
        far = await world.server.bind_datagrams()
        ports = [await world.client.bind_datagrams(remote=(world.host, far.local_address[1])) for _ in range(20)]
        for port in ports:
            await port.send(b"%d" % port.local_address[1])
        heard = [await far.receive() for _ in ports]
        assert sorted(int(data) for data, _ in heard) == sorted(port.local_address[1] for port in ports)
        assert all(int(data) == address[1] for data, address in heard)

    # -- ports and peers -------------------------------------------------------------------------------------------------------

    @case
    async def test_port_0_chooses_a_port_and_says_which(self, world: DatagramWorld) -> None:
        ports = [await world.server.bind_datagrams() for _ in range(3)]
        assert len({port.local_address[1] for port in ports}) == 3
        assert all(0 < port.local_address[1] < 65536 for port in ports)

    @case
    async def test_a_port_has_one_owner(self, world: DatagramWorld) -> None:
        port = await world.server.bind_datagrams()
        with raises(AddressInUse) as caught:
            await world.server.bind_datagrams(port.local_address[1])
        assert isinstance(caught.error, OSError)

    @case
    async def test_a_closed_port_is_free(self, world: DatagramWorld) -> None:
        port = await world.server.bind_datagrams()
        number = port.local_address[1]
        await port.aclose()
        again = await world.server.bind_datagrams(number)
        assert again.local_address[1] == number

    @case
    async def test_a_connected_port_hears_its_peer_only(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        await near.send(b"here I am")
        _, address = await far.receive()
        stranger = await world.server.bind_datagrams()
        await stranger.send(b"buy this", address)
        await far.send(b"welcome", address)
        assert (await near.receive())[0] == b"welcome"
        with raises(TimedOut):
            await near.receive(timeout=SOON)

    @case
    async def test_a_connected_port_knows_where_it_is(self, world: DatagramWorld) -> None:
        near, _ = await pair(world)
        host, port = near.local_address
        assert host not in ("", "0.0.0.0", "::")
        assert 0 < port < 65536

    @case
    async def test_an_unconnected_port_needs_an_address(self, world: DatagramWorld) -> None:
        port = await world.client.bind_datagrams()
        with raises(UsageError):
            await port.send(b"to whom?")

    @case
    async def test_one_binds_to_addresses_of_ones_own(self, world: DatagramWorld) -> None:
        with raises(Unreachable) as caught:
            await world.server.bind_datagrams(host=NOBODY)
        assert isinstance(caught.error, OSError)
        far = await world.server.bind_datagrams(host=world.host)
        assert far.local_address[0] == world.host
        near = await world.client.bind_datagrams(remote=far.local_address)
        await near.send(b"x")
        assert await far.receive() == (b"x", near.local_address)

    @case
    async def test_what_is_no_port_is_a_mistake(self, world: DatagramWorld) -> None:
        port = await world.client.bind_datagrams()
        for number in (-1, 0, 65536):
            with raises(UsageError):
                await port.send(b"x", (world.host, number))
            with raises(UsageError):
                await world.client.bind_datagrams(remote=(world.host, number))
        for number in (-1, 65536):
            with raises(UsageError):
                await world.client.bind_datagrams(number)

    # -- what the network answers ----------------------------------------------------------------------------------------------

    @needs("refusal_visible")
    @case
    async def test_a_port_that_nobody_has_refuses_once_for_each_datagram(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        number = far.local_address[1]
        await far.aclose()
        for _ in range(2):
            await near.send(b"anybody?")
            with raises(Refused) as caught:
                await near.receive(PATIENCE)
            assert isinstance(caught.error, ConnectionRefusedError)
            with raises(TimedOut):
                await near.receive(SOON)
        again = await world.server.bind_datagrams(number)
        await near.send(b"you are back")
        assert (await again.receive())[0] == b"you are back"

    @needs("refusal_visible")
    @case
    async def test_a_refusal_reaches_a_receiver_that_waits(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        await far.aclose()
        receiving = await world.waiting(near.receive())
        await near.send(b"anybody?")
        with raises(Refused):
            await receiving.result()

    @needs("refusal_visible")
    @case
    async def test_a_refusal_is_told_to_who_receives_and_not_to_who_sends(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        await far.aclose()
        for _ in range(3):
            await near.send(b"anybody?")
            await world.settle()
        with raises(Refused):
            await near.receive(PATIENCE)

    # -- waiting ---------------------------------------------------------------------------------------------------------------

    @case
    async def test_a_receive_times_out_and_may_be_repeated(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        for timeout in (SOON, Duration(0)):
            with raises(TimedOut):
                await far.receive(timeout=timeout)
        await near.send(b"late")
        assert (await far.receive(timeout=PATIENCE))[0] == b"late"

    @case
    async def test_no_time_at_all_takes_what_is_there(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        await near.send(b"here")
        await world.settle()
        assert (await far.receive(timeout=Duration(0)))[0] == b"here"

    @needs("lossless")
    @case
    async def test_cancelled_receives_lose_nothing(self, world: DatagramWorld) -> None:
        near, far = await pair(world)

        async def drip() -> None:
            for i in range(150):
                await near.send(i.to_bytes(2, "big"))
                await world.turns(world.rng.randrange(1, 8))

        dripping = world.start(drip())
        got: list[int] = []
        while len(got) < 150:
            receiving = world.start(far.receive())
            await world.turns(world.rng.randrange(6))
            receiving.cancel()
            with contextlib.suppress(Cancelled):
                got.append(int.from_bytes((await receiving.result())[0], "big"))
        assert got == list(range(150))
        await dripping.result()

    @case
    async def test_a_second_receiver_is_told_at_once(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        first = await world.waiting(far.receive())
        with raises(BusyError):
            await far.receive()
        await near.send(b"for the first")
        assert (await first.result())[0] == b"for the first"

    @case
    async def test_what_nobody_receives_is_dropped_beyond_a_bound(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        for _ in range(4000):
            await near.send(bytes(1000))
        await near.send(b"the last one")
        await world.settle()
        there = 0
        while True:
            try:
                await far.receive(timeout=SOON)
            except TimedOut:
                break
            there += 1
        assert 1 <= there < 4000
        await near.send(b"room again")
        assert (await far.receive(timeout=PATIENCE))[0] == b"room again"

    # -- the end ---------------------------------------------------------------------------------------------------------------

    @case
    async def test_closing_wakes_a_receiver(self, world: DatagramWorld) -> None:
        far = await world.server.bind_datagrams()
        receiving = await world.waiting(far.receive())
        await far.aclose()
        with raises(ClosedError):
            await receiving.result()

    @case
    async def test_a_closed_port_says_so(self, world: DatagramWorld) -> None:
        near, _ = await pair(world)
        await near.aclose()
        await near.aclose()
        for _ in range(2):
            with raises(ClosedError):
                await near.receive()
            with raises(ClosedError):
                await near.send(b"x")

    @case
    async def test_what_waited_goes_with_its_port(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        number = far.local_address[1]
        await near.send(b"unread")
        await world.settle()
        await far.aclose()
        again = await world.server.bind_datagrams(number)
        with raises(TimedOut):
            await again.receive(timeout=SOON)

    @case
    async def test_leaving_closes_what_is_open(self, world: DatagramWorld) -> None:
        near, far = await pair(world)
        await near.send(b"unread")

        async def look() -> None:
            for port in (near, far):
                with raises(ClosedError):
                    await port.receive()
                await port.aclose()
            with raises(ClosedError):
                await world.client.bind_datagrams()

        world.afterwards.append(look)
