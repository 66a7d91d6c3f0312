"""One end of a vchan in shared memory: bytes into one ring, bytes out of the other, and what is to be told to the other end.

It calls nothing and waits for nothing: who has it tells the port when `told` says so, and comes back when its own port was told.

**Whom it trusts.** Nobody. Its own offsets are kept here and only written to the page, so a peer that changes them there changes
its own view; the peer's are read once for each look, and one that is further than the ring is long is a WireError. What is in the
ring may change while it is copied: it is the peer's text, and the copy is what counts.

**Nothing is missed.** Who finds nothing asks (sets a bit that the other looks at) and looks once more; the other writes its offset,
then looks at the bit and clears it. Both with a full barrier in between: at least one of the two sees the other. (The bit is
cleared by one instruction. In plain Python there is none, and another request of the same instant can be lost: on Xen itself use
the compiled build.)
"""

from netstack import const
from netstack.errors import WireError

from .. import shm
from . import wire
from .wire import Layout

VOID = -1


class Channel:
    """`inward` and `outward` are views of the two rings, `page` of the shared page. `release` lets go of all three."""

    def __init__(self, page: memoryview, inward: memoryview, outward: memoryview, server: bool, words: int) -> None:
        """`words`: where the words of ours are in the page, 0 where there are none. Offsets go on from those in the page."""
        self.page = page
        self.inward = inward
        self.outward = outward
        self.server = server
        self.words = words
        self.extended = False
        self.told = False  # the port is to be told, by whoever called
        self.released = False
        self._in = wire.LEFT if server else wire.RIGHT
        self._out = wire.RIGHT if server else wire.LEFT
        self._in_size = len(inward)
        self._out_size = len(outward)
        self._asks = wire.CLI_NOTIFY if server else wire.SRV_NOTIFY
        self._asked = wire.SRV_NOTIFY if server else wire.CLI_NOTIFY
        self._theirs = wire.CLI_LIVE if server else wire.SRV_LIVE
        self._ours = wire.SRV_LIVE if server else wire.CLI_LIVE
        self._hears = words + (wire.CLI_SAYS if server else wire.SRV_SAYS)
        self._says = words + (wire.SRV_SAYS if server else wire.CLI_SAYS)
        self.cons = shm.load32(page, self._in)
        self.prod = shm.load32(page, self._out + wire.PROD)

    # -- what came ------------------------------------------------------------------------------------------------------------

    def ready(self) -> int:
        """Bytes that can be taken; VOID where the peer has made the ring void. Raises WireError."""
        prod = shm.acquire32(self.page, self._in + wire.PROD)
        n = (prod - self.cons) & const.M32
        if n <= self._in_size:
            return n
        if wire.VOID - self._in_size <= n <= wire.VOID + self._in_size:
            return VOID
        raise WireError(f"a producer is {n} bytes ahead in a ring of {self._in_size}")

    def wanting(self) -> int:
        """As `ready`, and where that is 0 the peer will tell when it is not."""
        n = self.ready()
        if n:
            return n
        shm.or8(self.page, self._asks, wire.WRITTEN)
        shm.barrier()
        return self.ready()

    def take(self, n: int) -> bytes:
        """The next `n` bytes, of which `ready` has spoken."""
        at = self.cons & (self._in_size - 1)
        first = self._in_size - at
        if n <= first:
            data = shm.take(self.inward, at, n)
        else:
            data = shm.take(self.inward, at, first) + shm.take(self.inward, 0, n - first)
        self._taken(n)
        return data

    def take_into(self, into: memoryview, n: int) -> None:
        """The same, into the first `n` bytes of `into`."""
        at = self.cons & (self._in_size - 1)
        first = min(n, self._in_size - at)
        into[:first] = self.inward[at : at + first]
        if first < n:
            into[first:n] = self.inward[: n - first]
        self._taken(n)

    def _taken(self, n: int) -> None:
        self.cons = (self.cons + n) & const.M32
        shm.release32(self.page, self._in, self.cons)
        self._tell(wire.READ)

    # -- what goes ------------------------------------------------------------------------------------------------------------

    def room(self) -> int:
        """Bytes that can be put. Raises WireError."""
        cons = shm.acquire32(self.page, self._out)
        n = (self.prod - cons) & const.M32
        if n > self._out_size:
            raise WireError(f"a consumer is {n} bytes behind in a ring of {self._out_size}")
        return self._out_size - n

    def lacking(self) -> int:
        """As `room`, and where that is 0 the peer will tell when it is not."""
        n = self.room()
        if n:
            return n
        shm.or8(self.page, self._asks, wire.READ)
        shm.barrier()
        return self.room()

    def put(self, data: "bytes | memoryview", at: int, n: int) -> None:
        """`n` bytes of `data` from `at`, for which `room` has said that there is room."""
        start = self.prod & (self._out_size - 1)
        first = min(n, self._out_size - start)
        shm.fill(self.outward, start, data, at, first)
        if first < n:
            shm.fill(self.outward, 0, data, at + first, n - first)
        self.prod = (self.prod + n) & const.M32
        shm.release32(self.page, self._out + wire.PROD, self.prod)
        self._tell(wire.WRITTEN)

    @property
    def empty(self) -> bool:
        """Has the peer taken all that was put? Raises WireError."""
        return self.room() == self._out_size

    def untaken(self) -> bool:
        """Has the peer yet to take some of it? Then it will tell when it does. Raises WireError."""
        if self.empty:
            return False
        shm.or8(self.page, self._asks, wire.READ)
        shm.barrier()
        return not self.empty

    def _tell(self, what: int) -> None:
        shm.barrier()
        if shm.load8(self.page, self._asked) & what:
            shm.and8(self.page, self._asked, 0xFF & ~what)
            self.told = True

    # -- who is there ---------------------------------------------------------------------------------------------------------

    def meet(self) -> None:
        """A client's first words: here I am."""
        if self.words and shm.load32(self.page, self.words) == wire.MAGIC:
            shm.store32(self.page, self.words + 4, wire.MAGIC)
            self.extended = True
        shm.store8(self.page, wire.CLI_LIVE, wire.HERE)
        shm.or8(self.page, self._asks, wire.WRITTEN)
        self.told = True

    def met(self) -> bool:
        """A server's look: is the client there? It may have gone again already."""
        if shm.load8(self.page, wire.CLI_LIVE) == wire.AWAITED:
            return False
        self.extended = bool(self.words) and shm.load32(self.page, self.words + 4) == wire.MAGIC
        return True

    def there(self) -> bool:
        """Has the peer not let go?"""
        return shm.load8(self.page, self._theirs) != wire.GONE

    def heard(self) -> int:
        """OPEN, ENDED, CLOSED or RESET, of a peer that says so; OPEN of any other. Look at `ready` after this."""
        if not self.extended:
            return wire.OPEN
        said = shm.load8(self.page, self._hears)
        shm.barrier()
        return said

    def say(self, what: int) -> None:
        """After what was put."""
        if self.extended:
            shm.barrier()
            shm.store8(self.page, self._says, what)
            self.told = True

    def annul(self) -> None:
        """What was put and not yet taken is not to be taken."""
        cons = shm.load32(self.page, self._out)
        shm.release32(self.page, self._out + wire.PROD, (cons + wire.VOID) & const.M32)

    def leave(self) -> None:
        """The last word: this end lives no longer. libxenvchan's write nothing from then on."""
        shm.barrier()
        shm.store8(self.page, self._ours, wire.GONE)
        shm.barrier()
        self.told = True

    def release(self) -> None:
        """Nothing else can be asked from then on."""
        self.released = True
        self.inward.release()
        self.outward.release()
        self.page.release()


def prepare(page: memoryview, layout: Layout, refs: "list[int]") -> None:
    """A server's page, before anybody is told of it: `refs` are the grants of the left ring, then of the right."""
    shm.store16(page, wire.LEFT_ORDER, layout.left)
    shm.store16(page, wire.RIGHT_ORDER, layout.right)
    for i, ref in enumerate(refs):
        shm.store32(page, wire.GRANTS + 4 * i, ref)
    if layout.words:
        shm.store32(page, layout.words, wire.MAGIC)
    shm.store8(page, wire.CLI_NOTIFY, wire.WRITTEN)
    shm.store8(page, wire.CLI_LIVE, wire.AWAITED)
    shm.store8(page, wire.SRV_LIVE, wire.HERE)
    shm.barrier()


def inspect(page: memoryview) -> "tuple[Layout, list[int]]":
    """What a client finds: each word is read once. Raises WireError."""
    found = wire.layout(shm.load16(page, wire.LEFT_ORDER), shm.load16(page, wire.RIGHT_ORDER))
    return found, [shm.load32(page, wire.GRANTS + 4 * i) for i in range(found.pages - 1)]
