"""What is told of a transfer, in curl's words: -v, the progress of a long one, -w."""

from __future__ import annotations

import json
import re
import sys
import time
from contextvars import ContextVar
from typing import Any, BinaryIO, TextIO

from attrs import define

from ...http.client.connection import Connection, Watcher
from ...http.events import Interim, ReplyHead
from ...http.h1.writer import field_lines, status_line
from ...signatures import Address, Stream

EVERY = 0.2  # seconds between two pictures of the bar
PATIENCE = 0.5  # a transfer that takes less needs none


@define
class Times:
    """Instants in seconds, of one transfer; 0 for what didn't happen."""

    start: float = 0.0
    connect: float = 0.0
    appconnect: float = 0.0
    pretransfer: float = 0.0
    starttransfer: float = 0.0
    redirect: float = 0.0
    end: float = 0.0

    def since(self, instant: float) -> float:
        return max(instant - self.start, 0.0) if instant else 0.0


class Numbers:
    """What -v calls connections."""

    def __init__(self) -> None:
        self.last = -1
        self._known: dict[Address, tuple[int, str]] = {}  # by our own end

    def new(self, local: Address, host: str) -> int:
        self.last += 1
        self._known[local] = (self.last, host)
        return self.last

    def of(self, local: Address) -> tuple[int, str]:
        return self._known.get(local, (self.last, ""))


class Teller(Watcher):
    """Of one transfer: counts and times, and -v. `heads` is where -i and -D want heads."""

    def __init__(self, err: TextIO, verbose: bool, numbers: Numbers) -> None:
        self.err = err
        self.verbose = verbose
        self.heads: list[BinaryIO] = []
        self.times = Times(time.monotonic())
        self.proxy_status = 0
        self.connects = 0
        self.requests = 0
        self.request_size = self.header_size = self.uploaded_size = 0
        self.head: ReplyHead | None = None
        self.local: Address = ("", 0)
        self.remote: Address = ("", 0)
        self._numbers = numbers
        self._number = -1
        self._host = ""

    def note(self, text: str) -> None:
        if self.verbose:
            self.err.write(f"* {text}\n")

    def connecting(self, host: str, port: int) -> None:
        self._host = host
        self.note(f"  Trying {host}:{port}...")

    def connected(self, stream: Stream) -> None:
        self.times.connect = time.monotonic()
        self.connects += 1
        self.local, self.remote = stream.local_address, stream.remote_address
        self._number = self._numbers.new(self.local, self._host)
        self.note(f"Connected to {self._host} ({self.remote[0]}) port {self.remote[1]} (#{self._number})")

    def tunnelled(self, stream: Stream) -> None:
        self.proxy_status = 200
        self.note("CONNECT tunnel established, response 200")

    def secured(self, stream: Any) -> None:
        self.times.appconnect = time.monotonic()
        cipher = stream.cipher
        self.note(f"SSL connection using {stream.version} / {cipher[0] if cipher else '?'}")
        alpn = stream.selected_alpn_protocol
        self.note(f"ALPN: server accepted {alpn}" if alpn else "ALPN: server did not agree on a protocol")
        certificate = stream.peer_certificate
        if certificate:
            self.note("Server certificate:")
            self.note(f" subject: {_name(certificate.get('subject', ()))}")
            self.note(f" start date: {certificate.get('notBefore', '?')}")
            self.note(f" expire date: {certificate.get('notAfter', '?')}")
            self.note(f" issuer: {_name(certificate.get('issuer', ()))}")
            self.note(" SSL certificate verify ok.")
        elif self.verbose:
            self.note("Server certificate is not verified.")

    def reused(self, connection: Connection) -> None:
        self.local, self.remote = connection.stream.local_address, connection.stream.remote_address
        self._number, self._host = self._numbers.of(self.local)
        self.note(f"Re-using existing connection #{self._number} with host {self._host}")

    def sent(self, head: bytes) -> None:
        if self.requests:
            self.times.redirect = time.monotonic()
        self.requests += 1
        self.times.pretransfer = time.monotonic()
        self.request_size += len(head)
        self._lines(">", head)

    def heard(self, head: ReplyHead | Interim) -> None:
        if not self.times.starttransfer:
            self.times.starttransfer = time.monotonic()
        if isinstance(head, Interim):
            data = status_line(head.status) + field_lines(head.fields) + b"\r\n"
        else:
            data = (head.section or _section(head)) + b"\r\n"
            self.head = head
        self.header_size += len(data)
        self._lines("<", data)
        for file in self.heads:
            file.write(data)

    def uploaded(self, count: int) -> None:
        self.uploaded_size += count

    def over(self, left_open: bool, peer: Address) -> None:
        if left_open:
            self.note(f"Connection #{self._number} to host {self._host} left intact")
        else:
            self.note(f"Closing connection {self._number}")

    def _lines(self, mark: str, head: bytes) -> None:
        if self.verbose:
            for line in head.decode("latin-1").removesuffix("\r\n").split("\r\n"):
                self.err.write(f"{mark} {_clean(line)}\n")


