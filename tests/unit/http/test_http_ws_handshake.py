"""The opening handshake of WebSocket: which requests are one, what is answered, and which answers a client takes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack.errors import UsageError, WireError
from netstack.http.events import RawFields, RequestHead
from netstack.http.ws import deflate
from netstack.http.ws.answer import HEAD, read_head
from netstack.http.ws.deflate import Deflate, parse_extensions
from netstack.http.ws.errors import HandshakeRefused
from netstack.http.ws.handshake import accept_key, answer_fields, is_websocket, read_answer, read_request, request_fields

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
ASKING: RawFields = ((b"host", b"a"), (b"sec-websocket-key", KEY), (b"sec-websocket-version", b"13"))


def head(fields: RawFields = ASKING, method: str = "GET", upgrade: bytes = b"websocket", major: int = 1) -> RequestHead:
    return RequestHead(method, "/chat", (2, 0) if major == 2 else (1, 1), fields, 0, True, False, upgrade)


def but(name: bytes, *values: bytes) -> RawFields:
    """`ASKING`, with `name` as given instead."""
    return (*(pair for pair in ASKING if pair[0] != name), *((name, value) for value in values))


def test_the_example_of_the_rfc() -> None:
    fields = (*ASKING, (b"sec-websocket-protocol", b"chat, superchat"))
    asked = read_request(head(fields))
    assert asked.subprotocols == ("chat", "superchat")
    assert answer_fields(asked, "chat") == (
        (b"upgrade", b"websocket"),
        (b"sec-websocket-accept", ACCEPT),
        (b"sec-websocket-protocol", b"chat"),
    )
    assert accept_key(KEY) == ACCEPT


@pytest.mark.parametrize("upgrade", [b"websocket", b"WebSocket", b"h2c, websocket"])
def test_a_websocket_is_asked_for_by_name(upgrade: bytes) -> None:
    assert is_websocket(head(upgrade=upgrade))
    assert not is_websocket(head(upgrade=b"websocket2"))
    assert not is_websocket(head(upgrade=b""))


def test_over_http_2_there_is_no_key_and_no_upgrade() -> None:
    """RFC 8441 5."""
    asked = read_request(head(((b"sec-websocket-version", b"13"),), "CONNECT", major=2))
    assert answer_fields(asked, fields=((b"x-a", b"b"),)) == ((b"x-a", b"b"),)
    with pytest.raises(HandshakeRefused):
        read_request(head(ASKING, "GET", major=2))


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (but(b"sec-websocket-key"), 400),
        (but(b"sec-websocket-key", KEY, KEY), 400),
        (but(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ"), 400),
        (but(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZSEh"), 400),
        (but(b"sec-websocket-key", b"????????????????????????"), 400),
        (but(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==dGhl"), 400),
        (but(b"sec-websocket-version"), 426),
        (but(b"sec-websocket-version", b"8"), 426),
        (but(b"sec-websocket-version", b"13", b"13"), 426),
        (but(b"sec-websocket-version", b"13, 8"), 426),
        ((*ASKING, (b"sec-websocket-protocol", b"a, a")), 400),
        ((*ASKING, (b"sec-websocket-protocol", b"a b")), 400),
        ((*ASKING, (b"sec-websocket-extensions", b"a; =")), 400),
        ((*ASKING, (b"sec-websocket-extensions", b"a;" * 1000)), 400),
    ],
)
def test_what_is_no_lawful_request_is_refused(fields: RawFields, status: int) -> None:
    with pytest.raises(HandshakeRefused) as caught:
        read_request(head(fields))
    assert caught.value.status == status
    assert ((b"sec-websocket-version", b"13") in caught.value.fields) == (status == 426)


def test_only_get_opens_one() -> None:
    with pytest.raises(HandshakeRefused):
        read_request(head(method="POST"))


def test_a_program_can_t_say_what_the_handshake_says_itself() -> None:
    asked = read_request(head())
    with pytest.raises(UsageError, match="not offered"):
        answer_fields(asked, "chat")
    for name in (b"Sec-WebSocket-Accept", b"upgrade", b"Connection"):
        with pytest.raises(UsageError, match="leave it out"):
            answer_fields(asked, fields=((name, b"x"),))


# -- permessage-deflate ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"),
        (
            "permessage-deflate; client_max_window_bits=10",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=10",
        ),
        ('permessage-deflate; server_max_window_bits="10"', "permessage-deflate; server_max_window_bits=10"),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
        ),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
        ("x-other; a=1, permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
        ("permessage-deflate; unknown", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; client_max_window_bits=08", None),
        ("permessage-deflate; client_max_window_bits=9; client_max_window_bits=9", None),
        ("permessage-snappy", None),
        ("", None),
    ],
)
def test_offers_of_compression(offer: str, answer: str | None) -> None:
    accepted = deflate.accept(parse_extensions(offer), 12)
    assert (accepted[1] if accepted else None) == answer


@pytest.mark.parametrize("bits", [9, 12, 15])
def test_what_we_offer_we_accept_and_both_read_it_alike(bits: int) -> None:
    for other in (9, 12, 15):
        accepted = deflate.accept(parse_extensions(deflate.offer(bits)), other)
        assert accepted is not None
        assert deflate.read_answer(parse_extensions(accepted[1]), bits) == accepted[0]


@pytest.mark.parametrize(
    "answer",
    [
        "permessage-deflate; server_max_window_bits=13",
        "permessage-deflate",
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=12, permessage-deflate",
        "x-other",
    ],
)
def test_an_answer_that_takes_what_was_not_offered_is_refused(answer: str) -> None:
    with pytest.raises(WireError):
        deflate.read_answer(parse_extensions(answer), 12)


@given(st.text(alphabet=st.sampled_from('abz09-;,="\\ \t\x00é'), max_size=40))
def test_any_extension_field_is_a_list_or_a_wire_error(value: str) -> None:
    try:
        found = parse_extensions(value)
    except WireError:
        return
    assert all(name for name, _ in found)
    deflate.accept(found, 12)


# -- the client's side -----------------------------------------------------------------------------------------------------------


def test_a_key_is_sixteen_bytes_of_chance() -> None:
    key, fields = request_fields(random.Random(1), ["a", "b"])
    assert len(key) == 24 and key != request_fields(random.Random(2))[0]
    asked = read_request(head(fields))
    assert asked.key == key and asked.subprotocols == ("a", "b")
    for bad in (["a b"], ["a", "a"], [""]):
        with pytest.raises(UsageError, match="tokens"):
            request_fields(random.Random(1), bad)


GOOD: RawFields = ((b"upgrade", b"WebSocket"), (b"connection", b"keep-alive, Upgrade"), (b"sec-websocket-accept", ACCEPT))


def test_an_answer_that_fits_is_taken() -> None:
    assert read_answer(GOOD, KEY) == (None, None)
    fields = (*GOOD, (b"sec-websocket-protocol", b"b"), (b"sec-websocket-extensions", b"permessage-deflate"))
    assert read_answer(fields, KEY, ["a", "b"], 15) == ("b", Deflate())


@pytest.mark.parametrize(
    "fields",
    [
        GOOD[1:],
        GOOD[:1] + GOOD[2:],
        GOOD[:2],
        (*GOOD[:2], (b"sec-websocket-accept", KEY)),
        (*GOOD, GOOD[2]),
        (*GOOD, (b"sec-websocket-protocol", b"c")),
        (*GOOD, (b"sec-websocket-protocol", b"a"), (b"sec-websocket-protocol", b"b")),
        (*GOOD, (b"sec-websocket-extensions", b"permessage-deflate")),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(fields: RawFields) -> None:
    with pytest.raises(WireError):
        read_answer(fields, KEY, ["a", "b"])


def test_the_head_of_an_answer() -> None:
    data = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nA: b \r\nC:\r\n\r\n\x81\x00"
    for end in range(len(data) - 2):
        assert read_head(data[:end]) is None
    found = read_head(data)
    assert found is not None
    assert (found.status, found.fields, data[found.end :]) == (101, ((b"a", b"b"), (b"c", b"")), b"\x81\x00")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.0 101 x\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 101\r\nA : b\r\n\r\n",
        b"HTTP/1.1 101\r\n a: b\r\n\r\n",
        b"HTTP/1.1 101\r\nA: \nb\r\n\r\n",
        b"HTTP/1.1 101 x\r\n" + b"a: b\r\n" * HEAD,
    ],
)
def test_a_head_that_is_none_is_a_wire_error(data: bytes) -> None:
    with pytest.raises(WireError):
        read_head(data)
