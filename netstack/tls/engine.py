"""One end of a TLS connection as a machine: ciphertext in, plaintext out, and the other way round. OpenSSL's, without a socket.

    engine.feed(what came)      engine.read(n)  -> bytes, b"" at the peer's end, None: feed more
    engine.feed_eof()           engine.write(data) -> how many bytes were taken, None: feed more
    engine.shake() -> is the handshake over?      engine.take() -> ciphertext that is to be sent, as long as `outgoing`

**Either verb may need the other direction.** A read may have to answer (an alert, a key update, a renegotiation), which shows in
`outgoing`; a write may have to read first, in a renegotiation of TLS 1.2. Who drives the engine needs to know no more: after
each call send what is `urgent`; on None, feed.

**What may wait for the next data does**, with TLS 1.3. Session tickets: a server that sends them by themselves to a client that has
said all it wanted and left is answered by a reset, which destroys what the client said; and they are packets of their own for
nothing. The answer to a key update: RFC 8446 4.6.3 wants it before the next data and no sooner. So receiving never has to wait for
room to send, and two peers that both send before they read can't stop each other. Only a client that has promised to show a
certificate after the handshake has answers that are waited for.

**The end of the stream below is judged here** and not told to OpenSSL, whose opinion of it changes with its versions: when all has
been read and close_notify was not among it, it is a truncation.

OpenSSL reads a clock, for the validity of certificates, and has dice of its own: the one machine of this house that isn't
repeatable, byte for byte.
"""

from __future__ import annotations

import contextlib
import ssl

from .errors import CertificateError, TlsError, TruncatedError
from .hello import LONGEST, asked_name

RECORD = 16384  # RFC 8446 5.1: bytes of plaintext in one
BATCH = 65536  # of plaintext, taken at once: what waits as ciphertext is no more
HELD = 16384  # of answers that may wait for the next data: a thousand key updates
# A peer that asks for answers while it doesn't read them makes them pile up, a key update (27 bytes) for each of 22: an honest one
# changes keys once in gigabytes.
PILED = 65536

Buffer = bytes | bytearray | memoryview


