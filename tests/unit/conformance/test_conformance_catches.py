"""The suite holds whoever passes it: each of these stacks breaks one promise, and a case says so.

The stacks are the kernel's sockets with one thing done wrong, as somebody might do it. With nothing done wrong the same cases pass:
test_conformance_posix.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from netstack_sockets import KernelDatagrams, KernelListener, KernelNet, KernelStream
from netstack_sockets import datagrams as datagrams_module

import netstack
from netstack.errors import BrokenError, ClosedError
from netstack.testing.conformance import DatagramStackSuite, Ends, StreamStackSuite, VerbSuite

Patch = pytest.MonkeyPatch
LIMIT = 0.6  # seconds: many faults are found by something that never comes


@contextlib.asynccontextmanager
async def here() -> AsyncIterator[Ends[Any]]:
    async with netstack.open("posix:?address=127.0.0.1") as net:
        yield Ends(net, net, "127.0.0.1")


class Streams(StreamStackSuite):
    limit = LIMIT

    def ends(self) -> Any:
        return here()


class Slow(Streams):
    limit = 10.0


class Verbs(VerbSuite):
    limit = LIMIT

    def ends(self) -> Any:
        return here()


class Ports(DatagramStackSuite):
    limit = LIMIT

    def ends(self) -> Any:
        return here()


def around(patch: Patch, owner: type, name: str, wrapped: Callable[..., Any]) -> None:
    """`owner.name` becomes `wrapped`, which gets the original before its other arguments."""
    original = getattr(owner, name)

    def method(self: Any, *args: Any, **more: Any) -> Any:
        return wrapped(original, self, *args, **more)

    patch.setattr(owner, name, method)


# -- what may be done wrong ------------------------------------------------------------------------------------------------------


def loses_what_it_read_when_cancelled(patch: Patch) -> None:
    async def receive(original: Any, self: Any, *args: Any, **more: Any) -> Any:
        data = await original(self, *args, **more)
        await asyncio.sleep(0)
        return data

    around(patch, KernelStream, "receive", receive)
    around(patch, KernelDatagrams, "receive", receive)


def gives_more_than_the_limit(patch: Patch) -> None:
    around(patch, KernelStream, "receive", lambda original, self, limit=65536, timeout=None: original(self, 65536, timeout))


def takes_an_end_of_its_own_for_the_peers(patch: Patch) -> None:
    async def receive(original: Any, self: Any, *args: Any, **more: Any) -> Any:
        try:
            return await original(self, *args, **more)
        except ClosedError:
            return b""

    around(patch, KernelStream, "receive", receive)


def takes_a_reset_for_an_end(patch: Patch) -> None:
    async def receive(original: Any, self: Any, *args: Any, **more: Any) -> Any:
        try:
            return await original(self, *args, **more)
        except BrokenError:
            return b""

    around(patch, KernelStream, "receive", receive)


def gives_the_end_once(patch: Patch) -> None:
    async def receive(original: Any, self: Any, *args: Any, **more: Any) -> Any:
        data = await original(self, *args, **more)
        if not data:
            self._closed = True
        return data

    around(patch, KernelStream, "receive", receive)


def drops_the_rest_of_a_send_that_was_cancelled(patch: Patch) -> None:
    async def send_all(original: Any, self: Any, *args: Any, **more: Any) -> None:
        try:
            await original(self, *args, **more)
        except (asyncio.CancelledError, TimeoutError):
            self._queue.clear()
            raise

    around(patch, KernelStream, "send_all", send_all)


def has_no_bound(patch: Patch) -> None:
    async def drained(original: Any, self: Any, timeout: Any) -> None:
        await asyncio.sleep(0)

    around(patch, KernelStream, "_drained", drained)


def lets_two_receive(patch: Patch) -> None:
    async def something(original: Any, self: Any, timeout: Any) -> bool:
        while self._receiving:
            await asyncio.sleep(0.005)
        return bool(await original(self, timeout))

    around(patch, KernelStream, "_something", something)
    patch.setattr(KernelDatagrams, "_receiving", property(lambda self: False, lambda self, value: None), raising=False)


def lets_two_send(patch: Patch) -> None:
    patch.setattr(KernelStream, "_sending", property(lambda self: False, lambda self, value: None), raising=False)


def ends_both_directions(patch: Patch) -> None:
    patch.setattr(KernelStream, "send_eof", KernelStream.aclose)


def ends_before_what_was_sent(patch: Patch) -> None:
    async def send_eof(original: Any, self: Any) -> None:
        self._queue.clear()
        await original(self)

    around(patch, KernelStream, "send_eof", send_eof)


def goes_on_sending_after_the_end(patch: Patch) -> None:
    async def send_all(original: Any, self: Any, *args: Any, **more: Any) -> None:
        if not self._eof_sent:
            await original(self, *args, **more)

    around(patch, KernelStream, "send_all", send_all)


def drops_what_was_sent_when_it_closes(patch: Patch) -> None:
    patch.setattr(KernelStream, "close", KernelStream.abort)


def hides_that_something_was_not_read(patch: Patch) -> None:
    def close(original: Any, self: Any) -> None:
        self._chunk = b""
        original(self)

    around(patch, KernelStream, "close", close)


def aborts_in_order(patch: Patch) -> None:
    patch.setattr(KernelStream, "abort", KernelStream.close)


def leaves_sleepers_asleep(patch: Patch) -> None:
    patch.setattr(KernelStream, "_wake", lambda self: None)
    patch.setattr("netstack_sockets.datagrams.wake", lambda future: None)


def swaps_addresses(patch: Patch) -> None:
    local = KernelStream.local_address
    patch.setattr(KernelStream, "local_address", KernelStream.remote_address)
    patch.setattr(KernelStream, "remote_address", local)


def times_out_in_its_own_words(patch: Patch) -> None:
    def expire(future: Any, what: str) -> None:
        if not future.done():
            future.set_exception(TimeoutError(what))

    patch.setattr("netstack_sockets.world._expire", expire)
    patch.setattr("netstack.patience.TimedOut", TimeoutError)


def speaks_of_errors_as_the_kernel_does(patch: Patch) -> None:
    for module in ("net", "world", "streams", "datagrams"):
        patch.setattr(f"netstack_sockets.{module}.named", lambda error, doing: error)


def keeps_silent_about_handlers_that_fail(patch: Patch) -> None:
    async def attend(original: Any, self: Any, handler: Any, stream: Any) -> None:
        async def quiet(stream: Any) -> None:
            with contextlib.suppress(Exception):
                await handler(stream)

        await original(self, quiet, stream)

    around(patch, KernelNet, "_attend", attend)


def leaves_streams_open_when_their_handlers_return(patch: Patch) -> None:
    async def attend(original: Any, self: Any, handler: Any, stream: Any) -> None:
        await handler(stream)

    around(patch, KernelNet, "_attend", attend)


def serves_one_after_another(patch: Patch) -> None:
    lock = []

    async def attend(original: Any, self: Any, handler: Any, stream: Any) -> None:
        while lock:
            await asyncio.sleep(0.005)
        lock.append(1)
        try:
            await original(self, handler, stream)
        finally:
            lock.pop()

    around(patch, KernelNet, "_attend", attend)


def closes_its_streams_with_the_listener(patch: Patch) -> None:
    def close(original: Any, self: Any) -> None:
        if self._sock is not None:
            for stream in everybody:
                stream.close()
        original(self)

    everybody: list[Any] = []

    def keep(original: Any, self: Any, *args: Any) -> Any:
        stream = original(self, *args)
        everybody.append(stream)
        return stream

    around(patch, KernelNet, "_keep", keep)
    around(patch, KernelListener, "close", close)


def goes_on_listening(patch: Patch) -> None:
    async def aclose(original: Any, self: Any) -> None:
        """Only the net closes it."""

    around(patch, KernelListener, "aclose", aclose)


def leaves_a_task_behind(patch: Patch) -> None:
    def own(original: Any, self: Any, work: Any) -> None:
        original(self, work)
        stray = self._loop.create_task(asyncio.sleep(3600))
        strays.append(stray)

    strays: list[Any] = []
    around(patch, KernelNet, "_own", own)


def forgets_its_handlers_when_it_is_left(patch: Patch) -> None:
    def own(original: Any, self: Any, work: Any) -> None:
        strays.append(self._loop.create_task(work))

    strays: list[Any] = []
    around(patch, KernelNet, "_own", own)


def sends_what_changed_meanwhile(patch: Patch) -> None:
    async def send_all(original: Any, self: Any, data: Any, timeout: Any = None) -> None:
        if isinstance(data, bytearray):
            data = memoryview(data).toreadonly()
        await original(self, data, timeout)

    around(patch, KernelStream, "send_all", send_all)


def waits_to_fill_segments(patch: Patch) -> None:
    def init(original: Any, self: Any, *args: Any, **more: Any) -> None:
        original(self, *args, **more)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    around(patch, KernelStream, "__init__", init)


def cuts_datagrams(patch: Patch) -> None:
    patch.setattr(datagrams_module, "LONGEST", 1000)


def swallows_empty_datagrams(patch: Patch) -> None:
    async def receive(original: Any, self: Any, *args: Any, **more: Any) -> Any:
        while True:
            data, address = await original(self, *args, **more)
            if data:
                return data, address

    around(patch, KernelDatagrams, "receive", receive)


def swallows_refusals(patch: Patch) -> None:
    async def receive(original: Any, self: Any, *args: Any, **more: Any) -> Any:
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                return await original(self, *args, **more)

    around(patch, KernelDatagrams, "receive", receive)


def refuses_the_next_datagram_in_place_of_the_last(patch: Patch) -> None:
    patch.setattr(datagrams_module, "ANSWERS", set())


CAUGHT: list[tuple[Callable[[Patch], None], Any, str]] = [
    (loses_what_it_read_when_cancelled, Streams, "test_cancelled_receives_lose_nothing"),
    (loses_what_it_read_when_cancelled, Ports, "test_cancelled_receives_lose_nothing"),
    (gives_more_than_the_limit, Streams, "test_a_receive_gives_at_most_its_limit"),
    (takes_an_end_of_its_own_for_the_peers, Streams, "test_closing_wakes_a_receiver"),
    (takes_an_end_of_its_own_for_the_peers, Streams, "test_a_closed_stream_says_so"),
    (takes_a_reset_for_an_end, Streams, "test_an_abort_is_a_reset_to_the_peer"),
    (takes_a_reset_for_an_end, Streams, "test_a_broken_stream_stays_broken"),
    (gives_the_end_once, Streams, "test_the_end_stays_the_end"),
    (drops_the_rest_of_a_send_that_was_cancelled, Streams, "test_a_cancelled_send_counts_as_sent"),
    (drops_the_rest_of_a_send_that_was_cancelled, Streams, "test_a_send_that_times_out_counts_as_sent"),
    (has_no_bound, Streams, "test_a_peer_that_does_not_receive_stops_the_sender"),
    (lets_two_receive, Streams, "test_a_second_receiver_is_told_at_once"),
    (lets_two_receive, Ports, "test_a_second_receiver_is_told_at_once"),
    (lets_two_send, Streams, "test_a_second_sender_is_told_at_once"),
    (ends_both_directions, Streams, "test_an_answer_comes_after_the_end_of_the_question"),
    (ends_both_directions, Streams, "test_the_server_may_end_first_and_still_hears"),
    (ends_before_what_was_sent, Streams, "test_ending_does_not_overtake_what_was_sent"),
    (goes_on_sending_after_the_end, Streams, "test_nothing_can_be_sent_after_the_end"),
    (drops_what_was_sent_when_it_closes, Streams, "test_the_end_comes_after_all_that_was_sent"),
    (hides_that_something_was_not_read, Streams, "test_closing_with_something_unread_tells_the_peer"),
    (aborts_in_order, Streams, "test_the_server_may_abort_too"),
    (aborts_in_order, Streams, "test_an_abort_after_closing_drops_what_was_not_delivered"),
    (leaves_sleepers_asleep, Streams, "test_closing_wakes_a_receiver"),
    (leaves_sleepers_asleep, Ports, "test_closing_wakes_a_receiver"),
    (swaps_addresses, Streams, "test_each_side_knows_the_others_address"),
    (times_out_in_its_own_words, Streams, "test_a_receive_times_out_and_may_be_repeated"),
    (times_out_in_its_own_words, Ports, "test_a_receive_times_out_and_may_be_repeated"),
    (speaks_of_errors_as_the_kernel_does, Streams, "test_a_port_where_nobody_listens_refuses"),
    (speaks_of_errors_as_the_kernel_does, Streams, "test_a_port_has_one_listener"),
    (speaks_of_errors_as_the_kernel_does, Ports, "test_a_longer_one_is_refused_and_the_port_goes_on"),
    (keeps_silent_about_handlers_that_fail, Streams, "test_a_handler_that_raises_costs_its_own_stream"),
    (leaves_streams_open_when_their_handlers_return, Streams, "test_a_stream_is_closed_when_its_handler_returns"),
    (serves_one_after_another, Streams, "test_handlers_run_side_by_side"),
    (closes_its_streams_with_the_listener, Streams, "test_a_closed_listener_refuses"),
    (goes_on_listening, Streams, "test_a_closed_listener_refuses"),
    (goes_on_listening, Streams, "test_a_port_is_free_as_soon_as_its_listener_has_closed"),
    (leaves_a_task_behind, Streams, "test_an_echo_comes_back"),
    (forgets_its_handlers_when_it_is_left, Streams, "test_leaving_ends_what_is_open"),
    (sends_what_changed_meanwhile, Verbs, "test_what_may_change_is_sent_as_it_was"),
    (waits_to_fill_segments, Slow, "test_little_sends_do_not_wait_for_each_other"),
    (cuts_datagrams, Ports, "test_the_longest_datagram_arrives"),
    (cuts_datagrams, Ports, "test_datagrams_of_every_size_come_as_they_were"),
    (swallows_empty_datagrams, Ports, "test_an_empty_datagram_is_one"),
    (swallows_refusals, Ports, "test_a_refusal_reaches_a_receiver_that_waits"),
    (refuses_the_next_datagram_in_place_of_the_last, Ports, "test_a_refusal_is_told_to_who_receives_and_not_to_who_sends"),
]


@pytest.mark.filterwarnings("ignore")  # a stack that does things wrong may leave things open
@pytest.mark.parametrize(("fault", "suite", "name"), CAUGHT, ids=lambda item: getattr(item, "__name__", item))
def test_a_broken_promise_is_found(fault: Callable[[Patch], None], suite: Any, name: str, monkeypatch: Patch) -> None:
    fault(monkeypatch)
    with pytest.raises((AssertionError, OSError, netstack.NetstackError)):
        getattr(suite(), name)()


def test_what_a_stack_says_it_can_not_do_is_skipped_and_not_passed_over() -> None:
    import unittest

    class Limited(Streams):
        half_close = False

    with pytest.raises(unittest.SkipTest, match="half_close = False"):
        Limited().test_an_answer_comes_after_the_end_of_the_question()


def test_unittest_runs_it_as_well() -> None:
    import io
    import unittest

    class Case(Streams, unittest.TestCase):
        names_ports = False

    names = ("test_an_echo_comes_back", "test_a_port_has_one_listener")
    result = unittest.TextTestRunner(io.StringIO()).run(unittest.TestSuite(map(Case, names)))
    assert (result.testsRun, len(result.failures), len(result.errors), len(result.skipped)) == (2, 0, 0, 1)


def test_the_suite_needs_no_pytest() -> None:
    import subprocess
    import sys

    program = "import sys, netstack.testing.conformance; print([m for m in sys.modules if m.startswith(('pytest', '_pytest'))])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
