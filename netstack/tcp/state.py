"""The states of a connection and every way from one to another (RFC 9293 3.3.2), as data.

`TRANSITIONS` is the diagram of figure 5, arrow by arrow; `FAILURES` are the arrows that the diagram leaves out: resets, time-outs
and aborts lead to CLOSED from everywhere. `print(table())` shows both. A connection that leaves the table is our bug, and
`ALLOWED` is how it is caught: one bit mask for each state, asserted at each change.
"""

import enum

from . import const


class State(enum.IntEnum):
    CLOSED = const.CLOSED
    LISTEN = const.LISTEN
    SYN_SENT = const.SYN_SENT
    SYN_RECEIVED = const.SYN_RECEIVED
    ESTABLISHED = const.ESTABLISHED
    FIN_WAIT_1 = const.FIN_WAIT_1
    FIN_WAIT_2 = const.FIN_WAIT_2
    CLOSE_WAIT = const.CLOSE_WAIT
    CLOSING = const.CLOSING
    LAST_ACK = const.LAST_ACK
    TIME_WAIT = const.TIME_WAIT

    @property
    def rfc(self) -> str:
        """The name as the RFC writes it: `FIN-WAIT-1`."""
        return self.name.replace("_", "-")


# from, to, what makes it so. A listener stays in LISTEN and its connections begin in SYN-RECEIVED: one object is one state.
TRANSITIONS: tuple[tuple[State, State, str], ...] = (
    (State.CLOSED, State.SYN_SENT, "active OPEN, send SYN"),
    (State.CLOSED, State.SYN_RECEIVED, "a listener's SYN, send SYN,ACK"),
    (State.SYN_SENT, State.SYN_RECEIVED, "receive SYN: simultaneous open, send SYN,ACK"),
    (State.SYN_SENT, State.ESTABLISHED, "receive SYN,ACK, send ACK"),
    (State.SYN_RECEIVED, State.ESTABLISHED, "receive ACK of SYN"),
    (State.SYN_RECEIVED, State.FIN_WAIT_1, "CLOSE, send FIN"),
    (State.ESTABLISHED, State.FIN_WAIT_1, "CLOSE, send FIN"),
    (State.ESTABLISHED, State.CLOSE_WAIT, "receive FIN, send ACK"),
    (State.FIN_WAIT_1, State.FIN_WAIT_2, "receive ACK of FIN"),
    (State.FIN_WAIT_1, State.CLOSING, "receive FIN, send ACK"),
    (State.FIN_WAIT_1, State.TIME_WAIT, "receive FIN and ACK of FIN, send ACK"),
    (State.FIN_WAIT_2, State.TIME_WAIT, "receive FIN, send ACK"),
    (State.CLOSE_WAIT, State.LAST_ACK, "CLOSE, send FIN"),
    (State.CLOSING, State.TIME_WAIT, "receive ACK of FIN"),
    (State.LAST_ACK, State.CLOSED, "receive ACK of FIN"),
    (State.TIME_WAIT, State.CLOSED, "2 MSL have passed"),
)

# the exceptions to the diagram: reset, abort, giving up, an ICMP error during the handshake
FAILURES = tuple((state, State.CLOSED, "reset, abort or time-out") for state in State if state not in (State.CLOSED, State.LISTEN))


def _masks() -> list[int]:
    masks = [0] * len(State)
    for source, target, _ in TRANSITIONS + FAILURES:
        masks[source] |= 1 << target
    return masks


ALLOWED: list[int] = _masks()


def name(state: int) -> str:
    """`"FIN-WAIT-1"` for the int that a connection's `state` is."""
    return State(state).rfc


def table() -> str:
    """The transitions, one a line, for people."""
    return "\n".join(f"{a.rfc:<13} -> {b.rfc:<13} {why}" for a, b, why in TRANSITIONS + FAILURES)
