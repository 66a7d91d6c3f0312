"""Transaction signatures (RFC 8945): who shares a secret with us said these octets, just now, and nobody has changed them.

The TSIG record is the last one of the additional section, after the OPT record. Its MAC is about the message as it was before it
was added: without it, ARCOUNT less one, with the id that the signer gave it. So signing and verifying work on octets of the wire
and never on decoded messages, which forget how names were compressed.

What is signed, behind each other: the MAC of the request, where this is its answer; the message; the variables of the record. Of
an answer in several messages (a zone transfer) that is true for the first; each later MAC is about the MAC before it, all messages
since then, and the two timers (5.3.1). We sign every message. Whom we hear may leave out up to 99 in a row, never the first or the
last.

Order of checks, and what a server says (5.2): form: FORMERR; key and algorithm: BADKEY; MAC: BADSIG; clock: BADTIME; length of the
MAC: BADTRUNC. The first three are answered unsigned, since the key proves nothing there.

What we leave out on purpose: HMAC-MD5; and refusing a message that was signed before another one that came earlier (5.2.3): named,
knotd and nsd don't, datagrams overtake each other, and within the fudge a replayed update meets its prerequisites.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from attrs import field, frozen

from ..errors import UsageError, WireError
from . import const as dc
from . import name as names
from .message import last_record
from .numbers import Rcode
from .reader import Reader

FUDGE = 300  # seconds that clocks may differ (RFC 8945 10)
LEAST_MAC = 10  # octets; half of the whole is the other bound (5.2.2.1)
MOST_UNSIGNED = 99  # messages in a row inside of a stream (5.3.1)

BADSIG = 16  # the same number as BADVERS, in another register (RFC 6895 2.3)
BADKEY = int(Rcode.BADKEY)
BADTIME = int(Rcode.BADTIME)
BADTRUNC = int(Rcode.BADTRUNC)

_SAID = {BADSIG: "BADSIG", BADKEY: "BADKEY", BADTIME: "BADTIME", BADTRUNC: "BADTRUNC"}

# algorithm: hash, octets of its HMAC, octets that are sent (RFC 8945 6)
ALGORITHMS: dict[str, tuple[str, int, int]] = {
    "hmac-sha1": ("sha1", 20, 20),
    "hmac-sha224": ("sha224", 28, 28),
    "hmac-sha256": ("sha256", 32, 32),
    "hmac-sha256-128": ("sha256", 32, 16),
    "hmac-sha384": ("sha384", 48, 48),
    "hmac-sha384-192": ("sha384", 48, 24),
    "hmac-sha512": ("sha512", 64, 64),
    "hmac-sha512-256": ("sha512", 64, 32),
}


def _name(name: "str | bytes") -> bytes:
    return names.key(names.parse(name.rstrip(".") + "." if name != "." else name) if isinstance(name, str) else names.check(name))


def _secret(secret: "str | bytes") -> bytes:
    if isinstance(secret, str):
        try:
            secret = base64.b64decode(secret, validate=True)
        except (binascii.Error, ValueError):
            raise UsageError("a TSIG secret as text is in base64: tsig-keygen and keymgr make them") from None
    if not secret:
        raise UsageError("a TSIG key without a secret proves nothing")
    return secret


def _algorithm(algorithm: str) -> str:
    algorithm = algorithm.lower().rstrip(".")
    if algorithm not in ALGORITHMS:
        said = "HMAC-MD5 is not to be used any longer" if "md5" in algorithm else f"{algorithm!r} is not an algorithm of TSIG"
        raise UsageError(f"{said}: choose one of {', '.join(ALGORITHMS)}")
    return algorithm


@frozen
class Key:
    """A name, a secret (octets, or text in base64) and an algorithm. `size`: so many octets of the MAC are sent, and fewer are not
    accepted (BADTRUNC); 0 for all that the algorithm has. Raises UsageError."""

    name: bytes = field(converter=_name)
    secret: bytes = field(converter=_secret, repr=False)
    algorithm: str = field(default="hmac-sha256", converter=_algorithm)
    size: int = field(default=0, kw_only=True)

    def __attrs_post_init__(self) -> None:
        _, whole, sent = ALGORITHMS[self.algorithm]
        if self.size == 0:
            object.__setattr__(self, "size", sent)
        least = max(LEAST_MAC, whole // 2)
        if not least <= self.size <= sent:
            raise UsageError(f"{self.size} octets of a MAC of {self.algorithm}: {least} to {sent} are possible")

    @property
    def wire_algorithm(self) -> bytes:
        return bytes((len(self.algorithm),)) + self.algorithm.encode() + b"\0"

    @property
    def overhead(self) -> int:
        """Octets that a signature adds to a message, at most."""
        return len(self.name) + 10 + len(self.wire_algorithm) + 16 + self.size + 6


def parse(text: str) -> Key:
    """A key as `dig -y` and `nsupdate -y` take it, `[algorithm:]name:secret`. Raises UsageError."""
    parts = text.split(":")
    if len(parts) == 2:
        return Key(parts[0], parts[1])
    if len(parts) == 3:
        return Key(parts[1], parts[2], parts[0])
    raise UsageError("a TSIG key is written like hmac-sha256:name:c2VjcmV0, the secret in base64")


class Keys:
    """The keys that are known, found by name and algorithm."""

    __slots__ = ("_keys",)

    def __init__(self, keys: "Iterable[Key] | Mapping[bytes, Key]" = ()) -> None:
        self._keys: dict[bytes, Key] = {}
        for key in keys.values() if isinstance(keys, Mapping) else keys:
            self.add(key)

    def add(self, key: Key) -> None:
        """Raises UsageError for another key of the same name."""
        if self._keys.setdefault(key.name, key) != key:
            raise UsageError(f"two TSIG keys are named {names.text(key.name)}: a name says which secret is meant")

    def get(self, name: "bytes | str") -> Key | None:
        return self._keys.get(_name(name))

    def __len__(self) -> int:
        return len(self._keys)


class Tsig(NamedTuple):
    """A TSIG record. `at`: where it begins; names canonical; `time` in seconds since 1970."""

    at: int
    name: bytes
    algorithm: bytes
    time: int
    fudge: int
    mac: bytes
    original_id: int
    error: int
    other: bytes


class TsigError(WireError):
    """The signature of a message is not as it must be. `rcode` (FORMERR or NOTAUTH) and `error` (BADKEY, …) are what its sender is
    to be told; `answer` tells him."""

    def __init__(self, text: str, rcode: int, error: int = 0, tsig: Tsig | None = None, key: Key | None = None) -> None:
        super().__init__(text)
        self.rcode = rcode
        self.error = error
        self.tsig = tsig
        self.key = key

    def answer(self, response: bytes, now: int) -> bytes:
        """`response` with the TSIG record that says so (5.3.2); without one where the request's could not be read. `now` in
        seconds."""
        t = self.tsig
        if t is None or not self.error:
            return response
        if self.error in (BADTIME, BADTRUNC) and self.key is not None:  # the key was proved
            if self.error == BADTIME:  # with the client's own time, or he could not believe it; and ours (5.2.3)
                return _signed(response, self.key, t.time, t.fudge, _counted(t.mac), BADTIME, now.to_bytes(6, "big"))[0]
            return _signed(response, self.key, now, FUDGE, _counted(t.mac), self.error)[0]
        return _with_record(response, t.name, t.algorithm, t.time, t.fudge, b"", t.original_id, self.error, b"")


class Signed:
    """A message that was verified: `message` are its octets without the TSIG record; `mac` is what its answer is to be about."""

    __slots__ = ("error", "key", "mac", "message", "time")

    def __init__(self, key: Key, tsig: Tsig, message: bytes) -> None:
        self.key = key
        self.mac = tsig.mac
        self.time = tsig.time
        self.error = tsig.error
        self.message = message

    def signer(self) -> "Signer":
        """For the answer to it."""
        return Signer(self.key, self.mac)


def find(wire: bytes) -> Tsig | None:
    """The TSIG record of a message; None where it has none. Raises TsigError (FORMERR) for one that is not lawful.

    A TSIG record elsewhere than at the end is for `message.decode` to refuse.
    """
    try:
        at = last_record(wire)
        if at < 0:
            return None
        r = Reader(wire)
        r.o = at
        owner = r.name()
        if r.u16() != dc.TSIG:
            return None
        rclass, ttl, size = r.u16(), r.u32(), r.u16()
        if rclass != dc.ANY_CLASS or ttl:
            raise r.fail("a TSIG record with another class than ANY, or a TTL")
        if size != r.left():
            raise r.fail("octets behind the TSIG record")
        algorithm = r.name()
        when = r.u16() << 32 | r.u32()
        tsig = Tsig(at, names.key(owner), names.key(algorithm), when, r.u16(), r.take(r.u16()), r.u16(), r.u16(), r.take(r.u16()))
        r.finish()
    except WireError as error:
        raise TsigError(str(error), int(Rcode.FORMERR)) from None
    return tsig


def strip(wire: bytes, tsig: Tsig) -> bytes:
    """The message as it was before it was signed, with the id that it has now."""
    return wire[:10] + (int.from_bytes(wire[10:12], "big") - 1).to_bytes(2, "big") + wire[12 : tsig.at]


def verify(wire: bytes, keys: Keys, now: int, request_mac: bytes = b"") -> Signed | None:
    """None for a message that is not signed. `now` in seconds since 1970; `request_mac` where it is an answer. Raises TsigError."""
    t = find(wire)
    if t is None:
        return None
    key = keys.get(t.name)
    _check_key(key, t)
    assert key is not None
    bare = strip(wire, t)
    start = _counted(request_mac) if request_mac else b""
    variables = _variables(t.name, t.algorithm, t.time, t.fudge, t.error, t.other)
    whole = _digest(key, start + t.original_id.to_bytes(2, "big") + bare[2:] + variables)
    _check_mac(key, t, whole)
    _check_time(key, t, now)
    return Signed(key, t, bare)


def sign(
    wire: bytes, key: Key, now: int, request_mac: bytes = b"", *, fudge: int = FUDGE, error: int = 0, other: bytes = b""
) -> bytes:
    """`wire` with a TSIG record at its end; `key.overhead` octets longer at most. `now` in seconds since 1970; `request_mac` where
    it is an answer. Raises UsageError where there is no room for it in 65535 octets."""
    return _signed(wire, key, now, fudge, _counted(request_mac) if request_mac else b"", error, other)[0]


class Signer:
    """Signs a request, or the messages of one answer in their order. `mac` is the last one's."""

    __slots__ = ("_later", "key", "mac")

    def __init__(self, key: Key, request_mac: bytes = b"") -> None:
        self.key = key
        self.mac = request_mac
        self._later = False

    def sign(self, wire: bytes, now: int) -> bytes:
        """`now` in seconds since 1970."""
        start = _counted(self.mac) if self.mac else b""
        signed, self.mac = _signed(wire, self.key, now, FUDGE, start, timers_only=self._later)
        self._later = True
        return signed


