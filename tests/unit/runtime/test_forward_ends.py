"""How the ends of a forward are written."""

import pytest

from netstack.errors import UsageError
from netstack.runtime.ends import Place, route


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("tcp:5432", Place(False, "tcp", "", 5432)),
        ("tcp:10.0.0.1:80", Place(False, "tcp", "10.0.0.1", 80)),
        ("tcp::80", Place(False, "tcp", "", 80)),
        ("udp:53", Place(False, "udp", "", 53)),
        ("host:8080", Place(True, "tcp", "", 8080)),
        ("host:127.0.0.1:8080", Place(True, "tcp", "127.0.0.1", 8080)),
        ("host:tcp:localhost:8080", Place(True, "tcp", "localhost", 8080)),
        ("host:tcp:[::1]:8080", Place(True, "tcp", "::1", 8080)),
        ("host:udp:0", Place(True, "udp", "", 0)),
        ("unix:/run/x:y.sock", Place(True, "unix", path="/run/x:y.sock")),
    ],
)
def test_each_end_says_whose_it_is(text, place):
    assert Place.parse(text) == place
    assert Place.parse(str(place)) == place


@pytest.mark.parametrize(
    "text", ["", "80", "10.0.0.1:80", "tcp:", "tcp:http", "tcp:65536", "tcp:::1:80", "unix:", "unix:/a\0b", "host:unix:/x", "host:"]
)
def test_what_is_no_end_is_told_by_an_example(text):
    with pytest.raises(UsageError, match="write"):
        Place.parse(text)


def test_a_path_has_the_length_that_the_kernel_allows():
    Place.parse("unix:/" + "x" * 106)
    with pytest.raises(UsageError, match="107 bytes"):
        Place.parse("unix:/" + "x" * 107)


@pytest.mark.parametrize(
    ("listen", "target", "why"),
    [
        ("host:80", "host:81", "both the host's"),
        ("unix:/a", "host:81", "both the host's"),
        ("udp:53", "unix:/run/dns", "datagrams"),
        ("tcp:53", "udp:10.0.0.1:53", "datagrams"),
        ("tcp:53", "host:0", "needs a port"),
    ],
)
def test_ends_that_do_not_go_together_are_refused(listen, target, why):
    with pytest.raises(UsageError, match=why):
        route(listen, target)


def test_nobody_opens_his_machine_by_leaving_a_word_out():
    assert Place.parse("host:80").local == "127.0.0.1"
    assert Place.parse("tcp:80").local == ""
    assert Place.parse("host:80").target == Place.parse("tcp:80").target == "127.0.0.1"
