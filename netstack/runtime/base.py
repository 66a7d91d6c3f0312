"""The turn of the crank, the same under every event loop.

The core never waits, so a runtime owes it very little: a clock, one armed deadline, and a call when frames wait. `Crank` is
what turns a stack with those; `asyncio.py` supplies them from an event loop.

    frames ready, or a deadline -> timers, one batch of frames, flush -> re-arm the one deadline if it moved
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..cores import Turn
from ..instant import NEVER, Instant
from ..sleeper import Sleeper
from ..stack import Stack


class Reactor(Protocol):
    """What a crank needs of an event loop."""

    @property
    def clock(self) -> Callable[[], int]:
        """Gives nanoseconds, and never goes back."""

    def arm(self, when: int, /) -> None:
        """Call `Crank.on_deadline` at `when`, in place of any instant asked for before."""

    def disarm(self) -> None:
        """Forget the deadline."""

    def soon(self) -> None:
        """Call `Crank.on_frames` soon, once, from the loop."""

    def watch(self, fd: int, /) -> None:
        """Call `Crank.on_frames` whenever `fd` is readable."""

    def unwatch(self, fd: int, /) -> None: ...

    def owed(self) -> bool:
        """Call `Crank.pay` before the loop waits. False where that can't be promised: then nothing is put off."""

    def idle(self) -> bool:
        """Does nothing wait in the loop to be run before what would be asked for now? False where that is not known."""


class Turned(Protocol):
    """What a reactor calls: a Crank, or whatever else lives on frames and deadlines."""

    def on_frames(self) -> None: ...
    def on_deadline(self) -> None: ...


class Teller:
    """Who has something to tell programs when a turn is over, in its place behind all that the loop has been asked for before.

    Where the loop has called for the turn and nothing else waits in it, that place is right here; a round through the loop's queue
    costs as much as answering a segment.
    """

    __slots__ = ()

    def tell(self) -> None:
        raise NotImplementedError

    def tell_soon(self) -> None:
        """Let the loop call `tell`."""
        raise NotImplementedError


