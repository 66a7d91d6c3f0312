"""Whom a router asks for names: the servers of its host, whichever those are at the moment."""

from __future__ import annotations

import ipaddress
import os
import random
from collections.abc import Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

from ...dns.client.resolvconf import BEHIND, PATH, ResolvConf, read
from ...dns.message import Question
from ...dns.numbers import Ede, Rcode
from ...dns.resolve.forward import Forwarder
from ...dns.resolve.job import Job, Outcome
from ...dns.resolve.upstream import Upstream
from ...errors import UsageError
from ...instant import SECOND, Duration
from ...runtime.asyncio import open as open_net
from ...signatures import Address, Rng

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


class HostWorld:
    """The host's sockets, where questions leave from `outbound`, as guests' flows do; but not those for the host's own loopback,
    where a stub resolver lives that talks to nobody else. "" is whichever address the host's routes choose."""

    def __init__(self, outbound: str = "") -> None:
        self._outbound = outbound
        self._open = AsyncExitStack()

    async def __aenter__(self) -> HostWorld:
        self._home: Any = await self._open.enter_async_context(open_net("posix:"))
        self._away: Any = self._home
        if self._outbound:
            self._away = await self._open.enter_async_context(open_net(f"posix:?address={self._outbound}"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._open.__aexit__(kind, error, tb)

    def _for(self, host: str) -> Any:
        """A server of the other family can't be asked from an address of this one."""
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return self._away
        return self._home if address.is_loopback or address.version != 4 else self._away

    async def connect_stream(self, host: str, port: int, timeout: Duration | None = None) -> Any:
        return await self._for(host).connect_stream(host, port, timeout)

    async def bind_datagrams(self, port: int = 0, host: str = "", remote: Address | None = None) -> Any:
        return await self._for(remote[0] if remote else "").bind_datagrams(port, host, remote)


def _stamp(path: str) -> object:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
