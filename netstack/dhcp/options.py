"""The option field: what lies in it (RFC 2132 2), and what single options mean.

An option that is longer than 255 octets stands in several pieces, which are joined before anybody looks at it (RFC 3396 7); the
pieces may go on from `options` into `file` and from there into `sname`. All decoders here are total: a value, or WireError.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..address import Cidr, Ip4
from ..errors import UsageError, WireError
from .const import Option

LABELS = 128  # of one search list: it is what a client has to walk for each name that it looks up
JUMPS = 64  # through compressed names: a loop ends here

Options = dict[int, bytes]


def read(area: bytes, into: Options) -> None:
    """Add the options of one area to `into`. Raises WireError for one that doesn't end within it."""
    i, n = 0, len(area)
    while i < n:
        code = area[i]
        i += 1
        if code == Option.PAD:
            continue
        if code == Option.END:
            return
        if i >= n or i + 1 + area[i] > n:
            raise WireError(f"option {code} is longer than what is left")
        size = area[i]
        data = area[i + 1 : i + 1 + size]
        into[code] = into[code] + data if code in into else data
        i += 1 + size


def pieces(code: int, data: bytes) -> Iterator[bytes]:
    """An option in octets, in pieces of at most 257. Raises UsageError for what is none."""
    if not 0 < code < 255 or code == Option.OVERLOAD:
        raise UsageError(f"{code} is not an option to send: choose one from 1 to 254, and leave 52 to whoever packs them")
    for at in range(0, len(data) or 1, 255):
        part = data[at : at + 255]
        yield bytes((code, len(part))) + part


# -- meanings -----------------------------------------------------------------------------------------------------------------


def address(data: bytes) -> Ip4:
    if len(data) != 4:
        raise WireError(f"{len(data)} octets where an address has 4")
    return Ip4(int.from_bytes(data, "big"))


def addresses(data: bytes) -> tuple[Ip4, ...]:
    """One or more."""
    if not data or len(data) % 4:
        raise WireError(f"{len(data)} octets are no list of addresses")
    return tuple(Ip4(int.from_bytes(data[i : i + 4], "big")) for i in range(0, len(data), 4))


def number(data: bytes, size: int) -> int:
    if len(data) != size:
        raise WireError(f"{len(data)} octets where a number has {size}")
    return int.from_bytes(data, "big")


def prefix(data: bytes) -> int:
    """A mask as the length of a prefix. Raises WireError for one with holes."""
    inverse = number(data, 4) ^ 0xFFFFFFFF
    if inverse & (inverse + 1):
        raise WireError("a mask with holes")
    return 32 - inverse.bit_length()


def text(data: bytes) -> str:
    """NVT ASCII, whose last octets some senders make zeros (RFC 2132 2: receivers must trim them)."""
    data = data.rstrip(b"\0")
    if not data.isascii() or any(octet < 32 or octet == 127 for octet in data):
        raise WireError("text with octets that can't be shown")
    return data.decode("ascii")


def pack_addresses(values: Iterable[Ip4]) -> bytes:
    return b"".join(map(bytes, values))


def pack_number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


# -- classless routes (RFC 3442) ----------------------------------------------------------------------------------------------

Route = tuple[Cidr, Ip4]  # network, router; 0.0.0.0 as router: the network is on the link


def routes(data: bytes) -> tuple[Route, ...]:
    """Each is the length of a prefix, as many octets of it as matter, and a router."""
    found: list[Route] = []
    i = 0
    while i < len(data):
        length = data[i]
        significant = (length + 7) // 8
        end = i + 1 + significant + 4
        if length > 32 or end > len(data):
            raise WireError("a route that is cut off, or with a prefix beyond 32")
        network = int.from_bytes(data[i + 1 : i + 1 + significant].ljust(4, b"\0"), "big")
        cidr = Cidr(Ip4(network), length)
        found.append((Cidr(Ip4(cidr.network), length), address(data[end - 4 : end])))
        i = end
    return tuple(found)


def pack_routes(values: Iterable[Route]) -> bytes:
    out = bytearray()
    for cidr, router in values:
        out.append(cidr.length)
        out += cidr.network.to_bytes(4, "big")[: (cidr.length + 7) // 8]
        out += bytes(router)
    return bytes(out)


# -- a search list (RFC 3397): names as in DNS, with its compression ----------------------------------------------------------


def names(data: bytes) -> tuple[str, ...]:
    """Without the dot at their ends."""
    found: list[str] = []
    i = 0
    total = 0
    while i < len(data):
        labels: list[str] = []
        at, after, jumps = i, -1, 0
        while True:
            if at >= len(data):
                raise WireError("a name that doesn't end")
            size = data[at]
            if size >= 0xC0:
                jumps += 1
                if at + 1 >= len(data) or jumps > JUMPS:
                    raise WireError("a name that leads nowhere")
                after = at + 2 if after < 0 else after
                at = (size & 0x3F) << 8 | data[at + 1]
            elif size > 63 or at + 1 + size > len(data):
                raise WireError("a label that doesn't end")
            elif size == 0:
                break
            else:
                labels.append(text(data[at + 1 : at + 1 + size]))
                total += 1
                at += 1 + size
                if total > LABELS or sum(map(len, labels)) + len(labels) > 254:
                    raise WireError("a name, or a list, that is too long")
        if labels:
            found.append(".".join(labels))
        i = after if after >= 0 else at + 1
    return tuple(found)


def pack_names(values: Iterable[str]) -> bytes:
    """Without compression: clients that can't read it are more than the octets are worth. Raises UsageError."""
    out = bytearray()
    for value in values:
        for label in value.rstrip(".").split("."):
            if not 0 < len(label) < 64 or not label.isascii():
                raise UsageError(f"{value!r} is not a domain: write one like example.org")
            out += bytes((len(label),)) + label.encode()
        out.append(0)
    return bytes(out)


# -- names of hosts -----------------------------------------------------------------------------------------------------------


def hostname(data: bytes) -> str:
    """What a client calls itself (option 12), as one label that a DNS may carry; "" for what is none."""
    try:
        said = text(data).partition(".")[0].lower()
    except WireError:
        return ""
    if not 0 < len(said) < 64 or said[0] == "-" or said[-1] == "-":
        return ""
    return said if all(letter.isalnum() or letter == "-" for letter in said) else ""


def fqdn(data: bytes) -> str:
    """The first label of option 81 (RFC 4702 2), in either of its encodings."""
    if len(data) < 4:
        return ""
    if not data[0] & 4:  # E: the name is in DNS's form, else in ASCII
        return hostname(data[3:])
    size = data[3]
    return hostname(data[4 : 4 + size]) if size < 64 and len(data) >= 4 + size else ""
