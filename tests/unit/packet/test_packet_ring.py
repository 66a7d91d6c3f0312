"""Reading from a ring of blocks, which this test writes as the kernel would."""

import mmap
import os
import struct
from collections.abc import Iterator

import pytest
from netstack_packet import open_packet, sysio
from netstack_packet.core import LOOKS, PacketCore

from netstack import const
from netstack.adapters import TeeSink
from netstack.cores import Frame, Out
from netstack.errors import UsageError
from netstack.netif import SendOnly

SIZE = 1 << 17
BLOCKS = 4
VNET = 10
FRAME = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0" + b"\x45" + bytes(45)
GIVES = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4


class Card(PacketCore):
    """The core, and what its face would do."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, 70_000, VNET, 0, GIVES)
        self.looks = 0
        self.exists = True

    def is_there(self) -> bool:
        return self.exists

    def look(self) -> None:
        self.looks += 1


class Kernel:
    """The writing end of the ring, and a sink that keeps what came."""

    def __init__(self) -> None:
        self.near, self.far = os.pipe2(os.O_NONBLOCK)
        self.ring = mmap.mmap(-1, SIZE * BLOCKS)
        self.card = Card(self.near)
        self.card.mount(self.ring, SIZE)
        self.seen: list[tuple[bytes, int, int]] = []
        self.flushes = 0
        self.card.attach(TeeSink(self, SendOnly()))

    def on_input(self, f: Frame) -> None:
        self.seen.append((bytes(f.buf[f.off : f.end]), f.csum, f.gso))

    def on_flush(self, now: int) -> None:
        self.flushes += 1

    def on_send(self, p: Out, now: int) -> None: ...

    def write(self, number: int, *frames: bytes, vnet: bytes = bytes(VNET), status: int = 1, length: int = 0) -> None:
        """Fill a block and hand it over."""
        base = number * SIZE
        at = base + sysio.BLOCK_HEAD
        for i, frame in enumerate(frames):
            mac = 96
            step = (mac + len(frame) + 15) & ~15
            follows = step if i + 1 < len(frames) else 0
            struct.pack_into("=I8xIIIH", self.ring, at, follows, len(frame), length or len(frame), status, mac)
            self.ring[at + mac - VNET : at + mac + len(frame)] = vnet + frame
            at += step
        struct.pack_into("=II", self.ring, base + 12, len(frames), sysio.BLOCK_HEAD)
        struct.pack_into("=I", self.ring, base + 8, sysio.READY)

    def is_given_back(self, number: int) -> bool:
        return struct.unpack_from("=I", self.ring, number * SIZE + 8)[0] == 0

    def close(self) -> None:
        self.ring.close()
        os.close(self.near)
        os.close(self.far)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    it = Kernel()
    yield it
    it.close()


def test_the_frames_of_a_block_come_up_in_their_order(kernel: Kernel) -> None:
    kernel.write(0, FRAME + b"1", FRAME + b"22", FRAME + b"333")
    assert not kernel.card.poll(5)
    assert [frame for frame, _, _ in kernel.seen] == [FRAME + b"1", FRAME + b"22", FRAME + b"333"]
    assert kernel.flushes == 1 and kernel.card.mib.InFrames == 3
    assert kernel.is_given_back(0)


def test_a_block_of_the_kernels_is_not_read(kernel: Kernel) -> None:
    kernel.write(1, FRAME)
    assert not kernel.card.poll(5)
    assert not kernel.seen and not kernel.flushes and not kernel.is_given_back(1)
    kernel.write(0, FRAME)
    kernel.card.poll(6)
    assert len(kernel.seen) == 2


def test_the_ring_goes_round(kernel: Kernel) -> None:
    for turn in range(3 * BLOCKS + 1):
        kernel.write(turn % BLOCKS, FRAME + b"%02d" % turn)
        kernel.card.poll(turn)
        assert kernel.seen[-1][0] == FRAME + b"%02d" % turn
    assert len(kernel.seen) == 3 * BLOCKS + 1


def test_an_empty_block_is_passed_over(kernel: Kernel) -> None:
    """A timer closed it."""
    kernel.write(0)
    kernel.write(1, FRAME)
    kernel.card.poll(5)
    assert len(kernel.seen) == 1 and kernel.is_given_back(0) and kernel.is_given_back(1)


def test_a_poll_takes_a_batch_at_most_and_goes_on_in_the_middle_of_a_block(kernel: Kernel) -> None:
    kernel.write(0, *[FRAME + b"%03d" % i for i in range(const.BATCH + 3)])
    assert kernel.card.poll(5)
    assert len(kernel.seen) == const.BATCH and not kernel.is_given_back(0)
    assert not kernel.card.poll(6)
    assert [frame[-3:] for frame, _, _ in kernel.seen] == [b"%03d" % i for i in range(const.BATCH + 3)]
    assert kernel.is_given_back(0)


def test_what_the_vnet_header_says_is_noted(kernel: Kernel) -> None:
    kernel.write(0, FRAME, vnet=struct.pack("=BBHHHH", 2, 0, 0, 0, 0, 0))
    kernel.write(1, FRAME, vnet=struct.pack("=BBHHHH", 1, 1, 54, 1448, 34, 16))
    kernel.card.poll(5)
    assert [said[1:] for said in kernel.seen] == [(const.CSUM_GOOD, 0), (const.CSUM_PARTIAL, 1448)]


def test_a_frame_that_the_ring_or_the_slab_cut_is_dropped_and_counted(kernel: Kernel) -> None:
    kernel.write(0, FRAME, length=len(FRAME) + 1)
    kernel.write(1, bytes(70_000))
    kernel.write(2, FRAME)
    kernel.card.poll(5)
    assert len(kernel.seen) == 1 and kernel.card.mib.InTruncated == 2


def test_losses_are_asked_for_when_a_frame_tells_of_them_and_when_it_is_busy(kernel: Kernel) -> None:
    kernel.write(0, FRAME)
    kernel.card.poll(5)
    assert kernel.card.looks == 0
    kernel.write(1, FRAME, status=1 | sysio.LOSING)
    kernel.card.poll(5)
    assert kernel.card.looks == 1
    for turn in range(LOOKS):
        kernel.write((turn + 2) % BLOCKS, *[FRAME] * const.BATCH)
        assert kernel.card.poll(5)
    assert kernel.card.looks == 2


@pytest.mark.parametrize(("first", "here"), [(SIZE * BLOCKS, 10), (SIZE * BLOCKS - 60, 10), (48, 1 << 30)])
def test_offsets_past_the_end_are_an_error_and_not_a_crash(kernel: Kernel, first: int, here: int) -> None:
    """The kernel is to be believed; a bug of ours in the arithmetic must not read what lies behind."""
    kernel.write(0, FRAME)
    struct.pack_into("=I", kernel.ring, 16, first)
    struct.pack_into("=II", kernel.ring, 48 + 12, here, here)
    with pytest.raises(IndexError):
        kernel.card.poll(5)


def test_a_wake_up_without_a_frame_asks_the_socket_why(kernel: Kernel) -> None:
    kernel.card.poll(5)  # nothing: EAGAIN
    kernel.card.fd = 1 << 20
    with pytest.raises(OSError, match="the device is gone"):
        kernel.card.poll(5)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("", {}, "write its name"),
        ("lo", {"ring": "perhaps"}, "ring"),
        ("lo", {"mac": "ff:ff:ff:ff:ff:ff"}, "group address"),
        ("lo", {"mtu": "1500"}, "mtu"),
        ("lo", {"offload": "tso4"}, "offload=csum,tso4"),
    ],
)
def test_what_can_not_be_is_said_in_a_sentence(name: str, options: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        open_packet(name, options)
