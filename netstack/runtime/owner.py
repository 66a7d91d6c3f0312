"""Who may touch the stacks of an event loop: one thread at a time, and which one it is.

A stack has no locks: whoever turns its crank is the only one who may call it. While a loop runs that is the loop's thread. The
blocking face is called from anywhere, so each of its calls is made *where the owner is*:

    the loop runs in another thread     the call is handed to it, and the caller sleeps on a lock until it is done, or until its
                                        time is over
    called from a callback of the loop  the caller is the owner: it makes the call, and turns the cranks itself while that waits
    the loop stands still               the thread that made the net (its home) is the owner, and turns the cranks while it waits;
                                        other threads hand their calls over, to whoever runs next, home or the loop

Home alone may turn a loop's cranks while the loop stands, for one reason: a loop doesn't say when it starts, and any other thread
could find itself in a crank that `run_until_complete` has begun to turn as well. Home can't do both. While a thread turns the
cranks itself no callback of the loop runs; but calls that others hand over are served, so that a client in a thread and a server
in the loop's don't wait for each other.

Inside a turn (an asyncio protocol's `data_received`) nobody may wait: what arrives next could not be told to anybody. A call that
would have to raises UsageError, and any other is made.

A *call* is a function that is tried until it doesn't raise BlockingIOError: at once, and again whenever its socket has become
ready. It is claimed by a lock: while the owner tries, the caller can't give up, and what a call has taken from a socket is never
lost to a time-out that came at the same moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ..errors import ClosedError, UsageError
from ..instant import NEVER, SECOND
from ..sockets import const as c
from ..sockets.base import Socket
from .base import Crank
from .helm import PATIENCE, Helm

T = TypeVar("T")
READ = c.POLLIN | c.POLLRDHUP | c.POLLHUP | c.POLLERR
WRITE = c.POLLOUT | c.POLLHUP | c.POLLERR
LONG = 1e9  # milliseconds, eleven days: poll(2) takes no more than an int
LOOK = 1.0  # seconds after which one who sleeps looks whether the loop was closed: a loop tells nobody


class NetClosed(ClosedError, OSError):
    """The net of this socket was closed."""

    def __init__(self, message: str = "the net of this socket was closed") -> None:
        OSError.__init__(self, errno.ENETDOWN, message)


class Home(Protocol):
    """What an owner needs of whatever runs its stacks."""

    def post(self, fn: Callable[[], object], /) -> None:
        """Call `fn()` soon where the loop runs; from any thread. Raises RuntimeError when it is closed."""

    def soon(self, fn: Callable[[], object], /) -> None:
        """The same, from that thread."""

    def inside(self) -> bool:
        """Is this thread the one that may touch the stacks now?"""

    def stands(self) -> bool:
        """Does no loop run in this thread?"""

    def runs(self) -> bool:
        """Does the loop run, in whatever thread?"""

    def closed(self) -> bool: ...


class Reactor(Protocol):
    """What it needs of the reactor of a crank that it turns itself."""

    def hold(self, on: bool, /) -> None:
        """Ask nothing of the loop from now on, or ask it again."""

    def wanted(self) -> bool:
        """While held: has a device without a descriptor asked for a turn? Says it once."""


class LoopHome:
    """An asyncio loop. `thread` is its home."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        self._loop = weakref.ref(loop)  # or the table of owners would keep it
        self._thread = thread

    def _living(self) -> asyncio.AbstractEventLoop:
        loop = self._loop()
        if loop is None:
            raise RuntimeError("the loop is gone")
        return loop

    def post(self, fn: Callable[[], object]) -> None:
        self._living().call_soon_threadsafe(fn)

    def soon(self, fn: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # it is closed, and who waits sees that by himself
            self._living().call_soon(fn)

    def inside(self) -> bool:
        loop = self._loop()
        if loop is None:
            return False
        if asyncio._get_running_loop() is loop:
            return True
        return threading.get_ident() == self._thread and not loop.is_running() and not loop.is_closed()

    def stands(self) -> bool:
        return asyncio._get_running_loop() is None

    def runs(self) -> bool:
        loop = self._loop()
        return loop is not None and loop.is_running()

    def closed(self) -> bool:
        loop = self._loop()
        return loop is None or loop.is_closed()


_owners: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Owner] = weakref.WeakKeyDictionary()


