"""A stream socket does what Linux's does. The names are those of gVisor's system-call tests where there is one."""

import errno
import socket
import struct

import pytest

from netstack.sockets import const as c

ENDED = c.POLLIN | c.POLLOUT | c.POLLHUP | c.POLLRDHUP


def fails(number, call, *arguments):
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno == number, caught.value
    return caught.value


# -- opening ------------------------------------------------------------------------------------------------------------------


def test_a_client_and_a_server_talk(lab):
    client, server = lab.pair()
    assert client.send(b"hello") == 5
    lab.rest()
    assert server.recv(100) == b"hello"
    assert server.send(b"world") == 5
    lab.rest()
    buffer = bytearray(10)
    assert client.recv_into(buffer) == 5 and buffer[:5] == b"world"


def test_connected_and_accepted_names_are_reciprocal(lab):
    client, server = lab.pair()
    assert client.getpeername() == server.getsockname()
    assert client.getsockname() == server.getpeername()


def test_a_connect_is_in_progress_and_then_done_and_then_too_much(lab):
    listener = lab.listener()
    client = lab.a.sockets.stream()
    where = lab.ip_b, listener.getsockname()[1]
    fails(errno.EINPROGRESS, client.connect, where)
    assert client.events() == 0
    fails(errno.EALREADY, client.connect, where)
    fails(errno.EAGAIN, client.recv, 1)
    fails(errno.EAGAIN, client.send, b"x")
    fails(errno.ENOTCONN, client.getpeername)
    lab.rest()
    assert client.events() == c.POLLOUT
    assert client.getsockopt(c.SOL_SOCKET, c.SO_ERROR) == 0
    client.connect(where)  # as in Linux: the first one afterwards learns that it went well
    fails(errno.EISCONN, client.connect, where)
    assert client.connect_ex(where) == errno.EISCONN


def test_a_refused_connect_says_so_once_and_the_socket_can_try_again(lab):
    client = lab.begin(lab.a.sockets.stream(), (lab.ip_b, 81))
    lab.rest()
    assert client.events() & (c.POLLERR | c.POLLHUP) == c.POLLERR | c.POLLHUP
    fails(errno.ECONNREFUSED, client.connect, (lab.ip_b, 81))
    listener = lab.listener(port=81)
    lab.begin(client, (lab.ip_b, 81))
    lab.rest()
    assert client.events() == c.POLLOUT and listener.events() == c.POLLIN


def test_so_error_takes_the_error_of_a_refused_connect(lab):
    client = lab.begin(lab.a.sockets.stream(), (lab.ip_b, 81))
    lab.rest()
    assert client.getsockopt(c.SOL_SOCKET, c.SO_ERROR) == errno.ECONNREFUSED
    assert client.getsockopt(c.SOL_SOCKET, c.SO_ERROR) == 0
    assert client.recv(1) == b""
    fails(errno.EPIPE, client.send, b"x")


def test_a_port_that_met_a_time_wait_is_refused_when_nobody_listens_any_more(wire):
    listener = wire.listener(wire.b, 8080)
    for attempt in range(2):
        client = wire.a.sockets.stream()
        client.bind(("", 50001))
        wire.begin(client, (wire.ip_b, 8080))
        wire.rest()
        if attempt:
            break
        server, _ = listener.accept()
        for sock in (server, client, listener):
            sock.close()
            wire.rest()
    assert client.getsockopt(c.SOL_SOCKET, c.SO_ERROR) == errno.ECONNREFUSED


def test_a_read_learns_of_a_refused_connect(lab):
    client = lab.begin(lab.a.sockets.stream(), (lab.ip_b, 81))
    lab.rest()
    fails(errno.ECONNREFUSED, client.recv, 1)


def test_an_unconnected_socket_can_neither_read_nor_write(lab):
    sock = lab.a.sockets.stream()
    assert sock.events() == c.POLLOUT | c.POLLHUP
    fails(errno.ENOTCONN, sock.recv, 1)
    fails(errno.EPIPE, sock.send, b"x")
    fails(errno.ENOTCONN, sock.shutdown, c.SHUT_RDWR)
    fails(errno.ENOTCONN, sock.getpeername)
    assert sock.getsockname() == ("0.0.0.0", 0)
    assert sock.getsockopt(c.SOL_SOCKET, c.SO_ERROR) == 0


