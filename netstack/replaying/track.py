"""Steps that wait for each other: those of the whole capture, of one connection that is late, or of one that is rearranged."""

from __future__ import annotations

from collections import deque

from .order import Rearrangement
from .steps import FIN, RST, SYN, SegmentStep, Step
from .talk import TcpPlay

MOST = 4096  # segments of a burst: what a window of 16 MiB holds in whole ones would be 11,000


class Track:
    """`since` is the instant at which it came to its present step, `last` the captured time of the step before."""

    def __init__(self, steps: list[Step], now: int, last: int = 0) -> None:
        self.steps = steps
        self.at = 0
        self.since = now
        self.last = last
        self.impatient = 0  # how often it has given up waiting

    @property
    def step(self) -> Step | None:
        """The one that it waits for."""
        return self.steps[self.at] if self.at < len(self.steps) else None

    @property
    def finished(self) -> bool:
        return self.at >= len(self.steps)

    def refill(self) -> bool:
        """At the end of its steps: are there more now?"""
        return False

    def split(self, step: Step, now: int) -> Track:
        """What is left of the talk of `step` goes on a track of its own, which is returned."""
        left = self.steps[self.at :]
        own = Track([each for each in left if each.talk is step.talk], now, self.last)
        self.steps, self.at, self.since = [each for each in left if each.talk is not step.talk], 0, now
        return own


class Burst(Track):
    """One connection whose segments are played in another order, burst by burst. Resets stay where they are, at the end."""

    def __init__(self, play: TcpPlay, rearrangement: Rearrangement, wait_answers: bool, now: int) -> None:
        steps = play.talk.steps
        super().__init__([step for step in steps if step.flags & SYN], now)  # there must be a connection
        self.play = play
        self.wait_answers = wait_answers
        theirs = [step for step in steps if not step.ours and not step.flags & SYN]
        self._rest = deque(step for step in theirs if not step.flags & RST)
        ours = [step for step in steps if step.ours and not step.flags & SYN and (step.payload or step.flags & (FIN | RST))]
        resets = [step for step in theirs if step.flags & RST][:1]
        before = [step for step in ours if not resets or step.number < resets[0].number]
        self._last: list[Step] = [*before[-1:], *resets, *([] if resets else ours[len(before) :][-1:])]
        self._rearrangement = rearrangement
        self._dice = rearrangement.dice(play.talk.name)

    @property
    def finished(self) -> bool:
        return super().finished and not self._rest and not self._last

    def refill(self) -> bool:
        play = self.play
        burst: list[SegmentStep] = []
        end = play.sent
        while self._rest and len(burst) < MOST:
            step = self._rest[0]
            if not play.may(step, self.wait_answers) or (step.payload and max(end, step.end) > max(play.edge + 1, play.sent)):
                break
            end = max(end, step.end)
            burst.append(self._rest.popleft())
        if burst:
            self.steps = list(self._rearrangement.apply(burst, self._dice))
        elif not self._rest and self._last and not play.waits_for_ack:
            self.steps, self._last = self._last, []
        else:
            return False
        self.at = 0
        return True

    def drop(self) -> None:
        """Wait for nothing more."""
        self.steps, self.at, self._last = [], 0, []
        self._rest.clear()

    @property
    def blocked_by(self) -> Step | None:
        """What it waits for, between bursts too."""
        if self.step is not None:
            return self.step
        if self._rest:
            return self._rest[0]
        return self._last[0] if self._last else None
