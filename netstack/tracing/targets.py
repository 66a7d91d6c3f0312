"""Where events go: lines to a function or a stream, or a file whose name says which kind.

    .txt .log      lines
    .pcapng        the frames, each with what is said of it as its comment: Wireshark shows it, and filters by `frame.comment`
    .json          a Chrome trace, for https://ui.perfetto.dev
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from os import PathLike, fspath
from pathlib import PurePath
from typing import Any, BinaryIO, Protocol, TextIO, TypeAlias

from .. import pcap
from ..errors import UsageError
from ..testing.capture import completed
from .events import CAME, NOTE, Event
from .perfetto import Perfetto
from .words import Words

Plain: TypeAlias = "Callable[[str], object] | TextIO | BinaryIO | str | PathLike[str] | AsTracks"
To: TypeAlias = "Plain | Iterable[Plain]"


class Target(Protocol):
    whole: bool  # wants whole frames

    def event(self, event: Event) -> None:
        """Raises what the file or the function does: then the trace ends."""

    def close(self) -> None: ...


class Lines:
    whole = False

    def __init__(self, write: Callable[[str], object], words: Words, close: Callable[[], object] | None = None) -> None:
        self._write = write
        self._words = words
        self._close = close

    def event(self, event: Event) -> None:
        self._write(self._words.line(event))

    def close(self) -> None:
        if self._close is not None:
            self._close()


class Commented:
    """A pcapng file with an interface for each host. What no packet shows becomes a comment of the next packet of that host: so the
    last one is kept back until the next comes."""

    whole = True

    def __init__(self, file: BinaryIO, words: Words, epoch: int, owned: bool) -> None:
        self._file = file
        self._words = words
        self._owned = owned
        self._writer = pcap.PcapngWriter(file.write, epoch=epoch)
        self._interfaces: dict[tuple[str, int], int] = {}
        self._notes: dict[str, list[str]] = {}

    def event(self, event: Event) -> None:
        why = self._words.why(event)
        if event.kind == NOTE:
            notes = self._notes.setdefault(event.host, [])
            if len(notes) < 16:  # a host that sends nothing any more
                notes.append(f"before it, at {event.time / 1e9:.6f}: {self._words.what(event)}: {why}")
            return
        number = self._interfaces.get((event.host, event.link))
        if number is None:
            kind = pcap.ETHERNET if event.link else pcap.RAW
            number = self._interfaces[event.host, event.link] = self._writer.interface(event.host, kind)
        comment = "\n".join([*self._notes.pop(event.host, ()), *([why] if why else ())])
        data = completed(event.data, event.link) if event.partial else event.data
        direction = pcap.INBOUND if event.kind == CAME else pcap.OUTBOUND
        self._writer.packet(number, event.time, data[: pcap.PACKET_LIMIT], direction, comment, event.length)

    def close(self) -> None:
        try:
            self._file.flush()
        finally:
            if self._owned:
                self._file.close()


class Tracks:
    whole = False

    def __init__(self, file: TextIO, words: Words) -> None:
        self._file = file
        self._trace = Perfetto(file.write, words)

    def event(self, event: Event) -> None:
        self._trace.event(event)

    def close(self) -> None:
        try:
            self._trace.close()
        finally:
            self._file.close()


class AsTracks:
    """For `to=`: a Chrome trace, written to a text stream, which is closed at the end."""

    def __init__(self, file: TextIO) -> None:
        self.file = file


def targets(to: To, words: Words, epoch: int) -> list[Target]:
    """`epoch`: what makes the trace's time the wall's. Raises UsageError, OSError, and the files that it had opened are closed."""
    made: list[Target] = []
    try:
        for each in _each(to):
            made.append(_target(each, words, epoch))
        if not made:
            raise UsageError("a trace to nowhere: give to= a function, a stream or a file's name")
    except BaseException:
        for target in made:
            target.close()
        raise
    return made


def _each(to: Any) -> Iterable[Any]:
    return [to] if callable(to) or isinstance(to, (str, PathLike)) or hasattr(to, "write") or isinstance(to, AsTracks) else to


def _target(to: Any, words: Words, epoch: int) -> Target:
    if isinstance(to, (str, PathLike)):
        return _file(fspath(to), words, epoch)
    if isinstance(to, AsTracks):
        return Tracks(to.file, words)
    if isinstance(to, (io.RawIOBase, io.BufferedIOBase)):
        return Commented(to, words, epoch, False)  # type: ignore[arg-type]  # it writes bytes
    if hasattr(to, "write"):
        return Lines(lambda line: to.write(line + "\n"), words, getattr(to, "flush", None))
    if callable(to):
        return Lines(to, words)
    raise UsageError(f"{to!r} is nothing to trace to: give a function that takes a line, a stream, or a file's name")


def _file(path: str, words: Words, epoch: int) -> Target:
    kind = PurePath(path).suffix.lower()
    if kind in (".txt", ".log"):
        file = open(path, "w", encoding="utf-8")  # noqa: SIM115  # the target closes it
        return Lines(lambda line: file.write(line + "\n"), words, file.close)
    if kind == ".pcapng":
        return Commented(open(path, "wb"), words, epoch, True)
    if kind == ".json":
        return Tracks(open(path, "w", encoding="utf-8"), words)
    kinds = ".txt (lines), .pcapng (packets with comments) or .json (for ui.perfetto.dev)"
    raise UsageError(f"{path}: a trace's name ends in {kinds}")
