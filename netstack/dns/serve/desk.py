"""The desk: a message comes, and the answer goes, or nothing, or the promise of one. No sockets, no tasks, no clock.

What is asked takes this way, and the first that has something to say, says it:

    form and opcode -> TSIG -> class -> transfers -> callbacks of the client's view -> its zones -> others, by its finder -> REFUSED

`fill` is the short cut, for a table of ready answers: what it gives depends on the question alone.

Errors are answered with the id and, where it could be read, the question. Silence is for what isn't a query at all: shorter than a
header, or a response, with which two servers would keep each other busy for ever.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from inspect import isawaitable
from typing import Any

from ...errors import TimedOut, WireError
from ...instant import SECOND
from ...signatures import Rng
from .. import ask as asks
from .. import const as dc
from .. import message as messages
from .. import name as names
from ..ask import Ask
from ..authority.access import NOBODY, Access
from ..authority.zone import Zone
from ..authority.zones import Zones
from ..edns import Edns
from ..message import Message, Question
from ..mib import ServerMib
from ..numbers import Class, Ede, Opcode, Option, Rcode, Type, type_text
from ..packed import Packed
from ..resolve.job import Finder, Job, Outcome
from ..tsig import Keys
from .client import Client, Networks, numbers
from .config import LOCAL, DnsConfig
from .cookies import Cookies
from .handlers import Answer, Handler, message_of
from .later import Case, Flight, Later, Send
from .limiter import Limiter, kind_of
from .lookup import alias_end, chaos, look_up
from .orders import Orders
from .replies import EDE_INVALID_QUERY_TYPE, Replies, error_of
from .shelf import Shelf
from .view import View

log = logging.getLogger("netstack.dns")

Answers = Iterable[bytes]

KINDS = 256  # of failures that are logged once each: a callback that makes up its errors can't fill the log
NXNAME = 128  # RFC 9824: stands in proofs, and can't be asked for


class Desk:
    """`zones` are for everybody whom no view of `views` takes, and so is `finder`. `wall` gives the seconds since 1970, without
    which no signature holds. `keys` are those that may sign, `access` says what they may. `rng` makes the
    secret of cookies where none are given."""

    def __init__(
        self,
        zones: Zones | Iterable[Zone] = (),
        *,
        rng: Rng,
        config: DnsConfig = DnsConfig(),  # noqa: B008 (frozen)
        mib: ServerMib | None = None,
        wall: Callable[[], int] = lambda: 0,
        finder: Finder | None = None,
        views: Sequence[View] = (),
        keys: Keys | None = None,
        access: Access = NOBODY,
        cookies: Cookies | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        self.config = config
        self.cookies = Cookies.random(rng) if cookies is None and config.cookies else cookies
        self.limiter = limiter
        self.mib = mib if mib is not None else ServerMib()
        self.common = View(("any",), zones, finder=finder)
        self.views = list(views)
        self.recursion = Networks(LOCAL if config.recursion is None else config.recursion)
        self.ask = Ask(config.payload)
        self.replies = Replies(self.ask, config, self.mib)
        self.orders = Orders(self.replies, config, self.mib, wall, Keys() if keys is None else keys, access)
        self.chores: deque[Flight] = deque()  # that nobody waits for: whoever has tasks takes them
        self.pending = 0
        self._shared: dict[object, Flight] = {}
        self._open: set[Flight] = set()
        self.shelf = Shelf(config.ready)  # answers for everybody, as `fill` gives them
        self._zones_version = -1
        self._kept: dict[object, tuple[int, int, Packed]] = {}  # made and good until, in ns
        self._blamed: set[tuple[str, str]] = set()

    @property
    def zones(self) -> Zones:
        return self.common.zones

    def answer(self, pattern: str, handler: Handler) -> None:
        """Ask `handler` for names of `pattern`, before the zones."""
        self.common.handlers.add(pattern, handler)
        self.zones.touch()  # a table of ready answers may have some of those names

    # -- from the door to the question ----------------------------------------------------------------------------------------

    def handle(self, wire: bytes | bytearray | memoryview, client: Client, now: int) -> Answers | Later | None:
        """The answers to one message, most often one; None is silence. Never raises for what strangers send."""
        if client.stream:
            self.mib.QryTCP += 1
        else:
            self.mib.QryUDP += 1
        case = Case(wire, client)
        try:
            return self._handle(case, now)
        except Exception as error:  # ours alone, but no message may end the service for all others
            self.mib.Faults += 1
            self._blame_once("the server itself", error)
            return None

    def _handle(self, case: Case, now: int) -> Answers | Later | None:
        verdict = self.ask.read(case.wire)
        said = self._whole(case, now) if verdict == asks.WHOLE else self._judged(case, verdict, now)
        if self.limiter is not None and not case.client.stream and isinstance(said, tuple) and said:
            return self._limited(case, self.limiter, said, now)
        return said

    def _limited(self, case: Case, limiter: Limiter, said: tuple[bytes, ...], now: int) -> Answers | None:
        """What is left of an answer to a datagram, whose sender may be forged."""
        wire, ask = said[0], self.ask
        if case.known:
            return said
        kind = kind_of(wire[2] << 8 | wire[3], wire[6] << 8 | wire[7])
        verdict = limiter.judge(kind, hash(ask.key) & 0xFFFFFFFFFFFFFFFF, *numbers(case.client.address), now)
        if verdict == dc.DROP:
            self.mib.RateDropped += 1
            return None
        if verdict == dc.SLIP:
            self.mib.RateSlipped += 1
            return (self.replies.refuse(case, wire[3] & 15, dc.TC | (wire[2] & 4) << 8),)
        return said

    def _judged(self, case: Case, verdict: int, now: int, message: Message | None = None) -> Answers | Later | None:
        ask = self.ask
        if verdict == asks.OK:
            return self._query(case, now, message)
        if verdict == asks.SILENCE:
            if len(case.wire) < dc.HEADER:
                self.mib.InRunts += 1
            else:
                self.mib.InResponses += 1
            return None
        if verdict == asks.BADVERS:
            self.mib.ReqBadEDNSVer += 1
            return (ask.refuse(Rcode.BADVERS),)  # its options mean what nobody knows
        return (self.replies.refuse(case, Rcode.FORMERR),)

    def _whole(self, case: Case, now: int) -> Answers | Later | None:
        """More than a question and an OPT record: all of it is read."""
        opcode = self.ask.flags >> 11 & 15
        if opcode not in (Opcode.QUERY, Opcode.NOTIFY, Opcode.UPDATE):
            self.mib.QryNotimp += 1  # what follows the header is another protocol's: RFC 3425, RFC 8490 5.1
            return (self.replies.refuse(case, Rcode.NOTIMP),)
        try:
            m = messages.decode(case.wire)
        except WireError:
            return (self.replies.refuse(case, Rcode.FORMERR),)
        refused = self.orders.verify(case, m)
        if refused is not None:
            return (refused,)
        if opcode != Opcode.QUERY:
            case.view = self._view(case.client)
            return (self.orders.take(case, m, now),)
        if not m.question:
            return (self._bare(case, m, now),)
        if m.answer or (m.authority and m.question[0].type != Type.IXFR):
            return (self.replies.refuse(case, Rcode.FORMERR),)
        plain = Message(m.id, m.flags)
        plain.question, plain.edns = m.question, m.edns
        case.wire = plain.encode()
        return self._judged(case, self.ask.read(case.wire), now, m)

    def _bare(self, case: Case, m: Message, now: int) -> bytes:
        """No question: lawful for who wants a cookie (RFC 7873 5.4)."""
        data = None if m.edns is None else m.edns.option(Option.COOKIE)
        if self.cookies is None or data is None or m.edns is None or not (len(data) == 8 or 16 <= len(data) <= 40):
            return self.replies.said(case, m, Rcode.FORMERR)
        self.cookies.judge(bytearray(data), 0, len(data), *numbers(case.client.address), now)
        reply = Message(m.id, dc.QR | m.flags & dc.RD)
        reply.edns = Edns(self.config.payload, options=((int(Option.COOKIE), bytes(self.cookies.option[4:])),))
        return reply.encode()

    def _query(self, case: Case, now: int, message: Message | None = None) -> Answers | Later:
        ask = self.ask
        if ask.edns:
            self.mib.ReqEdns0 += 1
            if ask.cookie_n and self.cookies is not None and not self._greet(case, self.cookies, now):
                return (self.replies.refuse(case, Rcode.BADCOOKIE),)
        if ask.rclass != Class.IN:
            return (self._chaos(case),)
        type = ask.type
        if type >= NXNAME or type == Type.OPT:
            if type in (NXNAME, Type.OPT, Type.TSIG):
                error = error_of(EDE_INVALID_QUERY_TYPE, f"{type_text(type)} can't be asked for")
                return (self.replies.refuse(case, Rcode.FORMERR, extra=error),)
            if type in (Type.TKEY, Type.MAILA, Type.MAILB):
                self.mib.QryNotimp += 1
                return (self.replies.refuse(case, Rcode.NOTIMP, extra=error_of(Ede.NOT_SUPPORTED)),)
        case.view = self._view(case.client)
        if type in (Type.AXFR, Type.IXFR):
            return self.orders.transfer(case, messages.decode(case.wire) if message is None else message)
        case.todo = case.view.handlers.find(ask.key[:-4])
        return self._go_on(case, now)

    def _greet(self, case: Case, cookies: Cookies, now: int) -> bool:
        """The query has a cookie. False where it has to be one of ours, and isn't (RFC 7873 5.2.3)."""
        ask, mib = self.ask, self.mib
        mib.CookieIn += 1
        verdict = cookies.judge(ask.buf, ask.cookie_at, ask.cookie_n, *numbers(case.client.address), now)
        case.known = verdict == dc.KNOWN
        case.cookie = bytes(cookies.option)
        if case.known:
            mib.CookieMatch += 1
        elif ask.cookie_n == 8:
            mib.CookieNew += 1
        else:
            mib.CookieNoMatch += 1
        return case.known or case.client.stream or not cookies.required

    def _view(self, client: Client) -> View:
        for view in self.views:
            if client.address in view.networks:
                return view
        return self.common

    def _chaos(self, case: Case) -> bytes:
        m = chaos(self.ask, self.config)
        if m is not None:
            return self.replies.packed(case, Packed(m.encode()))
        self.mib.AuthQryRej += 1
        return self.replies.refuse(case, Rcode.REFUSED, extra=error_of(Ede.NOT_AUTHORITATIVE, "class IN is served here"))

    # -- callbacks ------------------------------------------------------------------------------------------------------------

    def _go_on(self, case: Case, now: int) -> Answers | Later:
        """The callbacks that have not been asked, then the zones."""
        ask = self.ask
        while case.todo:
            kept = self._kept.get((id(case.view), ask.key))
            if kept is not None and now < kept[1]:
                return (self.replies.packed(case, kept[2], (now - kept[0]) // SECOND),)
            handler = case.todo.pop()
            what = getattr(handler, "__qualname__", "a callback")
            try:
                result = handler(Question(ask.name, ask.type), case.client)
                if isawaitable(result):
                    return self._later(case, now, None, what, work=result)
                if result is not None:
                    return (self._result(case, result, now),)
            except Exception as error:
                return (self._blame(case, what, error),)
        return self._look_up(case, now)

    def _result(self, case: Case, result: Any, now: int) -> bytes:
        """What a callback gave, as an answer. Raises UsageError for what is none."""
        ask = self.ask
        self.mib.QryCallback += 1
        if isinstance(result, int):
            return self.replies.refuse(case, result, dc.AA | self._ra(case))
        m, errors = message_of(result)
        m.flags |= dc.QR | self._ra(case)
        m.question = [Question(ask.name, ask.type)]
        extra = b"".join(error_of(*each) for each in errors)
        packed = Packed(m.encode())
        if isinstance(result, Answer) and result.keep > 0 and not extra and self.config.kept:
            self._keep((id(case.view), ask.key), now, result.keep * SECOND, packed)
        return self.replies.packed(case, packed, extra=extra)

    def _keep(self, key: object, now: int, time: int, packed: Packed) -> None:
        self._kept.pop(key, None)
        if len(self._kept) >= self.config.kept:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = (now, now + time, packed)

    def _blame(self, case: Case, what: str, error: BaseException) -> bytes:
        """SERVFAIL for the client, and for the log what went wrong, once for each kind."""
        if isinstance(error, TimedOut):
            self.mib.CallbackTimeouts += 1
        else:
            self.mib.CallbackErrors += 1
        self._blame_once(what, error)
        return self.replies.refuse(case, Rcode.SERVFAIL, self._ra(case))

    def _blame_once(self, what: str, error: BaseException) -> None:
        kind = (what, type(error).__name__)
        if kind not in self._blamed and len(self._blamed) < KINDS:
            self._blamed.add(kind)
            log.error("%s failed for %s (said once)", what, names.text(self.ask.name), exc_info=error)

    # -- zones ----------------------------------------------------------------------------------------------------------------

    def _look_up(self, case: Case, now: int) -> Answers | Later:
        ask, view = self.ask, case.view
        if view is self.common and view.finder is None and ask.type != Type.ANY:
            packed = self._ready(ask)
            if packed is not None:
                return (self.replies.packed(case, packed),)
        zone = view.zones.find_for(ask.key[:-4], ask.type)
        if zone is None:
            return self._recurse(case, Question(ask.name, ask.type), now)
        reply, target = look_up(view.zones, zone, ask, self.config.any_over_streams and case.client.stream)
        if ask.flags & dc.RD and self._ra(case):
            if target is not None:
                case.prefix = reply.answer
                return self._recurse(case, Question(target, ask.type), now)
            if not reply.aa and not reply.rcode:  # a referral: who may ask us for the whole way gets it
                return self._recurse(case, Question(ask.name, ask.type), now)
        m = reply.message(ask.name, ask.type, 0, self._ra(case))
        extra = error_of(Ede.NOT_READY, "the zone is not loaded, or has expired") if reply.rcode == Rcode.SERVFAIL else b""
        return (self.replies.packed(case, Packed(m.encode(), reply.glue), extra=extra),)

    def _ready(self, ask: Ask) -> Packed | None:
        """What `fill` gives, from the table where it is there already."""
        if self.zones.version != self._zones_version:
            self._zones_version = self.zones.version
            self.shelf.clear()
        kept = self.shelf.find(ask.key)
        packed = None
        if kept is not None and kept.version == kept.zone.version:
            packed = kept.secure if ask.do else kept.plain
        if packed is None:
            found = self.fill(ask)
            if found is not None:
                packed = found[0]
                self.shelf.put(ask.key, ask.do, packed, found[1])
        return packed

    def fill(self, ask: Ask) -> tuple[Packed, Zone] | None:
        """The answer to what `ask` has read, ready for everybody who asks the same with the same DO, until `version` of the zone or
        of `zones` moves. None where it depends on more than that: `handle` has it."""
        key, type = ask.key[:-4], ask.type
        if ask.verdict != asks.OK or ask.rclass != Class.IN or type >= NXNAME or type == Type.OPT:
            return None
        common = self.common
        if self.views or common.finder is not None or common.handlers.find(key):
            return None
        zone = common.zones.find_for(key, type)
        if zone is None:
            return None
        reply = zone.answer(ask.name, type, ask.do)
        target = alias_end(reply, type)
        if target is not None and common.zones.find_for(names.key(target), type) not in (None, zone):
            return None
        if reply.rcode == Rcode.SERVFAIL:
            return None
        return Packed(reply.message(ask.name, type).encode(), reply.glue), zone

    @property
    def plain(self) -> bool:
        """Whether zones alone decide what is answered, to everybody."""
        return not self.views and self.common.finder is None and not self.common.handlers.count

    @property
    def version(self) -> int:
        """Moves when zones come or go, or callbacks."""
        return self.common.zones.version + self.common.handlers.count

    # -- others ---------------------------------------------------------------------------------------------------------------

    def _ra(self, case: Case) -> int:
        """RA, where this client may have others asked."""
        found = case.view.finder is not None and case.client.address in self.recursion
        return dc.RA if found else 0

    def _recurse(self, case: Case, question: Question, now: int) -> Answers | Later:
        ask, finder = self.ask, case.view.finder
        if finder is None:
            self.mib.AuthQryRej += 1
            return (self.replies.refuse(case, Rcode.REFUSED, extra=error_of(Ede.NOT_AUTHORITATIVE)),)
        if not self._ra(case) or not ask.flags & dc.RD:  # without RD it is a look into what others have asked for
            self.mib.RecQryRej += 1
            return (self.replies.refuse(case, Rcode.REFUSED, self._ra(case), error_of(Ede.PROHIBITED)),)
        cd = bool(ask.flags & dc.CD)
        key = (id(case.view), names.key(question.name), question.type, ask.do, cd)
        kept = self._kept.get(key)
        if kept is not None and now < kept[1] and not case.prefix:
            return (self.replies.packed(case, kept[2]),)
        flight = self._shared.get(key)
        if flight is not None:
            return self._join(case, flight)
        self.mib.QryRecursion += 1
        found = finder.seek(question, now, dnssec=ask.do, checking_disabled=cd)
        if isinstance(found, Outcome):
            if found.refresh:
                self._refresh(finder, question, ask.do, cd, key, now)
            return (self._outcome(case, found, key, now),)
        return self._later(case, now, key, "the finder", job=found)

    def _join(self, case: Case, flight: Flight) -> Answers | Later:
        wire = bytes(case.wire)
        if any(each.case.client == case.client and each.case.wire == wire for each in flight.waiting):
            self.mib.QryDuplicate += 1
            return ()
        if len(flight.waiting) >= self.config.joined:
            self.mib.PendingRej += 1
            return (self.replies.refuse(case, Rcode.SERVFAIL, self._ra(case)),)
        self.mib.QryJoined += 1
        case.wire = wire
        return Later(flight, case)

    def _refresh(self, finder: Finder, question: Question, do: bool, cd: bool, key: tuple[Any, ...], now: int) -> None:
        """The cache wants to know it anew, and nobody waits for that."""
        key = (*key, "refresh")
        if key in self._shared or self.pending >= self.config.pending:
            return
        found = finder.seek(question, now, dnssec=do, checking_disabled=cd, fresh=True)
        if not isinstance(found, Outcome):
            self.chores.append(self._take_off(key, now, "the finder", found, None))

    def _outcome(self, case: Case, outcome: Outcome, key: object, now: int) -> bytes:
        m = outcome.message()
        ask = self.ask
        m.question = [Question(ask.name, ask.type)]
        if case.prefix:
            m.answer = [*case.prefix, *m.answer]
            m.flags = m.flags & ~dc.AD | dc.AA
        extra = b"" if outcome.error is None else error_of(*outcome.error)
        if outcome.stale:
            extra += error_of(Ede.STALE_ANSWER if outcome.rcode != Rcode.NXDOMAIN else Ede.STALE_NXDOMAIN_ANSWER)
        packed = Packed(m.encode())
        if not extra and not case.prefix and self.config.kept and all(r.ttl for r in (*m.answer, *m.authority)):
            self._keep(key, now, SECOND, packed)
        return self.replies.packed(case, packed, extra=extra)

    # -- what is owed ---------------------------------------------------------------------------------------------------------

    def _later(
        self, case: Case, now: int, key: object, what: str, job: Job | None = None, work: Awaitable[Any] | None = None
    ) -> Answers | Later:
        if self.pending >= self.config.pending:
            self.mib.PendingRej += 1
            Flight(None, now, what, job, work).drop()
            return (self.replies.refuse(case, Rcode.SERVFAIL, self._ra(case)),)
        case.wire = bytes(case.wire)  # a datagram's memory is somebody else's by then
        return Later(self._take_off(key, now, what, job, work), case)

    def _take_off(self, key: object, now: int, what: str, job: Job | None, work: Awaitable[Any] | None) -> Flight:
        flight = Flight(key, now + self.config.pending_timeout, what, job, work)
        self.pending += 1
        self._open.add(flight)
        if key is not None:
            self._shared[key] = flight
        return flight

    def _land(self, flight: Flight) -> None:
        if flight in self._open:
            self._open.discard(flight)
            self.pending -= 1
            if flight.key is not None:
                self._shared.pop(flight.key, None)

    def settle(self, flight: Flight, result: Any, now: int) -> Iterator[tuple[Send, Answers | Later]]:
        """`result`: what the work gave, or the exception that it raised. Gives what is to be sent where; a callback may have passed
        the question on, to who owes the answer now."""
        self._land(flight)
        for later in flight.waiting:
            if later.send is not None:
                yield later.send, self._settled(later.case, flight, result, now)

    def _settled(self, case: Case, flight: Flight, result: Any, now: int) -> Answers | Later:
        self.ask.read(case.wire)
        if result is None:
            return self._go_on(case, now)
        if isinstance(result, BaseException):
            return (self._blame(case, flight.what, result),)
        if isinstance(result, Outcome):
            return (self._outcome(case, result, flight.key, now),)
        try:
            return (self._result(case, result, now),)
        except Exception as error:  # a callback gave what is no answer
            return (self._blame(case, flight.what, error),)

    def close(self) -> None:
        """Nothing is owed any more: what has not begun never will."""
        for flight in list(self._open):
            self._land(flight)
            flight.drop()
        self.chores.clear()
