"""A guest's connection and a socket of the host, joined: what one brings the other takes, in compiled code.

    guest  <->  Connection  --  Relay  --  socket  <->  the far side

**Guest to host.** A segment goes to the socket from the slab in which it came, before the call that brought it returns: no queue,
no copy of ours. What the kernel does not take waits as views of those slabs (buffers.keep) and is *held* on the connection, so the
guest's window closes by as much; when the socket has room again they go out together, and the window opens.

**Host to guest.** The socket is read into slabs of our own, one after the other into the same slab, and what was read is queued on
the connection by reference, until the guest has acknowledged it. When the connection holds as much as it should (its high mark,
which follows the congestion window), reading stops, the kernel's receive buffer fills, and the far side's window closes.

**Ends.** A FIN of either side goes on behind what came before it, and the other direction continues. A reset of either side, or
a time-out, is a reset for the other. The relay is over when both are; `owner.over(relay, error)` is told, once.

**Before.** The relay exists from the guest's SYN on. The socket connects; when the far side has answered, and not before, the SYN
is accepted (`owner.connected`), and what comes early waits in the kernel.

A relay with a *rate* has a purse for each direction that fills at so many bytes a second; what can't be paid waits as above. With
an *inspector*, what the guest says first is kept back until it is satisfied.
"""

import os
from typing import Any

from ... import const, raw
from ...buffers import Pool, keep
from ...cores import Frame, StreamUser
from ...errors import Aborted, PeerReset
from ...tcp.catch import Request
from ...tcp.connection import Connection
from ...timers import CallTimer, Timers
from ..policy.bucket import Share
from . import const as nc
from . import sysio
from .poller import Poller, Watched


class Slabs:
    """Where the sockets of one NAT are read into: one slab at a time, for all of them."""

    __slots__ = ("at", "pool", "slab")

    def __init__(self) -> None:
        self.pool = Pool(nc.SLAB)
        self.slab: Frame = self.pool.get()
        self.at = 0

    def room(self) -> int:
        """How many bytes may be read at `at` of `slab`; many."""
        if nc.SLAB - self.at < nc.ROOM:
            self.pool.put(self.slab)
            self.pool.reclaim()
            self.slab = self.pool.get()
            self.at = 0
        return nc.SLAB - self.at

    def take(self, n: int) -> "bytes | memoryview":
        """The `n` bytes that were read, for whoever keeps them."""
        o = self.at
        if n < nc.COPY:
            return raw.take(self.slab.buf, o, n)
        self.at = o + n
        return raw.view(self.slab.buf, o, n).toreadonly()

    def rest(self) -> None:
        """From time to time: what readers hold is theirs, and what was free goes back. Else a burst of slow readers costs the
        memory that it needed for as long as the router lives."""
        self.pool.lent.clear()
        self.pool.free.clear()


class Owner:
    """Who makes relays, as they see it (tcp.py)."""

    __slots__ = ()

    def connected(self, relay: "Relay", error: int, now: int) -> None:
        """The socket is connected, or could not be: an errno."""
        raise NotImplementedError

    def opened(self, relay: "Relay", now: int) -> None:
        """The guest has completed the handshake."""
        raise NotImplementedError

    def over(self, relay: "Relay", error: "Exception | None", now: int) -> None:
        """Nothing is left of it. None: both sides ended in order."""
        raise NotImplementedError

    def inspect(self, relay: "Relay", final: bool, now: int) -> None:
        """The guest has said more; with `final` there will be no more before this has been answered."""
        raise NotImplementedError


