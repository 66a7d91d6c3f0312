"""Port forwards: how they are written, and at work between the host's sockets and a guest on a wire."""

import asyncio
import contextlib
import socket
import sys
from pathlib import Path

import pytest

from netstack.address import Ip4
from netstack.errors import AddressInUse, UsageError
from netstack.instant import Instant
from netstack.router.flow import Decision, Flow
from netstack.router.services.forwards import ForwardGate, Forwards
from netstack.router.services.forwardspec import inward, outward

sys.path.insert(0, str(Path(__file__).parent.parent / "runtime"))
from forward_world import A, B, echo, free_port, on_loop

GATEWAY = Ip4.parse(A)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2222:22", [("127.0.0.1:2222", None, 22)]),
        ("8080", [("127.0.0.1:8080", None, 8080)]),
        ("0.0.0.0:2222:22", [("0.0.0.0:2222", None, 22)]),
        ("*:2222", [("0.0.0.0:2222", None, 2222)]),
        (":2222:22", [("0.0.0.0:2222", None, 22)]),
        ("[::1]:2222:22", [("[::1]:2222", None, 22)]),
        ("127.0.0.1/2222:22", [("127.0.0.1:2222", None, 22)]),
        ("127.0.0.1:2222:10.0.2.15:22", [("127.0.0.1:2222", "10.0.2.15", 22)]),
        ("2222:10.0.2.15:22", [("127.0.0.1:2222", "10.0.2.15", 22)]),
        ("8000-8001", [("127.0.0.1:8000", None, 8000), ("127.0.0.1:8001", None, 8001)]),
        ("8000-8001:90-91", [("127.0.0.1:8000", None, 90), ("127.0.0.1:8001", None, 91)]),
        ("unix:/run/x.sock:22", [("unix:/run/x.sock", None, 22)]),
        ("unix:/run/x.sock:10.0.2.15:22", [("unix:/run/x.sock", "10.0.2.15", 22)]),
    ],
)
def test_forwards_are_written_as_users_of_passt_and_slirp_write_them(text, expected):
    found = [(each.local, each.guest and str(each.guest), each.guest_port) for each in inward("tcp", text)]
    assert found == expected


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "0", "65536", "a", "22:", ":22:22:22:22", "1-2:3", "9-8", "1-2000", "127.0.0.1:22:guest:22", "unix:22",
        "unix:x:22", "unix:/x", "[::1:22", "1:2:3",
    ],
)  # fmt: skip
def test_what_is_no_forward_is_refused_with_an_example(text):
    with pytest.raises(UsageError):
        inward("tcp", text)


def test_forwards_from_the_guest_lead_to_the_loopback_unless_told_otherwise():
    assert outward("tcp", "5432")[0].to == ("127.0.0.1", 5432)
    assert outward("tcp", "5432:15432")[0].to == ("127.0.0.1", 15432)
    assert outward("udp", "53:192.0.2.1:5353")[0].to == ("192.0.2.1", 5353)
    assert outward("tcp", "53:[::1]:5353")[0].to == ("::1", 5353)
    assert outward("tcp", "1:unix:/run/x")[0].to == "unix:/run/x"
    assert [(each.port, each.to) for each in outward("tcp", "1-2:3-4")] == [(1, ("127.0.0.1", 3)), (2, ("127.0.0.1", 4))]
    for proto, text in (
        ("udp", "1:unix:/x"),
        ("tcp", "x"),
        ("tcp", "1:"),
        ("tcp", "1:unix:x"),
        ("tcp", "1-2:3"),
        ("sctp", "1"),
        ("tcp", "1:a:b:c"),
    ):
        with pytest.raises(UsageError):
            outward(proto, text)


def the_forwards(net, **said):
    return Forwards(net, gateway=GATEWAY, default_guest=lambda: Ip4.parse(B), **said)


