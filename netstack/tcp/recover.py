"""What is acknowledged, and what was lost: the sender's half of loss recovery.

An ACK goes through `hear`: it takes runs off the scoreboard, SACKs others, and moves the connection between three phases.

    OPEN        nothing is known to be lost. An ACK opens the congestion window
    RECOVERY    RACK, or three duplicate ACKs of a peer without SACK, found a loss: the window comes down by PRR while what
                was lost is sent again; ends when all is acknowledged that was in flight at its beginning
    LOSS        the retransmission timer fired: slow start from one segment; ends likewise

When the peer shows that what was sent again had arrived the first time, by D-SACKs for all of it (RFC 2883) or by the timestamp
that it echoes (RFC 3522), the episode is undone: the congestion window is what it was before.

The forward acknowledgement of data never sent, and what is too old, have been turned away before (connection.py).
"""

from .. import const, raw, serial
from ..cores import Frame
from . import const as tc
from .options import Options
from .recovery.episode import Episode
from .transmit import Transmitter


class Recoverer(Transmitter):
    __slots__ = ()

    # -- an ACK ---------------------------------------------------------------------------------------------------------------

    def advance(self, ack: int, now: int) -> bool:
        """SND.UNA moves to `ack`, from behind it. True when our FIN is acknowledged by it."""
        acked = serial.sub(ack, self.snd_una)
        fin = acked > self.pending()
        if self.sendq is not None:
            self.sendq.release(acked)
        self.acked_bytes += acked - (1 if fin else 0)
        self.snd_una = ack
        self.una_at = now
        self.retries = 0
        if now - self.vouched_at >= tc.VOUCH_GAP:
            self.vouch(now)
        if serial.lt(self.snd_nxt, ack):  # a probe into a shut window was taken
            self.snd_nxt = ack
        if serial.lt(self.small_end, ack):  # old marks are moved along, or they would lie in the future half a turn later
            self.small_end = ack
        if self.phase == tc.OPEN and serial.lt(self.recover, ack):
            self.recover = serial.add(ack, -1)
        if self.timer == tc.PERSIST:
            self.timer = tc.RTO
            self.t_rexmt = const.NEVER
            self.rtt.forgive()
        return fin

    def hear(self, f: Frame, options: Options, ack: int, duplicate: bool, now: int) -> bool:
        """SND.UNA =< ack =< SND.MAX. `duplicate`: it is a duplicate ACK as RFC 5681 2 defines it. True when our FIN is
        acknowledged by it."""
        fl = self.flight
        acked = serial.sub(ack, self.snd_una)
        flight = self.in_flight()
        fin = self.advance(ack, now) if acked else False
        twice = False
        if fl is None:  # all was acknowledged before, but not whether all that was sent again was needed
            if self.sack_on and options.sacks:
                begin = raw.g32(f.buf, options.sack_at)
                end = raw.g32(f.buf, options.sack_at + 4)
                if serial.lt(begin, end) and self.is_dsack(f, options, begin, end, ack):
                    twice = self.duplicated(begin, end, ack, now)
                    if twice and not self.tlp_out:
                        self.widen(now)
            if self.tlp_out:
                self.probed(ack, acked, twice, options.sacks, flight, now)
            return fin
        was = self.phase
        fl.hear(now, self.echo(now) if self.ts_seen else -1, self.min_rtt)
        if acked:
            fl.cumulative(ack)
            if not fl.partial or was != tc.RECOVERY:
                fl.rto_from = now  # RFC 6298 5.3
            fl.dupacks = 0
            if fl.dsack_open and not serial.lt(ack, fl.dsack_round):
                fl.dsack_open = False  # at once: the mark would lie in the future half a turn later
            if fl.ambiguous and self.episode is not None and self.episode.answered(fl.echo_to):
                self.overtaken(now)
        if self.sack_on:
            if options.sacks:
                twice = self.blocks(f, options, ack)
            if fl.reordered_by:
                self.reorder()
        elif duplicate:
            self.duplicate(flight, now)
        elif acked and fl.dup_bytes:
            # each duplicate ACK has counted a segment as delivered: all that is acknowledged now was, but for the hole itself
            n = acked
            n -= self.mss
            if n > fl.dup_bytes:
                n = fl.dup_bytes
            elif n < 0:
                n = 0
            fl.dup_bytes -= n
            fl.fresh -= n
        if fl.fresh:
            self.measure(ack, now)
        if self.tlp_out:  # that a probe was not needed says nothing of reordering
            self.probed(ack, acked, twice, options.sacks, flight, now)
        elif twice:
            self.widen(now)
        if self.phase != tc.OPEN and not serial.lt(ack, self.recover):
            self.recovered(now)
        if self.sack_on:
            if fl.sacked or fl.any_resent:
                if fl.fresh:
                    fl.detect(self.window())
                if fl.marked:
                    self.note_losses()
                    if self.phase == tc.OPEN:
                        self.enter(flight - fl.prior_sacked, now)
            else:
                fl.reo_due = 0
        elif self.phase == tc.RECOVERY and acked:
            self.partial(now)
        if self.phase == tc.RECOVERY:
            self.episode.arrived(fl.fresh, acked > 0, fl.marked > 0)  # type: ignore[union-attr]  # there is one, in this phase
        elif acked:
            if was == tc.RECOVERY:  # the ACK that ends it is mostly for what SACKs have told of before: only the rest is news
                acked = fl.fresh if self.sack_on else 0
            if acked:
                self.cc.on_ack(acked, flight, self.rtt.srtt, now)  # type: ignore[union-attr]  # there from ESTABLISHED on
        if self.snd_una == self.snd_nxt:
            self.settle()
        return fin

    def echo(self, now: int) -> int:
        """When the segment that this ACK answers may have left at the latest, by the timestamp that it echoes; -1: can't be."""
        ticks = serial.sub(self.ts_now(now), self.tsecr)
        if ticks * tc.TS_TICK > tc.RTO_MAX:
            return -1
        return (now // tc.TS_TICK - ticks + 1) * tc.TS_TICK - 1

    def ticks(self, echo_to: int, now: int) -> int:
        """The round trip of which `echo_to` tells, by the timestamp clock."""
        rtt = now // tc.TS_TICK - echo_to // tc.TS_TICK
        return rtt * tc.TS_TICK if rtt else tc.TS_TICK

    def measure(self, ack: int, now: int) -> None:
        """Round trips (RFC 6298 4: one in each), the shortest of them, and the rate of delivery.

        What was sent once is timed by our own clock, from the first byte that the ACK is for, so that the peer's delay is
        within. An ACK that is for retransmissions too is timed by its timestamp (RFC 7323 4), but by none from before the last
        of them: it is for the original, or else the original's ACK was lost, the retransmission was an old duplicate, and 4.3
        lets the peer echo what it did before. The difference then is the time-out and not the path, and it would feed upon
        itself: on a path that loses every fifth ACK, round trips "grow" to minutes."""
        fl = self.flight
        if fl.last_at >= 0:  # type: ignore[union-attr]  # the caller has looked
            rtt = now - fl.last_at  # type: ignore[union-attr]
            if rtt <= self.min_rtt or self.min_rtt == 0 or now - self.min_rtt_at > tc.MIN_RTT_AGE:
                self.min_rtt = rtt if rtt > 0 else 1
                self.min_rtt_at = now
        fl.rate()  # type: ignore[union-attr]
        if fl.first_at >= 0 and not fl.ambiguous:  # type: ignore[union-attr]
            rtt = now - fl.first_at  # type: ignore[union-attr]
        elif fl.sack_at >= 0:  # type: ignore[union-attr]
            rtt = now - fl.sack_at  # type: ignore[union-attr]
        elif fl.ambiguous and fl.echo_to >= 0 and self.history is not None and fl.echo_to >= self.history.last_at:  # type: ignore[union-attr]
            rtt = self.ticks(fl.echo_to, now)  # type: ignore[union-attr]
        else:
            return
        self.tlp_ready = True
        if serial.le(fl.rtt_seq, ack) or self.rtt.backoff:  # type: ignore[union-attr]
            fl.rtt_seq = self.snd_nxt  # type: ignore[union-attr]
            self.rtt.sample(rtt)

    def blocks(self, f: Frame, options: Options, ack: int) -> bool:
        """The SACK option (RFC 2018). True when its first block is a D-SACK (RFC 2883 4) for something that was sent again."""
        fl = self.flight
        ext = self.hub.ext
        hits = fl.sacked  # type: ignore[union-attr]  # the caller has looked
        twice = False
        i = 0
        while i < options.sacks:
            at = options.sack_at + 8 * i
            begin = raw.g32(f.buf, at)
            end = raw.g32(f.buf, at + 4)
            i += 1
            if not serial.lt(begin, end):
                ext.TCPSACKDiscard += 1
                continue
            if i == 1 and self.is_dsack(f, options, begin, end, ack):
                twice = self.duplicated(begin, end, ack, fl.now)  # type: ignore[union-attr]
                continue
            if not serial.lt(ack, end):
                continue  # told before, and acknowledged since
            if serial.lt(begin, ack) or serial.lt(self.snd_nxt, end):
                ext.TCPSACKDiscard += 1
                continue
            if not fl.sack(begin, end):  # type: ignore[union-attr]
                ext.SackCutsLimited += 1
        if fl.sacked > hits:  # type: ignore[union-attr]
            fl.sack_hits += 1  # type: ignore[union-attr]
        return twice

    def reorder(self) -> None:
        """What was sent once has come, by SACK or by the ACK itself, below what had come before it (RFC 8985 6.2 step 3)."""
        if not self.reordered:
            self.reordered = True
            self.hub.ext.TCPSACKReorder += 1
        history = self.history_of()
        if self.flight.reordered_by > history.reordering:  # type: ignore[union-attr]  # the caller has looked
            history.reordering = self.flight.reordered_by  # type: ignore[union-attr]

    def is_dsack(self, f: Frame, options: Options, begin: int, end: int, ack: int) -> bool:
        """Does the first block tell of what came twice? It lies before the ACK, though no further than a window, or within the
        second block."""
        if serial.le(end, ack):
            return serial.sub(ack, begin) <= self.max_snd_wnd + self.mss
        if options.sacks < 2:
            return False
        at = options.sack_at + 8
        second = raw.g32(f.buf, at)
        second_end = raw.g32(f.buf, at + 4)
        return serial.le(second, begin) and serial.le(end, second_end) and serial.le(end, self.snd_nxt) and serial.le(ack, begin)

    def duplicated(self, begin: int, end: int, ack: int, now: int) -> bool:
        """A D-SACK. False when it is for nothing that was sent again: the network has doubled it, and it says nothing of our
        retransmissions."""
        ext = self.hub.ext
        if serial.lt(begin, ack):
            ext.TCPDSACKRecv += 1
        else:
            ext.TCPDSACKOfoRecv += 1
        history = self.history_of()
        history.dsacked += 1
        if not history.has(serial.sub(begin, self.iss)):
            ext.TCPDSACKIgnoredDubious += 1
            return False
        if self.episode is not None and self.episode.twice(begin, end):
            self.undo(True, now)
        return True

    def note_losses(self) -> None:
        """Something has been marked lost."""
        fl = self.flight
        self.history_of().lost += fl.marked  # type: ignore[union-attr]  # the caller has looked
        if fl.relost:  # type: ignore[union-attr]
            self.hub.ext.TCPLostRetransmit += (fl.relost + self.mss - 1) // self.mss  # type: ignore[union-attr]

    def settle(self) -> None:
        """Nothing is in flight any more."""
        fl = self.flight
        if fl is None:
            return
        if fl.rate_ns > 0:
            self.rate = fl.rate_bytes * const.SECOND // fl.rate_ns
        self.flight = None
        if self.episode is not None and not self.episode.outlives():
            self.episode = None
        self.hub.take_back(fl)
        if self.sendq is not None and self.sendq.length == 0:
            self.hub.take_queue(self.sendq)
            self.sendq = None
        if self.timer != tc.PERSIST:
            self.timer = tc.RTO
            self.t_rexmt = const.NEVER

    # -- the tail loss probe: RFC 8985 7.4 ------------------------------------------------------------------------------------

    def probed(self, ack: int, acked: int, twice: bool, sacks: int, flight: int, now: int) -> None:
        """What has become of the tail loss probe (RFC 8985 7.4)? An ACK beyond it that reports no duplicate says that it has
        repaired a loss: one that congestion control must hear of."""
        if serial.lt(ack, self.tlp_end):
            return
        if self.tlp_out == 1 or twice or (not acked and not sacks):
            self.tlp_out = 0
        elif serial.lt(self.tlp_end, ack):
            self.tlp_out = 0
            self.hub.ext.TCPLossProbeRecovery += 1
            if self.phase == tc.OPEN:
                self.cc.on_loss(flight, now)  # type: ignore[union-attr]  # there from ESTABLISHED on

    # -- the reordering window ------------------------------------------------------------------------------------------------

    def window(self) -> int:
        """RFC 8985 6.2 step 4: nothing before reordering was seen, where three segments or a recovery speak for a loss."""
        fl = self.flight
        if not self.reordered:
            if self.phase != tc.OPEN or fl.sacked >= tc.DUPACKS * self.mss or fl.sack_hits >= tc.DUPACKS:  # type: ignore[union-attr]
                return 0
        window = self.min_rtt * self.reo_mult // 4
        return window if window < self.rtt.srtt else self.rtt.srtt

    def widen(self, now: int) -> None:
        """A D-SACK: the window was too short. Once in a round trip (RFC 8985 6.2 step 4)."""
        fl = self.flight
        if fl is not None:
            if fl.dsack_open:
                return
            fl.dsack_open = True
            fl.dsack_round = self.snd_nxt
        self.reo_persist = tc.REO_PERSIST
        if self.reo_mult < tc.REO_MULT_MAX:
            self.reo_mult += 1

    # -- phases ---------------------------------------------------------------------------------------------------------------

    def enter(self, flight: int, now: int) -> None:
        """A loss, in OPEN: fast recovery begins. `flight` is what was in flight before this ACK, and not SACKed."""
        cc = self.cc
        fl = self.flight
        # What the ACKs before this one have allowed, cumulative ones and limited transmit, would have left by now were they not
        # of the same batch, for whose end sending waits. It may still leave: otherwise a window that is acknowledged in one burst
        # begins its recovery nearly empty
        owed = cc.cwnd - fl.pipe(self.in_flight()) - fl.marked - fl.fresh  # type: ignore[union-attr]  # both are there
        if owed > self.pending() - self.in_flight():
            owed = self.pending() - self.in_flight()
        if owed < 0 or not self.sack_on:
            owed = 0
        self.episode = Episode(cc.cwnd, cc.ssthresh, flight, owed)  # type: ignore[union-attr]
        self.phase = tc.RECOVERY
        self.recover = self.snd_nxt
        self.tlp_out = 0
        cc.on_loss(self.in_flight(), now)  # type: ignore[union-attr]
        if self.sack_on:
            self.hub.ext.TCPSackRecovery += 1
        else:
            self.hub.ext.TCPRenoRecovery += 1

    def recovered(self, now: int) -> None:
        """Everything is acknowledged that was in flight when the episode began."""
        if self.phase == tc.RECOVERY:
            self.cc.on_recovered(self.in_flight(), now)  # type: ignore[union-attr]
        self.phase = tc.OPEN
        if self.flight is not None:
            self.flight.dup_bytes = 0
        if self.reo_mult > 1:
            self.reo_persist -= 1
            if self.reo_persist == 0:
                self.reo_mult = 1

    def overtaken(self, now: int) -> None:
        """What was sent again had been overtaken on its way, or its ACK was late. When that goes for all, nothing was lost."""
        if not self.reordered:
            self.reordered = True
            self.hub.ext.TCPTSReorder += 1
        if self.flight.resent_bytes() == 0:  # type: ignore[union-attr]  # the caller has looked
            self.undo(False, now)

    def undo(self, dsack: bool, now: int) -> None:
        """The episode was none: what seemed lost had only been overtaken, or its ACK was late."""
        ext = self.hub.ext
        episode = self.episode
        if self.phase == tc.LOSS:
            ext.TCPLossUndo += 1
        elif dsack:
            ext.TCPDSACKUndo += 1
        else:
            ext.TCPFullUndo += 1
        self.history_of().undone += 1
        self.phase = tc.OPEN
        if self.flight is not None:
            self.flight.find_again()
        self.cc.on_spurious(episode.cwnd, episode.ssthresh, now)  # type: ignore[union-attr]
        self.episode = None

    # -- a peer without SACK: RFC 5681 3.2, RFC 6582 --------------------------------------------------------------------------

    def duplicate(self, flight: int, now: int) -> None:
        """A duplicate ACK: a segment has left the network, we can't tell which."""
        fl = self.flight
        mss = self.mss
        fl.dupacks += 1  # type: ignore[union-attr]  # the caller has looked
        fl.fresh += mss  # type: ignore[union-attr]
        fl.dup_bytes += mss  # type: ignore[union-attr]
        most = flight - mss  # the missing one has not left …
        if self.phase == tc.RECOVERY and serial.sub(self.recover, self.snd_una) < most:
            most = serial.sub(self.recover, self.snd_una)  # … and what duplicates let out earns no more of them (RFC 5681 3.2)
        if fl.dup_bytes > most:  # type: ignore[union-attr]
            fl.dup_bytes = most if most > 0 else 0  # type: ignore[union-attr]
            fl.fresh = 0  # type: ignore[union-attr]  # more of them than there were segments: somebody invents them
        if self.phase == tc.OPEN and fl.dupacks == tc.DUPACKS and serial.lt(self.recover, self.snd_una):  # type: ignore[union-attr]
            self.enter(flight, now)
            fl.lose_head(mss, tc.BY_DUPACKS)  # type: ignore[union-attr]
            fl.partial = False  # type: ignore[union-attr]
            fl.rto_from = now  # type: ignore[union-attr]

    def partial(self, now: int) -> None:
        """An ACK in recovery that does not end it: the next hole begins where it ends (RFC 6582 3.2 step 3)."""
        fl = self.flight
        if fl.head_is_fresh():  # type: ignore[union-attr]  # the caller has looked
            fl.lose_head(self.mss, tc.BY_PARTIAL)  # type: ignore[union-attr]
            self.episode.urgent = True  # type: ignore[union-attr]  # there is one, in this phase
        fl.partial = True  # type: ignore[union-attr]
