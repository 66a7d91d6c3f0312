"""One line for each response, in the common or the combined log format, or as the user likes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO

from attrs import frozen

from ...signatures import Address
from ..events import RequestHead

_ESCAPED = {c: f"\\x{c:02x}" for c in (*range(32), 127, *range(128, 256))} | {ord('"'): '\\"', ord("\\"): "\\\\"}


@frozen
class Entry:
    """A response that is over. `status` 0: the client got none; `size` of the body in bytes; `took` in ns."""

    head: RequestHead | None  # None: what came could not be read, and was refused
    remote_address: Address
    status: int
    size: int
    took: int


Access = Callable[[Entry], None]


def combined(entry: Entry, wall: float) -> str:
    """The line of NCSA's combined format. What the client chose is escaped: it can't make a line of its own."""
    head = entry.head
    pairs = head.fields if head is not None else ()
    fields = {name: value for name, value in pairs if name in (b"referer", b"user-agent")}
    when = datetime.fromtimestamp(wall, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    request = "-" if head is None else f"{head.method} {head.target} HTTP/{head.version[0]}.{head.version[1]}"
    size = str(entry.size) if entry.size else "-"
    referer, agent = (_quoted(fields.get(name, b"-")) for name in (b"referer", b"user-agent"))
    return f'{entry.remote_address[0]} - - [{when}] "{_escape(request)}" {entry.status or "-"} {size} {referer} {agent}'


def _quoted(value: bytes) -> str:
    return f'"{_escape(value.decode("latin-1"))}"'


def _escape(text: str) -> str:
    return text.translate(_ESCAPED)


def writer(stream: IO[str], wall: Callable[[], float]) -> Access:
    """Writes each line to `stream`, flushed: who reads a log wants to see it."""

    def access(entry: Entry) -> None:
        stream.write(combined(entry, wall()) + "\n")
        stream.flush()

    return access
