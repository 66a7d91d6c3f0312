"""A connection: RFC 9293 3.10 for segments (`input`) and for time-outs. The user's calls are in handle.py.

`input` is section 3.10.7.4 in its own order, once for all states: sequence number, RST, SYN, ACK, URG, text, FIN. SYN-SENT has
the same steps in another order and so a function of its own (3.10.7.3); LISTEN and CLOSED have no connection (demux.py, core.py).

`state` says what the RFC says. Beside it stand two facts that the RFC leaves to the user's side: `orphan`, the user has closed and
hears only the end; `ended`, the protocol is over but the user has paused and has still to be given what came.

Departures, all of them common practice:
- RST, SYN and ACK are believed only as RFC 5961 says; what is not is challenged, at most once in half a second for each connection.
- While the peer's window is shut over what is in flight, the ACK of an old segment counts: BSD always does so.
- A pure ACK one beyond the window is looked at (the peer filled the window and we lost a segment): Linux does so too.
- A SYN that repeats the one which led to SYN-RECEIVED gets the SYN,ACK again, not an ACK that the peer could not use yet; no more
  often than challenges, and it does not put off the end of the wait.
- In SYN-RECEIVED, a SYN,ACK with the peer's ISS is the other half of a simultaneous open, and completes it.
"""

from .. import const, raw, serial
from ..cores import Frame, StreamUser
from ..errors import Refused, TimedOut
from ..instant import SECOND
from . import const as tc
from .congestion import registry
from .handle import Handle
from .info import ConnInfo as ConnInfo
from .listener import Listener
from .options import Options, send_mss

_OPTIONS = Options()  # filled and read within one call


