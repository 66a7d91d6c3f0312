"""Who turns the stacks of a loop that stands still.

While the loop runs, its thread does. A loop that is one of ours (loopmix.py) says when it starts and when it stops, and that is
what this lock is: the loop holds it while it runs. So a thread that waits on a socket of a loop that stands, between two
`run_until_complete` perhaps, may turn the stacks itself, as a kernel would go on working for it, and lets go as soon as the loop
starts, or the thread that made the net wants to wait itself.

It does so only after a while: the loop's thread may be in the middle of a call that doesn't wait, between two runs of its loop, and
those take no lock. One that blocks for so long is waiting for something else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

PATIENCE = 0.02  # seconds


class Helm:
    """`ring` wakes whoever turns the stacks, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder = 0
        self.ring: Callable[[], object] | None = None  # while nobody has one, nobody turns but the loop
        self.wanted = 0

    def mine(self) -> bool:
        return self._holder == threading.get_ident()

    def take(self) -> None:
        """For the loop, and the thread that is its home: whoever has it lets go as soon as his turn is over."""
        if not self._lock.acquire(blocking=False):
            self.wanted += 1
            try:
                if self.ring is not None:
                    self.ring()
                self._lock.acquire()
            finally:
                self.wanted -= 1
        self._holder = threading.get_ident()

    def borrow(self) -> bool:
        """For anybody else: is it free?"""
        if self.wanted or not self._lock.acquire(blocking=False):
            return False
        self._holder = threading.get_ident()
        return True

    def let_go(self) -> None:
        self._holder = 0
        self._lock.release()
