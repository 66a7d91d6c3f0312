"""The twins of shared memory and of slots: Python and C on the same bytes; and that memory that was let go is not touched."""

import inspect
import mmap
import random
import re
from pathlib import Path

import pytest
from netstack_xen import shm, slots, twin, wire

import netstack

HERE = Path(shm.__file__).parent
LONG = 2**63 - 1
PUBLIC = {
    name: module
    for module in (shm, slots)
    for name, value in vars(module).items()
    if not name.startswith("_") and inspect.isfunction(value)
}
LOADS = {"load8": 1, "load16": 2, "load32": 4, "acquire32": 4}
LOADS |= {"get_tx": 12, "get_tx_response": 4, "get_rx": 8, "get_rx_response": 8, "get_extra": 8}
STORES = {  # bytes, and the bits of what is stored; negative: signed
    "store8": (1, [8]),
    "store16": (2, [16]),
    "store32": (4, [32]),
    "release32": (4, [32]),
    "or8": (1, [8]),
    "and8": (1, [8]),
    "put_tx": (12, [32, 16, 16, 16, 16]),
    "put_tx_response": (4, [16, -16]),
    "put_rx": (8, [16, 32]),
    "put_rx_response": (8, [16, 16, 16, -16]),
    "put_extra": (8, [8, 8, 48]),
}


def test_every_function_of_the_twins_can_be_called_in_both_builds():
    public = {name for name, value in vars(twin).items() if not name.startswith("_") and callable(value)}
    assert public == set(PUBLIC)
    for name, module in PUBLIC.items():
        text = Path(module.__file__).with_suffix(".pxd").read_text()
        assert re.search(rf"^cdef inline .*\b{name}\(", text, re.MULTILINE), name


def test_the_numbers_of_slots_are_those_of_c():
    text = (HERE / "slots.pxd").read_text()
    enumerators = text[text.index("cdef enum:") : text.index("cdef inline")]
    found = {name: int(value) for name, value in re.findall(r"^    (\w+) = (-?\w+)$", enumerators, re.MULTILINE)}
    assert found == {name: value for name, value in vars(slots).items() if name.isupper() and not name.startswith("_")}


def both(name, memory: bytes, *arguments):
    outcomes = []
    for function in (getattr(twin, name), getattr(PUBLIC[name], name)):
        copies = [bytearray(a) if isinstance(a, bytearray) else a for a in arguments]
        m = bytearray(memory)
        try:
            value = function(memoryview(m), *copies)
        except IndexError:
            value = IndexError
        outcomes.append((value, bytes(m), [bytes(c) for c in copies if isinstance(c, bytearray)]))
    assert outcomes[0] == outcomes[1], f"{name}{arguments} on {memory!r}: compiled {outcomes[0]}, pure {outcomes[1]}"
    return outcomes[0][0]


def offset(rng: random.Random, length: int) -> int:
    """Mostly inside, often at an edge, sometimes absurd."""
    if rng.randrange(8) == 0:
        return rng.choice([-1, -length, -LONG - 1, LONG, LONG - 1, LONG - 19, length, length + 1])
    return rng.randrange(-2, length + 3)


@pytest.mark.parametrize("name", sorted(LOADS))
def test_a_load_gives_the_same_or_fails_the_same(seed, name):
    rng = random.Random(seed)
    for _ in range(300):
        memory = rng.randbytes(rng.randrange(0, 40))
        o = offset(rng, len(memory))
        assert (both(name, memory, o) is not IndexError) == (0 <= o <= len(memory) - LOADS[name])


@pytest.mark.parametrize("name", sorted(STORES))
def test_a_store_writes_the_same_or_fails_the_same(seed, name):
    rng = random.Random(seed)
    size, fields = STORES[name]
    for _ in range(300):
        memory = rng.randbytes(rng.randrange(0, 40))
        o = offset(rng, len(memory))
        values = [rng.getrandbits(b) if b > 0 else rng.randrange(-(1 << -b - 1), 1 << -b - 1) for b in fields]
        assert (both(name, memory, o, *values) is not IndexError) == (0 <= o <= len(memory) - size)


