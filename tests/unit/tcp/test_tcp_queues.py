"""The send queue and reassembly, against plain bytes."""

import random
import sys

from hypothesis import given
from hypothesis import strategies as st

from netstack import const
from netstack.tcp.budget import Budget
from netstack.tcp.mib import TcpExt
from netstack.tcp.queues import Reassembly, SendQueue

MSS = 100


def budget() -> Budget:
    return Budget(1 << 20, 1 << 20, TcpExt())


def in_view(queue: SendQueue) -> bytes:
    """What the last view refers to, as a device would gather it."""
    return queue.data[queue.o : queue.o + queue.n] + b"".join(queue.rest or [])[: queue.rest_n]


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 3000), min_size=1, max_size=60), st.booleans())
def test_the_send_queue_is_a_string_of_bytes(seed: int, sizes: list[int], gather: bool) -> None:
    rng = random.Random(seed)
    queue = SendQueue(budget())
    model = b""
    for size in sizes:
        data = rng.randbytes(size)
        queue.append(data)
        model += data
        for _ in range(3):
            if not model:
                break
            offset = rng.randrange(len(model))
            n = rng.randrange(1, len(model) - offset + 1)
            got = queue.view(offset, n, MSS, gather)
            assert 1 <= got <= n and got == queue.n + queue.rest_n
            assert got == n or got % MSS == 0, "whole segments, unless it is all that was asked for"
            assert in_view(queue) == model[offset : offset + got]
            assert gather or queue.rest is None
            queue.drop()
        if rng.random() < 0.4:
            gone = rng.randrange(len(model) + 1)
            queue.release(gone)
            model = model[gone:]
        assert queue.length == len(model)


def test_small_writes_are_copied_together() -> None:
    queue = SendQueue(budget())
    for i in range(5000):
        queue.append(bytes([i & 255]))
    queue.view(0, 2048, 1460, False)
    assert (queue.o, queue.n) == (0, 2048)
    queue.view(2000, 1460, 1460, False)
    assert queue.n == 1460 and queue.data == bytes(i & 255 for i in range(2000, 3460))


def test_a_large_write_is_kept_by_reference() -> None:
    queue = SendQueue(budget())
    data = bytes(100_000)
    queue.append(data)
    queue.view(0, 65000, 1000, False)
    assert queue.data is data and queue.n == 65000
    queue.release(70_000)
    queue.view(0, 30_000, 1000, False)
    assert queue.data is data and queue.o == 70_000


def test_a_device_that_gathers_is_given_references_to_many_writes() -> None:
    queue = SendQueue(budget())
    writes = [bytes([i]) * 30_000 for i in range(4)]
    for data in writes:
        queue.append(data)
    assert queue.view(20_000, 65_000, 1000, True) == 65_000
    assert queue.data is writes[0] and (queue.o, queue.n) == (20_000, 10_000)
    assert queue.rest_n == 55_000 and len(queue.rest) == 2 and all(a is b for a, b in zip(queue.rest, writes[1:3], strict=True))
    queue.drop()
    assert queue.rest is None and queue.rest_n == 0


def test_no_more_pieces_are_gathered_than_a_device_takes() -> None:
    queue = SendQueue(budget())
    for _ in range(200):
        queue.append(bytes(1100))  # two of them are too long to be joined
    got = queue.view(0, 200_000, 1000, True)
    assert len(queue.rest) == const.GATHER - 1
    assert got == const.GATHER * 1100 // 1000 * 1000, "whole segments"


def test_what_is_acknowledged_is_let_go() -> None:
    """The application's object must not live on because it was sent last."""
    queue = SendQueue(budget())
    data = bytes(5000)
    before = sys.getrefcount(data)
    queue.append(data)
    queue.append(bytes(5000))
    queue.view(0, 5000, 1000, False)
    queue.drop()
    queue.release(5000)
    assert sys.getrefcount(data) == before


@given(st.integers(0, 2**32 - 1), st.sampled_from([1000, 2**31 - 700, 2**32 - 700]))
def test_pieces_in_any_order_give_the_stream(seed: int, start: int) -> None:
    rng = random.Random(seed)
    stream = rng.randbytes(2000)
    reassembly = Reassembly(10_000, budget())
    have = set()
    for _ in range(rng.randrange(1, 80)):
        a = rng.randrange(1, 2000)
        b = min(2000, a + rng.choice((1, 2, 10, 300)))
        new = reassembly.insert((start + a) % 2**32, stream[a:b])
        assert new == len(set(range(a, b)) - have)
        have |= set(range(a, b))
        assert reassembly.nbytes == len(have)
    nxt = rng.randrange(0, 2000)
    got = b""
    while True:
        data = reassembly.pop((start + nxt + len(got)) % 2**32)
        if data is None:
            break
        got += data
    end = nxt
    while end in have:
        end += 1
    assert got == stream[nxt:end]
    assert reassembly.nbytes == sum(1 for i in have if i >= end)


def test_a_full_list_takes_only_what_joins_a_neighbour() -> None:
    reassembly = Reassembly(3, budget())
    for seq in (10, 20, 30):
        assert reassembly.insert(seq, b"x") == 1
    assert reassembly.insert(40, b"x") == -1
    assert reassembly.insert(11, b"y") == 1
    assert reassembly.insert(29, b"y") == 1
    assert reassembly.insert(9, b"z" * 30) > 0, "what covers others takes their place"
    assert len(reassembly.pieces) == 1 and reassembly.nbytes == 30
