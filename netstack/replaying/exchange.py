"""Datagrams and echoes of a capture at play.

Datagrams are compared one by one, in their order. Where our host asked from a port that its stack had chosen, the program's own
port takes its place. Two protocols carry a number that the asker invents, and the answer repeats: the queries of the DNS and the
echoes of ICMP. There the number of our program stands in the answer, and a query of the DNS is found by its question, since a
resolver may ask several things in any order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from .. import const
from ..checksum import checksum, pseudo_ip4
from .steps import DatagramStep, DatagramTalk
from .talk import datagram

DNS = 53
HEARD_LIMIT = 4096  # datagrams beyond what was captured that are kept for the report: a program may send without end


class DatagramPlay:
    """One exchange. `heard` is what our host has sent, `host_port` its port, None until it has chosen one."""

    def __init__(self, talk: DatagramTalk, send: Callable[[bytes, int], None]) -> None:
        self.talk = talk
        self._send = send
        self.host_port: int | None = None if talk.we_open and talk.kind == "udp" else talk.host_port
        self.heard: list[bytes] = []
        self.expected = [step for step in talk.steps if step.ours]
        self.over = ""
        self.asked: object = None  # the step for which our host was prompted last
        self.behind = 0
        self.taken: list[bytes] | None = None
        self._said = 0  # steps of our host's that the script has passed
        self._is_dns = talk.kind == "udp" and talk.peer_port == DNS
        self._ident = 0

    def take(self, payload: bytes) -> None:
        if len(self.heard) < len(self.expected) + HEARD_LIMIT:
            self.heard.append(payload)

    def may(self, step: DatagramStep) -> bool:
        if self.over:
            return True
        if not step.ours:
            return self.host_port is not None
        return len(self.heard) > self._said - self.behind

    def pass_by(self) -> None:
        """One of our host's has come, or isn't waited for any more."""
        self._said += 1

    def give_up(self, step: DatagramStep) -> None:
        if step.ours and self.heard:
            self.behind += 1
        else:
            self.over = "never opened" if not self.heard else "stuck"

    def play(self, step: DatagramStep, now: int) -> None:
        talk = self.talk
        if self.over:
            return
        if talk.kind == "other":
            self._send(step.payload, now)
            return
        self._ident = (self._ident + 1) & const.M16
        if talk.kind == "echo":
            body = self._echo(step)
            self._send(datagram(talk.peer, talk.host, const.PROTO_ICMP, body, self._ident, step.tos, step.ttl), now)
            return
        assert self.host_port is not None
        payload = self._answer(step.payload) if self._is_dns else step.payload
        length = 8 + len(payload)
        head = struct.pack("!HHHH", talk.peer_port, self.host_port, length & const.M16, 0)
        check = checksum(head + payload, pseudo_ip4(talk.peer, talk.host, const.PROTO_UDP, length)) or 0xFFFF
        body = head[:6] + check.to_bytes(2, "big") + payload
        self._send(datagram(talk.peer, talk.host, const.PROTO_UDP, body, self._ident, step.tos, step.ttl), now)

    def _echo(self, step: DatagramStep) -> bytes:
        """A reply repeats what our host has said now; a request is as it was."""
        if step.payload[0] == const.ICMP_ECHO:
            return step.payload
        if not self.heard:
            return step.payload
        answered = sum(1 for each in self.talk.steps if not each.ours and each.number < step.number)
        ours = self.heard[min(answered, len(self.heard) - 1)]
        body = b"\0\0\0\0" + ours[4:]
        return body[:2] + checksum(body).to_bytes(2, "big") + body[4:]

    def _answer(self, payload: bytes) -> bytes:
        """An answer of the DNS, to the query that our program has sent: the last one with its question."""
        if not any(step.payload[:2] == payload[:2] for step in self.expected):
            return payload  # it didn't answer any query when it was captured
        for query in reversed(self.heard):
            if len(query) > 12 and len(payload) > 12 and _question(query) == _question(payload):
                return query[:2] + payload[2:]
        return payload

    def comparable(self) -> tuple[list[tuple[bytes, int]], list[bytes]]:
        """What our host sent when it was captured, with packet numbers, and now: without what it makes up."""
        if self.talk.kind == "echo":
            asks = self.talk.we_asked
            return [(_echoed(step.payload, asks), step.number) for step in self.expected], [_echoed(b, asks) for b in self.heard]
        skip = 2 if self._is_dns else 0
        captured = [(step.payload[skip:], step.number) for step in self.expected]
        heard = [each[skip:] for each in self.heard]
        if self._is_dns:  # asked in any order
            left = list(heard)
            sorted_heard = []
            for payload, _ in captured:
                i = next((i for i, each in enumerate(left) if each[10:].lower() == payload[10:].lower()), None)
                if i is not None:
                    sorted_heard.append(left.pop(i))
            heard = sorted_heard + left
        return captured, heard


def _echoed(message: bytes, asks: bool) -> bytes:
    """Of an echo of our own only the length matters: identifiers, numbers and times in it are made up."""
    return b"echo of %d bytes" % len(message) if asks else message[4:]


def _question(message: bytes) -> bytes:
    """The first question, without regard to case (RFC 4343)."""
    o = 12
    while o < len(message) and message[o]:
        if message[o] & 0xC0:
            return b""
        o += message[o] + 1
    return message[12 : o + 5].lower()
