"""What streams send in one iteration of the loop, given to the kernel together at its end.

A server answers as many requests in an iteration as have come. Sent one by one between the computations for each, every answer
wakes its reader anew; sent in a row, what is little costs the kernel half of it, and several pieces for one stream are one call.
uvloop's own transports do the same. A single answer leaves some microseconds later: an iteration that finds nothing to do.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Sender(Protocol):
    def push(self) -> None:
        """Give the kernel what waits; that may have happened already."""


class Outbox:
    """Of all streams of a net."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._senders: list[Sender] = []

    def add(self, sender: Sender) -> None:
        """`sender` is told to push before the loop waits."""
        if not self._senders:
            self.loop.call_soon(self._deliver)
        self._senders.append(sender)

    def _deliver(self) -> None:
        senders, self._senders = self._senders, []
        for sender in senders:
            sender.push()
