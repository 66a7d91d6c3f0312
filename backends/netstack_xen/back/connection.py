"""What is mapped and bound while a frontend is connected, and given back whichever way that ends."""

from .. import shm, slots
from ..hypervisor import Hypervisor, Pages
from ..ring import BackRing


class Connection:
    """Raises OSError where the frontend has named what isn't there: `close` it then."""

    def __init__(self, hypervisor: Hypervisor, front: int) -> None:
        self._hypervisor = hypervisor
        self._front = front
        self._pages: list[tuple[Pages, memoryview]] = []
        self._ports: list[int] = []

    def ring(self, ref: int, slot: int) -> BackRing:
        """The ring in a page of the frontend's, from where it was left: at 0, but by a backend that died."""
        pages = self._hypervisor.map(self._front, (ref,))
        view = pages.memory
        self._pages.append((pages, view))
        return BackRing(view, slot, shm.load32(view, slots.RSP_PROD))

    def port(self, theirs: int) -> int:
        ours = self._hypervisor.bind(self._front, theirs)
        self._ports.append(ours)
        return ours

    def close(self) -> None:
        """Rings refuse from now on. Twice is once."""
        while self._ports:
            self._hypervisor.release(self._ports.pop())
        while self._pages:
            pages, view = self._pages.pop()
            view.release()
            self._hypervisor.unmap(pages)
