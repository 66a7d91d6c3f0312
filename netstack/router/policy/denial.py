"""What is told of each refusal, and the bounded memory of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import asdict, frozen

from .bucket import TokenBucket

# why it was denied, and the counter of it
COUNTERS = {
    "rule": "DeniedRule",
    "default": "DeniedDefault",
    "guarded": "DeniedGuarded",
    "rebinding": "DeniedRebinding",
    "spoofed": "DeniedSpoofed",
    "flood": "DeniedFlood",
    "mismatch": "DeniedMismatch",
    "nameless": "DeniedNameless",
    "malformed": "DeniedMalformed",
    "hook": "DeniedHook",
    "hook failed": "DeniedHookFailed",
    "hook timed out": "DeniedHookTimedOut",
    "question": "DeniedQuestion",
    "request": "DeniedRequest",
    "certificate": "DeniedCertificate",
}
LONGEST = 256  # characters of a name that a guest made up


@frozen
class Denial:
    """Who wanted to go where, and why not."""

    when: float  # seconds since 1970
    guest: str  # its name, "" where there is but one
    src: str
    src_port: int
    proto: str  # tcp, udp, icmp; dns where it was the question
    dst: str
    dst_port: int
    name: str  # that the guest meant, or said; "" where it is not known
    why: str  # one of COUNTERS
    detail: str = ""  # a sentence

    def as_json(self) -> dict[str, Any]:
        """For `json.dumps`: the fields by their names."""
        return asdict(self)

    def __str__(self) -> str:
        who = f"{self.guest} ({self.src})" if self.guest else self.src
        name = f" ({self.name})" if self.name else ""
        where = f"{self.name} by DNS" if self.proto == "dns" else f"{self.proto} {self.dst}:{self.dst_port}{name}"
        return f"denied {who} {where}: {self.detail or self.why}"


class Denials:
    """The last `size` of them, and who wants to hear of each.

    `tell(text)` gets a line for each, up to a rate: a guest that is denied ten thousand times a second must not fill a disk.
    """

    def __init__(self, size: int, tell: Callable[[str], object]) -> None:
        self.last: deque[Denial] = deque(maxlen=size)
        self.listeners: list[Callable[[Denial], object]] = []
        self.count = 0
        self._tell = tell
        self._lines = TokenBucket(10, 100)
        self._silent = 0  # lines that were not told

    def add(self, denial: Denial, now: int) -> list[Exception]:
        """Returns what went wrong with listeners: nothing of it may keep a denial from being one."""
        self.count += 1
        self.last.append(denial)
        if self._lines.grab(1, now):
            more = f" (and {self._silent} more since the last line)" if self._silent else ""
            self._silent = 0
            self._tell(f"{denial}{more}")
        else:
            self._silent += 1
        errors = []
        for listener in self.listeners:
            try:
                listener(denial)
            except Exception as error:
                errors.append(error)
        return errors
