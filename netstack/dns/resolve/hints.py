"""Where the root is: names and addresses of its servers, as its hints say (RFC 9609, which replaced RFC 8109). They are believed
just long enough to ask one of them who the root's servers really are.

None are built in: they come from the user.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...errors import UsageError
from .. import name as names
from .. import rdata, text
from ..numbers import Type

MOST = 64  # servers and addresses of each: there are 13 with two addresses; a whole zone is not a hints file

WANTED = "give the text of a hints file, names with addresses, or addresses"

Hints = dict[bytes, tuple[bytes, ...]]
"""Name of a server, in wire form, and its addresses, of 4 or 16 octets. Servers that are known by their address alone stand under
the root's name."""

HintsLike = Mapping[str, "str | Iterable[str]"] | Iterable["str | tuple[str, str | Iterable[str]]"] | str


def read(said: HintsLike) -> Hints:
    """Hints from what people have: the text of a hints file (`. NS a.root.example.`, `a.root.example. A 192.0.2.1`), a mapping of
    names to an address or several, pairs of the same, or addresses alone, in a list or one text. Raises UsageError where there are
    none."""
    if isinstance(said, bytes) or not isinstance(said, Iterable):
        raise UsageError(f"{said!r} names no root servers: {WANTED}")
    if isinstance(said, str):
        found = _file(said) if len(said.split()) > 1 else _addresses([said])
    else:
        found = {}
        for each in said.items() if isinstance(said, Mapping) else said:
            if isinstance(each, (tuple, list)) and len(each) != 2:
                raise UsageError(f"{each!r} is no pair of name and address: {WANTED}")
            who, where = each if isinstance(each, (tuple, list)) else (".", each)
            here = [where] if isinstance(where, str) or not isinstance(where, Iterable) else where
            name = names.parse(who, names.ROOT)
            found[name] = found.get(name, ()) + tuple(octets(str(address)) for address in here)
    found = {who: where[:MOST] for who, where in list(found.items())[:MOST] if where}
    if not found:
        raise UsageError(f"no address of a root server: {WANTED}")
    return found


def octets(address: str) -> bytes:
    """Of an address as text. Raises UsageError."""
    return text.ip6_octets(address) if ":" in address else text.ip4_octets(address)


def _addresses(said: Iterable[str]) -> Hints:
    return {names.ROOT: tuple(map(octets, said))}


def _file(said: str) -> Hints:
    """Owner, TTL and class may be missing, as in zone files; records other than NS, A and AAAA mean nothing here."""
    listed: list[bytes] = []
    addresses: dict[bytes, list[bytes]] = {}
    owner = names.ROOT
    for line in said.splitlines():
        words = text.split(line)
        if not words or words[0].startswith("$"):
            continue
        if not line[0].isspace():
            owner = names.key(names.parse(words.pop(0), names.ROOT))
        while words and (words[0].isdigit() or words[0].upper() == "IN"):
            words.pop(0)
        if len(words) != 2:
            raise UsageError(f"{line.strip()!r} is not a line of a hints file: write like '. NS a.root.example.'")
        type, value = words[0].upper(), words[1]
        if type == "NS" and owner == names.ROOT:
            listed.append(names.key(names.parse(value, names.ROOT)))
        elif type in ("A", "AAAA"):
            addresses.setdefault(owner, []).append(rdata.from_text(Type[type], value))
    return {who: tuple(addresses.get(who, ())) for who in listed or addresses}
