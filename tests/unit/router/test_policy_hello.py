"""The ClientHello, as somebody reads it who must not be lied to."""

import random
import ssl
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_words import extension, hello, hello_body, message, names, records

from netstack.errors import WireError
from netstack.router.policy.hello import RECORDS, Hello, read_hello
from netstack.tls.hello import LONGEST

# of curl 8 with OpenSSL 3, shortened to what a server must have: a literal, not made by our own words
LITERAL = bytes.fromhex(
    "1603010063" "0100005f" "0303" + "ab" * 32 + "00" "0004" "13011302" "0100" "0032"
    "0000001300110000" "0e" "6170692e6769746875622e636f6d"
    "0010000e000c02683208687474702f312e31"
    "ff01000100"
    "002d0000"
)  # fmt: skip


def openssl_hello(host: str) -> bytes:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=host).do_handshake()
    return out.read()


def test_a_hello_that_is_pinned_byte_by_byte_is_read():
    assert read_hello(LITERAL) == Hello("api.github.com", (b"h2", b"http/1.1"))


def test_openssl_and_we_agree_about_the_name():
    assert read_hello(openssl_hello("www.example.org")) == Hello("www.example.org", (b"h2", b"http/1.1"))


@pytest.mark.parametrize("size", [7, 16, 100])
def test_a_hello_in_several_records_is_one_hello(size):
    data = hello("api.github.com", extension(51, bytes(200)), size=size)
    assert read_hello(data) == Hello("api.github.com")
    assert all(read_hello(data[:at]) is None for at in range(len(data)))


def test_a_long_hello_is_read_and_one_beyond_the_bound_is_refused_by_its_length():
    assert read_hello(hello("a.example", extension(21, bytes(15000)))) == Hello("a.example")
    with pytest.raises(WireError, match="a ClientHello of"):
        read_hello(records(message(bytes(LONGEST + 1)))[:9])


def test_a_hello_in_more_records_than_anybody_needs_is_refused():
    data = hello("api.github.com", size=1)
    with pytest.raises(WireError, match=f"more than {RECORDS} records"):
        read_hello(data)
    assert read_hello(data[: 6 * RECORDS - 1]) is None


def test_grease_and_extensions_that_nobody_knows_are_passed_over():
    data = hello("a.example", extension(0x1A1A, b"\0"), extension(0xFAFA, b""), extension(60000, b"?"))
    assert read_hello(data) == Hello("a.example")


def test_with_ech_the_outer_name_is_told():
    found = read_hello(hello("public.example", extension(0xFE0D, bytes(100))))
    assert found == Hello("public.example", (), True)


def test_a_name_is_compared_in_one_form():
    assert read_hello(hello("API.GitHub.COM")) == read_hello(hello("api.github.com.")) == Hello("api.github.com")


def test_without_a_name_there_is_none():
    assert read_hello(hello(None)) == Hello()
    assert read_hello(records(message(hello_body()))) == Hello()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (hello_body(names(b"a.example"), names(b"b.example")), "extension 0 twice"),
        (hello_body(names(b"a.example", b"b.example")), "more than one server name"),
        (hello_body(names(b"a.example", kind=1)), "without a host name"),
        (hello_body(names()), "without a host name"),
        (hello_body(names(b"10.0.0.1")), "no host name"),
        (hello_body(names(b"2130706433")), "no host name"),
        (hello_body(names(b"a.example\0.b.example")), "no host name"),
        (hello_body(names(b"")), "no host name"),
        (hello_body(names("\u212aube.example".encode())), "no host name"),  # KELVIN SIGN, which some fold to k
        (hello_body(names(b"a b.example")), "no host name"),
        (hello_body(extension(0, b"\0\x0e\0\0\x09a.example")), "longer than its message"),
        (hello_body(extension(0, b"\0\x0c\0\0\x09a.example??")), "bytes behind a list"),
        (hello_body(names(b"a.example")) + b"?", "bytes behind a ClientHello"),
        (hello_body(names(b"a.example"))[:-1], "longer than its message"),
        (b"\x03\x03" + bytes(32) + b"\xff", "longer than its message"),
        (b"", "ends too soon"),
    ],
)
def test_a_hello_that_can_be_read_in_two_ways_or_none_is_refused(body, why):
    with pytest.raises(WireError, match=why):
        read_hello(records(message(body)))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x15\x03\x01\x00\x02\x01\x00",  # an alert
        b"\x16\x02\x00\x00\x05",  # SSL 2
        b"\x16\x03\x01\x00\x00",  # a record of nothing
        b"\x16\x03\x01\x40\x01",  # one that is too long
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",  # a ServerHello
        hello("a.example", size=40)[:45] + b"\x15\x03\x01\x00\x02\x01\x00",  # an alert in the midst
    ],
)
def test_what_is_no_hello_is_refused_at_once(data):
    with pytest.raises(WireError):
        read_hello(data)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_hello_or_a_wire_error(data):
    for first in (data, b"\x16\x03\x01" + data, records(message(data)) if data else data, records(message(hello_body(data)))):
        with suppress(WireError):
            assert isinstance(read_hello(first), Hello | None)


def test_a_hello_with_any_byte_changed_gives_a_hello_or_a_wire_error(seed):
    rng = random.Random(seed)
    for _ in range(2000):
        data = bytearray(LITERAL)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with suppress(WireError):
            assert isinstance(read_hello(bytes(data)), Hello | None)
