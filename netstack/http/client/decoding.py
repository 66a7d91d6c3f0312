"""Content codings undone, piece by piece: gzip and deflate (RFC 9110 8.4.1), within bounds.

Output comes in pieces of at most `PIECE` bytes however little input they need, so that a bomb fills no memory of ours; and where it
grows beyond `limits.inflation` times its input, it is refused, so that it fills nobody else's either.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from ...errors import WireError
from ..config import HttpClientLimits

PIECE = 65536
_FREE = 1 << 20  # of output, before anybody counts: a page of zeros is no bomb
_CODINGS = 2  # one over the other: nobody needs more, and each multiplies what a bomb can do


class CodingError(WireError):
    """What came isn't in the coding it claims, or grows too much."""


class Decoder:
    """One body in one coding, gzip or deflate."""

    __slots__ = ("_gzip", "_limits", "_zlib", "_first", "_in", "_out", "_ended")

    def __init__(self, gzip: bool, limits: HttpClientLimits) -> None:
        self._gzip = gzip
        self._limits = limits
        self._zlib = zlib.decompressobj(31) if gzip else None
        self._first = b""  # of deflate: its first two bytes say which of its two kinds it is
        self._in = self._out = 0
        self._ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises CodingError."""
        self._in += len(data)
        if self._zlib is None:
            data = self._first + data
            if len(data) < 2:
                self._first = data
                return
            # RFC 9110 8.4.1.2 means zlib's format; some servers send bare deflate, and everybody reads both
            wrapped = data[0] & 15 == 8 and (data[0] << 8 | data[1]) % 31 == 0
            self._zlib = zlib.decompressobj(15 if wrapped else -15)
        while data:
            if self._ended:
                if not self._gzip:
                    return  # what follows is rubbish, which everybody passes over
                self._zlib = zlib.decompressobj(31)  # RFC 1952 2.2: several members are one after another
                self._ended = False
            try:
                piece = self._zlib.decompress(data, PIECE)
            except zlib.error:
                raise CodingError("the body is not in the coding that its Content-Encoding says") from None
            if piece:
                self._out += len(piece)
                if self._out > _FREE and self._out > self._in * self._limits.inflation:
                    raise CodingError(f"the body grows to more than {self._limits.inflation} times its size: that is a bomb")
                yield piece
            if self._zlib.eof:
                self._ended = True
                data = self._zlib.unused_data.lstrip(b"\0")
            else:
                data = self._zlib.unconsumed_tail

    def finish(self) -> None:
        """The body is over. Raises CodingError where something is missing."""
        if self._in and not self._ended:
            raise CodingError("the compressed body ends in the midst")


def decoders(content_encoding: str, limits: HttpClientLimits) -> list[Decoder]:
    """The last coding first; none where there is one that we don't know: then the body stays as it is. Raises CodingError."""
    names = [name.strip().lower() for name in content_encoding.split(",")]
    names = [name for name in names if name and name != "identity"]
    if len(names) > _CODINGS:
        raise CodingError("the body is encoded more often than anybody needs")
    if any(name not in ("gzip", "x-gzip", "deflate") for name in names):
        return []
    return [Decoder(name != "deflate", limits) for name in reversed(names)]


def decoded(chain: list[Decoder], data: bytes) -> Iterator[bytes]:
    """`data` through all of them."""
    if not chain:
        if data:
            yield data
        return
    for piece in chain[0].feed(data):
        yield from decoded(chain[1:], piece)
