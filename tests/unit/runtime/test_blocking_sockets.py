"""Sockets of the stack in the shape of the standard library's: what each method does, and that no method is the kernel's."""

import contextlib
import copy
import errno
import io
import os
import pickle
import select
import selectors
import socket
import struct
import time

import pytest

import netstack
from netstack.errors import UsageError
from netstack.runtime.owner import NetClosed
from netstack.runtime.stacksocket import StackSocket
from netstack.testing.wire import Wire
from tests.unit.runtime.blocking_world import HOST, Thread, lonely_net, pair


@pytest.fixture
def net():
    with lonely_net() as net:
        yield net


# what a socket of ours may take as it is: it goes by our methods, or needs no descriptor
INHERITED = {
    "__class__", "__delattr__", "__dir__", "__doc__", "__enter__", "__eq__", "__exit__", "__format__", "__ge__", "__getattribute__",
    "__getstate__", "__gt__", "__hash__", "__init_subclass__", "__le__", "__lt__", "__module__", "__ne__", "__new__", "__reduce__",
    "__reduce_ex__", "__setattr__", "__sizeof__", "__slots__", "__str__", "__subclasshook__", "__weakref__", "__annotations__",
    "_io_refs", "_closed", "_check_sendfile_params", "_decref_socketios", "_sendfile_use_send", "close", "makefile", "sendfile",
}  # fmt: skip


def test_every_method_of_a_socket_is_our_own_or_goes_by_one():
    ours = {name for cls in StackSocket.__mro__[: StackSocket.__mro__.index(socket.socket)] for name in vars(cls)}
    assert set(dir(socket.socket)) - ours - INHERITED == set()


def test_there_is_no_kernel_socket_below(net):
    with net.socket() as sock:
        assert isinstance(sock, socket.socket)
        assert super(StackSocket, sock).fileno() == -1
        assert (sock.family, sock.type, sock.proto) == (socket.AF_INET, socket.SOCK_STREAM, 0)
        assert sock.core is sock.core and sock.core.table is net.net.sockets


def test_a_connection_carries_bytes_and_its_end(net):
    near, far = pair(net)
    with near, far:
        big = os.urandom(3_000_000)
        sending = Thread(lambda: (near.sendall(big), near.shutdown(socket.SHUT_WR)))
        assert b"".join(iter(lambda: far.recv(65536), b"")) == big
        sending.result()
        assert far.send(b"and back") == 8
        assert near.recv(100) == b"and back"
        assert near.getpeername() == far.getsockname()


def test_time_outs_are_those_of_the_standard_library(net):
    near, far = pair(net)
    with near, far:
        assert near.gettimeout() is None and near.getblocking()
        near.settimeout(0.02)
        begin = time.monotonic()
        with pytest.raises(TimeoutError, match=r"^timed out$"):
            near.recv(1)
        assert 0.02 <= time.monotonic() - begin < 5
        assert near.timeout == 0.02
        near.setblocking(False)
        assert near.gettimeout() == 0.0
        with pytest.raises(BlockingIOError):
            near.recv(1)
        for wrong in (-1, float("nan")):
            with pytest.raises(ValueError):
                near.settimeout(wrong)
        near.settimeout(5)
        sending = Thread(near.sendall, bytes(64 << 20))  # nobody reads
        near.settimeout(0.02)
        far.close()
        with pytest.raises(OSError):
            sending.result()


def test_the_default_time_out_is_taken(net):
    socket.setdefaulttimeout(7)
    try:
        with net.socket() as sock:
            assert sock.gettimeout() == 7
    finally:
        socket.setdefaulttimeout(None)
    with net.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
        assert sock.gettimeout() == 0 and sock.type == socket.SOCK_STREAM


def test_connect_waits_or_says_that_it_would_have_to(net):
    with net.create_server((HOST, 0)) as listener, net.socket() as sock:
        sock.setblocking(False)
        assert sock.connect_ex(listener.getsockname()) == errno.EINPROGRESS
        assert select.select([], [sock], [], 5)[1] == [sock]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        far, peer = listener.accept()
        assert peer == sock.getsockname()
        far.close()
    with net.socket() as sock:
        with pytest.raises(ConnectionRefusedError):
            sock.connect((HOST, 1))
        assert sock.connect_ex((HOST, 1)) == errno.ECONNREFUSED
    with net.socket() as sock:
        sock.settimeout(0.02)
        with pytest.raises(TimeoutError):
            sock.connect(("10.0.0.99", 80))  # nobody is there


