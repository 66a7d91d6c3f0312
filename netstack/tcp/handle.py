"""The user's side of a connection: its calls (RFC 9293 3.10.1-3.10.6), and the ways in which it ends.

However a connection ends, `closed` is called once and nothing is called after it. `None` says that what was written has been
acknowledged, and that everything the peer sent has been handed over, unless the user had closed and did not want it.
"""

from collections.abc import Sequence

from .. import const, raw, serial
from ..cores import StreamUser
from ..errors import Aborted, BrokenError, ClosedError, PeerReset, Refused
from . import const as tc
from . import state
from .congestion import registry
from .info import ConnInfo, snapshot
from .receive import Receiver
from .tuning import Tuner, send_high, send_low


class Handle(Receiver):
    __slots__ = ()

    # -- ends -----------------------------------------------------------------------------------------------------------------

    def end(self, error: Exception | None, now: int) -> None:
        """CLOSED: out of the tables, all queues forgotten, and the user told, unless it has paused and has still to read."""
        if self.state == tc.CLOSED:
            return
        if self.state != tc.TIME_WAIT:
            self.hub.remove(self)
        self.become(tc.CLOSED)
        self.stop()
        if error is not None:
            self.drop_rx()
        self.error = error
        if error is not None or not self.to_read():
            self.tell(error, now)

    def stop(self) -> None:
        """No more timers, nothing more to send or to put in order."""
        self.t_rexmt = self.t_ack = self.t_keep = self.t_end = const.NEVER
        self.rearm()
        self.settle()
        if self.sendq is not None:
            self.sendq.clear()
            self.hub.take_queue(self.sendq)
            self.sendq = None
        self.forget_ooo()
        self.sacks = None
        self.ack_now = False
        self.unacked = 0

    def drop_rx(self) -> None:
        self.rx = None
        self.hub.budget.refund(self.rx_bytes)
        self.rx_bytes = 0
        self.eof_owed = False

    def to_read(self) -> bool:
        """The protocol is over. Has the user still to be given something? Then it counts as a connection until it was."""
        self.ended = True
        if self.rx_bytes == 0 and not self.eof_owed:
            return False
        self.hub.unread[self] = None
        return True

    def tell(self, error: Exception | None, now: int) -> None:
        """The user's last call, once."""
        user = self.user
        if self.ended:
            self.hub.unread.pop(self, None)
        if user is not None:
            self.user = None
            user.closed(error, now)

    def finish(self, now: int) -> None:
        if (self.state == tc.TIME_WAIT or self.state == tc.CLOSED) and not self.to_read():
            self.tell(None, now)

    def delivered(self, now: int) -> None:
        """Our FIN is acknowledged, and with it all that was written. A user who has closed has nothing more to learn; the peer's
        FIN is waited for a while."""
        if self.orphan:
            self.t_end = now + self.hub.settings.fin_timeout
            self.tell(None, now)

    def enter_time_wait(self, now: int) -> None:
        if self.ack_now:
            self.send_ack(now)
        self.become(tc.TIME_WAIT)
        self.hub.rest(self, now)
        self.stop()

    def fail(self, error: Exception, now: int) -> None:
        """Nobody answers: give up."""
        if self.state >= tc.ESTABLISHED:
            self.hub.ext.TCPAbortOnTimeout += 1
            self.send_reset(now)  # as Linux: should the peer come back, it learns
        elif self.half >= 0:
            self.hub.ext.HalfOpenTimeouts += 1
        self.end(error, now)

    def kill(self, now: int) -> None:
        """RFC 2525 2.17, RFC 9293 3.10.4: the user has closed, and there is data that it will never read. The peer must not believe
        that it arrived."""
        self.hub.ext.TCPAbortOnData += 1
        self.send_reset(now)
        self.end(Aborted("data came that nobody reads any more"), now)

    def reset_by_peer(self, now: int) -> None:
        """RFC 9293 3.10.7.4, second step."""
        if self.state == tc.SYN_RECEIVED:
            self.hub.ext.EmbryonicRsts += 1
            self.end(None if self.listener is not None else Refused(), now)
        elif (self.state == tc.CLOSING or self.state == tc.LAST_ACK) and not self.pending():
            self.end(None, now)  # both have sent all and a FIN: what is lost is an ACK
        else:
            self.end(PeerReset(), now)

    # -- the user's calls: RFC 9293 3.10.1-3.10.6 -----------------------------------------------------------------------------

    def check_writable(self) -> None:
        if self.fin_queued or self.orphan:
            raise ClosedError("this side of the connection is closed: write before shutdown, close or abort")
        if self.error is not None and not isinstance(self.error, Aborted):
            raise BrokenError(f"the connection is gone: {self.error}") from self.error
        if self.state == tc.CLOSED:
            raise ClosedError("this connection is closed: write before close or abort")

    def write(self, data: bytes, now: int) -> bool:
        """Queue `data`, by reference when it is bytes, and send what may be sent. True: go on; False: there are as many
        unacknowledged bytes as the high mark, or too many in all connections: wait for `writable`. Raises ClosedError,
        BrokenError."""
        self.check_writable()
        n = raw.size(data)
        q = self.sendq
        if q is None:
            q = self.sendq = self.hub.lend_queue()
        if n:
            q.append(data if type(data) is bytes else bytes(data))
            self.kick(now)
        return self.below_high()

    def write_kept(self, parts: "Sequence[bytes | memoryview]", now: int) -> bool:
        """`write` for several buffers, all of them queued by reference: bytes, or views of bytes ("B") of memory that nobody
        changes until they are acknowledged. A view lives as long."""
        self.check_writable()
        q = self.sendq
        if q is None:
            q = self.sendq = self.hub.lend_queue()
        for data in parts:
            if len(data):
                q.append(data)
        self.kick(now)
        return self.below_high()

    def write_one(self, data: "bytes | memoryview", now: int) -> None:
        """`write_kept` of one buffer, by somebody who doesn't care for marks."""
        self.check_writable()
        q = self.sendq
        if q is None:
            q = self.sendq = self.hub.lend_queue()
        q.append(data)
        self.kick(now)

    def below_high(self) -> bool:
        """May the writer go on? If not it is called when it may."""
        if self.pending() >= self.high_mark():
            self.was_high = True
            return False
        return True

    def kick(self, now: int) -> None:
        """Send now, or at the end of the batch that is running."""
        if self.hub.batch:
            self.hub.touch(self)
        elif not self.corked:
            self.output(now)
            if self.state != tc.CLOSED and self.state != tc.TIME_WAIT:
                self.rearm()

    def shutdown(self, now: int) -> None:
        """End our side: a FIN after what is queued. The peer may go on sending. Nothing when it is done already."""
        if self.fin_queued or self.state == tc.CLOSED or self.state == tc.TIME_WAIT:
            return
        self.fin_queued = True
        if self.state == tc.ESTABLISHED:
            self.become(tc.FIN_WAIT_1)
        elif self.state == tc.CLOSE_WAIT:
            self.become(tc.LAST_ACK)
        self.kick(now)

    def close(self, now: int) -> None:
        """The user goes away: of its methods only `closed` will be called, with None as soon as all that was written has been
        acknowledged.

        Where unread data waits, or comes later, the peer gets a RST and `closed` an Aborted. A connection that was never
        established is forgotten at once, with Aborted.
        """
        if self.orphan:
            return
        self.orphan = True
        self.paused = False  # nobody is left to be spared: a FIN that waited for `resume` would wait for ever
        unread = self.rx_bytes > 0
        self.drop_rx()
        if self.state == tc.SYN_SENT or (self.state == tc.SYN_RECEIVED and not self.pending()):
            self.end(Aborted("closed before it was open"), now)
        elif self.state == tc.CLOSED or self.state == tc.TIME_WAIT:
            self.tell(None, now)
        elif unread:
            self.kill(now)
        elif self.state == tc.FIN_WAIT_2:
            self.delivered(now)
            self.rearm()
        else:
            self.shutdown(now)

    def abort(self, now: int) -> None:
        """Drop it, with a RST where the peer believes in a connection. `closed(Aborted)` is called from inside."""
        if tc.SYN_RECEIVED <= self.state <= tc.CLOSE_WAIT:
            self.send_reset(now)
        elif self.state == tc.CLOSED or self.state == tc.TIME_WAIT:
            self.drop_rx()
            self.tell(Aborted(), now)
            return
        self.end(Aborted(), now)

    def hang_up(self, now: int) -> None:
        """`close` where all that was written has been sent, and `abort` where some has not: the peer must not take a part for the
        whole."""
        if self.state >= tc.ESTABLISHED and self.pending() <= self.in_flight():
            self.close(now)
        else:
            self.abort(now)

    def vanish(self, now: int) -> None:
        """`abort`, because the whole stack goes away; in silence where the peer has acknowledged everything and we wait for its
        FIN: a reset would take from it what it has received and not read yet."""
        if self.orphan and self.state == tc.FIN_WAIT_2:
            self.end(Aborted(), now)
        else:
            self.abort(now)

    def pause(self, now: int) -> None:
        """Hand over no more: what comes waits, and the window closes when `rcv_buf` bytes do. Nothing after `close`."""
        self.paused = not self.orphan

    def open_window_again(self, now: int) -> None:
        """Tell the peer of the room that there is, when it is worth a segment."""
        if tc.ESTABLISHED <= self.state < tc.TIME_WAIT and self.window_update_due():  # before, nobody knows what to acknowledge
            self.ack_now = True
            if self.hub.batch:
                self.hub.touch(self)
            else:
                self.send_ack(now)
                self.rearm()

    def resume(self, now: int) -> None:
        """Hand over what waited, and open the window again."""
        if not self.paused:
            return
        self.paused = False
        self.hand_over(now)
        self.tune(False, now)
        if not self.paused or 2 * serial.sub(self.rcv_adv, self.rcv_nxt) < self.rcv_buf:  # as for `let_go`: it will resume again
            self.open_window_again(now)

    # -- a user who keeps what it is given: its queue is the receive buffer, and needs no pause ----------------------------------

    def attach(self, user: StreamUser) -> None:
        """From now on `user` is told, in place of the one before."""
        if self.user is not None:
            self.user = user

    def hold(self, n: int) -> None:
        """The user keeps `n` more of the bytes that it was given: they fill the window."""
        self.held += n
        self.hub.budget.charge(n)

    def let_go(self, n: int, now: int) -> None:
        """It has consumed `n` of them. The peer is told when less than half of the window was left to it (RFC 9293 3.8.6.2.2);
        before that the ACKs of what it sends tell."""
        self.held -= n
        self.hub.budget.refund(n)
        if self.user is not None and not self.orphan:
            self.reopen(now)

    def owe(self, sink: "Handle", now: int) -> None:
        """What `sink` has still to deliver came from here (splice.py): it counts as held, though the queue of `sink` pays for it.
        Its user hears of its progress when that matters to our window."""
        self.held = sink.pending()
        if 2 * serial.sub(self.rcv_adv, self.rcv_nxt) < self.rcv_buf:
            sink.was_high = True

    def reopen(self, now: int) -> None:
        """Less is held: the window may open."""
        self.tune(False, now)
        if 2 * serial.sub(self.rcv_adv, self.rcv_nxt) < self.rcv_buf:
            self.open_window_again(now)

    def set_rcv_buf(self, size: int, now: int) -> None:
        """A receive buffer of this many bytes from now on, that no longer tunes itself; at least 2 KiB and one unit of the scaled
        window, at most what the handshake's scale can name. A smaller one takes back nothing of what was offered."""
        shift = self.shift()
        least = max(tc.RCV_LEAST, 1 << shift)
        size = max(least, min(size, const.M16 << shift))
        offered = self.rx_bytes + self.held + serial.sub(self.rcv_adv, self.rcv_nxt)
        self.rcv_buf = size
        self.rcv_auto = False
        self.tuner = None
        if size < offered and self.state >= tc.ESTABLISHED:
            self.tuner = Tuner(0, 0, 0, now)
            self.tuner.promised = offered
        self.open_window_again(now)

    def limit_mss(self, size: int) -> None:
        """Neither send nor announce more than `size` bytes in a segment; before the SYN."""
        if size + tc.IP_TCP < self.path_mtu:
            self.path_mtu = size + tc.IP_TCP
            self.adv_mss = size

    def high_mark(self) -> int:
        """Unacknowledged bytes at which `write` says False now."""
        hub = self.hub
        high = self.high
        if high < 0:
            high = hub.settings.snd_buf_max
            if high > tc.SND_START // 4 and hub.budget.pressed:
                high = tc.SND_START // 4
            high = send_high(-1 if self.cc is None else self.cc.cwnd, high)
        if high > tc.LEAST and not hub.budget.fits(0):
            high = tc.LEAST
        return high

    def low_mark(self) -> int:
        """Unacknowledged bytes at which `writable` is called now."""
        high = self.high_mark()
        if high == self.high:
            return self.low
        low = send_low(high)
        return self.low if 0 <= self.low < low else low

    def set_marks(self, low: int, high: int) -> None:
        """Bytes unacknowledged at which `writable` is called, and at which `write` says False, instead of marks that tune
        themselves."""
        self.low = low
        self.high = high

    @property
    def marks(self) -> tuple[int, int]:
        """The low and the high one, as they are now."""
        return self.low_mark(), self.high_mark()

    @property
    def rcv_space(self) -> int:
        """The most bytes that the user has consumed in one round trip; 0 before that was measured."""
        return 0 if self.tuner is None else self.tuner.space

    @property
    def rcv_rtt(self) -> int:
        """A round trip in nanoseconds, as the receiver sees it; 0 before it was measured."""
        return 0 if self.tuner is None else self.tuner.rtt

    def set_nodelay(self, on: bool, now: int) -> None:
        """Nagle off, or on again. What it held back is sent."""
        self.nodelay = on
        if on:
            self.kick(now)

    def set_congestion(self, name: str) -> None:
        """Control congestion by the strategy called `name` (congestion/registry.py) from now on; in the middle of a connection it
        goes on from the windows of the one before. Raises UsageError, and nothing has changed."""
        new = registry.make(name, self.mss)
        if self.cc is not None:
            new.adopt(self.cc.cwnd, self.cc.ssthresh)
            self.cc = new
        self.congestion = name

    def set_keepalive(self, idle: int, interval: int, count: int, now: int) -> None:
        """After `idle` ns of silence probe each `interval` ns, end with TimedOut after `count` without answer. `idle` 0: off."""
        self.keep_idle = idle
        self.keep_interval = interval
        self.keep_count = count
        self.keep_sent = 0
        if self.state >= tc.ESTABLISHED and self.state != tc.TIME_WAIT:
            self.t_keep = now + idle if idle else const.NEVER
            self.rearm()

    @property
    def unsent(self) -> int:
        """Bytes written and not yet acknowledged."""
        return self.pending()

    @property
    def buffered(self) -> int:
        """The same."""
        return self.pending()

    @property
    def state_name(self) -> str:
        """As the RFC writes it: `FIN-WAIT-1`."""
        return state.name(self.state)

    def lingers(self) -> bool:
        """Has it data or a FIN that the peer has not acknowledged?"""
        return self.pending() > 0 or self.state == tc.FIN_WAIT_1 or self.state == tc.CLOSING or self.state == tc.LAST_ACK

    def info(self) -> ConnInfo:
        """What the kernel's TCP_INFO would tell, and more (info.py)."""
        return snapshot(self)
