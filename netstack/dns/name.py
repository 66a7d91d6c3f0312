"""Domain names. Inside, a name is `bytes`: the uncompressed wire form, labels with their lengths and the root's zero, its letters
as they came. What compares names is their `key`, the same with small letters (RFC 4343): a length is at most 63 and "A" is 65, so
lowering the whole lowers letters and nothing else. The root is `b"\\0"`.

Text has the escapes of zone files: `\\.` for a dot inside a label, `\\032` for any octet (RFC 1035 5.1, RFC 4343 2.1). Unicode is
for faces to encode.
"""

from ..errors import UsageError, WireError

ROOT = b"\0"

_SPECIAL = frozenset(b'".;\\()@$')  # what a zone file would take for something else


def key(name: bytes) -> bytes:
    """What equal names have in common."""
    return name.lower()


def check(name: bytes) -> bytes:
    """`name` itself. Raises WireError where it is not the uncompressed wire form of one name."""
    o = 0
    end = len(name)
    if end > 255:
        raise WireError(f"a name of {end} octets: 255 are lawful")
    while o < end:
        n = name[o]
        if n == 0:
            if o + 1 != end:
                raise WireError(f"{end - o - 1} octets after the end of a name")
            return name
        if n > 63:
            raise WireError(f"a label of type {n >> 6} at octet {o} of a name that must not be compressed")
        o += n + 1
    raise WireError("a name without an end")


def labels(name: bytes) -> list[bytes]:
    """Without the root's: `[b"www", b"example"]`. For a lawful name only."""
    found: list[bytes] = []
    o = 0
    n = name[0]
    while n:
        found.append(name[o + 1 : o + 1 + n])
        o += n + 1
        n = name[o]
    return found


def count(name: bytes) -> int:
    """How many labels, without the root's."""
    c = 0
    o = 0
    n = name[0]
    while n:
        c += 1
        o += n + 1
        n = name[o]
    return c


def join(parts: list[bytes]) -> bytes:
    """The name of these labels. Raises UsageError for an empty or too long one."""
    out = bytearray()
    for part in parts:
        if not 1 <= len(part) <= 63:
            raise UsageError(f"a label of {len(part)} octets: between 1 and 63 are possible")
        out.append(len(part))
        out += part
    out.append(0)
    if len(out) > 255:
        raise UsageError(f"a name of {len(out)} octets: at most 255 are possible")
    return bytes(out)


def parent(name: bytes) -> bytes:
    """Without its first label; of the root the root."""
    n = name[0]
    return name[n + 1 :] if n else name


def tail(name: bytes, n: int) -> bytes:
    """The last `n` labels; the whole name where it has no more."""
    skip = count(name) - n
    o = 0
    while skip > 0:
        o += name[o] + 1
        skip -= 1
    return name[o:]


def under(name: bytes, zone: bytes) -> bool:
    """Is it `zone` or below it? Both are keys."""
    rest = len(name) - len(zone)
    if rest < 0 or not name.endswith(zone):
        return False
    o = 0
    while o < rest:
        o += name[o] + 1
    return o == rest


def order(name: bytes) -> tuple[bytes, ...]:
    """What sorts names canonically (RFC 4034 6.1): the most significant label first."""
    return tuple(reversed(labels(name.lower())))


def text(name: bytes) -> str:
    """As in a zone file, absolute: `www.example.`; the root is `.`."""
    if name[0] == 0:
        return "."
    out: list[str] = []
    for label in labels(name):
        for c in label:
            if c in _SPECIAL:
                out.append("\\" + chr(c))
            elif 0x21 <= c <= 0x7E:
                out.append(chr(c))
            else:
                out.append(f"\\{c:03d}")
        out.append(".")
    return "".join(out)


def parse(text: str, origin: bytes = ROOT) -> bytes:
    """The name that `text` says. Without a dot at its end it is relative to `origin`, and `@` is `origin` itself.

    Raises UsageError where it is not a name, or has other than ASCII characters: encode those with IDNA first.
    """
    if text == "@":
        return origin
    if text == ".":
        return ROOT
    if not text.isascii():
        raise UsageError(f"{text!r} is not ASCII: encode the name with IDNA, like xn--bcher-kva.example")
    if not text:
        raise UsageError("an empty name: the root is '.'")
    out = bytearray(1)
    start = 0
    i = 0
    end = len(text)
    absolute = False
    while i < end:
        c = text[i]
        i += 1
        if c == ".":
            _close(out, start, text)
            absolute = i == end
            if not absolute:
                start = len(out)
                out.append(0)
            continue
        if c == "\\":
            octet, i = unescape(text, i)
        else:
            octet = ord(c)
        out.append(octet)
    if absolute:
        out.append(0)
    else:
        _close(out, start, text)
        out += origin
    if len(out) > 255:
        raise UsageError(f"{text!r} makes a name of {len(out)} octets: at most 255 are possible")
    return bytes(out)


def _close(out: bytearray, start: int, text: str) -> None:
    n = len(out) - start - 1
    if not 1 <= n <= 63:
        raise UsageError(f"{text!r} has a label of {n} octets: between 1 and 63 are possible")
    out[start] = n


def unescape(text: str, i: int) -> tuple[int, int]:
    """The octet of the escape whose backslash stands before `i`, and where it ends. Raises UsageError."""
    c = text[i : i + 1]
    if c.isdigit():
        digits = text[i : i + 3]
        if len(digits) < 3 or not digits.isdigit() or int(digits) > 255:
            raise UsageError(f"\\{digits} in {text!r} is not an octet: three digits up to 255 are")
        return int(digits), i + 3
    if not c:
        raise UsageError(f"{text!r} ends in a backslash")
    return ord(c), i + 1
