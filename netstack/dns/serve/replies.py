"""Answers on their way out: the OPT record with what the client asked of it, padding, TC, the signature, the counters.

Everything goes out as a `Packed` answer or as a refusal, so that what a table of ready answers gives and what is made on the spot
are the same octets.
"""

from __future__ import annotations

from typing import Protocol

from .. import const as dc
from ..ask import Ask
from ..edns import PADDING_BLOCK_RESPONSE, Edns, error_option
from ..message import Message
from ..mib import ServerMib
from ..numbers import Option, Rcode
from ..packed import Packed
from .config import DnsConfig
from .later import Case

EDE_INVALID_QUERY_TYPE = 30  # RFC 9824 3.5


class Seal(Protocol):
    """Signs answers to a signed query (TSIG)."""

    room: int  # octets that a signature takes

    def sign(self, wire: bytes) -> bytes: ...


def option(code: int, data: bytes) -> bytes:
    return code.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def error_of(code: int, text: str = "") -> bytes:
    """An extended error (RFC 8914), in wire form."""
    return option(Option.EXTENDED_ERROR, code.to_bytes(2, "big") + text.encode())


def codes(ask: Ask) -> set[int]:
    """Of the options in the query that `ask` has just read, and found lawful."""
    found: set[int] = set()
    b, o = ask.buf, ask.end + 11
    while o + 4 <= ask.n:
        found.add(b[o] << 8 | b[o + 1])
        o += 4 + (b[o + 2] << 8 | b[o + 3])
    return found


class Replies:
    """Writes the answers to what `ask` has read."""

    def __init__(self, ask: Ask, config: DnsConfig, mib: ServerMib) -> None:
        self.ask = ask
        self.mib = mib
        self._nsid = option(Option.NSID, config.nsid) if config.nsid else b""
        tenths = min(config.idle_timeout // 100_000_000, 0xFFFF)
        self._keepalive = option(Option.KEEPALIVE, tenths.to_bytes(2, "big"))

    def packed(self, case: Case, packed: Packed, age: int = 0, extra: bytes = b"") -> bytes:
        """`packed` for the client; `extra` are options in wire form."""
        ask = self.ask
        options, pad = self._options(case, extra)
        limit = dc.MAX_MESSAGE if case.client.stream else ask.limit
        seal: Seal | None = case.seal
        if seal is not None:
            limit -= seal.room
        n = packed.patch(ask, limit, age, options)
        if pad:
            n = packed.patch(ask, limit, age, options + padding(n, limit))
        return self._out(case, bytes(ask.buf[:n]))

    def refuse(self, case: Case, rcode: int, flags: int = 0, extra: bytes = b"") -> bytes:
        """No records: `rcode`, twelve bits, and what `flags` says."""
        options, pad = self._options(case, extra)
        wire = self.ask.refuse(rcode, flags, options)
        if pad:
            wire = self.ask.refuse(rcode, flags, options + padding(len(wire), dc.MAX_MESSAGE))
        return self._out(case, wire)

    def said(self, case: Case, m: Message, rcode: int, error: tuple[int, str] | None = None, *, aa: bool = False) -> bytes:
        """A few words in answer to `m`, of any opcode: `rcode`, twelve bits, and an extended error."""
        reply = Message(m.id, dc.QR | (dc.AA if aa else 0) | m.flags & (dc.OPCODE | dc.RD | dc.CD) | rcode & 15)
        reply.question = m.question
        if m.edns is not None:
            options = () if error is None else (error_option(*error),)
            reply.edns = Edns(self.ask.payload, do=m.edns.do, ext_rcode=rcode >> 4, options=options)
        return self._out(case, reply.encode())

    def _options(self, case: Case, extra: bytes) -> tuple[bytes, bool]:
        """Of the OPT record, and whether to pad."""
        ask = self.ask
        if not ask.edns:
            return b"", False
        if ask.n <= ask.end + 11:
            return extra, False
        client = case.client
        extra += case.cookie
        asked = codes(ask)
        if Option.NSID in asked and self._nsid:
            self.mib.NSIDOpt += 1
            extra += self._nsid
        if Option.KEEPALIVE in asked and client.stream:  # RFC 7828 3.3.1: over UDP it is ignored
            self.mib.KeepaliveOpt += 1
            extra += self._keepalive
        # RFC 7830 4: who pads gets padding; in clear text it would hide nothing, and amplify
        return extra, client.encrypted and Option.PADDING in asked

    def _out(self, case: Case, wire: bytes) -> bytes:
        if case.seal is not None:
            wire = case.seal.sign(wire)
        self.count(wire)
        return wire

    def count(self, wire: bytes) -> None:
        """One answer to a query, by what it says."""
        if wire[2] & 0x78:
            return
        mib = self.mib
        flags, rcode = wire[2], wire[3] & 15
        if flags & 4:
            mib.QryAuthAns += 1
        else:
            mib.QryNoauthAns += 1
        if flags & 2:
            mib.TruncatedResp += 1
        if self.ask.edns:
            mib.RespEDNS0 += 1
        if rcode == Rcode.NOERROR:
            if wire[6] or wire[7]:
                mib.QrySuccess += 1
            elif flags & 6 == 0 and (wire[8] or wire[9]):
                mib.QryReferral += 1
            else:
                mib.QryNxrrset += 1
        elif rcode == Rcode.NXDOMAIN:
            mib.QryNXDOMAIN += 1
        elif rcode == Rcode.SERVFAIL:
            mib.QrySERVFAIL += 1
        elif rcode == Rcode.FORMERR:
            mib.QryFORMERR += 1
        else:
            mib.QryFailure += 1


def padding(n: int, limit: int) -> bytes:
    """The option that makes a message of `n` octets a multiple of the block (RFC 8467 4.1), as far as the limit lets it."""
    missing = -(n + 4) % PADDING_BLOCK_RESPONSE
    room = limit - n - 4
    return b"" if room < 0 else option(Option.PADDING, bytes(min(missing, room)))
