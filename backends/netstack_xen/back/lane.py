"""One queue of a vif: a ring each way, and what waits for the frontend's buffers."""

from netstack import raw
from netstack.cores import Frame

from ..ring import BackRing


class Parcel:
    """A frame that waits, whole. `kind` is that of a super-segment or 0, `hash` the extra that says its hash or 0."""

    __slots__ = ("blank", "data", "expires", "gso", "hash", "kind", "length")

    def __init__(self, data: bytes, kind: int, gso: int, blank: bool, hash: int, expires: int) -> None:
        self.data = data
        self.length = len(data)
        self.kind = kind
        self.gso = gso
        self.blank = blank
        self.hash = hash
        self.expires = expires


class Taken:
    """A packet whose slots were read: `count` orders from `first` fetch it, and stand for the slot `slot` and, behind as many
    extras, those that follow. Its frame is None once it is refused."""

    __slots__ = ("blank", "count", "extras", "first", "frame", "gso", "kind", "slot", "valid")

    def __init__(self) -> None:
        self.frame: Frame | None = None
        self.first = 0
        self.count = 0
        self.slot = 0
        self.extras = 0
        self.kind = 0
        self.gso = 0
        self.blank = False
        self.valid = False


class Lane:
    """`tx` is what the frontend sends, `rx` its buffers for what we send; either has a port, perhaps the same.

    waiting   frames that found no buffers, from `head` on; `held` bytes of them
    fed       when the frontend last had a frame from us      stalled   it has given no buffers for too long
    """

    __slots__ = ("fed", "head", "held", "number", "rx", "rx_port", "stalled", "tx", "tx_port", "waiting")

    def __init__(self, number: int, tx: BackRing, rx: BackRing, tx_port: int, rx_port: int, now: int) -> None:
        self.number = number
        self.tx = tx
        self.rx = rx
        self.tx_port = tx_port
        self.rx_port = rx_port
        self.waiting: list[Parcel] = []
        self.head = 0
        self.held = 0
        self.fed = now
        self.stalled = False

    def put(self, p: Parcel) -> None:
        self.waiting.append(p)
        self.held += p.length

    def next(self) -> "Parcel | None":
        """The oldest that waits."""
        return self.waiting[self.head] if self.head < len(self.waiting) else None

    def drop(self) -> None:
        """The oldest waits no more."""
        self.held -= self.waiting[self.head].length
        self.head += 1
        if 2 * self.head >= len(self.waiting):  # places before the head are given back when they are half of all
            raw.behead(self.waiting, self.head)
            self.head = 0

    def size(self) -> int:
        return len(self.waiting) - self.head
