"""Copies between a program's memory and pages that were granted to its domain, which it does not map."""

from collections.abc import Sequence

from netstack import raw

from .. import orders, shm
from ..hypervisor import BAD_ORDER, BAD_REF, COPIED, NOT_PERMITTED
from .grant import Grant


def key(owner: int, ref: int) -> int:
    """Of a grant, among those of all domains."""
    return owner << 32 | ref


class Copier:
    """`grants` are those of the machine, by `key`."""

    def __init__(self, grants: "dict[int, Grant]") -> None:
        self.grants = grants
        self.strange: list[int] = []  # references that are no grants to who asked

    def carry_out(
        self, whole: memoryview, domid: int, peer: int, b: bytearray, count: int, memory: "Sequence[bytes | bytearray | memoryview]"
    ) -> None:
        """`whole` is all of the machine's memory, frame by frame."""
        k = 0
        while k < count:
            ref, offset, length, place, which = orders.get(b, k)
            grant = self.grants.get(key(peer, ref))
            n = which & ~orders.INTO_PAGE
            if grant is None or grant.peer != domid:
                orders.answer(b, k, BAD_REF)
                self.strange.append(ref)
            elif which & orders.INTO_PAGE and not grant.writable:
                orders.answer(b, k, NOT_PERMITTED)
            elif offset + length > orders.PAGE or n >= len(memory) or place + length > raw.size(memory[n]):
                orders.answer(b, k, BAD_ORDER)
            else:
                at = grant.frame * orders.PAGE + offset
                if which & orders.INTO_PAGE:
                    shm.fill(whole, at, memory[n], place, length)
                else:
                    shm.copy(whole, at, memory[n], place, length)  # type: ignore[arg-type]  # who reads gives a bytearray
                orders.answer(b, k, COPIED)
            k += 1
