"""The engine alone: bytes are carried by hand, and nothing waits."""

from __future__ import annotations

import contextlib
import hashlib
import ssl
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tls_world import HOST, VERSIONS, client_context, server_context

from netstack.errors import BrokenError, NetstackError, WireError
from netstack.tls.engine import BATCH, PILED, Engine
from netstack.tls.errors import CertificateError, TlsError, TruncatedError
from netstack.tls.hello import asked_name, gather, server_name

BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(32768))  # 1 MiB


def carry(one: Engine, other: Engine, piece: int = 1 << 20) -> int:
    """What one has to send, to the other. How many bytes."""
    data = b"".join(one.take())
    for i in range(0, len(data), piece):
        other.feed(data[i : i + piece])
    return len(data)


def shaken(
    version: str | None = None, client: ssl.SSLContext | None = None, server: ssl.SSLContext | None = None, **options: Any
) -> tuple[Engine, Engine]:
    near = Engine(client or client_context(version), server_side=False, server_hostname=HOST, **options)
    far = Engine(server or server_context(version), server_side=True, **options)
    for _ in range(4):
        if not near.ready:
            near.shake()
        carry(near, far)
        if not far.ready:
            far.shake()
        if far.urgent:
            carry(far, near)
    assert near.ready
    assert far.ready
    return near, far


def say(one: Engine, other: Engine, data: bytes) -> None:
    view = memoryview(data)
    while view:
        n = one.write(view)
        assert n
        view = view[n:]
        carry(one, other)


def hear(engine: Engine, limit: int = 1 << 20) -> bytes:
    heard = b""
    while data := engine.read(limit):
        heard += data
    return heard


@pytest.mark.parametrize("version", VERSIONS)
def test_bytes_come_out_as_they_went_in_however_they_are_cut(version: str) -> None:
    near, far = shaken(version)
    got = bytearray()
    room = bytearray(10_000)
    view = memoryview(BIG)
    step = 0
    while view:
        n = near.write(view)
        assert n == min(len(view), BATCH)
        view = view[n:]
        data = b"".join(near.take())
        for i in range(0, len(data), 7919):
            far.feed(data[i : i + 7919])
            step += 1
            if step % 3 == 0:
                while data_read := far.read(1 + step % 30_000):
                    got += data_read
            elif step % 3 == 1:
                while filled := far.read_into(memoryview(room)):
                    got += room[:filled]
    got += hear(far)
    assert bytes(got) == BIG
    assert far.read(100) is None
    assert near.object.version() == f"TLSv{version}"
    assert far.name == near.name == HOST


@pytest.mark.parametrize("version", VERSIONS)
def test_each_side_ends_on_its_own_and_reads_what_came_before_and_comes_after(version: str) -> None:
    near, far = shaken(version)
    say(far, near, b"early" * 4000)
    assert near.read(7) == b"earlyea"
    near.finish()
    near.finish()
    carry(near, far)
    assert far.read(10) == b""
    assert far.ended
    assert not near.ended
    say(far, near, b"and late")
    room = bytearray(5)
    assert near.read_into(memoryview(room)) == 5
    assert bytes(room) == b"rlyea"
    assert hear(near) == (b"early" * 4000)[12:] + b"and late"
    far.finish()
    carry(far, near)
    assert near.read(1) == b""
    assert far.read(1) == b""