class Verifier:
    """Verifies the messages of one answer, in their order. What it holds does not grow with them."""

    __slots__ = ("_later", "_state", "key", "unsigned")

    def __init__(self, key: Key, request_mac: bytes) -> None:
        self.key = key
        self.unsigned = 0  # messages since the last signature
        self._later = False
        self._state = hmac.new(key.secret, _counted(request_mac), ALGORITHMS[key.algorithm][0])

    def check(self, wire: bytes, now: int) -> bytes:
        """The message without its TSIG record. Believe it when one after it was signed: `finish`. Raises TsigError."""
        t = find(wire)
        if t is None:
            if not self._later:
                raise TsigError("the answer is not signed", int(Rcode.FORMERR))
            self.unsigned += 1
            if self.unsigned > MOST_UNSIGNED:
                raise TsigError(f"more than {MOST_UNSIGNED} messages in a row without a signature", int(Rcode.FORMERR))
            self._state.update(wire)
            return wire
        if t.error in (BADKEY, BADSIG) and not t.mac:  # nobody can prove that (5.4)
            raise TsigError(f"the server says {_SAID[t.error]} to our signature", int(Rcode.NOTAUTH), t.error)
        key = self.key
        _check_key(key if t.name == key.name else None, t)
        bare = strip(wire, t)
        state = self._state
        state.update(t.original_id.to_bytes(2, "big") + bare[2:])
        timers = t.time.to_bytes(6, "big") + t.fudge.to_bytes(2, "big")
        state.update(timers if self._later else _variables(t.name, t.algorithm, t.time, t.fudge, t.error, t.other))
        _check_mac(key, t, state.digest())
        if t.error == BADTIME and len(t.other) == 6:
            off = int.from_bytes(t.other, "big") - t.time
            raise TsigError(f"the server says BADTIME: its clock is {off:+} s from ours", int(Rcode.NOTAUTH), BADTIME)
        if t.error:
            raise TsigError(f"the server says {_SAID.get(t.error, t.error)} to our signature", int(Rcode.NOTAUTH), t.error)
        _check_time(key, t, now)
        self._state = hmac.new(key.secret, _counted(t.mac), ALGORITHMS[key.algorithm][0])
        self._later = True
        self.unsigned = 0
        return bare

    def finish(self) -> None:
        """The answer is complete: its last message must have been signed. Raises TsigError."""
        if self.unsigned or not self._later:
            raise TsigError("the end of the answer is not signed", int(Rcode.FORMERR))


