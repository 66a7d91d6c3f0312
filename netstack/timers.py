"""Deadlines of thousands of connections: a hierarchical wheel of intrusive timers.

A `Timer` is its own list node, so arming, moving and cancelling touch a few pointers and allocate nothing. The wheel has four
levels of 64 slots; a tick is 2**20 ns (1.05 ms), so the levels reach 67 ms, 4.3 s, 4.6 min and 4.9 h, and whatever lies
beyond waits in the last slot of the top level and is placed again from there. Ticks only sort: inside a slot the exact
deadlines decide, so a timer never fires early, and timers that are due together fire in the order of their deadlines.

Most timers are pushed back long before they are due: each ACK moves a connection's retransmission to later. So a timer that is
armed again for later stays in its slot and only its deadline changes: one store, where moving it would touch its neighbours in
two lists, four cache misses when there are 100,000 of them. The hand passes it on when it comes to the slot.

`soonest` is exact as long as nobody moved the timer that it came from; then it is found anew when somebody asks. For the
upper levels the start of the slot stands for its timers: the wake-up at that instant takes them down a level, at most one
wake-up for each slot that was ever reached.
"""

from . import const, raw

LEVELS = 4


class Timer:
    """One deadline. Derive from it and override `expire`; or use `CallTimer`."""

    __slots__ = ("level", "next", "placed", "prev", "slot", "when")

    def __init__(self) -> None:
        self.when = 0
        self.placed = 0  # the tick of the slot that it waits in: that of `when`, or an earlier one
        self.level = -1
        self.slot = 0
        self.prev: Timer = None  # type: ignore[assignment]  # both are None while it is not armed, and only then
        self.next: Timer = None  # type: ignore[assignment]

    def armed(self) -> bool:
        """Is it waiting in a wheel?"""
        return self.next is not None

    def expire(self, now: int) -> None:
        """The deadline has passed; the timer is no longer armed, and may be armed again from here."""
        raise NotImplementedError


class CallTimer(Timer):
    """A timer that calls a Python function with the instant at which it fires."""

    __slots__ = ("call",)

    def __init__(self, call: object) -> None:
        super().__init__()
        self.call = call

    def expire(self, now: int) -> None:
        self.call(now)  # type: ignore[operator]  # typed as object: the compiled attribute can't name a callable's shape


