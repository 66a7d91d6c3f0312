"""A router: forwards IPv4 datagrams between links, and says in ICMP why it could not. No stack, no state but its routes.

It does what RFC 1812 asks of the path of a datagram, and nothing else: header check, longest prefix, time to live, and
fragmentation or "fragmentation needed" where the next link is narrower. Its queues are those of its links.
"""

from __future__ import annotations

from .. import const
from ..address import Ip4
from ..checksum import checksum, update
from ..instant import Instant
from .mib import NodeMib
from .nodes import Node, Way

QUOTE = 548  # of the datagram that an error is about: 576 in all, as RFC 1812 4.3.2.3 asks


class Router(Node):
    """A node that forwards. Made by `World.router`; its counters are `mib`, those of its links are theirs."""

    __slots__ = ()

    def __init__(self, name: str, number: int, address: Ip4) -> None:
        super().__init__(name, number, address)
        self.forwards = True

    @property
    def mib(self) -> NodeMib:
        return self.node_mib

    def next_deadline(self) -> Instant:
        return Instant(self.inbox.soonest)

    def run(self, now: Instant) -> bool:
        for datagram in self.inbox.take(now, const.BATCH):
            self.forward(datagram, now)
        return self.inbox.soonest <= now

    def forward(self, datagram: bytes, now: int) -> None:
        """Send it on, answer it, or drop it under one of the counters."""
        mib = self.node_mib
        head = _header(datagram)
        if not head:
            mib.BadHeader += 1
            return
        total = datagram[2] << 8 | datagram[3]
        if total != len(datagram):
            datagram = datagram[:total]  # padding of an earlier link
        dst = int.from_bytes(datagram[16:20], "big")
        if dst == self.ip:
            mib.Local += 1
            self._answer(datagram, head, now)
            return
        if dst >= 0xE0000000:
            mib.NotForwarded += 1
            return
        ttl = datagram[8]
        if ttl <= 1:
            mib.TimeExceeded += 1
            self._report(const.ICMP_TIME_EXCEEDED, 0, 0, datagram, head, now)
            return
        way = self.way_to(dst)
        if way is None:
            mib.NoRoute += 1
            self._report(const.ICMP_UNREACHABLE, 0, 0, datagram, head, now)
            return
        old = ttl << 8 | datagram[9]
        check = update(datagram[10] << 8 | datagram[11], old, old - 256)
        sent = b"".join((datagram[:8], bytes((ttl - 1, datagram[9], check >> 8, check & 255)), datagram[12:]))
        if total > way.mtu:
            self._squeeze(sent, datagram, head, way, now)
            return
        mib.Forwarded += 1
        way.carry(sent, now)

    def _squeeze(self, sent: bytes, datagram: bytes, head: int, way: Way, now: int) -> None:
        """Through a link that is narrower than the datagram (RFC 791 3.2, RFC 1191 4)."""
        word = sent[6] << 8 | sent[7]
        if word & const.IP_DF:
            self.node_mib.TooBig += 1
            self._report(const.ICMP_UNREACHABLE, 4, way.mtu, datagram, head, now)
            return
        self.node_mib.Fragmented += 1
        step = (way.mtu - head) & ~7
        offset, more = word & const.IP_OFFSET, word & const.IP_MF
        for at in range(head, len(sent), step):
            piece = sent[at : at + step]
            last = at + step >= len(sent)
            frag = offset + (at - head) // 8 | (more if last else const.IP_MF)
            way.carry(_rewritten(sent[:head], head + len(piece), frag) + piece, now)

    def _answer(self, datagram: bytes, head: int, now: int) -> None:
        if datagram[9] != const.PROTO_ICMP or len(datagram) < head + 8 or datagram[head] != const.ICMP_ECHO:
            return
        if checksum(datagram[head:]):
            return
        message = b"\0\0\0\0" + datagram[head + 4 :]
        self._send(int.from_bytes(datagram[12:16], "big"), message, now)

    def _report(self, kind: int, code: int, rest: int, datagram: bytes, head: int, now: int) -> None:
        """An ICMP error about `datagram`, unless RFC 1122 3.2.2 forbids it: about an error, a later fragment, or nobody."""
        src = int.from_bytes(datagram[12:16], "big")
        if not 0 < src < 0xE0000000 or (datagram[6] << 8 | datagram[7]) & const.IP_OFFSET:
            return
        if datagram[9] == const.PROTO_ICMP and (len(datagram) <= head or datagram[head] not in (0, 8)):
            return
        self.node_mib.Errors += 1
        self._send(src, bytes((kind, code, 0, 0)) + rest.to_bytes(4, "big") + datagram[:QUOTE], now)

    def _send(self, dst: int, message: bytes, now: int) -> None:
        check = checksum(message)
        body = message[:2] + check.to_bytes(2, "big") + message[4:]
        ends = self.ip.to_bytes(4, "big") + dst.to_bytes(4, "big")
        head = bytes((0x45, 0xC0, 0, 0, 0, 0, 0, 0, 64, const.PROTO_ICMP, 0, 0)) + ends  # RFC 1812 4.3.2.5: precedence 6
        self.send(_rewritten(head, 20 + len(body), const.IP_DF) + body, now)


def _header(datagram: bytes) -> int:
    """The length of a lawful header (RFC 1812 5.2.2), 0 when it is none."""
    if len(datagram) < 20 or datagram[0] >> 4 != 4:
        return 0
    head = (datagram[0] & 15) << 2
    total = datagram[2] << 8 | datagram[3]
    if head < 20 or total < head or total > len(datagram) or checksum(datagram[:head]):
        return 0
    return head


def _rewritten(head: bytes, total: int, frag: int) -> bytes:
    """The header with another length and another fragment word."""
    new = head[:2] + total.to_bytes(2, "big") + head[4:6] + frag.to_bytes(2, "big") + head[8:10] + b"\0\0" + head[12:]
    return new[:10] + checksum(new).to_bytes(2, "big") + new[12:]
