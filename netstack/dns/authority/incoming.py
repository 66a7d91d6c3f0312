"""A zone that comes in: AXFR and IXFR as their messages arrive (RFC 5936 2.2, 3; RFC 1995 4).

    first record   the SOA that it is all about, `target`
    second         no SOA, or the same again: the whole zone follows, whatever was asked
                   our own SOA: changes follow
                   nothing, and `target` is not newer than ours: there is nothing to do
    changes        old SOA, deletions, new SOA, additions; the next old SOA, …; until `target` comes where an old one is due
    the end        the same SOA as the first, and nothing after it

Whoever we copy could be anybody who answers at his address, unless keys are used; and a primary may be hostile or broken. So
everything is checked before anything is believed, a whole zone is built beside the one in use, and what a primary can make us hold
has a number (`TransferConfig`): a zone without an end would otherwise fill the memory.
"""

from collections.abc import Callable

from attrs import field, frozen, validators

from ... import serial
from ...errors import UsageError, WireError
from .. import name as names
from .. import rdata as data
from ..message import Message, Question, Record, decode
from ..numbers import Class, Rcode, Type, rcode_text, type_text
from ..tsig import Key, Signer, TsigError, Verifier
from .journal import OVERHEAD, Change
from .transfer import serial_of
from .zone import Zone


@frozen(kw_only=True)
class TransferConfig:
    """What a zone may have that is copied. `records`; `octets` of names and data; `messages`, since one may be nearly empty."""

    records: int = field(default=20_000_000, validator=validators.gt(0))
    octets: int = field(default=2 << 30, validator=validators.gt(0))
    messages: int = field(default=2_000_000, validator=validators.gt(0))


class TransferError(WireError):
    """This transfer can't be used. `rcode` is what the primary answered, where that was an error."""

    def __init__(self, text: str, rcode: int = 0) -> None:
        super().__init__(text)
        self.rcode = rcode


@frozen
class Whole:
    """The zone, new."""

    zone: Zone


@frozen
class Changes:
    """To be applied in this order. `zone.apply` may still refuse one: then the whole zone is to be asked for."""

    changes: tuple[Change, ...]


@frozen
class UpToDate:
    """The primary has `serial`, which is ours, or an older one."""

    serial: int


@frozen
class OverStream:
    """There is more than a datagram holds: `serial` is newer than ours. Ask over TCP."""

    serial: int


# data that `decode` has found lawful; what it only carries is read once more
_DECODED = frozenset(map(int, (Type.A, Type.AAAA, Type.NS, Type.CNAME, Type.PTR, Type.MX, Type.SRV)))

Result = Whole | Changes | UpToDate | OverStream


