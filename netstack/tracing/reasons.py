"""Why a segment was sent, and what one that came has done: in words, out of what a connection knows.

Nothing asks the connection why while it works. It is looked at before and after, and whatever it did has left its mark: in its
variables, in its history of retransmissions, and in the counters, since each decision that matters and each reason for a drop
has one of its own. So this costs nothing while nobody looks, and nothing in tcp/ is there for its sake but one question at a
change of state.
"""

from __future__ import annotations

from ..instant import MILLISECOND, SECOND
from ..tcp import const as tc
from ..tcp import state as states
from ..tcp.connection import Connection
from .flow import Flow, Look
from .reading import ACK, FIN, RST, SYN, Segment, between

M32 = 0xFFFFFFFF
UNLIMITED = 1 << 40  # ssthresh before the first loss
DELAYED = tc.DELAYED_ACK // MILLISECOND

# counters that say why, where their own MEANING is made for a table
SAID = {
    "QuickAcks": "the ACK is not delayed: this came after a lull, and what came before was not answered",
    "TCPTimeouts": "the retransmission timer has fired",
    "TCPSackRecovery": "SACKs show a loss: fast recovery begins (RFC 8985, RFC 9937)",
    "TCPRenoRecovery": "three duplicate ACKs are a loss: fast recovery begins (RFC 5681 3.2)",
    "TCPLossProbeRecovery": "the tail loss probe has repaired a loss",
    "TCPSACKReneging": "the peer has discarded what it had SACKed (RFC 2018 8)",
    "TCPSACKDiscard": "a SACK block is not within what is in flight: ignored",
    "TCPSACKReorder": "segments overtake each other on this path",
    "TCPTSReorder": "segments overtake each other on this path",
    "TCPDSACKRecv": "D-SACK: something has come twice (RFC 2883)",
    "TCPDSACKOfoRecv": "D-SACK: something has come twice (RFC 2883)",
    "TCPDSACKIgnoredDubious": "it was not sent again lately: the network has doubled it",
    "TCPFullUndo": "the recovery is undone: by its timestamp the original had arrived (RFC 3522)",
    "TCPDSACKUndo": "the recovery is undone: all that was sent again came twice",
    "TCPLossUndo": "the time-out is undone: the original had arrived",
    "TCPSYNChallenge": "a SYN in a connection proves nothing: its sender is challenged (RFC 5961 4)",
    "TCPACKSkippedChallenge": "no challenge ACK: at most one in half a second (RFC 5961 7)",
    "TCPOFODrop": "dropped: too many pieces out of order, or the budget is used up",
    "TCPRcvQDrop": "a part is dropped: the reader has paused, and the budget is used up",
    "TCPZeroWindowDrop": "dropped: our window is shut",
    "TCPAbortOnData": "data for a program that has closed: reset (RFC 9293 3.10.4)",
    "TCPAbortOnTimeout": "the peer never answered: given up",
    "TCPAbortOnMemory": "refused: the bound on connections is reached",
    "TWRecycled": "TIME-WAIT ends early: a new connection between the same ports (RFC 6191)",
    "PAWSOldAck": "dropped: later ACKs have overtaken it, by their timestamps",
    "PAWSEstab": "dropped: its timestamp is older than the last (PAWS, RFC 7323 5)",
    "SyncookiesSent": "answered by a cookie and forgotten: the listener has no place for a half-open connection",
    "SyncookiesRecv": "it brings a SYN cookie back: a connection is made of it",
    "SyncookiesFailed": "not one of our SYN cookies",
    "TCPACKSkippedSynRecv": "the peer repeats its SYN too often: not answered again yet",
    "PruneCalled": "the budget of memory is used up",
    "TCPToZeroWindowAdv": "our window is shut: the reader does not keep up",
    "TCPFromZeroWindowAdv": "our window is open again",
    "AckHeldBack": "the last bytes are left unacknowledged: the window could not be said otherwise",
    "InNoAck": "dropped: no ACK bit where it must be",
    "InBadAck": "its ACK is for what was never sent, or too old (RFC 5961 5)",
    "InUnacceptable": "outside of the receive window: dropped (RFC 9293 3.10.7.4)",
    "InBlindRst": "a reset that is not exactly at RCV.NXT: not believed (RFC 5961 3)",
    "InTimeWaitRst": "a reset in TIME-WAIT is ignored (RFC 1337)",
    "RstLimited": "no reset is sent: rate limit",
    "InStray": "for no connection, and nothing that deserves an answer: dropped",
    "OutOfWindowIcmps": "ignored: what it quotes is not in flight (RFC 5927)",
    "ListenOverflows": "dropped: the listener's accept queue is full",
    "SynHeld": "held, for the word of whoever catches SYNs",
    "SynHeldAgain": "the same SYN is held already",
    "PmtuLowered": "the path carries less: the MSS comes down (RFC 1191)",
    "PmtuIgnored": "that MTU is not believed",
    "TinyMss": "an MSS so small is not believed",
    "HalfOpenTimeouts": "half-open for too long: given up",
    "EmbryonicRsts": "reset in the middle of the handshake",
}
SILENT = frozenset(("InCsumErrors", "ListenDrops", "InHdrErrors"))  # counted beside another that says more
AGAIN = {
    tc.BY_RACK: "what was sent after it has arrived (RACK, RFC 8985)",
    tc.BY_DUPACKS: "three duplicate ACKs (fast retransmit, RFC 5681 3.2)",
    tc.BY_PARTIAL: "the ACK before it ended where it begins (NewReno, RFC 6582)",
    tc.BY_RTO: "the RTO has passed",
    tc.BY_PROBE: "tail loss probe: an ACK is overdue (RFC 8985 7)",
    tc.BY_PMTU: "it was too long for the path (RFC 1191)",
    tc.BY_RENEGING: "the peer has discarded it after SACKing it (RFC 2018 8)",
}
TWICE = "all of it had come before: dropped"
DIAGRAM = {(int(old), int(new)): why for old, new, why in states.TRANSITIONS}


