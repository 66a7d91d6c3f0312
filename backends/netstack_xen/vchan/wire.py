"""What stands in the page that both ends of a vchan see: Xen's public header `io/libxenvchan.h`, and sixteen bytes of ours behind it.

    0   left.cons   4  left.prod      the client writes into the left ring, the server reads from it
    8   right.cons  12 right.prod     the other way round
    16  left_order  18 right_order    (16 bits) a ring has 2**order bytes
    20  cli_live    21 srv_live       0 gone, 1 there, 2 (of the client) not there yet
    22  cli_notify  23 srv_notify     of what the end of that name is to tell the other, which asks for it here
    24  grants                        (32 bits each) of the pages of the left ring, then of the right, where they have pages

A ring of order 10 lies at 1024 in this page, one of order 11 at 2048; from 12 on it has pages of its own. Offsets run free, in 32
bits. All in the byte order of the machine.

**The words behind it.** The protocol knows one end, that of everything, and it is the same one that Xen's kernel writes for a program
that died. A stream ends one direction alone, and a peer that was lost must not pass for one that has finished. So ends that know of
each other say more, behind the last grant, on the next multiple of eight, where libxenvchan has zeros and never looks:

    0   MAGIC, by the server before the page is shared    4   MAGIC, by a client that has found the first one
    8   of the client, 9 of the server: OPEN, ENDED (nothing more will be written), CLOSED (and nothing read), RESET

They only count where both wrote MAGIC. To any other peer an end is the end of both directions.
"""

from typing import NamedTuple

from netstack.errors import WireError

from ..hypervisor import PAGE

LEFT, RIGHT = 0, 8  # each: cons, and prod 4 further
PROD = 4
LEFT_ORDER, RIGHT_ORDER = 16, 18
CLI_LIVE, SRV_LIVE = 20, 21
CLI_NOTIFY, SRV_NOTIFY = 22, 23
GRANTS = 24

WRITTEN, READ = 1, 2  # what one asks to be told of: VCHAN_NOTIFY_WRITE, VCHAN_NOTIFY_READ
GONE, HERE, AWAITED = 0, 1, 2

SMALL, LARGE, PAGED, MOST = 10, 11, 12, 20  # libxenvchan's bounds: 2**20 has 256 pages
IN_PAGE = {SMALL: 1024, LARGE: 2048}

MAGIC = 0x31734E56  # "VNs1"
MORE = 16  # bytes of ours
CLI_SAYS, SRV_SAYS = 8, 9  # from there
OPEN, ENDED, CLOSED, RESET = 0, 1, 2, 3

# A producer that is this far ahead of its consumer says that the ring is void: libxenvchan's readers see an unlawful ring and take
# nothing, ours see a reset. Whatever the consumer does meanwhile, the distance stays within a ring's size of it.
VOID = 0x80000000


class Layout(NamedTuple):
    """Where everything is, for two orders that may stand together."""

    left: int
    right: int
    words: int  # offset of ours; 0 where there is no room for them

    @property
    def left_pages(self) -> int:
        return 1 << self.left - PAGED if self.left >= PAGED else 0

    @property
    def right_pages(self) -> int:
        return 1 << self.right - PAGED if self.right >= PAGED else 0

    @property
    def pages(self) -> int:
        """In all, this page among them."""
        return 1 + self.left_pages + self.right_pages


def layout(left: int, right: int) -> Layout:
    """Raises WireError for orders that can't be."""
    if not (SMALL <= left <= MOST and SMALL <= right <= MOST):
        raise WireError(f"rings of order {left} and {right}: an order is from {SMALL} to {MOST}")
    if left == right and left < PAGED:
        raise WireError(f"two rings of order {left} in one place")
    found = Layout(left, right, 0)
    room = min(IN_PAGE.get(left, PAGE), IN_PAGE.get(right, PAGE))
    end = GRANTS + 4 * (found.left_pages + found.right_pages)
    if end > room:
        raise WireError(f"{(end - GRANTS) // 4} grants run into the ring in their page")
    words = end + 7 & ~7
    return found._replace(words=words) if words + MORE <= room else found


def order_of(size: int) -> int:
    """That of the smallest ring with pages of its own that holds `size` bytes."""
    return max(PAGED, (size - 1).bit_length())


def layout_for(left: int, right: int) -> Layout:
    """For at least so many bytes each way, as `libxenvchan_server_init` chooses: within one page where that will do."""
    small, large = 1 << SMALL, 1 << LARGE
    if left <= small and right <= large:
        return layout(SMALL, LARGE)
    if left <= large and right <= small:
        return layout(LARGE, SMALL)
    if left <= large:
        return layout(LARGE, order_of(right))
    return layout(order_of(left), LARGE if right <= large else order_of(right))
