"""Copies between a program's memory and pages that were granted to its domain, which it does not map."""

from collections.abc import Sequence

from .. import orders, shm
from ..hypervisor import BAD_ORDER, BAD_REF, COPIED, NOT_PERMITTED
from .pages import Grant


class Copier:
    """`grants` are those of the machine by owner and reference."""

    def __init__(self, grants: "dict[tuple[int, int], Grant]") -> None:
        self.grants = grants
        self.strange: list[int] = []  # references that are no grants to who asked

    def carry_out(
        self, whole: memoryview, domid: int, peer: int, b: bytearray, count: int, memory: "Sequence[bytes | bytearray | memoryview]"
    ) -> None:
        """`whole` is all of the machine's memory, frame by frame."""
        k = 0
        while k < count:
            ref, offset, length, place, which = orders.get(b, k)
            grant = self.grants.get((peer, ref))
            if grant is None or grant.peer != domid:
                orders.answer(b, k, BAD_REF)
                self.strange.append(ref)
            elif which & orders.INTO_PAGE and not grant.writable:
                orders.answer(b, k, NOT_PERMITTED)
            elif offset + length > orders.PAGE or (which & ~orders.INTO_PAGE) >= len(memory):
                orders.answer(b, k, BAD_ORDER)
            else:
                at = grant.frame * orders.PAGE + offset
                try:
                    if which & orders.INTO_PAGE:
                        shm.fill(whole, at, memory[which & ~orders.INTO_PAGE], place, length)
                    else:
                        shm.copy(whole, at, memory[which], place, length)  # type: ignore[arg-type]  # who reads gives a bytearray
                    orders.answer(b, k, COPIED)
                except IndexError:
                    orders.answer(b, k, BAD_ORDER)
            k += 1