@pytest.mark.parametrize("name", ["fill", "copy", "take", "clear"])
def test_copies_stay_inside_both_or_fail(seed, name):
    rng = random.Random(seed)
    for _ in range(600):
        memory, other = rng.randbytes(rng.randrange(0, 20)), bytearray(rng.randbytes(rng.randrange(0, 20)))
        o, at, n = offset(rng, len(memory)), offset(rng, len(other)), rng.choice([LONG, *range(-1, 12)])
        inside = o >= 0 and n >= 0 and o + n <= len(memory)
        if name in ("take", "clear"):
            assert (both(name, memory, o, n) is not IndexError) == inside
            continue
        data = other if name == "copy" or rng.random() < 0.5 else bytes(other)
        arguments = (o, data, at, n)
        assert (both(name, memory, *arguments) is not IndexError) == (inside and at >= 0 and at + n <= len(other))


def test_a_view_that_was_let_go_is_not_looked_through():
    memory = mmap.mmap(-1, 4096)
    whole = memoryview(memory)
    part = whole[64:128]
    assert twin.load32(part, 60) == 0
    part.release()
    whole.release()
    memory.close()
    for name, size in LOADS.items():
        with pytest.raises(ValueError, match="released"):
            getattr(twin, name)(part, 64 - size)
    for call in (lambda: twin.store32(part, 0, 1), lambda: twin.fill(part, 0, b"x", 0, 1), lambda: twin.clear(whole, 0, 1)):
        with pytest.raises(ValueError, match="released"):
            call()


def test_memory_that_is_only_shown_is_not_written():
    shown = memoryview(bytearray(16)).toreadonly()
    assert twin.load32(shown, 0) == 0
    for name, (_, fields) in STORES.items():
        with pytest.raises((TypeError, IndexError)):
            getattr(twin, name)(shown, 0, *(0 for _ in fields))


def test_slots_are_what_the_header_file_says():
    m = memoryview(bytearray(12))
    twin.put_tx(m, 0, 0x11223344, 0x5566, 0x7788, 0x99AA, 0xBBCC)
    assert m.tobytes() == bytes.fromhex("44332211 6655 8877 aa99 ccbb")
    twin.put_tx_response(m, 0, 7, slots.DROPPED)
    assert m.tobytes()[:4] == bytes.fromhex("0700 feff")
    twin.put_rx(m, 0, 7, 0x11223344)
    assert m.tobytes()[:8] == bytes.fromhex("0700 0000 44332211")
    twin.put_rx_response(m, 0, 7, 16, slots.RX_CSUM_BLANK | slots.RX_MORE_DATA, 1514)
    assert m.tobytes()[:8] == bytes.fromhex("0700 1000 0600 ea05")
    # as Linux's netback was seen to send it: MSS 1460, TCPv4
    twin.put_extra(m, 0, slots.EXTRA_GSO, 0, twin.gso(1460, slots.GSO_TCPV4))
    assert m.tobytes()[:8] == bytes.fromhex("0100 b405 0100 0000")
    kind, flags, rest = twin.get_extra(m, 0)
    assert (kind, flags, twin.gso_size(rest), twin.gso_kind(rest), twin.gso_features(rest)) == (1, 0, 1460, 1, 0)


def test_the_twins_are_in_the_list_of_what_is_never_compiled():
    assert shm.__file__.endswith(".py")
    assert slots.__file__.endswith(".py")
    assert twin.__file__.endswith(".py") == (netstack.build_info().build == "pure")


# Microsoft's table for the verification of receive-side scaling: destination, source, hash over addresses, and with ports
RSS_KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")


def test_the_toeplitz_hash_is_that_of_the_published_table():
    addresses = bytes((66, 9, 149, 187, 161, 142, 100, 80))
    assert wire.toeplitz(RSS_KEY, addresses) == 0x323E8FC2
    assert wire.toeplitz(RSS_KEY, addresses + (2794).to_bytes(2, "big") + (1766).to_bytes(2, "big")) == 0x51CCC178


def test_both_directions_of_a_flow_have_one_hash(seed):
    rng = random.Random(seed)
    table = wire.folded_hashes()
    for _ in range(50):
        a, b, p, q = rng.randbytes(4), rng.randbytes(4), rng.randbytes(2), rng.randbytes(2)
        one, other = (wire.toeplitz(wire.SYMMETRIC_KEY, data) for data in (a + b + p + q, b + a + q + p))
        assert one == other
        words = a + b + p + q
        high = low = 0
        for i in range(0, 12, 2):
            high ^= words[i]
            low ^= words[i + 1]
        assert table[high] ^ table[256 + low] == one & 0xFF
