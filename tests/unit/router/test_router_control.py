"""The control API over a real unix socket, in front of a world of parts."""

import asyncio
import contextlib
import json
import re
import tempfile
from pathlib import Path

import pytest
from control_lab import free_port, lab

from netstack.dhcp.leases import Kept
from netstack.errors import AddressInUse, Refused, TimedOut, UsageError
from netstack.instant import MILLISECOND, Duration
from netstack.pcap import Decoder
from netstack.router.services.unixdoor import UnixStreams


@lab
async def test_forwards_are_exposed_as_gvisor_tap_vsock_exposes_them(lab):
    port = free_port()
    assert await lab.get("/services/forwarder/all") == []
    await lab.post("/services/forwarder/expose", {"local": f"127.0.0.1:{port}", "remote": "10.0.2.100:22"})
    await lab.post("/services/forwarder/expose", {"Local": f"127.0.0.1:{port}", "Remote": ":53", "Protocol": "udp"})
    assert await lab.get("/services/forwarder/all") == [
        {"local": f"127.0.0.1:{port}", "remote": "10.0.2.100:22", "protocol": "tcp"},
        {"local": f"127.0.0.1:{port}", "remote": ":53", "protocol": "udp"},
    ]
    said = await lab.post("/services/forwarder/expose", {"local": f"127.0.0.1:{port}", "remote": ":22"}, 409)
    assert "is exposed already" in said
    await lab.post("/services/forwarder/expose", {"local": f"127.0.0.2:{port}", "remote": ":22"})
    await lab.post("/services/forwarder/unexpose", {"local": f"127.0.0.1:{port}"})
    await lab.post("/services/forwarder/unexpose", {"local": f"127.0.0.1:{port}"}, 404)
    assert len(await lab.get("/services/forwarder/all")) == 2


@lab
async def test_a_unix_socket_is_exposed(lab):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/x.sock"
        await lab.post("/services/forwarder/expose", {"local": path, "remote": "tcp://10.0.2.100:22", "protocol": "unix"})
        assert Path(path).exists()
        assert await lab.get("/services/forwarder/all") == [{"local": path, "remote": "tcp://10.0.2.100:22", "protocol": "unix"}]
        await lab.post("/services/forwarder/unexpose", {"local": path, "protocol": "unix"})
        assert not Path(path).exists()


@lab
async def test_forwards_of_our_own_grammar_have_numbers(lab):
    port = free_port()
    assert json.loads(await lab.post("/forwards", {"forward": f"{port}:22"})) == {"ids": [1]}
    assert json.loads(await lab.post("/forwards", {"out": "5432:unix:/run/pg"})) == {"ids": [2]}
    rows = await lab.get("/forwards")
    assert [(row["id"], row["direction"], row["guest_port"]) for row in rows] == [(1, "in", 22), (2, "out", 5432)]
    assert await lab.get("/services/forwarder/all") == [
        {"local": f"127.0.0.1:{port}", "remote": "10.0.2.100:22", "protocol": "tcp"}
    ]
    await lab.post("/services/forwarder/unexpose", {"local": f"127.0.0.1:{port}"})
    await lab.post("/forwards/2", b"", method="DELETE")
    await lab.post("/forwards/2", b"", 404, method="DELETE")
    assert await lab.get("/forwards") == []
    await lab.post("/forwards", {"forward": "22", "out": "22"}, 400)
    await lab.post("/forwards", {"forward": "x"}, 400)


@lab
async def test_zones_are_added_and_shown(lab):
    zone = {
        "Name": "crc.testing.",
        "Records": [{"Name": "api", "IP": "192.0.2.1"}, {"Regexp": "^x", "IP": "192.0.2.3"}],
        "DefaultIP": "192.0.2.2",
    }
    await lab.post("/services/dns/add", zone)
    assert await lab.get("/services/dns/all") == [
        zone | {"Records": [zone["Records"][0], {"Name": "", "IP": "192.0.2.3", "Regexp": "^x"}]}
    ]
    record = {"IP": "1.1.1.1"}
    rows = (1, [1], [{"IP": "x"}], [record | {"Regexp": "("}], [record | {"Regexp": "x" * 201}], [record | {"Name": "a b"}])
    for bad in ({"Name": ""}, {"Name": "a", "DefaultIP": 3}, *({"Name": "a", "Records": each} for each in rows)):
        await lab.post("/services/dns/add", bad, 400)