def test_a_socket_connects_from_where_it_was_bound(lab):
    listener = lab.listener()
    client = lab.a.sockets.stream()
    client.bind((lab.ip_a, 5555))
    lab.begin(client, (lab.ip_b, listener.getsockname()[1]))
    lab.rest()
    _, peer = listener.accept()
    assert peer == (lab.ip_a, 5555)


def test_a_connect_to_any_address_means_oneself(wire):
    listener = wire.listener(wire.a, 80)
    client = wire.begin(wire.a.sockets.stream(), ("0.0.0.0", 80))
    wire.rest()
    assert client.getpeername() == ("127.0.0.1", 80) and listener.events() == c.POLLIN


def test_a_socket_is_not_its_own_peer(wire):
    sock = wire.a.sockets.stream()
    sock.bind(("127.0.0.1", 7000))
    fails(errno.ECONNREFUSED, sock.connect, ("127.0.0.1", 7000))


def test_a_silent_host_times_out(wire):
    client = wire.a.sockets.stream()
    client.setsockopt(c.IPPROTO_TCP, c.TCP_SYNCNT, 1)
    wire.world.partition("a", "b")
    wire.begin(client, (wire.ip_b, 80))
    wire.world.rest(10_000_000_000)
    assert client.getsockopt(c.SOL_SOCKET, c.SO_ERROR) in (errno.ETIMEDOUT, errno.EHOSTUNREACH)


# -- names --------------------------------------------------------------------------------------------------------------------


def test_a_port_is_bound_once(lab):
    one, two = lab.a.sockets.stream(), lab.a.sockets.stream()
    one.bind(("", 8080))
    fails(errno.EADDRINUSE, two.bind, ("", 8080))
    fails(errno.EADDRINUSE, two.bind, (lab.ip_a, 8080))
    fails(errno.EINVAL, one.bind, ("", 8081))
    one.close()
    two.bind(("", 8080))
    assert two.getsockname() == ("0.0.0.0", 8080)


def test_sockets_that_reuse_addresses_share_a_port_until_one_listens(lab):
    one, two = lab.a.sockets.stream(), lab.a.sockets.stream()
    for sock in (one, two):
        sock.setsockopt(c.SOL_SOCKET, c.SO_REUSEADDR, 1)
        sock.bind(("", 8080))
    one.listen()
    fails(errno.EADDRINUSE, two.listen)
    third = lab.a.sockets.stream()
    third.setsockopt(c.SOL_SOCKET, c.SO_REUSEADDR, 1)
    fails(errno.EADDRINUSE, third.bind, ("", 8080))


def test_bind_finds_listeners_of_others(lab):
    lab.a.stack.tcp.listen(0, 8080, lambda conn: None)
    fails(errno.EADDRINUSE, lab.a.sockets.stream().bind, ("", 8080))


def test_bound_ports_are_given_to_nobody_else(lab):
    socks = [lab.a.sockets.stream() for _ in range(50)]
    for sock in socks:
        sock.bind(("", 0))
    assert len({sock.getsockname()[1] for sock in socks}) == 50


def test_an_address_of_others_can_t_be_bound(lab):
    fails(errno.EADDRNOTAVAIL, lab.a.sockets.stream().bind, ("192.0.2.1", 80))


@pytest.mark.parametrize(
    ("address", "error"),
    [("host", TypeError), (("10.0.0.1",), TypeError), (("10.0.0.1", "80"), TypeError), (("10.0.0.1", 65536), OverflowError),
     (("10.0.0.1", -1), OverflowError), ((1, 80), TypeError), (("nobody.example", 80), OSError)],
)  # fmt: skip
def test_what_is_no_address_is_refused_as_the_standard_library_does(wire, address, error):
    for call in ("bind", "connect"):
        with pytest.raises(error):
            getattr(wire.a.sockets.stream(), call)(address)


