"""A user of one connection, and the model of it: what may be called when, what must have come, and how it may end.

Bytes are known by where they stand: each user writes a stretch of one random text of its own, so that a byte which is missing,
comes twice, in the wrong order or from another connection is seen at once.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from netstack.adapters import PyStreamUser
from netstack.errors import Aborted, BrokenError, ClosedError, PeerReset, Refused, TimedOut, Unreachable
from netstack.tcp.connection import Connection

if TYPE_CHECKING:
    from model_world import Host, World

LONGEST = 1 << 20  # bytes that one user writes at the most
TEXT = random.Random(9293).randbytes(2 * LONGEST)
ENDS = (type(None), PeerReset, TimedOut, Aborted, Refused, Unreachable)
Reaction = tuple[str, str, int]  # at which event, what, how much


class Person:
    """`sent` and `received` count bytes; the `did_` are the user's calls, the others what it was told."""

    def __init__(self, world: World, host: Host, number: int) -> None:
        self.world = world
        self.host = host
        self.number = number
        self.name = f"{'ab'[host.index]}{number}"
        self.base = number * 77_777 % LONGEST
        self.reactions: list[Reaction] = []
        self.user = PyStreamUser(self)
        self.conn: Connection | None = None
        self.sent = 0
        self.received = 0
        self.calls: list[str] = []
        self.connected = self.eof = self.closed = False
        self.error: Exception | None = None
        self.did_shutdown = self.did_close = self.did_abort = self.paused = self.blocked = False
        self.void = False  # aborted from inside `accept`, so never the user of anything
        self.refused = False

    # -- who it talks to --------------------------------------------------------------------------------------------------------

    @property
    def key(self) -> tuple[int, int, int, int]:
        c = self.conn
        assert c is not None
        return self.host.index, c.local_port, c.remote_port, c.iss

    def partner(self) -> Person | None:
        c = self.conn
        assert c is not None
        return self.world.people.get((1 - self.host.index, c.remote_port, c.local_port, c.irs))

    @property
    def between(self) -> tuple[int, int]:
        """The ports at host 0 and at host 1."""
        c = self.conn
        assert c is not None
        return (c.local_port, c.remote_port) if self.host.index == 0 else (c.remote_port, c.local_port)

    @property
    def tainted(self) -> bool:
        return self.between in self.world.watch.tainted

    @property
    def rude(self) -> bool:
        """Has it ended the connection before all was said?"""
        return self.did_close or self.did_abort or self.refused or self.void

    # -- what it is told --------------------------------------------------------------------------------------------------------

    def _told(self, event: str) -> None:
        assert not self.closed, f"{self.name}: {event} after closed"
        assert not self.void, f"{self.name}: {event} though it has aborted before it was accepted"
        assert not self.did_close or event == "closed", f"{self.name}: {event} after close()"
        assert self.connected or event in ("connected", "closed"), f"{self.name}: {event} before connected"
        if event != self.calls[-1:]:
            self.calls.append(event)

    def on_connected(self, now: int) -> None:
        assert not self.connected, f"{self.name}: connected twice"
        self._told("connected")
        self.connected = True
        self._react("connected", now)

    def on_data(self, data: bytes, now: int) -> None:
        self._told("data")
        assert data and not self.paused and not self.eof, f"{self.name}: data {len(data)}, paused {self.paused}, eof {self.eof}"
        at = self.received
        self.received += len(data)
        if not self.tainted:
            partner = self.partner()
            assert partner is not None, f"{self.name}: data from nobody"
            assert self.received <= partner.sent, f"{self.name}: {self.received} bytes came, {partner.sent} were written"
            begin = partner.base + at
            assert TEXT.startswith(data, begin), f"{self.name}: the bytes from {at} on are not those that were written"
        self._react("data", now)

    def on_eof(self, now: int) -> None:
        self._told("eof")
        assert not self.eof and not self.paused, f"{self.name}: eof twice, or while paused"
        self.eof = True
        if not self.tainted:
            partner = self.partner()
            assert partner is not None and (partner.did_shutdown or partner.did_close), f"{self.name}: eof that nobody sent"
            assert self.received == partner.sent, f"{self.name}: eof after {self.received} of {partner.sent} bytes"
        self._react("eof", now)

    def on_writable(self, now: int) -> None:
        self._told("writable")
        assert self.blocked, f"{self.name}: writable, though no write was told to wait"
        self.blocked = False
        self._react("writable", now)

    def on_closed(self, error: Exception | None, now: int) -> None:
        self._told("closed")
        self.closed = True
        self.error = error
        assert isinstance(error, ENDS), f"{self.name}: closed({error!r})"
        self.world.ended(self, now)
        self._react("closed", now)

    def _react(self, event: str, now: int) -> None:
        for i, reaction in enumerate(self.reactions):
            if reaction[0] == event:
                del self.reactions[i]
                self.world.reactions += 1
                self.act(reaction[1], reaction[2], now)
                return

    # -- what it does -----------------------------------------------------------------------------------------------------------

    def act(self, what: str, much: int, now: int) -> None:
        """One call. What it raises is what the documentation says, when it says so."""
        conn = self.conn
        assert conn is not None
        world = self.world
        world.say(self.name, what, much)
        if what == "write":
            self._write(conn, much, now)
        elif what == "pause":
            self.paused = True
            conn.pause(now)
        elif what == "resume":
            self.paused = False
            conn.resume(now)
        elif what == "shutdown":
            self.did_shutdown = True
            conn.shutdown(now)
        elif what == "close":
            if not self.closed:
                self.did_close = True
            conn.close(now)
        elif what == "abort":
            before = self.closed
            self.did_abort = self.did_abort or not before
            conn.abort(now)
            assert self.closed or self.void or self.user_less(), f"{self.name}: abort has not called closed"
        elif what == "nodelay":
            conn.set_nodelay(bool(much & 1), now)
        elif what == "congestion":
            conn.set_congestion(("reno", "cubic")[much & 1])
        elif what == "keepalive":
            world.hurried = world.hurried or much % 3 == 1
            conn.set_keepalive(*world.keepalives[much % 3], now)
        elif what == "marks":
            conn.set_marks(*((0, 1), (0, 5000), (2000, 2001), (65536, 262144))[much & 3])
        elif what == "connect":
            world.connect(self.host, much)
        else:
            raise AssertionError(f"no such call: {what}")

    def user_less(self) -> bool:
        """In `accept`: the connection does not know its user yet."""
        return self.world.accepting is self

    def _write(self, conn: Connection, much: int, now: int) -> None:
        n = min(much, LONGEST - self.sent)
        begin = self.base + self.sent
        self.sent += n
        try:
            go_on = conn.write(TEXT[begin : begin + n], now)
        except ClosedError:
            self.sent -= n
            assert self.did_shutdown or self.did_close or self.did_abort or self.closed, f"{self.name}: write raised ClosedError"
        except BrokenError:
            self.sent -= n
            assert self.closed and (self.error is not None or self.did_close), f"{self.name}: write raised BrokenError"
        else:
            assert not (self.did_shutdown or self.did_close or self.did_abort or self.closed), f"{self.name}: write after the end"
            self.world.written += n
            if not go_on:
                self.blocked = True
