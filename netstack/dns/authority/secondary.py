"""A copy of a zone that is kept like its primaries' (RFC 1034 4.3.5, RFC 1035 3.3.13, RFC 1996, RFC 1995 4).

    RESTING -- refresh, retry or a notification --> a round: each primary in turn, the one that notified us first
    a primary:  nothing here yet -----------------> AXFR over a stream
                its serial, over UDP -- the same --> done
                                     -- newer -----> IXFR over a stream -- can't be used --> AXFR
                                     -- older -----> the next primary
                                     -- silence ---> IXFR over a stream: perhaps only UDP is lost
    done    ----> RESTING for the SOA's refresh, and it does not expire before its expire has passed
    nobody  ----> RESTING for the SOA's retry; without a zone after ever longer times

Its timers are what a zone's SOA says, within bounds: a SOA of zeros would have us ask all day. They begin a little before their
time, at random, so that a thousand zones of one primary do not ask at once.

What is sent and received is `Step`s' and somebody else's work (`serve/secondaries.py`), as is keeping the zone over a restart.
"""

import enum
from collections.abc import Callable

from attrs import field, frozen, validators

from ... import serial
from ...errors import UsageError, WireError
from ...instant import SECOND
from ...signatures import Rng
from .. import name as names
from .. import rdata as data
from ..message import Message, Question, decode
from ..mib import SecondaryMib
from ..numbers import Class, Rcode, Type, rcode_text
from ..tsig import Key, Signer, Verifier
from .access import NOBODY, Access
from .incoming import Changes, Incoming, Result, TransferConfig, TransferError, UpToDate, Whole
from .transfer import serial_of
from .zone import Zone

HOUR = 3600 * SECOND
_LEAVES_NO_HOPE = (int(Rcode.REFUSED), int(Rcode.NOTAUTH), int(Rcode.SERVFAIL))


@frozen
class Primary:
    """Where a zone comes from. With a `key` everything that it says must be signed."""

    address: str
    port: int = 53
    key: Key | None = None


@frozen(kw_only=True)
class SecondaryConfig:
    """Times in ns. Refresh, retry and expire of the SOA count within these bounds (RFC 1912 2.2 knows what is usual)."""

    least_refresh: int = field(default=60 * SECOND, validator=validators.gt(0))
    most_refresh: int = field(default=24 * HOUR, validator=validators.gt(0))
    least_retry: int = field(default=30 * SECOND, validator=validators.gt(0))
    most_retry: int = field(default=4 * HOUR, validator=validators.gt(0))
    most_expire: int = field(default=42 * 24 * HOUR, validator=validators.gt(0))
    first_retry: int = field(default=5 * SECOND, validator=validators.gt(0))  # without a zone, then twice as long, …
    notify_gap: int = field(default=1 * SECOND, validator=validators.ge(0))  # anybody can say that he is our primary, over UDP
    patience: int = field(default=2 * SECOND, validator=validators.gt(0))  # for a serial, over UDP
    attempts: int = field(default=3, validator=validators.in_(range(1, 11)))
    stream_idle: int = field(default=60 * SECOND, validator=validators.gt(0))
    stream_whole: int = field(default=2 * HOUR, validator=validators.gt(0))  # BIND's max-transfer-time-in
    transfer: TransferConfig = field(factory=TransferConfig)


@frozen
class AskSerial:
    """Send `wire` to `primary` over UDP; what comes from there goes to `datagram`. `expired` when nothing has until `deadline`."""

    primary: Primary
    wire: bytes
    deadline: int


@frozen
class Fetch:
    """Send `wire` to `primary` over a stream, and hand each message that comes to `message`. `failed` where it can't be, where
    nothing came for `idle`, or at `deadline`."""

    primary: Primary
    wire: bytes
    idle: int
    deadline: int


@frozen
class Rest:
    """Nothing is to be done until `deadline`: then `due`."""

    deadline: int


Step = AskSerial | Fetch | Rest


class State(enum.Enum):
    RESTING = "nothing is to be done"
    SERIAL = "asking for the serial"
    TRANSFER = "a transfer is under way"