def test_sockets_of_ipv6_speak_ipv4_behind_mapped_addresses(lab):
    listener = lab.b.sockets.open(c.AF_INET6, c.SOCK_STREAM)
    listener.bind(("::", 0))
    listener.listen()
    host, port, *_ = listener.getsockname()
    assert host == "::"
    client = lab.begin(lab.a.sockets.open(c.AF_INET6, c.SOCK_STREAM), (f"::ffff:{lab.ip_b}", port, 0, 0))
    lab.rest()
    server, peer = listener.accept()
    assert peer == client.getsockname() and peer[0].startswith("::ffff:") and len(peer) == 4
    assert server.getpeername() == peer
    fails(errno.ENETUNREACH, lab.a.sockets.open(c.AF_INET6, c.SOCK_STREAM).connect, ("2001:db8::1", 80))
    fails(errno.EADDRNOTAVAIL, lab.a.sockets.open(c.AF_INET6, c.SOCK_STREAM).bind, ("::1", 80))


def test_a_listener_for_ipv6_alone_stands_beside_one_for_ipv4(lab):
    four = lab.listener(port=8080)
    six = lab.b.sockets.open(c.AF_INET6, c.SOCK_STREAM)
    fails(errno.EADDRINUSE, six.bind, ("::", 8080))
    six.setsockopt(c.IPPROTO_IPV6, c.IPV6_V6ONLY, 1)
    six.bind(("::", 8080))
    six.listen()
    assert six.getsockname() == ("::", 8080, 0, 0) and six.getsockopt(c.SOL_SOCKET, c.SO_ACCEPTCONN) == 1
    lab.begin(lab.a.sockets.stream(), (lab.ip_b, 8080))
    lab.rest()
    assert four.events() == c.POLLIN and six.events() == 0
    fails(errno.EAGAIN, six.accept)
    six.close()
    four.accept()
    fails(errno.ENOPROTOOPT, four.setsockopt, c.IPPROTO_IPV6, c.IPV6_V6ONLY, 1)


def test_what_the_stack_does_not_have_is_refused(wire):
    fails(errno.EAFNOSUPPORT, wire.a.sockets.open, 1, c.SOCK_STREAM)
    fails(errno.EPROTONOSUPPORT, wire.a.sockets.open, c.AF_INET, 3)
    fails(errno.EPROTONOSUPPORT, wire.a.sockets.open, c.AF_INET, c.SOCK_STREAM, c.IPPROTO_UDP)
    assert wire.a.sockets.open(c.AF_INET, c.SOCK_STREAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC).type == c.SOCK_STREAM


# -- listening ----------------------------------------------------------------------------------------------------------------


def test_the_queue_is_there_from_listen_on(lab):
    listener = lab.listener()
    fails(errno.EAGAIN, listener.accept)
    clients = [lab.begin(lab.a.sockets.stream(), (lab.ip_b, listener.getsockname()[1])) for _ in range(3)]
    lab.rest()
    assert all(client.events() == c.POLLOUT for client in clients)
    peers = [listener.accept()[1] for _ in range(3)]
    assert sorted(peers) == sorted(client.getsockname() for client in clients)
    fails(errno.EAGAIN, listener.accept)
    assert listener.events() == 0


def test_no_more_than_the_backlog_wait(lab):
    listener = lab.listener(backlog=2)
    clients = []
    for _ in range(5):
        clients.append(lab.begin(lab.a.sockets.stream(), (lab.ip_b, listener.getsockname()[1])))
        lab.world.rest(10_000_000)
    assert sum(client.events() == c.POLLOUT for client in clients) == 3  # one more than it says, as Linux
    for _ in range(3):
        listener.accept()
    lab.world.rest(10_000_000_000)  # the others' SYNs are sent again
    assert all(client.events() == c.POLLOUT for client in clients)


def test_a_listener_neither_reads_nor_connects(lab):
    listener = lab.listener()
    assert listener.getsockopt(c.SOL_SOCKET, c.SO_ACCEPTCONN) == 1
    fails(errno.ENOTCONN, listener.recv, 1)
    fails(errno.EPIPE, listener.send, b"x")
    fails(errno.EISCONN, listener.connect, (lab.ip_b, 1))
    fails(errno.ENOTCONN, listener.getpeername)


def test_accept_wants_a_listener(lab):
    fails(errno.EINVAL, lab.a.sockets.stream().accept)
    client, _ = lab.pair()
    fails(errno.EINVAL, client.accept)
    fails(errno.EINVAL, client.listen)


