"""HTTP from one domain to another: the server and the client of this package on vchans, on either runtime, as on any stack."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from netstack_xen.simulated import Machine
from netstack_xen.vchan import Vchan, open_vchan

import netstack
from netstack.errors import UsageError
from netstack.http.client.client import HttpClient
from netstack.http.serve.message import Request, Response
from netstack.http.serve.server import HttpServer

BODY = bytes(range(256)) * 1024


async def answer(request: Request) -> Response:
    if request.method == "POST":
        return Response.text(hashlib.sha256(await request.body.read()).hexdigest())
    if request.path == "/big":
        return Response(200, body=BODY)
    return Response.text(f"{request.remote_address[0]} asks for {request.path}")


async def story(machine: Machine) -> None:
    """Domain 0 and domain 7 fetch from domain 3, and domain 3 from domain 0."""
    async with Vchan(machine.domain(3)) as three, Vchan(machine.domain(0)) as zero, Vchan(machine.domain(7)) as seven:
        server = HttpServer(three, answer)
        assert await server.listen(80) == ("3", 80)
        for net, who in ((zero, "0"), (seven, "7")):
            async with HttpClient(net) as client:
                response = await client.get("http://3/here")
                assert await response.text() == f"{who} asks for /here"
                assert await (await client.get("http://3/big")).read() == BODY
                response = await client.post("http://3/", BODY)
                assert await response.text() == hashlib.sha256(BODY).hexdigest()
                assert net.mib.ActiveOpens == 1, "one connection has carried them all"
        other = HttpServer(zero, answer)
        await other.listen(8080)
        async with HttpClient(three) as client:
            assert await (await client.get("http://0:8080/back")).text() == "3 asks for /back"
        async with HttpClient(zero) as client:  # domain 0 may read the names of others
            assert await (await client.get("http://domain-3/by-name")).text() == "0 asks for /by-name"
        await server.aclose()
        await other.aclose()
    machine.books.assert_even()
    machine.books.assert_clean()


def on_asyncio(main: Callable[[], Awaitable[None]]) -> None:
    netstack.run_virtual(main())  # type: ignore[arg-type]  # it is a coroutine


def on_trio(main: Callable[[], Awaitable[None]]) -> None:
    trio = pytest.importorskip("trio")
    import trio.testing

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize("run", [on_asyncio, on_trio])
def test_http_between_domains(run: Callable[[Any], None]):
    with Machine() as machine:
        run(lambda: story(machine))


@pytest.mark.once
def test_http_between_domains_with_descriptors():
    """As on Xen itself: a descriptor says when there is something to hear."""

    async def main() -> None:
        async with Vchan(machine.domain(1, descriptor=True)) as one, Vchan(machine.domain(2, descriptor=True)) as two:
            server = HttpServer(one, answer)
            await server.listen(80)
            async with HttpClient(two) as client:
                assert await (await client.get("http://1/x")).text() == "2 asks for /x"
                assert await (await client.get("http://1/big")).read() == BODY
            await server.aclose()
        machine.books.assert_even()

    for run in (asyncio.run, None):
        with Machine() as machine:
            if run is not None:
                run(main())
            else:
                pytest.importorskip("trio").run(main)


# -- from text -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [on_asyncio, on_trio])
def test_it_is_opened_by_its_name_on_either_runtime(run: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch):
    with Machine() as machine:
        import netstack_xen.libxen as libxen

        monkeypatch.setattr(libxen, "LibXen", lambda: machine.domain(5), raising=False)

        async def main() -> None:
            async with netstack.open("vchan:?buffer=1024&clients=5&offers=5") as net:
                assert net.addresses == ["5"]
                assert isinstance(net, Vchan)
            machine.books.assert_even()

        run(main)


@pytest.mark.parametrize(
    ("name", "options"),
    [("eth0", {}), ("", {"mtu": "9"}), ("", {"buffer": "3000"}), ("", {"buffer": "2097152"}), ("", {"clients": "3,x"}),
     ("", {"offers": "70000"}), ("", {"connections": "0"})],
)  # fmt: skip
def test_what_can_not_be_opened_is_said(name: str, options: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    import netstack_xen.libxen as libxen

    monkeypatch.setattr(libxen, "LibXen", lambda: None, raising=False)
    with pytest.raises(UsageError):
        open_vchan(name, options)
