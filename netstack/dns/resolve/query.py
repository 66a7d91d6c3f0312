"""The life of one query, without a wire: what to send to whom and until when, what to make of what comes back.

`start`, and then `datagram`, `message` (from a stream), `failed` and `expired`, each return what is to be done now: SendDatagram,
SendStream, or the end, Answered or GaveUp; None is to go on waiting until `deadline`. Between two of them nothing happens.

Whom to believe (RFC 5452). An answer counts when it comes from the address and port that were asked, to the port that asked, with
the id of this attempt and its question; with `mix_case` in the same letters (0x20), with the cookie when the server has one (RFC
7873). Each attempt has an id and a source port of its own, both random. What fails is counted by its reason and ignored; but after
`most_forged` answers that had everything right except id, question or cookie, somebody is guessing, and the same is asked over TCP,
where guessing is of no use; after `most_miscased` that had everything right except the case of letters, a server can't keep it, or
somebody has guessed the rest. So 10,000 forged answers have eight chances in 65,536 for each attempt, and no more than that.

    WAITING over UDP --TC, or forgers--> over TCP to the same server
    any ------------- time-out, unreachable, SERVFAIL, REFUSED, mangled --> the next server; after the last, another round
    any ------------- unreachable, and nobody else is left ---> PAUSED until its time-out would have come, then another round
    any ------------- FORMERR, NOTIMP, BADVERS without lawful EDNS ----> the same without EDNS
    any ------------- BADCOOKIE --> the same with the new cookie, then over TCP
    any ------------- NOERROR, NXDOMAIN --> answered

Bounds: `attempts` in all, `patience` in all; what a server says can't make it longer.
"""

import enum

from attrs import field, frozen, validators

from ...errors import UsageError, WireError
from ...signatures import Rng
from .. import const as dc
from .. import numbers
from ..edns import PADDING_BLOCK_QUERY, Edns, cookie_option
from ..message import Message, Question, decode
from ..mib import QueryMib
from ..numbers import Rcode
from .upstream import SECOND, Upstream

MOST_UNREACHABLE = 3  # from one server, which then says the same as SERVFAIL: it will not be there in the next second either
STREAM_LEAST = 1_500_000_000  # ns for an attempt over TCP: a SYN that is lost is sent again after one second (RFC 6298 2.1)
LOWEST_PORT = 1024  # RFC 5452 9.2: the more of the 65536 the better


@frozen(kw_only=True)
class QueryConfig:
    """`patience` in ns for the whole query, `attempts` in all. Of twelve at one server where one in five datagrams is lost, each
    way, all fail once in 200,000 times; within eight seconds there is room for them. `recursion`: RD; `dnssec`: DO;
    `checking_disabled`: CD; `authentic_data`: AD, to be told whether the server has validated (RFC 6840 5.7)."""

    patience: int = field(default=8 * SECOND, validator=validators.gt(0))
    attempts: int = field(default=12, validator=validators.in_(range(1, 65)))
    mix_case: bool = False
    edns: bool = True
    recursion: bool = True
    dnssec: bool = False
    checking_disabled: bool = False
    authentic_data: bool = False
    most_forged: int = field(default=8, validator=validators.in_(range(1, 1025)))
    most_miscased: int = field(default=8, validator=validators.in_(range(1, 1025)))
    stream_only: bool = False  # for servers behind TLS, and for who trusts no datagrams


@frozen
class SendDatagram:
    """Send `data` to `server` from the UDP port `source`, or, where that is taken, from any other that is random (`moved` tells).
    Earlier ports of this query can be closed."""

    server: Upstream
    data: bytes
    source: int


@frozen
class SendStream:
    """Send `data`, behind its length (`stream.frame`), to `server` over TCP."""

    server: Upstream
    data: bytes


@frozen
class Answered:
    """`rtt` in ns of the attempt that was answered; `size` in octets."""

    message: Message
    server: Upstream
    rtt: int
    size: int
    over_stream: bool


@frozen
class GaveUp:
    """`last` is the failure that a server told last, if any did."""

    reason: str
    last: Message | None


Action = SendDatagram | SendStream | Answered | GaveUp


