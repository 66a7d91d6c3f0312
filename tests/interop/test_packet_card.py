"""The stack on a real card: one end of a veth pair, with the kernel as a host on its other end."""

import asyncio
import contextlib
import errno
import hashlib
import os
import select
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from inside import in_a_namespace, ip
from netstack_packet import CardUnavailable, NotAllowed, Packet

import netstack
from netstack.address import Mac
from netstack.errors import UsageError

pytestmark = [pytest.mark.once, pytest.mark.needs_tap, pytest.mark.needs("ip")]

KERNEL, STACK = "10.88.0.1", "10.88.0.2"
BYTES = 30_000_000


def cable() -> None:
    """far0, which is the kernel's, and card0."""
    ip("link", "add", "far0", "type", "veth", "peer", "name", "card0")
    ip("address", "add", f"{KERNEL}/24", "dev", "far0")
    for end in ("far0", "card0"):
        ip("link", "set", end, "up")


@contextlib.asynccontextmanager
async def on_the_card(options: str = "") -> AsyncIterator[Any]:
    async with netstack.open(f"packet:card0{options}", ip=f"{STACK}/24") as net:
        yield net


def pour() -> socket.socket:
    """The kernel gives whoever connects BYTES bytes, and takes as many back, whose hash it sends at the end."""

    def serve() -> None:
        conn, _ = listening.accept()
        with conn:
            conn.sendall(bytes(range(256)) * (BYTES // 256))
            conn.shutdown(socket.SHUT_WR)
            digest = hashlib.blake2s()
            while data := conn.recv(1 << 18):
                digest.update(data)
            conn.close()
            results.append(digest.digest())

    listening = socket.create_server((KERNEL, 9000))
    threading.Thread(target=serve, daemon=True).start()
    return listening


results: list[bytes] = []


async def both_ways(net: Any) -> None:
    with pour():
        reader, writer = await net.open_connection(KERNEL, 9000)
        digest = hashlib.blake2s()
        while data := await reader.read(1 << 18):
            digest.update(data)
        said = bytes(range(256)) * (BYTES // 256)
        assert digest.digest() == hashlib.blake2s(said).digest()
        writer.write(said)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        while not results:
            await asyncio.sleep(0.005)
        assert results.pop() == digest.digest()


def carries(options: str, super_segments: bool) -> None:
    async def main() -> None:
        async with on_the_card(options) as net:
            assert await net.ping(KERNEL, timeout=5)
            await both_ways(net)
            mib = net.stack.netif.mib
            # a super-segment is a frame: where they pass, there are fewer frames than segments
            assert (mib.OutFrames < BYTES // 1460) == super_segments, mib.snapshot()

    cable()
    asyncio.run(main())


@in_a_namespace
def test_megabytes_each_way_in_super_segments() -> None:
    carries("", True)


@in_a_namespace
def test_megabytes_each_way_through_a_ring() -> None:
    carries("?ring=yes", True)


@in_a_namespace
def test_without_offload_segments_are_cut_here() -> None:
    carries("?offload=no", False)


@in_a_namespace
def test_a_link_address_of_its_own_is_listened_for() -> None:
    carries("?mac=02:00:00:00:00:77", True)


@in_a_namespace
def test_the_kernel_reaches_a_server_of_ours() -> None:
    async def main() -> None:
        async with on_the_card() as net:

            async def hello(reader: Any, writer: Any) -> None:
                writer.write(b"hello")
                writer.close()

            async with await net.start_server(hello, port=80):
                reader, writer = await asyncio.open_connection(STACK, 80)
                assert await reader.read() == b"hello"
                writer.close()
                await writer.wait_closed()

    cable()
    asyncio.run(main())


def frames_seen(card: Packet, *frames: bytes) -> list[bytes]:
    """What comes up of `frames` that are put on the cable; behind a broadcast that was sent later nothing comes."""
    seen: list[bytes] = []

    class Observer:
        def on_input(self, f: Any) -> None:
            seen.append(bytes(f.buf[f.off : f.end]))

        def on_flush(self, now: int) -> None: ...

        def on_send(self, p: Any, now: int) -> None: ...

    from netstack.adapters import TeeSink
    from netstack.netif import SendOnly

    card.attach(TeeSink(Observer(), SendOnly()))
    first, last = (frame(Mac.parse("ff:ff:ff:ff:ff:ff"), bytes([number])) for number in (1, 2))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(("far0", 0))
        until_seen(card, seen, s, first)  # an interface loses what is sent in its first moments
        for each in frames:
            s.send(each)
        until_seen(card, seen, s, last)
    return [each for each in seen if each[12:14] == b"\x88\xb5"]  # the kernel speaks on this cable, too


def until_seen(card: Packet, seen: list[bytes], s: socket.socket, fence: bytes) -> None:
    end = time.monotonic() + 20
    while fence not in seen:
        assert time.monotonic() < end, "the fence did not come"
        s.send(fence)
        select.select([card], [], [], 0.1)
        card.poll(1)  # type: ignore[arg-type]  # an instant


def drain(card: Packet) -> None:
    """Poll more often than the kernel has said something on a fresh interface."""
    for _ in range(20):
        card.poll(1)  # type: ignore[arg-type]  # an instant


def frame(dst: Mac, *behind: bytes) -> bytes:
    return bytes(dst) + bytes(Mac.parse("02:00:00:00:00:01")) + b"".join(behind) + b"\x88\xb5" + bytes(50)


@in_a_namespace
def test_only_what_is_for_us_comes_up() -> None:
    """Others' frames, and those of other virtual networks, whose tags the kernel takes off, are left in the kernel."""
    cable()
    ip("link", "set", "card0", "promisc", "on")
    for mac in (None, Mac.parse("02:00:00:00:00:77")):
        with Packet("card0", mac=mac) as card:
            assert card.mac is not None
            ours, group = frame(card.mac), frame(Mac.parse("01:00:5e:00:00:fb"))
            others, tagged = frame(Mac.parse("02:00:00:00:00:66")), frame(card.mac, b"\x81\x00\x00\x05")
            assert frames_seen(card, ours, others, tagged, group) == [ours, group]


@in_a_namespace
def test_what_this_host_sends_on_the_card_does_not_come_back() -> None:
    cable()
    with Packet("card0") as card, socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(("card0", 0))
        s.send(frame(Mac.parse("01:00:5e:00:00:fb")))
        assert frames_seen(card) == []


@in_a_namespace
def test_a_card_that_is_down_is_no_end_and_one_that_is_removed_is() -> None:
    for ring in (False, True):
        cable()
        with Packet("card0", ring=ring) as card:
            ip("link", "set", "card0", "down")
            drain(card)
            assert card.mib.InDowns == 1
            ip("link", "set", "card0", "up")
            drain(card)
            ip("link", "del", "card0")
            with pytest.raises(OSError) as caught:
                drain(card)
            assert caught.value.errno == errno.ENETDOWN


@in_a_namespace
def test_what_nobody_reads_is_counted_as_dropped() -> None:
    cable()
    with Packet("card0") as card, socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(("far0", 0))
        assert card.mac is not None
        for _ in range(20_000):
            s.send(frame(card.mac, bytes(1000)))
        card.look()
        assert card.mib.InNoRoom > 0


@in_a_namespace
def test_refusals_say_what_would_help() -> None:
    cable()
    with pytest.raises(CardUnavailable, match="there is no interface nosuch0"):
        Packet("nosuch0")
    with pytest.raises(CardUnavailable, match="no Ethernet"):
        Packet("lo")
    with Packet("card0") as card, pytest.raises(UsageError, match="ethtool -K card0 gro off"):
        with contextlib.suppress(OSError):
            set_gro("card0", True)
        card.plain()
    os.seteuid(65534)
    with pytest.raises(NotAllowed, match="CAP_NET_RAW"):
        Packet("card0")


def set_gro(name: str, on: bool) -> None:
    import array
    import fcntl

    memory = array.array("B", struct.pack("=II", 0x2C, on))
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8946, struct.pack("@16sP16x", name.encode(), memory.buffer_info()[0]))


@in_a_namespace
def test_where_the_kernel_joins_nothing_single_frames_with_whole_checksums_pass() -> None:
    cable()
    set_gro("card0", False)
    with Packet("card0") as card:
        card.plain()
        assert not card.offload