class Engine:
    """ready   the handshake is over             error   it is broken, for this reason
    ended   the peer has ended its side, in order   finished   so have we
    """

    __slots__ = (
        "_early", "_eof", "_hello", "_in", "_out", "_patience", "_ready_bytes", "_tls", "_truncation", "ended", "error", "finished",
        "name", "ready", "server_side",
    )  # fmt: skip

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None, truncation: bool = True
    ) -> None:
        """`server_hostname` is whom a client wants to talk to. Without `truncation` an end without close_notify is an end.

        Raises ssl.SSLError, ValueError where the context is not for that.
        """
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=server_side, server_hostname=server_hostname)
        self._hello: bytearray | None = bytearray() if server_side else None
        self._truncation = truncation
        self._early = b""  # plaintext that was read before somebody asked
        self._eof = False  # nothing more will be fed
        self._patience = 0  # how much of what waits in `_out` may wait
        self._ready_bytes: list[bytes] = []  # ciphertext, in front of what is in `_out`
        self.server_side = server_side
        self.name = server_hostname  # that the client has asked for
        self.ready = False
        self.ended = False
        self.finished = False
        self.error: TlsError | None = None

    @property
    def object(self) -> ssl.SSLObject:
        """OpenSSL's end, for what else it can tell."""
        return self._tls

    # -- the stream below -------------------------------------------------------------------------------------------------------

    def feed(self, data: Buffer) -> None:
        """Ciphertext from the peer. It is copied."""
        if self._hello is not None:
            self._hello += data[: max(LONGEST - len(self._hello), 0)]
        if not self.ended:
            self._in.write(data)

    def feed_eof(self) -> None:
        """The stream below has ended: nothing more will be fed."""
        self._eof = True

    @property
    def outgoing(self) -> bool:
        """Is there ciphertext to be sent?"""
        return bool(self._ready_bytes) or self._out.pending > 0

    @property
    def unread(self) -> bool:
        """Has something come that was not read? What it is may have to be decrypted to know."""
        if not self._early and self.error is None and not self.ended and not self._drained():
            self._early = self._next(RECORD)
        return bool(self._early)

    def _drained(self) -> bool:
        return not self._in.pending and not self._tls.pending()

    @property
    def urgent(self) -> bool:
        """Is there ciphertext that can't wait for the next data?"""
        return bool(self._ready_bytes) or self._out.pending > self._patience

    def take(self) -> list[bytes]:
        """All ciphertext that is to be sent, in pieces of about a record."""
        taken = self._ready_bytes
        self._ready_bytes = []
        if self._out.pending:
            taken.append(self._out.read())
        return taken

    # -- the handshake ----------------------------------------------------------------------------------------------------------

    def shake(self) -> bool:
        """Go on with the handshake. True when it is over; otherwise send what is outgoing, and feed. Raises TlsError."""
        self._check()
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            if self._eof:
                raise self._fail(TruncatedError("the connection ended in the handshake")) from None
            return False
        except ssl.SSLCertVerificationError as error:
            raise self._fail(CertificateError.told("the peer's certificate is refused", error)) from error
        except OSError as error:
            raise self._fail(TlsError.told("the handshake failed", error)) from error
        self.ready = True
        if self._hello is not None:
            self.name = asked_name(self._hello)
            self._hello = None
        if self._tls.version() == "TLSv1.3" and (self.server_side or not self._tls.context.post_handshake_auth):
            self._patience = HELD
            if not self.server_side and self._out.pending:  # our last flight
                self._ready_bytes.append(self._out.read())
        return True

    # -- reading ----------------------------------------------------------------------------------------------------------------

    def read(self, limit: int) -> bytes | None:
        """From one to `limit` bytes; b"" when the peer has ended its side; None where more must be fed. Raises TlsError."""
        if self._early:
            early, self._early = self._early[:limit], self._early[limit:]
            return early
        data = self._one(limit)
        if data is None or len(data) == limit or not self._in.pending or not data:
            return data
        parts = [data]
        limit -= len(data)
        while limit and (more := self._next(limit)):
            parts.append(more)
            limit -= len(more)
        return b"".join(parts)

    def read_into(self, room: memoryview) -> int | None:
        """Fill `room`, which counts bytes, with as much as is there. How much that is, 0 at the peer's end; None: feed more."""
        size = len(room)
        if self._early:
            data = self.read(size)
            assert data
            room[: len(data)] = data
            return len(data)
        if self._nothing():
            return 0 if self.ended else None
        done = 0
        try:
            while done < size:
                n = self._tls.read(size - done, room[done:])  # type: ignore[arg-type, unused-ignore]  # any buffer will do
                if not n:
                    self.ended = True
                    break
                done += n  # type: ignore[operator, unused-ignore]  # with a buffer it is a number
                if not self._in.pending and not self._tls.pending():
                    break
        except ssl.SSLError as error:
            self._troubled(error)
        if done or self.ended:
            return done
        self._check()
        return None

    def _one(self, limit: int) -> bytes | None:
        """Of the first record."""
        if self._nothing():
            return b"" if self.ended else None
        data = self._next(limit)
        if data or self.ended:
            return data
        self._check()
        return None

    def _nothing(self) -> bool:
        """Can nothing be read, without asking OpenSSL? That would cost an exception. Raises TlsError."""
        if self.ended:
            return True
        self._check()
        if self._out.pending > PILED:
            raise self._fail(TlsError("the peer asks for answers and does not read them"))
        if not self._drained():
            return False
        if self._eof:
            self._cut()
        return True

    def _next(self, limit: int) -> bytes:
        """Some bytes, or b"": then `ended` and `error` tell more. An error is for those who come when all before it was read."""
        try:
            data = self._tls.read(min(limit, RECORD))  # it gives no more at once, and makes room for as much as is asked
        except ssl.SSLError as error:
            self._troubled(error)
            return b""
        if not data:
            self.ended = True
        return data

    def _troubled(self, error: ssl.SSLError) -> None:
        """What a read has raised."""
        if isinstance(error, ssl.SSLWantReadError):
            if self._eof:
                self._cut(late=True)
        elif isinstance(error, ssl.SSLZeroReturnError):
            self.ended = True
        else:
            self._fail(TlsError.told("TLS is broken", error))

    def _cut(self, late: bool = False) -> None:
        """All was read, and the stream below has ended."""
        if not self._truncation:
            self.ended = True
            return
        error = self._fail(TruncatedError("the connection ended without close_notify: what came may have been cut short"))
        if not late:
            raise error

    # -- writing ----------------------------------------------------------------------------------------------------------------

    def write(self, data: memoryview) -> int | None:
        """Take some of `data`, which counts bytes: all, or BATCH of it. How much that was; None: send, feed, and try again.

        Raises TlsError.
        """
        self._check()
        done = 0
        end = min(len(data), BATCH)
        try:
            while done < end:
                done += self._tls.write(data[done : min(done + RECORD, end)])
                self._ready_bytes.append(self._out.read())
        except ssl.SSLWantReadError:
            if self._eof and not done:
                raise self._fail(TruncatedError("the connection ended while keys were changed")) from None
            return done or None
        except OSError as error:
            raise self._fail(TlsError.told("TLS is broken", error)) from error
        return done

    def finish(self) -> None:
        """close_notify: nothing is written after it. Reading goes on. Without a word where the handshake isn't over."""
        if self.finished:
            return
        self.finished = True
        if self.error is not None or not self.ready:
            return
        # SSL_shutdown says goodbye, and then looks for the peer's goodbye in what has come, and takes offence at data: so it
        # finds nothing there
        try:
            while self._tls.pending():
                self._early += self._tls.read(RECORD)
            came = self._in.read()
            with contextlib.suppress(ssl.SSLError):  # it wants to read
                self._tls.unwrap()
            self._in.write(came)
        except ssl.SSLError as error:
            self._fail(TlsError.told("TLS is broken", error))
        self._patience = 0

    # -- the end ----------------------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self.error is not None:
            raise self.error.with_traceback(None)

    def _fail(self, error: TlsError) -> TlsError:
        """It is broken, and says so for ever. OpenSSL may have left an alert to be sent."""
        self.error = error
        self._patience = 0
        return error
