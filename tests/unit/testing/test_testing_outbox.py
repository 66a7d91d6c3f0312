"""In which order what a host sends at one instant leaves it."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

import netstack
from netstack.address import Ip4, Mac
from netstack.instant import MILLISECOND
from netstack.testing import outbox
from netstack.testing.inbox import InboxNetif
from netstack.testing.net import World
from netstack.testing.outbox import Outbox, flow_of


class Device(InboxNetif):
    """Remembers what it sent."""

    def __init__(self, mac: Mac | None = None) -> None:
        super().__init__("device", mac, 1500)
        self.sent: list[tuple[bytes, int]] = []

    def transmit(self, frame: bytes, now: int) -> None:
        self.sent.append((frame, now))


def datagram(dst: str, dport: int, sport: int = 1000, proto: int = 17, frag: int = 0, body: bytes = b"") -> bytes:
    head = bytes((0x45, 0, 0, 0, 0, 0, frag >> 8, frag & 255, 64, proto, 0, 0)) + bytes((10, 0, 0, 1)) + bytes(Ip4.parse(dst))
    return head + sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + body


def test_new_flows_leave_by_where_they_go_whatever_the_program_does() -> None:
    frames = [datagram("10.0.0.2", 53), datagram("10.0.0.2", 80), datagram("10.0.0.3", 7)]
    for order in itertools.permutations(frames):
        device = Device()
        box = Outbox(device, lambda _: None)
        for frame in order:
            box.put(frame, 5)
        assert not device.sent
        box.release()
        assert device.sent == [(frame, 5) for frame in frames]
        box.release()
        assert len(device.sent) == 3


def test_known_flows_leave_in_the_order_of_their_first_frames() -> None:
    device = Device()
    box = Outbox(device, lambda _: None)
    old = [datagram("10.0.0.9", 1), datagram("10.0.0.2", 1)]
    for frame in old:
        box.put(frame, 1)
        box.release()
    new = datagram("10.0.0.1", 1)
    for order in itertools.permutations([*old, new]):
        del device.sent[:]
        for frame in order:
            box.put(frame, 2)
        box.release()
        assert [frame for frame, _ in device.sent] == [*old, new]


def test_frames_of_one_flow_and_of_flows_to_the_same_port_stay_as_they_are() -> None:
    device = Device()
    box = Outbox(device, lambda _: None)
    frames = [datagram("10.0.0.2", 53, sport, body=body) for sport in (4000, 3000) for body in (b"z", b"a")]
    for frame in frames:
        box.put(frame, 1)
    box.release()
    assert [frame for frame, _ in device.sent] == frames


def test_what_came_later_leaves_later() -> None:
    device = Device()
    box = Outbox(device, lambda _: None)
    box.put(datagram("10.0.0.3", 1), 1)
    box.put(datagram("10.0.0.2", 1), 2)
    box.release()
    assert [now for _, now in device.sent] == [1, 2]


def test_it_says_once_that_something_waits() -> None:
    device, held = Device(), []
    box = Outbox(device, held.append)
    box.put(datagram("10.0.0.3", 1), 1)
    box.put(datagram("10.0.0.3", 1), 1)
    assert held == [box]
    box.release()
    box.put(datagram("10.0.0.3", 1), 1)
    assert held == [box, box]


def test_its_memory_of_flows_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device()
    box = Outbox(device, lambda _: None)
    for n in range(outbox.MOST_FLOWS + 10):
        box.put(datagram("10.0.0.2", n & 0xFFFF, sport=n >> 16), n)
        box.release()
    frames = [datagram("10.0.0.3", 1), datagram("10.0.0.2", 1)]
    for frame in frames:
        box.put(frame, 1 << 20)
    box.release()
    assert sorted(frame for frame, _ in device.sent[-2:]) == sorted(frames)


def test_fragments_and_what_has_no_ports_are_of_their_addresses() -> None:
    udp, fragment = datagram("10.0.0.2", 53), datagram("10.0.0.2", 53, frag=0x2000)
    ping = datagram("10.0.0.2", 53, proto=1)
    assert flow_of(udp, 0) == bytes((17, 10, 0, 0, 1, 10, 0, 0, 2)) + udp[20:24]
    assert flow_of(fragment, 0) == flow_of(datagram("10.0.0.2", 99, frag=0x0010), 0) == flow_of(udp, 0)[:9]
    assert flow_of(ping, 0) == bytes((1, 10, 0, 0, 1, 10, 0, 0, 2))
    assert flow_of(bytes(12) + b"\x08\x00" + udp, 14) == flow_of(udp, 0)
    assert flow_of(bytes(12) + b"\x08\x06" + udp, 14) == flow_of(udp[:19], 0) == flow_of(b"", 14) == b""


def broadcasts(seed: int, shuffle: random.Random) -> list[tuple[float, int]]:
    """A host tells six others something, in an order that `shuffle` has a hand in. Who heard it when."""
    heard: list[tuple[float, int]] = []

    async def main() -> None:
        world = World(seed=seed, loss=0.3, delay=20 * MILLISECOND)
        teller, others = world.host("teller"), [world.host(f"h{n}") for n in range(6)]
        async with netstack.open_world(world):
            writers: list[asyncio.StreamWriter] = []

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writers.append(writer)

            async def listen(n: int) -> None:
                reader, writer = await others[n].run(asyncio.open_connection("teller", 7))
                for _ in range(10):
                    await reader.readline()
                    heard.append((asyncio.get_running_loop().time(), n))
                writer.close()
                await writer.wait_closed()

            server = await teller.run(asyncio.start_server(serve, port=7))
            listeners = asyncio.gather(*map(listen, range(6)))
            while len(writers) < 6:
                await asyncio.sleep(1)
            for _ in range(10):
                shuffle.shuffle(writers)
                for writer in writers:
                    writer.write(b"something\n")
                await asyncio.sleep(1)
            await listeners
            for writer in writers:
                writer.close()
                await writer.wait_closed()
            server.close()

    netstack.run_virtual(main())
    return heard


def test_a_broadcast_in_any_order_is_the_same_on_the_wire(seed: int) -> None:
    assert broadcasts(7, random.Random(seed)) == broadcasts(7, random.Random(seed + 1))