def test_a_listener_that_closes_resets_who_waits(lab):
    listener = lab.listener()
    client = lab.begin(lab.a.sockets.stream(), (lab.ip_b, listener.getsockname()[1]))
    lab.rest()
    listener.close()
    lab.rest()
    fails(errno.ECONNRESET, client.recv, 1)


def test_a_listener_that_is_shut_down_can_listen_again(lab):
    listener = lab.listener()
    listener.shutdown(c.SHUT_RD)
    fails(errno.EINVAL, listener.accept)
    listener.listen()
    lab.begin(lab.a.sockets.stream(), (lab.ip_b, listener.getsockname()[1]))
    lab.rest()
    listener.accept()


def test_listen_without_bind_takes_a_port(lab):
    sock = lab.a.sockets.stream()
    sock.listen()
    assert sock.getsockname()[1] >= 49152


def test_what_was_reset_while_it_waited_is_accepted_and_says_so(lab):
    listener = lab.listener()
    client = lab.begin(lab.a.sockets.stream(), (lab.ip_b, listener.getsockname()[1]))
    lab.rest()
    client.setsockopt(c.SOL_SOCKET, c.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    lab.rest()
    server, _ = listener.accept()
    fails(errno.ECONNRESET, server.recv, 1)
    assert server.recv(1) == b""


# -- reading ------------------------------------------------------------------------------------------------------------------


def test_peeked_data_stays(lab):
    client, server = lab.pair()
    client.send(b"abcdef")
    client.send(b"ghi")
    lab.rest()
    assert server.recv(4, c.MSG_PEEK) == b"abcd"
    assert server.recv(100, c.MSG_PEEK) == b"abcdefghi"
    assert server.inq() == 9
    buffer = bytearray(3)
    assert server.recv_into(buffer, 0, c.MSG_PEEK) == 3 and buffer == b"abc"
    assert server.recv(100) == b"abcdefghi"
    fails(errno.EAGAIN, server.recv, 1)


def test_readiness_follows_what_is_there(lab):
    client, server = lab.pair()
    calls = []
    server.watch(lambda: calls.append(server.events()))
    assert server.events() == c.POLLOUT
    client.send(b"x")
    lab.rest()
    assert calls == [c.POLLIN | c.POLLOUT]
    server.recv(10)
    assert server.events() == c.POLLOUT


def test_rcvlowat_waits_for_more(lab):
    client, server = lab.pair()
    server.setsockopt(c.SOL_SOCKET, c.SO_RCVLOWAT, 4)
    client.send(b"abc")
    lab.rest()
    assert not server.events() & c.POLLIN
    client.send(b"d")
    lab.rest()
    assert server.events() & c.POLLIN


def test_urgent_and_error_queue_flags(lab):
    client, _ = lab.pair()
    fails(errno.EINVAL, client.recv, 1, c.MSG_OOB)
    fails(errno.EAGAIN, client.recv, 1, c.MSG_ERRQUEUE)
    fails(errno.EOPNOTSUPP, client.send, b"!", c.MSG_OOB)


def test_messages_of_several_buffers(lab):
    client, server = lab.pair()
    assert client.sendmsg([b"ab", bytearray(b"cd"), memoryview(b"ef"), b""]) == 6
    lab.rest()
    one, two = bytearray(4), bytearray(10)
    assert server.recvmsg_into([one, two]) == (6, [], 0, None)
    assert one == b"abcd" and two[:2] == b"ef"
    client.send(b"more")
    lab.rest()
    assert server.recvmsg(100, 100) == (b"more", [], 0, None)
    fails(errno.EINVAL, client.sendmsg, [b"x"], [(1, 1, b"")])


def test_tcp_inq_tells_what_is_left(lab):
    client, server = lab.pair()
    server.setsockopt(c.IPPROTO_TCP, c.TCP_INQ, 1)
    client.send(b"abcdef")
    lab.rest()
    assert server.recvmsg(2, 100) == (b"ab", [(c.IPPROTO_TCP, c.TCP_INQ, struct.pack("i", 4))], 0, None)
    assert server.recvmsg(1, 0)[2] == c.MSG_CTRUNC


# -- writing ------------------------------------------------------------------------------------------------------------------


def test_a_writer_is_stopped_and_told_to_go_on(lab):
    client, server = lab.pair()
    block = bytes(100_000)
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            sent += client.send(block)
            lab.world.rest(1_000_000)
    assert not client.events() & c.POLLOUT
    assert client.outq() > 0
    got = 0
    while got < sent:
        try:
            got += len(server.recv(1 << 20))
        except BlockingIOError:
            lab.world.rest(1_000_000)
    lab.rest()
    assert client.events() & c.POLLOUT and client.outq() == 0


def test_a_large_send_takes_what_fits(lab):
    client, _ = lab.pair()
    client.setsockopt(c.SOL_SOCKET, c.SO_SNDBUF, 10_000)
    assert client.getsockopt(c.SOL_SOCKET, c.SO_SNDBUF) == 20_000
    assert client.send(bytes(1_000_000)) == 20_000
    assert client.sendmsg([bytes(5), bytes(7)]) <= 12 if client.events() & c.POLLOUT else True


def test_what_was_sent_may_be_changed_afterwards(lab):
    client, server = lab.pair()
    data = bytearray(b"before")
    client.send(data)
    data[:] = b"after!"
    lab.rest()
    assert server.recv(10) == b"before"


def test_nothing_can_be_sent(lab):
    client, server = lab.pair()
    assert client.send(b"") == 0 and client.sendmsg([]) == 0
    lab.rest()
    assert server.events() == c.POLLOUT


# -- ends ---------------------------------------------------------------------------------------------------------------------


def test_a_half_closed_peer_is_read_to_its_end_and_still_heard(lab):
    client, server = lab.pair()
    client.send(b"last words")
    client.shutdown(c.SHUT_WR)
    fails(errno.EPIPE, client.send, b"x")
    lab.rest()
    assert server.events() == c.POLLIN | c.POLLRDHUP | c.POLLOUT
    assert server.recv(100) == b"last words"
    assert server.recv(100) == b"" == server.recv(100)
    server.send(b"answer")
    lab.rest()
    assert client.recv(10) == b"answer"
    server.close()
    lab.rest()
    assert client.recv(10) == b""
    assert client.events() & c.POLLHUP


def test_a_shut_reader_gets_what_is_there_and_then_the_end(lab):
    client, server = lab.pair()
    client.send(b"abc")
    lab.rest()
    server.shutdown(c.SHUT_RD)
    assert server.events() & (c.POLLIN | c.POLLRDHUP) == c.POLLIN | c.POLLRDHUP
    assert server.recv(10) == b"abc"
    assert server.recv(10) == b""
    client.send(b"later")  # Linux still takes it, and gives it out
    lab.rest()
    assert server.recv(10) == b"later"


def test_shutdown_wants_a_direction(lab):
    client, _ = lab.pair()
    fails(errno.EINVAL, client.shutdown, 3)


def test_close_with_unread_data_resets(lab):
    client, server = lab.pair()
    client.send(b"unread")
    lab.rest()
    server.close()
    lab.rest()
    fails(errno.ECONNRESET, client.send, b"x")
    fails(errno.EPIPE, client.send, b"x")
    assert client.events() & c.POLLHUP


def test_close_without_unread_data_is_in_order(lab):
    client, server = lab.pair()
    server.send(b"all of it")
    server.close()
    lab.rest()
    assert client.recv(100) == b"all of it" and client.recv(100) == b""


def test_linger_of_zero_resets(lab):
    client, server = lab.pair()
    assert server.getsockopt(c.SOL_SOCKET, c.SO_LINGER, 8) == struct.pack("ii", 0, 0)
    server.setsockopt(c.SOL_SOCKET, c.SO_LINGER, struct.pack("ii", 1, 0))
    assert server.getsockopt(c.SOL_SOCKET, c.SO_LINGER, 8) == struct.pack("ii", 1, 0)
    server.close()
    lab.rest()
    assert client.events() & (c.POLLERR | c.POLLHUP) == c.POLLERR | c.POLLHUP
    fails(errno.ECONNRESET, client.recv, 1)
    assert client.recv(1) == b""


def test_data_that_came_before_a_reset_is_read_first(lab):
    client, server = lab.pair()
    server.send(b"first")
    lab.rest()
    server.setsockopt(c.SOL_SOCKET, c.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    lab.rest()
    assert client.recv(10) == b"first"
    fails(errno.ECONNRESET, client.recv, 10)


def test_a_closed_socket_is_a_bad_descriptor(lab):
    client, _ = lab.pair()
    client.close()
    client.close()
    for call in (lambda: client.recv(1), lambda: client.send(b"x"), client.getsockname, client.getpeername, client.accept,
                 lambda: client.bind(("", 0)), lambda: client.connect(("127.0.0.1", 1)), lambda: client.getsockopt(1, 4),
                 lambda: client.setsockopt(1, 2, 1), lambda: client.shutdown(2), client.inq, client.outq):  # fmt: skip
        fails(errno.EBADF, call)


def test_a_shared_socket_closes_with_its_last_holder(lab):
    client, server = lab.pair()
    client.share()
    client.close()
    client.send(b"still here")
    client.close()
    assert client.closed
    lab.rest()
    assert server.recv(100) == b"still here" and server.recv(1) == b""


def test_a_connect_that_is_given_up_leaves_nothing(wire):
    wire.world.partition("a", "b")
    client = wire.begin(wire.a.sockets.stream(), (wire.ip_b, 80))
    client.close()
    assert not list(wire.a.stack.tcp.connections())


def test_a_released_connection_belongs_to_somebody_else(lab):
    client, server = lab.pair()
    client.send(b"early")
    lab.rest()
    conn, data, eof = server.release()
    assert (data, eof) == (b"early", False) and server.closed
    assert conn.state_name == "ESTABLISHED" and conn.remote_port == client.getsockname()[1]
    conn.abort(lab.world.now)


def test_the_table_closes_all(lab):
    _client, server = lab.pair()
    listener = lab.listener()
    lab.b.sockets.close()
    assert listener.closed and server.closed


def test_nothing_of_ten_thousand_abandoned_connections_is_left(wire):
    listener = wire.listener(backlog=4000)
    where = wire.ip_b, listener.getsockname()[1]
    for _ in range(5):
        clients = [wire.begin(wire.a.sockets.stream(), where) for _ in range(2000)]
        wire.rest()
        servers = [listener.accept()[0] for _ in range(1000)]
        for client in clients[::2]:
            client.close()
        wire.rest()
        for sock in [*clients, *servers]:
            sock.close()
        for _ in range(1000):
            listener.accept()[0].close()
        wire.rest()
    wire.world.rest(200_000_000_000)
    assert not list(wire.a.stack.tcp.connections()) and not list(wire.b.stack.tcp.connections())
    assert wire.a.stack.tcp.hub.held == wire.b.stack.tcp.hub.held == 0


# -- options ------------------------------------------------------------------------------------------------------------------

DEFAULTS = {
    (c.SOL_SOCKET, c.SO_TYPE): c.SOCK_STREAM,
    (c.SOL_SOCKET, c.SO_DOMAIN): c.AF_INET,
    (c.SOL_SOCKET, c.SO_PROTOCOL): c.IPPROTO_TCP,
    (c.SOL_SOCKET, c.SO_ACCEPTCONN): 0,
    (c.SOL_SOCKET, c.SO_KEEPALIVE): 0,
    (c.SOL_SOCKET, c.SO_REUSEADDR): 0,
    (c.SOL_SOCKET, c.SO_RCVLOWAT): 1,
    (c.IPPROTO_TCP, c.TCP_NODELAY): 0,
    (c.IPPROTO_TCP, c.TCP_MAXSEG): 536,
    (c.IPPROTO_TCP, c.TCP_KEEPIDLE): 7200,
    (c.IPPROTO_TCP, c.TCP_KEEPINTVL): 75,
    (c.IPPROTO_TCP, c.TCP_KEEPCNT): 9,
    (c.IPPROTO_TCP, c.TCP_SYNCNT): 6,
    (c.IPPROTO_TCP, c.TCP_USER_TIMEOUT): 0,
    (c.IPPROTO_IP, c.IP_TTL): 64,
    (c.IPPROTO_IP, c.IP_TOS): 0,
}


@pytest.mark.parametrize("key", DEFAULTS, ids=str)
def test_an_option_has_the_kernel_s_default(wire, key):
    assert wire.a.sockets.stream().getsockopt(*key) == DEFAULTS[key]
    with socket.socket() as kernel:
        assert kernel.getsockopt(*key) == DEFAULTS[key]


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ((c.IPPROTO_TCP, c.TCP_KEEPIDLE), [1, 32767], [0, 32768, -1]),
        ((c.IPPROTO_TCP, c.TCP_KEEPINTVL), [1, 32767], [0, 32768]),
        ((c.IPPROTO_TCP, c.TCP_KEEPCNT), [1, 127], [0, 128, -1]),
        ((c.IPPROTO_TCP, c.TCP_SYNCNT), [1, 127], [0, 128, -1]),
        ((c.IPPROTO_TCP, c.TCP_USER_TIMEOUT), [0, 10000], [-1]),
        ((c.IPPROTO_IP, c.IP_TTL), [1, 255], [0, 256, -2]),
    ],
    ids=str,
)
def test_an_option_takes_what_the_kernel_takes(wire, key, good, bad):
    with socket.socket() as kernel:
        for sock in (wire.a.sockets.stream(), kernel):
            for value in good:
                sock.setsockopt(*key, value)
                assert sock.getsockopt(*key) == value
            for value in bad:
                fails(errno.EINVAL, sock.setsockopt, *key, value)


