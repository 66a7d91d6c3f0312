"""Zone files: read into a zone, and written from one (RFC 1035 5, RFC 2308 4, RFC 3597 5).

A line that is plain, without quotes, escapes and parentheses and of a type that we know, is read here: a zone of a million names
has a million of those, and they take a tenth of the time. Everything else, and whatever we make no sense of, is read by dnspython,
one entry at a time, so that there is never more of the file in memory than that. A test holds the two ways together.

A record without a TTL has that of the last $TTL, without one the TTL that was said last (RFC 1035 5.1), before any the minimum of
the SOA. What is outside of the zone is a mistake, as in NSD, and not skipped silently.

$INCLUDE is refused unless `include` is given, and then leads to files in the folder of the zone file and below, not through links
that leave it: a zone file may have come from somebody else (a customer, a primary), and a server that reads what it names would
publish the first lines of any file that it may open.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from ...errors import UsageError
from .. import name as names
from .. import rdata as data
from .. import text
from ..numbers import Type, type_text
from .journal import JournalConfig
from .zone import Zone

LONGEST = 1 << 20  # characters of an entry, lines in parentheses together: four times what the largest data can need
DEEPEST = 8  # files that include each other: more is a circle

_ODD = re.compile(r'[()"\\\x00-\x08\x0b-\x1f\x7f-\U0010ffff]')
_NESTING = re.compile(r'\\.|"(?:\\.|[^"\\])*"|;.*|[()]', re.DOTALL)
_PLAIN: dict[str, int] = {type_text(number): number for number in data.FORMS if number not in (Type.SVCB, Type.HTTPS)}
_ONE_NAME = frozenset((int(Type.NS), int(Type.CNAME), int(Type.PTR), int(Type.DNAME)))


class _At(UsageError):
    """A mistake whose file and line are said."""


def read(
    source: "str | os.PathLike[str] | Iterable[str]",
    origin: "bytes | str | None" = None,
    *,
    include: bool = False,
    journal: JournalConfig | None = None,
) -> Zone:
    """The zone that a file says, by its path, or lines of text. Without `origin` it is that of the first record, which must be the
    SOA then, as it is in most files.

    Raises UsageError, with file and line: for what can't be read, for what can't stand in the zone, and for a zone without a SOA.
    """
    said = names.parse(origin if origin.endswith(".") else origin + ".") if isinstance(origin, str) else origin
    loader = _Loader(None if said is None else Zone(said, journal), said or names.ROOT, journal)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        loader.folder = path.resolve().parent if include else None
        loader.file(path, str(path))
        where = str(path)
    else:
        where = "the zone's text"
        loader.lines(source, "line ")
    zone = loader.zone
    if zone is None:
        raise UsageError(f"{where} has no records")
    if zone.rrset(zone.name, Type.SOA) is None:
        raise UsageError(f"{where} has no SOA record for {names.text(zone.name)}")
    zone.chain()
    return zone


def write(zone: Zone) -> Iterator[str]:
    """Its lines as a zone file, without their newlines; the SOA first."""
    yield f"$ORIGIN {names.text(zone.name)}"
    for r in zone.records():
        label = r.name[: len(r.name) - len(zone.origin)]
        owner = names.text(label + names.ROOT)[:-1] if label else "@"
        yield f"{owner} {r.ttl} IN {type_text(r.type)} {data.to_text(r.type, r.rdata)}"


class _Loader:
    """What is known between two lines. `owner` of the record before; `ttl` that was said last, `default` by $TTL, `minimum` of the
    SOA."""

    def __init__(self, zone: Zone | None, origin: bytes, journal: JournalConfig | None) -> None:
        self.zone = zone
        self.origin = origin
        self.journal = journal
        self.folder: Path | None = None  # where included files may be
        self.depth = 0
        self.owner: bytes | None = None
        self.word = ""  # what the owner was written as
        self.ttl: int | None = None
        self.default: int | None = None
        self.minimum: int | None = None
        self.foreign: Callable[[str], None] | None = None

    def file(self, path: Path, name: str) -> None:
        try:
            with path.open(encoding="utf-8") as f:
                self.lines(iter(lambda: f.readline(LONGEST + 1), ""), f"{name}:")
        except OSError as error:
            raise UsageError(f"{name} can't be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UsageError(f"{name} is not text in UTF-8: write other octets like \\255") from None

    def lines(self, lines: Iterable[str], prefix: str) -> None:
        entry = ""  # lines in parentheses so far
        depth = 0
        first = 0
        n = 0
        try:
            for line in lines:
                n += 1
                if not depth:
                    if _ODD.search(line) is None:
                        first = n
                        if line[:1] == "$":
                            self.directive(line)
                        elif not self.plain(line):
                            self.other(line)
                        continue
                    entry, first = "", n
                entry += line if line.endswith("\n") else line + "\n"
                if len(entry) > LONGEST:
                    raise UsageError(f"an entry of more than {LONGEST} characters: is a parenthesis open?")
                depth += _nesting(line)
                if depth <= 0:
                    depth = 0
                    if entry[0] == "$":
                        self.directive(entry)
                    else:
                        self.other(entry)
            if depth:
                raise UsageError("a parenthesis that is not closed")
        except _At:
            raise
        except UnicodeError:
            raise
        except UsageError as error:
            raise _At(f"{prefix}{first}: {error}") from None

    # -- the short way --------------------------------------------------------------------------------------------------------

    def plain(self, line: str) -> bool:
        """Read it, where that needs no thought."""
        if ";" in line:
            line = line[: line.index(";")]
        words = line.split()
        if not words:
            return True
        i = 0
        word = ""
        if line[0] not in " \t":
            word = words[0]
            i = 1
        ttl: int | None = None
        kind: int | None = None
        in_class = False
        while i < len(words):
            said = words[i].upper()
            i += 1
            kind = _PLAIN.get(said)
            if kind is not None:
                break
            if said == "IN" and not in_class:
                in_class = True
            elif ttl is None and said.isdigit() and len(said) < 10:
                ttl = int(said)
            else:
                return False
        if kind is None:
            return False
        owner = self.owner
        if word and (word != self.word or owner is None):
            owner = names.parse(word, self.origin)
        if owner is None:
            raise UsageError("a record without an owner, and none before it")
        lives = self.implied() if ttl is None else ttl
        if lives is None:
            return False
        try:
            value = self.value(kind, words[i:])
        except UsageError as error:  # an algorithm by its name, perhaps
            try:
                self.other(line)
            except UsageError:
                raise error from None
            return True
        if word:
            self.word = word
        if ttl is not None:
            self.ttl = ttl
        self.put(owner, kind, lives, value, sure=True)
        return True

    def value(self, kind: int, words: list[str]) -> bytes:
        if len(words) == 1:
            if kind == Type.A:
                return text.ip4_octets(words[0])
            if kind == Type.AAAA:
                return text.ip6_octets(words[0])
            if kind in _ONE_NAME:
                return names.parse(words[0], self.origin)
        return data.from_words(kind, text.Words(" ".join(words), words), self.origin)

    def implied(self) -> int | None:
        return self.default if self.default is not None else self.ttl if self.ttl is not None else self.minimum

    def put(self, owner: bytes, kind: int, ttl: int, value: bytes, sure: bool) -> None:
        if self.zone is None:
            if kind != Type.SOA:
                raise UsageError(f"{type_text(kind)} before the SOA: say the zone's origin, or write its SOA first")
            self.zone = Zone(owner, self.journal)
        if kind == Type.SOA:
            self.minimum = int.from_bytes(value[-4:], "big")
        self.owner = owner
        self.zone.take(owner, kind, ttl, value, sure=sure)

    # -- the long way ---------------------------------------------------------------------------------------------------------

    def directive(self, entry: str) -> None:
        words = text.split(entry)
        what = words[0].upper()
        if what == "$GENERATE":
            self.other(entry)
        elif what == "$ORIGIN" and len(words) == 2:
            self.origin = names.parse(words[1], self.origin)
            self.word = ""
        elif what == "$TTL" and len(words) == 2:
            self.default = text.seconds(words[1])
        elif what == "$INCLUDE" and len(words) in (2, 3):
            self.include(words[1].strip('"'), names.parse(words[2], self.origin) if len(words) == 3 else self.origin)
        elif what in ("$ORIGIN", "$TTL", "$INCLUDE"):
            raise UsageError(f"{entry.strip()!r} is not how {what} is written: it has one value, and $INCLUDE may have an origin")
        else:
            raise UsageError(f"{words[0]!r} is unknown: $ORIGIN, $TTL, $INCLUDE and $GENERATE are what a zone file can say")

    def include(self, name: str, origin: bytes) -> None:
        if self.folder is None:
            raise UsageError("$INCLUDE is not allowed here: read the file with include=True, or write its records into this one")
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder):
            raise UsageError(f"$INCLUDE of {name}, which is outside of the zone file's folder")
        if self.depth == DEEPEST:
            raise UsageError(f"$INCLUDE of {name}, the {DEEPEST + 1}th file inside of each other: that is a circle")
        kept = self.origin, self.owner, self.word, self.ttl, self.default
        self.origin, self.word = origin, ""
        self.depth += 1
        self.file(path, name)
        self.depth -= 1
        self.origin, self.owner, self.word, self.ttl, self.default = kept  # RFC 1035 5.1: the outer file goes on as it was

    def other(self, entry: str) -> None:
        """By dnspython."""
        if self.foreign is None:
            self.foreign = _dnspython(self)
        self.foreign(entry)


def _nesting(line: str) -> int:
    """How many parentheses it opens, less those that it closes."""
    return sum((word == "(") - (word == ")") for word in _NESTING.findall(line))


def _dnspython(loader: _Loader) -> Callable[[str], None]:
    try:
        import dns.exception
        import dns.name
        import dns.rdataclass
        import dns.tokenizer
        import dns.zonefile
    except ImportError:
        raise UsageError("zone files with more than plain lines are read by dnspython: pip install netstack[dns]") from None

    class Sink:
        """The little that dnspython's reader needs of a transaction: where records go, and that no name is outside."""

        manager: Any

        def __init__(self) -> None:
            self.manager = self

        def origin_information(self) -> tuple[Any, bool, Any]:
            return dns.name.root, False, dns.name.root

        def check_put_rdataset(self, check: object) -> None:
            pass

        def add(self, name: dns.name.Name, ttl: int, rdata: Any) -> None:
            loader.put(name.to_wire() or b"", int(rdata.rdtype), ttl, rdata.to_wire() or b"", sure=False)

    sink = Sink()

    def entry(said: str) -> None:
        token = dns.tokenizer.Tokenizer(said, "")
        ttl = loader.implied()
        reader = dns.zonefile.Reader(token, dns.rdataclass.from_text("IN"), cast(Any, sink), default_ttl=ttl)
        reader.current_origin = dns.name.from_wire(loader.origin, 0)[0]
        reader.last_name = None if loader.owner is None else dns.name.from_wire(loader.owner, 0)[0]
        try:
            reader.read()
        except UsageError:
            raise
        except (dns.exception.DNSException, ValueError, KeyError) as error:
            raise UsageError(re.sub(r"^:\d+: ", "", str(error)).strip() or f"{said.strip()[:80]!r} can't be read") from None
        loader.word = ""
        if reader.last_ttl_known:
            loader.ttl = reader.last_ttl

    return entry
