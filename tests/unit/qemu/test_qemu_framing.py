"""Frames of an emulator over sockets: what a lawful one sends, what a hostile one does, and what happens when it does not read."""

import asyncio
import contextlib
import os
import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from netstack_qemu import Door, QemuDgram, QemuStream, open_door, open_qemu
from netstack_qemu.base import SocketUnavailable

import netstack
from netstack.errors import UsageError
from netstack.testing.netifs import Probe

LIMIT = 69632  # the longest frame of QEMU's
SRC, DST = bytes.fromhex("525400123456"), bytes.fromhex("525400123401")


def frame(n: int = 60, fill: int = 0) -> bytes:
    return DST + SRC + b"\x88\xb5" + bytes([fill]) * (n - 14)


def packed(*frames: bytes) -> bytes:
    return b"".join(len(f).to_bytes(4, "big") + f for f in frames)


@contextlib.contextmanager
def stream(**options: int) -> Iterator[tuple[QemuStream, Probe, socket.socket]]:
    ours, theirs = socket.socketpair()
    with theirs, QemuStream.from_socket(ours, name="vm", **options) as netif:  # type: ignore[arg-type]
        theirs.setblocking(False)
        yield netif, Probe(netif), theirs


def test_frames_of_a_stream_stand_behind_their_lengths():
    with stream() as (netif, probe, guest):
        guest.send(b"\x00\x00\x00\x3c" + frame() + b"\x00\x00\x05\xea" + frame(1514, 7))
        netif.poll(5)
        assert probe.frames == [(5, frame()), (5, frame(1514, 7))] and probe.batches == 1
        probe.send(frame(100, 9), 6)
        assert guest.recv(4096) == b"\x00\x00\x00\x64" + frame(100, 9)
        assert netif.mib.InFrames == 2 and netif.mib.OutFrames == 1


def test_a_frame_may_come_in_any_pieces(seed):
    rng = random.Random(seed)
    frames = [frame(rng.randrange(14, 1515), i & 255) for i in range(40)]
    whole = packed(*frames)
    with stream() as (netif, probe, guest):
        at = 0
        while at < len(whole):
            n = rng.choice((1, 2, 3, 4, 5, 100, 3000))
            guest.send(whole[at : at + n])
            at += n
            netif.poll(0)
        assert probe.take() == frames


def test_a_batch_is_read_in_one_call():
    frames = [frame(60, i) for i in range(200)]
    with stream() as (netif, probe, guest):
        guest.send(packed(*frames))
        netif.poll(0)
        assert probe.take() == frames and probe.batches == 1


@pytest.mark.parametrize("length", [0, 1, 13])
def test_a_frame_shorter_than_its_header_is_counted_and_the_next_is_found(length):
    with stream() as (netif, probe, guest):
        guest.send(packed(bytes(length), frame()))
        netif.poll(0)
        assert probe.take() == [frame()] and netif.mib.InTooShort == 1


def test_a_frame_too_long_for_the_device_is_passed_over():
    with stream() as (netif, probe, guest):
        whole = packed(frame(LIMIT), frame())
        for at in range(0, len(whole), 30000):
            guest.send(whole[at : at + 30000])
            netif.poll(0)
        assert probe.take() == [frame()] and netif.mib.InTooLong == 1