def test_an_unknown_option_is_refused(wire):
    sock = wire.a.sockets.stream()
    fails(errno.ENOPROTOOPT, sock.setsockopt, c.IPPROTO_TCP, 999, 1)
    fails(errno.ENOPROTOOPT, sock.getsockopt, 999, 1)
    fails(errno.ENOPROTOOPT, sock.setsockopt, c.SOL_SOCKET, c.SO_TYPE, 1)


def test_flags_are_ones_and_values_may_be_bytes(wire):
    sock = wire.a.sockets.stream()
    sock.setsockopt(c.IPPROTO_TCP, c.TCP_NODELAY, 17)
    assert sock.getsockopt(c.IPPROTO_TCP, c.TCP_NODELAY) == 1
    sock.setsockopt(c.IPPROTO_TCP, c.TCP_NODELAY, struct.pack("i", 0))
    assert sock.getsockopt(c.IPPROTO_TCP, c.TCP_NODELAY, 4) == struct.pack("i", 0)
    fails(errno.EINVAL, sock.setsockopt, c.IPPROTO_TCP, c.TCP_NODELAY, b"")


def test_options_reach_the_connection_and_are_inherited(lab):
    options = {
        (c.IPPROTO_TCP, c.TCP_NODELAY): 1,
        (c.SOL_SOCKET, c.SO_KEEPALIVE): 1,
        (c.IPPROTO_TCP, c.TCP_KEEPIDLE): 5,
        (c.IPPROTO_TCP, c.TCP_USER_TIMEOUT): 3000,
        (c.IPPROTO_IP, c.IP_TOS): 0x10,
    }
    listener = lab.listener(set=options)
    client = lab.begin(lab.a.sockets.stream(), (lab.ip_b, listener.getsockname()[1]))
    lab.rest()
    server, _ = listener.accept()
    assert {key: server.getsockopt(*key) for key in options} == options
    assert server.conn.user_timeout == 3_000_000_000 and server.conn.mark == 0x1000
    assert client.getsockopt(c.IPPROTO_TCP, c.TCP_NODELAY) == 0