@lab
async def test_leases_are_shown(lab):
    assert await lab.get("/leases") == {}
    core = lab.control._dhcp.core
    core.restore([Kept("10.0.2.100", "01020000000009", "", "02:00:00:00:00:09", "web", Duration(60_000_000_000))], lab.net.now())
    assert await lab.get("/services/dhcp/leases") == await lab.get("/leases") == {"10.0.2.100": "02:00:00:00:00:09"}
    (row,) = await lab.get("/dhcp")
    assert (row["hostname"], row["address"]) == ("web", "10.0.2.100")
    assert 58 <= row["left"] <= 60


@lab
async def test_counters_are_shown_twice(lab):
    stats = await lab.get("/stats")
    assert {"Tcp", "Dhcp", "BytesSent", "BytesReceived"} <= set(stats)
    text = await lab.get("/metrics")
    assert 'netstack_flows{proto="tcp",state="new"} 1\n' in text
    assert "# TYPE netstack_Tcp_InSegs untyped\nnetstack_Tcp_InSegs 0\n" in text
    assert "# HELP netstack_Dhcp_InDiscovers clients that look for an address\n" in text
    assert await lab.get("/cam") == {}


@lab
async def test_flows_are_shown_once_and_again(lab):
    said = await lab.get("/flows")
    assert (said["total"], said["kinds"]) == (1, {"tcp new": 1})
    assert (said["flows"][0]["dst"], said["flows"][0]["dst_port"], said["flows"][0]["src"]) == ("192.0.2.1", 443, "10.0.2.100")
    assert (await lab.get("/flows?limit=0"))["flows"] == []
    response = await lab.client.get("http://router/flows?watch=0.1")
    lines = b""
    async for piece in response:
        lines += piece
        if lines.count(b"\n") >= 2:
            break
        lab.flows.clear()
    first, second = (json.loads(line) for line in lines.splitlines()[:2])
    assert (first["total"], second["total"]) == (1, 0)
    await response.aclose()
    for bad in ("limit=-1", "watch=0.01", "watch=x", "what=1", "&".join(f"a{i}=1" for i in range(11))):
        await lab.get(f"/flows?{bad}", 400)


@lab
async def test_watchers_are_counted(lab):
    responses = [await lab.client.get("http://router/flows?watch=0.1") for _ in range(3)]
    lab.control._watchers += 13
    await lab.get("/flows?watch=0.1", 503)
    lab.control._watchers -= 13
    for response in responses:
        await response.aclose()
    async with asyncio.timeout(5):
        while lab.control._watchers:
            await asyncio.sleep(0.05)


@lab
async def test_our_tcp_is_traced_while_somebody_looks(lab):
    assert "or as=text" in await lab.get("/trace?as=xml", 400)
    names = lambda text: [entry["name"] for entry in json.loads(text)]  # noqa: E731
    for kind, whom, read in (("json", "10.0.2.77", names), ("text", "10.0.2.78", str.splitlines)):
        response = await lab.client.get(f"http://router/trace?seconds=0.6&as={kind}")
        reading = asyncio.create_task(response.read())
        await asyncio.sleep(0.1)
        with contextlib.suppress(OSError):
            await lab.net.ping(whom, timeout=0.1)
        data = await reading
        assert any(f"ARP who has {whom}" in line for line in read(data.decode())), data
    assert lab.net.stack.link.rx.observer is None
    async with asyncio.timeout(5):
        while lab.control._watchers:
            await asyncio.sleep(0.05)