def owner_of(loop: asyncio.AbstractEventLoop, thread: int) -> Owner:
    """The one of this loop, whose home is `thread`. Two threads may not make it at the same time."""
    owner = _owners.get(loop)
    if owner is None:
        owner = _owners[loop] = Owner(LoopHome(loop, thread))
        owner.helm = getattr(loop, "helm", None)
        if owner.helm is not None:
            owner.helm.ring = owner.ring
    return owner


class Call:
    """Something to be done to a socket, tried until it doesn't have to wait."""

    __slots__ = ("attempt", "claim", "core", "done", "error", "finished", "mask", "owner", "queued", "result", "tried", "watching")

    def __init__(self, owner: Owner, core: Socket | None, mask: int, attempt: Callable[[], Any]) -> None:
        self.owner = owner
        self.core = core  # None: it never has to wait
        self.mask = mask
        self.attempt = attempt
        self.claim = threading.Lock()
        self.done = threading.Lock()
        self.done.acquire()
        self.finished = False
        self.queued = False
        self.tried = False
        self.watching = False
        self.result: Any = None
        self.error: BaseException | None = None

    # -- where the owner is ---------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Try it, unless the caller has given up."""
        self.queued = False
        if not self.claim.acquire(blocking=False):
            return
        try:
            if self.finished:
                return
            self.result = self.attempt()
        except BlockingIOError as error:
            self.tried = True
            if self.core is None or self.mask == 0:
                self.finish(error)
            elif not self.watching:
                self.watching = True
                self.owner.waiting.add(self)
                self.core.watch(self.stirred)
        except BaseException as error:
            self.finish(error)
            if not isinstance(error, Exception):
                raise  # the loop's thread was interrupted, and wants to know
        else:
            self.finish(None)
        finally:
            self.claim.release()

    def stirred(self) -> None:
        """The socket has changed, perhaps inside a turn: try again after it."""
        core = self.core
        assert core is not None
        if not self.queued and (core.closed or core.events() & self.mask):
            self.queued = True
            self.owner.again(self)

    def finish(self, error: BaseException | None) -> None:
        self.finished = True
        self.error = error
        self.forget()
        self.done.release()

    def forget(self) -> None:
        if self.watching:
            self.watching = False
            self.owner.waiting.discard(self)
            assert self.core is not None
            self.core.unwatch(self.stirred)

    def drop(self) -> None:
        """Nobody wants it any more; nor what it gave, if that is a connection."""
        self.forget()
        if isinstance(self.result, tuple) and isinstance(self.result[0], Socket):
            self.result[0].close()

    # -- where the caller is -----------------------------------------------------------------------------------------------------

    def give_up(self) -> bool:
        """The caller waits no longer. False: too late, it is done."""
        self.claim.acquire()  # a try is short: it never waits
        if self.finished:
            self.claim.release()
            return False
        return True  # and never released: nobody will try again

    def value(self) -> Any:
        if self.error is not None:
            try:
                raise self.error
            finally:
                self.error = None  # its traceback leads here
        return self.result


