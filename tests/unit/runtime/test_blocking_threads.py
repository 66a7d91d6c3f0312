"""Who may touch a stack: many threads, a loop that runs elsewhere, one that stands, and one that the caller is in."""

import asyncio
import errno
import gc
import signal
import socket
import threading
import time

import pytest

import netstack
from netstack.errors import UsageError
from netstack.runtime.owner import NetClosed
from netstack.testing.cord import Cord
from netstack.testing.wire import Wire
from tests.unit.runtime.blocking_world import HOST, Thread, lonely_net, pair


@pytest.fixture
def net():
    with lonely_net() as net:
        yield net


# -- many threads ---------------------------------------------------------------------------------------------------------------


def test_a_storm_of_threads_gets_every_answer(net):
    with net.create_server((HOST, 0), backlog=256) as listener:
        address = listener.getsockname()

        def serve(sock):
            with sock:
                while data := sock.recv(1000):
                    sock.sendall(data)

        def accept():
            handlers = []
            for _ in range(20 * 5):
                sock, _ = listener.accept()
                handlers.append(Thread(serve, sock))
            for handler in handlers:
                handler.result()

        def ask(number):
            for i in range(5):
                with net.create_connection(address, timeout=20) as sock:
                    data = f"{number}.{i}".encode() * 50
                    sock.sendall(data)
                    assert sock.recv(len(data), socket.MSG_WAITALL) == data

        accepting = Thread(accept)
        for thread in [Thread(ask, number) for number in range(20)]:
            thread.result(40)
        accepting.result(40)


def _exactly(sock, n):
    got = b""
    while len(got) < n:
        data = sock.recv(n - len(got))
        assert data
        got += data
    return got


def test_one_thread_reads_while_another_writes_and_others_read_other_bytes(net):
    near, far = pair(net)
    with near, far:
        readers = [Thread(far.recv, 1) for _ in range(10)]
        near.sendall(bytes(range(10)))
        assert sorted(reader.result() for reader in readers) == [bytes((i,)) for i in range(10)]


def test_closing_the_net_wakes_all_who_wait():
    with lonely_net() as net:
        listeners = [net.create_server((HOST, 0)) for _ in range(25)]
        pairs = [pair(net) for _ in range(25)]
        waiting = [Thread(listener.accept) for listener in listeners] + [Thread(near.recv, 1) for near, _ in pairs]
        while len(net.blocking.owner.waiting) < 50:
            time.sleep(0.005)
        net.close()
        for thread in waiting:
            with pytest.raises(NetClosed) as caught:
                thread.result(5)
            assert caught.value.errno == errno.ENETDOWN
            assert isinstance(caught.value, netstack.ClosedError) and isinstance(caught.value, OSError)
        for sock in [*listeners, *(sock for both in pairs for sock in both)]:
            sock.close()


def test_what_was_received_is_not_lost_to_a_time_out_at_the_same_moment(net):
    near, far = pair(net)
    with near, far:
        far.settimeout(0.0005)
        got = bytearray()
        total = 300

        def send():
            for i in range(total):
                near.sendall(bytes((i & 255,)))

        sending = Thread(send)
        while len(got) < total:
            try:
                got += far.recv(7)
            except TimeoutError:
                assert sending.is_alive() or len(got) < total
        sending.result()
        assert bytes(got) == bytes(i & 255 for i in range(total))


def test_a_signal_interrupts_who_waits(net):
    near, far = pair(net)

    def handler(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.03)
    try:
        with near, far:
            with pytest.raises(KeyboardInterrupt):
                near.recv(1)
            far.sendall(b"x")
            assert near.recv(1) == b"x"  # the call that was given up took nothing
            assert not net.blocking.owner.waiting
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_thousand_connections_leave_nothing(net):
    with net.create_server((HOST, 0)) as listener:
        for _ in range(300):
            near = net.create_connection(listener.getsockname())
            far, _ = listener.accept()
            far.close()
            near.close()
    deadline = time.monotonic() + 5
    while net.blocking.owner.queue and time.monotonic() < deadline:
        time.sleep(0.005)
    gc.collect()
    assert not net.blocking.owner.waiting and not net.blocking.mirrored
    assert len(net.net.sockets.alive) == 0


def test_opening_a_net_that_can_not_be_raises_in_the_caller():
    with pytest.raises(UsageError, match="address"):
        netstack.open_blocking(Wire().port("a"))


def test_coroutines_of_the_net_are_run_from_outside(net):
    assert net.ping("127.0.0.1") > 0
    assert net.run(net.net.ping("127.0.0.1")) > 0
    assert net.counters()["Icmp"]["InEchos"] >= 2
    with net.create_server((HOST, 0)) as listener:
        sock = net.dial_fd(*listener.getsockname())
        far, _ = listener.accept()
        with sock, far:
            sock.sendall(b"by descriptor")
            assert far.recv(100) == b"by descriptor"


# -- beside a loop of the program's own -----------------------------------------------------------------------------------------


