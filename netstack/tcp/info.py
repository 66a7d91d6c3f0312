"""What a connection tells of itself: all that Linux has in TCP_INFO, in this stack's words, and why each segment was sent again.

It is read off the variables when somebody asks. Nothing is counted for its sake but what is retransmitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import serial
from ..instant import NEVER
from ..records import frozen
from . import const as tc
from . import state
from .recovery.history import Retransmission

if TYPE_CHECKING:
    from .handle import Handle

PHASES = ("open", "recovery", "loss")
TIMERS = ("rto", "tail loss probe", "reordering", "persist")


@frozen(kw_only=True)
class ConnInfo:
    """A snapshot. Times are nanoseconds, windows and sizes bytes, rates bytes per second. The names of TCP_INFO stand behind, where
    they differ."""

    state: str
    phase: str  # of loss recovery: open, recovery, loss. ca_state
    congestion: str
    timer: str  # what runs: rto, tail loss probe, reordering, persist; "" for none
    timestamps: bool
    sack: bool
    snd_wscale: int
    rcv_wscale: int
    mss: int  # of what we send. snd_mss
    rcv_mss: int
    adv_mss: int  # what we announced
    path_mtu: int  # pmtu

    # round trips: 0 while there was none
    srtt: int  # rtt
    rttvar: int
    min_rtt: int
    rto: int
    backoff: int  # doublings of rto

    # sending
    cwnd: int  # -1 before the handshake is done
    ssthresh: int  # the same
    snd_wnd: int
    in_flight: int  # sent and not cumulatively acknowledged. unacked
    sacked: int  # of these, selectively acknowledged
    lost: int  # of these, held to be lost and not yet sent again
    resent: int  # of these, on their way again. retrans
    pipe: int  # of these, held to be on their way
    unsent: int  # written, and not acknowledged
    snd_buf: int  # of these, how many stop a writer now. sndbuf
    not_sent: int  # written, and not sent. notsent_bytes
    acked_bytes: int
    delivery_rate: int

    # losses
    retries: int  # time-outs, or probes, since the peer last answered. retransmits, probes
    retransmits: int  # segments, ever. total_retrans
    resent_bytes: int  # bytes_retrans
    lost_bytes: int  # marked lost, ever
    dsacked: int  # D-SACKs received. dsack_dups
    undone: int  # recoveries that turned out to be none
    reordered: bool  # segments overtake each other on this path. reord_seen
    reordering: int  # by how many segments, at the most seen
    reordering_window: int
    reasons: dict[str, int]  # segments sent again, by reason
    retransmissions: tuple[Retransmission, ...]  # the last of them, one by one

    # receiving
    rcv_wnd: int
    rcv_buf: int  # the window when nothing waits
    rcv_space: int  # the most bytes that the user has consumed in one round trip
    rcv_rtt: int  # a round trip as the receiver sees it
    unread: int
    out_of_order: int

    last_sent: int  # the instant at which new data was last sent. last_data_sent
    last_heard: int  # … at which anything came. last_ack_recv

    recovering: bool
    persisting: bool


def snapshot(c: Handle) -> ConnInfo:
    """`c` as it stands."""
    cc = c.cc
    fl = c.flight
    past = c.history
    in_flight = serial.sub(c.snd_nxt, c.snd_una)
    pending = c.unsent
    rate = c.rate
    if fl is not None and fl.rate_ns > 0:
        rate = fl.rate_bytes * 1_000_000_000 // fl.rate_ns
    window = min(c.min_rtt * c.reo_mult // 4, c.rtt.srtt) if c.reordered else 0
    return ConnInfo(
        state=state.name(c.state),
        phase=PHASES[c.phase],
        congestion=c.congestion,
        timer="" if c.t_rexmt == NEVER else TIMERS[c.timer],
        timestamps=bool(c.ts_on),
        sack=bool(c.sack_on),
        snd_wscale=c.snd_wscale,
        rcv_wscale=max(0, c.rcv_wscale),
        mss=c.mss,
        rcv_mss=c.rcv_mss,
        adv_mss=c.adv_mss,
        path_mtu=c.path_mtu,
        srtt=c.rtt.srtt,
        rttvar=c.rtt.rttvar,
        min_rtt=c.min_rtt,
        rto=c.rtt.rto(),
        backoff=c.rtt.backoff,
        cwnd=-1 if cc is None else cc.cwnd,
        ssthresh=-1 if cc is None else cc.ssthresh,
        snd_wnd=c.snd_wnd,
        in_flight=in_flight,
        sacked=0 if fl is None else fl.sacked,
        lost=0 if fl is None else fl.lost,
        resent=0 if fl is None else fl.resent_bytes(),
        pipe=0 if fl is None else fl.pipe(in_flight),
        unsent=pending,
        snd_buf=c.marks[1],
        not_sent=max(0, pending - in_flight),
        acked_bytes=c.acked_bytes,
        delivery_rate=rate,
        retries=c.retries,
        retransmits=c.retransmits,
        resent_bytes=0 if past is None else past.bytes,
        lost_bytes=0 if past is None else past.lost,
        dsacked=0 if past is None else past.dsacked,
        undone=0 if past is None else past.undone,
        reordered=bool(c.reordered),
        reordering=0 if past is None else -(-past.reordering // c.mss),
        reordering_window=window,
        reasons={} if past is None else past.reasons(),
        retransmissions=() if past is None else past.told(),
        rcv_wnd=serial.sub(c.rcv_adv, c.rcv_nxt),
        rcv_buf=c.rcv_buf,
        rcv_space=c.rcv_space,
        rcv_rtt=c.rcv_rtt,
        unread=c.rx_bytes + c.held,
        out_of_order=0 if c.ooo is None else c.ooo.nbytes,
        last_sent=c.sent_at,
        last_heard=c.heard,
        recovering=c.phase == tc.RECOVERY,
        persisting=c.timer == tc.PERSIST,
    )
