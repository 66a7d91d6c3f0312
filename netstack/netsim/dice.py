"""Chance in a test world: all that Python rolls is rolled from the seed.

    random.random() and its like          the module's generator is started anew, and put back at the end
    random.Random(), without a seed       gets one from the seed
    os.urandom, secrets, uuid.uuid4       bytes from the seed, in the thread of the world
    uuid.uuid1                            from the world's time, a node that is always the same, and a sequence from the seed

Out of reach are generators in C: OpenSSL's, and so the keys of TLS (those of SSH: others.py). The bytes of what they encrypt depend
on them, sizes only where signatures are ECDSA's, by a byte or two. So does the order of a set of strings, on PYTHONHASHSEED.
"""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from .here import side_here

NODE = 0x020000000001  # as the first host's: locally administered

_entropy = random.Random()


@wraps(os.urandom)
def _urandom(size: int, /) -> bytes:
    return _original_urandom(size) if side_here() is None else _entropy.randbytes(size)


@wraps(uuid.uuid1)
def _uuid1(node: int | None = None, clock_seq: int | None = None) -> uuid.UUID:
    side = side_here()
    if side is None:
        return _original_uuid1(node, clock_seq)
    from .times import EPOCH

    # RFC 9562 5.1: tenths of microseconds since 1582-10-15
    stamp = int((side.now() + EPOCH) * 1e7) + 0x01B21DD213814000
    sequence = _entropy.getrandbits(14) if clock_seq is None else clock_seq
    fields = stamp & 0xFFFFFFFF, stamp >> 32 & 0xFFFF, stamp >> 48 & 0x0FFF, sequence >> 8 & 0x3F, sequence & 0xFF
    return uuid.UUID(fields=(*fields, NODE if node is None else node), version=1)


_original_urandom = os.urandom
_original_uuid1 = uuid.uuid1


def _seed(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def seed(self: random.Random, a: Any = None, *args: Any, **options: Any) -> None:
        if a is None and side_here() is not None:
            a = _entropy.getrandbits(64)
        original(self, a, *args, **options)

    return seed


SUBSTITUTES: list[tuple[Any, Any]] = [(os.urandom, _urandom), (uuid.uuid1, _uuid1)]
METHODS: list[tuple[type, str, Callable[[Any], Any]]] = [(random.Random, "seed", _seed)]


def octets(size: int) -> bytes:
    """Some that depend on the seed."""
    return _entropy.randbytes(size)


def begin(seed: int) -> Callable[[], None]:
    """Start all that is rolled from `seed`. Gives what puts the module's generator back."""
    state = random.getstate()
    random.seed(f"{seed} programs")
    _entropy.seed(f"{seed} entropy")
    return lambda: random.setstate(state)
