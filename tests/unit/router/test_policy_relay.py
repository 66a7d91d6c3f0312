"""The proxy that a guest doesn't know of, as a machine: bytes in, bytes out."""

import random

import pytest

from netstack.errors import UsageError
from netstack.instant import SECOND, Instant
from netstack.router.policy.relay import HttpRelay

NOW = Instant(0)
GET = b"GET /a HTTP/1.1\r\nHost: api.example\r\n\r\n"
ASKED = b"GET /a HTTP/1.1\r\nHost: api.example\r\n\r\n"
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def at(seconds: float) -> Instant:
    return Instant(int(seconds * SECOND))


class Both:
    """A relay whose requests go on as they are."""

    def __init__(self, *upgrades: bytes) -> None:
        self.relay = HttpRelay(NOW, frozenset(upgrades))
        self.to_guest = b""
        self.to_far = b""
        self.requests = []

    def guest(self, data: bytes, now: Instant = NOW) -> bytes:
        """What it sends; what goes to the far side because of it."""
        self.relay.from_guest(data, now)
        return self.settle()[1]

    def far(self, data: bytes, now: Instant = NOW) -> bytes:
        """What it sends; what goes to the guest because of it."""
        self.relay.from_far(data, now)
        return self.settle()[0]

    def settle(self) -> tuple[bytes, bytes]:
        relay = self.relay
        while relay.asked is not None:
            head = relay.asked
            self.requests.append((head.method, head.target))
            self.decide(head)
        to_guest, to_far = relay.take_guest(), relay.take_far()
        self.to_guest += to_guest
        self.to_far += to_far
        return to_guest, to_far

    def decide(self, head) -> None:
        self.relay.pass_on(head.target, b"api.example", head.fields, NOW)


def test_a_request_and_its_answer_pass():
    both = Both()
    assert both.guest(GET) == ASKED
    assert both.far(FINE) == FINE
    assert both.requests == [("GET", "/a")] and not both.relay.over


def test_a_body_streams_as_it_comes():
    both = Both()
    head = b"POST /a HTTP/1.1\r\nHost: api.example\r\nContent-Length: 10\r\n\r\n"
    assert both.guest(head) == head
    assert both.guest(b"01234") == b"01234"
    assert both.guest(b"56789") == b"56789"
    assert both.far(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").endswith(b"\r\n\r\n3\r\nabc\r\n")
    assert both.far(b"0\r\nX-Sum: 1\r\n\r\n") == b"0\r\nX-Sum: 1\r\n\r\n"
    assert both.guest(GET) == ASKED


def test_chunks_are_written_anew_and_trailers_that_would_frame_are_dropped():
    both = Both()
    both.guest(b"POST /a HTTP/1.1\r\nHost: api.example\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert both.guest(b"00003;x=1\r\nabc\r\n0\r\nHost: evil\r\nx-a: b\r\n\r\n") == b"3\r\nabc\r\n0\r\nX-A: b\r\n\r\n"


def test_what_is_pipelined_goes_on_one_by_one():
    both = Both()
    assert both.guest(GET + GET.replace(b"/a", b"/b") + GET.replace(b"/a", b"/c")) == ASKED
    assert both.far(FINE) == FINE
    assert both.to_far == ASKED + ASKED.replace(b"/a", b"/b")
    both.far(FINE)
    both.far(FINE)
    assert [target for _, target in both.requests] == ["/a", "/b", "/c"] and both.to_guest == FINE * 3


def test_the_same_bytes_cut_anywhere_give_the_same_bytes(seed):
    rng = random.Random(seed)
    asked = b"POST /p HTTP/1.1\r\nHost: api.example\r\nContent-Length: 5\r\n\r\n01234" + GET + GET
    answers = [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + FINE, FINE, b"HTTP/1.1 304 Not Modified\r\nEtag: x\r\n\r\n"]
    whole = None
    for _ in range(50):
        both = Both()
        rest = asked
        done = 0
        while rest or done < 3:
            if rest and both.relay.wants_guest:
                n = rng.randint(1, len(rest))
                both.guest(rest[:n])
                rest = rest[n:]
            elif done < len(both.requests):
                answer = answers[done]
                done += 1
                while answer:
                    n = rng.randint(1, len(answer))
                    both.far(answer[:n])
                    answer = answer[n:]
        whole = whole or (both.to_far, both.to_guest)
        assert (both.to_far, both.to_guest) == whole


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\n b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_could_be_read_in_two_ways_never_reaches_the_far_side(request_):
    both = Both()
    assert both.guest(request_) == b""
    assert both.relay.refusal is not None and both.relay.over and both.to_guest.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))