class Relay(Watched):
    """`sent` and `received` count bytes from and to the guest, `last` is when there were some."""

    __slots__ = (
        "asked", "at", "conn", "end_out", "ending", "error", "fd", "flow", "full", "gone", "inspected", "last", "out",
        "out_bytes", "owner", "poller", "purse_at", "purse_in", "purse_out", "quick", "rate", "readable", "received", "request",
        "reset", "sent", "share", "shut", "slabs", "state", "tag", "timer", "timers", "tos", "waiting", "writes",
    )  # fmt: skip

    def __init__(
        self, owner: Owner, poller: Poller, slabs: Slabs, timers: Timers, fd: int, request: Request, flow: Any, now: int
    ) -> None:
        self.owner = owner
        self.poller = poller
        self.slabs = slabs
        self.timers = timers
        self.fd = fd
        self.request = request
        self.tos = 0 if request is None else request.tos & nc.DSCP  # none was held where the guest is connected to
        self.flow = flow
        self.tag: Any = None  # the owner's
        self.conn: Connection | None = None
        self.state = nc.CONNECTING
        self.error: Exception | None = None
        self.last = now
        self.sent = 0
        self.received = 0
        self.out: list[bytes | memoryview] = []  # from the guest, not yet the socket's
        self.at = 0  # what of the first piece is the socket's
        self.out_bytes = 0
        self.quick = False  # it sends at once, whatever is still on its way (TCP_NODELAY)
        self.writes = True  # the socket takes more
        self.end_out = False  # the guest has ended its side …
        self.shut = False  # … and the far side knows
        self.readable = False  # there may be more to read
        self.ending = False  # a short read doesn't mean that there is no more: an end is behind it
        self.full = False  # the connection has enough
        self.waiting = False  # `resume` will come
        self.asked = False  # ICMP errors are queued while it connects
        self.reset = False  # the far side shall know that it ended badly
        self.gone = False  # the connection is over, and what came from it must still go on
        self.inspected = False  # what comes is kept back until somebody has looked at it
        self.rate = 0  # bytes a second, 0 for no limit
        self.share: Share | None = None  # what it has in common with others of its guest
        self.purse_out = 0
        self.purse_in = 0
        self.purse_at = now
        self.timer: CallTimer | None = None

    # -- beginning ------------------------------------------------------------------------------------------------------------

    def accept(self, now: int) -> bool:
        """The far side has answered: so is the guest. False when it has gone meanwhile, and so is this."""
        if self.asked:
            sysio.forget_errors(self.fd)
        self.state = nc.ACCEPTED
        if self.request.accept(self.take_over, now) is not None:
            return True
        self.cut(now)
        return False

    def accept_reset(self, error: int, now: int) -> None:
        """The far side had answered, and has reset since. So it is for the guest: a connection, and then a reset; "refused" would
        say that nobody listens."""
        self.error = OSError(error, os.strerror(error))
        self.accept(now)

    def take_over(self, conn: Connection) -> StreamUser:
        self.conn = conn
        conn.fin_waits = True  # the far side's FIN is often a moment away, and goes with it
        return self

    def connected(self, now: int) -> None:
        self.state = nc.OPEN
        self.conn.set_nodelay(True, now)  # type: ignore[union-attr]  # what comes in pieces goes on in pieces
        self.owner.opened(self, now)
        if self.error is not None and self.state == nc.OPEN:
            self.conn.abort(now)  # type: ignore[union-attr]  # the far side has reset meanwhile
        elif self.readable and self.state == nc.OPEN:
            self.pull(now)

    # -- guest to host --------------------------------------------------------------------------------------------------------

    def data(self, f: Frame, n: int, now: int) -> None:
        o = f.off
        self.last = now
        if self.sent and not self.quick:
            self.hurry()
        self.sent += n
        if f.tos & nc.DSCP != self.tos:
            self.mark(f.tos & nc.DSCP)
        if self.writes and not self.out and not self.inspected and not self.rate:
            k = sysio.send(self.fd, f.buf, o, n)
            if k == n:
                return
            if k < 0:
                if k != -sysio.AGAIN:
                    self.broken(-k, now)
                    return
                k = 0
            self.writes = False
            f.off = o + k
            self.put(keep(f, n - k), n - k)
            f.off = o
            return
        self.put(keep(f, n), n)
        self.after_put(now)

    def hurry(self) -> None:
        """What comes in pieces goes on in pieces. Not asked for before the second: the first has nothing to wait for."""
        self.quick = True
        sysio.hurry(self.fd)

    def mark(self, tos: int) -> None:
        """The guest has changed the class of what it sends."""
        self.tos = tos
        sysio.mark(self.fd, tos)

    def queued(self, data: bytes, now: int) -> None:
        self.last = now
        if self.sent and not self.quick:
            self.hurry()
        self.sent += len(data)
        self.put(data, len(data))
        self.after_put(now)

    def lent(self, data: memoryview, now: int) -> None:
        self.last = now
        if self.sent and not self.quick:
            self.hurry()
        self.sent += len(data)
        self.put(data, len(data))
        self.after_put(now)

    def put(self, data: "bytes | memoryview", n: int) -> None:
        """Keep it, and the guest's window smaller by as much."""
        self.out.append(data)
        self.out_bytes += n
        self.conn.hold(n)  # type: ignore[union-attr]  # it has come from there

    def after_put(self, now: int) -> None:
        if self.inspected:
            self.owner.inspect(self, self.out_bytes >= nc.FIRST, now)
        elif self.writes:
            self.flush(now)

    def first(self) -> bytes:
        """What an inspector is shown."""
        return b"".join(self.out)[:nc.FIRST]

    def let_pass(self, now: int) -> None:
        """The inspector is satisfied."""
        self.inspected = False
        self.flush(now)

    def flush(self, now: int) -> None:
        """As much as the socket takes, and the purse pays. Then the end, when its turn has come."""
        out = self.out
        while out and self.writes and not self.inspected:
            if self.rate:
                if not self.pays(now):
                    return
                k = sysio.send_many(self.fd, out[:1], self.at)
                if k > 0:
                    self.purse_out -= k
                    if self.share is not None:
                        self.share.there.take(k, now)
            else:
                k = sysio.send_many(self.fd, out, self.at)
            if k < 0:
                if k != -sysio.AGAIN:
                    self.broken(-k, now)
                    return
                self.writes = False
                return
            self.release(k)
            if not self.gone:
                self.conn.let_go(k, now)  # type: ignore[union-attr]
        if not out and self.end_out and not self.shut and not self.inspected:
            self.shut = True
            sysio.shut(self.fd)
            if self.gone:
                self.finish(now)

    def release(self, k: int) -> None:
        """The socket has taken `k` more bytes."""
        self.out_bytes -= k
        k += self.at
        i = 0
        while i < len(self.out):
            size = len(self.out[i])
            if k < size:
                break
            k -= size
            i += 1
        self.at = k
        if i:
            raw.behead(self.out, i)

    def eof(self, now: int) -> None:
        self.end_out = True
        if self.inspected:
            self.owner.inspect(self, True, now)
        else:
            self.flush(now)

    # -- host to guest --------------------------------------------------------------------------------------------------------

    def ready(self, events: int, now: int) -> None:
        if events & nc.READ:
            self.readable = True
        if self.state == nc.CONNECTING:
            if events & (nc.WRITE | nc.ENDING):
                self.ending = (events & nc.ENDING) != 0
                self.owner.connected(self, sysio.error_of(self.fd), now)
            return
        if events & nc.ENDING:
            self.readable = True
            self.ending = True
            if events & nc.ERROR:
                error = sysio.error_of(self.fd)
                if error:
                    self.broken(error, now)
                    return
        if events & nc.WRITE and not self.writes:
            self.writes = True
            self.flush(now)
        if self.readable and not self.full and not self.waiting and self.state == nc.OPEN and not self.gone:
            self.pull(now)

    def resume(self, now: int) -> None:
        self.waiting = False
        if self.readable and not self.full and self.state == nc.OPEN and not self.gone:
            self.pull(now)

    def pull(self, now: int) -> None:
        """Read, as long as there is something and the guest's connection has room."""
        conn = self.conn
        share = nc.SHARE
        while True:
            room = self.slabs.room()
            if self.rate:
                if not self.pays_in(now):
                    return
                if room > self.purse_in:
                    room = self.purse_in
            n = sysio.receive(self.fd, self.slabs.slab.buf, self.slabs.at, room)
            if n <= 0:
                self.readable = False
                if n == 0:
                    conn.shutdown(now)  # type: ignore[union-attr]  # an open relay has one
                elif n != -sysio.AGAIN:
                    self.broken(-n, now)
                return
            self.last = now
            self.received += n
            self.purse_in -= n
            if self.share is not None:
                self.share.back.take(n, now)
            conn.write_one(self.slabs.take(n), now)  # type: ignore[union-attr]
            if self.state != nc.OPEN:
                return  # the device has failed meanwhile, perhaps
            if not conn.below_high():  # type: ignore[union-attr]
                self.full = True
                return
            if n < room and not self.ending:
                self.readable = False  # a stream that gives less than it was asked for has no more (epoll(7))
                return
            share -= n
            if share <= 0:
                self.waiting = True
                self.poller.again(self)
                return

    def writable(self, now: int) -> None:
        self.full = False
        if self.readable and not self.waiting and self.state == nc.OPEN:
            self.pull(now)

    # -- a rate ---------------------------------------------------------------------------------------------------------------

    def limit(self, rate: int, share: "Share | None", now: int) -> None:
        """At most so many bytes a second, each way; 0: as many as there are. `share`: and no more than is left there."""
        self.share = share
        self.rate = rate
        self.purse_at = now
        self.purse_in = self.purse_out = most_of(rate)

    def fill(self, now: int) -> None:
        """What has come into both purses since the last time."""
        if now - self.purse_at < nc.TICK:
            return
        most = most_of(self.rate)
        came = self.rate * (now - self.purse_at) // const.SECOND
        self.purse_at = now
        self.purse_in = min(most, self.purse_in + came)
        self.purse_out = min(most, self.purse_out + came)

    def pays(self, now: int) -> bool:
        """Is there something for the way out? A piece may cost more than there is, and is paid off later."""
        self.fill(now)
        if self.purse_out > 0 and (self.share is None or self.share.there.wait(now) == 0):
            return True
        self.look_again(now)
        return False

    def pays_in(self, now: int) -> bool:
        self.fill(now)
        if self.purse_in > 0 and (self.share is None or self.share.back.wait(now) == 0):
            return True
        self.look_again(now)
        return False

    def look_again(self, now: int) -> None:
        if self.timer is None:
            self.timer = CallTimer(self.tick)
        self.timers.arm(self.timer, now + nc.TICK)

    def tick(self, now: int) -> None:
        if self.state == nc.OPEN:
            if self.writes:
                self.flush(now)
            if self.readable and not self.full and not self.waiting and self.state == nc.OPEN and not self.gone:
                self.pull(now)

    # -- ends -----------------------------------------------------------------------------------------------------------------

    def broken(self, error: int, now: int) -> None:
        """The far side, or the way there."""
        if self.error is None:
            self.error = OSError(error, os.strerror(error))
        if self.state == nc.ACCEPTED:
            return  # the guest is told as soon as it has its connection: a reset in place of the SYN,ACK would be a refusal
        if self.gone or self.conn is None:
            self.cut(now)
        else:
            self.conn.abort(now)  # which comes back as `closed`

    def closed(self, error: "Exception | None", now: int) -> None:
        self.gone = True
        if error is not None or self.state != nc.OPEN:
            if self.error is None:
                self.error = error or PeerReset()
            self.cut(now)
        elif not self.out:
            self.finish(now)  # both have ended, and everything has gone on

    def abort(self, now: int) -> None:
        """Reset both, whatever they are doing."""
        if self.error is None:
            self.error = Aborted()
        if self.conn is not None and not self.gone:
            self.conn.abort(now)
        else:
            self.cut(now)

    def cut(self, now: int) -> None:
        """The far side is reset, or, where it hasn't answered yet, forgotten."""
        self.reset = self.state != nc.CONNECTING
        self.finish(now)

    def finish(self, now: int) -> None:
        if self.state == nc.OVER:
            return
        self.state = nc.OVER
        if self.timer is not None:
            self.timers.cancel(self.timer)
        if self.out:
            if self.conn is not None:
                self.conn.let_go(self.out_bytes, now)
            self.out = []
            self.out_bytes = 0
        self.poller.drop(self.fd)
        sysio.close(self.fd, self.reset)
        self.owner.over(self, self.error, now)

    def give_away(self) -> int:
        """The socket is somebody else's from now on, and this is over, untold."""
        self.state = nc.OVER
        self.poller.forget(self.fd)
        return self.fd


def most_of(rate: int) -> int:
    """What a purse holds: a tenth of a second's bytes, and two segments at the least."""
    return max(rate // 10, 3000)
