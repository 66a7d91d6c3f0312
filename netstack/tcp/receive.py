"""What arrives: text, in order or not; the FIN; the user who can't take more.

What comes in order goes to the user at once, out of the slab, while it is still in the cache. Bytes wait in two places only: in
`ooo` until the hole before them is filled, in `rx` while the user has said `pause`. Both lie within the window that was
offered (window.py) and are charged to the budget of the stack (budget.py).

The user may do anything from inside a callback: write, close, abort, pause. So every variable is up to date before a callback,
and what comes after one looks at the state again.
"""

from collections import deque

from .. import raw, serial
from ..buffers import keep
from ..cores import Frame
from . import const as tc
from .queues import Reassembly
from .sack import Sacks
from .window import Window


class Receiver(Window):
    __slots__ = ()

    def kill(self, now: int) -> None:
        """Data has come that nobody will read: reset (connection.py)."""
        raise NotImplementedError

    def finish(self, now: int) -> None:
        """All that the peer sent has been handed over, the FIN too (connection.py)."""
        raise NotImplementedError

    def enter_time_wait(self, now: int) -> None:
        raise NotImplementedError

    # -- text -----------------------------------------------------------------------------------------------------------------

    def text(self, f: Frame, seq: int, fin: bool, lull: bool, now: int) -> None:
        """The seventh and eighth step of RFC 9293 3.10.7.4 for an acceptable segment: its text is `f.off` to `f.end`.

        An ACK is delayed for a second segment, or an answer, that may carry it. After a `lull` no second one is to be expected, and
        from a user who let the text before it stand `answered` by nothing no answer: it is sent in this very turn, which needs no
        timer, and the sender, who begins anew with a small window, opens it sooner. (Linux does the same.)"""
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
        if n > room or (fin and n and n == room):  # a bare FIN takes a number and no room: some hosts repeat it without a pause
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
            kept = n == 0 or self.out_of_order(f, seq, n)
            if fin and kept and self.sack_on:  # remembered like text, so it is told of like text
                self.told_of(seq, serial.add(self.fin_at, 1))
            self.send_ack(now)  # at once, one for each segment: duplicates are what the sender counts (RFC 5681 4.2)
            return
        full = n >= self.rcv_mss
        if n and (self.paused or self.rx_bytes or self.held) and not self.hub.budget.fits(n):
            n = self.squeeze(n)
        if n:
            self.rcv_nxt = serial.add(seq, n)
            self.unacked += n
            if lull and not self.answered:
                self.ack_now = True
                self.hub.ext.QuickAcks += 1
            self.answered = False
            if now - self.vouched_at >= tc.VOUCH_GAP:
                self.vouch(now)
            if self.unacked >= 2 * self.rcv_mss or 2 * self.unacked >= self.rcv_buf:
                self.ack_now = True  # every second full-sized segment (RFC 5681 4.2); sooner where one is half of the window
            if self.paused or self.rx_bytes:
                self.wait(keep(f, n))
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
        left = tc.LEAST - self.rx_bytes - self.held
        if left >= n:
            return n
        ext.TCPRcvQDrop += 1
        return left if left > 0 else 0

    def out_of_order(self, f: Frame, seq: int, n: int) -> bool:
        """Queue it. False when there is no room."""
        hub = self.hub
        ext = hub.ext
        if not hub.budget.fits(n):
            ext.TCPOFODrop += 1
            return False
        if self.ooo is None:
            self.ooo = Reassembly(0, hub.budget)
        self.ooo.limit = 64 + self.rcv_buf // (tc.JOIN // 2)
        new = self.ooo.insert(seq, raw.take(f.buf, f.off, n))
        if new < 0:
            ext.TCPOFODrop += 1
            return False
        ext.TCPOFOQueue += 1
        if new < n:
            ext.TCPOFOMerge += 1
        if self.sack_on:
            self.told_of(seq, serial.add(seq, n))
            if new == 0:
                ext.TCPDSACKOfoSent += 1
                self.sacks.duplicate(seq, serial.add(seq, n))  # type: ignore[union-attr]  # made by told_of
        return True

    def told_of(self, seq: int, end: int) -> None:
        """`seq` to `end` is here: say so in the ACKs that follow (RFC 2018 3)."""
        if self.sacks is None:
            self.sacks = Sacks()
        self.sacks.add(seq, end)

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

    def wait(self, data: "bytes | memoryview") -> None:
        """Keep `data` until the user resumes, in few objects."""
        rx = self.rx
        if rx is None:
            rx = self.rx = deque()
        n = len(data)
        self.rx_bytes += n
        self.hub.budget.charge(n)
        if rx and len(rx[-1]) + n <= tc.JOIN:
            rx[-1] = b"".join((rx[-1], data))
            self.hub.ext.TCPRcvCollapsed += 1
        else:
            rx.append(data)

    def hand_over(self, now: int) -> None:
        """Give the user what waited, as long as it takes it."""
        while self.rx and not self.paused and not self.orphan and self.user is not None:
            data = self.rx.popleft()
            self.rx_bytes -= len(data)
            self.hub.budget.refund(len(data))
            if isinstance(data, bytes):
                self.user.queued(data, now)
            else:
                self.user.lent(data, now)
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
        if self.fin_waits and self.state == tc.ESTABLISHED:
            self.unacked += 1
        else:
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
