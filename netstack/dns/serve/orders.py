"""What may not be asked by everybody: whole zones (RFC 5936, RFC 1995), changes (RFC 2136), news of changes elsewhere (RFC 1996),
and the signatures that say who asks (RFC 8945).

Access is nobody's until it is granted, for all zones or for one. Refusals say so, and not why: EDE "prohibited".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .. import const as dc
from .. import name as names
from .. import tsig
from ..authority import notify, transfer, update
from ..authority.access import Access
from ..authority.secondary import Secondary
from ..authority.zone import Zone
from ..message import Message
from ..mib import ServerMib
from ..numbers import Ede, Opcode, Rcode, Type
from .config import DnsConfig
from .later import Case
from .replies import Replies, error_of


class Signature:
    """Signs the answers to a signed query (`Case.seal`)."""

    def __init__(self, signed: tsig.Signed, wall: Callable[[], int]) -> None:
        self._signer = signed.signer()
        self._wall = wall
        self.key = signed.key.name
        self.room = signed.key.overhead

    def sign(self, wire: bytes) -> bytes:
        return self._signer.sign(wire, self._wall())


class Orders:
    """`access` is for all zones that have none of their own. `secondaries` and `keepers` (who store updates) by origin; `changed`
    is called with each zone that an update has changed, `noticed` with each secondary that was told of news: its deadline may have
    moved."""

    def __init__(
        self, replies: Replies, config: DnsConfig, mib: ServerMib, wall: Callable[[], int], keys: tsig.Keys, access: Access
    ) -> None:
        self.keys = keys
        self.access = access
        self.secondaries: dict[bytes, Secondary] = {}
        self.keepers: dict[bytes, update.Keep] = {}
        self.changed: list[Callable[[Zone], None]] = []
        self.noticed: list[Callable[[Secondary], None]] = []
        self._replies = replies
        self._config = config
        self._mib = mib
        self._wall = wall
        self._granted: dict[bytes, Access] = {}
        self._sending = 0

    def grant(self, origin: bytes, access: Access) -> None:
        """For this zone, in place of what is granted for all."""
        self._granted[names.key(origin)] = access

    def _access(self, origin: bytes) -> Access:
        return self._granted.get(origin, self.access)

    # -- who asks -------------------------------------------------------------------------------------------------------------

    def verify(self, case: Case, m: Message) -> bytes | None:
        """The answer that says what is wrong with the signature of `m`; None where it holds, or there is none."""
        if not m.additional or m.additional[-1].type != Type.TSIG:
            return None
        try:
            signed = tsig.verify(bytes(case.wire), self.keys, self._wall())
        except tsig.TsigError as error:
            self._mib.ReqBadSIG += 1
            m.additional.clear()
            return error.answer(self._replies.said(case, m, error.rcode), self._wall())
        if signed is not None:
            self._mib.ReqTSIG += 1
            case.seal = Signature(signed, self._wall)
            case.key = signed.key.name
            m.additional.pop()
        return None

    # -- transfers ------------------------------------------------------------------------------------------------------------

    def transfer(self, case: Case, m: Message) -> Iterable[bytes]:
        """The messages of a transfer, each made when it is asked for."""
        replies, stream = self._replies, case.client.stream
        zone = case.view.zones.exact(names.key(m.question[0].name))
        refused: tuple[int, int] | None = None
        if zone is None:
            refused = int(Rcode.NOTAUTH), int(Ede.NOT_AUTHORITATIVE)
        elif not self._access(zone.origin).may_transfer(case.client.address, case.key):
            refused = int(Rcode.REFUSED), int(Ede.PROHIBITED)
        elif self._sending >= self._config.transfers and stream:
            refused = int(Rcode.SERVFAIL), int(Ede.OTHER)  # the secondary comes again after its SOA's retry
        if zone is None or refused is not None:
            self._mib.XfrRej += 1
            rcode, ede = refused or (0, 0)
            return (replies.refuse(case, rcode, extra=error_of(ede)),)
        self._mib.XfrReqDone += 1
        limit = dc.MAX_MESSAGE if stream else replies.ask.limit
        return self._outgoing(case, zone, m, limit - (case.seal.room if case.seal is not None else 0), stream)

    def _outgoing(self, case: Case, zone: Zone, m: Message, limit: int, stream: bool) -> Iterator[bytes]:
        self._sending += 1
        try:
            for each in transfer.outgoing(zone, m, limit, stream=stream):
                wire = each.encode(limit, exact=True)
                yield wire if case.seal is None else case.seal.sign(wire)
        finally:
            self._sending -= 1

    # -- changes, and news of them --------------------------------------------------------------------------------------------

    def take(self, case: Case, m: Message, now: int) -> bytes:
        """UPDATE or NOTIFY: the answer."""
        if len(m.question) != 1:
            return self._replies.said(case, m, Rcode.FORMERR)
        if m.opcode == Opcode.NOTIFY:
            return self._notified(case, m, now)
        return self._update(case, m)

    def _notified(self, case: Case, m: Message, now: int) -> bytes:
        secondary = self.secondaries.get(names.key(m.question[0].name))
        if secondary is None or m.question[0].type != Type.SOA:
            self._mib.NotifyRej += 1
            return self._replies.said(case, m, Rcode.NOTAUTH, (Ede.NOT_AUTHORITATIVE, "this server keeps no copy of the zone"))
        rcode = secondary.notified(now, case.client.address, case.key, notify.hint(m))
        if rcode:
            self._mib.NotifyRej += 1
        else:
            self._mib.NotifyIn += 1
            for tell in self.noticed:
                tell(secondary)
        return self._replies.said(case, m, rcode, aa=not rcode)

    def _update(self, case: Case, m: Message) -> bytes:
        origin = names.key(m.question[0].name)
        zone = case.view.zones.exact(origin)
        if zone is None or origin in self.secondaries:  # its primary takes updates: we don't forward them (RFC 2136 6)
            self._mib.UpdateRej += 1
            return self._replies.said(case, m, Rcode.NOTAUTH, (Ede.NOT_AUTHORITATIVE, ""))
        if not self._access(origin).may_update(case.client.address, case.key):
            self._mib.UpdateRej += 1
            return self._replies.said(case, m, Rcode.REFUSED, (Ede.PROHIBITED, ""))
        before = zone.serial
        rcode = update.apply(zone, m, self.keepers.get(origin))
        if rcode:
            self._mib.UpdateFail += 1
        else:
            self._mib.UpdateDone += 1
            if zone.serial != before:
                for tell in self.changed:
                    tell(zone)
        return self._replies.said(case, m, rcode)
