"""How port forwards are written.

Towards the guest, `-t` and `-u`:

    2222:22                              the host's port 2222 on 127.0.0.1 leads to port 22 of the guest
    8080                                 the same port on both sides
    8000-8010      8000-8010:80-90       several in a row
    0.0.0.0:2222:22                      on another address of the host; 127.0.0.1/2222:22, as passt has it, is the same
    127.0.0.1:2222:10.0.2.15:22          to this guest
    unix:/run/ssh.sock:22                from a unix socket (TCP)

From the guest to its host, `-T` and `-U`: what the guest finds at the router's address.

    5432                                 port 5432 of the host's loopback
    5432:15432     5432:192.0.2.1:5432   another port, another host
    5432:unix:/run/postgresql/.s.PGSQL.5432

Without an address the host listens on 127.0.0.1 only: nobody opens his machine to the network by leaving a word out.
"""

from __future__ import annotations

import re

from attrs import frozen

from ...address import Ip4
from ...errors import UsageError
from ...runtime.doors.ends import LOCAL, PATH_MAX

MOST = 1024  # ports in one range: each is a listening socket
EXAMPLES = "2222:22, 8080, 8000-8010, 127.0.0.1:2222:10.0.2.15:22, unix:/run/x.sock:22"
EXAMPLES_OUT = "5432, 5432:15432, 5432:192.0.2.1:5432, 5432:unix:/run/x.sock"

_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_TOKEN = re.compile(r"\[([^\[\]]*)\](?::|$)|([^:]*)(?::|$)")


@frozen
class Inward:
    """From the host to a guest. `path`: of a unix socket in place of host and port. Without `guest` the only one, or the first."""

    proto: str
    host: str
    host_port: int
    guest: Ip4 | None
    guest_port: int
    path: str = ""

    @property
    def local(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"unix:{self.path}" if self.path else f"{host}:{self.host_port}"


@frozen
class Outward:
    """From a guest, who connects to `port` of the router, to `to` on the host's side: an address and a port, or "unix:/path"."""

    proto: str
    port: int
    to: tuple[str, int] | str


def inward(proto: str, text: str) -> list[Inward]:
    """`proto` is tcp or udp. Raises UsageError."""
    check_proto(proto)
    if text.startswith("unix:"):
        path, _, rest = text.removeprefix("unix:").partition(":")
        check_path(path, text)
        if proto != "tcp":
            raise UsageError(f"{text!r}: a unix socket carries a stream, and not {proto}")
        guest, ports = _target(rest, text)
        return [Inward(proto, "", 0, guest, port, path) for port in ports]
    parts = _split(text.replace("/", ":", 1) if re.match(r"[^:\[]*/|\[[^\]]*\]/", text) else text)
    host = LOCAL
    if parts and not _PORTS.fullmatch(parts[0]):
        host = parts.pop(0)
        host = "0.0.0.0" if host in ("", "*") else host
    if not parts:
        raise _wrong(text)
    here = _range(parts.pop(0), text)
    guest, there = _target(":".join(parts), text) if parts else (None, here)
    if len(here) != len(there):
        raise UsageError(f"{text!r} leads {len(here)} ports to {len(there)}: give as many on both sides")
    return [Inward(proto, host, a, guest, b) for a, b in zip(here, there, strict=True)]


def outward(proto: str, text: str) -> list[Outward]:
    """Raises UsageError."""
    check_proto(proto)
    ports, colon, rest = text.partition(":")
    here = _range(ports, text, EXAMPLES_OUT)
    if rest.startswith("unix:"):
        check_path(rest.removeprefix("unix:"), text)
        if proto != "tcp":
            raise UsageError(f"{text!r}: a unix socket carries a stream, and not {proto}")
        return [Outward(proto, port, rest) for port in here]
    host, there = LOCAL, here
    if colon:
        parts = _split(rest)
        if len(parts) == 2 and parts[0]:
            host = parts.pop(0)
        if len(parts) != 1:
            raise _wrong(text, EXAMPLES_OUT)
        there = _range(parts[0], text, EXAMPLES_OUT)
    if len(here) != len(there):
        raise UsageError(f"{text!r} leads {len(here)} ports to {len(there)}: give as many on both sides")
    return [Outward(proto, a, (host, b)) for a, b in zip(here, there, strict=True)]


def check_proto(proto: str) -> None:
    if proto not in ("tcp", "udp"):
        raise UsageError(f"{proto!r} can't be forwarded: say tcp or udp")


def check_path(path: str, text: str) -> None:
    if not path.startswith("/") or "\0" in path or len(path.encode()) > PATH_MAX:
        raise UsageError(
            f"{text!r} has no path of a unix socket: write a whole one, of up to {PATH_MAX} bytes, like unix:/run/x.sock"
        )


def _split(text: str) -> list[str]:
    """At colons, but for those in brackets."""
    found = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None  # the second form takes anything
        found.append(match[1] if match[1] is not None else match[2])
        at = match.end()
    return [*found, ""] if text.endswith(":") else found


def _target(text: str, whole: str) -> tuple[Ip4 | None, list[int]]:
    address, colon, ports = text.rpartition(":")
    return Ip4.parse(address) if colon else None, _range(ports, whole)


def _range(text: str, whole: str, examples: str = EXAMPLES) -> list[int]:
    match = _PORTS.fullmatch(text)
    if match is None:
        raise _wrong(whole, examples)
    first = int(match[1])
    last = int(match[2]) if match[2] else first
    if not 0 < first <= last < 65536:
        raise UsageError(f"{whole!r}: ports are from 1 to 65535, and the first of a range comes first")
    if last - first >= MOST:
        raise UsageError(f"{whole!r} has {last - first + 1} ports: at most {MOST} in a row")
    return list(range(first, last + 1))


def _wrong(text: str, examples: str = EXAMPLES) -> UsageError:
    return UsageError(f"{text!r} is not a forward: write one like {examples}")
