"""Zone transfers, shown as they come (RFC 5936, RFC 1995)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from ...dns import name as names
from ...dns.message import Message, Record
from ...dns.numbers import Type
from ...errors import WireError
from .ask import Asker, Failed, Pieces, Reply, Server, Silence, reason
from .lookup import Lookup

PATIENCE = 4  # times the usual, once a transfer has begun


class Ends:
    """Where a transfer ends: the SOA record that was first comes again, in an incremental one twice (RFC 1995 4)."""

    def __init__(self, wanted: int | None) -> None:
        self.wanted = wanted  # the serial that is there already, of an incremental transfer
        self.first: int | None = None
        self.whole = wanted is None
        self.second = False
        self.repeated = False
        self.records = 0

    def put(self, r: Record) -> bool:
        """Was this the last record? Raises WireError where the first is not an SOA record."""
        self.records += 1
        if r.type != Type.SOA:
            if self.first is None:
                raise WireError("Didn't start with SOA answer.")
            if not self.second:
                self.second = self.whole = True
            return False
        serial = int.from_bytes(r.rdata[-20:-16], "big")
        if self.first is None:
            self.first = serial
            return self.wanted is not None and (self.wanted - serial) & 0xFFFFFFFF < 1 << 31  # up to date
        if self.whole:
            return True
        if not self.second:
            self.second = True
            return serial == self.first
        if serial != self.first:
            return False
        self.repeated, before = True, self.repeated
        return before


class Transferred:
    """What there is to say at the end. `failure` is empty when all came."""

    def __init__(self) -> None:
        self.records = self.messages = self.octets = 0
        self.failure = ""
        self.valid = True


async def transfer(asker: Asker, lookup: Lookup, server: Server, name: bytes, sums: Transferred) -> AsyncIterator[Reply]:
    """Its messages, one after the other. Raises Silence, BadPacket."""
    query = lookup.message(name, asker.rng.getrandbits(16), asker.cookie)
    wire, verifier = asker.sealed(query.encode(pad=lookup.padding))
    try:
        stream = await asker.connect(lookup, server, names.text(name).rstrip(".") or ".")
    except Failed as failure:
        asker.say(str(failure))
        raise Silence(str(failure), failure.sent) from None
    sent = time.monotonic_ns()
    ends = Ends(lookup.serial if lookup.type == Type.IXFR else None)
    way = "TLS" if lookup.tls else "TCP"
    try:
        pieces = Pieces(stream, asker.patience(10))
        if lookup.show_query:
            asker.show_query(lookup, query, wire)
        await pieces.send(wire)
        done = False
        while not done:
            data = await pieces.next()
            m = asker.read(data)
            if m.id != query.id or not asker.fits(m, query):
                raise WireError("it answered something else")
            sums.messages += 1
            sums.octets += len(data)
            rtt = time.monotonic_ns() - sent
            sums.valid = asker.believed(verifier, data) and sums.valid
            reply = Reply(m, data, query, server, rtt, way, time.time(), asker.cookie, sums.valid)
            if not m.answer:
                sums.failure = "; Transfer failed."
                done = True
            try:
                for r in m.answer:
                    done = ends.put(r)
                    if done:
                        break
            except WireError as error:
                sums.failure = f"; Transfer failed.  {error}"
                done = True
            sums.records = ends.records
            yield reply
            pieces.patience = asker.patience(10 * PATIENCE)
        await stream.aclose()
    except (OSError, WireError) as error:
        text = f"communications error to {server}: {reason(error)}"
        asker.say(text)
        raise Silence(text) from None
    finally:
        stream.abort()


def first_part(m: Message, lookup: Lookup, number: int) -> Message:
    """With +onesoa the SOA record stands once, in the first message."""
    if lookup.one_soa and lookup.type == Type.AXFR:
        soas = [r for r in m.answer if r.type == Type.SOA]
        m.answer = [r for r in m.answer if r.type != Type.SOA or (number == 0 and r is soas[0])]
    return m