def test_ttl_and_tos_are_on_the_wire(wire):
    client, _server = wire.pair()
    client.setsockopt(c.IPPROTO_IP, c.IP_TTL, 3)
    client.setsockopt(c.IPPROTO_IP, c.IP_TOS, 0x20)
    seen = []
    wire.world.wire.tamper(lambda name, frame: seen.append((name, frame[15], frame[22])) or frame)
    client.send(b"x")
    assert seen == [("a", 0x20, 3)]


def test_what_the_syn_carries_is_chosen_before_it_leaves(wire):
    listener = wire.listener()
    seen = []
    wire.world.wire.tamper(lambda name, frame: seen.append((name, frame)) or frame)
    client = wire.a.sockets.stream()
    client.setsockopt(c.IPPROTO_IP, c.IP_TTL, 9)
    client.setsockopt(c.IPPROTO_TCP, c.TCP_MAXSEG, 600)
    assert client.getsockopt(c.IPPROTO_TCP, c.TCP_MAXSEG) == 600
    for bad in (87, 32768):
        fails(errno.EINVAL, client.setsockopt, c.IPPROTO_TCP, c.TCP_MAXSEG, bad)
    wire.begin(client, (wire.ip_b, listener.getsockname()[1]))
    wire.rest()
    syn = next(frame for name, frame in seen if name == "a" and frame[12:14] == b"\x08\x00")
    assert syn[22] == 9 and struct.pack("!BBH", 2, 4, 600) in syn
    server, _ = listener.accept()
    client.send(bytes(5000))
    server.send(bytes(5000))
    wire.rest()
    assert max(len(frame) for _, frame in seen) <= 14 + 20 + 20 + 600