class Secondary:
    """`zone` is what there is already, perhaps from a file. `adopted` is called with the zone whenever it has changed or is another
    one. `wall` gives the seconds since 1970, for signatures."""

    def __init__(
        self,
        name: bytes,
        primaries: "tuple[Primary, ...] | list[Primary]",
        rng: Rng,
        wall: Callable[[], int],
        *,
        zone: Zone | None = None,
        access: Access = NOBODY,
        config: SecondaryConfig | None = None,
        mib: SecondaryMib | None = None,
        adopted: Callable[[Zone], None] | None = None,
        make: Callable[[bytes], Zone] = Zone,
    ) -> None:
        if not primaries:
            raise UsageError(f"a copy of {names.text(name)} needs a primary: give one at least")
        self.name = name
        self.origin = names.key(name)
        self.primaries = tuple(primaries)
        self.zone = zone
        self.access = access
        self.config = config or SecondaryConfig()
        self.mib = mib or SecondaryMib()
        self.adopted = adopted
        self.state = State.RESTING
        self.why = ""  # the failure of the last primary that failed
        self._rng = rng
        self._wall = wall
        self._make = make
        self._next: int | None = None  # the next round
        self._expire: int | None = None
        self._round: list[Primary] = []  # who is still to be asked
        self._primary = self.primaries[0]
        self._preferred: str | None = None
        self._again = False  # a notification came in the middle of a round
        self._noticed: int | None = None
        self._failures = 0
        self._tries = 0
        self._incoming: Incoming | None = None
        self._id = 0
        self._mac = b""

    # -- when -----------------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> int | None:
        """When `due` is to be called."""
        instants = [each for each in (self._next, self._expire) if each is not None]
        return min(instants) if instants else None

    def start(self, now: int) -> None:
        """A round is due at once: nobody knows how old the zone is that we have."""
        self._next = now
        if self.zone is not None:
            self._expire = now + self._timers()[2]

    def due(self, now: int) -> Step:
        """The first step of a round, where one is due."""
        if self._expire is not None and now >= self._expire:
            self._expire = None
            if self.zone is not None:
                self.mib.Expired += 1
                self.zone.expired = True
                self._tell()
        if self.state is not State.RESTING or self._next is None or now < self._next:
            return Rest(self.deadline or now + HOUR)
        self._next = None
        self._again = False
        self._round = sorted(self.primaries, key=lambda primary: primary.address != self._preferred)
        self._preferred = None
        self.mib.Checks += 1
        return self._ask(now)

    def notified(self, now: int, address: str, key: bytes | None = None, serial_said: int | None = None) -> int:
        """A notification of this zone came: the rcode of its answer. `key` is the name of the one that it was signed with.
        `deadline` may have moved."""
        known = any(primary.address == address for primary in self.primaries)
        if not known and not self.access.may_notify(address, key):
            self.mib.NotifyRefused += 1
            return int(Rcode.REFUSED)
        if self.zone is not None and not self.zone.expired and serial_said is not None:
            if serial.le(serial_said, self.zone.serial):
                self.mib.NotifyNotNeeded += 1
                return int(Rcode.NOERROR)
        self.mib.NotifyIn += 1
        self._preferred = address  # the others may not have it yet (RFC 1996 3.11)
        if self.state is not State.RESTING:
            self._again = True
            return int(Rcode.NOERROR)
        self._soon(now)
        return int(Rcode.NOERROR)

    def _soon(self, now: int) -> None:
        at = now if self._noticed is None else max(now, self._noticed + self.config.notify_gap)
        if self._next is None or at < self._next:
            self._next = self._noticed = at

    # -- what the world says --------------------------------------------------------------------------------------------------

    def datagram(self, now: int, wire: bytes) -> Step | None:
        """From the primary that was asked for its serial. None: not the answer, go on waiting."""
        if self.state is not State.SERIAL:
            return None
        try:
            if self._primary.key is not None:
                wire = Verifier(self._primary.key, self._mac).check(wire, self._wall())
            m = decode(wire)
        except WireError as error:
            self.mib.InForged += 1
            self.why = f"{self._primary.address}: {error}"
            return None
        if not m.qr or m.id != self._id or m.opcode or m.question != [Question(self.name, Type.SOA)]:
            self.mib.InForged += 1
            return None
        if m.tc:
            return self._fetch(now, self._ours())
        soa = [r for r in m.answer if r.type == Type.SOA and r.rclass == Class.IN and names.key(r.name) == self.origin]
        if m.rcode != Rcode.NOERROR or not m.aa or len(soa) != 1 or len(soa[0].rdata) < 22:
            what = rcode_text(m.rcode) if m.rcode else "no SOA, or not as an authority"
            return self._next_primary(now, f"answers {what} for the SOA")
        return self._compared(now, serial_of(soa[0].rdata))

    def expired(self, now: int) -> Step:
        """Nothing has come from the primary that was asked for its serial."""
        if self._tries < self.config.attempts:
            return self._ask_serial(now)
        return self._fetch(now, self._ours())

    def message(self, now: int, wire: bytes) -> Step | None:
        """The next message of a transfer; None when more are to come."""
        incoming = self._incoming
        if incoming is None:
            return None
        try:
            result = incoming.message(wire, self._wall())
        except TransferError as error:
            return self._unusable(now, incoming, error)
        return None if result is None else self._arrived(now, result)

    def failed(self, now: int, reason: str) -> Step:
        """What was under way can't succeed."""
        if self.state is State.SERIAL:
            return self._fetch(now, self._ours())  # perhaps only UDP is closed
        return self._next_primary(now, reason)

    def ended(self, now: int) -> Step:
        """The primary has ended the stream."""
        assert self._incoming is not None
        return self._next_primary(now, str(self._incoming.ended()))

    # -- a round --------------------------------------------------------------------------------------------------------------

    def _ask(self, now: int) -> Step:
        """The next primary's turn."""
        if not self._round:
            return self._gave_up(now)
        self._primary = self._round.pop(0)
        self._tries = 0
        if self.zone is None or self.zone.expired:
            return self._fetch(now, None)
        return self._ask_serial(now)

    def _ask_serial(self, now: int) -> Step:
        self.state = State.SERIAL
        self._tries += 1
        self._id = self._rng.getrandbits(16)
        m = Message(self._id, 0)
        m.question.append(Question(self.name, Type.SOA))
        wire = m.encode()
        if self._primary.key is not None:
            signer = Signer(self._primary.key)
            wire = signer.sign(wire, self._wall())
            self._mac = signer.mac
        return AskSerial(self._primary, wire, now + (self.config.patience << (self._tries - 1)))

    def _fetch(self, now: int, ours: bytes | None) -> Step:
        self.state = State.TRANSFER
        id = self._rng.getrandbits(16)
        self._incoming = Incoming(self.name, id, ours, self._primary.key, self.config.transfer, make=self._make)
        wire = self._incoming.request(self._wall())
        return Fetch(self._primary, wire, self.config.stream_idle, now + self.config.stream_whole)

    def _ours(self) -> bytes | None:
        kept = None if self.zone is None else self.zone.rrset(self.name, Type.SOA)
        return None if kept is None else kept.rdatas[0]

    def _compared(self, now: int, theirs: int) -> Step:
        """What the primary has, beside what we have."""
        ours = self._ours()
        if ours is None or serial.lt(serial_of(ours), theirs):
            return self._fetch(now, ours)
        if theirs != serial_of(ours):
            return self._next_primary(now, f"has serial {theirs}, which is older than ours")
        self.mib.UpToDate += 1
        return self._done(now)

    def _arrived(self, now: int, result: Result) -> Step:
        if isinstance(result, Whole):
            ours = self._ours()
            if ours is not None and self.zone is not None and not self.zone.expired:
                if not serial.lt(serial_of(ours), result.zone.serial):
                    return self._compared(now, result.zone.serial)
            self.mib.XfrWhole += 1
            self.zone = result.zone
            self._tell()
            return self._done(now)
        if isinstance(result, Changes):
            assert self.zone is not None
            try:
                for change in result.changes:
                    self.zone.apply(list(change.removed), list(change.added))
            except UsageError as error:  # not the zone that they were made for
                self.why = f"{self._primary.address}: {error}"
                self.mib.XfrFallbacks += 1
                return self._fetch(now, None)
            self.mib.XfrChanges += 1
            self._tell()
            return self._done(now)
        assert isinstance(result, UpToDate)
        return self._compared(now, result.serial)

    def _unusable(self, now: int, incoming: Incoming, error: TransferError) -> Step:
        if incoming.ours is not None and error.rcode not in _LEAVES_NO_HOPE:
            self.why = f"{self._primary.address}: {error}"
            self.mib.XfrFallbacks += 1
            return self._fetch(now, None)
        return self._next_primary(now, str(error))

    def _next_primary(self, now: int, reason: str) -> Step:
        self.mib.XfrFailures += 1
        self.why = f"{self._primary.address}: {reason}"
        return self._ask(now)

    # -- the end of a round ---------------------------------------------------------------------------------------------------

    def _done(self, now: int) -> Step:
        refresh, _, expire = self._timers()
        self._failures = 0
        self._expire = now + expire
        if self.zone is not None and self.zone.expired:
            self.zone.expired = False
            self._tell()
        return self._rest(now, refresh)

    def _gave_up(self, now: int) -> Step:
        self.mib.GaveUp += 1
        if self.zone is not None:
            wait = self._timers()[1]
        else:
            wait = min(self.config.first_retry << min(self._failures, 20), self.config.most_retry)
        self._failures += 1
        return self._rest(now, wait)

    def _rest(self, now: int, wait: int) -> Step:
        self.state = State.RESTING
        self._incoming = None
        self._next = now + wait - self._rng.getrandbits(16) * wait // (10 << 16)  # up to a tenth earlier
        if self._again:
            self._again = False
            self._soon(now)
        return Rest(self.deadline or self._next)

    def _timers(self) -> tuple[int, int, int]:
        """Refresh, retry and expire of the zone's SOA, within bounds."""
        config = self.config
        soa = data.unpack(Type.SOA, self._ours() or b"\0\0" + bytes(20))
        refresh = min(max(soa[3] * SECOND, config.least_refresh), config.most_refresh)
        retry = min(max(soa[4] * SECOND, config.least_retry), config.most_retry)
        expire = min(max(soa[5] * SECOND, refresh + retry), config.most_expire)  # RFC 1912 2.2: longer than both
        return refresh, retry, expire

    def _tell(self) -> None:
        if self.adopted is not None and self.zone is not None:
            self.adopted(self.zone)
