"""Whom a router asks for names: the servers of its host, whichever those are at the moment."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable

from ...dns.client.resolvconf import BEHIND, PATH, ResolvConf, read
from ...dns.message import Question
from ...dns.numbers import Ede, Rcode
from ...dns.resolve.forward import Forwarder
from ...dns.resolve.job import Job, Outcome
from ...dns.resolve.upstream import Upstream
from ...errors import UsageError
from ...instant import SECOND, Duration
from ...signatures import Rng

LOOK = Duration(SECOND)  # between two looks at the file: a laptop changes networks, and a guest should not wait for it


class SystemFinder:
    """A `Finder` that asks the servers of resolv.conf. Another file makes another forwarder with another cache: another network
    may have other truths. While the file can't be read, or names nobody, what it said last holds; `servers()` is empty where there
    never was anybody, and every question fails."""

    def __init__(self, path: str = PATH, behind: str = BEHIND, rng: Rng | None = None) -> None:
        self._path = path
        self._behind = behind
        self._rng = rng or random.SystemRandom()
        self._look_at = 0
        self._seen: object = None
        self._conf = ResolvConf()
        self._forwarder: Forwarder | None = None
        self._read()

    @property
    def cache(self) -> object:
        return None if self._forwarder is None else self._forwarder.cache

    @property
    def mib(self) -> object:
        return None if self._forwarder is None else self._forwarder.mib

    def servers(self) -> list[Upstream]:
        return [] if self._forwarder is None else self._forwarder.servers()

    def seek(
        self, question: Question, now: int, *, dnssec: bool = False, checking_disabled: bool = False, fresh: bool = False
    ) -> Outcome | Job:
        if now >= self._look_at:
            self._look_at = now + LOOK
            self._read()
        if self._forwarder is None:
            why = (int(Ede.NO_REACHABLE_AUTHORITY), f"{self._path} names no server")
            return Outcome(question=question, rcode=int(Rcode.SERVFAIL), error=why)
        return self._forwarder.seek(question, now, dnssec=dnssec, checking_disabled=checking_disabled, fresh=fresh)

    def _read(self) -> None:
        seen = [_stamp(self._path), _stamp(self._behind)]
        if seen == self._seen:
            return
        self._seen = seen
        try:
            conf = read(self._path, self._behind)
        except OSError:
            return
        if conf.servers and conf != self._conf:
            self._conf = conf
            self._forwarder = Forwarder(conf.servers, self._rng, config=conf.config())


def finder_for(servers: Iterable[str] | str, rng: Rng | None = None) -> SystemFinder | Forwarder:
    """`"system"`, or servers as a Forwarder takes them. Raises UsageError."""
    if isinstance(servers, str):
        if servers == "system":
            return SystemFinder(rng=rng)
        raise UsageError(f'{servers!r}: write "system", or a list of servers like ["10.0.0.53"]')
    return Forwarder(servers, rng or random.SystemRandom())


def _stamp(path: str) -> object:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