class Connection(Handle):
    __slots__ = ()

    # -- a segment: RFC 9293 3.10.7.4 -----------------------------------------------------------------------------------------

    def input(self, f: Frame, seq: int, ack: int, flags: int, field: int, hl: int) -> None:
        """`f.off` to `f.end` is the text; `field` the window as it stands in the header, whose length is `hl`."""
        now = f.now
        if self.state == tc.SYN_SENT:
            self.syn_sent(f, seq, ack, flags, field, hl)
            return
        n = f.end - f.off
        length = n + (1 if flags & const.FIN else 0) + (1 if flags & const.SYN else 0)

        # the peer's SYN again: see above
        if flags & const.SYN and self.state == tc.SYN_RECEIVED and seq == self.irs and not flags & const.RST:
            if not flags & const.ACK:
                self.answer_again(now)
                return
            flags &= ~const.SYN
            seq = serial.add(seq, 1)
            length -= 1

        # before all else, PAWS (RFC 7323 5.3 R1)
        self.ts_seen = False
        _OPTIONS.sacks = 0
        if hl > tc.HEADER and not flags & const.RST and not self.options(f, seq, ack, hl, length, now):
            if length and serial.lt(seq, self.rcv_nxt):
                # a straggler whose retransmission came first: its sender must hear that it had not been lost (RFC 2883 4.1)
                end = serial.add(seq, length)
                self.twice(seq, end if serial.lt(end, self.rcv_nxt) else self.rcv_nxt)
            return

        # first, check sequence number
        if seq != self.rcv_nxt and not self.acceptable(seq, length):
            self.unacceptable(seq, flags, length, now)
            if self.is_news(seq, ack, flags):
                self.check_ack(f, seq, ack, field << self.snd_wscale, length, now)
            return
        lull = now - self.heard >= tc.LULL
        self.heard = now  # not before: a stranger's guesses must not keep a dead connection from being found dead
        self.keep_sent = 0

        # second, check the RST bit (RFC 5961 3)
        if flags & const.RST:
            if seq == self.rcv_nxt:
                self.reset_by_peer(now)
            else:
                self.hub.ext.InBlindRst += 1
                self.challenge(now)
            return

        # RFC 7323 4.3: what we echo is the timestamp of the segment that the ACK which we owe is for
        if self.ts_seen and serial.le(seq, self.last_ack_sent):
            self.ts_recent = self.tsval
            self.ts_recent_at = now

        # third, security: none. fourth, check the SYN bit (RFC 5961 4)
        if flags & const.SYN:
            if self.state == tc.SYN_RECEIVED and self.listener is not None:
                self.end(None, now)  # return to LISTEN: the next SYN finds the listener
                return
            self.hub.ext.TCPSYNChallenge += 1
            self.challenge(now)
            return

        # fifth, check the ACK field
        if not flags & const.ACK:
            self.hub.ext.InNoAck += 1
            return
        if self.state == tc.SYN_RECEIVED:
            if not serial.lt(self.snd_una, ack) or serial.lt(self.snd_max, ack):
                self.hub.ext.InBadAck += 1
                self.hub.bare(self.local, self.remote, self.ports, ack, 0, const.RST, 0, now)
                return
            self.open_window(seq, ack, field << self.snd_wscale)
            self.established(now)
            if self.state < tc.ESTABLISHED:
                return  # the user refused, or aborted at once
        if not self.check_ack(f, seq, ack, field << self.snd_wscale, length, now):
            return

        # sixth, check the URG bit: the data it points to is delivered in line (RFC 6093), so there is nothing to do
        # seventh, process the segment text; eighth, check the FIN bit
        if n or flags & const.FIN:
            if self.state == tc.ESTABLISHED or self.state == tc.FIN_WAIT_1 or self.state == tc.FIN_WAIT_2:
                if self.orphan and n and serial.lt(self.rcv_nxt, serial.add(seq, n)):
                    self.kill(now)
                    return
                self.text(f, seq, (flags & const.FIN) != 0, lull, now)

    def options(self, f: Frame, seq: int, ack: int, hl: int, length: int, now: int) -> bool:
        """Read timestamps into `tsval` and `tsecr`, and find SACK blocks. False when the timestamps are older than the last: the
        segment is dropped. A segment that lacks them, though they were agreed upon, is taken as it is: some middleboxes strip them
        (RFC 7323 3.2 allows both)."""
        if hl == tc.HEADER + tc.TS_SPACE and raw.g32(f.buf, f.off - 12) == tc.TS_WORD:
            if not self.ts_on:
                return True
            self.tsval = raw.g32(f.buf, f.off - 8)
            self.tsecr = raw.g32(f.buf, f.off - 4)
        else:
            _OPTIONS.parse(f.buf, f.off - hl + tc.HEADER, f.off)
            if not self.ts_on or _OPTIONS.tsval < 0:
                return True
            self.tsval = _OPTIONS.tsval
            self.tsecr = _OPTIONS.tsecr
        self.ts_seen = True
        # after 24 days of silence the peer's clock may have gone half round: what is recent is not known (RFC 7323 5.5)
        if serial.lt(self.tsval, self.ts_recent) and now - self.ts_recent_at <= tc.TS_STALE:
            if length == 0 and serial.sub(self.ts_recent, self.tsval) * tc.TS_TICK <= self.rtt.rto():
                return self.overtaken_ack(seq, ack)
            self.hub.ext.PAWSEstab += 1
            if length:
                self.ack_now = True
            else:
                self.challenge(now)
            return False
        return True

    def overtaken_ack(self, seq: int, ack: int) -> bool:
        """A bare ACK with a timestamp that is older by a little: others have passed it on its way. It is no sign of trouble, and
        draws no answer, which a peer with data in flight would count as a duplicate ACK. One for what we wait for may yet say what
        others, lost, have said: True. (Linux does both.)"""
        self.ts_seen = False
        if seq == self.rcv_nxt and ack == self.snd_una and _OPTIONS.sacks:
            return True
        self.hub.ext.PAWSOldAck += 1
        return False

    def acceptable(self, seq: int, length: int) -> bool:
        """Is any of it in the window (RFC 9293 3.10.7.4, the four cases)? A segment exactly at RCV.NXT is never asked: at a shut
        window its ACK and RST count all the same, and its text is cut away later."""
        ahead = serial.sub(seq, self.rcv_nxt)
        if ahead <= const.M31:
            wnd = serial.sub(self.rcv_adv, self.rcv_nxt)
            return ahead < wnd or (ahead == wnd and length == 0)
        return length > serial.sub(self.rcv_nxt, seq)

    def is_news(self, seq: int, ack: int, flags: int) -> bool:
        """Does a segment of which all is old acknowledge something that was not, while the peer's window has been shut over what is
        in flight? Then its ACK counts, as it always does in BSD. For whoever believes a window shut over what it has sent sends
        its ACKs from before all of that; were two such to drop each other's, neither would ever learn that it is open."""
        if self.state < tc.ESTABLISHED or flags & (const.SYN | const.RST) or not flags & const.ACK:
            return False
        flight = self.in_flight()
        behind = serial.sub(self.rcv_nxt, seq)
        if flight <= self.snd_wnd or behind > const.M16 + self.rcv_buf:
            return False
        return serial.lt(self.snd_una, ack) and serial.le(ack, self.snd_max)

    def unacceptable(self, seq: int, flags: int, length: int, now: int) -> None:
        """Say where we are, and drop it. Empty segments are answered at a limited rate, or two confused peers would go on for ever;
        text and FIN are not, since whoever sends them again has missed our ACK."""
        ext = self.hub.ext
        if flags & const.RST:
            ext.InBlindRst += 1
            return
        ext.InUnacceptable += 1
        if flags & const.SYN:
            ext.TCPSYNChallenge += 1
            self.challenge(now)
        elif length:
            self.ack_now = True
            if serial.lt(seq, self.rcv_nxt):
                self.twice(seq, serial.add(seq, length))
        else:
            self.challenge(now)

    def challenge(self, now: int) -> None:
        """RFC 5961 7, limited for each connection: a global limit is a side channel (CVE-2016-5696)."""
        if now - self.challenged_at < tc.CHALLENGE_GAP:
            self.hub.ext.TCPACKSkippedChallenge += 1
            return
        self.challenged_at = now
        self.hub.ext.TCPChallengeACK += 1
        self.send_ack(now)

    def check_ack(self, f: Frame, seq: int, ack: int, wnd: int, length: int, now: int) -> bool:
        """The fifth step in the synchronized states. False when the segment goes no further."""
        if ack != self.snd_una:
            if serial.lt(self.snd_max, ack) or serial.lt(ack, serial.add(self.snd_una, -self.max_snd_wnd)):
                self.hub.ext.InBadAck += 1  # RFC 5961 5; the optimistic ACK too
                self.challenge(now)
                return False
            if serial.lt(ack, self.snd_una):
                return True  # an old duplicate: its text may be new
            if self.hear(f, _OPTIONS, ack, False, now):
                if self.state == tc.FIN_WAIT_1:
                    self.become(tc.FIN_WAIT_2)
                    self.delivered(now)
                elif self.state == tc.CLOSING:
                    self.enter_time_wait(now)
                    self.finish(now)
                    return False
                elif self.state == tc.LAST_ACK:
                    self.end(None, now)
                    return False
        elif self.timer == tc.PERSIST:
            if not self.orphan:
                self.retries = 0  # it answers: it may keep its window shut as long as it likes
        elif _OPTIONS.sacks or self.tlp_out or (self.flight is not None and not self.sack_on):
            self.hear(f, _OPTIONS, ack, length == 0 and wnd == self.snd_wnd, now)
        # RFC 9293 3.10.7.4 asks SND.WL1 first, and refuses the window of a retransmission (an old SEG.SEQ) that brings a new ACK:
        # the old window, counted from the new SND.UNA, would end beyond what the peer has offered. A new ACK is news, as in Linux
        if serial.lt(self.snd_wl2, ack) or serial.lt(self.snd_wl1, seq) or (self.snd_wl1 == seq and self.snd_wl2 == ack):
            self.open_window(seq, ack, wnd)
        return True

    def open_window(self, seq: int, ack: int, wnd: int) -> None:
        self.snd_wnd = wnd
        self.snd_wl1 = seq
        self.snd_wl2 = ack
        if wnd > self.max_snd_wnd:
            self.max_snd_wnd = wnd

    # -- opening --------------------------------------------------------------------------------------------------------------

    def take_syn(self, f: Frame, seq: int, field: int, hl: int) -> None:
        """The peer's SYN: its options, its sequence number, its window."""
        _OPTIONS.parse(f.buf, f.off - hl + tc.HEADER, f.off)
        if 0 < _OPTIONS.mss < tc.MIN_MSS:
            self.hub.ext.TinyMss += 1
        self.agree(_OPTIONS, seq, f.now)
        self.open_window(seq, 0, field)

    def agree(self, options: Options, seq: int, now: int) -> None:
        """On what both sides have said in their SYNs."""
        self.mss = send_mss(options.mss, self.path_mtu)
        if self.ts_on and options.tsval >= 0:
            self.ts_seen = True
            self.tsval = self.ts_recent = options.tsval
            self.tsecr = options.tsecr
            self.ts_recent_at = now
            self.ts_space = tc.TS_SPACE
            self.mss -= tc.TS_SPACE  # the MSS option speaks of segments without options (RFC 6691)
        else:
            self.ts_on = False
        self.sack_on = self.sack_on and options.sack_permitted
        if options.wscale < 0:
            self.snd_wscale = 0
            self.rcv_wscale = -1  # not to be offered in a SYN,ACK; `offer` takes it as 0
        else:
            self.snd_wscale = options.wscale
            self.rcv_wscale = self.hub.wscale
        most = const.M16 << (self.rcv_wscale if self.rcv_wscale > 0 else 0)
        if self.rcv_buf > most:
            self.rcv_buf = most  # the peer doesn't scale
        self.irs = seq
        self.rcv_nxt = self.last_ack_sent = serial.add(seq, 1)
        self.rcv_adv = serial.add(self.rcv_nxt, self.rcv_buf if self.rcv_buf < const.M16 else const.M16)

    def passive_open(self, f: Frame, seq: int, field: int, hl: int, baked: bool) -> None:
        """A SYN to a listener (RFC 9293 3.10.7.2, third step). `baked`: it may have been answered by a cookie before, and the ACK
        may be for that answer; so both must have said the same, and a cookie can't scale, nor SACK, without timestamps."""
        if self.ts_on:
            self.ts_offset = self.hub.ts_offset(self)
        self.take_syn(f, seq, field, hl)
        if baked and not self.ts_on:
            _OPTIONS.wscale = -1
            _OPTIONS.sack_permitted = False
            self.agree(_OPTIONS, seq, f.now)
        self.become(tc.SYN_RECEIVED)
        self.emit_syn(f.now)
        self.rearm()

    def cookie_open(self, listener: Listener, options: Options, irs: int, now: int) -> None:
        """The SYN,ACK was a cookie, and has come back; its ACK is the next segment. `options`: what the cookie says of the SYN, and
        the timestamps of that ACK."""
        self.listener = listener
        if self.ts_on:
            self.ts_offset = self.hub.ts_offset(self)
        self.agree(options, irs, now)
        self.snd_nxt = self.snd_max = serial.add(self.iss, 1)
        self.become(tc.SYN_RECEIVED)

    def time_cookie(self, now: int) -> None:
        """The first round trip after a cookie, for which no timer ran: by its timestamp. If that is long ago, the ACK was lost, and
        what stands for it says nothing; then, and without timestamps, the RTO stays as it was before all samples."""
        rtt = serial.sub(self.ts_now(now), self.tsecr) * tc.TS_TICK
        if self.ts_seen and rtt <= tc.RTO_INITIAL:
            self.rtt.sample(rtt if rtt else tc.TS_TICK)

    def answer_again(self, now: int) -> None:
        """The peer repeats its SYN. The deadline stays: who repeats it for ever must not stay half-open for ever."""
        if now - self.challenged_at < tc.CHALLENGE_GAP:
            self.hub.ext.TCPACKSkippedSynRecv += 1
            return
        self.challenged_at = now
        when = self.t_rexmt
        self.emit_syn(now)
        self.t_rexmt = when

    def active_open(self, user: StreamUser, now: int) -> None:
        self.user = user
        self.rcv_wscale = self.hub.wscale
        if self.ts_on:
            self.ts_offset = self.hub.ts_offset(self)
        self.become(tc.SYN_SENT)
        self.emit_syn(now)
        self.rearm()

    def syn_sent(self, f: Frame, seq: int, ack: int, flags: int, field: int, hl: int) -> None:
        """RFC 9293 3.10.7.3."""
        now = f.now
        if flags & const.ACK and ack != self.snd_max:  # first: only our SYN can be acknowledged
            self.hub.ext.InBadAck += 1
            if not flags & const.RST:
                self.hub.bare(self.local, self.remote, self.ports, ack, 0, const.RST, 0, now)
            return
        if flags & const.RST:  # second
            if flags & const.ACK:
                self.end(Refused(), now)
            else:
                self.hub.ext.InBlindRst += 1
            return
        if not flags & const.SYN:  # fourth and fifth
            self.hub.ext.InStray += 1
            return
        self.take_syn(f, seq, field, hl)
        if not flags & const.ACK:
            self.become(tc.SYN_RECEIVED)  # simultaneous open; text that came along comes again
            self.emit_syn(now)
            return
        self.snd_wl2 = ack
        self.ack_now = True
        self.established(now)
        if self.state >= tc.ESTABLISHED and (f.end > f.off or flags & const.FIN):
            self.text(f, self.rcv_nxt, (flags & const.FIN) != 0, False, now)

    def established(self, now: int) -> None:
        """The handshake is done: our SYN is acknowledged, theirs is known."""
        self.snd_una = self.snd_nxt = serial.add(self.iss, 1)
        self.small_end = self.snd_una
        start = self.una_at
        self.una_at = now
        self.cc = registry.make(self.congestion, self.mss)
        self.sent_at = now
        self.cc.on_start(self.mss, self.syn_lost)
        if self.t_rexmt == const.NEVER:
            self.time_cookie(now)
        elif not self.syn_lost:
            self.rtt.sample(now - start)
        elif not self.time_syn(now):
            self.rtt.handshake_was_lossy()
        self.min_rtt = self.rtt.srtt
        self.min_rtt_at = now
        self.retries = 0
        self.t_rexmt = const.NEVER
        if self.rcv_wscale < 0:
            self.rcv_wscale = 0
        self.become(tc.ESTABLISHED)
        if self.keep_idle:
            self.t_keep = now + self.keep_idle
        if self.listener is not None:
            self.hub.graduate(self)
            try:
                user = self.listener.accept(self)
            except BaseException:  # the program's fault flies, and leaves no connection without a user behind
                self.abort(now)
                raise
            if self.state == tc.CLOSED:
                return  # aborted from inside `accept`: nobody has become its user
            if user is None:
                self.send_reset(now)
                self.end(None, now)
                return
            self.user = user
        if self.fin_queued and self.state == tc.ESTABLISHED:
            self.become(tc.FIN_WAIT_1)  # shutdown while connecting; from inside `accept` it is done already
        if not self.orphan:
            self.user.connected(now)  # type: ignore[union-attr]  # active opens have one from the start

    def time_syn(self, now: int) -> bool:
        """The round trip of a SYN that was sent more than once, if the echoed timestamp is that of the last (see `measure`)."""
        if not self.ts_seen or self.history is None:
            return False
        echo_to = self.echo(now)
        if echo_to < self.history.last_at:
            return False
        self.rtt.sample(self.ticks(echo_to, now))
        return True

    # -- the turn of the crank ------------------------------------------------------------------------------------------------

    def flush(self, now: int) -> None:
        """The batch is over: send what is allowed, acknowledge what came, tell the writer, set the timer."""
        if self.state == tc.CLOSED or self.state == tc.TIME_WAIT:
            return
        self.output(now)
        if self.ack_now:
            self.send_ack(now)
        elif self.unacked and self.t_ack == const.NEVER:
            self.t_ack = now + tc.DELAYED_ACK
        if self.was_high and self.pending() <= self.low_mark() and self.state >= tc.ESTABLISHED:  # not before `connected`
            self.was_high = False
            if self.user is not None and not self.orphan:
                self.tell_writable(now)
                if self.state == tc.CLOSED or self.state == tc.TIME_WAIT:
                    return
        self.rearm()

    def tell_writable(self, now: int) -> None:
        """What the user writes from inside the call leaves together when it returns: several writes fill one unit of the device."""
        self.corked = True
        try:
            self.user.writable(now)  # type: ignore[union-attr]  # the caller has looked
        finally:
            self.corked = False
        self.output(now)

    def expire(self, now: int) -> None:
        """The earliest deadline has passed: do what is due, in an order in which each step may end the connection."""
        if self.t_end <= now:
            self.t_end = const.NEVER
            self.end(None, now)  # the peer of a closed connection never closed its side; the user knows all it wanted to
            return
        if self.t_ack <= now:
            self.t_ack = const.NEVER
            self.hub.ext.DelayedACKs += 1
            self.send_ack(now)
        if self.t_keep <= now:
            self.keep_alive(now)
        if self.t_rexmt <= now:
            self.t_rexmt = const.NEVER
            if self.timer == tc.RTO:
                self.timeout(now)
            elif self.timer == tc.PROBE:
                self.tail_probe(now)
            elif self.timer == tc.REORDER:
                self.reorder_timeout(now)
            else:
                self.persist_timeout(now)
        self.flush(now)

    def keep_alive(self, now: int) -> None:
        """RFC 9293 3.8.4: only when idle. Data in flight has a timer of its own."""
        due = self.heard + self.keep_idle
        if self.snd_max != self.snd_una or (now < due and not self.keep_sent):
            self.t_keep = due if due > now else now + self.keep_interval
            return
        if self.keep_sent >= self.keep_count:
            every = self.keep_interval / SECOND
            self.fail(TimedOut(f"{self.keep_sent} keep-alive probes, one each {every:g} s, were not answered"), now)
            return
        self.keep_sent += 1
        self.hub.ext.TCPKeepAlive += 1
        self.t_keep = now + self.keep_interval
        self.emit(const.ACK, serial.add(self.snd_una, -1), 0, now)

    # -- ICMP -----------------------------------------------------------------------------------------------------------------

    def icmp(self, hard: bool, error: Exception, seq: int, now: int) -> None:
        """An ICMP error about a segment of ours at `seq` (RFC 5927): believed only when that is in flight; hard ones end a
        connection attempt and nothing else."""
        if not serial.between(self.snd_una, seq, self.snd_max):
            self.hub.ext.OutOfWindowIcmps += 1
            return
        self.soft_error = error
        if hard and (self.state == tc.SYN_SENT or self.state == tc.SYN_RECEIVED):
            self.end(error if self.listener is None else None, now)

    def too_big(self, mtu: int, seq: int, now: int) -> bool:
        """A fragmentation needed (RFC 1191, RFC 5927 7). False when what it quotes is not in flight."""
        if not serial.between(self.snd_una, seq, self.snd_max):
            self.hub.ext.OutOfWindowIcmps += 1
            return False
        if self.shrink(mtu, now):
            self.kick(now)
        return True
