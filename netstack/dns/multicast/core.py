"""One host on one link: claims, answers, questions and browsers, without a socket or a clock.

    input(data, …, now)   a datagram for port 5353
    run(now)              all that is due; the datagrams that are to leave, each with its address and port
    deadline()            when `run` is wanted next, and after every other call it may be earlier

Our own datagrams come back, where others on this host listen too, and from some switches: they are known by their
octets and dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from attrs import field, frozen

from ...errors import UsageError, WireError
from ...instant import SECOND
from ...signatures import Rng
from .. import const as dc
from . import message
from .browser import Browser, Sighting
from .claims import Claims
from .message import Said
from .mib import MdnsMib
from .querier import UNICAST_FOR, Querier
from .records import LONG_AGO, Claim, Spec, State, address_specs, another_host, another_instance
from .responder import Datagram, Responder
from .service import Service

ECHOES = 16  # datagrams of ours that are remembered: more are not under way


def _announcements(instance: Any, attribute: Any, value: int) -> None:
    if not 2 <= value <= 8:
        raise UsageError(f"{value} announcements are not lawful: RFC 6762 8.3 wants 2 to 8")


@frozen(kw_only=True)
class MdnsConfig:
    """`payload`: octets of the longest datagram; `cache`: octets of what others say that are kept; `reverse`: our addresses lead
    back to our name."""

    payload: int = 1472
    cache: int = 4 << 20
    announcements: int = field(default=2, validator=_announcements)
    reverse: bool = True
    services: int = 1024  # that may be registered: who probes for more than this is broken


class Core:
    def __init__(
        self,
        rng: Rng,
        now: int,
        addresses: Sequence[str],
        config: MdnsConfig = MdnsConfig(),
        alone: bool = True,
    ) -> None:
        """`addresses` are ours on the link. `alone`: nobody else on this host has port 5353, so that datagrams for us alone reach
        us (RFC 6762 15.1)."""
        self.config = config
        self.mib = MdnsMib()
        self.claims = Claims(rng, self.mib, config.payload, config.announcements)
        self.responder = Responder(self.claims, rng, self.mib, config.payload)
        self.browsers: dict[Browser, None] = {}
        self.now = now
        until = now + SECOND if alone else LONG_AGO
        self.querier = Querier(rng, self.mib, config.payload, config.cache, until, self.settle)
        self.host: Claim | None = None
        self.addresses = tuple(addresses)
        self.services: dict[Claim, Service] = {}
        self.sent: deque[bytes] = deque(maxlen=ECHOES)

    # -- what we have -------------------------------------------------------------------------------------------------------------

    def be(self, name: bytes, now: int, told: Callable[[Claim], None] = lambda claim: None) -> Claim:
        """Claim the name of this host, for its addresses."""

        def changed(claim: Claim) -> None:
            for each, service in self.services.items():
                if not service.host and each.state is not State.WITHDRAWN and self.moved(each):
                    self.claims.renew(each, self.now)
            told(claim)

        self.host = Claim(name, self.host_specs, another_host, changed)
        self.claims.add(self.host, now)
        return self.host

    def host_specs(self, name: bytes) -> list[Spec]:
        specs = address_specs(name, self.addresses)
        return specs if self.config.reverse else [spec for spec in specs if spec.name == name]

    def moved(self, claim: Claim) -> bool:
        """Are the records that it has no longer those that it would have?"""
        return {own.ident for own in claim.owns} != {(s.name.lower(), s.type, s.rdata) for s in claim.specs(claim.name)}

    def readdress(self, addresses: Sequence[str], now: int) -> None:
        """Our addresses are others now (RFC 6762 8.4)."""
        if tuple(addresses) != self.addresses:
            self.now = now
            had, self.addresses = self.addresses, tuple(addresses)
            if self.host is not None and had:
                self.claims.renew(self.host, now)
            elif self.host is not None:
                self.claims.reset(self.host, now, self.claims.soonest(now))  # there was nothing to probe for

    def relink(self, now: int) -> None:
        """The link may be another (RFC 6762 8, 10.3): forget what was said there, ask again, and probe for all that is ours."""
        self.now = now
        self.querier.relink(now)
        self.claims.restart(now)
        self.settle()

    def offer(self, service: Service, now: int, told: Callable[[Claim], None] = lambda claim: None) -> Claim:
        """Register a service. Raises UsageError."""
        if len(self.services) >= self.config.services:
            raise UsageError(f"{len(self.services)} services are registered: allow more by MdnsConfig(services=…)")
        name = service.name()
        if any(claim.key == name.lower() for claim in self.services):
            raise UsageError(f"{service.instance!r} of {service.type} is registered already: withdraw or update it")
        if not service.host and self.host is None:
            raise UsageError("a service needs a host: give this one a name, or say host=")

        def specs(name: bytes) -> list[Spec]:
            return self.services[claim].specs(name, b"" if self.host is None else self.host.name)

        claim = Claim(name, specs, another_instance, told)
        self.services[claim] = service
        self.claims.add(claim, now)
        return claim

    def update(self, claim: Claim, service: Service, now: int) -> None:
        """Other data under the same name."""
        self.services[claim] = service
        self.claims.renew(claim, now)

    def withdraw(self, claim: Claim, now: int) -> None:
        self.claims.withdraw(claim, now)
        self.services.pop(claim, None)

    def leave(self, now: int) -> list[Datagram]:
        """Say goodbye to everything; this is the end."""
        for claim in list(self.claims.claims):
            self.claims.withdraw(claim, now)
        return self.run(now)

    # -- what we want to know -----------------------------------------------------------------------------------------------------

    def browse(self, name: bytes, tell: Callable[[Sighting], None], now: int) -> Browser:
        browser = Browser(self.querier, name, tell, now)
        self.browsers[browser] = None
        return browser

    def stop(self, browser: Browser) -> None:
        self.browsers.pop(browser, None)
        browser.end()

    def settle(self) -> None:
        for browser in list(self.browsers):
            browser.now = self.now
            browser.settle(self.now)

    # -- what happens -------------------------------------------------------------------------------------------------------------

    def input(self, data: bytes, source: str, port: int, to_group: bool, near: bool, now: int) -> None:
        """A datagram from `source`. `to_group`: it was sent to everybody; `near`: the source is of one of our networks."""
        self.now = now
        for browser in self.browsers:
            browser.now = now
        if source in self.addresses and data in self.sent:
            self.sent.remove(data)  # once: another program of this host may say the very same
            self.mib.InEchoes += 1
            return
        if not to_group and not near:
            self.mib.InStrangers += 1
            return
        try:
            packet = message.read(data)
        except WireError:
            self.mib.InMangled += 1
            return
        if not packet.lawful:
            self.mib.InLawless += 1
            return
        if not packet.response:
            self.mib.InQueries += 1
            self.claims.tie(packet, now)
            self.responder.query(packet, source, port, to_group, near, now)
            if to_group and port == message.PORT:
                self.querier.query(packet, now)
            return
        if port != message.PORT:
            self.mib.InBadPort += 1
            return
        self.mib.InResponses += 1
        if not to_group and now - self.querier.asked_unicast > UNICAST_FOR and not self.claims.probing:
            self.mib.InUnasked += 1
            return
        for said in (*packet.answers, *packet.authority, *packet.additional):
            if said.type == dc.OPT:
                continue
            if said.rclass != dc.IN:
                self.mib.InOtherClass += 1
                continue
            self.heard(said, to_group, now)
        self.querier.response(packet, now)
        self.tell_ourselves(now)

    def heard(self, said: Said, to_group: bool, now: int) -> None:
        self.claims.heard(said, now)
        if to_group:
            self.responder.heard(said, now)

    def run(self, now: int) -> list[Datagram]:
        """Everything that is due."""
        self.now = now
        out = [(data, message.GROUP, message.PORT) for data in self.claims.run(now)]
        claims = self.claims
        if claims.gone:
            gone, claims.gone = claims.gone, []
            out += self.responder.goodbye(gone)
        if claims.news:
            news, claims.news = claims.news, []
            self.responder.announce(news, now)
        self.tell_ourselves(now)
        out += self.responder.run(now)
        out += [(data, message.GROUP, message.PORT) for data in self.querier.run(now)]
        self.sent.extend(data for data, _, _ in out)
        return out

    def tell_ourselves(self, now: int) -> None:
        changed, self.claims.changed = self.claims.changed, []
        for own, there in changed:
            self.querier.own(own, there, now)
        if changed:
            self.settle()

    def deadline(self) -> int:
        if self.claims.gone or self.claims.news or self.claims.changed:
            return self.now
        return min(self.claims.deadline(), self.responder.deadline(), self.querier.deadline())
