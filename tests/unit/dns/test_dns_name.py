"""Names: wire form, text with escapes, order and ancestry."""

import random

import dns.name
import pytest

from netstack.dns import name as names
from netstack.errors import UsageError, WireError

WWW = b"\x03www\x07example\x03com\x00"


def test_text_and_wire_of_a_plain_name():
    assert names.parse("www.example.com.") == WWW
    assert names.text(WWW) == "www.example.com."
    assert names.parse(".") == b"\0" == names.ROOT
    assert names.text(b"\0") == "."


def test_a_relative_name_stands_in_its_origin():
    origin = names.parse("example.com.")
    assert names.parse("www", origin) == WWW
    assert names.parse("@", origin) == origin
    assert names.parse("www") == b"\x03www\x00"


def test_escapes_of_dots_and_octets():
    odd = b"\x05a.b\\c\x04\x00\xff \x7f\x00"
    assert names.text(odd) == "a\\.b\\\\c.\\000\\255\\032\\127."
    assert names.parse(names.text(odd)) == odd


@pytest.mark.parametrize("text", ["", "a..b", ".a", "a.\\", "\\256.", "\\25", "x" * 64, "bücher.example", "a." * 128, "\\1a0."])
def test_what_is_not_a_name_is_refused(text):
    with pytest.raises(UsageError):
        names.parse(text)


def test_the_longest_lawful_name_has_255_octets():
    longest = ".".join(["x" * 63, "y" * 63, "z" * 63, "w" * 61]) + "."
    assert len(names.parse(longest)) == 255
    with pytest.raises(UsageError, match="255"):
        names.parse(longest.replace("w" * 61, "w" * 62))


@pytest.mark.parametrize(
    "wire", [b"", b"\x03ww", b"\x03www", b"\0\0", b"\xc0\x0c", b"\x40" + b"a" * 64 + b"\0", b"\x01a" * 127 + b"\x01\0\0"]
)
def test_bytes_that_are_not_one_name_raise(wire):
    with pytest.raises(WireError):
        names.check(wire)


def test_the_key_lowers_letters_and_no_length():
    odd = bytes([63]) + bytes(range(65, 65 + 26)) + b"\xc4" * 37 + b"\0"  # 0xC4 is a letter in Latin-1, and none here
    assert names.key(odd) == bytes([63]) + bytes(range(97, 97 + 26)) + b"\xc4" * 37 + b"\0"


def test_ancestry_ends_at_labels():
    key = names.parse
    assert names.under(key("a.example."), key("example."))
    assert names.under(key("example."), key("example."))
    assert names.under(key("example."), b"\0")
    assert not names.under(key("badexample."), key("example."))
    assert not names.under(key("example."), key("a.example."))
    # the zone's octets end the name, but they begin inside a label
    inside = b"\x0a\x01a\x07example\x00"
    assert names.check(inside) and inside.endswith(key("example.")) and not names.under(inside, key("example."))


def test_parts_of_names():
    assert names.labels(WWW) == [b"www", b"example", b"com"]
    assert names.join([b"www", b"example", b"com"]) == WWW
    assert names.count(WWW) == 3 and names.count(b"\0") == 0
    assert names.parent(WWW) == b"\x07example\x03com\x00"
    assert names.parent(b"\0") == b"\0"
    assert names.tail(WWW, 1) == b"\x03com\x00" and names.tail(WWW, 0) == b"\0" and names.tail(WWW, 9) == WWW


def test_names_sort_as_in_rfc_4034_6_1():
    listed = ["example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.", "z.example.", "\\001.z.example.",
              "*.z.example.", "\\200.z.example."]  # fmt: skip
    wires = [names.parse(text) for text in listed]
    shuffled = sorted(wires, key=lambda w: w[::-1])
    assert sorted(shuffled, key=names.order) == wires


def test_text_is_that_of_dnspython_and_comes_back(seed):
    rng = random.Random(seed)
    for _ in range(500):
        labels = [rng.randbytes(rng.randrange(1, 12)) for _ in range(rng.randrange(0, 8))]
        wire = names.join(labels)
        text = names.text(wire)
        assert text == dns.name.Name([*labels, b""]).to_text()
        assert dns.name.from_text(text).to_wire() == wire == names.parse(text)
