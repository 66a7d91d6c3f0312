"""One question to servers, as dig asks it: raw. An answer that is lame, refused, cut or failed is an answer, and it is shown.

The first server has all the tries, those after it one each; over a stream every failure is a try. What a server says it can't do is
not learnt for later: each look-up is asked as it was written.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Protocol

from attrs import evolve, frozen

from ...dns import name as names
from ...dns.edns import Edns
from ...dns.message import Message, decode
from ...dns.numbers import Rcode, type_text
from ...dns.present import hex_dump, message_text, opcode_text, rclass_text
from ...dns.stream import Deframer, frame
from ...dns.tsig import Signer, TsigError, Verifier
from ...errors import BrokenError, PeerReset, Refused, TimedOut, UsageError, WireError
from ...instant import SECOND, Duration
from ...signatures import Datagrams, DatagramStack, Rng, Stream, StreamStack
from ...tls.errors import CertificateError
from .lookup import Job, Lookup

DATAGRAM_TIME = 5  # seconds: dig's
STREAM_TIME = 10
MOST_STRAYS = 1000  # datagrams that are no answer, in one try: somebody who sends faster than that is not waited out
ERRNO_WORDS = {101: "network unreachable", 113: "host unreachable", 99: "address not available", 13: "permission denied"}


class Network(DatagramStack, StreamStack, Protocol):
    """What dig needs of a net."""


@frozen
class Server:
    """`said` is what the user called it."""

    address: str
    port: int
    said: str

    def __str__(self) -> str:
        return f"{self.address}#{self.port}"


@frozen
class Reply:
    """`rtt` in ns, `when` in seconds since 1970; `cookie` is the client's that was sent."""

    message: Message
    wire: bytes
    query: Message
    server: Server
    rtt: int
    way: str  # UDP, TCP, TLS, HTTPS, HTTP
    when: float
    cookie: bytes
    valid: bool = True  # signed as it should be, where the query was


class Silence(Exception):
    """No server answered. The text says why, for those who didn't follow. `sent`: not even a query could leave."""

    def __init__(self, why: str, sent: bool = True) -> None:
        super().__init__(why)
        self.sent = sent


class BadPacket(Exception):
    """What came can't be read; it has been shown."""


class Failed(Exception):
    """This try did, for the reason that the text gives. `sent`: a query has left."""

    def __init__(self, why: str, sent: bool = True) -> None:
        super().__init__(why)
        self.sent = sent