def test_keepalive_finds_a_dead_peer(wire):
    client, _ = wire.pair()
    for option, value in ((c.TCP_KEEPIDLE, 10), (c.TCP_KEEPINTVL, 1), (c.TCP_KEEPCNT, 3)):
        client.setsockopt(c.IPPROTO_TCP, option, value)
    client.setsockopt(c.SOL_SOCKET, c.SO_KEEPALIVE, 1)
    wire.world.partition("a", "b")
    wire.world.rest(20_000_000_000)
    assert client.getsockopt(c.SOL_SOCKET, c.SO_ERROR) in (errno.ETIMEDOUT, errno.EHOSTUNREACH)


def test_the_user_timeout_ends_a_connection_that_is_not_acknowledged(wire):
    client, _ = wire.pair()
    client.setsockopt(c.IPPROTO_TCP, c.TCP_USER_TIMEOUT, 2000)
    wire.world.partition("a", "b")
    client.send(b"anybody?")
    wire.world.rest(1_500_000_000)
    assert client.events() & c.POLLERR == 0
    wire.world.rest(5_000_000_000)
    assert client.events() & c.POLLERR


def test_congestion_control_is_chosen_by_name(lab):
    client, _ = lab.pair()
    assert client.getsockopt(c.IPPROTO_TCP, c.TCP_CONGESTION, 16).rstrip(b"\0") == b"cubic"
    client.setsockopt(c.IPPROTO_TCP, c.TCP_CONGESTION, b"reno")
    assert client.getsockopt(c.IPPROTO_TCP, c.TCP_CONGESTION, 16).rstrip(b"\0") == b"reno"
    assert client.getsockopt(c.IPPROTO_TCP, c.TCP_CONGESTION, 2) == b"re"
    assert client.conn.congestion == "reno"
    fails(errno.ENOENT, client.setsockopt, c.IPPROTO_TCP, c.TCP_CONGESTION, b"warp")