@pytest.mark.parametrize("version", VERSIONS)
def test_an_end_without_close_notify_is_a_cut_behind_all_that_came(version: str) -> None:
    near, far = shaken(version)
    say(near, far, b"hello")
    far.feed_eof()
    assert far.read(3) == b"hel"
    assert far.read(3) == b"lo"
    for _ in range(2):
        with pytest.raises(TruncatedError, match="without close_notify") as caught:
            far.read(3)
    assert isinstance(caught.value, BrokenError)
    assert isinstance(caught.value, ssl.SSLEOFError)
    assert isinstance(caught.value, ConnectionError)
    with pytest.raises(TlsError):
        far.write(memoryview(b"x"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("half", [False, True])
def test_whoever_does_not_mind_gets_an_end(version: str, half: bool) -> None:
    near, far = shaken(version, truncation=False)
    say(near, far, b"hello")
    if half:
        near.write(memoryview(b"more"))
        far.feed(b"".join(near.take())[:-1])
    far.feed_eof()
    assert hear(far) == b"hello"
    assert far.read(3) == b""
    assert far.read_into(memoryview(bytearray(3))) == 0
    far.write(memoryview(b"x"))


def test_a_changed_record_breaks_behind_those_before_it_and_says_so_to_the_peer() -> None:
    near, far = shaken()
    say(near, far, b"good")
    near.write(memoryview(b"changed"))
    record = bytearray(b"".join(near.take()))
    record[-1] ^= 1
    far.feed(record)
    assert far.read(100) == b"good"
    with pytest.raises(TlsError, match=r"bad record mac|record layer failure") as caught:
        far.read(100)
    assert isinstance(caught.value.__cause__, ssl.SSLError)
    assert caught.value.reason
    assert far.urgent
    carry(far, near)
    with pytest.raises(TlsError, match="alert"):
        near.read(100)


def test_tickets_wait_for_the_first_words_of_the_server() -> None:
    near, far = shaken("1.3")
    assert far.outgoing
    assert not far.urgent
    far.write(memoryview(b"x"))
    assert carry(far, near) > 400  # two tickets and a byte
    assert near.read(10) == b"x"
    near, far = shaken("1.2")
    assert not far.outgoing


def test_certificates_are_refused_in_the_words_of_ssl() -> None:
    near = Engine(client_context(trust="theirs"), server_side=False, server_hostname=HOST)
    far = Engine(server_context(), server_side=True)
    assert not near.shake()
    carry(near, far)
    assert not far.shake()
    carry(far, near)
    with pytest.raises(CertificateError) as caught:
        near.shake()
    assert isinstance(caught.value, ssl.SSLCertVerificationError)
    assert isinstance(caught.value, NetstackError)
    assert caught.value.verify_code in (19, 20)
    assert "certificate" in caught.value.verify_message
    assert str(caught.value).startswith("the peer's certificate is refused")
    assert carry(near, far) > 0
    with pytest.raises(TlsError, match="unknown ca"):
        far.shake()


def test_nothing_in_common_and_garbage_fail_with_an_alert() -> None:
    near = Engine(client_context("1.2"), server_side=False, server_hostname=HOST)
    far = Engine(server_context("1.3"), server_side=True)
    near.shake()
    carry(near, far)
    with pytest.raises(TlsError, match="unsupported protocol"):
        far.shake()
    carry(far, near)
    with pytest.raises(TlsError, match="alert protocol version"):
        near.shake()
    far = Engine(server_context(), server_side=True)
    far.feed(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(TlsError, match="http request"):
        far.shake()
    with pytest.raises(TlsError):
        far.shake()
    far = Engine(server_context(), server_side=True)
    assert not far.shake()
    far.feed_eof()
    with pytest.raises(TruncatedError, match="in the handshake"):
        far.shake()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 2))
def test_every_input_gives_bytes_or_one_error(noise: bytes, how: int) -> None:
    if how == 0:
        engine = Engine(SERVER, server_side=True)
    elif how == 1:
        engine = Engine(CLIENT, server_side=False, server_hostname=HOST)
        engine.shake()
    else:
        _, engine = shaken(client=CLIENT, server=SERVER)
    engine.feed(noise)
    engine.feed_eof()
    with pytest.raises(TlsError):
        for _ in range(len(noise) + 2):
            assert engine.read(100) is not None if engine.ready else engine.shake() is not None
    assert engine.error is not None


SERVER, CLIENT = server_context(), client_context()


def test_a_peer_that_makes_answers_pile_up_is_let_go() -> None:
    """By the bound alone: what would have to be asked for is not in the standard library's ssl."""
    near, far = shaken("1.3")
    say(near, far, b"x")
    far._out.write(bytes(PILED))  # as if thousands of key updates had been answered
    with pytest.raises(TlsError, match="does not read them"):
        far.read(1)


def test_a_write_that_must_read_first_ends_with_the_connection() -> None:
    """As in a renegotiation, which the standard library can't begin (test_tls_kernel.py has real ones)."""

    class Between:
        def write(self, data: Any) -> int:
            raise ssl.SSLWantReadError

    near, _ = shaken("1.2")
    stand_in: Any = Between()
    near._tls = stand_in
    assert near.write(memoryview(b"x")) is None
    near.feed_eof()
    for _ in range(2):
        with pytest.raises(TruncatedError, match="while keys were changed"):
            near.write(memoryview(b"x"))


# -- the name in a hello ---------------------------------------------------------------------------------------------------------

LITERAL = bytes.fromhex(
    "160301003d"  # a record of 61 bytes
    "01000039"  # ClientHello, 57
    "0303" + "00" * 32 + "00"  # version, random, no session
    "00021301"  # one cipher suite
    "0100"  # no compression
    "000e"  # extensions: 14 bytes
    "0000000a0008000005612e6f7267"  # server_name: a list of one host name, "a.org"
)


def test_the_name_is_found_in_a_literal_hello() -> None:
    assert len(LITERAL) == 5 + 61
    assert asked_name(LITERAL) == "a.org"
    assert asked_name(LITERAL[:20]) is None
    assert asked_name(b"") is None


def test_a_hello_in_many_records_has_its_name_too() -> None:
    message = LITERAL[5:]
    cut = b"".join(b"\x16\x03\x01\x00\x07" + message[i : i + 7] for i in range(0, 56, 7)) + b"\x16\x03\x01\x00\x05" + message[56:]
    assert asked_name(cut) == "a.org"
    assert gather(cut) == message[4:]
    assert gather(cut[:-1]) is None


@pytest.mark.parametrize("bad", ["1703010001ff", "1603010000", "160301000402000000", "160301ffff"])
def test_what_is_no_hello_is_refused(bad: str) -> None:
    bad_bytes = bytes.fromhex(bad)
    with pytest.raises(WireError):
        gather(bad_bytes)
    assert asked_name(bad_bytes) is None


@given(st.binary(max_size=300))
def test_any_bytes_give_a_name_or_a_wire_error(data: bytes) -> None:
    for decode in (gather, server_name):
        with contextlib.suppress(WireError):
            decode(data)


@given(st.integers(0, len(LITERAL) - 1), st.integers(0, 255))
def test_a_hello_with_one_byte_changed_is_read_or_refused(at: int, value: int) -> None:
    changed = bytearray(LITERAL)
    changed[at] = value
    name = asked_name(changed)
    assert name is None or isinstance(name, str)
