"""Saying and hearing that a zone has changed (RFC 1996).

A `Notice` is one server being told of one zone: sent over UDP, and again, each time after twice as long, until it is answered or
nobody seems to be there (3.6). It says the serial as it is when it is sent, so any number of changes make one notice; where the
zone has changed again since, the answer to the last one begins the next.
"""

from collections.abc import Callable

from attrs import field, frozen, validators

from ...errors import WireError
from ...instant import SECOND
from ...signatures import Rng
from .. import const as dc
from .. import name as names
from ..message import Message, Question, Record, decode
from ..numbers import Class, Opcode, Rcode, Type
from ..tsig import Key, Signer, Verifier
from .transfer import serial_of
from .zone import Zone

FLAGS = int(Opcode.NOTIFY) << 11


@frozen
class Target:
    """Who is told: an address; `key` signs it."""

    address: str
    port: int = 53
    key: Key | None = None


@frozen(kw_only=True)
class NoticeConfig:
    """RFC 1996 3.6 thinks of 60 s and five repetitions; ours begin earlier and grow: 2, 4, 8, 16 and 32 s. `gap`: between two
    notices to one server, so that a zone which changes a hundred times a second does not send a hundred."""

    first: int = field(default=2 * SECOND, validator=validators.gt(0))
    repetitions: int = field(default=5, validator=validators.ge(0))
    gap: int = field(default=1 * SECOND, validator=validators.ge(0))


class Notice:
    """`wall` gives the seconds since 1970, for signatures."""

    def __init__(self, zone: Zone, target: Target, rng: Rng, wall: Callable[[], int], config: NoticeConfig | None = None) -> None:
        self.zone = zone
        self.target = target
        self.config = config or NoticeConfig()
        self.deadline: int | None = None
        self.told: int | None = None  # the serial that the target has heard of for certain
        self.rcode: int | None = None  # what it said
        self._rng = rng
        self._wall = wall
        self._id = self._tries = self._serial = 0
        self._verifier: Verifier | None = None
        self._mac = b""
        self._sent = False
        self._last: int | None = None

    def start(self, now: int) -> bytes | None:
        """The zone has changed, or the deadline has passed: what is to be sent now. None: nothing, or not yet (`deadline`)."""
        if self._sent:
            return self.expired(now)
        if self.zone.expired or self.told == self.zone.serial:
            self.deadline = None
            return None
        if self._last is not None and now < self._last + self.config.gap:
            self.deadline = self._last + self.config.gap
            return None
        self._tries = 0
        self._id = self._rng.getrandbits(16)
        return self._send(now)

    def answer(self, now: int, wire: bytes) -> bool:
        """Something came from the target. True where it is the answer; then `start` says whether there is more to tell."""
        if not self._sent:
            return False
        try:
            if self.target.key is not None:
                wire = Verifier(self.target.key, self._mac).check(wire, self._wall())
            m = decode(wire)
        except WireError:
            return False
        question = [Question(self.zone.name, Type.SOA)]
        if not m.qr or m.id != self._id or m.opcode != Opcode.NOTIFY or (m.question and m.question != question):
            return False
        self._over()
        self.rcode = m.rcode
        self.told = self._serial
        return True

    def expired(self, now: int) -> bytes | None:
        """Again, or None: nobody answers, or it is not the time (`deadline`)."""
        if self.deadline is None or now < self.deadline:
            return None
        if self._tries > self.config.repetitions:
            self._over()
            return None
        return self._send(now)

    def failed(self) -> None:
        """Nobody has that port (3.6: an ICMP message). The next change tries again."""
        self._over()

    def _over(self) -> None:
        self._sent = False
        self.deadline = None

    def _send(self, now: int) -> bytes:
        self._sent = True
        self._last = now
        self._serial = self.zone.serial
        wire = request(self.zone, self._id).encode()
        if self.target.key is not None:
            signer = Signer(self.target.key)
            wire = signer.sign(wire, self._wall())
            self._mac = signer.mac
        self.deadline = now + (self.config.first << self._tries)
        self._tries += 1
        return wire


def request(zone: Zone, id: int) -> Message:
    """With the new SOA as a hint (3.7)."""
    m = Message(id, FLAGS | dc.AA)
    m.question.append(Question(zone.name, Type.SOA))
    kept = zone.rrset(zone.name, Type.SOA)
    if kept is not None:
        m.answer.append(Record(zone.name, Type.SOA, Class.IN, kept.ttl, kept.rdatas[0]))
    return m


def response(message: Message, rcode: int = int(Rcode.NOERROR)) -> Message:
    """To a notification (4.7)."""
    m = Message(message.id, dc.QR | FLAGS | (dc.AA if rcode == Rcode.NOERROR else 0) | rcode)
    m.question = message.question
    return m


def hint(message: Message) -> int | None:
    """The serial that a notification says, if it does. Nobody has to believe it."""
    if len(message.question) != 1:
        return None
    key = names.key(message.question[0].name)
    found = (r.rdata for r in message.answer if r.type == Type.SOA and len(r.rdata) >= 22 and names.key(r.name) == key)
    return next(map(serial_of, found), None)


def servers(zone: Zone) -> list[bytes]:
    """The names of those who are to know by themselves: its NS records, but not the primary that the SOA names (2.1, 3.1). Whoever
    resolves them leaves out itself."""
    found = zone.rrset(zone.name, Type.NS)
    soa = zone.rrset(zone.name, Type.SOA)
    if found is None or soa is None:
        return []
    primary = soa.rdatas[0].lower()
    return [target for target in found.rdatas if not primary.startswith(target.lower())]
