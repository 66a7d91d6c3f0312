"""What arrives: text, in order or not; the FIN; the window that is offered; the user who can't take more.

What comes in order goes to the user at once, out of the slab, while it is still in the cache. Bytes wait in two places only: in
`ooo` until the hole before them is filled, in `rx` while the user has said `pause`. Both lie within the window that was
offered, so the peer can make us hold `rcv_buf` bytes and a bounded number of objects, and no more.

The user may do anything from inside a callback: write, close, abort, pause. So every variable is up to date before a callback,
and what comes after one looks at the state again.
"""

from collections import deque

from .. import const, raw, serial
from ..cores import Frame
from . import const as tc
from .queues import Reassembly
from .sack import Sacks
from .transmit import Transmitter
from .tuning import Tuner


class Receiver(Transmitter):
    __slots__ = ()

    def kill(self, now: int) -> None:
        """Data has come that nobody will read: reset (connection.py)."""
        raise NotImplementedError

    def finish(self, now: int) -> None:
        """All that the peer sent has been handed over, the FIN too (connection.py)."""
        raise NotImplementedError

    def enter_time_wait(self, now: int) -> None:
        raise NotImplementedError

    # -- the window -----------------------------------------------------------------------------------------------------------

    def room(self) -> int:
        """For how many bytes beyond RCV.NXT there is room. Less than nothing when the buffer has been made smaller."""
        size = self.rcv_buf
        if self.hub.budget.pressed and (self.rx_bytes or (self.ooo is not None and self.ooo.nbytes)):
            small = 4 * self.rcv_mss  # as Linux does: three duplicates can still follow a loss
            unit = 1 << self.shift()
            if small < unit:
                small = unit
            if small < size:
                size = small
        return size - self.rx_bytes

    def shift(self) -> int:
        """By which the window is scaled."""
        return self.rcv_wscale if self.rcv_wscale > 0 else 0

    def offer(self) -> int:
        """The window field of the next segment; `rcv_ack` becomes what it acknowledges. See "The window" above."""
        shift = self.shift()
        room = self.room()
        wnd = serial.sub(self.rcv_adv, self.rcv_nxt)
        field = (wnd + (1 << shift) - 1) >> shift
        if self.worth(room, wnd, shift, self.rcv_mss):
            field = room >> shift
        if field > const.M16:
            field = const.M16
        self.rcv_ack = self.rcv_nxt
        if shift and self.rx_bytes and self.rx_bytes + (field << shift) > self.rcv_buf and self.state < tc.CLOSE_WAIT:
            self.hold_back(field << shift, wnd, 1 << shift)
        self.again = False
        edge = serial.add(self.rcv_ack, field << shift)
        if serial.lt(self.rcv_adv, edge):
            self.rcv_adv = edge
        ext = self.hub.ext
        if field == 0:
            if not self.shut:
                self.shut = True
                ext.TCPToZeroWindowAdv += 1
        else:
            if self.shut:
                self.shut = False
                ext.TCPFromZeroWindowAdv += 1
            if room <= 0:
                ext.TCPWantZeroWindowAdv += 1
        return field

    def worth(self, room: int, wnd: int, shift: int, least: int) -> bool:
        """Would the window, `wnd` now, grow by `least` bytes or by half of the buffer, could it be said in its unit?"""
        if room <= wnd:
            return False
        grow = (room >> shift << shift) - wnd
        return grow >= least or (grow > 0 and 2 * grow >= self.rcv_buf)

    def hold_back(self, window: int, wnd: int, unit: int) -> None:
        """The window can't be said without rounding it up to `window`, while data waits that fills the buffer. Shall the last bytes
        be left unacknowledged instead?"""
        limit = self.rcv_buf
        if self.tuner is not None and self.tuner.promised > limit:
            limit = self.tuner.promised
        lent = limit if self.again else limit >> 3
        if self.rx_bytes + window > limit + lent + unit:
            ack = serial.add(self.rcv_nxt, wnd - window)
            self.rcv_ack = self.last_ack_sent if serial.lt(ack, self.last_ack_sent) else ack
            if self.rcv_ack != self.rcv_nxt:
                self.hub.ext.AckHeldBack += 1

    def window_update_due(self) -> bool:
        """Would the window grow by enough to be worth a segment of its own? Bytes that were held back are."""
        if self.unacked == 0 and self.last_ack_sent != self.rcv_nxt:
            return True
        return self.worth(self.room(), serial.sub(self.rcv_adv, self.rcv_nxt), self.shift(), 2 * self.rcv_mss)

    def tune(self, full: bool, now: int) -> None:
        """The user may have consumed something; `full`, a full-sized segment has come in order."""
        t = self.tuner
        if not self.rcv_auto:
            return
        if t is None:
            if serial.sub(self.rcv_nxt, self.irs) >= tc.TUNE_AFTER:
                self.tuner = Tuner(serial.add(self.rcv_nxt, -self.rx_bytes), self.rcv_adv, self.rtt.srtt, now)
            return
        if full:
            if self.ts_seen:
                if self.tsecr != t.echo:
                    t.echoed(self.tsecr, self.ts_now(now))
            elif not self.ts_on:
                t.arrived(self.rcv_nxt, self.rcv_adv, now)
        want = t.consumed(serial.add(self.rcv_nxt, -self.rx_bytes), now)
        if want > self.rcv_buf and not self.hub.budget.pressed:
            shift = self.shift()
            most = const.M16 << shift
            if most > self.hub.rcv_most:
                most = self.hub.rcv_most
            want = want >> shift << shift
            self.rcv_buf = want if want < most else most

    # -- text -----------------------------------------------------------------------------------------------------------------

    def text(self, f: Frame, seq: int, fin: bool, now: int) -> None:
        """The seventh and eighth step of RFC 9293 3.10.7.4 for an acceptable segment: its text is `f.off` to `f.end`."""
        n = f.end - f.off
        if serial.lt(seq, self.rcv_nxt):
            skip = serial.sub(self.rcv_nxt, seq)
            self.ack_now = True  # some of it is old: our ACK may have been lost
            if skip > n:
                skip = n
            if skip:
                self.twice(seq, serial.add(seq, skip))
            f.off += skip
            n -= skip
            seq = serial.add(seq, skip)
        ahead = serial.sub(seq, self.rcv_nxt)
        room = serial.sub(self.rcv_adv, seq)
        if n > room or (fin and n == room):
            if n and not room:
                self.hub.ext.TCPZeroWindowDrop += 1
            if n > room:
                n = room
            fin = False
            f.end = f.off + n
            self.ack_now = True
        if fin:
            self.fin_seen = True
            self.fin_at = serial.add(seq, n)
        if n > self.rcv_mss:
            mss = f.gso if f.gso else n if n < self.adv_mss else self.adv_mss
            if mss > self.rcv_mss:
                self.rcv_mss = mss
        if ahead:
            if n:
                self.out_of_order(f, seq, n)
            self.send_ack(now)  # at once, one for each segment: duplicates are what the sender counts (RFC 5681 4.2)
            return
        full = n >= self.rcv_mss
        if n and (self.paused or self.rx_bytes) and not self.hub.budget.fits(n):
            n = self.squeeze(n)
        if n:
            self.rcv_nxt = serial.add(seq, n)
            self.unacked += n
            if now - self.vouched_at >= tc.VOUCH_GAP:
                self.vouch(now)
            if self.unacked >= 2 * self.rcv_mss:
                self.ack_now = True  # every second full-sized segment (RFC 5681 4.2)
            if self.paused or self.rx_bytes:
                self.wait(raw.take(f.buf, f.off, n))
            else:
                self.user.data(f, n, now)  # type: ignore[union-attr]  # a connection without a user has been reset before
            if self.ooo is not None and self.ooo.nbytes:
                self.fill(now)
            self.tune(full, now)
        if self.fin_seen and self.fin_at == self.rcv_nxt:
            self.take_fin(now)

    def squeeze(self, n: int) -> int:
        """The budget is used up. How many of the next `n` bytes may wait all the same: what is in order is worth more than what is
        not, and a little is each connection's own. What is not acknowledged will be sent again."""
        ext = self.hub.ext
        ext.PruneCalled += 1
        self.ack_now = True
        if self.ooo is not None and self.ooo.nbytes:
            ext.OfoPruned += 1
            self.forget_ooo()
            self.sacks = None  # told of, and taken back: RFC 2018 8 allows it, and senders know
            if self.hub.budget.fits(n):
                return n
        ext.RcvPruned += 1
        left = tc.LEAST - self.rx_bytes
        if left >= n:
            return n
        ext.TCPRcvQDrop += 1
        return left if left > 0 else 0

    def out_of_order(self, f: Frame, seq: int, n: int) -> None:
        hub = self.hub
        ext = hub.ext
        if not hub.budget.fits(n):
            ext.TCPOFODrop += 1
            return
        if self.ooo is None:
            self.ooo = Reassembly(0, hub.budget)
        self.ooo.limit = 64 + self.rcv_buf // (tc.JOIN // 2)
        new = self.ooo.insert(seq, raw.take(f.buf, f.off, n))
        if new < 0:
            ext.TCPOFODrop += 1
        else:
            ext.TCPOFOQueue += 1
            if new < n:
                ext.TCPOFOMerge += 1
            if self.sack_on:
                if self.sacks is None:
                    self.sacks = Sacks()
                self.sacks.add(seq, serial.add(seq, n))
                if new == 0:
                    ext.TCPDSACKOfoSent += 1
                    self.sacks.duplicate(seq, serial.add(seq, n))

    def twice(self, seq: int, end: int) -> None:
        """Text from `seq` to `end`, none of it new, has come again (RFC 2883 4.1)."""
        if serial.lt(self.last_ack_sent, end):
            self.again = True
        if self.sack_on:
            if self.sacks is None:
                self.sacks = Sacks()
            self.hub.ext.TCPDSACKOldSent += 1
            self.sacks.duplicate(seq, end)

    def fill(self, now: int) -> None:
        """A hole may have been filled: hand over what follows."""
        self.ack_now = True  # RFC 5681 4.2
        while self.ooo is not None:
            data = self.ooo.pop(self.rcv_nxt)
            if data is None:
                if self.sacks is not None:
                    self.sacks.advance(self.rcv_nxt)
                return
            self.rcv_nxt = serial.add(self.rcv_nxt, len(data))
            if self.orphan:
                self.kill(now)
                return
            if self.paused or self.rx_bytes:
                self.wait(data)
            else:
                self.user.queued(data, now)  # type: ignore[union-attr]  # as above

    def forget_ooo(self) -> None:
        if self.ooo is not None:
            self.ooo.clear()
            self.ooo = None

    def wait(self, data: bytes) -> None:
        """Keep `data` until the user resumes, in few objects."""
        rx = self.rx
        if rx is None:
            rx = self.rx = deque()
        n = len(data)
        self.rx_bytes += n
        self.hub.budget.charge(n)
        if rx and len(rx[-1]) + n <= tc.JOIN:
            rx[-1] = rx[-1] + data
            self.hub.ext.TCPRcvCollapsed += 1
        else:
            rx.append(data)

    def hand_over(self, now: int) -> None:
        """Give the user what waited, as long as it takes it."""
        while self.rx and not self.paused and not self.orphan and self.user is not None:
            data = self.rx.popleft()
            self.rx_bytes -= len(data)
            self.hub.budget.refund(len(data))
            self.user.queued(data, now)
        if not self.rx_bytes and self.eof_owed and not self.paused:
            self.eof_owed = False
            self.tell_eof(now)

    # -- FIN ------------------------------------------------------------------------------------------------------------------

    def take_fin(self, now: int) -> None:
        """RCV.NXT has reached the peer's FIN (RFC 9293 3.10.7.4, eighth step)."""
        if self.state != tc.ESTABLISHED and self.state != tc.FIN_WAIT_1 and self.state != tc.FIN_WAIT_2:
            return  # a callback has changed the state, or the FIN has been taken
        self.fin_seen = False
        self.rcv_nxt = serial.add(self.rcv_nxt, 1)
        if serial.lt(self.rcv_adv, self.rcv_nxt):
            self.rcv_adv = self.rcv_nxt
        self.forget_ooo()
        self.sacks = None
        self.ack_now = True
        if self.state == tc.ESTABLISHED:
            self.become(tc.CLOSE_WAIT)
        elif self.state == tc.FIN_WAIT_1:
            self.become(tc.CLOSING)  # had our FIN been acknowledged, the fifth step would have led to FIN-WAIT-2
        else:
            self.enter_time_wait(now)
        if self.rx_bytes or self.paused:
            self.eof_owed = True
            self.finish(now)
        else:
            self.tell_eof(now)

    def tell_eof(self, now: int) -> None:
        if self.user is not None and not self.orphan:
            self.user.eof(now)
        self.finish(now)
