"""The window that is offered.

Its right edge, RCV.ADV, is a promise: it never moves left (RFC 9293 3.8.6, SHLD-14), whatever happens to the buffer behind
it. It moves right when the user has consumed something, or the buffer grows (tuning.py), and then by a segment or half of the
buffer at the least, so that nobody sends us crumbs (RFC 9293 3.8.6.2.2).

**Rounding.** The header says the window in units of `1 << rcv_wscale`, 512 bytes for a buffer that may grow to 16 MiB, and
counts from the byte that it acknowledges. An edge that was said beside one acknowledgement can mostly not be said beside the
next. Rounded down it would move left; rounded up it moves right, by less than a unit, with each ACK: a peer that sends fewer
bytes than a unit in each segment would never see the window shrink, and fill any memory. (RFC 7323 2.4 rounds down and asks
senders to bear it; Linux rounds up, and cuts the window to nothing when memory is out.) Here a *new* edge is rounded down and
an old one up, and what that lends while data waits is bounded: an eighth of the buffer. Beyond, the ACK leaves out the last
bytes, fewer than a unit, so that the edge can be said as it stands (`hold_back`). They are acknowledged once the user has
read; or when the peer, having waited a time-out, sends them again, and so a peer with nothing more to say doesn't give up on
us. Even that ends, at twice the buffer. A peer that scales by nothing knows nothing of all this.

**No deadlock.** Data can always flow once both users read and write and segments arrive now and then. Suppose that the
receiver's user is reading and the sender has something to send. Then one of these holds, and each leads to progress:

    The window is open, and it is worth a segment    the sender sends; the retransmission timer runs until that is acknowledged
    … or not worth one by its silly-window rule      the persist timer runs, and sends what the window holds (RFC 9293
                                                     3.8.6.2.1): with a window of one unit below an MSS of 9000 too
    It is shut                                       the persist timer runs, and probes; every probe is answered, at whatever rate,
                                                     and the answer says the window as it is. So an update that was lost
                                                     costs a probe's time. `watch` (timeouts.py) sees that one of the timers runs

It remains that the receiver opens a shut window sooner or later. When its user has read everything there is room for the whole
buffer, which is never smaller than a unit; so rounding down leaves more than half of it, and the rule of half of the buffer is
met, whatever the MSS. (Pressure makes that smaller only while data waits beyond a hole; then the window isn't shut, the hole
is in it.) A segment at RCV.NXT is looked at even when the window is shut, for its ACK, so two full sides don't lock each other
out; nor do two whose windows were shut over what is in flight, by a liar on the way (`is_news`, connection.py). And what fills
the hole goes straight to a user who reads, and asks for no memory: a full budget drops what is beyond the hole, and what comes
for a user who has paused beyond the connection's own `tc.LEAST` bytes. Neither was acknowledged, so the sender's timer runs.
Nothing waits for another connection.
"""

from .. import const, serial
from . import const as tc
from .timeouts import Timekeeper
from .tuning import Tuner


class Window(Timekeeper):
    __slots__ = ()

    def space(self) -> int:
        """For how many bytes beyond RCV.NXT there is room. Less than nothing when the buffer has been made smaller."""
        size = self.rcv_buf
        if self.hub.budget.pressed and (self.rx_bytes or self.held or (self.ooo is not None and self.ooo.nbytes)):
            small = 4 * self.rcv_mss  # as Linux does: three duplicates can still follow a loss
            unit = 1 << self.shift()
            if small < unit:
                small = unit
            if small < size:
                size = small
        return size - self.rx_bytes - self.held

    def shift(self) -> int:
        """By which the window is scaled."""
        return self.rcv_wscale if self.rcv_wscale > 0 else 0

    def offer(self) -> int:
        """The window field of the next segment; `rcv_ack` becomes what it acknowledges. See "Rounding" above."""
        shift = self.shift()
        space = self.space()
        wnd = serial.sub(self.rcv_adv, self.rcv_nxt)
        field = (wnd + (1 << shift) - 1) >> shift
        if self.worth(space, wnd, shift, self.rcv_mss):
            field = space >> shift
        if field > const.M16:
            field = const.M16
        self.rcv_ack = self.rcv_nxt
        waiting = self.rx_bytes + self.held
        if shift and waiting and waiting + (field << shift) > self.rcv_buf and self.state < tc.CLOSE_WAIT:
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
            if space <= 0:
                ext.TCPWantZeroWindowAdv += 1
        return field

    def worth(self, space: int, wnd: int, shift: int, least: int) -> bool:
        """Would the window, `wnd` now, grow by `least` bytes or by half of the buffer, could it be said in its unit?"""
        if space <= wnd:
            return False
        grow = (space >> shift << shift) - wnd
        return grow >= least or (grow > 0 and 2 * grow >= self.rcv_buf)

    def hold_back(self, window: int, wnd: int, unit: int) -> None:
        """The window can't be said without rounding it up to `window`, while data waits that fills the buffer. Shall the last bytes
        be left unacknowledged instead?"""
        limit = self.rcv_buf
        if self.tuner is not None and self.tuner.promised > limit:
            limit = self.tuner.promised
        lent = limit if self.again else limit >> 3
        if self.rx_bytes + self.held + window > limit + lent + unit:
            ack = serial.add(self.rcv_nxt, wnd - window)
            self.rcv_ack = self.last_ack_sent if serial.lt(ack, self.last_ack_sent) else ack
            if self.rcv_ack != self.rcv_nxt:
                self.hub.ext.AckHeldBack += 1

    def window_update_due(self) -> bool:
        """Would the window grow by enough to be worth a segment of its own? Bytes that were held back are. Never after the peer's
        FIN: it sends no more."""
        if self.state >= tc.CLOSE_WAIT:
            return False
        if self.unacked == 0 and self.last_ack_sent != self.rcv_nxt:
            return True
        return self.worth(self.space(), serial.sub(self.rcv_adv, self.rcv_nxt), self.shift(), 2 * self.rcv_mss)

    def tune(self, full: bool, now: int) -> None:
        """The user may have consumed something; `full`, a full-sized segment has come in order."""
        if not self.rcv_auto:
            return
        t = self.tuner
        if t is None:
            if serial.sub(self.rcv_nxt, self.irs) >= tc.TUNE_AFTER:
                self.tuner = Tuner(serial.add(self.rcv_nxt, -self.rx_bytes - self.held), self.rcv_adv, self.rtt.srtt, now)
            return
        if full:
            if self.ts_seen:
                if self.tsecr != t.echo:
                    t.echoed(self.tsecr, self.ts_now(now))
            elif not self.ts_on:
                t.arrived(self.rcv_nxt, self.rcv_adv, now)
        if self.hub.budget.pressed:
            return  # what is consumed meanwhile is averaged later
        want = t.consumed(serial.add(self.rcv_nxt, -self.rx_bytes - self.held), now)
        if want > self.rcv_buf:
            shift = self.shift()
            most = const.M16 << shift
            if most > self.hub.rcv_most:
                most = self.hub.rcv_most
            want = want >> shift << shift
            self.rcv_buf = want if want < most else most
