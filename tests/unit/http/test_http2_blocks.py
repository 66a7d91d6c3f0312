"""HPACK with a memory gives what HPACK without gives, whatever happens to the tables meanwhile."""

import random
from typing import Any

from hpack import Decoder, Encoder, NeverIndexedHeaderTuple

from netstack.http.h2.blocks import REMEMBERED, BlockDecoder, BlockEncoder

COMMON = [(b":status", b"200"), (b"content-type", b"text/plain"), (b"content-length", b"13")]


def test_a_block_that_repeats_is_read_from_memory_and_the_table_is_the_same() -> None:
    encoder, decoder = Encoder(), BlockDecoder()
    first = decoder.decode(encoder.encode(COMMON), raw=True)
    block = encoder.encode(COMMON)
    second = decoder.decode(block, raw=True)
    assert decoder.decode(block, raw=True) is second
    assert list(first) == list(second) == COMMON


def test_memory_and_no_memory_agree(seed: int) -> None:
    rng = random.Random(seed)
    plain_encoder, encoder, plain_decoder, decoder = Encoder(), BlockEncoder(), Decoder(), BlockDecoder()
    values = [b"%d" % i for i in range(6)] + [b"x" * 900, b"y" * 5000]
    for _ in range(600):
        headers: list[Any] = [(b"n%d" % rng.randrange(4), rng.choice(values)) for _ in range(rng.randrange(4))]
        if rng.random() < 0.3:
            headers = list(COMMON)
        if rng.random() < 0.1:
            headers.append(NeverIndexedHeaderTuple(b"n0", b"0"))
        if rng.random() < 0.05:
            size = rng.choice([0, 60, 100, 4096])
            plain_encoder.header_table_size = encoder.header_table_size = size
        block = plain_encoder.encode(headers)
        assert encoder.encode(headers) == block
        read = plain_decoder.decode(block, raw=True)
        again = decoder.decode(block, raw=True)
        assert list(again) == list(read)
        assert [header.indexable for header in again] == [header.indexable for header in read]
        assert decoder.header_table.dynamic_entries == plain_decoder.header_table.dynamic_entries
        assert encoder.header_table.dynamic_entries == plain_encoder.header_table.dynamic_entries


def test_a_memory_has_a_bound() -> None:
    encoder = BlockEncoder()
    encoder.header_table_size = 0
    for i in range(10 * REMEMBERED):
        encoder.encode([(b"x", b"%d" % i)])
    assert len(encoder._memory._known) <= REMEMBERED
