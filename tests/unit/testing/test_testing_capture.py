"""What a capture says of frames whose checksum or cutting was left to a device."""

import io
import os
import socket
import struct

import pytest
from netstack_tuntap import Tap

from netstack import const
from netstack.adapters import FramePort
from netstack.cores import Out
from netstack.netif import SendOnly
from netstack.pcap import Decoder
from netstack.testing.capture import completed
from netstack.testing.netifs import Capture
from tests.unit.ground.ground_segments import DST, ETH, SRC, ip_packet, segment, total


def partial(frame: bytes, proto: int = 6, at: int = 16) -> bytes:
    """As a transport leaves it: the sum of the pseudo-header where the checksum goes."""
    pseudo = total(SRC + DST + struct.pack("!HH", proto, len(frame) - 34))
    return frame[: 34 + at] + struct.pack("!H", pseudo) + frame[36 + at :]


def udp(data: bytes) -> bytes:
    return ETH + ip_packet(17, struct.pack("!HHHH", 5, 6, 8 + len(data), 0) + data, 6)


@pytest.mark.parametrize("n", [0, 1, 1000, 40_000])
def test_a_checksum_that_was_left_is_completed(n: int) -> None:
    frame = segment(7, bytes(n) + b"text")
    assert completed(partial(frame), 14) == frame
    assert completed(partial(frame)[14:], 0) == frame[14:]
    assert completed(partial(udp(bytes(n)), 17, 6), 14) == udp(bytes(n))


def test_one_that_is_complete_or_wrong_stays_as_it_is() -> None:
    frame = segment(7, b"text")
    assert completed(frame, 14) == frame
    for word in range(65536):  # one whose checksum happens to be the sum of the pseudo-header
        frame = segment(7, struct.pack("!H", word))
        if frame == partial(frame):
            break
    else:
        raise AssertionError("there is one")
    assert completed(frame, 14) == frame
    frame = segment(7, b"text")
    wrong = frame[:50] + b"\x12\x34" + frame[52:]
    assert completed(wrong, 14) == wrong


def test_whatever_it_is_given_it_gives_back() -> None:
    frame = partial(segment(7, b"text"))
    for n in range(len(frame)):
        assert completed(frame[:n], 14) == frame[:n]
    for other in (frame[:12] + b"\x86\xdd" + frame[14:], frame[:14] + b"\x65" + frame[15:], frame[:23] + b"\x2f" + frame[24:]):
        assert completed(other, 14) == other


def test_a_super_segment_stands_whole_and_says_how_it_is_cut() -> None:
    far, near = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    tap = Tap.from_fd(os.dup(near.fileno()), name="cable")
    file = io.BytesIO()
    capture = Capture(tap, file)
    capture.attach(SendOnly())
    whole = segment(0, bytes(4000))
    p = Out()
    head = partial(whole)[:54]
    p.off, p.l4 = const.HEADROOM - 54, const.HEADROOM - 20
    p.hdr[p.off :] = head
    p.data, p.n, p.csum_off, p.gso = bytes(4000), 4000, 16, 1448
    FramePort(capture.core).send_out(p, 5)
    for i in range(3):
        far.send(segment(i * 1000, bytes(1000)))
    capture.poll(9)
    reader = Decoder()
    packets = reader.feed(file.getvalue())
    assert [packet.data for packet in packets] == [whole, segment(0, bytes(3000))]
    assert [packet.comment for packet in packets] == ["super-segment, cut every 1448 bytes", "super-segment, cut every 1000 bytes"]
    capture.close()
    far.close()
    near.close()