def test_tcp_info_is_the_kernel_s_structure(lab):
    client, server = lab.pair()
    client.send(bytes(50_000))
    lab.rest()
    info = client.getsockopt(c.IPPROTO_TCP, c.TCP_INFO, 232)
    assert len(info) == 232 and info[0] == 1
    rto, _ato, snd_mss = struct.unpack_from("=3I", info, 8)
    assert 200_000 <= rto < 3_000_000 and snd_mss == client.getsockopt(c.IPPROTO_TCP, c.TCP_MAXSEG)
    acked = struct.unpack_from("=Q", info, 120)[0]
    assert acked == 50_000 or acked == client.conn.info().acked_bytes
    assert server.getsockopt(c.IPPROTO_TCP, c.TCP_INFO, 1) == b"\x01"
    assert lab.a.sockets.stream().getsockopt(c.IPPROTO_TCP, c.TCP_INFO) == 7
    assert lab.listener().getsockopt(c.IPPROTO_TCP, c.TCP_INFO) == 10


def test_receive_time_outs_are_kept_for_those_who_wait(wire):
    sock = wire.a.sockets.stream()
    assert sock.getsockopt(c.SOL_SOCKET, c.SO_RCVTIMEO, 16) == bytes(16)
    value = struct.pack("@ll", 2, 500_000)
    sock.setsockopt(c.SOL_SOCKET, c.SO_RCVTIMEO, value)
    assert sock.getsockopt(c.SOL_SOCKET, c.SO_RCVTIMEO, 16) == value
