"""The two files that exist twice: const and raw, Python and C compared name by name and byte by byte.

On the pure build both sides of a comparison are Python; the compiled run of the suite is the one that tells.
"""

import inspect
import random
import re
from pathlib import Path

import pytest

import netstack
from netstack import const, raw
from netstack.testing import rawtwin, twins

ROOT = Path(netstack.__file__).parent
PURE = twins.load_pure("testing.rawtwin")
LONG = 2**63 - 1


# -- const --------------------------------------------------------------------------------------------------------------------


def constants_of_the_pxd() -> dict[str, tuple[int, str]]:
    """Name to value and C type of all that const.pxd declares."""
    text = (ROOT / "const.pxd").read_text()
    macros = dict(re.findall(r"#define (NETSTACK_\w+) (\w+)", text))
    found: dict[str, tuple[int, str]] = {}
    for kind, name, macro in re.findall(r'^    const ([\w ]+) (\w+) "(NETSTACK_\w+)"$', text, re.MULTILINE):
        assert name not in found, f"{name} is declared twice"
        found[name] = int(macros.pop(macro).rstrip("UL"), 0), kind
    assert not macros, f"defined and never declared: {macros}"
    enumerators = text[text.index("cdef enum:") :]
    for name, value in re.findall(r"^    (\w+) = (\w+)$", enumerators, re.MULTILINE):
        assert name not in found, f"{name} is declared twice"
        found[name] = int(value, 0), "int"
    lines = [line for line in enumerators.splitlines()[1:] if line.strip()]
    assert len(lines) == len([kind for _, kind in found.values() if kind == "int"]), "a line of the enum was not understood"
    return found


def constants_of_the_py() -> dict[str, int]:
    return {name: value for name, value in vars(const).items() if not name.startswith("_")}


def test_the_constants_of_python_are_those_of_c():
    assert {name: value for name, (value, _) in constants_of_the_pxd().items()} == constants_of_the_py()


def test_every_constant_fits_its_c_type():
    widths = {"int": 2**31, "unsigned int": 2**32, "long long": 2**63, "unsigned long long": 2**64}
    for name, (value, kind) in constants_of_the_pxd().items():
        assert 0 <= value < widths[kind], name


def test_every_constant_is_an_int():
    assert {type(value) for value in constants_of_the_py().values()} == {int}


# -- raw ----------------------------------------------------------------------------------------------------------------------

FUNCTIONS = sorted(name for name, value in vars(raw).items() if not name.startswith("_") and inspect.isfunction(value))


def test_every_function_of_raw_can_be_called_in_both_builds():
    public = {name for name, value in vars(rawtwin).items() if not name.startswith("_") and callable(value)}
    assert public == set(FUNCTIONS)
    text = (ROOT / "raw.pxd").read_text()
    assert [name for name in FUNCTIONS if not re.search(rf"^cdef inline .*\b{name}\(", text, re.MULTILINE)] == []


def test_the_pure_copy_is_pure():
    assert PURE.__file__.endswith("rawtwin.py")
    assert PURE.raw is not raw
    assert PURE.raw.__name__ == f"{twins.PURE}.raw"


def both(name, *arguments):
    """Call both; their value, or IndexError for both. Buffers are given to each as a copy and compared afterwards."""
    outcomes = []
    for module in (rawtwin, PURE):
        copies = [bytearray(a) if isinstance(a, bytearray) else a for a in arguments]
        try:
            value = getattr(module, name)(*copies)
        except IndexError:
            value = IndexError
        outcomes.append((value, [bytes(c) for c in copies if isinstance(c, bytearray)]))
    assert outcomes[0] == outcomes[1], f"{name}{arguments}: compiled {outcomes[0]}, pure {outcomes[1]}"
    return outcomes[0][0]


SIZES = {"g8": 1, "g16": 2, "g32": 4, "get_eth": 14, "get_ip4": 20, "get_tcp": 16, "get_udp": 8}
FIELDS = {
    "p8": (1, [8]),
    "p16": (2, [16]),
    "p32": (4, [32]),
    "put_eth": (14, [48, 48, 16]),
    "put_udp": (8, [16, 16, 16, 16]),
    "put5": (20, [32] * 5),
}


def offset(rng: random.Random, length: int) -> int:
    """Mostly inside, often at an edge, sometimes absurd."""
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice([-1, -length, -LONG - 1, LONG, LONG - 1, LONG - 19, length, length + 1])
    return rng.randrange(-2, length + 3)


@pytest.mark.parametrize("name", ["same", "move"])
def test_two_slabs_meet_the_same_way_or_fail_the_same(seed, name):
    rng = random.Random(seed)
    good = 0
    for _ in range(2000):
        a = bytearray(rng.choices(b"ab", k=rng.randrange(0, 12)))
        b = bytearray(rng.choices(b"ab", k=rng.randrange(0, 12)))
        o, p, n = offset(rng, len(a)), offset(rng, len(b)), rng.choice([LONG, *range(-1, 5)])
        inside = min(o, p, n) >= 0 and o + n <= len(a) and p + n <= len(b)
        assert (both(name, a, o, b, p, n) is not IndexError) == inside
        good += inside
    assert good > 100


