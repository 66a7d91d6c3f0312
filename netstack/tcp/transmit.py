"""What a connection sends, and sends again.

`output` is the one place where new data leaves: it asks the peer's window, the congestion window, silly-window avoidance and
Nagle, in this order, and sends whatever all four allow, in super-segments where the device cuts them. Loss is met in three ways:

    retransmission time-out   everything unacknowledged is to be sent again from SND.UNA, one segment to begin with (RFC 6298)
    three duplicate ACKs      the segment at SND.UNA is sent again at once, and one more for each partial ACK (RFC 6582)
    a shut window             a probe of one byte, ever more rarely, for as long as the peer answers (RFC 9293 3.8.6.1)

After a time-out SND.NXT goes back to SND.UNA and `output` does the rest, as if these bytes had never been sent; whatever the
peer had already queued makes its ACK jump, and SND.NXT jumps with it.
"""

from .. import const, raw, serial
from ..errors import TimedOut
from . import const as tc
from .options import put_syn
from .tcb import Tcb


class Transmitter(Tcb):
    __slots__ = ()

    def offer(self) -> int:
        """The window field of the next segment (receive.py)."""
        raise NotImplementedError

    def fail(self, error: Exception, now: int) -> None:
        """Give the connection up (connection.py)."""
        raise NotImplementedError

    # -- one segment ----------------------------------------------------------------------------------------------------------

    def emit(self, flags: int, seq: int, data: bytes | None, at: int, n: int, now: int) -> None:
        """Send one segment, or one super-segment. Whatever it carries, it acknowledges: ACKs that were owed are paid."""
        hub = self.hub
        wnd = self.offer()
        hdr = hub.out.hdr
        hl = tc.HEADER
        o = const.HEADROOM
        if self.sacks is not None and self.sacks.due and n + 36 <= self.mss:  # 36: four blocks
            size = self.sacks.put(hdr, o, 3 if self.ts_on else 4)
            hl += size
            o -= size
        if self.ts_on:
            hl += tc.TS_SPACE
            raw.p32(hdr, o - 12, tc.TS_WORD)
            raw.p32(hdr, o - 8, self.ts_now(now))
            raw.p32(hdr, o - 4, self.ts_recent)
        raw.put5(hdr, const.HEADROOM - hl, self.ports, seq, self.rcv_nxt, (hl << 26) | (flags << 16) | wnd, 0)
        self.last_ack_sent = self.rcv_nxt
        self.ack_now = False
        self.unacked = 0
        self.t_ack = const.NEVER
        sent = hub.ship(hl, self.local, self.remote, self.pseudo, data, at, n, self.mss if n > self.mss else 0, now)
        if not sent and n and hub.too_long:
            self.shrink(hub.too_long, now)  # another connection has learnt the path's MTU

    def emit_syn(self, now: int) -> None:
        """SYN, or SYN,ACK in SYN-RECEIVED: with our MSS, and with what the peer's SYN did not lack. The window
        of a SYN is never scaled (RFC 7323 2.2)."""
        hub = self.hub
        passive = self.state == tc.SYN_RECEIVED
        wnd = self.rcv_buf if self.rcv_buf < const.M16 else const.M16
        hl = tc.HEADER + put_syn(
            hub.out.hdr, const.HEADROOM, self.adv_mss, self.rcv_wscale, self.sack_on, self.ts_on, self.ts_now(now), self.ts_recent
        )  # fmt: skip
        flags = (const.SYN | const.ACK) if passive else const.SYN
        ack = self.rcv_nxt if passive else 0
        raw.put5(hub.out.hdr, const.HEADROOM - hl, self.ports, self.iss, ack, (hl << 26) | (flags << 16) | wnd, 0)
        if self.snd_max == self.iss:
            self.timing = True
            self.rtt_at = self.una_at = now
            self.rtt_seq = serial.add(self.iss, 1)
        else:  # sent before: nobody can tell which one is answered (Karn)
            self.timing = False
            self.rexmt_at = now
            self.syn_lost = True
            self.retransmits += 1
            hub.mib.RetransSegs += 1
        self.snd_nxt = self.snd_max = serial.add(self.iss, 1)
        self.t_rexmt = now + self.rtt.rto()
        hub.ship(hl, self.local, self.remote, self.pseudo, None, 0, 0, 0, now)

    def send_ack(self, now: int) -> None:
        """An empty segment, at a sequence number that the peer finds in its window even if it has shrunk."""
        seq = self.snd_max
        if serial.sub(seq, self.snd_una) > self.snd_wnd:
            seq = serial.add(self.snd_una, self.snd_wnd)
        self.emit(const.ACK, seq, None, 0, 0, now)

    def send_reset(self, now: int) -> None:
        """Tell the peer that the connection is gone (RFC 9293 3.10.5)."""
        self.hub.bare(
            self.local, self.remote, self.ports, self.snd_max, self.rcv_nxt, const.RST | const.ACK, 0, now
        )  # fmt: skip

    # -- new data -------------------------------------------------------------------------------------------------------------

    def pending(self) -> int:
        """Bytes in the send queue, sent or not."""
        return 0 if self.sendq is None else self.sendq.length

    def output(self, now: int) -> None:
        """Send what may be sent now."""
        if self.state < tc.ESTABLISHED or self.state == tc.FIN_WAIT_2 or self.state == tc.TIME_WAIT:
            return
        length = self.pending()
        if length == 0 and not self.fin_queued:
            return
        if self.snd_max == self.snd_una and length:
            self.cc.on_restart(now - self.sent_at, self.rtt.rto(), now)  # type: ignore[union-attr]  # there from ESTABLISHED on
        mss = 0
        largest = 0
        window = self.cc.cwnd + self.inflate  # type: ignore[union-attr]
        if self.snd_wnd < window:
            window = self.snd_wnd
        while True:
            if mss != self.mss:  # at first, and when a segment did not fit the path
                largest = mss = self.mss
                if self.hub.offload & const.OFFLOAD_TSO4 and 2 * mss <= const.M16 - 120:
                    largest = (const.M16 - 120) // mss * mss  # 120: both headers with all their options
            off = serial.sub(self.snd_nxt, self.snd_una)
            left = length - off
            if left < 0 or (left == 0 and not self.fin_queued):
                break  # all is sent, the FIN too
            n = window - off
            if left == 0:
                if off >= self.snd_wnd:
                    break  # a FIN takes a place in the window
                n = 0
            else:
                if n > left:
                    n = left
                if n <= 0:
                    break
                if n > largest:
                    n = largest
                elif n < mss and not self.may_send_small(n, left):
                    break
                elif n > mss and n % mss and (n < left or not self.may_send_small(n % mss, n % mss)):
                    n -= n % mss
            self.send_at(off, n, length, now)
            if self.mss != mss:
                self.output(now)  # it did not fit the path: cut anew
                return
        self.watch(length, now)

    def may_send_small(self, n: int, left: int) -> bool:
        """May a segment leave that is smaller than the MSS? `left` is what could be sent with an open window."""
        if self.snd_nxt != self.snd_max:
            return True  # it did so before
        if n == left:  # the end of the queue: Nagle, as Minshall amended it, waits only for an earlier *small* segment
            return self.nodelay or self.fin_queued or serial.le(self.small_end, self.snd_una)
        # the window cuts it: silly, unless it is half of the largest that the peer ever had (RFC 9293 3.8.6.2.1)
        return 2 * n >= self.max_snd_wnd

    def send_at(self, off: int, n: int, length: int, now: int) -> None:
        """Send up to `n` bytes at SND.NXT, which is `off` beyond SND.UNA, and the FIN if it is its turn."""
        data: bytes | None = None
        o = 0
        q = self.sendq
        flags = const.ACK
        if q is not None and n:
            q.view(off, n, self.mss)
            data = q.data
            o = q.o
            n = q.n
        seq = self.snd_nxt
        end = serial.add(seq, n)
        if off + n == length:
            flags |= const.PSH if n else 0
            if self.fin_queued and off + n < self.snd_wnd:
                flags |= const.FIN
                end = serial.add(end, 1)
        if n % self.mss:
            self.small_end = end
        if self.snd_max == self.snd_una:
            self.una_at = now
        if seq != self.snd_max:
            self.rexmt_at = now
            self.retransmits += 1
            self.hub.mib.RetransSegs += 1
        elif not self.timing:
            self.timing = True
            self.rtt_at = now
            self.rtt_seq = end
        self.sent_at = now
        self.snd_nxt = end
        if serial.lt(self.snd_max, end):
            self.snd_max = end
        self.emit(flags, seq, data, o, n, now)
        if q is not None:
            q.drop()

    def watch(self, length: int, now: int) -> None:
        """After sending: see that some timer runs while something is to be acknowledged or to be sent."""
        if self.snd_nxt != self.snd_una:
            if self.persisting:  # the window has opened; the back-off was the probes', and no sign of a lossy path
                self.persisting = False
                self.rtt.forgive()
                self.t_rexmt = now + self.rtt.rto()
            elif self.t_rexmt == const.NEVER:
                self.t_rexmt = now + self.rtt.rto()
        elif (length or self.fin_queued) and not self.persisting:  # nothing in flight, something to send, and no leave to do so
            self.persisting = True
            self.retries = 0
            if self.snd_max == self.snd_una:
                self.una_at = now
            self.t_rexmt = now + self.rtt.rto()

    # -- acknowledgements -----------------------------------------------------------------------------------------------------

    def acknowledged(self, ack: int, now: int) -> bool:
        """SND.UNA < ack =< SND.MAX. True when our FIN is acknowledged by it."""
        acked = serial.sub(ack, self.snd_una)
        flight = serial.sub(self.snd_max, self.snd_una)
        length = self.pending()
        fin = acked > length
        if self.sendq is not None:
            self.sendq.release(acked)
        self.snd_una = ack
        self.una_at = now
        if now - self.vouched_at >= tc.VOUCH_GAP:
            self.vouch(now)
        if serial.lt(self.snd_nxt, ack):
            self.snd_nxt = ack
        if serial.lt(self.small_end, ack):  # old marks are moved along, or they would lie in the future half a turn later
            self.small_end = ack
        if serial.lt(self.recover, ack) and not self.recovering:
            self.recover = serial.add(ack, -1)
        if self.timing:
            if serial.le(self.rtt_seq, ack):
                self.timing = False
                self.rtt.sample(now - self.rtt_at)
        elif self.ts_seen:
            self.echo(now)
        self.retries = 0
        self.dupacks = 0
        if self.persisting:
            self.persisting = False
            self.rtt.forgive()
        restart = True
        if not self.recovering:
            self.inflate = 0
            self.cc.on_ack(acked, flight, self.rtt.srtt, now)  # type: ignore[union-attr]
        elif serial.le(self.recover, ack):
            self.recovering = False
            self.inflate = 0
            self.cc.on_recovered(serial.sub(self.snd_max, ack), now)  # type: ignore[union-attr]
        else:  # a partial ACK: the next hole begins where it ends (RFC 6582 3.2 step 3)
            self.inflate -= acked
            if self.inflate < 0:
                self.inflate = 0
            if acked >= self.mss:
                self.inflate += self.mss
            restart = not self.partial  # "impatient": many holes take one time-out rather than a round trip each
            self.partial = True
            self.resend_head(now)
        if self.snd_una == self.snd_max:
            self.t_rexmt = const.NEVER
        elif restart:
            self.t_rexmt = now + self.rtt.rto()  # RFC 6298 5.3
        return fin

    def echo(self, now: int) -> bool:
        """RTTM (RFC 7323 4): an echoed timestamp is a sample even when the segment had been sent again, so that back-off ends with
        the first ACK. Where a segment is timed by our own clock, which is finer, that one is taken; the two never count the same
        round trip twice (appendix G warns of it).

        An echo from before the last retransmission is none: it is for the original, or else the original's ACK was lost, the
        retransmission was an old duplicate, and 4.3 lets the peer echo what it did before. The difference then is the time-out and
        not the path, and it would feed upon itself: on a path that loses every fifth ACK, round trips "grow" to minutes. False
        when there was no sample: Karn's rule holds."""
        ticks = serial.sub(self.ts_now(now), self.tsecr)
        if ticks * tc.TS_TICK > tc.RTO_MAX or now - (ticks - 1) * tc.TS_TICK < self.rexmt_at:
            return False
        self.rtt.sample(ticks * tc.TS_TICK if ticks else tc.TS_TICK)
        return True

    def duplicate(self, now: int) -> None:
        """A duplicate ACK as RFC 5681 2 defines it."""
        self.dupacks += 1
        mss = self.mss
        if self.recovering:
            # no more than could have left the network: the peer may say it as often as it likes (RFC 5681 3.2 step 4)
            if self.inflate < serial.sub(self.recover, self.snd_una):
                self.inflate += mss
        elif self.dupacks < tc.DUPACKS:
            self.inflate = self.dupacks * mss  # limited transmit (RFC 3042): new data draws more duplicates
        elif self.dupacks == tc.DUPACKS and serial.lt(self.recover, self.snd_una):  # RFC 6582 3.2 step 1
            self.recovering = True
            self.partial = False
            self.recover = self.snd_max
            self.cc.on_loss(serial.sub(self.snd_max, self.snd_una), now)  # type: ignore[union-attr]
            self.inflate = tc.DUPACKS * mss
            self.hub.ext.TCPRenoRecovery += 1
            self.resend_head(now)
            self.t_rexmt = now + self.rtt.rto()

    def resend_head(self, now: int) -> None:
        """Send the first unacknowledged segment again; SND.NXT stays where it is."""
        n = self.pending()
        sent = serial.sub(self.snd_max, self.snd_una)
        fin = const.FIN if sent > n else 0
        if n > sent:
            n = sent
        if n > self.mss:
            n = self.mss
            fin = 0
        self.timing = False
        self.rexmt_at = now
        self.retransmits += 1
        self.hub.mib.RetransSegs += 1
        self.hub.ext.TCPFastRetrans += 1
        self.send_piece(n, fin, now)

    def send_piece(self, n: int, fin: int, now: int) -> None:
        """Up to `n` bytes from SND.UNA on, and the FIN if the queue ends with them. Moves no variable."""
        q = self.sendq
        if q is None or n == 0:
            self.emit(const.ACK | fin, self.snd_una, None, 0, 0, now)
            return
        q.view(0, n, self.mss)
        if q.n < q.length:
            fin = 0
        self.emit(const.ACK | fin | (const.PSH if q.n == q.length else 0), self.snd_una, q.data, q.o, q.n, now)
        q.drop()

    # -- timers ---------------------------------------------------------------------------------------------------------------

    def overdue(self, now: int) -> bool:
        """Has the user time-out passed (RFC 9293 3.8.3)?"""
        limit: int = self.hub.config.user_timeout
        return limit > 0 and now - self.una_at >= limit

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
            limit = config.syn_retries
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
        if self.retries == 1:  # RFC 5681 3.1: ssthresh is kept when the same segment is lost again
            self.cc.on_timeout(serial.sub(self.snd_max, self.snd_una), now)  # type: ignore[union-attr]
        self.timing = False
        self.recovering = False
        self.dupacks = 0
        self.inflate = 0
        self.recover = self.snd_max
        self.snd_nxt = self.snd_una
        if self.snd_wnd == 0:  # the window was shut over what is in flight: probing is retransmitting
            self.persisting = True
            self.probe(now)
            return
        self.t_rexmt = now + self.rtt.rto()
        self.output(now)

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

    def probe(self, now: int) -> None:
        """One byte beyond a shut window, or what an open one holds when it was too silly to be used (the override of RFC 9293
        3.8.6.2.1). The FIN, if that is all."""
        length = self.pending()
        n = self.snd_wnd
        if n > length:
            n = length
        if n > self.mss:
            n = self.mss
        if n == 0 and length:
            n = 1
        fin = const.FIN if self.fin_queued and n == length else 0
        self.timing = False
        self.hub.ext.TCPWinProbe += 1
        end = serial.add(self.snd_una, n + (1 if fin else 0))
        if serial.lt(self.snd_max, end):
            self.snd_max = end
        self.t_rexmt = now + self.rtt.rto()
        self.send_piece(n, fin, now)

    # -- the path -------------------------------------------------------------------------------------------------------------

    def shrink(self, mtu: int, now: int) -> bool:
        """A router could not forward our segments. False when `mtu` is not believed (RFC 5927 7)."""
        if mtu < tc.MIN_MTU or mtu - tc.IP_TCP - self.ts_space >= self.mss:
            self.hub.ext.PmtuIgnored += 1
            return False
        self.hub.ext.PmtuLowered += 1
        self.path_mtu = mtu
        self.mss = mtu - tc.IP_TCP - self.ts_space
        if self.cc is not None:
            self.cc.on_mss(self.mss)
        if self.state >= tc.ESTABLISHED and self.snd_max != self.snd_una:
            self.timing = False
            self.snd_nxt = self.snd_una  # what was dropped for its size is lost, but says nothing of congestion
        return True
