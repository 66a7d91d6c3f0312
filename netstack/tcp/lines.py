"""Memory as the processor sees it: lines of 64 bytes. One that is in no cache takes as long to come as hundreds of instructions to
run, and of 100,000 connections none is in a cache. So keys stand side by side without an object for each, and an object that is
about to be read from end to end is asked for whole: its lines then come together, and not one after the other.

As in `raw`, the compiled half is the .pxd of this name, inlined.
"""

import sys

TCB = 6  # what a segment asks of its connection: the first part of tcb.pxd
USER = 2  # and text of its user


def key_at(keys: bytearray, i: int) -> int:
    """The `i`-th of the keys of 64 bits."""
    return int.from_bytes(keys[8 * i : 8 * i + 8], sys.byteorder)


def put_key(keys: bytearray, i: int, key: int) -> None:
    keys[8 * i : 8 * i + 8] = key.to_bytes(8, sys.byteorder)


def ask(o: object, n: int) -> None:
    """For the first `n` lines of `o`. Changes nothing but the time that they take to read: here, not even that."""
