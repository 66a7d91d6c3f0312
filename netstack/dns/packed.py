"""Answers kept ready in wire form, and patched for each query: id, RD and CD, the letters of the question as the client wrote them,
TTLs that have run down, EDNS.

What follows the question doesn't change: its pointers lead into a question of the same length. So an answer is one copy behind the
question that `Ask` has in its buffer.
"""

from .. import raw
from ..errors import UsageError, WireError
from . import const as dc
from .ask import Ask
from .reader import Reader


class Packed:
    """`wire`: a response with one question and without an OPT record, as `Builder` or `Message.encode` make it.

    `glue`: the additional section must not be left out; an answer that is too long with it is truncated (RFC 9471).
    Raises UsageError where `wire` is something else.
    """

    __slots__ = ("an", "ar", "body", "flags", "glue", "needed", "ns", "question", "ttls")

    def __init__(self, wire: bytes, glue: bool = False) -> None:
        if len(wire) > dc.MAX_MESSAGE:
            raise UsageError(f"an answer of {len(wire)} octets: at most 65535 are possible")
        r = Reader(wire)
        try:
            r.take(2)
            self.flags = r.u16()
            if not self.flags & dc.QR or r.u16() != 1:
                raise UsageError("an answer to pack is a response with one question")
            self.an = r.u16()
            self.ns = r.u16()
            self.ar = r.u16()
            r.name()
            r.take(4)
            self.question = r.o - dc.HEADER  # octets: name, type and class
            self.body = wire[r.o :]
            self.needed = 0
            self.glue = glue
            self.ttls = bytearray()
            self.walk(r)
        except WireError as error:
            raise UsageError(f"an answer to pack can't be read: {error}") from None

    def walk(self, r: Reader) -> None:
        """Find the TTLs, and where the additional section begins."""
        start = dc.HEADER + self.question
        for i in range(self.an + self.ns + self.ar):
            if i == self.an + self.ns:
                self.needed = r.o - start
            r.name()
            if r.u16() == dc.OPT:
                raise UsageError("an answer to pack has no OPT record: each client gets one of its own")
            r.take(2)
            at = r.o - start
            self.ttls += at.to_bytes(2, "big") + r.u32().to_bytes(4, "big")
            r.take(r.u16())
        r.finish()
        if not self.ar:
            self.needed = r.o - start

    def patch(self, ask: Ask, limit: int, age: int, options: bytes) -> int:
        """Write the answer into `ask.buf`; returns its length, at most `limit`.

        `age` in seconds is taken off each TTL; `options` are EDNS options in wire form, for a client that knows EDNS. The question
        must be the one that this answers. What is too long goes without its additional section; what is still too long is the
        question alone, with TC.
        """
        o = ask.end
        if o != dc.HEADER + self.question:
            raise UsageError("this answer belongs to another question")
        if limit > dc.MAX_MESSAGE:
            limit = dc.MAX_MESSAGE
        if ask.edns:
            limit -= 11 + len(options)
        flags = self.flags
        n = len(self.body)
        an = self.an
        ns = self.ns
        ar = self.ar
        if o + n > limit:
            n = self.needed
            ar = 0
            if o + n > limit or self.glue:
                n = 0
                an = 0
                ns = 0
                flags |= dc.TC
        raw.fill(ask.buf, o, self.body, 0, n)
        if age > 0:
            self.run_down(ask.buf, o, n, age)
        if ask.edns:
            ar += 1
        ask.head(flags, an, ns, ar)
        if ask.edns:
            return ask.put_opt(o + n, 0, options)
        return o + n

    def run_down(self, b: bytearray, o: int, n: int, age: int) -> None:
        """Take `age` seconds off the TTLs of a body of `n` octets at `o`."""
        i = 0
        end = len(self.ttls)
        while i < end:
            at = raw.g16(self.ttls, i)
            if at >= n:
                return
            ttl = raw.g32(self.ttls, i + 2)
            raw.p32(b, o + at, ttl - age if ttl > age else 0)
            i += 6

    def reply(self, ask: Ask, limit: int = 0, age: int = 0, options: bytes = b"") -> bytes:
        """The answer to `ask`: to a datagram, unless another `limit` is given (65535 on a stream)."""
        return raw.take(ask.buf, 0, self.patch(ask, limit if limit > 0 else ask.limit, age, options))
