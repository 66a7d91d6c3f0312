"""What stands between the frames of wsproto and us: bounds, and permessage-deflate (RFC 7692 7) with its bombs.

wsproto hands each extension the header of a frame, the pieces of its payload as they come, and its end. That is where a length can
be refused before its bytes are here, and where inflating can stop in the middle. Its own deflate inflates whatever it is given, a
thousandfold, so this is another one. The header is shown again while its bytes trickle in: what is done there must be done twice
without harm, and counting waits for the payload.
"""

from __future__ import annotations

import zlib

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from .config import WsConfig
from .deflate import Deflate

_NO_BITS = RsvBits(False, False, False)
_DEFLATED = RsvBits(True, False, False)
_TAIL = b"\x00\x00\xff\xff"  # the end of an empty stored block, which is left out on the wire (RFC 7692 7.2.1)
MEMORY = 5  # of zlib's 1 to 9: a hash table of 4096 entries is plenty for windows of 12 bits


class Guard(Extension):
    """One for each WebSocket, always the only extension."""

    name = "guard"

    def __init__(self, client: bool, config: WsConfig, deflate: Deflate | None) -> None:
        self.reason = ""  # why a frame was refused
        self._limit = config.max_message
        self._compress_from = config.compress_from
        self._deflate = deflate
        self._size = 0  # of the message under way, inflated
        self._open = False  # between its first frame and its last
        self._control = False  # the frame under way is one
        self._inflating = False  # the message is compressed
        self._inflater: zlib._Decompress | None = None
        self._deflater: zlib._Compress | None = None
        self._deflating = False
        if deflate is not None:
            ours, theirs = deflate.server_max_window_bits, deflate.client_max_window_bits
            forget, forgets = deflate.server_no_context_takeover, deflate.client_no_context_takeover
            if client:
                ours, theirs, forget, forgets = theirs, ours, forgets, forget
            self._bits_out, self._bits_in = ours, max(theirs, 9)  # zlib takes 8 for 9 anyway when it deflates
            self._forget_out, self._forget_in = forget, forgets

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return False

    # -- what comes -----------------------------------------------------------------------------------------------------------

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> RsvBits | CloseReason:
        self._control = opcode.iscontrol()
        if self._control:
            return _NO_BITS
        if (opcode is Opcode.CONTINUATION) != self._open:
            self.reason = "a message began within another" if self._open else "a continuation of nothing"
            return CloseReason.PROTOCOL_ERROR
        if not self._open:
            self._inflating = rsv.rsv1 and self._deflate is not None
        room = self._limit - self._size
        if self._inflating:
            room = self._limit + (self._limit >> 8) + 64  # what deflate makes longer, by five bytes in each block, may pass
        if payload_length > room:
            return self._too_big()
        return _NO_BITS if self._deflate is None or self._open else _DEFLATED

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        if self._control:
            return data
        if self._inflating:
            return self._inflate(data)
        self._size += len(data)
        return data

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | CloseReason | None:
        if self._control:
            return None
        if not fin:
            self._open = True
            return None
        last = self._inflate(_TAIL) if self._inflating else None
        if self._inflating and self._forget_in:
            self._inflater = None
        self._open = self._inflating = False
        self._size = 0
        return last

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        found = bytearray()
        while data:
            if self._inflater is None:
                self._inflater = zlib.decompressobj(-self._bits_in)
            room = self._limit - self._size
            try:
                piece = self._inflater.decompress(data, room + 1)
            except zlib.error:
                self.reason = "a message can't be inflated"
                return CloseReason.INVALID_FRAME_PAYLOAD_DATA
            if len(piece) > room:
                return self._too_big()
            self._size += len(piece)
            found += piece
            data = b""
            if self._inflater.eof:  # a last block before the end of the message is lawful (RFC 7692 7.2.3.5)
                data = self._inflater.unused_data
                self._inflater = None
        return bytes(found)

    def _too_big(self) -> CloseReason:
        self.reason = f"a message has {self._limit} bytes at most"
        return CloseReason.MESSAGE_TOO_BIG

    @property
    def between(self) -> bool:
        """No message is under way. Of a first frame that has not ended, whoever counts frames knows."""
        return not self._open

    # -- what goes ------------------------------------------------------------------------------------------------------------

    def compresses(self, size: int) -> bool:
        """Will a whole message of `size` bytes leave compressed?"""
        return self._deflate is not None and size >= self._compress_from

    def frame_outbound(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, data: bytes, fin: bool
    ) -> tuple[RsvBits, bytes]:
        if opcode.iscontrol() or self._deflate is None:
            return rsv, data
        if opcode is not Opcode.CONTINUATION:
            self._deflating = not fin or len(data) >= self._compress_from
            if self._deflating:
                rsv = _DEFLATED
        if not self._deflating:
            return rsv, data
        if self._deflater is None:
            self._deflater = zlib.compressobj(wbits=-self._bits_out, memLevel=MEMORY)
        data = self._deflater.compress(data)
        if fin:
            data = (data + self._deflater.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]
            if self._forget_out:
                self._deflater = None
        return rsv, data
