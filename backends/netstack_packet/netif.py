"""Packet: the netif."""

import mmap

from netstack import const
from netstack.address import Mac
from netstack.device.face import ALL, SOFTWARE, DeviceFace, read_offload, show_offload
from netstack.errors import UsageError
from netstack.netif import SLAB

from . import card
from .core import PacketCore


class Packet(PacketCore, DeviceFace):
    """The Ethernet of a network card of this machine, on which the stack is a host of its own."""

    __slots__ = ("_card", "_closed", "_demanded", "_mac", "_ring", "_software")

    def __init__(
        self, name: str, *, mac: "Mac | None" = None, offload: "bool | str | None" = None, gso: bool = True, ring: bool = False
    ) -> None:
        """`name` is the interface's.

        mac       the stack's link address: the card's own, unless another one is given
        offload   what the kernel does for us with what we send: None for all, False for nothing, or some of "csum,tso4,tso-ecn,uso"
        gso       cut here what is to be cut and the kernel doesn't
        ring      read from a ring of blocks (TPACKET_V3) instead of frame by frame: see the package

        Raises UsageError for what can't be, NotAllowed (a PermissionError) and CardUnavailable (an OSError) with what helps.
        """
        if mac is not None and mac.is_group:
            raise UsageError(f"{mac} is a group address: give the stack one of its own, like 02:00:00:00:00:01")
        wanted = read_offload(offload)
        self._ring: mmap.mmap | None = None
        self._closed = False
        self._card = opened = card.open_card(name, ring)
        try:
            known = ALL if opened.cuts_udp else ALL & ~const.OFFLOAD_USO
            super().__init__(opened.socket.fileno(), SLAB, opened.vnet, wanted.flags & known, known)
            self._demanded = wanted.demanded
            self._software = SOFTWARE if gso else 0
            self._mac = Mac(int.from_bytes(opened.hwaddr, "big")) if mac is None else mac
            if ring:
                self._ring = card.make_ring(opened.socket)
                self.mount(self._ring, card.BLOCK)
            card.listen(opened, self._mac)
        except BaseException:
            self._release()
            raise

    def plain(self) -> None:
        """Send and take single frames with complete checksums from now on. Raises UsageError where that can't be: when offloads
        were asked for by name, or the kernel joins segments of this card, which is not ours to switch off."""
        if self._demanded and self.takes:
            raise UsageError(
                f"{self.name} was opened with offload={show_offload(self.takes)}, and what shall sit on it needs single frames: "
                "leave offload out"
            )
        if card.joins(self._card):
            raise UsageError(
                f"the kernel joins what comes on {self.name}, and what shall sit on it needs single frames: "
                f"sudo ethtool -K {self.name} gro off"
            )
        self.takes = self.gives = 0
        self._software = 0

    @property
    def name(self) -> str:
        return self._card.name

    @property
    def mtu(self) -> int:
        return self._card.mtu

    def is_there(self) -> bool:
        return card.is_there(self._card)

    def look(self) -> None:
        self.counts.InNoRoom += card.drops(self._card.socket)

    def close(self) -> None:
        """Let go of the card; closing it again does nothing. `poll` raises OSError from now on, what is sent is counted."""
        if not self._closed:
            self.look()
            self.fd = -1  # the number may be somebody else's file by the next call
            self.ring = None
            self._release()

    def _release(self) -> None:
        self._closed = True
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        self._card.socket.close()
