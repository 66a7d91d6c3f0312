"""A datagram socket does what Linux's does."""

import errno
import socket
import struct

import pytest

from netstack.sockets import const as c


def fails(number, call, *arguments):
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno == number, caught.value


def two(lab, connect=False):
    """(a's, b's), b's bound; with `connect` a's is connected to it."""
    a, b = lab.a.sockets.datagram(), lab.b.sockets.datagram()
    b.bind((lab.ip_b, 0))
    if connect:
        a.connect(b.getsockname())
    return a, b


def test_datagrams_keep_their_bounds(lab):
    a, b = two(lab, connect=True)
    for data in (b"one", b"", b"three" * 1000, b"4"):
        assert a.send(data) == len(data)
    lab.rest()
    assert [b.recvfrom(65536) for _ in range(4)] == [(data, a.getsockname()) for data in (b"one", b"", b"three" * 1000, b"4")]
    fails(errno.EAGAIN, b.recv, 1)


def test_what_does_not_fit_is_lost_and_said(lab):
    a, b = two(lab, connect=True)
    a.send(b"abcdef")
    a.send(b"next")
    lab.rest()
    assert b.recvmsg(4, 0, c.MSG_PEEK) == (b"abcd", [], c.MSG_TRUNC, a.getsockname())
    assert b.inq() == 6
    buffer = bytearray(3)
    assert b.recv_into(buffer) == 3 and buffer == b"abc"
    assert b.recv(100) == b"next"


def test_sendto_binds_and_answers_come_back(lab):
    a, b = two(lab)
    assert a.getsockname() == ("0.0.0.0", 0)
    assert a.sendto(b"hi", b.getsockname()) == 2
    assert a.sendto(b"ho", 0, b.getsockname()) == 2
    lab.rest()
    data, peer = b.recvfrom(10)
    assert data == b"hi" and peer[1] == a.getsockname()[1]
    b.sendto(b"back", peer)
    lab.rest()
    buffer = bytearray(10)
    assert a.recvfrom_into(buffer) == (4, b.getsockname())


def test_messages_of_several_buffers(lab):
    a, b = two(lab, connect=True)
    assert a.sendmsg([b"ab", bytearray(b"cd"), memoryview(b"e")]) == 5
    lab.rest()
    one, two_ = bytearray(3), bytearray(3)
    assert b.recvmsg_into([one, two_])[0] == 5
    assert (one, two_[:2]) == (b"abc", b"de")


def test_an_unconnected_socket_needs_an_address(lab):
    a = lab.a.sockets.datagram()
    fails(errno.EDESTADDRREQ, a.send, b"x")
    assert a.getsockname()[1], "Linux binds before it looks"
    fails(errno.ENOTCONN, a.getpeername)
    fails(errno.ENOTCONN, a.shutdown, c.SHUT_WR)
    fails(errno.EOPNOTSUPP, a.listen)
    fails(errno.EOPNOTSUPP, a.accept)
    fails(errno.EINVAL, a.sendto, b"x", (lab.ip_b, 0))
    with pytest.raises(TypeError):
        a.sendto(b"x")
    assert a.events() == c.POLLOUT


def test_a_connected_socket_hears_its_peer_only(lab):
    a, b = two(lab, connect=True)
    stranger = lab.b.sockets.datagram()
    a.send(b"hello")
    lab.rest()
    _, peer = b.recvfrom(10)
    stranger.sendto(b"psst", peer)
    b.sendto(b"answer", peer)
    lab.rest()
    assert a.recv(10) == b"answer"
    fails(errno.EAGAIN, a.recv, 10)
    a.sendto(b"elsewhere", stranger.getsockname()[:1] and (lab.ip_b, stranger.getsockname()[1]))
    lab.rest()
    assert stranger.recv(100) == b"elsewhere"


def test_a_connection_can_be_dissolved_and_changed(lab):
    a, b = two(lab, connect=True)
    port = a.getsockname()[1]
    other = lab.b.sockets.datagram()
    other.bind((lab.ip_b, 0))
    a.connect(other.getsockname())
    assert a.getpeername() == other.getsockname() and a.getsockname()[1] == port
    a.disconnect()
    fails(errno.ENOTCONN, a.getpeername)
    b.sendto(b"from anybody", (lab.ip_a, port))
    lab.rest()
    assert a.recv(100) == b"from anybody"


def test_a_refusal_is_told_to_a_connected_socket_once(lab):
    a = lab.a.sockets.datagram()
    a.connect((lab.ip_b, 9))
    a.send(b"anybody?")
    lab.rest()
    assert a.events() == c.POLLOUT | c.POLLERR
    fails(errno.ECONNREFUSED, a.recv, 10)
    fails(errno.EAGAIN, a.recv, 10)
    a.send(b"anybody?")
    lab.rest()
    fails(errno.ECONNREFUSED, a.send, b"again")
    a.send(b"and again")
    lab.rest()
    assert a.getsockopt(c.SOL_SOCKET, c.SO_ERROR) == errno.ECONNREFUSED


