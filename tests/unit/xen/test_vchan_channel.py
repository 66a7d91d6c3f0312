"""The shared page byte by byte, and what two ends of a channel make of it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from netstack_xen.simulated import Machine
from netstack_xen.vchan import joint as joints
from netstack_xen.vchan import wire
from netstack_xen.vchan.channel import VOID
from netstack_xen.vchan.joint import Joint, claim, offer

from netstack.errors import WireError


class Pair:
    """A server's end in domain 1, a client's in domain 2."""

    def __init__(self, machine: Machine, left: int = 1024, right: int = 2048, bare: bool = False) -> None:
        self.server_program, self.client_program = machine.domain(1), machine.domain(2)
        layout = wire.layout_for(left, right)
        self.server = offer(self.server_program, 2, layout._replace(words=0) if bare else layout)
        self.client = claim(self.client_program, 1, self.server.ref, self.server.port)
        assert self.server.channel.met()

    def heard(self) -> tuple[bool, bool]:
        """Was the server's port told, was the client's? Asking forgets it."""
        for each in (self.server, self.client):
            each.tell()
        return bool(self.server_program.pending()), bool(self.client_program.pending())

    def close(self) -> None:
        self.client.close()
        self.server.close()


def test_the_shared_page_is_the_one_of_libxenvchan():
    with Machine() as machine:
        program = machine.domain(1)
        joint = offer(program, 2, wire.layout_for(4096, 8192))
        page = bytes(joint.channel.page)
        refs = [ref for pages in joint._pages[1:] for ref in pages.refs]
        assert page[:24] == bytes.fromhex("00000000 00000000 00000000 00000000  0c00 0d00  02 01 01 00")
        assert page[24:36] == b"".join(ref.to_bytes(4, "little") for ref in refs)
        assert len(refs) == 3
        assert page[40:56] == bytes.fromhex("564e7331 00000000 00000000 00000000")
        assert not any(page[56:])
        joint.close()
        machine.books.assert_even()
        machine.books.assert_clean()


def test_the_client_says_that_it_is_there_and_wants_to_hear_of_data():
    with Machine() as machine:
        pair = Pair(machine)
        page = bytes(pair.server.channel.page)
        assert page[16:24] == bytes.fromhex("0a00 0b00 01 01 01 01")
        assert page[24:40] == bytes.fromhex("564e7331 564e7331 00000000 00000000")
        assert pair.heard() == (True, True)  # who binds is told once in any case
        pair.close()
        machine.books.assert_even()


@pytest.mark.parametrize(
    ("sizes", "orders"),
    [
        ((1, 1), (10, 11)), ((1024, 2048), (10, 11)), ((2048, 1024), (11, 10)), ((2048, 2048), (11, 12)), ((2049, 2048), (12, 11)),
        ((1024, 2049), (11, 12)), ((4096, 4097), (12, 13)), ((1 << 20, 1 << 20), (20, 20)),
    ],
)  # fmt: skip
def test_orders_are_chosen_as_libxenvchan_does(sizes: tuple[int, int], orders: tuple[int, int]):
    assert wire.layout_for(*sizes)[:2] == orders


@pytest.mark.parametrize("orders", [(9, 11), (10, 10), (11, 11), (21, 12), (12, 65535), (0, 0), (10, 20)])
def test_orders_that_can_not_be_are_refused(orders: tuple[int, int]):
    with pytest.raises(WireError):
        wire.layout(*orders)


@pytest.mark.parametrize("sizes", [(1024, 2048), (2048, 1024), (4096, 4096), (2048, 1 << 16)])
@pytest.mark.parametrize("bare", [False, True])
def test_bytes_come_as_they_went_past_the_end_of_the_ring_and_of_the_numbers(sizes: tuple[int, int], bare: bool, seed: int):
    rng = random.Random(seed)
    with Machine() as machine:
        pair = Pair(machine, *sizes, bare)
        for out, into in ((pair.server, pair.client), (pair.client, pair.server)):
            channel, other = out.channel, into.channel
            for offset, end in ((channel._out, 0), (channel._out + 4, 0)) if hasattr(channel, "_out") else ():
                channel.page[offset : offset + 4] = (0xFFFFFF00 + end).to_bytes(4, "little")
            if hasattr(channel, "_out"):
                channel.prod = other.cons = 0xFFFFFF00
            sent, got = bytearray(), bytearray()
            for _ in range(300):
                n = min(channel.lacking(), rng.randrange(1, 1500))
                if n:
                    data = rng.randbytes(n)
                    channel.put(data, 0, n)
                    sent += data
                n = min(other.wanting(), rng.randrange(1, 1500))
                if n and rng.random() < 0.5:
                    got += other.take(n)
                elif n:
                    room = bytearray(n)
                    other.take_into(memoryview(room), n)
                    got += room
            got += other.take(other.ready())
            assert got == sent
            assert channel.empty
        pair.close()
        machine.books.assert_even()


def test_who_waits_is_told_once_and_who_does_not_is_not():
    with Machine() as machine:
        pair = Pair(machine)
        pair.heard()
        server, client = pair.server.channel, pair.client.channel
        server.put(b"abc", 0, 3)
        assert pair.heard() == (False, True)  # it wanted to hear of data from the start
        server.put(b"def", 0, 3)
        assert pair.heard() == (False, False)
        assert client.take(6) == b"abcdef"
        assert pair.heard() == (False, False)  # nobody waits for room
        assert client.wanting() == 0
        server.put(b"g", 0, 1)
        assert pair.heard() == (False, True)
        full = server.room()
        server.put(bytes(full), 0, full)
        assert server.lacking() == 0
        client.take(1)
        assert pair.heard() == (True, False)
        client.take(1)
        assert pair.heard() == (False, False)
        pair.close()


def test_a_void_ring_is_a_reset_whatever_was_taken_meanwhile():
    with Machine() as machine:
        pair = Pair(machine)
        server, client = pair.server.channel, pair.client.channel
        server.put(bytes(2000), 0, 2000)
        client.take(500)
        server.annul()
        assert client.ready() == VOID
        client.take(1500)  # it had looked before
        assert client.ready() == VOID
        pair.close()


@pytest.mark.parametrize("ahead", [2049, 4096, 0x7FFFF000, 0x90000000, 0xFFFFFFFF])
def test_a_producer_that_lies_is_an_error(ahead: int):
    with Machine() as machine:
        pair = Pair(machine)
        pair.server.channel.page[12:16] = ahead.to_bytes(4, "little")
        with pytest.raises(WireError):
            pair.client.channel.ready()
        pair.close()
        machine.books.assert_even()


@pytest.mark.parametrize("cons", [1, 0xFFFF0000, 0x80000000])
def test_a_consumer_that_lies_is_an_error(cons: int):
    with Machine() as machine:
        pair = Pair(machine)
        pair.client.channel.page[8:12] = cons.to_bytes(4, "little")
        with pytest.raises(WireError):
            pair.server.channel.room()
        pair.close()


def test_our_own_offsets_are_not_the_peers_to_change():
    with Machine() as machine:
        pair = Pair(machine)
        server = pair.server.channel
        server.put(b"one", 0, 3)
        pair.client.channel.page[12:16] = (77).to_bytes(4, "little")  # the server's producer, as the client scribbles on it
        server.put(b"two", 0, 3)
        assert pair.client.channel.take(pair.client.channel.ready()) == b"onetwo"
        pair.close()


def hostile_page(program: Any, edit: Any) -> Joint:
    """A server whose page is not as it should be."""
    joint = offer(program, 2, wire.layout_for(4096, 4096))
    edit(joint.channel.page)
    return joint


def orders(left: int, right: int) -> Any:
    def edit(page: memoryview) -> None:
        page[16:20] = left.to_bytes(2, "little") + right.to_bytes(2, "little")

    return edit


def one_page_twice(page: memoryview) -> None:
    orders(13, 12)(page)
    page[28:32] = page[24:28]


def grants_of_nobody(page: memoryview) -> None:
    page[24:28] = (0xFFFFFFF0).to_bytes(4, "little")


def grants_that_run_out(page: memoryview) -> None:
    orders(16, 16)(page)


def lying_producer(page: memoryview) -> None:
    page[12:16] = b"\xff\xff\0\0"


@pytest.mark.parametrize(
    "edit", [orders(9, 11), orders(10, 10), orders(21, 20), orders(65535, 0), one_page_twice, grants_of_nobody, grants_that_run_out,
             lying_producer],
)  # fmt: skip
def test_a_client_refuses_a_page_that_can_not_be_and_keeps_nothing(edit: Any):
    with Machine() as machine:
        server, client = machine.domain(1), machine.domain(2)
        joint = hostile_page(server, edit)
        with pytest.raises((WireError, OSError)):
            claim(client, 1, joint.ref, joint.port)
        machine.books.assert_even(2)
        joint.close()
        machine.books.assert_even()


def test_an_offer_has_one_taker():
    with Machine() as machine:
        server, one, two = machine.domain(1), machine.domain(2), machine.domain(2)
        joint = offer(server, 2, wire.layout_for(1024, 1024))
        first = claim(one, 1, joint.ref, joint.port)
        with pytest.raises(OSError, match="port"):
            claim(two, 1, joint.ref, joint.port)
        assert first.channel.there()
        assert bytes(joint.channel.page[20:22]) == b"\1\1", "the second one has touched nothing"
        first.close()
        joint.close()
        machine.books.assert_even()


@pytest.mark.parametrize("sizes", [(1024, 1024), (4096, 8192)])
def test_an_offer_that_can_not_be_made_leaves_nothing(sizes: tuple[int, int]):
    for pages in range(4):
        with Machine(page_limit=pages) as machine:
            program = machine.domain(1)
            layout = wire.layout_for(*sizes)
            if layout.pages > pages:
                with pytest.raises(OSError, match="pages"):
                    offer(program, 2, layout)
            else:
                offer(program, 2, layout).close()
            machine.books.assert_even()


def test_the_machine_speaks_for_who_dies():
    with Machine() as machine:
        pair = Pair(machine)
        pair.heard()
        machine.kill(1)
        assert not pair.client.channel.there()
        assert pair.client_program.pending()
        pair.client.close()
        machine.books.assert_even()
    with Machine() as machine:
        pair = Pair(machine)
        pair.heard()
        machine.kill(2)
        assert not pair.server.channel.there()
        assert pair.server_program.pending()
        pair.server.close()
        machine.books.assert_even()


def test_nothing_of_a_channel_that_was_let_go_can_be_touched():
    with Machine() as machine:
        pair = Pair(machine)
        channel = pair.server.channel
        pair.close()
        for call in (channel.ready, channel.room, channel.there, lambda: channel.put(b"x", 0, 1), lambda: channel.take(1)):
            with pytest.raises(ValueError):
                call()
        assert joints.PAGE == 4096
