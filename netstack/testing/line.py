"""One direction of a cable, at work: takes a frame at an instant, and says what arrives when. `faults.py` states the order.

A frame that is held back until others have passed arrives at an instant that is not known yet. It is announced all the same, as
`Held`, for the latest instant at which it may come; when the others have passed it is announced again, as itself, and what was
announced first is empty. So a receiver looks at each arrival with `landed`, and nobody has to remember what a line holds.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from .. import const
from ..signatures import Rng
from .mib import FaultMib
from .picks import Picker, TcpLook

if TYPE_CHECKING:
    from .faults import Faults

_ONE = 1 << 53  # chances are compared as 53-bit fractions, the precision of a float


class Held:
    """A frame that waits to be overtaken: `frame` is empty when it has been announced again."""

    __slots__ = ("frame", "latest", "left")

    def __init__(self, frame: bytes, left: int, latest: int) -> None:
        self.frame: bytes | None = frame
        self.left = left  # so many others must pass first
        self.latest = latest


Arrival = tuple[int, "bytes | Held"]


def landed(thing: bytes | Held) -> bytes | None:
    """The frame that arrives now, if it has not come before."""
    return thing.frame if isinstance(thing, Held) else thing


class Line:
    """`faults` are those of now: `change` them in mid flow."""

    __slots__ = (
        "_ack_loss",
        "_bad",
        "_bad_loss",
        "_begins",
        "_burst",
        "_busy_until",
        "_corrupt",
        "_delay",
        "_duplicate",
        "_enter",
        "_header",
        "_held",
        "_jitter",
        "_last_arrival",
        "_leave",
        "_look",
        "_loss",
        "_mtu",
        "_picker",
        "_queue",
        "_rate",
        "_reorder",
        "_reorder_by",
        "_reorder_past",
        "_rng",
        "faults",
        "mib",
    )

    def __init__(self, faults: Faults, rng: Rng, header: int = 14, mib: FaultMib | None = None) -> None:
        """`header` is the length of the link header, which the mtu leaves out."""
        self.mib = FaultMib() if mib is None else mib
        self._rng = rng
        self._header = header
        self._busy_until = 0
        self._begins: deque[int] = deque()
        self._last_arrival = 0
        self._held: list[Held] = []
        self._look = TcpLook(header)
        self._bad = False
        self._picker: Picker | None = None
        self.faults = faults
        self._read(faults)

    def change(self, faults: Faults) -> None:
        """Another path from now on. What is on the old one arrives when it would have, and may be overtaken."""
        if faults.drop != self.faults.drop:
            self._picker = None
        self._last_arrival = 0
        self.faults = faults
        self._read(faults)

    def _read(self, faults: Faults) -> None:
        """The fields as what is compared for each frame: chances as thresholds of 53 bits."""
        self._mtu = faults.mtu
        self._rate = faults.rate or 0
        self._queue = faults.queue
        self._delay = faults.delay
        self._jitter = faults.jitter
        self._reorder_by = faults.hold if faults.reorder_past else faults.reorder_by
        self._reorder_past = faults.reorder_past
        self._loss = _threshold(faults.loss)
        self._ack_loss = _threshold(faults.ack_loss)
        self._corrupt = _threshold(faults.corrupt)
        self._duplicate = _threshold(faults.duplicate)
        self._reorder = _threshold(faults.reorder)
        self._burst = faults.burst > 1 and faults.loss > 0
        # Gilbert and Elliott: two states; a bad one lasts `burst` frames on average and loses `burst_loss` of them, a good one
        # none. The share of bad ones that makes `loss` of all is share = loss / burst_loss = enter / (enter + leave)
        self._leave = self._enter = self._bad_loss = 0
        if self._burst:
            share = faults.loss / faults.burst_loss
            self._leave = _threshold(1 / faults.burst)
            self._enter = _threshold(min(1.0, share / (1 - share) / faults.burst)) if share < 1 else _ONE
            self._bad_loss = _threshold(faults.burst_loss)
        if faults.drop and self._picker is None:
            self._picker = Picker(faults.drop)

    def carry(self, frame: bytes, now: int) -> tuple[list[Arrival], str]:
        """The instants and frames that arrive, none if it is dropped; and what befell it, in words, for a capture's comment."""
        mib = self.mib
        mib.Frames += 1
        length = len(frame)
        if length - self._header > self._mtu:
            mib.TooLong += 1
            return [], f"dropped: longer than the mtu of {self._mtu}"
        departure = now
        if self._rate:
            departure = self._serialise(length, now)
            if departure < 0:
                mib.QueueFull += 1
                return [], f"dropped: {self._queue} frames are queued before it"
        if self._picker is not None or self._ack_loss:
            fate = self._pick(frame)
            if fate:
                return [], fate
        if self._loss and self._loses():
            mib.Lost += 1
            return [], "dropped: lost on the way"
        if not (self._corrupt or self._duplicate or self._jitter or self._reorder or self._held):
            arrival = departure + self._delay
            if arrival < self._last_arrival:
                arrival = self._last_arrival
            self._last_arrival = arrival
            return [(arrival, frame)], ""
        return self._mistreat(frame, length, departure)

    def _mistreat(self, frame: bytes, length: int, departure: int) -> tuple[list[Arrival], str]:
        mib = self.mib
        fate = []
        if self._corrupt and length and self._befalls(self._corrupt):
            mib.Corrupted += 1
            bit = self._below(8 * length)
            frame = frame[: bit >> 3] + bytes([frame[bit >> 3] ^ 1 << (bit & 7)]) + frame[(bit >> 3) + 1 :]
            fate.append(f"bit {bit & 7} of byte {bit >> 3} flipped")
        copies = 1
        if self._duplicate and self._befalls(self._duplicate):
            mib.Duplicated += 1
            copies = 2
            fate.append("duplicated")
        arrivals: list[Arrival] = []
        for _ in range(copies):
            arrival = departure + self._delay
            if self._jitter:
                arrival += self._below(self._jitter + 1)
            if arrival < self._last_arrival:
                arrival = self._last_arrival
            if self._reorder and self._befalls(self._reorder):
                mib.Reordered += 1
                arrival += self._reorder_by
                if self._reorder_past:
                    held = Held(frame, self._reorder_past, arrival)
                    self._held.append(held)
                    arrivals.append((arrival, held))
                    fate.append(f"held back until {self._reorder_past} others have passed")
                else:
                    arrivals.append((arrival, frame))
                    fate.append("held back")
            else:
                self._last_arrival = arrival
                arrivals.append((arrival, frame))
                if self._held:
                    self._overtake(arrival, arrivals)
        return arrivals, ", ".join(fate)

    def _overtake(self, arrival: int, arrivals: list[Arrival]) -> None:
        """A frame arrives at `arrival`: those that have waited for it come right behind."""
        still = []
        for held in self._held:
            if held.latest <= arrival:
                continue  # it comes before, by itself
            held.left -= 1
            if held.left:
                still.append(held)
            elif held.frame is not None:
                arrivals.append((arrival, held.frame))
                held.frame = None
        self._held = still

    def _pick(self, frame: bytes) -> str:
        look = self._look
        if not look.see(frame):
            return ""
        if self._picker is not None:
            which = self._picker.picks(look)
            if which:
                self.mib.Picked += 1
                return f"dropped: it is {which}"
        if self._ack_loss and look.is_pure_ack() and self._befalls(self._ack_loss):
            self.mib.AckLost += 1
            return "dropped: an acknowledgement lost on the way"
        return ""

    def _loses(self) -> bool:
        if not self._burst:
            return self._befalls(self._loss)
        if self._befalls(self._leave if self._bad else self._enter):
            self._bad = not self._bad
        return self._bad and self._befalls(self._bad_loss)

    def _serialise(self, length: int, now: int) -> int:
        """When the last bit has left, or -1 when the queue is full."""
        # those that have not begun to leave are waiting; the one on the line is not
        begins = self._begins
        while begins and begins[0] <= now:
            begins.popleft()
        if len(begins) >= self._queue:
            return -1
        begin = now
        if self._busy_until > now:
            begin = self._busy_until
            begins.append(begin)
        self._busy_until = begin + (8 * length * const.SECOND + self._rate - 1) // self._rate
        return self._busy_until

    @property
    def waiting(self) -> int:
        """Frames in the queue, as of the last one that entered."""
        return len(self._begins)

    def _befalls(self, chance: int) -> bool:
        if not chance:
            return False
        drawn: int = self._rng.getrandbits(53)
        return drawn < chance

    def _below(self, n: int) -> int:
        # the bias of % is below n / 2**53, and every bit of it is reproducible
        drawn: int = self._rng.getrandbits(53)
        return drawn % n


def _threshold(chance: float) -> int:
    """The least number that a draw of 53 bits must not reach: exact, a float times a power of two."""
    exact = chance * _ONE
    whole = int(exact)
    return whole if whole == exact else whole + 1
