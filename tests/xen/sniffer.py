"""What a kernel's interface sees of each frame: its size, and whether its segments were left to be cut and its sum to be done.

A packet socket tells so in a virtio header in front of each frame (PACKET_VNET_HDR), in either direction: that is the kernel's own
word for what came over the rings, and for what went.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

SOL_PACKET = 263
PACKET_VNET_HDR = 15
SO_RCVBUFFORCE = 33
OUTGOING = 4  # PACKET_OUTGOING
NEEDS_CSUM = 1
TCP = 6


class Seen:
    """Of TCP alone, in one direction."""

    def __init__(self) -> None:
        self.frames = self.blank = self.cut_later = self.largest = 0

    def __repr__(self) -> str:
        return f"{self.frames} frames, {self.blank} with a blank sum, {self.cut_later} super-segments, at most {self.largest} bytes"


class Sniffer:
    def __init__(self) -> None:
        self.to_us = Seen()
        self.from_us = Seen()

    def note(self, frame: bytes, size: int, outgoing: bool) -> None:
        flags, kind, _, _, _, _ = struct.unpack_from("=BBHHHH", frame)
        if frame[10 + 12 : 10 + 14] != b"\x08\x00" or frame[10 + 23] != TCP:
            return
        seen = self.to_us if outgoing else self.from_us
        seen.frames += 1
        seen.blank += flags & NEEDS_CSUM
        seen.cut_later += kind != 0
        seen.largest = max(seen.largest, size - 10)


@contextlib.contextmanager
def sniffing(device: str) -> Iterator[Sniffer]:
    sniffer = Sniffer()
    over = threading.Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as raw:
        raw.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        raw.bind((device, 3))
        raw.settimeout(0.1)

        def listen() -> None:
            room = bytearray(128)
            while True:
                try:
                    size, address = raw.recvfrom_into(room, flags=socket.MSG_TRUNC)
                except TimeoutError:
                    if over.is_set():
                        return
                    continue
                sniffer.note(room, size, address[2] == OUTGOING)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield sniffer
        finally:
            over.set()
            thread.join()
