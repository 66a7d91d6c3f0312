"""A policy as the gate of a real NAT, with the host's loopback as the world: first bytes, proxies, shares."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from policy_words import GUEST, SITE, hello

import netstack
from netstack.errors import PeerReset, Refused
from netstack.router.bare import BareRouter
from netstack.router.flow import Flow
from netstack.router.policy.config import PolicyConfig
from netstack.router.policy.policy import Policy
from netstack.testing.wire import Wire

LOCALHOST = "127.0.0.1"


class Homing:
    """Whoever may connect comes to a server of the test's, on 127.0.0.1."""

    def __init__(self, policy: Policy, port: int) -> None:
        self.policy = policy
        self.port = port
        self.over_: list[tuple[str, str]] = []

    def decide(self, flow: Flow) -> Any:
        decision = self.policy.decide(flow)
        assert not isinstance(decision, Awaitable)
        return attrs.evolve(decision, to=(LOCALHOST, self.port)) if decision.action == "connect" else decision

    def over(self, flow: Flow) -> None:
        self.over_.append((flow.state, flow.note))
        self.policy.over(flow)


def routed(policy: Policy, serve: Callable[[Any, Any], Awaitable[None]], visit: Callable[[Any, Homing], Awaitable[None]]) -> None:
    """`visit(guest's net, gate)`, where `serve(reader, writer)` is all the world."""

    async def main() -> None:
        wire = Wire()
        server = await asyncio.start_server(serve, LOCALHOST, 0)
        gate = Homing(policy, server.sockets[0].getsockname()[1])
        policy.on_answer(GUEST, "api.example", [SITE], 60)
        async with (
            asyncio.timeout(20),
            server,
            BareRouter(wire.port("router"), gate=gate, seed=1),
            netstack.open(wire.port("guest"), addresses=[f"{GUEST}/24"], gateway="10.0.2.2", seed=2) as guest,
        ):
            await visit(guest, gate)
        assert not policy._open and not policy._flows

    asyncio.run(main())


def knowing(**more: Any) -> Policy:
    policy = Policy("deny", network="10.0.2.0/24", **more)
    policy.allow("api.example")
    return policy


async def echo(reader: Any, writer: Any) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def refused_or_reset(stream: Any) -> bool:
    try:
        return not await stream.receive()
    except OSError as error:
        return isinstance(error.__cause__ or error, PeerReset)


def test_the_first_bytes_decide_and_not_one_of_a_wrong_name_leaves():
    policy, heard = knowing(), []

    async def serve(reader, writer):
        data = await reader.read(65536)
        heard.append(data)
        writer.write(data)
        await writer.drain()
        writer.close()

    async def visit(guest, gate):
        good = await guest.connect_stream(SITE, 443)
        first = hello("api.example", size=40)
        for at in range(0, len(first), 50):
            await good.send_all(first[at : at + 50])
        assert (await good.receive()).startswith(first[:40])
        await good.aclose()
        bad = await guest.connect_stream(SITE, 443)
        await bad.send_all(hello("evil.example"))
        assert await refused_or_reset(bad)
        try:
            await guest.connect_stream("198.51.100.9", 443)
            raise AssertionError("no rule allows it")
        except Refused:
            pass
        while len(gate.over_) < 3:
            await asyncio.sleep(0.01)
        assert {state for state, _ in gate.over_} == {"over", "denied"}
        assert any("it says evil.example" in note for _, note in gate.over_)

    routed(policy, serve, visit)
    assert all(b"evil" not in data for data in heard)
    assert sorted(denial.why for denial in policy.denials()) == ["default", "mismatch"]


def test_requests_go_through_the_proxy_of_a_flow_and_are_counted():
    policy, flows = knowing(), []
    policy.on_request("api.example")(lambda request: request.set("x-added", "1"))

    async def serve(reader, writer):
        for _ in range(2):
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"X-Added: 1" in head
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000))
            await writer.drain()
        writer.close()

    async def visit(guest, gate):
        decide = gate.decide
        gate.decide = lambda flow: flows.append(flow) or decide(flow)
        stream = await guest.connect_stream(SITE, 80)
        for _ in range(2):
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n")
            got = 0
            while got < 100_000:
                got += len(await stream.receive())
        await stream.aclose()
        while not gate.over_:
            await asyncio.sleep(0.01)

    routed(policy, serve, visit)
    assert policy.mib.Requests == 2 and flows[0].received > 200_000 and flows[0].sent > 80 and flows[0].hostname == "api.example"


def test_flows_of_a_guest_share_its_rate():
    policy = Policy("allow", config=PolicyConfig())
    policy.limit(1_000_000)

    async def visit(guest, gate):
        loop = asyncio.get_running_loop()
        block = bytes(200_000)

        async def one() -> None:
            stream = await guest.connect_stream(SITE, 7)
            await stream.send_all(block)
            got = 0
            while got < len(block):
                got += len(await stream.receive())
            await stream.aclose()

        began = loop.time()
        await asyncio.gather(one(), one(), one())
        assert loop.time() - began > 0.3  # 600,000 bytes, of which an eighth of a second's may go at once, and some in excess

    routed(policy, echo, visit)