async def echo(stream):
    while data := await stream.receive():
        await stream.send_all(data)


def talk(net, address):
    with net.blocking.create_connection(address, timeout=10) as sock:
        sock.sendall(b"hello")
        return _exactly(sock, 5)


def loops():
    found = [asyncio.new_event_loop, netstack.new_event_loop]
    try:
        import uvloop

        found.append(uvloop.new_event_loop)
    except ImportError:
        pass
    return found


@pytest.mark.parametrize("make", loops())
def test_threads_use_the_net_while_its_loop_runs_elsewhere(make):
    async def main():
        cord = Cord()
        async with (
            netstack.open(cord.a, addresses=["10.0.0.1/24"], seed=1) as a,
            netstack.open(cord.b, addresses=["10.0.0.2/24"], seed=2) as b,
        ):
            await b.serve_streams(echo, 7)
            answers = await asyncio.gather(*(asyncio.to_thread(talk, a, ("10.0.0.2", 7)) for _ in range(8)))
            assert answers == [b"hello"] * 8

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(main())


@pytest.mark.parametrize("make", loops())
def test_the_loops_own_thread_may_wait_in_a_callback_and_others_are_served_meanwhile(make):
    async def main():
        async with netstack.open(Wire().port("a"), addresses=["10.0.0.1/24"]) as net:
            listener = net.blocking.create_server((HOST, 0))
            asking = Thread(talk, net, listener.getsockname())
            far, _ = listener.accept()  # no await: the loop does nothing else until a thread has connected
            far.sendall(far.recv(5))
            while asking.is_alive():
                await asyncio.sleep(0.001)
            assert asking.result() == b"hello"
            far.settimeout(0.01)
            assert far.recv(1) == b""
            listener.settimeout(0.01)
            with pytest.raises(TimeoutError):
                listener.accept()
            far.close()
            listener.close()
            assert await net.ping("127.0.0.1") > 0  # and the loop goes on

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(main())


@pytest.mark.parametrize("make", loops())
def test_between_two_runs_of_the_loop_its_thread_turns_the_stack(make):
    with asyncio.Runner(loop_factory=make) as runner:
        opening = netstack.open(Wire().port("a"), addresses=["10.0.0.1/24"])
        net = runner.run(opening.__aenter__())
        listener = net.blocking.create_server((HOST, 0))
        near = net.blocking.create_connection(listener.getsockname())
        far, _ = listener.accept()
        near.sendall(b"hello")
        assert far.recv(100) == b"hello"
        other = Thread(far.recv, 100)  # nobody owns the stack now but we: it waits for us
        near.sendall(b"to a thread")
        near.setblocking(False)
        while other.is_alive():
            with pytest.raises(BlockingIOError):
                near.recv(1)
        assert other.result() == b"to a thread"
        for sock in (near, far, listener):
            sock.close()
        assert runner.run(net.ping("127.0.0.1")) > 0
        runner.run(opening.__aexit__(None, None, None))


def test_inside_a_turn_nobody_may_wait():
    said = []

    class Protocol(asyncio.Protocol):
        def __init__(self, sock):
            self.sock = sock

        def data_received(self, data):
            self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)  # what doesn't wait is fine
            try:
                self.sock.accept()
            except UsageError as error:
                said.append(str(error))

    async def main():
        cord = Cord()
        async with (
            netstack.open(cord.a, addresses=["10.0.0.1/24"], seed=1) as a,
            netstack.open(cord.b, addresses=["10.0.0.2/24"], seed=2) as b,
        ):
            with a.blocking.create_server((HOST, 0)) as listener:
                await a.create_server(lambda: Protocol(listener), port=7)
                _, writer = await b.open_connection("10.0.0.1", 7)
                writer.write(b"x")
                while not said:
                    await asyncio.sleep(0.001)
                writer.close()

    asyncio.run(main())
    assert "inside a callback of the stack" in said[0]


def test_a_loop_that_is_closed_under_them_wakes_who_wait():
    loop = asyncio.new_event_loop()
    opening = netstack.open(Wire().port("a"), addresses=["10.0.0.1/24"])
    net = loop.run_until_complete(opening.__aenter__())
    listener = net.blocking.create_server((HOST, 0))
    waiting = Thread(listener.accept)
    loop.run_until_complete(asyncio.sleep(0.02))
    net._crank.stop()  # a program that forgets its net
    loop.close()
    with pytest.raises(NetClosed, match="loop"):
        waiting.result(5)
    with pytest.raises(NetClosed):
        Thread(net.blocking.socket).result()
    listener.core.close()


def test_the_owner_of_a_loop_is_forgotten_with_it():
    from netstack.runtime import owner

    gc.collect()
    before = len(owner._owners)
    with lonely_net() as net:
        net.socket().close()
        assert len(owner._owners) == before + 1
    del net
    gc.collect()
    assert len(owner._owners) == before
    assert threading.active_count() >= 1