def test_headers_of_a_hop_stay_on_their_hop():
    both = Both()
    sent = both.guest(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x-hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\n"
        b"Upgrade: h2c\r\nX-End: 2\r\n\r\n"
    )
    assert sent == b"GET / HTTP/1.1\r\nHost: api.example\r\nX-End: 2\r\n\r\n"
    got = both.far(b"HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-End: 2\r\nContent-Length: 0\r\n\r\n")
    assert got == b"HTTP/1.1 200 OK\r\nX-End: 2\r\nContent-Length: 0\r\n\r\n"


def test_either_side_that_closes_closes_both():
    both = Both()
    assert b"Connection: close" in both.guest(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert b"Connection: close" in both.far(FINE)
    assert both.relay.over
    both = Both()
    both.guest(GET)
    assert b"Connection: close" in both.far(FINE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert both.relay.over


def test_an_answer_that_only_the_end_delimits_is_chunked_for_the_guest():
    both = Both()
    both.guest(GET)
    both.far(b"HTTP/1.1 200 OK\r\n\r\nsome")
    both.far(b"")
    assert both.to_guest.endswith(b"4\r\nsome\r\n0\r\n\r\n") and both.relay.over and not both.relay.broken


def test_an_answer_that_is_cut_is_cut_for_the_guest():
    both = Both()
    both.guest(GET)
    both.far(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
    both.far(b"")
    assert both.relay.over and both.relay.broken


def test_what_is_no_answer_is_502_and_none_at_all_is_an_end():
    both = Both()
    both.guest(GET)
    assert both.far(b"SSH-2.0-x\r\n").startswith(b"HTTP/1.1 502 ") and both.relay.over
    both = Both()
    both.guest(GET)
    assert both.far(b"") == b"" and both.relay.over and not both.relay.broken


def test_a_far_side_that_speaks_without_being_asked_is_not_heard():
    both = Both()
    assert both.far(FINE) == b"" and both.relay.over
    both = Both()
    both.guest(GET)
    both.far(FINE + FINE)
    assert both.to_guest == FINE and both.relay.over


def test_an_expectation_passes_both_ways():
    both = Both()
    head = b"PUT / HTTP/1.1\r\nHost: api.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    assert sorted(both.guest(head).split(b"\r\n")) == sorted(head.split(b"\r\n"))
    assert both.far(b"HTTP/1.1 100 Continue\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert both.guest(b"abc") == b"abc"
    assert both.far(FINE) == FINE


def test_an_expectation_may_be_refused_before_the_body():
    both = Both()
    both.guest(b"PUT / HTTP/1.1\r\nHost: api.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert both.far(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").startswith(b"HTTP/1.1 401 ")
    assert both.relay.over and both.relay.lingers


def test_a_server_that_knows_no_expectations_gets_the_body_after_a_second():
    both = Both()
    both.guest(b"PUT / HTTP/1.1\r\nHost: api.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert both.relay.next_deadline(NOW) == at(1)
    both.relay.handle_timeout(at(1))
    assert both.settle()[0] == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert both.guest(b"abc", at(1)) == b"abc"


def test_a_guest_that_does_not_wait_for_its_expectation_is_not_held():
    both = Both()
    head = b"PUT / HTTP/1.1\r\nHost: api.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    assert both.guest(head + b"abc").endswith(b"abc")
    assert both.far(b"HTTP/1.1 100 Continue\r\n\r\n") == b""
    assert both.far(FINE) == FINE


UPGRADE = b"GET /chat HTTP/1.1\r\nHost: api.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def test_an_upgrade_that_is_allowed_makes_a_pipe():
    both = Both(b"websocket")
    assert b"Upgrade: websocket" in both.guest(UPGRADE + b"early")
    assert both.far(SWITCHED + b"hello") == SWITCHED + b"hello"
    assert both.to_far.endswith(b"early") and both.relay.tunnel == b"websocket"
    assert both.guest(b"\0raw") == b"\0raw" and both.far(b"\1raw") == b"\1raw"
    both.guest(b"")
    assert not both.relay.over and both.far(b"\2") == b"\2"


def test_an_upgrade_that_is_not_allowed_is_never_asked_for():
    both = Both()
    assert both.guest(UPGRADE) == b"GET /chat HTTP/1.1\r\nHost: api.example\r\n\r\n"
    assert both.far(SWITCHED).startswith(b"HTTP/1.1 502 ") and both.relay.over


def test_an_answer_of_ones_own_never_touches_the_far_side_and_the_next_request_may():
    class Answering(Both):
        def decide(self, head):
            if head.target == "/a":
                self.relay.answer(403, ((b"x-by", b"us"), (b"content-length", b"99")), b"no\n", NOW)
            else:
                super().decide(head)

    both = Answering()
    assert both.guest(GET) == b""
    assert both.to_guest == b"HTTP/1.1 403 Forbidden\r\nX-By: us\r\nContent-Length: 3\r\n\r\nno\n"
    assert both.guest(GET.replace(b"/a", b"/b")) == ASKED.replace(b"/a", b"/b")
    both.far(FINE)
    both.guest(b"HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n")
    assert both.to_guest.endswith(b"Content-Length: 3\r\n\r\n") and not both.relay.over


def test_an_answer_before_the_whole_request_ends_the_connection_and_lingers():
    both = Both()
    both.decide = lambda head: both.relay.answer(200, (), b"x", NOW)
    both.guest(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nhalf")
    assert b"Connection: close" in both.to_guest and both.relay.over and both.relay.lingers and both.to_far == b""


def test_a_refusal_says_so_and_ends():
    both = Both()
    both.decide = lambda head: both.relay.refuse(403, "Not you.")
    both.guest(GET)
    assert both.to_guest.startswith(b"HTTP/1.1 403 ") and both.to_guest.endswith(b"Not you.\n") and both.relay.over


def test_what_can_not_be_said_is_not_half_said():
    both = Both()
    both.decide = lambda head: None
    both.relay.from_guest(GET, NOW)
    with pytest.raises(UsageError):
        both.relay.pass_on("/a b", b"a", (), NOW)
    both.relay.pass_on("/a", b"api.example", (), NOW)
    assert both.relay.take_far() == ASKED


def test_a_guest_that_leaves_in_the_midst_of_its_request_resets_the_far_side():
    both = Both()
    both.guest(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nhalf")
    both.guest(b"")
    assert both.relay.over and both.relay.broken


def test_a_guest_that_has_ended_its_side_gets_its_answer():
    both = Both()
    both.guest(GET)
    both.guest(b"")
    assert both.far(FINE) == FINE and both.relay.over and not both.relay.broken


def test_a_request_of_1_0_gets_what_it_understands():
    both = Both()
    assert both.guest(b"GET /a HTTP/1.0\r\n\r\n") == b"GET /a HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    assert both.far(b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer) == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"


def test_nothing_is_received_that_could_not_be_kept():
    both = Both()
    both.decide = lambda head: None
    both.relay.from_guest(GET, NOW)
    assert both.relay.wants_guest == 0  # it asks
    both.relay.pass_on("/a", b"api.example", (), NOW)
    assert both.relay.wants_guest == 65536
    both.relay.from_guest(b"x" * 65000, NOW)
    assert both.relay.wants_guest == 536
    both.relay.from_guest(b"x" * 536, NOW)
    assert both.relay.wants_guest == 0


def test_a_head_that_trickles_has_a_minute():
    both = Both()
    both.guest(b"GET /a HT")
    assert both.relay.next_deadline(NOW) == at(60)
    both.relay.handle_timeout(at(60))
    assert both.settle()[0].startswith(b"HTTP/1.1 408 ") and both.relay.over


def test_any_bytes_from_either_side_raise_nothing(seed):
    rng = random.Random(seed)
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
    pieces = [GET, FINE, UPGRADE, SWITCHED, b"", b"\r\n", b"0\r\n\r\n", post, b"abc"]
    for _ in range(400):
        both = Both(b"websocket")
        for _ in range(rng.randint(1, 12)):
            data = bytearray(rng.choice(pieces))
            if data and rng.random() < 0.2:
                data[rng.randrange(len(data))] = rng.randrange(256)
            side = rng.random() < 0.5
            if side and both.relay.wants_guest:
                both.guest(bytes(data[: both.relay.wants_guest]))
            elif not side and both.relay.wants_far:
                both.far(bytes(data))
            both.relay.next_deadline(NOW)
