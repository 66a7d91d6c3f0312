"""Who offers a service (RFC 6763 4, 5): the instances of a type as they come and go, each with its host, port, keys and values.

An instance is told of when all is known that people need: SRV and TXT records, and the addresses of the host or that there are none
to be had. For this somebody is asked once; later changes are noticed because owners announce them, and it is not asked for what
nobody uses (RFC 6762 5.2). Only the list of instances is kept up by asking.

A stranger may announce instances without end: `INSTANCES` are followed, others counted. One that has no SRV record costs four
questions.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Literal

from attrs import frozen

from ...errors import WireError
from .. import const as dc
from .. import rdata
from ..numbers import Type
from .cache import Heard
from .querier import Change, Interest, Querier
from .records import text
from .service import Found, first_label, text_items, whose_type

INSTANCES = 256  # followed at a time: a list for people
HOST_PATIENCE = 3  # questions for a host's address after which an instance is told of without one

PTR = int(Type.PTR)
SRV = int(Type.SRV)
TXT = int(Type.TXT)

Kind = Literal["added", "changed", "removed"]


@frozen
class Sighting:
    """A service has come, has changed, or is gone; `service` as it is now, or was last."""

    kind: Kind
    service: Found


class Instance:
    """One that is followed."""

    def __init__(self, browser: Browser, name: bytes, now: int) -> None:
        self.browser = browser
        self.name = name
        self.srv: rdata.SRV | None = None
        self.txt: bytes | None = None
        self.addresses: dict[bytes, int] = {}  # octets, and their type
        self.no_address = False
        self.told: Found | None = None
        self.host: Interest | None = None
        self.interests: list[Interest] = []
        want = browser.querier.want
        self.interests.append(want(name, SRV, lambda change: self.located(change, browser.now), now, once=True))
        self.interests.append(want(name, TXT, self.described, now, once=True))

    def located(self, change: Change, now: int) -> None:
        """There is an SRV record, or is no longer: then the last one is as good as any until another comes."""
        if change.denied or not change.there:
            return
        try:
            srv = rdata.unpack(SRV, change.record.rdata)
        except WireError:
            return
        assert isinstance(srv, rdata.SRV)
        before, self.srv = self.srv, srv
        if before is None or before.target.lower() != srv.target.lower():
            self.forget_host()
            self.host = self.browser.querier.want(srv.target, dc.A, self.addressed, now, once=True)
        self.browser.touched[self] = None

    def described(self, change: Change) -> None:
        if change.there and not change.denied:
            self.txt = change.record.rdata
            self.browser.touched[self] = None

    def addressed(self, change: Change) -> None:
        if change.denied:
            self.no_address = True
        elif change.there:
            self.addresses[change.record.rdata] = change.record.type
        elif len(self.addresses) > 1:
            self.addresses.pop(change.record.rdata, None)  # the last is kept until another comes: the host is not asked for
        self.browser.touched[self] = None

    def forget_host(self) -> None:
        if self.host is not None:
            self.browser.querier.leave(self.host)
        self.host = None
        self.addresses = {}
        self.no_address = False

    @property
    def complete(self) -> bool:
        """Is everything known that can be?"""
        if self.srv is None or self.txt is None or self.host is None:
            return False
        return bool(self.addresses) or self.no_address or self.host.ask.sent > HOST_PATIENCE

    def found(self) -> Found:
        assert self.srv is not None and self.txt is not None
        return Found(
            name=text(self.name),
            instance=first_label(self.name),
            type=whose_type(self.name),
            host=text(self.srv.target),
            port=self.srv.port,
            txt=text_items(self.txt),
            addresses=tuple(addresses_text(self.addresses)),
            priority=self.srv.priority,
            weight=self.srv.weight,
        )

    def end(self) -> None:
        for interest in self.interests:
            self.browser.querier.leave(interest)
        self.interests = []
        self.forget_host()


class Browser:
    """The instances of one type, or subtype, given by its name. `tell` gets each sighting, after the message that caused it."""

    def __init__(self, querier: Querier, name: bytes, tell: Callable[[Sighting], None], now: int) -> None:
        self.querier = querier
        self.tell = tell
        self.now = now
        self.instances: dict[bytes, Instance] = {}
        self.touched: dict[Instance, None] = {}
        self.left_out = 0
        self.interest = querier.want(name, PTR, self.listed, now)
        self.settle(now)

    def listed(self, change: Change) -> None:
        name = change.record.rdata
        key = name.lower()
        if change.there:
            if key in self.instances or len(name) < 3:
                return
            if len(self.instances) >= INSTANCES:
                self.left_out += 1
                return
            self.instances[key] = Instance(self, name, self.now)
        else:
            instance = self.instances.pop(key, None)
            if instance is not None:
                instance.end()
                self.touched.pop(instance, None)
                if instance.told is not None:
                    self.tell(Sighting("removed", instance.told))

    def settle(self, now: int) -> None:
        """Tell what has changed."""
        for instance in list(self.touched):
            if not instance.complete:
                if instance.srv is None or instance.txt is None:
                    del self.touched[instance]
                continue  # its host may never answer: looked at again
            del self.touched[instance]
            found = instance.found()
            if found != instance.told:
                kind: Kind = "added" if instance.told is None else "changed"
                instance.told = found
                self.tell(Sighting(kind, found))

    def end(self) -> None:
        self.querier.leave(self.interest)
        for instance in self.instances.values():
            instance.end()
        self.instances.clear()
        self.touched.clear()


def addresses_text(octets: Iterable[bytes]) -> list[str]:
    """In the order of their numbers."""
    return [str(ip) for ip in sorted(map(ipaddress.ip_address, octets), key=lambda ip: (ip.version, int(ip)))]


def heard_text(records: Iterable[Heard]) -> list[str]:
    return addresses_text(record.rdata for record in records)
