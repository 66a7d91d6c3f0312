"""A ring in a page that two domains share (xen/io/ring.h): requests one way, their responses back in the same slots.

    offset   0 req_prod   4 req_event   8 rsp_prod   12 rsp_event   64 the slots, as many as a power of two gives

The four words run freely through 32 bits. Each has one writer: the front `req_prod` and `rsp_event`, the back the two others. Slots
are written first and their producer after them (release); the producer is read first and slots after it (acquire). Whoever
pushes looks at the other's event word to see whether it wants to be told; whoever is about to sleep writes his and looks once more.
In either case a store must be seen before a load is done, or both could miss each other for ever: a full barrier.

The other end may write anything at any time. So each half keeps numbers of its own, reads a word once, and believes a producer
only as far as it can be: a front's responses are as many as the requests that it has pushed, a back's requests as many as slots
have been answered. `waiting` is -1 when the other end lies: there is nothing to be had from such a ring any more.
"""

from netstack import const

from . import shm, slots


def entries(size: int, slot: int) -> int:
    """How many slots of `slot` bytes a ring of `size` bytes has."""
    n = (size - slots.FIRST) // slot
    return 1 << n.bit_length() - 1


class FrontRing:
    """The half that makes requests.

    n          slots                             req_prod   the next request to be written; pushed: those that were told
    mask       n - 1: a request's own place      rsp_cons   the next response to be read
    """

    __slots__ = ("mask", "n", "page", "pushed", "req_prod", "rsp_cons", "slot")

    def __init__(self, page: memoryview, slot: int) -> None:
        """A new ring in a zeroed `page`, which nobody else knows yet."""
        self.page = page
        self.slot = slot
        self.n = entries(page.nbytes, slot)
        self.mask = self.n - 1
        self.req_prod = 0
        self.pushed = 0
        self.rsp_cons = 0
        shm.store32(page, slots.REQ_PROD, 0)
        shm.store32(page, slots.RSP_PROD, 0)
        shm.store32(page, slots.REQ_EVENT, 1)
        shm.release32(page, slots.RSP_EVENT, 1)

    def at(self, i: int) -> int:
        """Where the slot of request or response `i` is in the page."""
        return slots.FIRST + (i & self.mask) * self.slot

    def free(self) -> int:
        """Requests that may still be written."""
        return self.n - ((self.req_prod - self.rsp_cons) & const.M32)

    def unanswered(self) -> int:
        """Requests that were told and not answered, as far as we have looked."""
        return (self.pushed - self.rsp_cons) & const.M32

    def push(self) -> bool:
        """Tell of what was written up to `req_prod`; True when the other end wants to be notified."""
        old = self.pushed
        new = self.req_prod
        if new == old:
            return False
        self.pushed = new
        shm.release32(self.page, slots.REQ_PROD, new)
        shm.barrier()
        return ((new - shm.load32(self.page, slots.REQ_EVENT)) & const.M32) < ((new - old) & const.M32)

    def waiting(self) -> int:
        """Responses to be read from `rsp_cons`; -1 when the other end claims to have answered what was not asked."""
        n = (shm.acquire32(self.page, slots.RSP_PROD) - self.rsp_cons) & const.M32
        if n > ((self.pushed - self.rsp_cons) & const.M32):
            return -1
        return n

    def final_check(self, ahead: int) -> bool:
        """Before sleeping: ask to be notified at the `ahead`th response from here (1 or more). True when one is there already: look
        again. So it is when the other end lies, which `waiting` then says."""
        shm.store32(self.page, slots.RSP_EVENT, (self.rsp_cons + ahead) & const.M32)
        shm.barrier()
        n = self.waiting()
        return n < 0 or n >= ahead


class BackRing:
    """The half that answers.

    n          slots                             req_cons   the next request to be read
    mask       n - 1: a request's own place      rsp_prod   the next response to be written; pushed: those that were told
    """

    __slots__ = ("mask", "n", "page", "pushed", "req_cons", "rsp_prod", "slot")

    def __init__(self, page: memoryview, slot: int, start: int = 0) -> None:
        """A ring that the front has made; `start` where one goes on with a ring of which so many requests are answered."""
        self.page = page
        self.slot = slot
        self.n = entries(page.nbytes, slot)
        self.mask = self.n - 1
        self.req_cons = start & const.M32
        self.rsp_prod = start & const.M32
        self.pushed = start & const.M32

    def at(self, i: int) -> int:
        """Where the slot of request or response `i` is in the page."""
        return slots.FIRST + (i & self.mask) * self.slot

    def waiting(self) -> int:
        """Requests to be read from `req_cons`; -1 when the front claims more than the ring holds."""
        n = (shm.acquire32(self.page, slots.REQ_PROD) - self.req_cons) & const.M32
        if n + ((self.req_cons - self.rsp_prod) & const.M32) > self.n:
            return -1
        return n

    def push(self) -> bool:
        """Tell of what was written up to `rsp_prod`; True when the front wants to be notified."""
        old = self.pushed
        new = self.rsp_prod
        if new == old:
            return False
        self.pushed = new
        shm.release32(self.page, slots.RSP_PROD, new)
        shm.barrier()
        return ((new - shm.load32(self.page, slots.RSP_EVENT)) & const.M32) < ((new - old) & const.M32)

    def final_check(self, ahead: int) -> bool:
        """Before sleeping: ask to be notified at the `ahead`th request from here (1 or more). True when one is there already, or
        the front lies: look again."""
        shm.store32(self.page, slots.REQ_EVENT, (self.req_cons + ahead) & const.M32)
        shm.barrier()
        n = self.waiting()
        return n < 0 or n >= ahead
