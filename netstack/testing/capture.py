"""The file that frames are captured into: pcapng, written frame by frame, and never the reason why something else fails."""

from os import PathLike
from typing import BinaryIO

from .. import pcap
from ..pcap import PcapngWriter


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