def test_names_are_looked_up_in_the_net(net):
    with net.create_server(("localhost", 0)) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        with net.create_connection(("localhost", listener.getsockname()[1])) as sock:
            assert sock.getpeername() == listener.getsockname()
    with pytest.raises(socket.gaierror):
        net.create_connection(("no-such-name.example", 80))


def test_wrong_arguments_are_refused_as_ever(net):
    with net.socket() as sock:
        for call, error in (
            (lambda: sock.connect("nowhere"), TypeError),
            (lambda: sock.connect((HOST, "80")), TypeError),
            (lambda: sock.connect((HOST, 70000)), OverflowError),
            (lambda: sock.recv(-1), ValueError),
            (lambda: sock.recv_into(bytes(10)), (TypeError, BufferError)),
            (lambda: sock.recv_into(bytearray(10), -1), ValueError),
            (lambda: sock.recv_into(bytearray(10), 11), ValueError),
            (lambda: sock.sendto(b"x"), TypeError),
            (lambda: sock.send("text"), TypeError),
            (lambda: sock.getpeername(), OSError),
            (lambda: sock.getsockopt(99, 99), OSError),
        ):
            with pytest.raises(error):
                call()
    with pytest.raises(UsageError):
        StackSocket()
    with pytest.raises(UsageError):
        StackSocket(fileno=0, net=net)
    with pytest.raises(OSError):
        net.socket(socket.AF_UNIX)


def test_makefile_keeps_the_connection_until_it_is_closed(net):
    near, far = pair(net)
    with near.makefile("rw", newline="\n") as file:
        near.close()
        file.write("one line\n")
        file.flush()
        assert far.recv(100) == b"one line\n"
        far.sendall(b"an answer\n")
        assert file.readline() == "an answer\n"
    assert far.recv(1) == b""
    assert near.fileno() == -1
    far.close()


def test_a_twin_keeps_the_connection(net):
    near, far = pair(net)
    twin = near.dup()
    near.close()
    twin.sendall(b"still here")
    assert far.recv(100) == b"still here"
    twin.close()
    assert far.recv(1) == b""
    far.close()


def test_a_closed_socket_says_so_and_wakes_who_waits_on_it(net):
    near, far = pair(net)
    waiting = Thread(near.recv, 1)
    time.sleep(0.02)
    near.close()
    near.close()
    with pytest.raises(OSError) as caught:
        waiting.result()
    assert caught.value.errno == errno.EBADF
    for call in (lambda: near.recv(1), lambda: near.send(b"x"), near.getsockname, lambda: near.settimeout(1) or near.listen()):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EBADF
    assert "[closed]" in repr(near)
    far.close()


def test_it_is_not_pickled_or_copied(net):
    with net.socket() as sock:
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(sock)
        with pytest.raises(TypeError, match="cannot pickle"):
            copy.copy(sock)


def test_messages_have_several_parts(net):
    near, far = pair(net)
    with near, far:
        assert near.sendmsg([b"abc", b"", b"defg"]) == 7
        first, second = bytearray(2), bytearray(10)
        assert far.recvmsg_into([first, second])[0] == 7
        assert first + second[:5] == b"abcdefg"
        near.sendall(b"hello")
        assert far.recv(3, socket.MSG_PEEK) == b"hel"
        assert far.recvmsg(100)[:2] == (b"hello", [])
        near.sendall(b"in ")
        waiting = Thread(far.recv, 8, socket.MSG_WAITALL)
        near.sendall(b"piece")
        assert waiting.result() == b"in piece"


def test_a_file_is_sent(net, tmp_path):
    path = tmp_path / "file"
    data = os.urandom(700_000)
    path.write_bytes(data)
    near, far = pair(net)
    with near, far, open(path, "rb") as file:
        sending = Thread(lambda: (near.sendfile(file, 10), near.close()))
        assert b"".join(iter(lambda: far.recv(65536), b"")) == data[10:]
        sending.result()
        assert far.getblocking() and isinstance(io.BytesIO(), io.BytesIO)


