"""The dashboard's event streams, in a world of two hosts with a lossy link: what they tell, when they watch, and that they end."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from http2_world import GET, Peer

import netstack
from netstack import run_virtual
from netstack.http.dashboard.live import STREAMS, changed
from netstack.http.dashboard.netstatus import NetStatus
from netstack.http.dashboard.page import Dashboard
from netstack.http.serve.server import HttpServer
from netstack.instant import MILLISECOND
from netstack.pcap import INBOUND, OUTBOUND, Decoder
from netstack.testing.net import World

Events = AsyncIterator[tuple[str, Any]]


def in_a_world(visit: Callable[[Any, Any, Dashboard], Awaitable[Any]], loss: float = 0.0) -> Any:
    """`visit(server's net, client's net, dashboard)`, a link between them that loses some of what the server sends."""

    async def main() -> Any:
        world = World(seed=3)
        a, b = world.host("a"), world.host("b")
        world.link(a, b, delay=10 * MILLISECOND, rate=20_000_000, loss=loss, back={"loss": 0.0})
        async with netstack.open_world(world):
            groups: dict[str, Any] = {}
            dashboard = Dashboard(NetStatus(a.net, groups), clock=a.net.now)
            server = HttpServer(a.net, dashboard)
            groups["Http"] = server.mib
            await server.listen(80)
            try:
                return await visit(a.net, b.net, dashboard)
            finally:
                await server.aclose(0 * MILLISECOND)

    return run_virtual(main())


async def request(net: Any, path: str) -> tuple[Any, Any, bytes]:
    reader, writer = await net.open_connection("10.0.0.1", 80)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    return reader, writer, await reader.readuntil(b"\r\n\r\n")


async def events(reader: Any) -> Events:
    """Of a stream in chunks, of which each holds whole events."""
    while size := int(await reader.readline() or b"0", 16):
        text = (await reader.readexactly(size + 2)).decode()
        for block in text.strip().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            if "event" in fields:
                yield fields["event"], json.loads(fields["data"])


async def fetch(net: Any, path: str) -> tuple[bytes, bytes]:
    reader, writer, head = await request(net, path)
    body: bytes = await reader.read()
    writer.close()
    return head, body


def test_the_overview_says_hello_and_then_what_has_changed() -> None:
    async def visit(net: Any, client: Any, dashboard: Dashboard) -> None:
        reader, writer, head = await request(client, "/events")
        assert b"Content-Type: text/event-stream" in head
        stream = events(reader)
        name, hello = await anext(stream)
        assert name == "hello"
        assert hello["you"] == "{}:{}".format(*writer.get_extra_info("sockname")[:2])
        assert set(hello["meanings"]) >= {"Tcp", "TcpExt", "Ip", "Link", "Http"}
        _, first = await anext(stream)
        row = dict(zip(hello["columns"], first["rows"][0], strict=True))
        assert (row["local"], row["remote"], row["state"]) == (hello["here"], hello["you"], "ESTABLISHED")
        assert first["total"] == first["found"] == 1
        assert first["about"]["addresses"] == net.addresses
        assert first["listeners"][0]["port"] == 80
        assert first["routes"]
        assert first["counters"]["Http"]["Requests"] == 1
        _, second = await anext(stream)
        assert second["up"] - first["up"] == 500
        assert not {"about", "routes", "listeners"} & set(second), "told again, and nothing has changed"
        assert "PassiveOpens" not in second["counters"]["Tcp"]
        assert second["counters"]["Tcp"]["OutSegs"] > first["counters"]["Tcp"]["OutSegs"]
        writer.close()

    in_a_world(visit)


def test_a_filter_chooses_connections_and_counts_them() -> None:
    async def visit(net: Any, client: Any, dashboard: Dashboard) -> None:
        _, other = await client.open_connection("10.0.0.1", 80)
        port = other.get_extra_info("sockname")[1]
        for words, found in ((f":{port}+established", 1), ("10.0.0.2", 2), ("listen", 0)):
            reader, writer, _ = await request(client, f"/events?find={words}")
            stream = events(reader)
            await anext(stream)
            _, tick = await anext(stream)
            assert (tick["total"], tick["found"], len(tick["rows"])) == (2, found, found)
            writer.transport.abort()
            await asyncio.sleep(1)
        other.close()

    in_a_world(visit)


def test_a_picked_connection_is_traced_with_what_was_sent_again_and_why() -> None:
    async def visit(net: Any, client: Any, dashboard: Dashboard) -> None:
        _, page_writer, _ = await request(client, "/events")  # the frames are kept from here on
        reader, writer, _ = await request(client, "/bytes/1000000")
        pair = {"local": "10.0.0.1:80", "remote": "{}:{}".format(*writer.get_extra_info("sockname")[:2])}
        traced, trace_writer, _ = await request(client, "/events/connection?local={local}&remote={remote}".format_map(pair))
        taking = asyncio.ensure_future(reader.read())
        data, acks, sacks, again, last = [], [], [], [], {}
        names = []
        async for name, said in events(traced):
            names.append(name)
            if name == "sample":
                last = said["row"]
                data += said["out"]["data"]
                acks += said["out"]["acks"]
                sacks += said["out"]["sacks"]
                again += said["again"]
                assert said["received"] < 1000
            if taking.done() and not writer.is_closing():
                writer.close()
        assert len(await taking) == 1_000_000
        assert names[0] == "hello" and names[-1] == "over"
        assert set(names[1:-1]) == {"sample"}
        # the whole stream was seen, without a hole, from the SYN to the FIN
        assert data[0][1] == 0
        reached = 0
        for _, start, _, stop, kind in data:
            assert start <= reached
            assert (kind == 1) == (start < reached)
            reached = max(reached, stop)
        assert reached > 1_000_000
        assert acks[-1][1] - last["acked_bytes"] in (1, 2), "the SYN, and the FIN once it is acknowledged"
        assert all(edge >= number for _, number, edge in acks)
        assert [number for _, number, _ in acks] == sorted(number for _, number, _ in acks)
        # what was lost was SACKed around, sent again, and said why
        assert sacks and all(stop > start for _, start, stop in sacks)
        assert last["retransmits"] == sum(last["reasons"].values()) > 0
        assert {why for *_, why in again} == set(last["reasons"])
        resent = [(start, stop) for _, start, _, stop, kind in data if kind == 1]
        assert all(any(start <= offset < stop for start, stop in resent) for _, offset, _, _ in again)
        page_writer.close()
        trace_writer.close()

    in_a_world(visit, loss=0.02)


def test_a_connection_that_is_not_there_is_over_at_once() -> None:
    async def visit(net: Any, client: Any, dashboard: Dashboard) -> None:
        for query in ("", "?local=x&remote=y", "?local=10.0.0.1:80&remote=10.0.0.2:1", "?local=%00&local=1"):
            reader, writer, _ = await request(client, f"/events/connection{query}")
            assert [name async for name, _ in events(reader)] == ["over"]
            writer.close()
        assert not dashboard.live.watching

    in_a_world(visit)


def test_frames_are_watched_from_the_first_viewer_to_the_last() -> None:
    async def visit(net: Any, client: Any, dashboard: Dashboard) -> None:
        live = dashboard.live
        await fetch(client, "/stats.json")
        assert (live.streams, live.watching, live.ring.end) == (0, False, 0)
        writers = []
        for _ in range(2):
            reader, writer, _ = await request(client, "/events")
            await anext(events(reader))
            writers.append(writer)
        assert (live.streams, live.watching) == (2, True)
        assert net.stack.link.rx.observer is live.ring
        writers[0].transport.abort()
        await asyncio.sleep(2)
        assert (live.streams, live.watching) == (1, True)
        assert live.ring.size > 0
        writers[1].transport.abort()
        await asyncio.sleep(2)
        assert (live.streams, live.watching, live.ring.size) == (0, False, 0)
        assert net.stack.link.rx.observer is None

    in_a_world(visit)


def test_the_last_frames_can_be_downloaded_and_read() -> None:
    async def visit(net: Any, client: Any, dashboard: Dashboard) -> None:
        assert b" 409 " in (await fetch(client, "/capture.pcapng"))[0]
        reader, writer, _ = await request(client, "/events")
        await anext(events(reader))
        await fetch(client, "/bytes/200000")
        head, body = await fetch(client, "/capture.pcapng")
        assert b"filename=\"netstack.pcapng\"" in head
        raw = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            raw += body[: int(size, 16)]
            body = body[int(size, 16) + 2 :]
        decoder = Decoder()
        packets = decoder.feed(raw)
        decoder.finish()
        assert {packet.direction for packet in packets} == {INBOUND, OUTBOUND}
        assert sum(len(packet.data) for packet in packets) > 200_000
        times = [packet.time for packet in packets]
        assert times == sorted(times, key=lambda t: t or 0)
        writer.transport.abort()

    in_a_world(visit)


def test_no_more_streams_than_a_stack_can_bear() -> None:
    async def visit(net: Any, client: Any, dashboard: Dashboard) -> None:
        writers = []
        for _ in range(STREAMS):
            reader, writer, _ = await request(client, "/events")
            await anext(events(reader))
            writers.append(writer)
        head, _ = await fetch(client, "/events")
        assert b" 503 " in head
        assert b"Retry-After: 5" in head
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(2)
        assert dashboard.live.streams == 0
        reader, writer, _ = await request(client, "/events")
        assert (await anext(events(reader)))[0] == "hello"
        writer.transport.abort()

    in_a_world(visit)


@pytest.mark.parametrize("ending", ["reset", "abort"])
def test_over_http_2_a_page_s_streams_share_a_connection_and_end_with_it_or_before(ending: str) -> None:
    async def visit(net: Any, client: Any, dashboard: Dashboard) -> None:
        stream = await client.connect_stream("10.0.0.1", 80)
        peer = Peer(stream)

        def ask(path: bytes) -> int:
            return peer.ask(base=[*GET[:3], (b":path", path)])

        here = "{}:{}".format(*stream.local_address[:2])
        table = ask(b"/events")
        picked = ask(f"/events/connection?local=10.0.0.1:80&remote={here}".encode())
        while peer.responses[table]["body"].count(b"event: tick") < 3 or b"event: sample" not in peer.responses[picked]["body"]:
            await peer.turn()
        assert (dashboard.live.streams, dashboard.live.watching) == (2, True)
        page = ask(b"/")
        assert b"10.0.0.1" in (await peer.answer(page))["body"]
        if ending == "abort":
            stream.abort()
        else:
            for number in (table, picked):
                peer.conn.reset_stream(number, 8)
            await peer.flush()
        await asyncio.sleep(2)
        assert (dashboard.live.streams, dashboard.live.watching) == (0, False)
        stream.abort()

    in_a_world(visit)


def test_somebody_elses_look_is_left_alone() -> None:
    async def visit(net: Any, client: Any, dashboard: Dashboard) -> None:
        class Other:
            def on_input(self, f: object) -> None: ...
            def on_flush(self, now: int) -> None: ...
            def on_send(self, p: object, now: int) -> None: ...

        other = Other()
        net.stack.watch(other)
        reader, writer, _ = await request(client, "/events")
        stream = events(reader)
        assert [(await anext(stream))[0] for _ in range(2)] == ["hello", "tick"]
        assert dashboard.live.watching
        assert net.stack.link.rx.observer is not other, "both look"
        writer.transport.abort()
        await asyncio.sleep(2)
        assert not dashboard.live.watching
        assert net.stack.link.rx.observer is other
        net.stack.unwatch(other)
        assert net.stack.link.rx.observer is None

    in_a_world(visit)


def test_only_counters_that_moved_are_told() -> None:
    before = {"Tcp": {"InSegs": 1, "OutSegs": 2}, "Ip": {"InReceives": 1}}
    assert changed(before, {}) == before
    assert changed(before, before) == {}
    assert changed({"Tcp": {"InSegs": 1, "OutSegs": 3}, "Ip": {"InReceives": 1}}, before) == {"Tcp": {"OutSegs": 3}}


def test_it_is_served_on_trio_as_well() -> None:
    trio = pytest.importorskip("trio")
    world = World(seed=1, delay=MILLISECOND)
    a, b = world.host("a"), world.host("b")

    async def main() -> None:
        async with netstack.open_world(world):
            dashboard = Dashboard(NetStatus(a.net), clock=a.net.now)
            server = HttpServer(a.net, dashboard)
            await server.listen(80)
            stream = await b.net.connect_stream("a", 80)
            await stream.send_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            got = b""
            while got.count(b"event: tick") < 2:
                got += await stream.receive(65536)
            assert b"event: hello" in got
            assert dashboard.live.watching
            stream.abort()
            await trio.sleep(2)
            assert not dashboard.live.watching
            await server.aclose(0 * MILLISECOND)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