def test_a_refusal_is_not_told_to_others_unless_they_ask(lab):
    a = lab.a.sockets.datagram()
    a.sendto(b"x", (lab.ip_b, 9))
    lab.rest()
    assert a.events() == c.POLLOUT
    a.setsockopt(c.IPPROTO_IP, c.IP_RECVERR, 1)
    a.sendto(b"x", (lab.ip_b, 9))
    lab.rest()
    fails(errno.ECONNREFUSED, a.recv, 10)


def test_ports_are_bound_once_unless_all_reuse(lab):
    one, two_ = lab.a.sockets.datagram(), lab.a.sockets.datagram()
    one.bind(("", 5353))
    fails(errno.EADDRINUSE, two_.bind, ("", 5353))
    one.close()
    for sock in (one := lab.a.sockets.datagram(), two_):
        sock.setsockopt(c.SOL_SOCKET, c.SO_REUSEADDR, 1)
        sock.bind(("", 5353))
    fails(errno.EINVAL, one.bind, ("", 1))
    fails(errno.EADDRNOTAVAIL, lab.a.sockets.datagram().bind, ("192.0.2.1", 1))


def test_too_long_is_too_long(lab):
    a, _ = two(lab, connect=True)
    fails(errno.EMSGSIZE, a.send, bytes(65508))
    assert a.send(bytes(65507)) == 65507


def test_a_full_queue_drops_what_comes(lab):
    a, b = two(lab, connect=True)
    b.setsockopt(c.SOL_SOCKET, c.SO_RCVBUF, 5000)
    a.send(b"so that the neighbour is known")
    lab.rest()
    b.recv(100)
    for i in range(100):
        a.send(bytes((i,)) * 1000)
    lab.rest()
    got = 0
    while b.events() & c.POLLIN:
        assert b.recv(2000) == bytes((got,)) * 1000
        got += 1
    assert 1 < got < 12 and b.inbox.dropped == 100 - got


def test_ancillary_data_tells_about_the_header(lab):
    a, b = two(lab, connect=True)
    for option in (c.IP_PKTINFO, c.IP_RECVTTL, c.IP_RECVTOS):
        b.setsockopt(c.IPPROTO_IP, option, 1)
    a.setsockopt(c.IPPROTO_IP, c.IP_TTL, 7)
    a.setsockopt(c.IPPROTO_IP, c.IP_TOS, 0x28)
    a.send(b"x")
    a.sendmsg([b"y"], [(c.IPPROTO_IP, c.IP_TTL, struct.pack("i", 9)), (c.IPPROTO_IP, c.IP_TOS, b"\x04")])
    lab.rest()
    here = socket.inet_aton(lab.ip_b)
    for ttl, tos in ((7, 0x28), (9, 4)):
        _, items, flags, _ = b.recvmsg(10, 200)
        assert flags == 0
        assert {(level, kind): data for level, kind, data in items} == {
            (c.IPPROTO_IP, c.IP_PKTINFO): struct.pack("i", 1) + here + here,
            (c.IPPROTO_IP, c.IP_TTL): struct.pack("i", ttl),
            (c.IPPROTO_IP, c.IP_TOS): bytes((tos,)),
        }
    a.send(b"z")
    lab.rest()
    assert b.recvmsg(10, 20)[2] == c.MSG_CTRUNC
    fails(errno.EINVAL, a.sendmsg, [b"x"], [(99, 1, b"")])
    fails(errno.EINVAL, a.sendmsg, [b"x"], [(c.IPPROTO_IP, c.IP_TTL, struct.pack("i", 0))])


def test_a_broadcast_needs_leave(wire):
    a, b = wire.a.sockets.datagram(), wire.b.sockets.datagram()
    b.bind(("", 4000))
    fails(errno.EACCES, a.sendto, b"all", ("<broadcast>", 4000))
    fails(errno.EACCES, a.connect, ("255.255.255.255", 4000))
    a.setsockopt(c.SOL_SOCKET, c.SO_BROADCAST, 1)
    a.sendto(b"all", ("<broadcast>", 4000))
    wire.rest()
    assert b.recv(10) == b"all"


