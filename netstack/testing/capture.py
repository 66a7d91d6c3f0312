"""The file that frames are captured into: pcapng, written frame by frame, and never the reason why something else fails."""

from os import PathLike
from typing import BinaryIO

from .. import const, pcap, raw
from ..pcap import PcapngWriter


def completed(frame: bytes, link: int) -> bytes:
    """`frame`, its transport checksum complete where it was left to the device: then the field holds the sum of the
    pseudo-header (what Linux calls CHECKSUM_PARTIAL). `link` is the length of the link header."""
    b = bytearray(frame)
    if len(b) < link + 20 or b[link] >> 4 != 4 or (link and raw.g16(b, link - 2) != const.ETH_IPV4):
        return frame
    l4 = link + ((b[link] & 15) << 2)
    end = link + raw.g16(b, link + 2)
    offset = {const.PROTO_TCP: const.TCP_CHECKSUM, const.PROTO_UDP: const.UDP_CHECKSUM}.get(b[link + 9])
    if offset is None or end > len(b) or l4 + offset + 2 > end:
        return frame
    pseudo = raw.csum(b, link + 12, 8, b[link + 9] + end - l4)
    if raw.g16(b, l4 + offset) != pseudo or raw.csum(b, l4, end - l4, pseudo) == const.M16:
        return frame
    check = raw.csum(b, l4, end - l4, 0) ^ const.M16
    raw.p16(b, l4 + offset, check or const.M16)  # for TCP the two zeros are the same, for UDP only this one is a checksum
    return bytes(b)


class CaptureFile:
    """A pcapng file. Each frame is written at once, so that the file is whole whenever one looks, or when the test dies.

    A disk that is full ends the capture, not the network: `error` says so afterwards.
    """

    def __init__(self, target: "str | PathLike[str] | BinaryIO", epoch: int = 0) -> None:
        """A path is opened, and closed by `close`; a file stays open. `epoch` nanoseconds are added to every instant."""
        self.error: OSError | None = None
        self.frames = 0
        self._owned = isinstance(target, (str, PathLike))
        self._file = open(target, "wb", buffering=0) if isinstance(target, (str, PathLike)) else target  # noqa: SIM115
        self._writer = PcapngWriter(self._write, epoch=epoch)

    def interface(self, name: str, ethernet: bool) -> int:
        """Describe a device; the number is for `frame`."""
        return self._writer.interface(name, pcap.ETHERNET if ethernet else pcap.RAW)

    def frame(self, interface: int, now: int, data: bytes, direction: int, comment: str = "") -> None:
        """Write a frame, unless the file has failed."""
        if self.error is None:
            self._writer.packet(interface, now, data, direction, comment)
            self.frames += 1

    def close(self) -> None:
        if self._owned:
            self._file.close()

    def _write(self, block: bytes) -> None:
        try:
            self._file.write(block)
        except OSError as error:
            self.error = error