class Asker:
    """Asks for one command line. `say` prints a line about what happens on the way, `greet` what comes before a first answer."""

    def __init__(
        self,
        net: Network,
        job: Job,
        rng: Rng,
        say: Callable[[str], None],
        show: Callable[[str], None],
        greet: Callable[[], None],
    ) -> None:
        self.net = net
        self.job = job
        self.rng = rng
        self.say = say
        self.show = show
        self.greet = greet
        self.cookie = rng.getrandbits(64).to_bytes(8, "big")

    def remark(self, lookup: Lookup, text: str) -> None:
        if lookup.comments and not self.job.short:
            self.say(text)

    async def ask(self, lookup: Lookup, servers: list[Server], name: bytes) -> Reply:
        """The first answer that counts. Raises Silence, BadPacket."""
        stream = lookup.over_stream
        server_cookie = b""
        renewed = False
        tries = lookup.tries
        place = 0
        while True:
            query = lookup.message(name, self.rng.getrandbits(16), self.cookie, server_cookie)
            server = servers[place]
            try:
                reply = await self.once(lookup, server, query, stream)
            except Failed as failure:
                self.say(str(failure))
                if tries > 1 and (failure.sent or stream):
                    tries -= 1
                    continue
                place += 1
                if place == len(servers):
                    raise Silence(str(failure), failure.sent) from None
                continue
            m = reply.message
            if m.rcode == Rcode.BADVERS and m.edns is not None and lookup.negotiate and m.edns.version < (lookup.edns or 0):
                self.remark(lookup, f"BADVERS, retrying with EDNS version {m.edns.version}.")
                lookup = evolve(lookup, edns=m.edns.version)
                place = 0
                continue
            if m.tc and not lookup.ignore and not stream:
                server_cookie = self.given(m.edns) or server_cookie
                self.remark(lookup, "Truncated, retrying in TCP mode.")
                stream, place = True, 0
                continue
            given = self.given(m.edns)
            if m.rcode == Rcode.BADCOOKIE and given and lookup.cookie and lookup.retry_cookie and not stream:
                if lookup.show_cookie:
                    self.show(message_text(m, lookup.style(), sent_cookie=self.cookie))
                self.remark(lookup, f"BADCOOKIE, retrying{' in TCP mode' if renewed else ''}.")
                server_cookie, stream, renewed, place = given, renewed, True, 0
                continue
            if m.rcode == Rcode.SERVFAIL and not lookup.fail:
                if place + 1 < len(servers):
                    self.remark(lookup, f"Got SERVFAIL reply from {server.said}, trying next server")
                    place += 1
                    continue
                self.remark(lookup, f"Got SERVFAIL reply from {server.said}")
            return reply

    def given(self, edns: Edns | None) -> bytes:
        """The server's cookie, when it came with ours."""
        try:
            both = None if edns is None else edns.cookie
        except WireError:
            return b""
        return both[1] if both is not None and both[0] == self.cookie else b""

    # -- one try --------------------------------------------------------------------------------------------------------------

    async def once(self, lookup: Lookup, server: Server, query: Message, stream: bool) -> Reply:
        wire, verifier = self.sealed(query.encode(pad=lookup.padding))
        stream = stream or len(wire) > 512
        if lookup.show_query and not self.job.json:
            self.show_query(lookup, query, wire)
        way = lookup.way if stream else "UDP"
        sent = time.monotonic_ns()
        over = self.over_https if lookup.https else self.over_stream if stream else self.over_datagrams
        data, m = await over(lookup, server, query, wire)
        rtt = time.monotonic_ns() - sent
        return Reply(m, data, query, server, rtt, way, time.time(), self.cookie, self.believed(verifier, data))

    def sealed(self, wire: bytes) -> tuple[bytes, Verifier | None]:
        """Signed, where there is a key; and who tells whether the answer is."""
        if self.job.key is None:
            return wire, None
        signer = Signer(self.job.key)
        signed = signer.sign(wire, int(time.time()))
        return signed, Verifier(self.job.key, signer.mac)

    def believed(self, verifier: Verifier | None, data: bytes) -> bool:
        """Says what is wrong with the signature."""
        try:
            if verifier is not None:
                verifier.check(data, int(time.time()))
        except TsigError as error:
            self.say(f"Couldn't verify signature: {error}")
            return False
        return True

    def show_query(self, lookup: Lookup, query: Message, wire: bytes) -> None:
        self.greet()
        if not self.job.short:
            query = decode(wire) if self.job.key is not None else query
            edns = query.edns
            if lookup.padding and edns is not None:  # dig shows the option before it knows its length
                query.edns = Edns(edns.payload, version=edns.version, flags=edns.flags, options=(*edns.options, (12, b"")))
            self.show(message_text(query, lookup.style(), sent=True))
            query.edns = edns
            if lookup.stats:
                self.show(f";; QUERY SIZE: {len(wire)}\n\n")

    def patience(self, usual: int) -> Duration:
        return Duration(int((self.job.timeout or usual) * SECOND))

    async def over_datagrams(self, lookup: Lookup, server: Server, query: Message, wire: bytes) -> tuple[bytes, Message]:
        address, port = self.job.source or ("", 0)
        try:
            datagrams = await self.net.bind_datagrams(port, address, remote=(server.address, server.port))
        except OSError as error:
            text = names.text(query.question[0].name).rstrip(".") if query.question else "."
            raise Failed(f"UDP setup with {server}({server.said}) for {text or '.'} failed: {reason(error)}.", sent=False) from None
        try:
            await datagrams.send(wire)
            return await self._receive(lookup, datagrams, query)
        except OSError as error:
            raise Failed(f"communications error to {server}: {reason(error)}") from None
        finally:
            await datagrams.aclose()

    async def _receive(self, lookup: Lookup, datagrams: Datagrams, query: Message) -> tuple[bytes, Message]:
        ends = time.monotonic_ns() + self.patience(DATAGRAM_TIME)
        for _ in range(MOST_STRAYS):
            data, _peer = await datagrams.receive(Duration(max(0, ends - time.monotonic_ns())))
            if len(data) < 12:
                self.say("Warning: short (< header size) message received")
                continue
            id = data[0] << 8 | data[1]
            if not data[2] & 0x80:
                self.say("Warning: query response not set")
            if id != query.id:
                self.say(f"Warning: ID mismatch: expected ID {query.id}, got {id}")
                continue
            m = self.read(data)
            if self.fits(m, query):
                return data, m
        raise TimedOut(f"nothing but {MOST_STRAYS} strays")

    def read(self, data: bytes) -> Message:
        try:
            return decode(data)
        except WireError as error:
            self.show(f";; Got bad packet: {error}\n{hex_dump(data)}")
            raise BadPacket(str(error)) from None

    def fits(self, m: Message, query: Message) -> bool:
        """Is it about what was asked? Says what isn't."""
        if m.opcode != query.opcode:
            self.say(f"Warning: Opcode mismatch: expected {opcode_text(query.opcode)}, got {opcode_text(m.opcode)}")
            return False
        for q in m.question:
            if query.question and q != query.question[0]:
                what = f"{names.text(q.name).rstrip('.') or '.'}/{type_text(q.type)}/{rclass_text(q.rclass)}"
                self.say(f";; Question section mismatch: got {what}")
                return False
        return True

    # -- streams --------------------------------------------------------------------------------------------------------------

    async def connect(self, lookup: Lookup, server: Server, text: str) -> Stream:
        """Raises Failed."""
        wait = self.patience(STREAM_TIME)
        try:
            if not lookup.tls:
                return await self.net.connect_stream(server.address, server.port, wait)
            from ...tls import Tls

            secure = Tls(self.net, tls_context(lookup))
            hostname = lookup.tls_hostname or server.said
            return await secure.connect_stream(server.address, server.port, wait, server_hostname=hostname)
        except OSError as error:
            raise Failed(f"Connection to {server}({server.said}) for {text} failed: {reason(error)}.", sent=False) from None

    async def over_stream(self, lookup: Lookup, server: Server, query: Message, wire: bytes) -> tuple[bytes, Message]:
        text = names.text(query.question[0].name).rstrip(".") if query.question else "."
        stream = await self.connect(lookup, server, text or ".")
        try:
            pieces = Pieces(stream, self.patience(STREAM_TIME))
            await pieces.send(wire)
            data = await pieces.next()
            id = data[0] << 8 | data[1]
            if id != query.id:
                raise Failed(f"ERROR: ID mismatch: expected ID {query.id}, got {id}")
            m = self.read(data)
            if not self.fits(m, query):
                raise Failed(f"communications error to {server}: it answered something else")
            await stream.aclose()
            return data, m
        except (OSError, WireError) as error:
            raise Failed(f"communications error to {server}: {reason(error)}") from None
        finally:
            stream.abort()  # nothing, where it was closed

    async def over_https(self, lookup: Lookup, server: Server, query: Message, wire: bytes) -> tuple[bytes, Message]:
        from ...http.client.errors import ConnectFailed, FetchError, TlsFailed
        from .https import NoAnswer, post_or_get

        text = names.text(query.question[0].name).rstrip(".") if query.question else "."
        try:
            data = await post_or_get(
                self.net, lookup, server, wire, self.patience(STREAM_TIME), tls_context(lookup, "h2", "http/1.1")
            )
        except (ConnectFailed, TlsFailed) as error:
            cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
            raise Failed(f"Connection to {server}({server.said}) for {text or '.'} failed: {reason(cause)}.", sent=False) from None
        except (FetchError, NoAnswer) as error:
            raise Failed(f"communications error to {server}: {reason(error)}") from None
        if len(data) < 12:
            raise Failed(f"communications error to {server}: it answered something else")
        m = self.read(data)
        if m.id != query.id or not self.fits(m, query):
            raise Failed(f"communications error to {server}: it answered something else")
        return data, m


