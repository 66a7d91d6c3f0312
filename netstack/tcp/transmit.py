"""What a connection sends, and sends again.

`output` is the one place where data leaves. What was lost goes first, then what is new; both ask the congestion window, or in
recovery the quota of the episode, and new data asks the peer's window, silly-window avoidance and Nagle as well. It leaves in
super-segments where the device cuts them.

    recover.py      finds out what was lost; the timers of timeouts.py find out the rest
    here            sends it; and probes a shut window by one byte, ever more rarely, for as long as the peer answers
                    (RFC 9293 3.8.6.1)

SND.NXT never goes back: whether something is sent for the first time or again is the scoreboard's to know (recovery/board.py).
"""

from .. import const, raw, serial
from . import const as tc
from .options import put_syn
from .recovery.history import History
from .tcb import Tcb


class Transmitter(Tcb):
    __slots__ = ()

    def offer(self) -> int:
        """The window field of the next segment, which shall acknowledge `rcv_ack` (window.py)."""
        raise NotImplementedError

    def settle(self) -> None:
        """Nothing is in flight any more (recover.py)."""
        raise NotImplementedError

    def watch(self, length: int, now: int) -> None:
        """Set the retransmission timer (timeouts.py)."""
        raise NotImplementedError

    # -- one segment ----------------------------------------------------------------------------------------------------------

    def emit(self, flags: int, seq: int, n: int, now: int) -> bool:
        """Send one segment, or one super-segment, with the `n` bytes of text that `sendq` has in view. Whatever it carries, it
        acknowledges: ACKs that were owed are paid. False when it did not fit the path, whose MTU another connection has learnt:
        the MSS is a smaller one now."""
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
        raw.put5(hdr, const.HEADROOM - hl, self.ports, seq, self.rcv_ack, (hl << 26) | (flags << 16) | wnd, 0)
        self.last_ack_sent = self.rcv_ack  # `offer` has set it
        self.ack_now = False
        self.unacked = 0
        self.t_ack = const.NEVER
        if n:
            q = self.sendq
            p = hub.out
            p.data = q.data  # type: ignore[union-attr]  # n says that there is some
            p.o = q.o  # type: ignore[union-attr]
            p.n = q.n  # type: ignore[union-attr]
            p.rest = q.rest  # type: ignore[union-attr]
            p.rest_n = q.rest_n  # type: ignore[union-attr]
        sent = hub.ship(hl, self.local, self.remote, self.pseudo, n, self.mss if n > self.mss else 0, self.mark, now)
        return bool(sent or not n or not hub.too_long or not self.shrink(hub.too_long, now))

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
            self.una_at = now
        else:  # sent before: nobody can tell which one is answered (Karn)
            self.syn_lost = True
            self.note(now, self.iss, 1, tc.BY_SYN)
            hub.ext.TCPSynRetrans += 1
        self.snd_nxt = self.snd_max = serial.add(self.iss, 1)
        self.t_rexmt = now + self.rtt.rto()
        hub.ship(hl, self.local, self.remote, self.pseudo, 0, 0, self.mark, now)

    def send_ack(self, now: int) -> None:
        """An empty segment."""
        self.emit(const.ACK, self.in_window(), 0, now)

    def in_window(self) -> int:
        """SND.MAX, or a sequence number before it that the peer finds in its window even if that has shrunk."""
        if serial.sub(self.snd_max, self.snd_una) > self.snd_wnd:
            return serial.add(self.snd_una, self.snd_wnd)
        return self.snd_max

    def send_reset(self, now: int) -> None:
        """Tell the peer that the connection is gone (RFC 9293 3.10.5). A reset beyond its window would draw a challenge (RFC 5961
        3.2), which nobody here could answer any more: a probe of a shut window puts SND.MAX there."""
        self.hub.bare(
            self.local, self.remote, self.ports, self.in_window(), self.rcv_nxt, const.RST | const.ACK, 0, now
        )  # fmt: skip

    def note(self, now: int, seq: int, n: int, why: int) -> None:
        """`n` bytes from `seq` on are sent again."""
        segments = 1 if n <= self.mss else (n + self.mss - 2) // self.mss  # a FIN takes a number and no segment of its own
        self.retransmits += segments
        self.hub.mib.RetransSegs += segments
        self.history_of().note(now, serial.sub(seq, self.iss), n, why, segments)

    def history_of(self) -> History:
        if self.history is None:
            self.history = History()
        return self.history

    # -- how much -------------------------------------------------------------------------------------------------------------

    def pending(self) -> int:
        """Bytes in the send queue, sent or not."""
        return 0 if self.sendq is None else self.sendq.length

    def in_flight(self) -> int:
        """FlightSize, RFC 5681 2: sent and not cumulatively acknowledged."""
        return serial.sub(self.snd_nxt, self.snd_una)

    def room(self) -> int:
        """Bytes that congestion control lets leave now. Negative when there is too much on the way."""
        if self.phase == tc.RECOVERY:
            return self.episode.quota  # type: ignore[union-attr]  # there is one, in this phase
        cwnd = self.cc.cwnd  # type: ignore[union-attr]  # there from ESTABLISHED on
        return cwnd if self.flight is None else cwnd - self.flight.pipe(self.in_flight())

    def largest(self) -> int:
        """Bytes in one unit for the device: a segment, or as many as it cuts."""
        mss = self.mss
        if self.hub.offload & const.OFFLOAD_TSO4 and 2 * mss <= const.M16 - 120:
            return (const.M16 - 120) // mss * mss  # 120: both headers with all their options
        return mss

    # -- sending --------------------------------------------------------------------------------------------------------------

    def output(self, now: int) -> None:
        """Send what may be sent now, and set the timer."""
        if self.state < tc.ESTABLISHED or self.state == tc.FIN_WAIT_2 or self.state == tc.TIME_WAIT:
            return
        length = self.pending()
        fl = self.flight
        if fl is None:
            if length == 0 and not self.fin_queued:
                return
            if length:
                self.cc.on_restart(now - self.sent_at, self.rtt.rto(), now)  # type: ignore[union-attr]  # as in `room`
        elif self.phase == tc.RECOVERY:
            self.episode.reckon(fl.pipe(self.in_flight()), self.cc.cwnd, self.mss)  # type: ignore[union-attr]  # as in `room`
        if fl is None or not fl.lost or self.resend(now):
            self.send_new(length, now)
        self.watch(length, now)

    def resend(self, now: int) -> bool:
        """Send again what was lost, as far as there is room. True when all of it has left."""
        if self.snd_wnd == 0 and self.timer == tc.PERSIST:
            return False  # a byte of it is sent as probe (RFC 9293 3.8.6, MUST-35)
        fl = self.flight
        mss = self.mss
        largest = self.largest()
        room = self.room()
        runs = fl.runs  # type: ignore[union-attr]  # the caller has looked
        i = 0
        while i < len(runs):
            run = runs[i]
            if not run.lost:
                i += 1
                continue
            n = serial.sub(run.end, run.seq)
            if room < n:
                if room < mss and room < n:
                    return False
                n = room - room % mss
            if n > largest:
                n = largest
            off = serial.sub(run.seq, self.snd_una)
            if off + n > self.snd_wnd and off:  # the window has shrunk over it; the head serves as a probe
                if off >= self.snd_wnd:
                    return False
                n = self.snd_wnd - off
            sent = self.resend_run(i, n, now)
            room -= sent
            if self.mss != mss:  # it did not fit the path: everything is to be cut anew
                return self.resend(now)
        return True

    def resend_run(self, i: int, n: int, now: int) -> int:
        """Send the first `n` bytes of the lost run at `i` again, or fewer. How many."""
        fl = self.flight
        run = fl.runs[i]  # type: ignore[union-attr]  # as above
        q = self.sendq
        off = serial.sub(run.seq, self.snd_una)
        length = self.pending()
        flags = const.ACK
        text = length - off  # from here to the end of the queue
        if text > n:
            text = n
        if text > 0:
            text = q.view(off, text, self.mss, self.hub.gathers)  # type: ignore[union-attr]  # there is text
            if off + text == length:
                flags |= const.PSH
        else:
            text = 0
        seq = run.seq
        n = text
        if off + text == length and serial.lt(serial.add(seq, text), run.end):
            flags |= const.FIN
            n += 1
        if serial.lt(serial.add(seq, n), run.end):
            fl.split(i, serial.add(seq, n))  # type: ignore[union-attr]
            run = fl.runs[i]  # type: ignore[union-attr]
        why = run.why
        if self.phase == tc.RECOVERY:
            self.episode.left(n)  # type: ignore[union-attr]
        if self.episode is not None:
            self.episode.resent(seq, serial.add(seq, n), now)
        fl.leave_again(i, now)  # type: ignore[union-attr]
        self.note(now, seq, n, why)
        if i == 0 and not fl.partial:  # type: ignore[union-attr]
            fl.rto_from = now  # type: ignore[union-attr]  # the head may take a whole time-out again (RFC 6298 5.1)
        if self.phase == tc.LOSS:
            self.hub.ext.TCPSlowStartRetrans += 1
        elif self.phase == tc.RECOVERY:
            self.hub.ext.TCPFastRetrans += 1
        self.emit(flags, seq, text, now)
        if q is not None:
            q.drop()
        return n

    def send_new(self, length: int, now: int) -> None:
        """Send what has not been sent, as far as everybody lets it."""
        mss = 0
        largest = 0
        room = self.room()
        while True:
            if mss != self.mss:  # at first, and when a segment did not fit the path
                mss = self.mss
                largest = self.largest()
            off = self.in_flight()
            left = length - off
            if left < 0 or (left == 0 and not self.fin_queued):
                return  # all is sent, the FIN too
            n = self.snd_wnd - off
            if left == 0:
                if n <= 0:
                    return  # a FIN takes a place in the window
                n = 0
            else:
                if n > room:
                    n = room
                if n > left:
                    n = left
                if n <= 0:
                    return
                if n > largest:
                    n = largest
                elif n < mss and not self.may_send_small(n, left):
                    return
                elif n > mss and n % mss and (n < left or not self.may_send_small(n % mss, n % mss)):
                    n -= n % mss
            room -= self.send_at(off, n, length, now)
            if self.mss != mss:  # it did not fit the path, and so has not left: all that is lost now was too long as well
                fl = self.flight
                if fl is not None and fl.lost and not self.resend(now):
                    return
                room = self.room()

    def may_send_small(self, n: int, left: int) -> bool:
        """May a segment leave that is smaller than the MSS? `left` is what could be sent with an open window."""
        if n == left:  # the end of the queue: Nagle, as Minshall amended it, waits only for an earlier *small* segment
            return self.nodelay or self.fin_queued or serial.le(self.small_end, self.snd_una)
        # the window cuts it: silly, unless it is half of the largest that the peer ever had (RFC 9293 3.8.6.2.1)
        return 2 * n >= self.max_snd_wnd

    def send_at(self, off: int, n: int, length: int, now: int) -> int:
        """Send up to `n` bytes at SND.NXT, which is `off` beyond SND.UNA, and the FIN if it is its turn. How many left."""
        q = self.sendq
        flags = const.ACK
        if q is not None and n:
            n = q.view(off, n, self.mss, self.hub.gathers)
        seq = self.snd_nxt
        end = serial.add(seq, n)
        if off + n == length:
            flags |= const.PSH if n else 0
            if self.fin_queued and off + n < self.snd_wnd:
                flags |= const.FIN
                end = serial.add(end, 1)
        if n % self.mss:
            self.small_end = end
        if self.flight is None:
            self.flight = self.hub.lend(seq, now, self.min_rtt)
            self.flight.rack_rtt = self.rtt.srtt  # until it has one of its own: a time-out may come first (RFC 8985 6.3)
            self.una_at = now
            if self.timer == tc.PERSIST:  # the window has opened; the back-off was the probes', and no sign of a lossy path
                self.timer = tc.RTO
                self.rtt.forgive()
        self.flight.leave(seq, end, now)
        self.sent_at = now
        self.answered = True
        self.snd_nxt = end
        if serial.lt(self.snd_max, end):
            self.snd_max = end
        if self.phase == tc.RECOVERY:
            self.episode.left(n)  # type: ignore[union-attr]  # as in `room`
        fits = self.emit(flags, seq, n, now)
        if q is not None:
            q.drop()
        if not fits:
            self.flight.unsent(seq)
            self.snd_nxt = seq
            if not self.flight.runs:
                self.settle()
            return 0
        return n

    # -- a shut window --------------------------------------------------------------------------------------------------------

    def probe(self, now: int) -> None:
        """One byte beyond a shut window, or what an open one holds when it was too silly to be used (the override of RFC 9293
        3.8.6.2.1). The FIN, if that is all. Moves no variable but SND.MAX: it is not in flight, the peer need not take it."""
        length = self.pending()
        n = self.snd_wnd
        if n > length:
            n = length
        if n > self.mss:
            n = self.mss
        if n == 0 and length:
            n = 1
        flags = const.ACK
        if self.fin_queued and n == length:
            flags |= const.FIN
        self.hub.ext.TCPWinProbe += 1
        end = serial.add(self.snd_una, n + (1 if flags & const.FIN else 0))
        if serial.lt(self.snd_max, end):
            self.snd_max = end
        self.t_rexmt = now + self.rtt.rto()
        q = self.sendq
        if q is None or n == 0:
            self.emit(flags, self.snd_una, 0, now)
            return
        n = q.view(0, n, self.mss, self.hub.gathers)
        if n < q.length:
            flags &= ~const.FIN
        self.emit(flags | (const.PSH if n == q.length else 0), self.snd_una, n, now)
        q.drop()

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
        if self.flight is not None:
            self.flight.lose_all(tc.BY_PMTU)  # what was dropped for its size is lost, but says nothing of congestion
            if self.phase == tc.RECOVERY:
                self.episode.stalled()  # type: ignore[union-attr]  # as in `room`
        return True