@pytest.mark.parametrize("length", [LIMIT + 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_a_length_that_no_frame_has_ends_the_connection(length):
    with stream() as (netif, probe, guest):
        guest.send(packed(frame()) + struct.pack("!I", length) + bytes(100))
        with pytest.raises(OSError, match="the guest of vm is gone"):
            netif.poll(0)
        assert probe.take() == [frame()] and netif.mib.InBadLength == 1 and not netif.connected
        probe.send(frame(), 0)
        assert netif.mib.OutNobody == 1


def test_any_bytes_give_frames_or_end_the_connection(seed):
    rng = random.Random(seed)
    for _ in range(60):
        with stream() as (netif, probe, guest):
            with contextlib.suppress(OSError):  # it ended: an error of the device, or a broken pipe of the guest
                for _ in range(8):
                    guest.send(rng.randbytes(2) * rng.randrange(2) + bytes(rng.randrange(4)) + rng.randbytes(rng.randrange(3000)))
                    netif.poll(0)
            assert all(14 <= len(f) <= 2048 for f in probe.take())


def test_a_guest_that_does_not_read_loses_frames_and_no_memory():
    with stream() as (netif, probe, guest):
        for i in range(3000):
            probe.send(frame(1514, i & 255), 0)
        mib = netif.mib
        assert mib.OutNoRoom > 1000 and mib.OutQueued > 100 and mib.OutFrames + mib.OutNoRoom == 3000
        got = bytearray()
        while True:  # what was taken is whole, and in order
            try:
                got += guest.recv(1 << 20)
            except BlockingIOError:
                if not netif.out_n:
                    break
                netif.poll(0)
        assert bytes(got) == packed(*(frame(1514, i & 255) for i in range(mib.OutFrames)))
        probe.send(frame(), 0)
        assert guest.recv(100) == packed(frame())


def test_the_descriptor_tells_when_a_full_socket_takes_more():
    import select

    with stream() as (netif, probe, guest):
        while not netif.out_n:
            probe.send(frame(1514), 0)
        assert not select.select([netif], [], [], 0)[0]
        while True:
            try:
                guest.recv(1 << 20)
            except BlockingIOError:
                break
        assert select.select([netif], [], [], 0)[0]
        netif.poll(0)
        assert not netif.out_n and not select.select([netif], [], [], 0)[0]


def test_a_listener_takes_one_guest_and_the_next_when_that_is_gone(tmp_path):
    path = str(tmp_path / "vm.sock")
    with open_qemu(f"{path},server", {}) as netif:  # type: ignore[attr-defined]
        probe = Probe(netif)
        assert Path(path).stat().st_mode & 0o777 == 0o600
        probe.send(frame(), 0)
        assert netif.mib.OutNobody == 1
        for fill in (1, 2):
            with socket.socket(socket.AF_UNIX) as guest, socket.socket(socket.AF_UNIX) as second:
                guest.connect(path)
                guest.send(packed(frame(60, fill)))
                netif.poll(0)
                second.connect(path)
                netif.poll(0)
                assert second.recv(1) == b"" and netif.mib.TurnedAway == fill
                assert probe.take() == [frame(60, fill)] and netif.connected
            netif.poll(0)
            assert not netif.connected
        # restarted so fast that its end and its return are one wake-up
        with socket.socket(socket.AF_UNIX) as guest:
            guest.connect(path)
            netif.poll(0)
        with socket.socket(socket.AF_UNIX) as guest:
            guest.connect(path)
            guest.send(packed(frame(60, 3)))
            netif.poll(0)
            assert probe.take() == [frame(60, 3)]
        assert netif.mib.Arrivals == 4
    assert not os.path.exists(path)


def test_a_client_waits_for_its_guest_and_comes_back(tmp_path):
    path = str(tmp_path / "vm.sock")
    with QemuStream(path, server=False) as netif:
        probe = Probe(netif)
        assert netif.next_deadline() == 100_000_000
        netif.poll(100_000_000)
        assert netif.next_deadline() == 300_000_000  # twice as long, and so on up to a second
        for turn in (1, 2):
            with socket.socket(socket.AF_UNIX) as qemu:
                qemu.bind(path)
                qemu.listen()
                netif.poll(netif.next_deadline())
                assert netif.connected and netif.next_deadline() is None
                with qemu.accept()[0] as guest:
                    guest.send(packed(frame(60, turn)))
                    netif.poll(0)
            netif.poll(0)
            assert probe.take() == [frame(60, turn)] and not netif.connected and netif.next_deadline() == 0
            os.unlink(path)


def test_without_a_word_it_connects_where_somebody_listens_and_listens_otherwise(tmp_path):
    path = str(tmp_path / "vm.sock")
    with open_qemu(path, {}) as server, open_qemu(path, {}) as client:  # type: ignore[attr-defined]
        assert client.connected and not server.connected
        server.poll(0)
        assert server.connected
        with pytest.raises(SocketUnavailable, match="somebody listens at"):
            QemuStream(path, server=True)
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.close()
    with QemuStream(path, server=True):  # what was left behind is replaced
        pass


def test_datagrams_are_frames_and_whoever_spoke_last_is_answered(tmp_path):
    ours, path, other = (str(tmp_path / name) for name in ("us", "vm", "other"))
    with open_qemu(f"{ours},dgram", {}) as netif, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as guest:  # type: ignore[attr-defined]
        probe = Probe(netif)
        probe.send(frame(), 0)
        assert netif.mib.OutNobody == 1
        guest.bind(path)
        guest.sendto(b"VFKT", ours)
        for n in (0, 1, 13):
            guest.sendto(bytes(n), ours)
        guest.sendto(frame(60, 1), ours)
        netif.poll(0)
        assert probe.take() == [frame(60, 1)]
        assert netif.mib.InGreeting == 1 and netif.mib.InTooShort == 3 and netif.mib.Arrivals == 1
        probe.send(frame(1514, 2), 0)
        assert guest.recv(4096) == frame(1514, 2)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
            nameless.sendto(frame(), ours)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as restarted:
            restarted.bind(other)
            restarted.sendto(frame(60, 3), ours)
            netif.poll(0)
            assert probe.take() == [frame(60, 3)] and netif.mib.InNameless == 1
            probe.send(frame(60, 4), 0)
            assert restarted.recv(4096) == frame(60, 4)
        probe.send(frame(), 0)  # it is away: counted, and nothing breaks
        assert netif.mib.OutNobody == 2


def test_datagrams_that_find_the_peers_queue_full_wait_for_time(tmp_path):
    ours, path = str(tmp_path / "us"), str(tmp_path / "vm")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as guest, QemuDgram(ours, remote=path) as netif:
        guest.bind(path)
        guest.setblocking(False)
        probe = Probe(netif)
        frames = [frame(1514, i & 255) for i in range(600)]
        for f in frames:
            probe.send(f, 0)
        lost = netif.mib.OutNoRoom
        got = []
        now = 0
        while True:
            try:
                got.append(guest.recv(4096))
            except BlockingIOError:
                if netif.next_deadline() is None:
                    break
                now = netif.next_deadline()
                netif.poll(now)
        assert got == frames[: 600 - lost] and lost < 300 and not netif.out_n


def test_a_connected_pair_of_any_kind_carries_frames():
    for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        with theirs, QemuDgram.from_socket(ours) as netif:
            probe = Probe(netif)
            theirs.send(frame())
            netif.poll(0)
            probe.send(frame(99), 0)
            assert probe.take() == [frame()] and theirs.recv(200) == frame(99)
            if kind == socket.SOCK_SEQPACKET:
                theirs.close()
                with pytest.raises(OSError, match="is gone"):
                    netif.poll(0)


def test_a_door_gives_a_device_for_each_guest(tmp_path):
    path = str(tmp_path / "vms")
    door = open_door(path, {"guests": "2"})
    assert isinstance(door, Door)
    assert door.accept(0) is None
    clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for client in clients:
        client.connect(path)
    first, second = door.accept(0), door.accept(1)
    assert first is not None and second is not None and first.name != second.name
    assert door.accept(2) is None and clients[2].recv(1) == b""
    clients[1].send(packed(frame()))
    probe = Probe(second)
    second.poll(0)
    assert probe.take() == [frame()]
    for one in (first, second, door, *clients):
        one.close()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("", {}, "can't be the path of a socket"),
        ("/" + "x" * 200, {}, "at most 107 bytes"),
        ("/tmp/x,sever", {}, "behind the path stand server, client, dgram"),
        ("/tmp/x,server,client", {}, "write one of them"),
        ("/tmp/x,dgram,client", {}, "datagrams need a path of ours"),
        ("/tmp/x,dgram", {"remote": "/tmp/x"}, "can't be both ends"),
        ("/tmp/x", {"remote": "/tmp/y"}, "does not know the option 'remote'"),
        ("/tmp/x", {"mac": "01:00:00:00:00:00"}, "group address"),
        ("/tmp/x", {"mtu": "70000"}, "from 576 to 65520"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(name, options, words):
    with pytest.raises(UsageError, match=words):
        open_qemu(name, options)


def test_a_folder_that_is_not_there_is_named():
    with pytest.raises(SocketUnavailable, match="no such folder"):
        open_qemu("/nowhere/vm.sock,server", {})


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_two_stacks_talk_over_it_at_full_size(kind):
    """Units cut on one end, joined on the other, through a full socket: every byte, in order."""
    data = random.Random(1).randbytes(3_000_000)

    async def main() -> None:
        left, right = socket.socketpair(socket.AF_UNIX, kind)
        made = QemuStream.from_socket if kind == socket.SOCK_STREAM else QemuDgram.from_socket
        a = made(left, name="a", mac=netstack.Mac.parse("02:00:00:00:00:0a"))
        b = made(right, name="b", mac=netstack.Mac.parse("02:00:00:00:00:0b"))
        async with netstack.open(a, addresses=["10.0.0.1/24"]) as one, netstack.open(b, addresses=["10.0.0.2/24"]) as two:
            received = asyncio.get_running_loop().create_future()

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                received.set_result(await reader.read(-1))
                writer.close()

            await two.start_server(serve, port=80)
            _, writer = await one.open_connection("10.0.0.2", 80)
            writer.write(data)
            writer.write_eof()
            assert await received == data
            writer.close()
        assert a.mib.OutCut > 1000 and b.mib.InJoined > 500

    asyncio.run(main())
