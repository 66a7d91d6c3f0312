"""What TCP's flags say of a flow, seen from the middle.

A router hears both sides, and can't know what arrives behind it: a segment may be lost, forged, or old. So states here are of what
was *said*, and nothing is refused by them; they decide how long a flow is remembered.

    said              by the first side   by the other       how long
    SYN_SENT          SYN                                    transitory
    SYN_BOTH          SYN                 SYN                transitory: they open to each other (RFC 5382 REQ-2)
    SYN_RECV          SYN                 SYN ACK            transitory
    ESTABLISHED       ACK                                    2 h 4 min (RFC 5382 REQ-5)
    FIN_FIRST         FIN                                    as established: the other may send for as long as it likes
    FIN_OTHER                             FIN                as established
    TIME_WAIT         FIN                 FIN                transitory
    CLOSED            RST by either                          transitory: it may be forged after all (RFC 7857 2.2)

Transitory is 4 minutes. The states' names are those of Linux's conntrack where it has them.
"""

from enum import IntEnum

from .. import const


class TcpState(IntEnum):
    NONE = 0  # not TCP
    SYN_SENT = 1
    SYN_BOTH = 2
    SYN_RECV = 3
    ESTABLISHED = 4
    FIN_FIRST = 5
    FIN_OTHER = 6
    TIME_WAIT = 7
    CLOSED = 8


SYN, SYN_ACK, ACK, FIN, RST = range(5)  # what a segment says, the strongest of it
FIRST, OTHER = 0, 8  # who says it

_S = TcpState

# (state, who and what) -> state; what is not here changes nothing
MACHINE = {
    (_S.SYN_SENT, OTHER + SYN): _S.SYN_BOTH,
    (_S.SYN_SENT, OTHER + SYN_ACK): _S.SYN_RECV,
    (_S.SYN_SENT, OTHER + ACK): _S.ESTABLISHED,  # we came late: they were in the middle of it
    (_S.SYN_BOTH, FIRST + SYN_ACK): _S.SYN_RECV,
    (_S.SYN_BOTH, OTHER + SYN_ACK): _S.SYN_RECV,
    (_S.SYN_RECV, FIRST + ACK): _S.ESTABLISHED,
    (_S.SYN_RECV, OTHER + ACK): _S.ESTABLISHED,  # of two that open to each other either may be the last to say it
    (_S.SYN_RECV, FIRST + FIN): _S.FIN_FIRST,
    (_S.SYN_RECV, OTHER + FIN): _S.FIN_OTHER,
    (_S.ESTABLISHED, FIRST + FIN): _S.FIN_FIRST,
    (_S.ESTABLISHED, OTHER + FIN): _S.FIN_OTHER,
    (_S.FIN_FIRST, OTHER + FIN): _S.TIME_WAIT,
    (_S.FIN_OTHER, FIRST + FIN): _S.TIME_WAIT,
    # the same ports again (RFC 9293 3.6.1)
    (_S.TIME_WAIT, FIRST + SYN): _S.SYN_SENT,
    (_S.CLOSED, FIRST + SYN): _S.SYN_SENT,
    (_S.TIME_WAIT, OTHER + SYN): _S.SYN_BOTH,
    (_S.CLOSED, OTHER + SYN): _S.SYN_BOTH,
}

LASTING = frozenset((_S.ESTABLISHED, _S.FIN_FIRST, _S.FIN_OTHER))


def said(flags: int) -> int:
    """What these flags come to."""
    if flags & const.RST:
        return RST
    if flags & const.SYN:
        return SYN_ACK if flags & const.ACK else SYN
    return FIN if flags & const.FIN else ACK


def after(state: int, what: int) -> int:
    """The state in which `what` leaves a flow; with FIRST or OTHER added."""
    if what & 7 == RST:
        return _S.CLOSED
    return MACHINE.get((TcpState(state), what), state)


def window_scale(options: bytes) -> int:
    """The shift that a SYN announces (RFC 7323 2.3), 0 where it announces none."""
    at = 0
    while at < len(options):
        kind = options[at]
        if kind == 0:
            break
        if kind == 1:
            at += 1
            continue
        if at + 1 >= len(options) or options[at + 1] < 2:
            break
        if kind == 3 and options[at + 1] == 3 and at + 2 < len(options):
            return min(options[at + 2], 14)
        at += options[at + 1]
    return 0