async def talk(port, data=b"hello"):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@on_loop
async def test_of_several_forwards_it_is_said_which_can_not_be(a, b):
    forwards = the_forwards(a)
    for kind, proto in ((socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")):
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            if proto == "tcp":
                taken.listen()
            with pytest.raises(OSError, match="in use") as caught:
                await forwards.add_spec(proto, f"{port}:22")
            assert caught.value.filename == f"127.0.0.1:{port}"


@on_loop
async def test_a_port_of_the_host_leads_to_the_guest_and_can_be_taken_away(a, b):
    seen = []

    async def serve(stream):
        seen.append(stream.remote_address[0])
        await echo(stream)

    await b.serve_streams(serve, 22)
    forwards = the_forwards(a)
    port = free_port()
    (number,) = await forwards.add_spec("tcp", f"{port}:22")
    assert await talk(port, b"x" * 100_000) == b"x" * 100_000
    assert seen == [A]
    (row,) = forwards.list()
    assert (row.id, row.host_addr, row.host_port, row.guest_addr, row.guest_port, row.accepted) == (
        number, "127.0.0.1", port, B, 22, 1,
    )  # fmt: skip
    with pytest.raises(OSError):
        await forwards.add("tcp", "127.0.0.1", port, B, 23)
    await forwards.remove(number)
    with pytest.raises(ConnectionRefusedError):
        await talk(port)
    with pytest.raises(UsageError):
        await forwards.remove(number)


@on_loop
async def test_a_guest_that_refuses_resets_the_client(a, b):
    forwards = the_forwards(a)
    port = free_port()
    await forwards.add("tcp", "127.0.0.1", port, "", 23)
    with pytest.raises(ConnectionResetError):
        await talk(port)
    forwards.default_guest = lambda: None
    with pytest.raises(ConnectionResetError):
        await talk(port)
    assert forwards.list()[0].refused == 2
    await forwards.aclose()


@on_loop
async def test_open_connections_are_flows_for_who_looks_on(a, b):
    gate = asyncio.Event()

    async def serve(stream):
        await stream.receive()
        await stream.send_all(b"hi")
        await gate.wait()

    await b.serve_streams(serve, 22)
    forwards = the_forwards(a)
    port = free_port()
    await forwards.add("tcp", "127.0.0.1", port, "", 22)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"abc")
    assert await reader.read(2) == b"hi"
    (flow,) = forwards.flows()
    assert (str(flow.src), str(flow.dst), flow.dst_port, flow.inbound, flow.sent, flow.received) == ("127.0.0.1", B, 22, True, 2, 3)
    gate.set()
    assert await reader.read() == b""
    writer.close()
    await forwards.aclose()
    assert forwards.flows() == []


@on_loop
async def test_a_unix_socket_leads_to_the_guest(a, b, tmp_path=None):
    import tempfile

    await b.serve_streams(echo, 22)
    forwards = the_forwards(a)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/ssh.sock"
        await forwards.add_spec("tcp", f"unix:{path}:22")
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"hello")
        writer.write_eof()
        assert await reader.read() == b"hello"
        writer.close()
        await writer.wait_closed()
        await forwards.aclose()
        assert not Path(path).exists()


@on_loop
async def test_datagrams_find_their_way_back_to_each_sender(a, b):
    port = await b.udp(53)

    async def answer():
        while True:
            data, peer = await port.receive()
            await port.send(data.upper(), peer)

    task = asyncio.ensure_future(answer())
    forwards = the_forwards(a)
    number = free_port()
    await forwards.add("udp", "127.0.0.1", number, "", 53)
    loop = asyncio.get_running_loop()
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for i, sock in enumerate(socks):
        sock.setblocking(False)
        sock.connect(("127.0.0.1", number))
        sock.send(b"q%d" % i)
    assert [await loop.sock_recv(sock, 100) for sock in socks] == [b"Q0", b"Q1", b"Q2"]
    for sock in socks:
        sock.close()
    task.cancel()
    await forwards.aclose()


@on_loop
async def test_a_range_is_forwarded_whole_or_not_at_all(a, b):
    forwards = the_forwards(a)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError):
            await forwards.add_spec("tcp", f"{port - 1}-{port}" if port > 1024 else "1-2")
    assert forwards.list() == []


@on_loop
async def test_forwards_from_the_guest_are_decided_with_its_first_packet(a, b):
    forwards = the_forwards(a)
    number = forwards.add_out("tcp", 5432, "unix:/run/pg.sock")
    forwards.add_out_spec("udp", "53:192.0.2.1:5353")
    with pytest.raises(AddressInUse):
        forwards.add_out_spec("tcp", "5431-5432")
    asked = []

    class Gate:
        def decide(self, flow):
            asked.append(flow)
            return Decision.deny("no")

        def over(self, flow):
            return "told"

    gate = ForwardGate(forwards, Gate())
    guest = Ip4.parse(B)

    def decided(proto, dst, port):
        return gate.decide(Flow(proto, guest, 40000, Ip4.parse(dst), port, Instant(0)))

    assert decided("tcp", A, 5432).to == "unix:/run/pg.sock"
    assert decided("udp", A, 53).to == ("192.0.2.1", 5353)
    assert [decided("tcp", "192.0.2.7", 5432).action, decided("udp", A, 5432).action, decided("tcp", A, 5431).action] == [
        "deny"
    ] * 3
    assert (len(asked), gate.over(asked[0])) == (3, "told")
    assert [(row.direction, row.unix, row.host_addr) for row in forwards.list()] == [
        ("out", "/run/pg.sock", ""),
        ("out", "", "192.0.2.1"),
    ]
    await forwards.remove(number)
    assert decided("tcp", A, 5432).action == "deny"


@on_loop
async def test_what_can_not_be_forwarded_is_said(a, b):
    forwards = the_forwards(a)
    for said in (("sctp", "", 1, "", 1), ("tcp", "", 0, "", 1), ("tcp", "", 1, "", 70000), ("tcp", "", 1, "x", 1)):
        with pytest.raises(UsageError):
            await forwards.add(*said)
    for path in ("", "x", "/" + "a" * 200):
        with pytest.raises(UsageError):
            await forwards.add_unix(path, "", 22)
    with pytest.raises(UsageError):
        forwards.add_out("tcp", 0, "unix:/x")