class Pieces:
    """Messages of a stream. `patience` in ns for each."""

    def __init__(self, stream: Stream, patience: Duration) -> None:
        self.stream = stream
        self.patience = patience
        self.deframer = Deframer()
        self.waiting: list[bytes] = []

    async def send(self, wire: bytes) -> None:
        await self.stream.send_all(frame(wire), self.patience)

    async def next(self) -> bytes:
        """Raises OSError, also where the stream ends, and WireError."""
        ends = time.monotonic_ns() + self.patience
        while not self.waiting:
            data = await self.stream.receive(65536, Duration(max(0, ends - time.monotonic_ns())))
            if not data:
                raise OSError("end of file")
            self.waiting = self.deframer.feed(data)
        return self.waiting.pop(0)


def tls_context(lookup: Lookup, *protocols: str) -> ssl.SSLContext:
    """dig's: without +tls-ca nobody is verified (RFC 7858 4.1)."""
    context = ssl.create_default_context(cafile=lookup.tls_ca or None)
    context.set_alpn_protocols(protocols or ["dot"])
    if lookup.tls_ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def reason(error: Exception) -> str:
    """BIND's words for what the system or a peer did."""
    if isinstance(error, CertificateError):
        return "TLS peer certificate verification failed"
    if isinstance(error, TimedOut | TimeoutError):
        return "timed out"
    if isinstance(error, Refused | ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, PeerReset | BrokenError | ConnectionResetError):
        return "connection reset"
    if isinstance(error, OSError) and error.errno in ERRNO_WORDS:
        return ERRNO_WORDS[error.errno]
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def refuse_source(job: Job, lookup: Lookup) -> None:
    """-b is for datagrams, and for streams only where the net has that one address."""
    if job.source is not None and lookup.over_stream:
        raise UsageError("-b can't choose where a stream leaves from: use --net 'posix:?address=…'")