# -- the pieces ---------------------------------------------------------------------------------------------------------------


def _counted(mac: bytes) -> bytes:
    return len(mac).to_bytes(2, "big") + mac


def _variables(name: bytes, algorithm: bytes, when: int, fudge: int, error: int, other: bytes) -> bytes:
    """RFC 8945 4.3.3; names are canonical."""
    return b"".join(
        (
            name,
            b"\0\xff\0\0\0\0",  # class ANY, TTL 0
            algorithm,
            when.to_bytes(6, "big"),
            fudge.to_bytes(2, "big"),
            error.to_bytes(2, "big"),
            _counted(other),
        )
    )


def _digest(key: Key, data: bytes) -> bytes:
    return hmac.digest(key.secret, data, ALGORITHMS[key.algorithm][0])


def _signed(
    wire: bytes,
    key: Key,
    now: int,
    fudge: int,
    start: bytes,
    error: int = 0,
    other: bytes = b"",
    *,
    timers_only: bool = False,
) -> tuple[bytes, bytes]:
    """The signed message and its MAC."""
    if timers_only:
        variables = now.to_bytes(6, "big") + fudge.to_bytes(2, "big")
    else:
        variables = _variables(key.name, key.wire_algorithm, now, fudge, error, other)
    mac = _digest(key, start + wire + variables)[: key.size]
    id = int.from_bytes(wire[:2], "big")
    return _with_record(wire, key.name, key.wire_algorithm, now, fudge, mac, id, error, other), mac


