"""A machine with one vif, a plain front end in domain 1 and the strict back end in domain 0, and a clock that tests set."""

import struct

from netstack_xen.simulated import Machine, toolstack
from netstack_xen.simulated.plainfront import PlainFront
from netstack_xen.simulated.strict import Offers, StrictBack
from netstack_xen.simulated.units import Unit, filled_in, headers, ones, pseudo_sum

ENOUGH = 100  # turns until all is said


def tcp_frame(payload: bytes = b"", *, version: int = 4, flags: int = 0x18, seq: int = 1000, source: int = 4321) -> bytes:
    """A frame whose checksum field holds the sum of the pseudo-header alone."""
    tcp = struct.pack(">HHIIBBHHH", source, 80, seq, 77, 5 << 4, flags, 500, 0, 0) + payload
    if version == 4:
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 9, 0x4000, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
        head = head[:10] + struct.pack(">H", ones(head) ^ 0xFFFF) + head[12:]
    else:
        head = struct.pack(">IHBB16s16s", 6 << 28, len(tcp), 6, 64, b"\xfd" + bytes(14) + b"\1", b"\xfd" + bytes(14) + b"\2")
    kind = b"\x08\x00" if version == 4 else b"\x86\xdd"
    frame = bytearray(b"\0\x16\x3e\0\0\1" + b"\0\x16\x3e\0\0\2" + kind + head + tcp)
    where = headers(bytes(frame))
    assert where is not None
    struct.pack_into(">H", frame, where.checksum, pseudo_sum(bytes(frame), where, len(tcp)))
    return bytes(frame)


def blank(payload: bytes = b"", **more) -> Unit:
    return Unit(tcp_frame(payload, **more), csum_blank=True, validated=True)


def whole(payload: bytes = b"", **more) -> bytes:
    return filled_in(tcp_frame(payload, **more))


class World:
    def __init__(self, *, offers: "Offers | None" = None, rng=None, hotplug: bool = True, more=None, front: bool = True, **wishes):
        self.machine = Machine()
        self.now = 0
        self.tools, self.host, self.guest = self.machine.domain(0), self.machine.domain(0), self.machine.domain(1)
        self.vif = toolstack.add_vif(self.tools.store, 1, hotplug=hotplug, more=more)
        self.at_back: list[Unit] = []
        self.at_front: list[Unit] = []
        self.back = StrictBack(self.host, self.vif.backend, receive=self.at_back.append, offers=offers, rng=rng)
        self.front: PlainFront | None = None
        if front:
            self.front = PlainFront(self.guest, "device/vif/0", receive=self.at_front.append, **wishes)
            self.settle()

    def __enter__(self) -> "World":
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.end()
        self.machine.close()

    def settle(self) -> None:
        for _ in range(ENOUGH):
            self.back.poll(self.now)
            if self.front is not None:
                self.front.poll(self.now)
            if not self.is_busy():
                return
        raise AssertionError("no end of it")

    def is_busy(self) -> bool:
        return any(each._told or each.store.has_fired for each in (self.host, self.guest))

    def end(self) -> None:
        if self.front is not None:
            self.front.end()
        self.back.close()
        for program in (self.guest, self.host, self.tools):
            program.close()
        self.machine.books.assert_even()

    def states(self) -> "tuple[str | None, str | None]":
        return tuple(self.tools.store.read(f"{folder}/state") for folder in self.vif)