@lab
async def test_frames_are_captured_while_somebody_looks(lab):
    await lab.get("/pcap", 400)
    response = await lab.client.get("http://router/pcap?live=0.3")
    data = await anext(aiter(response))
    with contextlib.suppress(OSError):
        await lab.net.ping("10.0.2.77", timeout=0.1)
    data += await response.read()
    file = Decoder()
    packets = file.feed(data)
    assert packets[0].data[12:14] == b"\x08\6"
    assert lab.net.stack.link.rx.observer is None


@lab
async def test_policy_is_shown_and_changed(lab):
    await lab.post("/policy", {"allow": "*.example:443"})
    await lab.post("/policy", {"deny": "10.0.0.0/8"})
    assert await lab.get("/policy") == {
        "default": "deny", "rules": ["allow *.example:443", "deny 10.0.0.0/8"], "denials": ["10.0.2.100 -> 192.0.2.1:80"],
    }  # fmt: skip
    await lab.post("/policy", {"remove": 0})
    assert (await lab.get("/policy"))["rules"] == ["deny 10.0.0.0/8"]
    for bad in ({}, {"allow": "a", "deny": "b"}, {"remove": 7}, {"remove": "0"}, {"deny": "nonsense"}, {"allow": 1}):
        await lab.post("/policy", bad, 400)


@lab
async def test_what_is_wrong_is_one_sentence(lab):
    for path, said, status in (
        ("/services/forwarder/expose", b"x", 400),
        ("/services/forwarder/expose", b"[]", 400),
        ("/services/forwarder/expose", b"[" * 5000, 400),
        ("/services/forwarder/expose", {"local": 1, "remote": ":1"}, 400),
        ("/services/forwarder/expose", {"local": ":1", "remote": "x"}, 400),
        ("/services/forwarder/expose", {"local": ":1", "remote": ":70000"}, 400),
        ("/services/forwarder/expose", {"local": ":1", "remote": ":1", "protocol": "npipe"}, 400),
        ("/services/forwarder/expose", {"local": "/x", "remote": "ssh-tunnel://x", "protocol": "unix"}, 400),
        ("/services/forwarder/expose", {"local": ":1", "remote": ":1", "what": 1}, 400),
        ("/services/forwarder/expose", b" " * ((1 << 20) + 1), 413),
        ("/services/forwarder/all", {}, 405),
        ("/nothing", {}, 404),
    ):
        text = (await lab.post(path, said, status)).strip().removeprefix(f"{status} ")
        assert re.fullmatch(r"[A-Z'\"/].*\.", text, re.DOTALL), text
    assert "/services/dns/add" in await lab.get("/")


@lab
async def test_a_part_that_is_not_there_is_said(lab):
    lab.control._policy = lab.control._recorder = None
    assert "This router has no policy." in await lab.get("/policy", 404)
    assert "This router has no captures." in await lab.get("/pcap", 404)


def test_a_path_is_taken_over_only_from_the_dead():
    async def main():
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/x.sock"

            async def handler(stream):
                await stream.send_all(await stream.receive())

            with pytest.raises(Refused, match="is the router running"):
                await UnixStreams(path).connect_stream()
            door = UnixStreams(path)
            listener = await door.serve_streams(handler)
            with pytest.raises(AddressInUse):
                await UnixStreams(path).serve_streams(handler)
            stream = await UnixStreams(path).connect_stream()
            with pytest.raises(TimedOut):
                await stream.receive(10, Duration(10 * MILLISECOND))
            await stream.send_all(b"hello")
            assert (await stream.receive(2), await stream.receive(), await stream.receive()) == (b"he", b"llo", b"")
            await stream.aclose()
            listener._listener.close()  # it died
            again = await UnixStreams(path).serve_streams(handler)
            await again.aclose()
            Path(path).write_text("mine")
            with pytest.raises(AddressInUse, match="no socket"):
                await UnixStreams(path).serve_streams(handler)
            await door.aclose()
            await listener.aclose()

    asyncio.run(main())
    for bad in ("", "x" * 108, "a\0b"):
        with pytest.raises(UsageError):
            UnixStreams(bad)