class Owner:
    """The calls on the stacks of one loop."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.waiting: set[Call] = set()
        self.turning = 0
        self.cranks: dict[Crank, Reactor] = {}
        self.queue: deque[Call | Callable[[], object]] = deque()
        self._posted = False
        self._draining = False
        self.helm: Helm | None = None  # of a loop that says when it runs
        self._bell = -1  # wakes who turns by hand; kept, since another thread may be about to ring it

    def ring(self) -> None:
        """Wake whoever turns by hand."""
        if self.turning:
            os.eventfd_write(self._bell, 1)

    def bell(self) -> int:
        if self._bell < 0:
            self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return self._bell

    def __del__(self) -> None:
        if self._bell >= 0:
            os.close(self._bell)

    def join(self, crank: Crank, reactor: Reactor) -> None:
        """A stack that lives on this loop."""
        self.cranks[crank] = reactor

    def leave(self, crank: Crank) -> None:
        self.cranks.pop(crank, None)

    # -- what faces call ------------------------------------------------------------------------------------------------------

    def do(self, fn: Callable[[], T]) -> T:
        """The value of `fn()`, which never waits, called where the owner is."""
        value: T = self.wait(None, 0, fn, None)
        return value

    def wait(self, core: Socket | None, mask: int, attempt: Callable[[], Any], timeout: float | None) -> Any:
        """The value of `attempt()`, tried until it doesn't raise BlockingIOError: now, and whenever `core` has one of the events in
        `mask`. With `mask` 0 it is tried once, and that is not timed. `timeout` in seconds, None for ever. Raises
        TimeoutError("timed out") as sockets do, NetClosed, UsageError inside a turn, and what `attempt` raises."""
        if self.home.inside():
            if self.helm is None or self.helm.mine():
                return self._wait_here(core, mask, attempt, timeout)
            self.helm.take()
            try:
                return self._wait_here(core, mask, attempt, timeout)
            finally:
                self.helm.let_go()
        call = Call(self, core, mask, attempt)
        self._hand_over(call)
        until = None if timeout is None or mask == 0 else time.monotonic() + timeout
        try:
            while not call.done.acquire(timeout=self._patience(call, until)):
                if self.home.closed():
                    raise NetClosed("the event loop of this socket was closed")
                if until is not None and call.tried and time.monotonic() >= until:
                    raise TimeoutError("timed out")
                if self.helm is not None and self.helm.borrow():
                    try:
                        self._turn_for(call, until)
                    finally:
                        self.helm.let_go()
        except BaseException as error:
            if not call.give_up() and isinstance(error, TimeoutError | NetClosed):
                return call.value()  # it was done at the same moment
            self.tell(call.drop)
            raise
        return call.value()

    def _patience(self, call: Call, until: float | None) -> float:
        """Seconds to sleep now. However little time a call has, it is tried once: what lies there is not timed."""
        look = LOOK if self.helm is None or self.home.runs() else PATIENCE
        if until is None:
            return look
        left = until - time.monotonic()
        return min(look, left if left > 0 else 0.0 if call.tried else 0.001)

    def _turn_for(self, call: Call, until: float | None) -> None:
        """The loop stands, and its home does something else: turn the stacks for `call`, until somebody of the two wants to."""
        assert self.helm is not None
        end = None if until is None else int(until * SECOND)
        with _Turning(self) as turning:
            while True:
                self.drain()
                if call.finished or self.helm.wanted or (end is not None and time.monotonic_ns() >= end):
                    return
                turning.turn(end)

    def tell(self, fn: Callable[[], object]) -> None:
        """Call `fn()` where the owner is, now or a moment later; nobody waits for it. Nothing when the loop is closed."""
        if not self.home.inside():
            self.later(fn)
        elif self.helm is None or self.helm.mine():
            fn()
        else:
            self.helm.take()
            try:
                fn()
            finally:
                self.helm.let_go()

    def later(self, fn: Callable[[], object]) -> None:
        """As `tell`, and never at once: for finalizers, which may run in the middle of anything."""
        with contextlib.suppress(NetClosed):
            self._hand_over(fn)

    def _hand_over(self, what: Call | Callable[[], object]) -> None:
        self.queue.append(what)
        if not self._posted:
            self._posted = True
            try:
                self.home.post(self.drain)
            except RuntimeError:
                self._posted = False
                raise NetClosed("the event loop of this socket was closed") from None
        self.ring()

    # -- where the owner is ------------------------------------------------------------------------------------------------------

    def again(self, call: Call) -> None:
        """Try it when the turn is over."""
        self.queue.append(call)
        if not self._draining and not self.turning:
            self._draining = True
            self.home.soon(self.drain)

    def drain(self) -> None:
        self._posted = self._draining = False  # first: what is appended from now on posts again
        queue = self.queue
        try:
            for _ in range(len(queue)):  # not what they add: the loop comes back for it
                if not queue:
                    break
                what = queue.popleft()
                if isinstance(what, Call):
                    what.step()
                else:
                    what()
        finally:
            if queue and not self._draining and not self.turning:
                self._draining = True
                self.home.soon(self.drain)

    # -- turning by hand ----------------------------------------------------------------------------------------------------------

    def _wait_here(self, core: Socket | None, mask: int, attempt: Callable[[], Any], timeout: float | None) -> Any:
        try:
            value = attempt()
        except BlockingIOError:
            if core is None or mask == 0:
                if self._idle():
                    self._turn_once()
                raise
        else:
            if self._idle():
                self._turn_once()
            return value
        if self._in_a_turn():
            raise UsageError(
                "a blocking call would have to wait inside a callback of the stack itself, and nothing could arrive meanwhile:"
                " make it from a thread, from another callback of the loop, or without blocking"
            )
        until = None if timeout is None else time.monotonic_ns() + int(timeout * SECOND)
        with _Turning(self) as turning:
            while True:
                turning.turn(until)
                if core.closed or core.events() & mask:
                    try:
                        return attempt()
                    except BlockingIOError:
                        pass
                if until is not None and time.monotonic_ns() >= until:
                    raise TimeoutError("timed out")

    def _in_a_turn(self) -> bool:
        return any(crank.turning for crank in list(self.cranks))

    def _idle(self) -> bool:
        return not self.turning and self.home.stands() and not self._in_a_turn()

    def _turn_once(self) -> None:
        """The loop stands: what was just asked for is sent, and what has come is taken, without waiting. Who asks again and again
        without ever waiting would else never see an answer."""
        with _Turning(self) as turning:
            turning.turn(0)


class _Turning:
    """A thread turns the cranks itself."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._cranks = list(owner.cranks)
        self._bell = owner.bell()

    def __enter__(self) -> _Turning:
        owner = self._owner
        if not owner.turning:
            for reactor in list(owner.cranks.values()):
                reactor.hold(True)
        owner.turning += 1
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)
        for crank in self._cranks:
            fd = crank.stack.netif.fileno()
            if fd is not None:
                self._poll.register(fd, select.POLLIN)
        return self

    def turn(self, until: int | None) -> None:
        """Wait until a device, a deadline, a call from elsewhere or `until`, an instant in ns; then do what there is to do."""
        owner = self._owner
        owner.drain()
        if any(fd == self._bell for fd, _ in self._poll.poll(self._wait(until))):
            os.eventfd_read(self._bell)
        now = time.monotonic_ns()
        for crank in self._cranks:
            if crank.stack.next_deadline() <= now:
                crank.on_deadline()
            crank.on_frames()
        owner.drain()

    def _wait(self, until: int | None) -> float | None:
        """Milliseconds; None for ever."""
        owner = self._owner
        wanted = [reactor.wanted() for reactor in list(owner.cranks.values())]
        if owner.queue or any(wanted):
            return 0
        deadline = min((crank.stack.next_deadline() for crank in self._cranks), default=NEVER)
        if until is not None and until < deadline:
            deadline = until
        if deadline >= NEVER:
            return None
        return min(max(0.0, (deadline - time.monotonic_ns()) / 1e6), LONG)

    def __exit__(self, *exc: object) -> None:
        owner = self._owner
        owner.turning -= 1
        if not owner.turning:
            for reactor in list(owner.cranks.values()):
                reactor.hold(False)
            if owner.queue:
                owner.home.soon(owner.drain)