FINNED = frozenset((tc.CLOSE_WAIT, tc.CLOSING, tc.LAST_ACK, tc.TIME_WAIT))  # the peer's FIN has been taken
FINNING = frozenset((tc.FIN_WAIT_1, tc.CLOSING, tc.LAST_ACK))
FINISHED = frozenset((tc.FIN_WAIT_2, tc.TIME_WAIT, tc.CLOSED))


def count(n: int) -> str:
    return "1 byte" if n == 1 else f"{n} bytes"


def seconds(ns: int) -> str:
    """`"0.240 s"`; what is shorter than a millisecond in microseconds."""
    if 0 < ns < MILLISECOND:
        return f"{ns / 1000:.0f} us"
    return f"{ns / SECOND:.3f} s" if ns < 100 * SECOND else f"{ns // SECOND} s"


def transition(old: int, new: int, why: str) -> str:
    return f"{states.name(old)}→{states.name(new)}: {why}"


# -- what came ------------------------------------------------------------------------------------------------------------------


def received(flow: Flow, s: Segment, was: Look | None, now: Look | None, moved: list[str], window: int) -> list[str]:
    """What the segment has done. `moved`: the counters that did, in words; `window`: what it offers, in bytes."""
    if was is None or now is None:
        return moved
    notes: list[str] = []
    if was.state < tc.ESTABLISHED <= now.state and s.flags & SYN:
        notes.append(agreed(flow.conn))
    at_fin = s.flags & FIN and between((s.seq + s.n) & M32, now.rcv_nxt) == 1  # taken, and not yet acted upon
    fin = was.state not in FINNED and (now.state in FINNED or bool(at_fin))
    flow.fin_came = flow.fin_came or fin
    if s.n:
        notes += text(flow, s, was, now, fin)
    if s.flags & ACK and was.state >= tc.ESTABLISHED and not s.flags & RST:
        notes += acknowledged(flow, s, was, now, window)
    if TWICE in notes:
        moved = [word for word in moved if word != SAID["InUnacceptable"]]
    return notes + moved + changed(was, now)


def agreed(c: Connection | None) -> str:
    if c is None:
        return ""
    said = [f"MSS {c.mss}", f"windows in units of {1 << max(c.rcv_wscale, 0)} and {1 << c.snd_wscale}"]
    said += [word for on, word in ((c.sack_on, "SACK"), (c.ts_on, "timestamps")) if on]
    return f"agreed: {', '.join(said)}"


def text(flow: Flow, s: Segment, was: Look, now: Look, fin: bool) -> list[str]:
    at = between(was.rcv_nxt, s.seq)
    took = between(was.rcv_nxt, now.rcv_nxt) - fin  # it takes a number
    if at > 0:
        if now.waiting > was.waiting:
            flow.owes = "a duplicate ACK at once: the sender counts them (RFC 5681 4.2)"
            return [f"out of order: {count(at)} before it missing; {now.waiting} wait for that"]
        if now.rcv_nxt == was.rcv_nxt and was.waiting:
            flow.owes = "it had come before: the sender is told at once"
            return ["out of order, and it had come before"]
        return []
    if took <= 0:
        if at + s.n <= 0:
            flow.owes = "it has come twice: our ACK may have been lost, so it is said again"
            return [TWICE]
        return []
    if took > at + s.n:
        flow.owes = "the hole is filled: said at once (RFC 5681 4.2)"
        return [f"fills a hole: {count(took)} for the reader" + (f", {now.waiting} still wait" if now.waiting else "")]
    if was.waiting:
        flow.owes = "part of a hole is filled: said at once (RFC 5681 4.2)"
    return [f"in order: {count(took)} for the reader" + (f", {-at} had come before" if at < 0 else "")]


