"""`netstack.open_router`, and the command: what can be said, and what becomes of it."""

import asyncio
import json
import os
import socket

import pytest
from netstack_tuntap import Tap

import netstack
from netstack.cli.tapping.route import main, opening
from netstack.errors import UsageError
from netstack.routing.config import NatConfig
from netstack.runtime.routing import RouterPlan, read_route
from netstack.testing.wire import Wire

LAN, WAN, A, W = "192.168.1.1", "203.0.113.2", "192.168.1.10", "203.0.113.1"


async def serve(stream):
    await stream.send_all(b"seen from " + stream.remote_address[0].encode())
    await stream.aclose()


async def fetch(net, host, port):
    stream = await net.connect_stream(host, port)
    data = b""
    while more := await stream.receive():
        data += more
    await stream.aclose()
    return data


def test_hosts_of_a_loop_meet_through_a_router_that_is_a_host_too():
    async def program():
        lan, wan = Wire(), Wire()
        async with (
            netstack.open_router(
                {"lan": lan.port("r"), "wan": wan.port("r")},
                addresses={"lan": [f"{LAN}/24"], "wan": [f"{WAN}/24"]},
                gateway=W,
                nat=True,
                forwards=[f"tcp:8080={A}:80"],
                seed=1,
            ) as router,
            netstack.open(lan.port("a"), addresses=[f"{A}/24"], gateway=LAN, seed=2) as a,
            netstack.open(wan.port("w"), addresses=[f"{W}/24"], seed=3) as w,
        ):
            for net in (router, a, w):
                await net.serve_streams(serve, 80)
            assert await fetch(a, W, 80) == b"seen from 203.0.113.2"
            assert await fetch(w, WAN, 8080) == b"seen from 203.0.113.1"
            assert await fetch(a, LAN, 80) == b"seen from 192.168.1.10"
            assert await fetch(w, WAN, 80) == b"seen from 203.0.113.1"
            assert sorted(flow.inbound for flow in router.flows()) == [False, True]
            assert router.stack.counters()["Conntrack"]["Insert"] == 2
            assert "Link wan" in router.stack.counters()

    netstack.run_virtual(program())


def test_devices_with_descriptors_are_waited_for_together():
    async def program():
        ends = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
        taps = {name: Tap.from_fd(os.dup(end[0].fileno()), name=name) for name, end in zip(("lan", "wan"), ends, strict=True)}
        hosts = [Tap.from_fd(os.dup(end[1].fileno()), name="host") for end in ends]
        for pair in ends:
            for end in pair:
                end.close()
        async with (
            netstack.open_router(taps, addresses={"lan": [f"{LAN}/24"], "wan": [f"{WAN}/24"]}) as router,
            netstack.open(hosts[1], addresses=[f"{W}/24"], gateway=WAN) as w,
            netstack.open(hosts[0], addresses=[f"{A}/24"], gateway=LAN) as a,
        ):
            await w.serve_streams(serve, 80)
            assert await fetch(a, W, 80) == b"seen from 192.168.1.10"
            assert router.flows() == []

    asyncio.run(program())


def plan(devices, **options):
    given = {
        "addresses": {}, "gateway": None, "routes": (), "nat": False, "outside": (), "forwards": (), "maps": (), "routing": None,
        "seed": 1, **options,
    }  # fmt: skip
    return RouterPlan.make(devices, *given.values())


def test_the_outside_is_where_the_gateway_is_or_what_is_called_so():
    assert plan({"a": "tap:a", "b": f"tap:b?gateway={W}"}, nat=True).outside == ("b",)
    assert plan({"lan": "tap:a", "wan": "tap:b"}, nat=NatConfig(flows=16)).outside == ("wan",)
    assert plan({"x": "tap:a", "y": "tap:b"}, nat=True, outside=["y"]).outside == ("y",)


@pytest.mark.parametrize(
    ("devices", "options", "said"),
    [
        ({}, {}, "needs devices"),
        ({"a": "tap:a", "b": "tap:b"}, {"nat": True}, "call the device that leads to the world wan"),
        ({"a": "tap:a"}, {"forwards": ["tcp:80=192.168.1.10"]}, "nat=True"),
        ({"a": "tap:a?gateway=10.0.0.1", "b": "tap:b?gateway=10.0.0.2"}, {}, "one gateway"),
        ({"a": "tap:a"}, {"addresses": {"b": ["10.0.0.1/8"]}}, "no device 'b'"),
        ({"a": "tap:a"}, {"routes": ["10.0.0.0/8"]}, "is no route"),
    ],
)
def test_what_cannot_be_is_said_before_a_device_is_opened(devices, options, said):
    with pytest.raises(UsageError, match=said):
        plan(devices, **options)


def test_an_outside_that_is_none_and_a_gateway_out_of_reach_let_the_devices_go():
    refused = (({"nat": True, "outside": ["x"]}, "no device 'x'"), ({"gateway": "198.51.100.1"}, "on none of the router's"))
    for options, said in refused:
        wire = Wire()
        made = plan({"lan": wire.port("r")}, addresses={"lan": [f"{LAN}/24"]}, **options)
        with pytest.raises(UsageError, match=said):
            made.build(0, None)


def test_routes_are_read():
    assert str(read_route("10.0.0.0/8=lan")[0]) == "10.0.0.0/8"
    assert read_route("10.0.0.0/8=lan")[1:] == (None, "lan")
    assert str(read_route("10.0.0.0/8=192.168.1.2")[1]) == "192.168.1.2"


MISTAKES = [["lan"], ["lan=tap:a", "lan=tap:b"], ["wan=tap:a", "--nat", "--flows", "1"], ["l=tap:a", "--map", "x"]]


@pytest.mark.parametrize("words", MISTAKES)
def test_the_command_refuses_in_a_sentence(capsys, words):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("netstack-tap: ")
    assert err.count("\n") == 1


def test_the_command_says_what_passed(capsys):
    """The figures of a router that nothing passed are lawful JSON, and its lines can be read."""
    from argparse import ArgumentParser, Namespace

    from netstack.cli.tapping.route import configure, figures, show

    parser = ArgumentParser()
    configure(parser)
    assert opening(parser.parse_args(["lan=tap:a", "wan=tap:b", "--nat", "--filter", "endpoint"]))

    async def program():
        wires = {name: Wire().port("r") for name in ("lan", "wan")}
        addresses = {"lan": [f"{LAN}/24"], "wan": [f"{WAN}/24"]}
        async with netstack.open_router(wires, addresses=addresses, nat=True, seed=1) as net:
            json.dumps(figures(net, True))
            show(net, Namespace(json=False, list=True))

    netstack.run_virtual(program())
    assert capsys.readouterr().out.startswith("lan: 0 in (0 bytes), ")