def test_datagrams(net):
    with net.socket(type=socket.SOCK_DGRAM) as a, net.socket(type=socket.SOCK_DGRAM) as b:
        a.bind((HOST, 0))
        b.sendto(b"one", a.getsockname())
        data, peer = a.recvfrom(100)
        assert data == b"one"
        a.connect((HOST, peer[1]))
        a.send(b"two")
        room = bytearray(10)
        assert b.recvfrom_into(room) == (3, a.getsockname())
        assert room[:3] == b"two"
        b.settimeout(0.01)
        with pytest.raises(TimeoutError):
            b.recv(1)


def test_options_are_the_kernels_by_number(net):
    with net.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == struct.pack("ii", 1, 0)
    near, far = pair(net)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    near.close()
    with far, pytest.raises(ConnectionResetError):
        far.recv(1)


# -- descriptors --------------------------------------------------------------------------------------------------------------


def readiness(sock):
    r, w, _ = select.select([sock], [sock], [], 0)
    return bool(r), bool(w)


def test_a_descriptor_shows_all_four_states(net):
    near, far = pair(net)
    with near, far:
        assert near.fileno() == near.fileno() >= 0
        assert readiness(near) == (False, True)
        far.sendall(b"x")
        assert select.select([near], [], [], 5)[0]
        assert readiness(near) == (True, True)
        near.setblocking(False)
        while readiness(near)[1]:  # until the buffers of both sides are as large as they get
            with contextlib.suppress(BlockingIOError):
                near.send(bytes(1 << 20))
            select.select([], [near], [], 0.02)
        assert readiness(near) == (True, False)
        assert near.recv(1) == b"x"
        assert readiness(near) == (False, False)
        draining = Thread(lambda: [*iter(lambda: far.recv(1 << 20), b"")])
        assert select.select([], [near], [], 5)[1]
        near.close()
        draining.result()


@pytest.mark.parametrize("selector", [selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector])
def test_selectors_serve_listeners_and_connections(net, selector):
    with net.create_server((HOST, 0)) as listener, selector() as watched:
        watched.register(listener, selectors.EVENT_READ)
        assert watched.select(0) == []
        near = net.create_connection(listener.getsockname())
        assert [key.fileobj for key, _ in watched.select(5)] == [listener]
        far, _ = listener.accept()
        assert watched.select(0) == []
        watched.register(far, selectors.EVENT_READ)
        near.close()
        assert [key.fileobj for key, _ in watched.select(5)] == [far]
        assert far.recv(1) == b""
        watched.unregister(far)
        far.close()


def test_a_twin_has_a_descriptor_of_its_own_that_is_as_ready(net):
    near, far = pair(net)
    with near, far, near.dup() as twin:
        assert twin.fileno() != near.fileno()
        far.sendall(b"x")
        select.select([near], [], [], 5)
        assert readiness(twin) == (True, True)
        assert near.recv(1) == b"x"
        assert readiness(twin) == readiness(near) == (False, True)


def test_detach_gives_a_descriptor_that_carries_the_data(net):
    near, far = pair(net)
    number = near.fileno()
    far.sendall(b"before ")
    select.select([near], [], [], 5)
    assert near.detach() == number
    assert near.fileno() == -1
    with socket.socket(fileno=number) as sock, far:
        far.sendall(b"after")
        far.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: sock.recv(100), b"")) == b"before after"
        sock.sendall(b"and back")
        sock.close()
        assert b"".join(iter(lambda: far.recv(100), b"")) == b"and back"
    with net.create_server((HOST, 0)) as listener, pytest.raises(OSError) as caught:
        listener.detach()
    assert caught.value.errno == errno.ENOTCONN


def test_what_is_forgotten_warns_and_is_closed(net):
    near, far = pair(net)
    with pytest.warns(ResourceWarning, match="unclosed.*StackSocket"):
        del near
    with far:
        assert far.recv(1) == b""


def test_after_the_net_everything_says_that_it_is_gone():
    with netstack.open_blocking(Wire().port("lonely"), addresses=[f"{HOST}/24"]) as net:
        sock = net.create_server((HOST, 0))
        watched = net.socket()
        watched.fileno()
    assert select.select([watched], [], [], 5)[0]
    for call in (sock.accept, lambda: net.socket(), lambda: net.create_connection((HOST, 1)), lambda: watched.send(b"x")):
        with pytest.raises(NetClosed):
            call()
    with pytest.raises(netstack.ClosedError):
        net.ping(HOST)
    sock.close()
    watched.close()
    net.close()
