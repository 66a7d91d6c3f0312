"""What a dig command line says, once it is read: look-ups, and what holds for all of them."""

from __future__ import annotations

from attrs import define, field, frozen

from ...dns.edns import Edns
from ...dns.message import Message, Question, Record
from ...dns.numbers import Class, Opcode, Option, Type
from ...dns.present import Style
from ...dns.presentrdata import Layout
from ...dns.tsig import Key


@define
class Lookup:
    """One question and everything that was said about how to ask it. Times in seconds."""

    name: str = "."
    type: int = int(Type.A)
    type_set: bool = False
    rclass: int = int(Class.IN)
    class_set: bool = False
    serial: int = 0  # of IXFR
    servers: list[str] = field(factory=list)
    opcode: int = int(Opcode.QUERY)
    id: int | None = None
    rd: bool = True
    ad: bool = True
    aa: bool = False
    cd: bool = False
    ra: bool = False
    tc: bool = False
    z: bool = False
    co: bool = False
    header_only: bool = False
    edns: int | None = 0
    edns_flags: int = 0
    options: list[tuple[int, bytes]] = field(factory=list)
    bufsize: int = 1232
    dnssec: bool = False
    cookie: bool = True
    cookie_value: bytes = b""
    nsid: bool = False
    expire: bool = False
    keepalive: bool = False
    padding: int = 0
    subnet: bytes = b""
    negotiate: bool = True  # the EDNS version that a server says it knows
    tcp: bool | None = None  # None: nothing was said
    tls: bool = False
    tls_ca: str | None = None  # "" for the system's
    tls_hostname: str = ""
    https: str = ""  # where on its server: over HTTP, then
    https_get: bool = False
    http_plain: bool = False
    ignore: bool = False
    retry_cookie: bool = True
    show_cookie: bool = False
    fail: bool = True  # do not ask the next server after SERVFAIL
    tries: int = 3
    trace: bool = False
    ns_search: bool = False
    best_effort: bool = True
    comments: bool = True
    question: bool = True
    answer: bool = True
    authority: bool = True
    additional: bool = True
    stats: bool = True
    ttl: bool = True
    ttl_units: bool = False
    rclass_shown: bool = True
    crypto: bool = True
    remarks: bool | None = None
    multiline: bool = False
    unknown: bool = False
    expand_aaaa: bool = False
    identify: bool = False
    show_query: bool = False
    one_soa: bool = False
    micros: bool = False
    chunk: int | None = None

    @property
    def transfer(self) -> bool:
        return self.type in (Type.AXFR, Type.IXFR)

    @property
    def over_stream(self) -> bool:
        """From the beginning."""
        if self.type == Type.AXFR or self.tls or self.https:
            return True
        return self.type in (Type.IXFR, Type.ANY) if self.tcp is None else self.tcp

    @property
    def usual_port(self) -> int:
        if self.https:
            return 80 if self.http_plain else 443
        return 853 if self.tls else 53

    @property
    def way(self) -> str:
        """Of what goes over a stream."""
        if self.https:
            return f"{'HTTP' if self.http_plain else 'HTTPS'}{'-GET' if self.https_get else ''}"
        return "TLS" if self.tls else "TCP"

    def style(self) -> Style:
        layout = Layout(
            multiline=self.multiline, chunk=self.chunk, crypto=self.crypto, remarks=self.remarks, expand_aaaa=self.expand_aaaa
        )
        return Style(
            comments=self.comments, question=self.question, answer=self.answer, authority=self.authority,
            additional=self.additional, ttl=self.ttl, rclass=self.rclass_shown, ttl_units=self.ttl_units, unknown=self.unknown,
            layout=layout,
        )  # fmt: skip

    def message(self, name: bytes, id: int, client_cookie: bytes, server_cookie: bytes = b"") -> Message:
        """The query. Options in dig's order."""
        bits = (
            (self.rd and not self.transfer, 0x0100), (self.ad, 0x0020), (self.aa, 0x0400), (self.cd, 0x0010), (self.ra, 0x0080),
            (self.tc, 0x0200), (self.z, 0x0040),
        )  # fmt: skip
        m = Message(id if self.id is None else self.id, self.opcode << 11 | sum(bit for on, bit in bits if on))
        if not self.header_only:
            m.question.append(Question(name, self.type, self.rclass))
        if self.type == Type.IXFR:
            soa = b"\0\0" + self.serial.to_bytes(4, "big") + bytes(16)
            m.authority.append(Record(name, int(Type.SOA), self.rclass, 0, soa))
        if self.edns is not None:
            options: list[tuple[int, bytes]] = []
            if self.nsid:
                options.append((int(Option.NSID), b""))
            if self.subnet:
                options.append((int(Option.CLIENT_SUBNET), self.subnet))
            if self.cookie:
                options.append((int(Option.COOKIE), self.cookie_value or client_cookie + server_cookie))
            if self.expire:
                options.append((int(Option.EXPIRE), b""))
            if self.keepalive:
                options.append((int(Option.KEEPALIVE), b""))
            flags = self.edns_flags & 0x3FFF | (0x8000 if self.dnssec else 0) | (0x4000 if self.co else 0)
            m.edns = Edns(self.bufsize, version=self.edns, options=(*options, *self.options), flags=flags)
        return m


@frozen
class Greeting:
    """What dig says first is settled when it meets the first name: `server` is the last that was named by then."""

    cmd: bool
    short: bool
    server: str

    def text(self, version: str, words: list[str], addresses: int) -> str:
        """`addresses`: how many the server has."""
        if not self.cmd:
            return ""
        found = f"; ({addresses} server{'s' if addresses > 1 else ''} found)\n" if addresses else ""
        options = f";; global options:{' +short' if self.short else ''} +cmd\n"
        return f"\n; <<>> netstack dig {version} <<>>{''.join(f' {word}' for word in words)}\n{found}{options}"


@define
class Job:
    """A whole command line: what holds for all of it, and its look-ups in their order."""

    words: list[str]
    default: Lookup = field(factory=Lookup)  # what was said before the first name
    lookups: list[Lookup] = field(factory=list)
    port: int = 0  # 0: 53, or 853 with TLS, 443 with HTTPS, 80 with HTTP
    source: tuple[str, int] | None = None
    family: int = 0  # 4 or 6: only that
    timeout: float | None = None
    key: Key | None = None
    cmd: bool = True
    short: bool = False
    greeting: Greeting | None = None
    json: bool = False
    search: bool = False
    show_search: bool = False
    domain: str = ""
    ndots: int | None = None
    batch: str = ""
    net: list[str] = field(factory=list)  # words about our own stack
    warnings: list[str] = field(factory=list)
    help: bool = False
    version: bool = False