class Edges:
    """Who has sockets of the host's in a StackSelector's own epoll, edge-triggered. `events`: descriptors and what became of them,
    for `on_frames`, which is called once for all of them."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        self.events: list[tuple[int, int]] = []

    def on_frames(self) -> None:
        raise NotImplementedError


class Crank(Turn):
    """Turns one stack. `failure` is the error that took the device away, if one did; `on_failure` is told once.

    A turn has one instant: what a program asks of the stack from inside a callback happens at the `now` of the batch, and the
    deadline is looked at once, when the turn is over.

    Tasks that wait for what a turn brings run right after it (`rouse`, sleeper.py), and not an iteration of the loop later: where
    the loop has called for the turn, no task is running. Protocols hear of their ends there, too (`after`).

    What a program writes outside of a turn may be put off as well (`owe`), to the moment before the loop waits: head and body of a
    response are one segment then, and one system call. uvloop does the same for kernel's sockets.
    """

    __slots__ = (
        "_armed", "_device_deadline", "_fd", "_instant", "_poll", "_reactor", "_running", "_tellers", "after_turn", "clock",
        "failure", "on_failure", "owing", "roused", "stack", "timers", "turning",
    )  # fmt: skip

    def __init__(self, stack: Stack, reactor: Reactor, on_failure: Callable[[OSError], None]) -> None:
        self.stack = stack
        self.timers = stack.timers
        self.failure: OSError | None = None
        self.on_failure = on_failure
        self.after_turn: Callable[[], None] | None = None
        self.clock = reactor.clock
        self.turning = False
        self.owing = False  # what was written waits for `pay`
        self.roused: deque[Sleeper] = deque()  # in this turn
        self._tellers: list[Teller] = []
        self._instant = 0
        self._reactor = reactor
        self._armed: int = NEVER
        self._running = False
        self._fd: int | None = None
        # looked up once: a wrapper in Python and a compiled device are called alike
        self._poll: Callable[[int], bool] = stack.netif.poll  # type: ignore[assignment]  # an Instant is an int
        self._device_deadline = stack.netif.next_deadline

    def start(self) -> None:
        netif = self.stack.netif
        self._running = True
        self._fd = netif.fileno()
        if self._fd is not None:
            self._reactor.watch(self._fd)
        netif.set_waker(self._reactor.soon)
        self._reactor.soon()

    def stop(self) -> None:
        """Let go of the loop. The stack stays as it is."""
        if not self._running:
            return
        self.pay()
        self._running = False
        self.stack.netif.set_waker(None)
        if self._fd is not None:
            self._reactor.unwatch(self._fd)
            self._fd = None
        self._reactor.disarm()
        self._armed = NEVER

    def now(self) -> int:
        """The instant at which what is asked for now happens."""
        return self._instant if self.turning else self.clock()

    def on_frames(self) -> None:
        """Frames wait: hand up one batch. The loop comes back for more, so that other work gets its turn."""
        if self._running:
            self._turn(self._poll, self.clock())
            if self._tellers:
                self._tell(True)
            if self.roused:
                self._wake()

    def on_deadline(self) -> None:
        """Timers are due. Loops may wake a hair early, and a core must never see that."""
        if self._running:
            now = max(self._armed, self.clock())
            self._armed = NEVER
            self._turn(self.stack.run, now)  # type: ignore[arg-type]  # an Instant is an int
            if self._tellers:
                self._tell(True)
            if self.roused:
                self._wake()

    def owe(self) -> None:
        """From now on what is written waits for `pay`, which the loop calls in time. Nothing where it can't, and inside a turn,
        whose end does the same."""
        if not self.turning and self._running and self._reactor.owed():
            self.owing = True
            self.stack.tcp.gather()

    def pay(self) -> None:
        """Send what was put off."""
        if self.owing:
            self.owing = False
            if self._running:
                self._turn(self.stack.settle, self.clock())  # type: ignore[arg-type]  # an Instant is an int
            if self._tellers:
                self._tell(False)
            while self.roused:  # whoever stops the crank is a task, and pays
                self.roused.popleft().wake_soon()

    def rouse(self, sleeper: Sleeper) -> None:
        """Wake it when the turn is over, or by way of the loop where none is."""
        if self.turning:
            self.roused.append(sleeper)
        else:
            sleeper.wake_soon()

    def after(self, teller: Teller) -> None:
        """Let it tell when the turn is over; by way of the loop where there is no turn, or where something waits in it."""
        if self.turning:
            self._tellers.append(teller)
        else:
            teller.tell_soon()

    def _tell(self, called: bool) -> None:
        """`called`: by the loop, and so by no task that could be disturbed."""
        tellers = self._tellers
        self._tellers = []
        for teller in tellers:
            if called and self._reactor.idle():  # each of them may ask the loop for something
                teller.tell()
            else:
                teller.tell_soon()

    def _wake(self) -> None:
        roused = self.roused
        while roused:
            roused.popleft().wake()

    def turn(self, work: Callable[[int], bool]) -> None:
        """Do `work(now)` as one turn of the stack, with one instant; inside of a turn as a part of that. Nothing after `stop`."""
        if self.turning:
            work(self._instant)
        elif self._running:
            self._turn(work, self.clock())
            if self._tellers:
                self._tell(False)

    def _turn(self, work: Callable[[int], bool], now: int) -> None:
        self.turning = True
        self._instant = now
        try:
            more = work(now)
        except OSError as error:
            self.turning = False
            self._fail(error)
            return
        except BaseException:
            # a fault has ended a batch early; the loop hears of it, and the next turn, at once, sends what the batch owed
            self._armed = self.clock()
            self._reactor.arm(self._armed)
            raise
        finally:
            self.turning = False
        if more and self._fd is None:
            self._reactor.soon()
        self.rearm()
        if self.after_turn is not None:
            self.after_turn()

    def rearm(self) -> None:
        """Move the loop's one timer, but only to an earlier instant: a late wake-up is a fault, an early one a trifle. Nothing
        inside a turn, whose end does it."""
        if self.turning or not self._running:
            return
        deadline = self.timers.next_deadline()
        device = self._device_deadline()
        if device is not None and device < deadline:
            deadline = device
        if deadline < self._armed:
            self._armed = deadline
            self._reactor.arm(self._armed)

    def _fail(self, error: OSError) -> None:
        self.failure = error
        self.stop()
        self.stack.tcp.abort_all(Instant(self.clock()))
        self.on_failure(error)