class Incoming:
    """One transfer of the zone `name`. `ours`: the SOA data that we have, for IXFR; None asks for all (AXFR). `id`: sixteen random
    bits. `stream`: False over UDP. `make` makes the new zone."""

    def __init__(
        self,
        name: bytes,
        id: int,
        ours: bytes | None = None,
        key: Key | None = None,
        config: TransferConfig | None = None,
        *,
        stream: bool = True,
        make: Callable[[bytes], Zone] = Zone,
    ) -> None:
        self.name = name
        self.origin = names.key(name)
        self.id = id
        self.ours = ours
        self.key = key
        self.config = config or TransferConfig()
        self.stream = stream
        self.question = Question(name, Type.AXFR if ours is None else Type.IXFR)
        self.records = self.octets = self.messages = 0
        self._make = make
        self._verifier: Verifier | None = None
        self._target: Record | None = None
        self._serial = 0  # the target's
        self._zone: Zone | None = None  # of a whole zone
        self._changes: list[Change] | None = None
        self._removed: list[Record] = []
        self._added: list[Record] | None = None  # None while deletions come
        self._result: Result | None = None

    def request(self, now: int) -> bytes:
        """The query. `now` in seconds since 1970, for the signature."""
        m = Message(self.id, 0)
        m.question.append(self.question)
        if self.ours is not None:
            m.authority.append(Record(self.name, Type.SOA, Class.IN, 0, self.ours))
        wire = m.encode()
        if self.key is not None:
            signer = Signer(self.key)
            wire = signer.sign(wire, now)
            self._verifier = Verifier(self.key, signer.mac)
        return wire

    def message(self, wire: bytes, now: int) -> Result | None:
        """The next message of the answer; None when more are to come. `now` in seconds since 1970. Raises TransferError."""
        self.messages += 1
        if self.messages > self.config.messages:
            raise TransferError(f"more than {self.config.messages} messages: TransferConfig(messages=…) allows more")
        try:
            if self._verifier is not None:
                wire = self._verifier.check(wire, now)
            m = decode(wire)
        except TsigError as error:
            said = wire[3] & 15 if len(wire) > 3 else 0  # most often why it is not signed
            raise TransferError(f"{error}: it says {rcode_text(said)}" if said else str(error), said or error.rcode) from None
        except WireError as error:
            raise TransferError(f"a message that is not lawful: {error}") from None
        self._check(m)
        for r in m.answer:
            self._take(r)
        if self._result is None:
            self._unfinished(m)
        if self._result is not None and self._verifier is not None:
            try:
                self._verifier.finish()
            except TsigError as error:
                raise TransferError(str(error), error.rcode) from None
        return self._result

    def ended(self) -> TransferError:
        """The stream ended before the transfer did: the error to raise."""
        return TransferError("the primary ended the transfer in the middle" if self.messages else "the primary answered nothing")

    # -- a message ------------------------------------------------------------------------------------------------------------

    def _check(self, m: Message) -> None:
        if not m.qr or m.id != self.id or m.opcode:
            raise TransferError("a message that is not an answer to our query")
        if m.rcode != Rcode.NOERROR:
            raise TransferError(f"the primary answers {rcode_text(m.rcode)}", m.rcode)
        if m.question and m.question != [self.question]:
            raise TransferError(f"the primary answers another question, {m.question}")
        if m.tc and self.stream:
            raise TransferError("a truncated message on a stream")  # RFC 5936 2.2.1

    def _unfinished(self, m: Message) -> None:
        """At the end of a message that has not been the last; unless there is nothing more to say."""
        if self._target is None or not m.answer:
            raise TransferError("a message without records")  # or any number of them would keep us here
        if self.records == 1 and self.ours is not None and serial.le(self._serial, serial_of(self.ours)):
            self._result = UpToDate(self._serial)
        elif not self.stream:
            self._result = OverStream(self._serial)

    # -- a record -------------------------------------------------------------------------------------------------------------

    def _take(self, r: Record) -> None:
        if self._result is not None:
            raise TransferError("records after the end of the zone")
        self.records += 1
        self.octets += len(r.name) + len(r.rdata) + 10
        if self.records > self.config.records:
            raise TransferError(f"more than {self.config.records} records: TransferConfig(records=…) allows more")
        if self.octets > self.config.octets:
            raise TransferError(f"more than {self.config.octets} octets: TransferConfig(octets=…) allows more")
        if r.rclass != Class.IN:
            raise TransferError(f"a record of class {r.rclass}")
        if not names.under(names.key(r.name), self.origin):
            raise TransferError(f"{names.text(r.name)} is not in the zone {names.text(self.name)}")
        if r.type == Type.SOA:
            self._soa(r)
        elif self._target is None:
            raise TransferError(f"a transfer begins with the zone's SOA, and not with {type_text(r.type)}")
        elif self._changes is not None:
            self._change(r)
        else:
            self._keep(self._building(), r)

    def _soa(self, r: Record) -> None:
        if names.key(r.name) != self.origin:
            raise TransferError(f"a SOA at {names.text(r.name)}, which is not the apex")
        try:
            data.unpack(Type.SOA, r.rdata)
        except WireError as error:
            raise TransferError(str(error)) from None
        if self._target is None:
            self._target = r
            self._serial = serial_of(r.rdata)
        elif self._changes is not None:
            self._turn(r)
        elif self._zone is None and self.records == 2 and self.ours is not None and serial_of(r.rdata) != self._serial:
            if serial_of(r.rdata) != serial_of(self.ours):
                raise TransferError(f"changes since serial {serial_of(r.rdata)}: ours is {serial_of(self.ours)}")
            self._changes = []
            self._removed = [r]
        elif r.rdata.lower() != self._target.rdata.lower():
            raise TransferError(f"the zone changed in the middle, from serial {self._serial} to {serial_of(r.rdata)}")
        else:
            self._result = Whole(self._building())

    # -- a whole zone ---------------------------------------------------------------------------------------------------------

    def _building(self) -> Zone:
        """The new zone, with the SOA that the transfer began with."""
        zone = self._zone
        if zone is None:
            assert self._target is not None
            zone = self._zone = self._make(self.name)
            self._keep(zone, self._target)
        return zone

    @staticmethod
    def _keep(zone: Zone, r: Record) -> None:
        """Twice the same record is one (RFC 5936 2.2)."""
        try:
            zone.take(r.name, r.type, r.ttl, r.rdata, sure=r.type in _DECODED)
        except UsageError as error:
            raise TransferError(f"the zone can't be: {error}") from None

    # -- changes --------------------------------------------------------------------------------------------------------------

    def _change(self, r: Record) -> None:
        self.octets += OVERHEAD
        (self._removed if self._added is None else self._added).append(r)

    def _turn(self, r: Record) -> None:
        """A SOA between changes: deletions end, or additions do."""
        assert self._changes is not None and self._target is not None
        number = serial_of(r.rdata)
        if self._added is None:
            old = serial_of(self._removed[0].rdata)
            if not serial.lt(old, number) or serial.lt(self._serial, number):
                raise TransferError(f"a change from serial {old} to {number}, on the way to {self._serial}")
            self._added = [r]
            return
        new = serial_of(self._added[0].rdata)
        if number != new:
            raise TransferError(f"a change from serial {number} after one to {new}")
        self._changes.append(Change(serial_of(self._removed[0].rdata), new, tuple(self._removed), tuple(self._added)))
        if number == self._serial:
            self._result = Changes(tuple(self._changes))
        else:
            self._removed = [r]
            self._added = None