def acknowledged(flow: Flow, s: Segment, was: Look, now: Look, window: int) -> list[str]:
    notes = []
    took = between(was.snd_una, s.ack)
    if took > 0 and between(s.ack, now.snd_una) >= 0:
        flow.dupacks = 0
        fin = was.state in FINNING and now.state in FINISHED
        what = "our FIN" if fin and took == 1 else count(took - fin) + (" and our FIN" if fin else "")
        left = now.in_flight
        notes.append(f"acknowledges {what}" + (f", {left} in flight" if left else "" if fin else ": all that was sent"))
    elif took == 0 and was.in_flight and not s.n and not s.flags & (SYN | FIN) and window == was.snd_wnd:
        flow.dupacks += 1
        notes.append(f"duplicate ACK {flow.dupacks}")
    if now.lost > was.lost:
        notes.append(f"{count(now.lost - was.lost)} held to be lost")
    if now.snd_wnd == 0 and was.snd_wnd:
        notes.append("the peer's window is shut: its reader does not keep up")
    elif now.snd_wnd and not was.snd_wnd:
        notes.append(f"the peer's window is open again: {now.snd_wnd}")
    return notes


def changed(was: Look, now: Look) -> list[str]:
    """Round trips, phases and windows."""
    notes = []
    if now.srtt and (now.srtt != was.srtt or now.rttvar != was.rttvar):
        sample = 8 * now.srtt - 7 * was.srtt if was.srtt else now.srtt  # RFC 6298 2.3, solved for it
        notes.append(f"round trip {seconds(max(sample, 1))}, RTO {seconds(now.rto)}")
    elif was.backoff and not now.backoff:
        notes.append(f"RTO {seconds(now.rto)}, not backed off any more")
    if was.phase == tc.RECOVERY and now.phase == tc.OPEN:
        notes.append("fast recovery is over")
    elif was.phase == tc.LOSS and now.phase == tc.OPEN:
        notes.append("what was in flight at the time-out has arrived")
    if now.cwnd != was.cwnd and was.cwnd >= 0:
        notes.append(f"cwnd {was.cwnd}→{now.cwnd}{why_window(was, now)}")
    if now.ssthresh != was.ssthresh and was.ssthresh >= 0:
        notes.append(f"ssthresh {threshold(was.ssthresh)}→{threshold(now.ssthresh)}")
    return notes


def threshold(n: int) -> str:
    return "unlimited" if n >= UNLIMITED else str(n)


def why_window(was: Look, now: Look) -> str:
    if now.phase == was.phase != tc.RECOVERY and now.cwnd > was.cwnd:
        return " (slow start)" if was.cwnd < was.ssthresh else " (congestion avoidance)"
    return ""


# -- what was sent --------------------------------------------------------------------------------------------------------------


def sent(
    flow: Flow, s: Segment, was: Look | None, now: Look | None, moved: set[str], at: int, answers: Segment | None
) -> list[str]:
    """Why. `moved`: names of counters that did since the last event; `answers`: the segment that is being looked at."""
    c = flow.conn
    if c is None or now is None:
        return [unowned(s, moved, answers)]
    if s.flags & RST:
        return [why_reset(moved, answers)]
    if s.flags & SYN:
        return why_syn(flow, s, now, c, at)
    again = retransmitted(c, s, at)
    notes: list[str] = []
    if again:
        why = AGAIN.get(again, "lost")
        if again == tc.BY_RTO and "TCPTimeouts" in moved:
            before = was.rto if was is not None and was.backoff < now.backoff else now.rto // 2
            why = f"RTO after {seconds(before)}, backoff {now.backoff}, the next in {seconds(now.rto)}"
        notes.append(f"{'data' if s.n else 'FIN'} again: {why}")
    elif "TCPWinProbe" in moved:
        notes.append(f"zero-window probe, backoff {now.backoff}: is it open again? (RFC 9293 3.8.6.1)")
    elif "TCPKeepAlive" in moved:
        notes.append("keep-alive: nothing was heard for long (RFC 9293 3.8.4)")
    elif s.length:
        notes += why_new(s, now, c, moved)
    else:
        notes.append(why_ack(flow, s, now, c, moved))
    if was is not None:
        notes += changed(was, now)
    return notes