@pytest.mark.parametrize("name", sorted(SIZES))
def test_reading_a_header_gives_the_same_or_fails_the_same(seed, name):
    rng = random.Random(seed)
    good = 0
    for _ in range(400):
        data = bytearray(rng.randbytes(rng.randrange(0, 60)))
        o = offset(rng, len(data))
        inside = 0 <= o <= len(data) - SIZES[name]
        assert (both(name, data, o) is not IndexError) == inside
        good += inside
    assert good > 20


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_writing_a_header_writes_the_same_or_fails_the_same(seed, name):
    rng = random.Random(seed)
    size, widths = FIELDS[name]
    for _ in range(400):
        data = bytearray(rng.randbytes(rng.randrange(0, 30)))
        o = offset(rng, len(data))
        values = [rng.choice([0, 2**w - 1, 2 ** (w - 1), rng.getrandbits(w)]) for w in widths]
        assert (both(name, data, o, *values) is None) == (0 <= o <= len(data) - size)


def test_spans_are_taken_copied_and_summed_alike(seed):
    rng = random.Random(seed)
    for _ in range(1500):
        data = bytearray(rng.choice([rng.randbytes, lambda n: b"\xff" * n, bytes])(rng.randrange(0, 80)))
        o, n = offset(rng, len(data)), offset(rng, len(data))
        inside = o >= 0 and n >= 0 and o + n <= len(data)
        start = rng.choice([0, 1, 0xFFFF, 0x10000, 0xFFFFFFFF, rng.getrandbits(32)])
        for call in (("take", data, o, n), ("csum", data, o, n, start)):
            assert (both(*call) is not IndexError) == inside, call
        for call in (("piece", bytes(data), o, n), ("csum_of", bytes(data), o, n, start)):
            assert (both(*call) is not IndexError) == inside, call
        into = bytearray(rng.randrange(0, 40))
        both("copy_into", into, data, o, n)
        at = offset(rng, len(data))
        both("fill", into, offset(rng, len(into)), bytes(data), at, n)
        both("move", into, offset(rng, len(into)), data, at, n)
        both("pbytes", into, offset(rng, len(into)), bytes(data[:10]))


def test_letters_are_lowered_alike(seed):
    rng = random.Random(seed)
    every = bytearray(range(256))
    assert both("lowered", every, 0, 256, 0) == bytes(every).lower()
    assert both("lowered", every, 60, 10, 10) == b"<=>?@abcdeFGHIJKLMNO"
    for _ in range(500):
        data = bytearray(rng.randbytes(rng.randrange(0, 40)))
        o, n, more = offset(rng, len(data)), offset(rng, len(data)), offset(rng, len(data))
        inside = min(o, n, more) >= 0 and o + n + more <= len(data)
        assert (both("lowered", data, o, n, more) is not IndexError) == inside


def test_the_first_items_of_a_list_go_alike():
    for module in (rawtwin, PURE):
        for length in (0, 1, 4, 16, 17, 40):
            for n in range(length + 2):
                items = list(range(length))
                module.behead(items, n)
                assert items == list(range(length))[n:]
                items += [7, 8]
                assert items == [*list(range(length))[n:], 7, 8]


def test_an_object_that_goes_finds_the_list_without_it():
    class Last:
        def __del__(self) -> None:
            seen.append(list(items))
            items.append("again")

    for module in (rawtwin, PURE):
        for length in (3, 30):
            seen: list[object] = []
            items: list[object] = [Last(), Last(), *range(length)]
            module.behead(items, 2)
            assert seen == [[*range(length)], [*range(length), "again"]]
            assert items == [*range(length), "again", "again"]


def test_any_contiguous_buffer_counts_bytes():
    words = memoryview(b"abcdefgh").cast("I")
    for module in (rawtwin, PURE):
        assert module.size(words) == 8
        assert module.piece(words, 1, 6) == b"bcdefg"
        assert module.csum_of(words, 0, 8, 0) == module.csum_of(b"abcdefgh", 0, 8, 0)
        slab = bytearray(8)
        module.fill(slab, 0, words, 0, 8)
        assert slab == b"abcdefgh"
        wide = memoryview(bytearray(8)).cast("I")
        assert module.copy_into(wide, slab, 0, 8) == 8
        assert wide.tobytes() == b"abcdefgh"


def test_all_of_a_bytes_object_is_that_object():
    data = b"x" * 100
    for module in (rawtwin, PURE):
        assert module.piece(data, 0, 100) is data
        assert module.piece(data, 0, 99) is not data


def test_views_show_and_their_absence_too():
    for module in (rawtwin, PURE):
        slab = bytearray(b"abc")
        assert not module.shared(slab)
        view = memoryview(slab)[1:]
        assert module.shared(slab)
        view.release()
        assert not module.shared(slab)
        assert slab == b"abc"


def test_folding_and_bits_on_a_circle_are_alike(seed):
    rng = random.Random(seed)
    for _ in range(500):
        bits = rng.choice([0, 1, 2**63, 2**64 - 1, rng.getrandbits(64), 1 << rng.randrange(64)])
        i = rng.randrange(64)
        far = both("first_from", bits, i)
        assert far == next((d for d in range(64) if bits >> (i + d) % 64 & 1), -1)
        assert both("set_bit", bits, i) >> i & 1
        assert not both("clear_bit", bits, i) >> i & 1
        both("fold", rng.choice([0, 0xFFFF, 0x10000, 0x1FFFF, 2**64 - 1, rng.getrandbits(64)]))
