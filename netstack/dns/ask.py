"""Queries as a server meets them: header, one question and what the OPT record says, read into one reused object.

Nothing is built but the key to look the answer up by. The query is copied to the head of a buffer, and there the answer is
written (`packed.py`): id and question, in the case that the client gave its letters, stand already where they belong.
"""

from .. import raw
from . import const as dc

OK = 0  # a query with one question: `key` is set
SILENCE = 1  # shorter than a header, or a response: answering either would let two servers talk to each other for ever
FORMERR = 2
WHOLE = 3  # lawful as far as it was read, and more than this reader knows: `message.decode` has to see it
BADVERS = 4  # as OK, in an EDNS version that nobody has


class Ask:
    """`payload`: what we say, and keep to, as the longest datagram that we take and send (RFC 6891 6.2.5).

    After `read`: `id`, `flags`, `type`, `rclass`; `key`, the name in small letters followed by type and class; `edns`, `do`,
    `version`, `cookie_n` octets of cookie at `cookie_at` of `buf`, `nsid` where that is asked for; `limit` for the answer over
    UDP; `end` of the question.
    """

    __slots__ = ("buf", "cookie_at", "cookie_n", "do", "edns", "end", "flags", "id", "key", "limit", "n", "nsid", "payload",
                 "rclass", "type", "verdict", "version")  # fmt: skip

    def __init__(self, payload: int = 1232) -> None:
        self.payload = max(dc.MIN_PAYLOAD, min(payload, dc.MAX_MESSAGE))
        self.buf = bytearray(dc.MAX_MESSAGE)
        self.key = b""
        self.n = 0
        self.clear()

    def clear(self) -> None:
        self.verdict = SILENCE
        self.id = self.flags = self.type = self.rclass = self.version = self.cookie_at = self.cookie_n = 0
        self.edns = self.do = self.nsid = False
        self.limit = dc.MIN_PAYLOAD
        self.end = dc.HEADER

    def read(self, data: "bytes | bytearray | memoryview") -> int:
        """What `data` is: OK, SILENCE, FORMERR, WHOLE or BADVERS."""
        return self.read_at(data, 0, raw.size(data))

    def read_at(self, data: "bytes | bytearray | memoryview", o: int, n: int) -> int:
        """The same of `n` octets from `o` of any buffer."""
        if n < dc.HEADER or n > dc.MAX_MESSAGE:
            self.verdict = SILENCE
            return SILENCE
        raw.fill(self.buf, 0, data, o, n)
        self.n = n
        self.verdict = self.parse(n)
        return self.verdict

    def parse(self, n: int) -> int:
        """Read the `n` octets of `buf`."""
        b = self.buf
        self.clear()
        self.id = raw.g16(b, 0)
        self.flags = raw.g16(b, 2)
        if self.flags & dc.QR:
            return 1
        if self.flags & dc.OPCODE:
            return 3
        qd = raw.g16(b, 4)
        additional = raw.g16(b, 10)
        if qd != 1:
            return 3 if qd == 0 else 2  # RFC 9619: more than one is FORMERR; none, with a cookie: RFC 7873 5.4
        o = 12
        while True:
            if o >= n:
                return 2
            c = raw.g8(b, o)
            if c > 63:
                return 2  # a pointer, before which there is nothing; or worse
            o += c + 1
            if o > 12 + 255:
                return 2
            if c == 0:
                break
        if n - o < 4:
            return 2
        self.type = raw.g16(b, o)
        self.rclass = raw.g16(b, o + 2)
        self.key = raw.lowered(b, 12, o - 12, 4)
        o += 4
        self.end = o
        if raw.g32(b, 6) or additional > 1:
            return 3
        if additional == 0:
            return 0 if o == n else 2
        if n - o < 11:
            return 2
        if raw.g8(b, o) or raw.g16(b, o + 1) != dc.OPT:
            return 3
        return self.parse_opt(o, n)

    def parse_opt(self, o: int, n: int) -> int:
        """Read the OPT record at `o`, which ends the message."""
        b = self.buf
        self.edns = True
        size = raw.g16(b, o + 3)
        if size > self.payload:
            size = self.payload
        if size > self.limit:
            self.limit = size
        self.version = raw.g8(b, o + 6)
        self.do = raw.g16(b, o + 7) & dc.DO != 0
        if raw.g16(b, o + 9) != n - o - 11:
            return 2
        o += 11
        while o < n:
            if n - o < 4:
                return 2
            size = raw.g16(b, o + 2)
            if size > n - o - 4:
                return 2
            code = raw.g16(b, o)
            if code == dc.NSID:
                self.nsid = True
            elif code == dc.COOKIE and self.cookie_n == 0:
                if size != 8 and (size < 16 or size > 40):
                    return 2  # RFC 7873 5.2.2
                self.cookie_at = o + 4
                self.cookie_n = size
            o += 4 + size
        return 4 if self.version else 0

    @property
    def name(self) -> bytes:
        """The question's name as the client wrote it."""
        return raw.take(self.buf, 12, max(self.end - 16, 0))

    @property
    def cookie(self) -> bytes:
        """The cookie option's data, or nothing. Gone when an answer was written."""
        return raw.take(self.buf, self.cookie_at, self.cookie_n)

    def head(self, flags: int, an: int, ns: int, ar: int) -> None:
        """Write the header of the answer: `flags`, with RD and CD as the client had them (RFC 1035 4.1.1, RFC 4035 3.2.2). AD only
        to clients that know it (RFC 6840 5.8)."""
        if not self.do and not self.flags & dc.AD:
            flags &= ~dc.AD
        raw.p16(self.buf, 2, flags | self.flags & 0x0110)
        raw.p16(self.buf, 4, 1 if self.end > 12 else 0)
        raw.p16(self.buf, 6, an)
        raw.p16(self.buf, 8, ns)
        raw.p16(self.buf, 10, ar)

    def put_opt(self, o: int, ext_rcode: int, options: bytes) -> int:
        """Write our OPT record at `o`, `options` in wire form, DO as the client had it (RFC 3225 3). Returns where it ends."""
        b = self.buf
        raw.p8(b, o, 0)
        raw.p16(b, o + 1, dc.OPT)
        raw.p16(b, o + 3, self.payload)
        raw.p16(b, o + 5, ext_rcode << 8)
        raw.p16(b, o + 7, dc.DO if self.do else 0)
        raw.p16(b, o + 9, len(options))
        raw.fill(b, o + 11, options, 0, len(options))
        return o + 11 + len(options)

    def refuse(self, rcode: int, flags: int = 0, options: bytes = b"") -> bytes:
        """An answer without records: `rcode` (twelve bits), the question where it could be read, OPT to who sent one.

        For a message that `read` calls WHOLE the opcode goes back as it came (RFC 1035 4.1.1).
        """
        flags |= dc.QR | rcode & 15 | self.flags & dc.OPCODE
        self.head(flags, 0, 0, 1 if self.edns else 0)
        n = self.end
        if self.edns:
            n = self.put_opt(n, rcode >> 4, options)
        return raw.take(self.buf, 0, n)