def retransmitted(c: Connection, s: Segment, at: int) -> int:
    """Why it was sent before, as `tc.BY_RTO`; 0: it was not."""
    history = c.history
    if history is None or not history.last:
        return 0
    when, offset, n, why = history.last[-1]
    return int(why) if when == at and s.length and offset == (s.seq - c.iss) & M32 and n >= s.n else 0


def why_syn(flow: Flow, s: Segment, now: Look, c: Connection, at: int) -> list[str]:
    again = retransmitted(c, s, at)
    if again and now.backoff:
        return [f"again: no answer, backoff {now.backoff}; the next in {seconds(now.rto)}"]
    if again:
        return ["again: the peer has repeated its SYN"]
    return [f"RTO {seconds(now.rto)}: no round trip is known yet"]


def why_new(s: Segment, now: Look, c: Connection, moved: set[str]) -> list[str]:
    if "TCPLossProbes" in moved:
        notes = ["tail loss probe with new data: an ACK is overdue (RFC 8985 7)"]
    elif s.n:
        notes = ["new data" + (" and the end of it: FIN" if s.flags & FIN else "")]
    else:
        notes = ["the end of our data"]
    if now.in_flight == s.length:  # nothing else was
        notes.append(f"RTO {seconds(now.rto)}")
    if now.unsent and now.phase == tc.OPEN:
        if now.in_flight + c.mss > now.snd_wnd:
            notes.append(f"the peer's window is full: {now.unsent} bytes wait")
        elif now.in_flight + c.mss > now.cwnd:
            notes.append(f"the congestion window is full: {now.unsent} bytes wait")
    return notes


def why_ack(flow: Flow, s: Segment, now: Look, c: Connection, moved: set[str]) -> str:
    owes, flow.owes = flow.owes, ""
    new = between(flow.acked, s.ack) if flow.acked >= 0 else 0
    edge = (s.ack + flow.window(s, True)) & M32
    if "DelayedACKs" in moved:
        return f"delayed ACK: {DELAYED} ms have passed, and nothing was sent that could carry it"
    if "TCPChallengeACK" in moved:
        return "challenge ACK: whoever sent that, prove that you are the peer (RFC 5961)"
    if flow.opens and not flow.sent_acks and now.state >= tc.ESTABLISHED:
        return "the handshake is done"
    if flow.fin_came:
        flow.fin_came = False
        return "acknowledges the FIN"
    if owes:
        return owes
    if new > 0:
        if new >= 2 * c.rcv_mss:
            return "every second full segment is acknowledged at once (RFC 5681 4.2)"
        return f"acknowledges {count(new)}"
    if flow.edge >= 0 and between(flow.edge, edge) > 0:
        return f"window update: there is room again for {between(flow.edge, edge)} bytes more"
    return "acknowledges again"


def why_reset(moved: set[str], answers: Segment | None) -> str:
    if "TCPAbortOnData" in moved:
        return "data has come for a program that has closed: it must not seem to have arrived (RFC 9293 3.10.4)"
    if "TCPAbortOnTimeout" in moved:
        return "given up: the peer has not answered"
    if answers is not None:
        return "what came acknowledges what was never sent" if "InBadAck" in moved else "the program has aborted"
    return "the program has aborted"


def unowned(s: Segment, moved: set[str], answers: Segment | None) -> str:
    if "SyncookiesSent" in moved:
        return "a SYN cookie: nothing is remembered (RFC 4987 3.6)"
    if s.flags & RST:
        if answers is not None and answers.flags & SYN and not answers.flags & ACK:
            return f"nobody listens on port {s.sport}"
        return "there is no such connection (RFC 9293 3.10.7.1)"
    if answers is not None and not s.flags & SYN:
        return "TIME-WAIT: said again, should the last ACK have been lost"
    return ""


# -- changes of state -----------------------------------------------------------------------------------------------------------


def why_state(old: int, new: int, s: Segment | None, moved: set[str], reset: bool) -> str:
    """`s`: the segment that is being looked at; `reset`: we have just sent one."""
    drawn = DIAGRAM.get((old, new))
    if drawn is not None and (new != tc.CLOSED or (s is not None and not s.flags & RST) or old == tc.TIME_WAIT):
        return drawn
    if s is not None and s.flags & RST:
        return "refused by the peer" if old == tc.SYN_SENT else "reset by the peer"
    for name in ("TCPAbortOnTimeout", "HalfOpenTimeouts", "TCPTimeouts"):
        if name in moved:
            return "nobody answers: given up"
    if "TCPAbortOnData" in moved:
        return "data came that nobody reads any more"
    if reset:
        return "aborted by the program"
    if old == tc.FIN_WAIT_2:
        return "the peer has not closed its side for long: forgotten"
    return "closed by the program"
