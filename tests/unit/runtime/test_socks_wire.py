"""What clients of the proxy say, byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack.errors import WireError
from netstack.runtime import sockswire as wire

DECODERS = [wire.greeting, wire.credentials, wire.request, wire.connect_head]
WHOLE = [
    (wire.greeting, b"\x05\x02\x00\x02", wire.Greeting(b"\x00\x02", 4)),
    (wire.credentials, b"\x01\x03bob\x02pw", wire.Credentials(b"bob", b"pw", 8)),
    (wire.request, b"\x05\x01\x00\x01\x0a\x00\x00\x02\x00\x50", wire.Request(1, "10.0.0.2", 80, 1, 10)),
    (wire.request, b"\x05\x01\x00\x03\x04host\x1f\x90", wire.Request(1, "host", 8080, 3, 11)),
    (wire.request, b"\x05\x03\x00\x04" + bytes(15) + b"\x01\x00\x35", wire.Request(3, "::1", 53, 4, 22)),
    (
        wire.connect_head,
        b"CONNECT 10.0.0.2:80 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic Ym9iOnB3\r\n\r\n",
        wire.Connect(b"CONNECT", "10.0.0.2", 80, b"bob:pw", 78),
    ),
    (wire.connect_head, b"CONNECT [::1]:80 HTTP/1.0\r\n\r\n", wire.Connect(b"CONNECT", "::1", 80, None, 29)),
    (wire.connect_head, b"GET http://x/ HTTP/1.1\r\n\r\n", wire.Connect(b"GET", "", 0, None, 26)),
]


@pytest.mark.parametrize(("decoder", "data", "value"), WHOLE)
def test_a_message_is_decoded_as_soon_as_it_is_whole_and_not_before(decoder, data, value):
    for n in range(len(data)):
        assert decoder(data[:n]) is None
    assert decoder(data) == value
    assert decoder(data + b"what follows") == value


@pytest.mark.parametrize(
    ("decoder", "data"),
    [
        (wire.greeting, b"\x04\x01"),  # SOCKS4
        (wire.greeting, b"\x05\x00"),
        (wire.credentials, b"\x05"),
        (wire.credentials, b"\x01\x00"),
        (wire.credentials, b"\x01\x01x\x00"),
        (wire.request, b"\x04"),
        (wire.request, b"\x05\x01\x01"),
        (wire.request, b"\x05\x01\x00\x03\x00"),
        (wire.request, b"\x05\x01\x00\x03\x03a\0b\x00\x50"),
        (wire.request, b"\x05\x01\x00\x03\x02\xc3\xa4\x00\x50"),
        (wire.connect_head, b"CONNECT  10.0.0.2:80 HTTP/1.1\r\n"),
        (wire.connect_head, b"CONNECT 10.0.0.2:80 HTTP/2\r\n"),
        (wire.connect_head, b"CONNECT 10.0.0.2 HTTP/1.1\r\n\r\n"),
        (wire.connect_head, b"CONNECT 10.0.0.2:0 HTTP/1.1\r\n\r\n"),
        (wire.connect_head, b"CONNECT 10.0.0.2:80 HTTP/1.1\r\nHost : x\r\n\r\n"),
        (wire.connect_head, b"CONNECT 10.0.0.2:80 HTTP/1.1\r\nA: x\r\n fold\r\n\r\n"),
        (wire.connect_head, b"CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic eA==\r\nProxy-Authorization: Basic eA==\r\n\r\n"),
        (wire.connect_head, b"C" * 8192),
        (wire.connect_head, b"\x16\x03\x01\r\n"),  # somebody speaks TLS here
    ],
)
def test_what_is_not_lawful_is_a_wire_error(decoder, data):
    with pytest.raises(WireError):
        decoder(data)


def test_an_unknown_kind_of_address_is_for_the_reply_to_say():
    assert wire.request(b"\x05\x01\x00\x09") == wire.Request(1, "", 0, 9, 4)


def test_another_scheme_than_basic_is_a_wrong_password():
    assert wire.connect_head(b"CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Digest x\r\n\r\n").authorization == b""
    assert wire.connect_head(b"CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic ***\r\n\r\n").authorization == b""


def test_datagrams_have_a_header_and_fragments_are_dropped():
    assert wire.udp_header(b"\0\0\0\x01\x0a\0\0\x02\0\x35data") == ("10.0.0.2", 53, 10)
    assert wire.udp_header(b"\0\0\x01\x01\x0a\0\0\x02\0\x35data") is None
    for data in (b"", b"\0\0\0", b"\0\x01\0\x01\x0a\0\0\x02\0\x35", b"\0\0\0\x01\x0a\0", b"\0\0\0\x07\x0a\0\0\x02\0\x35"):
        with pytest.raises(WireError):
            wire.udp_header(data)


def test_a_reply_always_has_an_address():
    assert wire.reply(0, "10.0.0.1", 80) == b"\x05\x00\x00\x01\x0a\x00\x00\x01\x00\x50"
    assert wire.reply(0, "::1", 80) == b"\x05\x00\x00\x04" + bytes(15) + b"\x01\x00\x50"
    assert wire.reply(5) == b"\x05\x05\x00\x01" + bytes(6)
    assert wire.reply(0, "localhost", 1) == b"\x05\x00\x00\x01" + bytes(4) + b"\x00\x01"


@given(
    st.sampled_from(DECODERS), st.sampled_from([b"", b"\x05", b"\x05\x01\x00\x03", b"\x01", b"CONNECT "]), st.binary(max_size=600)
)
def test_every_input_gives_a_value_or_a_wire_error(decoder, start, rest):
    try:
        value = decoder(start + rest)
    except WireError:
        return
    assert value is None or 0 < value.used <= len(start + rest)


@given(st.binary(max_size=300))
def test_every_datagram_gives_a_value_or_a_wire_error(data):
    try:
        found = wire.udp_header(data)
    except WireError:
        return
    assert found is None or found[2] <= len(data)