class State(enum.Enum):
    NEW = "not begun"
    DATAGRAM = "waiting over UDP"
    STREAM = "waiting over TCP"
    PAUSED = "waiting for the next round"
    DONE = "over"


class Query:
    """One question to `servers`, in that order. Raises UsageError where there are none."""

    __slots__ = ("asked", "attempts", "config", "deadline", "earlier", "ends", "forged", "id", "last", "mib", "miscased", "name",
                 "place", "question", "renewed", "rng", "round", "sent", "server", "servers",
                 "settled", "source", "state", "unreachable", "why", "with_edns")  # fmt: skip

    def __init__(
        self,
        name: bytes,
        type: int,
        servers: "list[Upstream] | tuple[Upstream, ...]",
        rng: Rng,
        config: QueryConfig | None = None,
        mib: QueryMib | None = None,
        rclass: int = dc.IN,
    ) -> None:
        if not servers:
            raise UsageError("a query needs a server to ask: give one at least")
        self.question = Question(name, type, rclass)
        self.servers = tuple(servers)
        self.rng = rng
        self.config = config or QueryConfig()
        self.mib = mib or QueryMib()
        self.state = State.NEW
        self.deadline: int | None = None
        self.ends = 0
        self.place = self.round = self.attempts = self.forged = self.miscased = 0
        self.server = self.asked = self.servers[0]  # whose turn it is, and whom the attempt under way asks
        self.settled: set[int] = set()  # places of servers that have said that they can't say
        self.unreachable: dict[int, int] = {}  # place -> how often
        self.id = self.source = self.sent = 0
        self.name = name  # as it is asked now, in these letters
        self.with_edns = self.renewed = False
        self.earlier: list[tuple[str, int, int, int]] = []  # address, port, source and id of attempts that are over
        self.last: Message | None = None
        self.why = ""

    # -- what the world says --------------------------------------------------------------------------------------------------

    def start(self, now: int) -> Action:
        assert self.state is State.NEW
        self.mib.Queries += 1
        self.ends = now + self.config.patience
        return self._ask(now, False)

    def moved(self, source: int) -> None:
        """The attempt goes from port `source`: the one that it was to have was taken."""
        self.source = source

    def datagram(self, now: int, data: bytes, address: str, port: int, to_port: int) -> Action | None:
        """`data` arrived at our port `to_port` from `address` and `port`."""
        mine = self.state is State.DATAGRAM and to_port == self.source and (address, port) == (self.asked.address, self.asked.port)
        id = int.from_bytes(data[:2], "big")
        if not mine or id != self.id:
            if (address, port, to_port, id) in self.earlier and len(data) >= dc.HEADER:
                self.mib.InLate += 1
                return None
            if not mine:
                self.mib.InStrangers += 1
                return None
        if len(data) < dc.HEADER or not data[2] & 0x80:
            self.mib.InNotResponse += 1
            return self._suspect(now)
        if id != self.id:
            self.mib.InForgedId += 1
            return self._suspect(now)
        exact, data = self._unmixed(data)
        try:
            m = decode(data)
        except WireError as error:
            if data[2] & 2:  # truncated, maybe in the middle of a record: what is to come over TCP is whole
                return self._truncated(now)
            return self._mangled(now, error)
        if not self._our_question(m) or (m.question and not exact):
            self.mib.InForgedQuestion += 1
            self.miscased += self._our_question(m)
            return self._suspect(now)
        if not self._our_cookie(m):
            self.mib.InForgedCookie += 1
            return self._suspect(now)
        if m.tc:
            self._learn(m)
            return self._truncated(now)
        return self._believe(now, m, len(data))

    def message(self, now: int, data: bytes) -> Action | None:
        """`data` is a whole message from the stream to `server`."""
        if self.state is not State.STREAM:
            self.mib.InLate += 1
            return None
        if len(data) < dc.HEADER or not data[2] & 0x80:
            self.mib.InNotResponse += 1
            return None
        if int.from_bytes(data[:2], "big") != self.id:
            self.mib.InLate += 1  # streams are shared (RFC 7766 6.2.1.1)
            return None
        try:
            m = decode(data)
        except WireError as error:
            return self._mangled(now, error)
        if not self._our_question(m):
            self.mib.InForgedQuestion += 1
            return self._next(now, f"{self.server.address} answered another question")
        return self._believe(now, m, len(data))

    def failed(self, now: int, reason: str) -> Action | None:
        """The attempt can't succeed: port or host unreachable, connection refused, reset or ended. Only what surely is about this
        attempt: anybody can send an ICMP error."""
        if self.state is State.DONE or self.state is State.PAUSED:
            return None
        self.mib.Unreachable += 1
        self.server.silent()
        times = self.unreachable[self.place] = self.unreachable.get(self.place, 0) + 1
        if times == MOST_UNREACHABLE:
            self.settled.add(self.place)
        return self._next(now, f"{self.server.address}: {reason}", self.sent + self.server.timeout(self.round))

    def expired(self, now: int) -> Action | None:
        """The deadline has passed. None where it has not."""
        if self.deadline is None or now < self.deadline:
            return None
        if self.state is State.PAUSED:
            return self._ask(now, False)
        self.mib.Timeouts += 1
        self.server.silent()
        return self._next(now, f"{self.server.address} did not answer")

    def cancel(self) -> None:
        """Nobody waits any longer."""
        self._retire()
        self.state = State.DONE
        self.deadline = None

    # -- to believe or not ----------------------------------------------------------------------------------------------------

    def _unmixed(self, data: bytes) -> tuple[bool, bytes]:
        """Is the question in the letters that we sent? Then in those that were to be asked: owners in the answer point to them."""
        o = dc.HEADER
        end = o + len(self.name)
        if not self.config.mix_case:
            return True, data
        if data[o:end] != self.name:
            return False, data
        return True, data[:o] + self.question.name + data[end:]

    def _our_question(self, m: Message) -> bool:
        if m.opcode != 0:
            return False
        if not m.question:  # some servers answer no more than a header to what they don't understand
            return m.rcode != Rcode.NOERROR and m.rcode != Rcode.NXDOMAIN and not m.answer and not m.authority
        return len(m.question) == 1 and m.question[0] == self.question

    def _our_cookie(self, m: Message) -> bool:
        """RFC 7873 5.3. One who gave us a cookie before has to give ours back."""
        ours = self.server.client_cookie
        if not ours or not self.with_edns:
            return True
        try:
            theirs = None if m.edns is None else m.edns.cookie
        except WireError:
            return False
        if theirs is None:
            return not self.server.cookie
        return theirs[0] == ours

    def _suspect(self, now: int) -> Action | None:
        """An answer from the right address to the right port was not ours."""
        self.forged += 1
        if self.forged < self.config.most_forged and self.miscased < self.config.most_miscased:
            return None
        self.mib.Suspicions += 1
        return self._ask(now, True)

    def _learn(self, m: Message) -> None:
        if m.edns is not None and self.server.client_cookie:
            try:
                theirs = m.edns.cookie
            except WireError:
                return
            if theirs is not None and theirs[0] == self.server.client_cookie:
                self.server.cookie = theirs[1]

    def _truncated(self, now: int) -> Action:
        self.mib.Truncated += 1
        if self.state is State.DATAGRAM:
            self.server.answered(now - self.sent)
        return self._ask(now, True)

    def _mangled(self, now: int, error: WireError) -> Action | None:
        self.mib.InMangled += 1
        if self.with_edns and self.round == 0 and self.state is State.DATAGRAM:
            return self._without_edns(now)
        return self._next(now, f"the answer of {self.server.address} is not lawful: {error}")

    def _believe(self, now: int, m: Message, size: int) -> Action | None:
        """It is the server's answer to this attempt."""
        over_stream = self.state is State.STREAM
        rtt = now - self.sent
        if over_stream and not self.server.stream_only:
            self.server.alive()
        else:
            self.server.answered(rtt)
        if over_stream and m.edns is None:
            self.server.cookie = b""
        self._learn(m)
        rcode = m.rcode
        if rcode in (Rcode.NOERROR, Rcode.NXDOMAIN):
            self.mib.Answers += 1
            self.cancel()
            return Answered(m, self.server, rtt, size, over_stream)
        if rcode == Rcode.BADCOOKIE and self.server.cookie and not (over_stream and self.renewed):
            self.mib.CookiesRenewed += 1
            again = over_stream or self.renewed  # a second time: over TCP (RFC 7873 5.3)
            self.renewed = True
            return self._ask(now, again)
        if self.with_edns and rcode in (Rcode.FORMERR, Rcode.NOTIMP, Rcode.BADVERS) and (m.edns is None or rcode == Rcode.BADVERS):
            return self._without_edns(now)
        self.mib.ServerFailures += 1
        self.last = m
        self.settled.add(self.place)
        return self._next(now, f"{self.server.address} answered {numbers.rcode_text(rcode)}")

    # -- what to do -----------------------------------------------------------------------------------------------------------

    def _without_edns(self, now: int) -> Action:
        """RFC 6891 7: who answers FORMERR to an OPT record, without one of its own, knows none."""
        self.mib.EdnsFallbacks += 1
        self.server.edns = False
        return self._ask(now, self.state is State.STREAM)

    def _next(self, now: int, why: str, pause: int = 0) -> Action | None:
        """Another server's turn; another round begins not before `pause`, so that what fails at once doesn't use up all."""
        self.why = why
        if len(self.settled) == len(self.servers):
            return self._give_up()  # all have spoken, and would say the same again
        round = self.round
        while True:
            self.place += 1
            if self.place == len(self.servers):
                self.place = 0
                self.round += 1
            if self.place not in self.settled:
                break
        self.renewed = False
        self.server = self.servers[self.place]
        if self.round > round and now < pause and self.attempts < self.config.attempts:
            self._retire()
            self.state = State.PAUSED
            self.deadline = min(self.ends, pause)
            return None
        return self._ask(now, False)

    def _give_up(self) -> GaveUp:
        self.mib.GaveUp += 1
        self.cancel()
        return GaveUp(self.why or "no time left", self.last)

    def _ask(self, now: int, over_stream: bool) -> Action:
        """Ask `server`, with a new id, from a new port."""
        if self.attempts >= self.config.attempts or now >= self.ends:
            return self._give_up()
        self._retire()
        self.asked = self.server
        over_stream = over_stream or self.config.stream_only or self.server.stream_only
        self.attempts += 1
        self.forged = self.miscased = 0
        self.sent = now
        self.id = self.rng.getrandbits(16)
        data = self._encode(over_stream)
        if over_stream:
            self.state = State.STREAM
            wait = max(STREAM_LEAST, 3 * self.server.timeout(self.round))  # a handshake comes first
            self.deadline = min(self.ends, now + wait)
            self.mib.OutStreams += 1
            return SendStream(self.server, data)
        self.state = State.DATAGRAM
        self.source = LOWEST_PORT + self.rng.getrandbits(32) % (65536 - LOWEST_PORT)
        self.deadline = min(self.ends, now + self.server.timeout(self.round))
        self.mib.OutDatagrams += 1
        return SendDatagram(self.server, data, self.source)

    def _retire(self) -> None:
        """What comes for the attempt until now comes late. At most `attempts` of them."""
        if self.state is State.DATAGRAM:
            self.earlier.append((self.asked.address, self.asked.port, self.source, self.id))

    def _encode(self, over_stream: bool) -> bytes:
        config = self.config
        self.name = self._mixed() if config.mix_case and not over_stream else self.question.name
        flags = (dc.RD if config.recursion else 0) | (dc.CD if config.checking_disabled else 0)
        flags |= dc.AD if config.authentic_data else 0
        m = Message(self.id, flags)
        m.question.append(Question(self.name, self.question.type, self.question.rclass))
        self.with_edns = config.edns and self.server.edns
        if self.with_edns:
            cookie = self.server.client_cookie
            options = (cookie_option(cookie, self.server.cookie),) if cookie else ()
            m.edns = Edns(self.server.payload, do=config.dnssec, options=options)
        # RFC 8467 4.1: so that the length of what is encrypted says little
        return m.encode(pad=PADDING_BLOCK_QUERY if self.server.tls is not None else 0)

    def _mixed(self) -> bytes:
        """The name with each letter in a random case: as many bits to guess as it has letters."""
        name = bytearray(self.question.name)
        coins = self.rng.getrandbits(len(name))
        for i, c in enumerate(name):
            if 65 <= c & 0xDF <= 90:  # lengths end at 63
                name[i] = c & 0xDF | (coins >> i & 1) << 5
        return bytes(name)
