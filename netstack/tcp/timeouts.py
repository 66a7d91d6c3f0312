"""The sender's timers.

One serves them all, `t_rexmt`, and `timer` says what for. While something is in flight it is, in this order,

    REORDER    the end of a reordering window: what RACK waited for is lost (RFC 8985 6)
    PROBE      a tail loss probe: an ACK is overdue and nothing is known to be lost, so one segment goes out to make the peer
               say what it has. Most losses at the end of a flight are found so, in two round trips and with the congestion
               window kept (RFC 8985 7)
    RTO        the retransmission time-out: nothing was heard at all (RFC 6298)

and PERSIST when nothing is, though something waits and the window is shut, or too small to be used. So there is always a timer
while there is something to send: no lost window update can stop a connection.
"""

from .. import const, serial
from ..errors import TimedOut
from . import const as tc
from .recover import Recoverer
from .recovery.episode import Episode


class Timekeeper(Recoverer):
    __slots__ = ()

    def fail(self, error: Exception, now: int) -> None:
        """Give the connection up (handle.py)."""
        raise NotImplementedError

    def watch(self, length: int, now: int) -> None:
        """See that the right timer runs while something is to be acknowledged or to be sent."""
        fl = self.flight
        if fl is None:
            if (length or self.fin_queued) and self.timer != tc.PERSIST:  # something to send, and no leave to do so
                self.timer = tc.PERSIST
                self.retries = 0
                if self.snd_max == self.snd_una:
                    self.una_at = now
                self.t_rexmt = now + self.rtt.rto()
            return
        if self.timer == tc.PERSIST:
            if self.snd_wnd == 0:
                return
            self.rtt.forgive()
            fl.rto_from = now
        at = fl.rto_from + self.rtt.rto()
        self.timer = tc.RTO
        if fl.reo_due:
            if fl.reo_due < at:
                at = fl.reo_due
                self.timer = tc.REORDER
        elif self.phase == tc.OPEN and self.sack_on and not fl.sacked and not fl.lost and not self.tlp_out and self.tlp_ready:
            at = self.probe_at(at)
            self.timer = tc.PROBE
        self.t_rexmt = at

    def probe_at(self, rto_at: int) -> int:
        """When a tail loss probe is due (RFC 8985 7.2): two round trips after the last that was sent or acknowledged, and where one
        segment is all, as much later as its ACK may be delayed; a second where no round trip is known; not after the time-out."""
        fl = self.flight
        since = fl.rto_from  # type: ignore[union-attr]  # the caller has looked
        if since < self.sent_at:
            since = self.sent_at
        wait = 2 * self.rtt.srtt if self.rtt.srtt else const.SECOND
        flight = self.in_flight()
        if flight <= self.mss and self.rtt.srtt:
            wait += tc.MOST_ACK_DELAY
        return since + wait if since + wait < rto_at else rto_at

    def tail_probe(self, now: int) -> None:
        """An ACK is overdue, and nothing says why: send one segment, new if there is one, else the last again, whatever the
        congestion window says (RFC 8985 7.3)."""
        fl = self.flight
        mss = self.mss
        length = self.pending()
        off = self.in_flight()
        n = length - off
        if n > self.snd_wnd - off:
            n = self.snd_wnd - off
        if n > mss:
            n = mss
        self.tlp_ready = False
        fl.rto_from = now  # type: ignore[union-attr]  # the timer would not run
        self.hub.ext.TCPLossProbes += 1
        if n > 0:
            self.tlp_out = 1
            self.send_at(off, n, length, now)
        else:
            self.tlp_out = 2
            runs = fl.runs  # type: ignore[union-attr]
            i = len(runs) - 1
            run = runs[i]
            n = serial.sub(run.end, run.seq)
            if serial.sub(run.end, self.snd_una) > length:
                mss += 1  # the FIN after the last segment takes a number and no room
            if n > mss:
                fl.split(i, serial.add(run.end, -mss))  # type: ignore[union-attr]
                i += 1
                n = mss
            fl.lose(runs[i], tc.BY_PROBE)  # type: ignore[union-attr]
            self.resend_run(i, n, now)
        self.tlp_end = self.snd_nxt

    def reorder_timeout(self, now: int) -> None:
        """The reordering window of some run has ended."""
        fl = self.flight
        fl.hear(now, -1, self.min_rtt)  # type: ignore[union-attr]  # the timer would not run
        fl.detect(self.window())  # type: ignore[union-attr]
        if fl.marked:  # type: ignore[union-attr]
            self.note_losses()
            if self.phase == tc.OPEN:
                self.enter(self.in_flight() - fl.sacked, now)  # type: ignore[union-attr]

    def overdue(self, now: int) -> bool:
        """Has the user time-out passed (RFC 9293 3.8.3)?"""
        return self.user_timeout > 0 and now - self.una_at >= self.user_timeout

    def gave_up(self) -> Exception:
        """The reason to give: what ICMP said, if it said something."""
        if self.soft_error is not None:
            return self.soft_error
        return TimedOut(f"the peer has not answered, after {self.retries - 1} retransmissions")

    def timeout(self, now: int) -> None:
        """The retransmission timer fired (RFC 6298 5.4-5.7)."""
        hub = self.hub
        hub.ext.TCPTimeouts += 1
        self.retries += 1
        config = hub.config
        if self.state == tc.SYN_SENT:
            limit = self.syn_retries
        elif self.state == tc.SYN_RECEIVED:
            limit = config.synack_retries
        elif self.orphan:
            limit = config.orphan_retries
        else:
            limit = config.retries
        if self.retries > limit or self.overdue(now):
            self.fail(self.gave_up(), now)
            return
        self.rtt.back_off()
        if self.state < tc.ESTABLISHED:
            self.emit_syn(now)
            return
        self.lose_all(now)
        if self.snd_wnd == 0:  # the window was shut over what is in flight: probing is retransmitting
            self.timer = tc.PERSIST
            self.flight.doubt_head()  # type: ignore[union-attr]  # there is one, or the timer would not run
            self.probe(now)
            return
        run = self.flight.runs[0]  # type: ignore[union-attr]
        n = serial.sub(run.end, run.seq)
        self.resend_run(0, n if n < self.mss else self.mss, now)  # this one leaves whatever else is still on its way

    def lose_all(self, now: int) -> None:
        """After a time-out: LOSS, and what is lost."""
        fl = self.flight
        ext = self.hub.ext
        cc = self.cc
        flight = self.in_flight()
        if self.phase == tc.LOSS:
            ext.TCPLossFailures += 1
        elif not self.sack_on:
            ext.TCPRenoFailures += 1
        elif fl.sacked:  # type: ignore[union-attr]  # there is one, or the timer would not run
            ext.TCPSackFailures += 1
        if self.phase == tc.OPEN:
            self.episode = Episode(cc.cwnd, cc.ssthresh, flight)  # type: ignore[union-attr]
        fl.hear(now, -1, self.min_rtt)  # type: ignore[union-attr]
        run = fl.runs[0]  # type: ignore[union-attr]
        if run.sacked:  # acknowledged by SACK, but not by the ACK that would follow: RFC 2018 8
            ext.TCPSACKReneging += 1
            fl.renege()  # type: ignore[union-attr]
            fl.lose_all(tc.BY_RENEGING)  # type: ignore[union-attr]
        elif self.sack_on:
            fl.late(self.window(), now)  # type: ignore[union-attr]
        else:
            fl.lose_all(tc.BY_RTO)  # type: ignore[union-attr]
        self.note_losses()
        fl.dup_bytes = 0  # type: ignore[union-attr]
        fl.dupacks = 0  # type: ignore[union-attr]
        fl.reo_due = 0  # type: ignore[union-attr]
        fl.rto_from = now  # type: ignore[union-attr]
        if self.retries == 1:  # RFC 5681 3.1: ssthresh is kept when the same segment is lost again
            cc.on_timeout(flight, now)  # type: ignore[union-attr]
        self.phase = tc.LOSS
        self.recover = self.snd_nxt
        self.tlp_out = 0

    def persist_timeout(self, now: int) -> None:
        """The persist timer fired. The peer may keep its window shut as long as it answers (RFC 9293 3.8.6.1), but not to a user
        who has closed: that is the sockstress attack."""
        self.retries += 1
        config = self.hub.config
        if self.retries > (config.orphan_retries if self.orphan else config.retries) or self.overdue(now):
            if self.orphan:
                self.hub.ext.PersistGiveUps += 1
            self.fail(self.gave_up(), now)
            return
        self.rtt.back_off()
        self.probe(now)
        if self.user_timeout > 0 and self.una_at + self.user_timeout < self.t_rexmt:
            self.t_rexmt = self.una_at + self.user_timeout  # on time, and not with the probe after it