class Timers:
    """The wheel. Instants are nanoseconds; `now` never goes back."""

    __slots__ = ("bits0", "bits1", "bits2", "bits3", "count", "due", "heads", "soonest", "stale", "tick")

    def __init__(self, now: int) -> None:
        self.tick = now >> const.TICK_SHIFT
        self.heads: list[Timer] = []
        for _ in range(64 * LEVELS):
            head = Timer()
            head.prev = head.next = head
            self.heads.append(head)
        self.due = Timer()  # the ring of those that `run` is about to fire
        self.due.prev = self.due.next = self.due
        self.bits0 = 0
        self.bits1 = 0
        self.bits2 = 0
        self.bits3 = 0
        self.count = 0
        self.soonest = const.NEVER
        self.stale = False

    def arm(self, t: Timer, when: int) -> None:
        """Fire `t` at the first `run` at or after `when`, in place of any deadline that it had."""
        if t.next is not None:
            if t.level >= 0 and when >> const.TICK_SHIFT >= t.placed:
                if t.when <= self.soonest:
                    self.stale = True
                t.when = when
                if when < self.soonest:
                    self.soonest = when
                return
            self.unlink(t)
        t.when = when
        self.place(t)
        self.count += 1
        if when < self.soonest:
            self.soonest = when

    def cancel(self, t: Timer) -> None:
        """Forget the deadline of `t`, if it has one."""
        if t.next is not None:
            self.unlink(t)

    def place(self, t: Timer) -> None:
        tick = t.when >> const.TICK_SHIFT
        if tick < self.tick:
            tick = self.tick  # overdue: the next run takes it
        delta = tick - self.tick
        if delta < 64:
            t.level = 0
            t.slot = tick & 63
            self.bits0 = raw.set_bit(self.bits0, t.slot)
        elif delta < 4096:
            t.level = 1
            t.slot = tick >> 6 & 63
            self.bits1 = raw.set_bit(self.bits1, t.slot)
        elif delta < 262144:
            t.level = 2
            t.slot = tick >> 12 & 63
            self.bits2 = raw.set_bit(self.bits2, t.slot)
        else:
            if delta >= 16515072:  # 63 slots of the top level: beyond, wait in the farthest one and be placed again
                tick = self.tick + 16515071
            t.level = 3
            t.slot = tick >> 18 & 63
            self.bits3 = raw.set_bit(self.bits3, t.slot)
        t.placed = tick
        self.link(self.heads[t.level << 6 | t.slot], t)

    def link(self, head: Timer, t: Timer) -> None:
        last = head.prev
        t.prev = last
        t.next = head
        last.next = t
        head.prev = t

    def detach(self, t: Timer) -> None:
        before = t.prev
        after = t.next
        before.next = after
        after.prev = before
        t.prev = t.next = None  # type: ignore[assignment]  # as above
        if before is after and t.level >= 0:  # the head alone is left
            if t.level == 0:
                self.bits0 = raw.clear_bit(self.bits0, t.slot)
            elif t.level == 1:
                self.bits1 = raw.clear_bit(self.bits1, t.slot)
            elif t.level == 2:
                self.bits2 = raw.clear_bit(self.bits2, t.slot)
            else:
                self.bits3 = raw.clear_bit(self.bits3, t.slot)

    def unlink(self, t: Timer) -> None:
        self.detach(t)
        self.count -= 1
        if not self.count:
            self.soonest = const.NEVER
            self.stale = False
        elif t.when <= self.soonest:
            self.stale = True

    def next_deadline(self) -> int:
        """The instant at which `run` is next worth a call; NEVER when no timer is armed."""
        if self.stale:
            self.find_soonest()
        return self.soonest

    def find_soonest(self) -> None:
        self.stale = False
        self.soonest = const.NEVER
        if not self.count:
            return
        far = raw.first_from(self.bits0, self.tick & 63)
        while far >= 0:
            tick = self.tick + far
            self.pass_on(tick)
            head = self.heads[tick & 63]
            t = head.next
            if t is not head:
                while t is not head:
                    if t.when < self.soonest:
                        self.soonest = t.when
                    t = t.next
                break
            far = raw.first_from(self.bits0, self.tick & 63)
        start = min(self.turn(self.bits1, 6), self.turn(self.bits2, 12), self.turn(self.bits3, 18))
        if start != const.NEVER and start << const.TICK_SHIFT < self.soonest:
            self.soonest = start << const.TICK_SHIFT

    def turn(self, bits: int, shift: int) -> int:
        """The tick at which the hand of an upper level comes to its next filled slot, NEVER if it holds none. The slot under the
        hand is the farthest one: its timers of this turn were taken down when the hand came to it."""
        at = self.tick >> shift
        far = raw.first_from(bits, (at + 1) & 63)
        if far < 0:
            return const.NEVER
        return (at + 1 + far) << shift

    def run(self, now: int) -> None:
        """Fire all that is due at `now`. A timer armed from within for `now` or before fires at the next call.

        What an `expire` raises comes out; the timers that were due with it fire at the next call.
        """
        target = now >> const.TICK_SHIFT
        if not self.count:
            if target > self.tick:
                self.tick = target
            return
        due = self.due
        self.collect(due, now)
        while self.tick < target:
            self.tick = self.next_stop(target)
            if not self.tick & 63:
                self.cascade()
            self.collect(due, now)
        self.stale = True
        try:
            while due.next is not due:
                t = due.next
                self.detach(t)
                self.count -= 1
                t.expire(now)
        finally:  # one that raised must not silence the others: they fire at the next run
            while due.next is not due:
                t = due.next
                self.detach(t)
                self.place(t)

    def next_stop(self, target: int) -> int:
        """The next tick with something to do: a filled slot of level 0, or one of an upper level to take down."""
        stop = min(target, self.turn(self.bits1, 6), self.turn(self.bits2, 12), self.turn(self.bits3, 18))
        far = raw.first_from(self.bits0, (self.tick + 1) & 63)
        if far >= 0 and self.tick + 1 + far < stop:
            stop = self.tick + 1 + far
        return stop

    def cascade(self) -> None:
        """The hand of level 0 has gone round: take the timers of the slot above down, and so on up."""
        if not self.tick & 262143:
            self.descend(3, self.tick >> 18 & 63)
        if not self.tick & 4095:
            self.descend(2, self.tick >> 12 & 63)
        self.descend(1, self.tick >> 6 & 63)

    def descend(self, level: int, slot: int) -> None:
        head = self.heads[level << 6 | slot]
        moving: list[Timer] = []
        while head.next is not head:
            t = head.next
            self.detach(t)
            moving.append(t)
        for t in moving:
            self.place(t)

    def pass_on(self, tick: int) -> None:
        """Move the timers of a slot of level 0 that have been armed again for a later tick than the slot's."""
        head = self.heads[tick & 63]
        t = head.next
        while t is not head:
            after = t.next
            if t.when >> const.TICK_SHIFT > tick:
                self.detach(t)
                self.place(t)
            t = after

    def collect(self, due: Timer, now: int) -> None:
        """Move what is due at the hand's tick to the ring `due`, in the order of deadlines."""
        head = self.heads[self.tick & 63]
        if head.next is head:
            return
        self.pass_on(self.tick)
        found: list[Timer] = []
        t = head.next
        while t is not head:
            if t.when <= now:
                found.append(t)
            t = t.next
        if len(found) > 1:
            found.sort(key=_when)
        for t in found:
            self.detach(t)
            t.level = -1
            self.link(due, t)


def _when(t: Timer) -> int:
    return t.when