class Tellers(Watcher):
    """Of one client: what happens in a task is told to the teller of its transfer."""

    current: ContextVar[Teller] = ContextVar("teller")

    def connecting(self, host: str, port: int) -> None:
        self.current.get().connecting(host, port)

    def connected(self, stream: Stream) -> None:
        self.current.get().connected(stream)

    def tunnelled(self, stream: Stream) -> None:
        self.current.get().tunnelled(stream)

    def secured(self, stream: Stream) -> None:
        self.current.get().secured(stream)

    def reused(self, connection: Connection) -> None:
        self.current.get().reused(connection)

    def sent(self, head: bytes) -> None:
        self.current.get().sent(head)

    def heard(self, head: ReplyHead | Interim) -> None:
        self.current.get().heard(head)

    def uploaded(self, count: int) -> None:
        self.current.get().uploaded(count)

    def over(self, left_open: bool, peer: Address) -> None:
        self.current.get().over(left_open, peer)


def _clean(line: str) -> str:
    """A server's bytes don't drive a terminal."""
    return "".join(char if char.isprintable() or char == "\t" else "?" for char in line)


def _section(head: ReplyHead) -> bytes:
    """As HTTP/1 would have written it: of a response that came otherwise."""
    return f"HTTP/{head.version[0]} {head.status} \r\n".encode() + b"".join(b"%b: %b\r\n" % pair for pair in head.fields)


def _name(parts: Any) -> str:
    short = {"commonName": "CN", "organizationName": "O", "countryName": "C", "organizationalUnitName": "OU"}
    return "; ".join(f"{short.get(key, key)}={value}" for part in parts for key, value in part)


# -- progress --------------------------------------------------------------------------------------------------------------


class Bar:
    """One line on a terminal, rewritten: how far, how fast, how long still."""

    def __init__(self, err: TextIO, columns: int) -> None:
        self._err = err
        self._columns = columns
        self._start = self._last = time.monotonic()
        self._shown = 0

    def show(self, done: int, total: int | None, end: bool = False) -> None:
        now = time.monotonic()
        if now - self._start < PATIENCE or (not end and now - self._last < EVERY):
            return
        self._last = now
        text = line(done, total, now - self._start, self._columns)
        self._err.write("\r" + text + " " * max(self._shown - len(text), 0))
        self._err.flush()
        self._shown = len(text)

    def close(self) -> None:
        if self._shown:
            self._err.write("\n")
            self._shown = 0


def line(done: int, total: int | None, seconds: float, columns: int) -> str:
    rate = done / seconds if seconds else 0.0
    if not total:
        return f"{human(done)}  {human(rate)}/s  {clock(seconds)}"
    share = min(done / total, 1.0)
    left = (total - done) / rate if rate else 0.0
    said = f"{share:6.1%}  {human(done)} of {human(total)}  {human(rate)}/s  {clock(left)} left"
    room = columns - len(said) - 4
    if room < 10:
        return said[: columns - 1]
    full = int(room * share)
    return f"[{'#' * full}{' ' * (room - full)}] {said}"


def human(count: float) -> str:
    for unit in ("", "k", "M", "G"):
        if count < 1024:
            return f"{count:.0f}{unit}" if count >= 100 or not unit else f"{count:.1f}{unit}"
        count /= 1024
    return f"{count:.1f}T"


def clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


# -- -w --------------------------------------------------------------------------------------------------------------------

_VARIABLE = re.compile(r"%(?:\{([^}]*)\}|header\{([^}]*)\}|(%))|\\([nrt\\])")


def write_out(template: str, facts: dict[str, Any], headers: dict[str, str]) -> tuple[str, str]:
    """What -w gives to standard output and to standard error: %{variable}, %header{name}, %%, and \\n, \\r, \\t. Times have six
    digits, as curl's. From %{stderr} on it goes there; from %{onerror} on only of what failed."""
    said = ["", ""]
    to, at = 0, 0
    for found in _VARIABLE.finditer(template):
        said[to] += template[at : found.start()]
        at = found.end()
        name, header, percent, escape = found.groups()
        if name in ("stdout", "stderr"):
            to = int(name == "stderr")
        elif name == "onerror":
            if not facts.get("exitcode"):
                return said[0], said[1]
        elif percent:
            said[to] += "%"
        elif escape:
            said[to] += {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}[escape]
        elif header is not None:
            said[to] += headers.get(header.lower(), "")
        elif name == "json":
            said[to] += json.dumps(facts)
        elif name == "header_json":
            said[to] += json.dumps(headers)
        elif name in facts:
            said[to] += _value(name, facts[name])
        else:
            print(f'curl: unknown --write-out variable: "{name}"', file=sys.stderr)
    said[to] += template[at:]
    return said[0], said[1]


def _value(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"
    return f"{value:03d}" if name in ("http_code", "response_code", "http_connect") else str(value)