def _with_record(
    wire: bytes, name: bytes, algorithm: bytes, when: int, fudge: int, mac: bytes, id: int, error: int, other: bytes
) -> bytes:
    data = b"".join(
        (
            algorithm,
            when.to_bytes(6, "big"),
            fudge.to_bytes(2, "big"),
            _counted(mac),
            id.to_bytes(2, "big"),
            error.to_bytes(2, "big"),
            _counted(other),
        )
    )
    count = (int.from_bytes(wire[10:12], "big") + 1).to_bytes(2, "big")
    whole = b"".join((wire[:10], count, wire[12:], name, b"\0\xfa\0\xff\0\0\0\0", _counted(data)))
    if len(whole) > dc.MAX_MESSAGE:
        raise UsageError(f"a message of {len(wire)} octets leaves no room for its signature")
    return whole


def _check_key(key: Key | None, t: Tsig) -> None:
    if key is None or key.wire_algorithm != t.algorithm:
        what = f"{names.text(t.name)} with {names.text(t.algorithm)}"
        raise TsigError(f"no such TSIG key: {what}", int(Rcode.NOTAUTH), BADKEY, t)


def _check_mac(key: Key, t: Tsig, whole: bytes) -> None:
    """5.2.2, and 5.2.4 for its own length: but a MAC that is too short for us is told so only after it was found right."""
    n = len(t.mac)
    if n > len(whole) or n < max(LEAST_MAC, len(whole) // 2):
        raise TsigError(f"a MAC of {n} octets: {key.algorithm} has {len(whole)}", int(Rcode.FORMERR))
    if not hmac.compare_digest(t.mac, whole[:n]):
        raise TsigError(f"the signature by {names.text(t.name)} is not right", int(Rcode.NOTAUTH), BADSIG, t)


def _check_time(key: Key, t: Tsig, now: int) -> None:
    if abs(t.time - now) > t.fudge:
        raise TsigError(f"signed {abs(t.time - now)} s away from now: {t.fudge} are allowed", int(Rcode.NOTAUTH), BADTIME, t, key)
    if len(t.mac) < key.size:
        raise TsigError(f"a MAC of {len(t.mac)} octets: {key.size} are demanded", int(Rcode.NOTAUTH), BADTRUNC, t, key)
