"""All that is granted and allocated for one connection to a back end, and given back when it ends, whatever has happened.

Pages are shared in pieces, as they are needed: the machine has a limit for all programs of a domain together (1024 pages as Linux
comes, /sys/module/xen_gntalloc/parameters/limit). A queue begins with room for a few frames of 64 KiB each way, and grows to a page
for each slot.
"""

from collections.abc import Callable, Iterator

from netstack.errors import NetstackError

from ..hypervisor import PAGE, Hypervisor, Pages
from ..mib import FrontMib
from ..slots import ENTRIES
from .queue import Queue

FIRST_RX = 64  # pages of a new queue: three super-segments, and room for a batch of small frames
FIRST_TX = 32
LEAST_RX = 18  # where the machine has fewer: one super-segment with its extra
LEAST_TX = 17
STEP = 32  # pages by which a queue grows


class NoPages(NetstackError, OSError):
    """The machine gives too few pages for any connection; the message says what helps."""


class Connection:
    """`queues` of pages shared with domain `peer`. Raises NoPages, or OSError as the hypervisor does; then nothing is left
    behind."""

    def __init__(self, hypervisor: Hypervisor, peer: int, queues: int, *, split: bool, control: bool, mib: FrontMib) -> None:
        self.hypervisor = hypervisor
        self.peer = peer
        self.split = split
        self.mib = mib
        self.queues: list[Queue] = []
        self.short = ""  # a sentence, once the machine has refused pages
        self._shared: list[tuple[Pages, memoryview]] = []
        self._ports: list[int] = []
        self._refs: list[tuple[int, int]] = []  # of each queue's rings
        self.control_page: memoryview | None = None
        self.control_ref = self.control_port = 0
        self.table_page: memoryview | None = None
        self.table_ref = 0
        try:
            for _ in range(queues):
                self._open_queue()
            if control:
                self._open_control()
        except BaseException:
            self.close()
            raise

    # -- making ------------------------------------------------------------------------------------------------------------------

    def _share(self, count: int, *, writable: bool = True) -> tuple[memoryview, list[int]]:
        pages = self.hypervisor.share(self.peer, count, writable=writable)
        memory = pages.memory
        self._shared.append((pages, memory))
        return memory, list(pages.refs)

    def _allocate(self) -> int:
        port = self.hypervisor.allocate(self.peer)
        self._ports.append(port)
        return port

    def _open_queue(self) -> None:
        n = len(self.queues)
        try:
            rings, refs = self._share(2)
            tx, rx = rings[:PAGE], rings[PAGE:]
            port = self._allocate()
            queue = Queue(tx, rx, port, self._allocate() if self.split else port, self.mib)
            self.queues.append(queue)
            self._refs.append((refs[0], refs[1]))
            for kind, wish, least in ((queue.add_rx, FIRST_RX, LEAST_RX), (queue.add_tx, FIRST_TX, LEAST_TX)):
                if not self._grow(queue, kind, wish, 0):
                    for page, ref in self._pages(least):
                        kind(page, ref)
            queue.refill()
            queue.rx.push()  # nobody listens yet; who binds looks
        except OSError as error:
            raise NoPages(
                error.errno or 0,
                f"this machine gives too few pages to share for queue {n} ({error.strerror or error}), which needs "
                f"{2 + LEAST_RX + LEAST_TX} at least: ask for fewer queues, end other programs that share pages, or raise the "
                "limit in /sys/module/xen_gntalloc/parameters/limit",
            ) from error

    def _open_control(self) -> None:
        """A ring for control messages, and a page for what they point at. Without them there is no steering, and nothing else."""
        try:
            self.control_page, (self.control_ref,) = self._share(1)
            self.table_page, (self.table_ref,) = self._share(1, writable=False)
            self.control_port = self._allocate()
        except OSError:
            self.control_page = self.table_page = None
            self._refuse("the control ring is left out")

    def _pages(self, count: int) -> Iterator[tuple[memoryview, int]]:
        memory, refs = self._share(count)
        for i, ref in enumerate(refs):
            yield memory[i * PAGE : (i + 1) * PAGE], ref

    def _grow(self, queue: Queue, add: Callable[[memoryview, int], object], count: int, have: int) -> bool:
        count = min(count, ENTRIES - have)
        if count <= 0:
            return False
        try:
            for page, ref in self._pages(count):
                add(page, ref)
        except OSError:
            self._refuse(f"going on with {len(queue.rx_pages)} for receiving and {len(queue.tx_pages)} for sending in a queue")
            return False
        return True

    def _refuse(self, consequence: str) -> None:
        self.mib.PagesRefused += 1
        for queue in self.queues:
            queue.full = True
        if not self.short:
            self.short = (
                f"the machine gives no more pages to share: {consequence} (the limit for all programs of this domain stands in "
                "/sys/module/xen_gntalloc/parameters/limit)"
            )

    def grow_tx(self, queue: Queue) -> bool:
        return self._grow(queue, queue.add_tx, STEP, len(queue.tx_pages))

    def grow_rx(self, queue: Queue) -> bool:
        return self._grow(queue, queue.add_rx, STEP, len(queue.rx_pages))

    # -- what the store is told --------------------------------------------------------------------------------------------------

    def keys(self) -> dict[str, str]:
        """Of the front's folder: where rings and ports are."""
        said: dict[str, str] = {}
        for i, (queue, (tx, rx)) in enumerate(zip(self.queues, self._refs, strict=True)):
            where = f"queue-{i}/" if len(self.queues) > 1 else ""
            said[f"{where}tx-ring-ref"] = str(tx)
            said[f"{where}rx-ring-ref"] = str(rx)
            if self.split:
                said[f"{where}event-channel-tx"] = str(queue.port_tx)
                said[f"{where}event-channel-rx"] = str(queue.port_rx)
            else:
                said[f"{where}event-channel"] = str(queue.port_tx)
        if len(self.queues) > 1:
            said["multi-queue-num-queues"] = str(len(self.queues))
        if self.control_page is not None:
            said["ctrl-ring-ref"] = str(self.control_ref)
            said["event-channel-ctrl"] = str(self.control_port)
        return said

    # -- ending ------------------------------------------------------------------------------------------------------------------

    def close(self) -> int:
        """Give everything back; how many frames were lost that had waited for room. The machine keeps what the other end still
        maps."""
        lost = sum(queue.let_go() for queue in self.queues)
        self.queues = []
        self.control_page = self.table_page = None
        ports, self._ports = self._ports, []
        for port in ports:
            try:
                self.hypervisor.release(port)
            except OSError:  # it died before, when we were suspended
                continue
        shared, self._shared = self._shared, []
        for pages, memory in shared:
            memory.release()
            try:
                self.hypervisor.unshare(pages)
            except OSError:  # as above
                continue
        return lost