def test_groups_are_joined_before_or_after_bind_and_left(wire):
    group = "224.0.0.251"
    request = socket.inet_aton(group) + bytes(4)
    early, late = wire.b.sockets.datagram(), wire.b.sockets.datagram()
    early.setsockopt(c.IPPROTO_IP, c.IP_ADD_MEMBERSHIP, request)
    for sock in (early, late):
        sock.setsockopt(c.SOL_SOCKET, c.SO_REUSEADDR, 1)
        sock.bind(("", 5353))
    late.setsockopt(c.IPPROTO_IP, c.IP_ADD_MEMBERSHIP, request)
    fails(errno.EADDRINUSE, late.setsockopt, c.IPPROTO_IP, c.IP_ADD_MEMBERSHIP, request)
    a = wire.a.sockets.datagram()
    a.sendto(b"query", (group, 5353))
    wire.rest()
    assert early.recv(10) == late.recv(10) == b"query"
    early.setsockopt(c.IPPROTO_IP, c.IP_DROP_MEMBERSHIP, request)
    fails(errno.EADDRNOTAVAIL, early.setsockopt, c.IPPROTO_IP, c.IP_DROP_MEMBERSHIP, request)
    a.sendto(b"query", (group, 5353))
    wire.rest()
    fails(errno.EAGAIN, early.recv, 10)
    assert late.recv(10) == b"query"


def test_multicast_comes_back_to_its_host_unless_told_not_to(wire):
    group = "224.0.0.251"
    member = wire.a.sockets.datagram()
    member.bind(("", 5353))
    member.setsockopt(c.IPPROTO_IP, c.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + bytes(4))
    sender = wire.a.sockets.datagram()
    sender.sendto(b"heard", (group, 5353))
    wire.rest()
    assert member.recv(10) == b"heard"
    sender.setsockopt(c.IPPROTO_IP, c.IP_MULTICAST_LOOP, 0)
    sender.sendto(b"unheard", (group, 5353))
    wire.rest()
    fails(errno.EAGAIN, member.recv, 10)


def test_shutdown_of_a_connected_socket(lab):
    a, b = two(lab, connect=True)
    a.send(b"before")
    a.shutdown(c.SHUT_WR)
    fails(errno.EPIPE, a.send, b"x")
    b.connect(a.getsockname() if a.getsockname()[0] != "0.0.0.0" else (lab.ip_a, a.getsockname()[1]))
    lab.rest()
    b.shutdown(c.SHUT_RD)
    assert b.recv(10) == b"before" and b.recv(10) == b""
    assert b.recvfrom(10) == (b"", None)


def test_watchers_hear_of_datagrams(lab):
    a, b = two(lab, connect=True)
    calls = []
    watcher = lambda: calls.append(b.events())  # noqa: E731
    b.watch(watcher)
    a.send(b"x")
    lab.rest()
    assert calls == [c.POLLIN | c.POLLOUT]
    b.unwatch(watcher)
    b.unwatch(watcher)
    a.send(b"y")
    lab.rest()
    assert len(calls) == 1


def test_a_closed_socket_frees_its_port(lab):
    a = lab.a.sockets.datagram()
    a.bind(("", 4444))
    a.close()
    fails(errno.EBADF, a.send, b"x")
    fails(errno.EBADF, a.recv, 1)
    lab.a.sockets.datagram().bind(("", 4444))


def test_ipv6_sockets_speak_mapped_addresses(lab):
    b = lab.b.sockets.open(c.AF_INET6, c.SOCK_DGRAM)
    b.bind(("::", 0, 0, 0))
    a = lab.a.sockets.open(c.AF_INET6, c.SOCK_DGRAM)
    a.sendto(b"x", (f"::ffff:{lab.ip_b}", b.getsockname()[1], 0, 0))
    lab.rest()
    _, peer = b.recvfrom(10)
    assert peer[0].startswith("::ffff:") and len(peer) == 4


DEFAULTS = {
    (c.SOL_SOCKET, c.SO_TYPE): c.SOCK_DGRAM,
    (c.SOL_SOCKET, c.SO_PROTOCOL): c.IPPROTO_UDP,
    (c.SOL_SOCKET, c.SO_BROADCAST): 0,
    (c.SOL_SOCKET, c.SO_RCVBUF): 212_992,
    (c.SOL_SOCKET, c.SO_SNDBUF): 212_992,
    (c.IPPROTO_IP, c.IP_TTL): 64,
    (c.IPPROTO_IP, c.IP_MULTICAST_TTL): 1,
    (c.IPPROTO_IP, c.IP_MULTICAST_LOOP): 1,
    (c.IPPROTO_IP, c.IP_PKTINFO): 0,
}


@pytest.mark.parametrize("key", DEFAULTS, ids=str)
def test_an_option_has_the_kernel_s_default(wire, key):
    assert wire.a.sockets.datagram().getsockopt(*key) == DEFAULTS[key]
    with socket.socket(type=socket.SOCK_DGRAM) as kernel:
        assert kernel.getsockopt(*key) == DEFAULTS[key] or key[1] in (c.SO_RCVBUF, c.SO_SNDBUF)
