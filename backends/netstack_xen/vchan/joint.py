"""A vchan as a program has it: its channel, and all that it takes of the machine: pages, mappings, a port. `close` gives it back.

Whatever goes wrong on the way, nothing stays: each step that fails gives back those before it.
"""

from collections.abc import Sequence
from contextlib import suppress

from netstack.errors import WireError

from ..hypervisor import PAGE, Farewell, Hypervisor, Pages
from . import wire
from .channel import Channel, inspect, prepare
from .wire import Layout


class Joint:
    """`ref` is the grant of the shared page, where it is ours."""

    def __init__(self, hypervisor: Hypervisor, server: bool, port: int) -> None:
        self.port = port
        self.ref = 0
        self.closed = False
        self._hypervisor = hypervisor
        self._server = server
        self._pages: list[Pages] = []  # the shared page first
        self._channel: Channel | None = None

    @property
    def channel(self) -> Channel:
        assert self._channel is not None
        return self._channel

    def _add(self, pages: Pages) -> Pages:
        self._pages.append(pages)
        return pages

    def _join(self, layout: Layout, left: "Pages | None", right: "Pages | None") -> None:
        page = self._pages[0].memory[:PAGE]
        rings = []
        for order, pages in ((layout.left, left), (layout.right, right)):
            start = wire.IN_PAGE.get(order, 0)
            memory = page if pages is None else pages.memory
            rings.append(memory[start : start + (1 << order)])
        self._channel = Channel(page, rings[not self._server], rings[self._server], self._server, layout.words)

    def tell(self) -> bool:
        """Tell the other end, if that is due. Raises OSError."""
        channel = self._channel
        if self.closed or channel is None or not channel.told:
            return False
        channel.told = False
        self._hypervisor.notify(self.port)
        return True

    def close(self) -> None:
        """Leave, and give everything back; the machine tells the other end. Again: nothing."""
        if self.closed:
            return
        self.closed = True
        if self._channel is not None:
            self._channel.leave()
            self._channel.release()
        back = self._hypervisor.unshare if self._server else self._hypervisor.unmap
        for pages in reversed(self._pages):
            with suppress(OSError):  # all of it is gone, with the machine's device
                back(pages)
        if self.port:
            with suppress(OSError):
                self._hypervisor.release(self.port)


def offer(hypervisor: Hypervisor, peer: int, layout: Layout) -> Joint:
    """The server's end, for `peer` to take up. Raises OSError when the machine has no pages or ports."""
    joint = Joint(hypervisor, True, hypervisor.allocate(peer))
    try:
        first = joint._add(hypervisor.share(peer, 1, farewell=Farewell(wire.SRV_LIVE, joint.port)))
        joint.ref = first.refs[0]
        left = joint._add(hypervisor.share(peer, layout.left_pages)) if layout.left_pages else None
        right = joint._add(hypervisor.share(peer, layout.right_pages)) if layout.right_pages else None
        with first.memory as page:
            prepare(page, layout, [ref for pages in (left, right) if pages is not None for ref in pages.refs])
        joint._join(layout, left, right)
    except BaseException:
        joint.close()
        raise
    return joint


def claim(hypervisor: Hypervisor, peer: int, ref: int, port: int) -> Joint:
    """The client's end of what `peer` offers. The port first: Xen lets one bind to it and no second one, so that is who has it.

    Raises OSError where it is somebody else's or gone, WireError for a page that can't be."""
    joint = Joint(hypervisor, False, hypervisor.bind(peer, port))
    try:
        first = joint._add(hypervisor.map(peer, [ref], farewell=Farewell(wire.CLI_LIVE, joint.port)))
        with first.memory as page:
            layout, refs = inspect(page)
        left = _map(joint, hypervisor, peer, refs[: layout.left_pages], writable=True)
        # libxenvchan maps these to be read only; with the right to write we would only need more of the peer
        right = _map(joint, hypervisor, peer, refs[layout.left_pages :], writable=False)
        joint._join(layout, left, right)
        channel = joint.channel
        channel.ready()
        channel.room()
        channel.meet()
        joint.tell()
    except BaseException:
        joint.close()
        raise
    return joint


def _map(joint: Joint, hypervisor: Hypervisor, peer: int, refs: Sequence[int], *, writable: bool) -> "Pages | None":
    if not refs:
        return None
    if len(set(refs)) < len(refs):
        raise WireError("a page that is granted twice")
    return joint._add(hypervisor.map(peer, refs, writable=writable))
