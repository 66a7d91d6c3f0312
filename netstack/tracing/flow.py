"""What is remembered of one connection of a host, so that the next event can be compared with it."""

from __future__ import annotations

from typing import NamedTuple

from ..tcp import const as tc
from ..tcp.connection import Connection
from ..tcp.timewait import TimeWait
from .reading import Segment

Ends = tuple[int, int, int, int]  # our address and port, the peer's


class Look(NamedTuple):
    """The variables of a connection at one instant, by the names of RFC 9293. Windows before the handshake is done are -1."""

    state: int
    phase: int
    cwnd: int
    ssthresh: int
    snd_una: int
    snd_nxt: int
    rcv_nxt: int
    rcv_wnd: int
    snd_wnd: int
    srtt: int
    rttvar: int
    rto: int
    backoff: int
    waiting: int  # bytes beyond a hole
    unsent: int
    lost: int  # bytes ever held to be lost
    reno_dupacks: int

    @property
    def in_flight(self) -> int:
        return (self.snd_nxt - self.snd_una) & 0xFFFFFFFF


def look(c: Connection) -> Look:
    cc, rtt, ooo = c.cc, c.rtt, c.ooo
    una, nxt = c.snd_una, c.snd_nxt
    synchronized = c.state >= tc.ESTABLISHED
    unsent = c.unsent - ((nxt - una) & 0xFFFFFFFF) if synchronized else 0
    return Look(
        c.state,
        c.phase,
        -1 if cc is None else cc.cwnd,
        -1 if cc is None else cc.ssthresh,
        una,
        nxt,
        c.rcv_nxt,
        (c.rcv_adv - c.rcv_nxt) & 0xFFFFFFFF,
        c.snd_wnd,
        rtt.srtt,
        rtt.rttvar,
        rtt.rto(),
        rtt.backoff,
        0 if ooo is None else ooo.nbytes,
        unsent if unsent > 0 else 0,
        0 if c.history is None else c.history.lost,
        0 if c.flight is None else c.flight.dupacks,
    )


class Flow:
    """One connection as one host sees it, and what came of its segments so far. It may be none of the host's own: then `conn` stays
    None, and there are only numbers to be counted from."""

    __slots__ = (
        "acked", "conn", "dupacks", "edge", "ends", "fin_came", "held", "irs", "iss", "last", "number", "opens", "owes",
        "sent_acks", "shifts",
    )  # fmt: skip

    def __init__(self, ends: Ends, number: int) -> None:
        self.ends = ends
        self.number = number
        self.conn: Connection | None = None
        self.iss = -1  # what our numbers are counted from: the SYN's, or of the first segment that was seen
        self.irs = -1
        self.shifts = [-1, -1]  # of windows that we send, and that come; -1 where that is not known
        self.last: Look | None = None
        self.dupacks = 0
        self.acked = -1  # the last acknowledgement that we sent …
        self.edge = -1  # … and the end of the window beside it
        self.opens = False  # we sent the first SYN
        self.sent_acks = 0
        self.fin_came = False
        self.owes = ""  # why the next ACK is sent at once
        self.held: list[tuple[int, int, int, str]] = []  # changes of state that the next segment explains

    def note_segment(self, s: Segment, sent: bool) -> None:
        """Learn what numbers are counted from, and by what windows are scaled."""
        if s.flags & 2:
            if sent:
                self.iss = s.seq
                self.opens = not s.flags & 16
            else:
                self.irs = s.seq
            self.shifts[0 if sent else 1] = max(s.wscale, 0)
            if s.flags & 16 and s.wscale < 0:
                self.shifts = [0, 0]
        elif sent and self.iss < 0:
            self.iss = (s.seq - 1) & 0xFFFFFFFF
        elif not sent and self.irs < 0:
            self.irs = (s.seq - 1) & 0xFFFFFFFF
        if s.flags & 16:
            if sent and self.irs < 0:
                self.irs = (s.ack - 1) & 0xFFFFFFFF
            elif not sent and self.iss < 0:
                self.iss = (s.ack - 1) & 0xFFFFFFFF

    def know(self, entry: object) -> Connection | None:
        """`entry` stands in the table of connections for these ends."""
        if isinstance(entry, Connection):
            self.conn = entry
            self.iss = entry.iss
            if entry.irs:
                self.irs = entry.irs
        elif isinstance(entry, TimeWait):
            self.conn = None
        else:
            self.conn = None
        return self.conn

    def window(self, s: Segment, sent: bool) -> int:
        """What the window of `s` means in bytes (RFC 7323 2.2: that of a SYN is not scaled)."""
        c = self.conn
        if s.flags & 2:
            return s.window
        if c is not None:
            return s.window << max(c.rcv_wscale if sent else c.snd_wscale, 0)
        shift = self.shifts[0 if sent else 1]
        return s.window << max(shift, 0)
