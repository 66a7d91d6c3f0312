"""The system's own configuration: /etc/resolv.conf, as resolv.conf(5) has it, and read again when it has changed.

A stack of one's own doesn't reach the host's loopback. Where all servers of the file are there, as with systemd-resolved's
127.0.0.53, those that it asks itself are taken from its other file; containers do the same.
"""

from __future__ import annotations

import ipaddress
import os
import random
import ssl
from collections.abc import Iterable
from typing import TypeVar

from attrs import evolve, field, frozen

from ...errors import UsageError
from ...instant import SECOND
from ...runtime.waits import Waits
from ...signatures import DatagramStack, Rng, StreamStack
from ..resolve.forward import ForwardConfig, Forwarder
from ..resolve.query import QueryConfig
from .answer import wire_name
from .resolver import LIMIT, Resolver

D_co = TypeVar("D_co", bound=DatagramStack, covariant=True)
S_co = TypeVar("S_co", bound=StreamStack, covariant=True)

PATH = "/etc/resolv.conf"
BEHIND = "/run/systemd/resolve/resolv.conf"
SIZE = 65536  # octets of the file that are read
SERVERS = 3  # glibc's MAXNS
SEARCH = 32  # domains: each is a question more for every short name
LOOK = SECOND  # how often, at most, it is looked whether the file has changed


@frozen(kw_only=True)
class ResolvConf:
    """`timeout` in seconds, `attempts` times: so long it is asked."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout: int = 5
    attempts: int = 2
    rotate: bool = False
    use_vc: bool = False
    edns0: bool = True  # glibc wants to be asked for it; everybody else has it on
    trust_ad: bool = False
    unknown: tuple[str, ...] = field(default=(), eq=False)  # what we made nothing of

    def config(self) -> ForwardConfig:
        query = QueryConfig(  # as long as glibc waits, and more tries in that time: each of ours is as long as the server needs
            patience=min(self.timeout * self.attempts, 60) * SECOND,
            edns=self.edns0,
            stream_only=self.use_vc,
        )
        return ForwardConfig(query=query, rotate=self.rotate, trust_ad=self.trust_ad)


def parse(text: str) -> ResolvConf:
    """Lines that mean nothing are passed over, as everywhere: a host must start with what it finds."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    options: dict[str, int | bool] = {}
    unknown: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        keyword, *rest = words
        if keyword == "nameserver" and rest and _is_address(rest[0]):
            if len(servers) < SERVERS:
                servers.append(rest[0])
        elif keyword in ("search", "domain") and rest:  # the last of them counts
            search = tuple(each for each in rest[: 1 if keyword == "domain" else SEARCH] if _is_domain(each))
        elif keyword == "options":
            unknown += [each for each in rest if not _option(each, options)]
        else:
            unknown.append(line.strip())
    return ResolvConf(servers=tuple(servers), search=search, unknown=tuple(unknown[:SEARCH]), **options)  # type: ignore[arg-type]


_NUMBERS = {"ndots": (0, 15), "timeout": (1, 30), "attempts": (1, 5)}  # glibc's caps
_FLAGS = {"rotate": "rotate", "use-vc": "use_vc", "edns0": "edns0", "trust-ad": "trust_ad"}


def _option(word: str, options: dict[str, int | bool]) -> bool:
    name, _, value = word.partition(":")
    if name in _NUMBERS and value.isascii() and value.isdigit():
        least, most = _NUMBERS[name]
        options[name] = min(max(int(value[:9]), least), most)
    elif word in _FLAGS:
        options[_FLAGS[word]] = True
    else:
        return False
    return True


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_domain(text: str) -> bool:
    try:
        wire_name(text)
    except UsageError:
        return False
    return True


def read(path: str = PATH, behind: str = BEHIND) -> ResolvConf:
    """Raises OSError. `behind` is where the servers stand of which `path` only names a relay on the loopback."""
    conf = _read(path)
    if conf.servers and all(ipaddress.ip_address(each).is_loopback for each in conf.servers):
        try:
            found = _read(behind)
        except OSError:
            return conf
        if found.servers:
            return evolve(conf, servers=found.servers)
    return conf


def _read(path: str) -> ResolvConf:
    with open(path, encoding="utf-8", errors="replace") as file:
        return parse(file.read(SIZE))


class SystemResolver(Resolver[D_co, S_co]):
    """A resolver that asks whom the system would ask. `path` is read again when it has changed; while it can't be read, or names
    nobody, what it said last is kept. Raises OSError, and UsageError where it names nobody at first."""

    def __init__(
        self,
        datagrams: D_co,
        streams: S_co,
        path: str = PATH,
        behind: str = BEHIND,
        *,
        tls: ssl.SSLContext | None = None,
        limit: int = LIMIT,
        rng: Rng | None = None,
        waits: Waits | None = None,
    ) -> None:
        self._path = path
        self._behind = behind
        self._rng = rng or random.SystemRandom()
        self._seen = self._stamps()
        self._look_at = 0
        self.conf = read(path, behind)
        if not self.conf.servers:
            raise UsageError(f"{path} names no server: write dns=[…] with the address of one, or add a line nameserver 10.0.0.1")
        super().__init__(datagrams, streams, finder=self._made(), search=self.conf.search, ndots=self.conf.ndots, tls=tls,
                         limit=limit, rng=rng, waits=waits)  # fmt: skip

    def _made(self) -> Forwarder:
        return Forwarder(self.conf.servers, self._rng, config=self.conf.config())

    def _stamps(self) -> Iterable[object]:
        return [_stamp(self._path), _stamp(self._behind)]

    def refresh(self, now: int) -> None:
        """Look whether the file has changed, if the last look is long enough ago."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            conf = read(self._path, self._behind)
        except OSError:
            return
        if conf.servers and conf != self.conf:
            self.conf = conf
            self.search, self.ndots = conf.search, conf.ndots
            self._finder = self._made()  # with a cache of its own: another network may have other truths


def _stamp(path: str) -> object:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
