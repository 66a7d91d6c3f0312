"""What a program in a domain asks of Xen: about a dozen calls, and the only door to the outside in this package.

Two things are behind it: Xen itself, by its own libraries (`libxen/`), and one in this process for tests (`simulated/`). Both keep
the same promises, which `tests/unit/xen/promises.py` puts to either.

**Pages** are the unit of sharing: 4096 bytes, granted to one other domain by a number, the grant reference. **Ports** are the ends
of event channels: one bit each, told to the other end by `notify`. **The store** is Xen's tree of small texts, in which two
domains tell each other such numbers; a watch tells that something under a path may have changed.

Nothing waits here: what has happened is asked for when the descriptor is readable, or the waker was called.
"""

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

PAGE = 4096
EVERYONE = -1  # among the readers or writers of a node: every domain that isn't named

# An order of `Hypervisor.copy`: grant reference, offset in that page, bytes, offset in our memory, which memory, status. The
# highest bit of `which` says the direction; its others are an index. 16 bytes, in the byte order of the machine.
ORDER = struct.Struct("=IHHIHh")
ORDERS_MOST = 256  # in one call: a ring's worth of slots
INTO_PAGE = 0x8000  # in `which`: out of our memory; without it, out of the page

# what becomes of an order: Xen's GNTST_*, of which only the first is good
COPIED = 0
BAD_REF = -3  # there is no such grant to us
NOT_PERMITTED = -8  # the page is granted for reading alone
BAD_ORDER = -10  # it crosses the page's border, or the end of our memory


class Farewell(NamedTuple):
    """What the machine does for whoever lets go of pages, or dies with them: a byte among them is set to 0, a port is told.
    Either may be None."""

    offset: int | None
    port: int | None


class Pages(Protocol):
    """Pages that two domains see."""

    @property
    def memory(self) -> memoryview:
        """All of them, one after the other, as bytes. Whoever keeps this or a slice of it holds the pages: release it first."""

    @property
    def refs(self) -> Sequence[int]:
        """A grant reference for each."""

    @property
    def peer(self) -> int:
        """The other domain."""


class Store(Protocol):
    """Xen's tree of texts. A path that doesn't begin with `/` is below this domain's own folder, `/local/domain/<domid>`.

    Each call raises OSError: EACCES where this domain may not, EINVAL for what is no path, ENOSPC or E2BIG beyond a quota, EPIPE or
    the like when the store itself is gone."""

    def read(self, path: str) -> "str | None":
        """None where there is nothing."""

    def list(self, path: str) -> "Sequence[str] | None":
        """Names of what is directly below; None where there is no such node."""

    def write(self, path: str, value: str) -> None:
        """Folders on the way are made."""

    def make(self, path: str) -> None:
        """A node with no text, where there is none yet."""

    def remove(self, path: str) -> None:
        """With all that is below; nothing happens where there is nothing."""

    def permit(self, path: str, owner: int, readers: Sequence[int] = (), writers: Sequence[int] = ()) -> None:
        """Who may do what with the node: its owner all, others nothing but what stands here; EVERYONE may stand here, too."""

    def watch(self, path: str, token: str) -> None:
        """Hear of it whenever the node, or anything below, is written or removed; and once at once. Raises OSError with EEXIST for
        the same pair."""

    def unwatch(self, path: str, token: str) -> None: ...

    def fired(self) -> "Sequence[tuple[str, str]]":
        """(path, token) of what was heard since the last call."""

    def together(self, change: "Callable[[Store], None]") -> None:
        """Carry out `change` as a transaction: all of it or nothing, as if nobody else wrote meanwhile. It is called again when
        somebody did, so it must not do anything else."""


class Hypervisor(Protocol):
    """One open connection to Xen, of a program in a domain. `close` gives back what was shared, mapped and allocated by it; it
    raises nothing, and pages of which somebody holds a view may stay until the last of these is gone."""

    @property
    def domid(self) -> int:
        """This domain's number. Another one after resuming elsewhere."""

    @property
    def store(self) -> Store: ...

    # -- pages -------------------------------------------------------------------------------------------------------------------

    def share(self, peer: int, count: int, *, writable: bool = True, farewell: "Farewell | None" = None) -> Pages:
        """`count` zeroed pages of ours, each granted to `peer`. Raises OSError with ENOSPC when the machine gives no more."""

    def unshare(self, pages: Pages) -> None:
        """End the grants. The memory is gone for us at once; the machine keeps it for as long as the peer still maps it.

        Raises BufferError, and does nothing, while somebody holds a view of the memory."""

    def map(self, peer: int, refs: Sequence[int], *, writable: bool = True, farewell: "Farewell | None" = None) -> Pages:
        """Pages of `peer`, which it has granted to us, in this order. Raises OSError where one of them isn't."""

    def unmap(self, pages: Pages) -> None:
        """As `unshare`."""

    def copy(self, peer: int, orders: bytearray, count: int, memory: "Sequence[bytes | bytearray | memoryview]") -> None:
        """Carry out the first `count` of `orders`, between pages that `peer` has granted to us and `memory`, without mapping them.

        The status of each is written into it, COPIED or another one: what a peer has got wrong is no error of ours, and ends
        nothing but that order. They are carried out in their order, at most ORDERS_MOST. Raises OSError where nothing was."""

    # -- ports -------------------------------------------------------------------------------------------------------------------

    def allocate(self, peer: int) -> int:
        """A port of ours to which `peer` may bind."""

    def bind(self, peer: int, port: int) -> int:
        """A port of ours, bound to that one of `peer`'s."""

    def release(self, port: int) -> None:
        """Close a port of ours."""

    def notify(self, port: int) -> None:
        """Tell the other end. Told often before it listens, it hears once or twice. A port whose other end is gone takes it
        silently."""

    def pending(self) -> Sequence[int]:
        """Our ports that were told since the last call. They may be told anew from now on: look at the rings after this."""

    # -- the program's loop ------------------------------------------------------------------------------------------------------

    def fileno(self) -> "int | None":
        """Readable when `pending` or `store.fired` has something to say; None where the waker is called instead."""

    def set_waker(self, waker: "Callable[[], None] | None") -> None: ...

    def close(self) -> None: ...
