"""What a user types to say where a forward begins and where it goes on.

    tcp:PORT        tcp:HOST:PORT            TCP of the stack
    udp:PORT        udp:HOST:PORT            UDP of the stack
    host:PORT       host:HOST:PORT           TCP of the host, through the kernel; host:tcp:… says the same
    host:udp:PORT   host:udp:HOST:PORT       UDP of the host
    unix:PATH                                a unix stream socket, which is always the host's

Each end says whose it is: without `host:` it is the stack's. HOST is an address or a name of that world; one of IPv6 stands in
brackets. Without HOST a stack listens on all of its addresses and a host on 127.0.0.1 only, since nobody opens his machine to the
network by leaving a word out; and a target without HOST is on that side itself.
"""

from __future__ import annotations

import re

import attrs

from ..errors import UsageError

_TCP = re.compile(r"(?:(?P<host>\[[^\[\]]+\]|[^:\[\]]*):)?(?P<port>[0-9]{1,5})")
EXAMPLES = "tcp:5432, tcp:10.0.0.1:80, udp:53, host:127.0.0.1:8080, host:udp:53, unix:/run/x.sock"
LOCAL = "127.0.0.1"
PATH_MAX = 107  # sun_path, less its last zero (unix(7))


@attrs.frozen
class Place:
    """One end of a forward. `kind` is tcp, udp or unix; `path` that of a unix socket."""

    on_host: bool
    kind: str
    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Place:
        """Raises UsageError."""
        rest = text
        on_host = rest.startswith("host:")
        if on_host:
            rest = rest.removeprefix("host:")
        kind, colon, rest_of_kind = rest.partition(":")
        if kind == "unix" and colon:
            if on_host:
                raise UsageError(f"{text!r}: a unix socket is always the host's: write {rest!r}")
            return cls._unix(text, rest_of_kind)
        if kind in ("tcp", "udp") and colon:
            rest = rest_of_kind
        elif on_host:
            kind = "tcp"
        else:
            raise UsageError(f"{text!r} doesn't say what it is: write an end like {EXAMPLES}")
        match = _TCP.fullmatch(rest)
        if match is None or int(match["port"]) > 65535:
            raise UsageError(f"{text!r} has no port from 0 to 65535 at its end: write an end like {EXAMPLES}")
        return cls(on_host, kind, (match["host"] or "").strip("[]"), int(match["port"]))

    @classmethod
    def _unix(cls, text: str, path: str) -> Place:
        if not path or "\0" in path:
            raise UsageError(f"{text!r} has no path: write unix:/run/x.sock")
        if len(path.encode()) > PATH_MAX:
            raise UsageError(f"the path in {text!r} is longer than the {PATH_MAX} bytes that a unix socket's may have")
        return cls(True, "unix", path=path)

    @property
    def local(self) -> str:
        """HOST to listen on: "" means all addresses, of a stack."""
        return self.host or (LOCAL if self.on_host else "")

    @property
    def target(self) -> str:
        """HOST to go on to."""
        return self.host or LOCAL

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        side = "host:" if self.on_host else ""
        return f"{side}{self.kind}:{host + ':' if host else ''}{self.port}"


def route(listen: str, target: str) -> tuple[Place, Place]:
    """Both ends of a forward, checked against each other. Raises UsageError."""
    here, there = Place.parse(listen), Place.parse(target)
    if here.on_host and there.on_host:
        raise UsageError(f"{listen} and {target} are both the host's: one end must be the stack's, like tcp:80")
    if (here.kind == "udp") != (there.kind == "udp"):
        raise UsageError(f"{listen} and {target}: datagrams can't go on as a stream, say udp for both or for none")
    if there.kind != "unix" and not there.port:
        raise UsageError(f"{target}: a target needs a port from 1 to 65535")
    return here, there
