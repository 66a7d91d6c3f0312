"""What a net's names say to what needs no resolver is what the system's getaddrinfo says."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netstack.errors import UsageError
from netstack.runtime.names import Names, literal, mapped_ipv4

LOCAL, ANY4, SIX = "127.0.0.1", socket.AF_INET, socket.AF_INET6
STREAM, DGRAM, RAW = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW

QUESTIONS: list[tuple[Any, Any, dict[str, int]]] = [
    (LOCAL, 80, {}),
    (LOCAL, None, {}),
    (LOCAL, "", {"type": STREAM}),
    (LOCAL, 0, {"type": RAW}),
    (LOCAL, "http", {}),
    (LOCAL, "http", {"type": RAW}),
    (LOCAL, "http", {"proto": 17}),
    (LOCAL, "http", {"type": STREAM, "flags": socket.AI_NUMERICSERV}),
    (LOCAL, "nosuchservice", {}),
    (LOCAL, 80, {"type": STREAM, "proto": 17}),
    (LOCAL, 80, {"proto": 17}),
    (LOCAL, 80, {"proto": 99}),
    (LOCAL, 70000, {"type": STREAM}),
    (LOCAL, -1, {"type": STREAM}),
    (LOCAL, 1.5, {}),
    (LOCAL, 80, {"family": SIX, "type": STREAM}),
    (LOCAL, 80, {"family": SIX, "type": STREAM, "flags": socket.AI_V4MAPPED}),
    (LOCAL, 80, {"family": socket.AF_UNIX}),
    (LOCAL, 80, {"type": STREAM, "flags": socket.AI_CANONNAME}),
    (b"127.0.0.1", b"80", {"type": STREAM}),
    ("127.1", 80, {"type": DGRAM}),
    ("::1", 80, {"type": STREAM}),
    ("::1", 80, {"family": ANY4, "type": STREAM}),
    ("::ffff:1.2.3.4", 80, {"type": STREAM}),
    ("::ffff:1.2.3.4", 80, {"family": ANY4, "type": STREAM}),
    ("localhost", 80, {"family": ANY4, "type": STREAM}),
    ("localhost", 80, {"type": STREAM, "flags": socket.AI_NUMERICHOST}),
    (None, 80, {"family": ANY4, "type": STREAM}),
    (None, 80, {"family": ANY4, "type": STREAM, "flags": socket.AI_PASSIVE}),
    (None, None, {}),
    ("", 80, {}),
    ("a..b", 1, {}),
    ("x" * 70, 1, {}),
    (5, 5, {}),
]


def outcome(ask: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The answer, or the error by class and number."""
    try:
        return ask(*args, **options)
    except Exception as error:
        return type(error), getattr(error, "errno", None)


@pytest.mark.parametrize(("host", "port", "options"), QUESTIONS, ids=str)
def test_answers_and_errors_are_the_systems(host: Any, port: Any, options: dict[str, int]) -> None:
    assert outcome(Names().getaddrinfo, host, port, **options) == outcome(socket.getaddrinfo, host, port, **options)


@pytest.mark.parametrize("flags", [3, socket.NI_NUMERICHOST, socket.NI_NUMERICHOST | socket.NI_DGRAM])
@pytest.mark.parametrize("address", [(LOCAL, 80), (LOCAL, 53), ("::1", 80, 0, 0), (LOCAL, 70000), (LOCAL,), (LOCAL, 64999)])
def test_so_are_the_names_of_addresses(address: tuple[Any, ...], flags: int) -> None:
    assert outcome(Names().getnameinfo, address, flags) == outcome(socket.getnameinfo, address, flags)


def test_a_table_is_read_as_the_systems_is(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("# a comment\n10.0.0.5 db db.local  # and another\n\n10.0.0.6 db\n::1 six\n")
    names = Names.read(str(file))
    assert [info[4][0] for info in names.getaddrinfo("DB.", 1, type=STREAM)] == ["10.0.0.5", "10.0.0.6"]
    assert names.getnameinfo(("10.0.0.5", 1), socket.NI_NUMERICSERV) == ("db", "1")
    assert names.getaddrinfo("six", 1, type=STREAM)[0][:2] == (SIX, STREAM)
    with pytest.raises(socket.gaierror, match="has no IPv4 address"):
        names.getaddrinfo("six", 1, family=ANY4)
    with pytest.raises(UsageError, match=r"'10\.0\.0\.500', which 'x' shall stand for, is not an address"):
        Names({"x": "10.0.0.500"})


def test_localhost_and_what_is_below_it_is_this_host() -> None:
    for name in ("localhost", "LOCALHOST.", "a.localhost"):
        assert Names().getaddrinfo(name, 1, type=STREAM)[0][4] == (LOCAL, 1)
    assert Names({"localhost": "10.0.0.1"}).getaddrinfo("localhost", 1, type=STREAM)[0][4] == ("10.0.0.1", 1)


def test_literals_need_no_resolver() -> None:
    assert literal(LOCAL, "80", 0, STREAM, 0) == (ANY4, STREAM, 6, "", (LOCAL, 80))
    assert literal("::1", 80, 0, DGRAM, 0, 7) == (SIX, DGRAM, 17, "", ("::1", 80, 7, 0))
    for question in (
        ("localhost", 80, 0, STREAM, 0),
        (LOCAL, "http", 0, STREAM, 0),
        (LOCAL, 80, SIX, STREAM, 0),
        ("fe80::1%lo", 1, 0, STREAM, 0),
    ):
        assert literal(*question) is None


def test_mapped_addresses_have_an_ipv4_address_inside() -> None:
    assert mapped_ipv4("::ffff:10.0.0.1") == "10.0.0.1"
    assert mapped_ipv4("::") == "0.0.0.0"
    assert mapped_ipv4("::1") is None
    assert mapped_ipv4("10.0.0.1") is None
