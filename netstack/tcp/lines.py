"""Memory as the processor sees it: lines of 64 bytes. One that is in no cache takes as long to come as hundreds of instructions to
run, and of 100,000 connections none is in a cache. So keys stand side by side without an object for each, and an object that is
about to be read from end to end is asked for whole: its lines then come together, and not one after the other.

As in `raw`, the compiled half is the .pxd of this name, inlined; there, ASKS is true.
"""

import sys

TCB = 6  # what a segment asks of its connection: the first part of tcb.pxd
WHOLE = 10  # all of it: what is sent in answer asks for the rest
USER = 2  # what text asks of the user
USER_WHOLE = 3  # all of a transport
ASKS = False  # does `ask` ask? Whoever would only look ahead need not, then


def key_at(keys: bytearray, i: int) -> int:
    """The `i`-th of the keys of 64 bits."""
    return int.from_bytes(keys[8 * i : 8 * i + 8], sys.byteorder)


def put_key(keys: bytearray, i: int, key: int) -> None:
    keys[8 * i : 8 * i + 8] = key.to_bytes(8, sys.byteorder)


# These change nothing but the time that what they name takes to be read: here, not even that. They don't so much as count a
# reference, since that is to wait for the first line.


def ask_place(keys: bytearray, items: list[object], i: int) -> None:
    """For the `i`-th key, and where the item stands that is at the same place."""


def ask_item(items: list[object], i: int, n: int) -> None:
    """For the first `n` lines of the `i`-th item."""


def ask_user(c: object, n: int) -> None:
    """For the first `n` lines of the user of `c`, a connection that is here by now."""


def ask_beyond(c: object) -> None:
    """For what its user, who is here by now, refers to: the garbage collector's way to ask any object for that."""
