"""One argument says where a program runs: on the kernel's sockets, on our stack, or one half of it on each side of a tap.

A driver is two halves that know nothing of this:

    @contextlib.asynccontextmanager
    async def serve(host): ...; yield port          # the program's server, on a port of its choice
    async def ask(host, port): ...                  # its client, with the asserts

    @cells("websockets", "echo", "text and binary messages", way=NATIVE)
    def test_echo(where):
        where.run(serve, ask)

`cells` makes a test of each environment, and enters the row in the register from which the table in docs/compatibility.md is
made. In a cell of the stack, client and server run on one loop and one stack, and talk over its loopback.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import gc
import importlib
import importlib.metadata
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from types import ModuleType
from typing import Any

import attrs
import pytest

import netstack
from netstack.runtime.loop import new_event_loop
from netstack.testing.wire import Wire

from . import witness

Serve = Callable[[str], contextlib.AbstractAsyncContextManager[Any]]
Ask = Callable[[str, Any], Awaitable[None]]

NATIVE = "the loop's own calls"
ADOPTED = "its own socket, adopted"
ADOPTED_CLIENT = "the loop's own calls; its own socket, adopted, in the client"
BOUND_CLIENT = "the loop's own calls; its own bound socket, adopted, in the client"
PATCH = "netstack.patch()"
FACTORY = "trio's socket factory"

OURS = "10.79.0.2"
KERNELS = "10.79.0.1"
LOCAL = "127.0.0.1"
TAP = f"tap:tap0?host={KERNELS}/24&address={OURS}/24"
PATIENCE = 20  # seconds for one cell; the slowest takes one or two


@attrs.frozen
class Row:
    """One line of the matrix: a program and what is done with it."""

    program: str
    scenario: str
    what: str
    way: str
    loops: tuple[str, ...]
    stack: bool
    taps: tuple[str, ...]
    test: str


ROWS: dict[tuple[str, str], Row] = {}


def program(name: str, *also: str) -> ModuleType:
    """Import a program; where it is not installed, what stands in the file is not run, and the run says so at its end."""
    for module in (*also, name):
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            reason = f"{error.name} is not installed: pip install '.[compat]'"
            pytest.skip(reason, allow_module_level=True)
    return importlib.import_module(name)


def cells(
    program: str,
    scenario: str,
    what: str,
    *,
    way: str,
    loops: tuple[str, ...] = ("std", "uvloop"),
    stack: bool = True,
    taps: tuple[str, ...] = (),
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make `test(where)` a test of each environment. `taps`: which half is on the stack, "server" and "client".

    The program is named by its distribution, `what` is for the reader of the table. `stack=False`: its other half knows only the
    kernel, so there is no cell with both halves on ours.
    """
    adopts = {ADOPTED: "both", BOUND_CLIENT: "client"}.get(way, "")
    nets = ["kernel", *(["stack"] if stack else []), *(f"tap-{half}" for half in taps)]
    places = [Where(net, loop, adopts, way == PATCH) for net in nets for loop in loops]

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        ROWS[program, scenario] = Row(program, scenario, what, way, loops, stack, taps, test.__name__)
        parameters = [
            pytest.param(
                place,
                id=f"{program}-{scenario}-{place.loop}-{place.net}",
                marks=[pytest.mark.root_tap] if place.net.startswith("tap") else [],
            )
            for place in places
        ]
        return pytest.mark.timeout(PATIENCE + 10)(pytest.mark.parametrize("where", parameters)(test))

    return decorate


@attrs.frozen
class Where:
    """An environment, and how to run the two halves of a program in it."""

    net: str  # kernel, stack, tap-server, tap-client: which half is on our side of the tap
    loop: str  # std, uvloop, trio
    adopts: str  # "client", "both": who binds kernel sockets of its own, which carry nothing
    patched: bool  # `netstack.patch()` holds meanwhile

    def run(self, serve: Serve, ask: Ask) -> None:
        with witness.watching() as seen:
            ways = {"kernel": on_the_kernel, "stack": on_our_stack, "tap-server": server_on_a_tap, "tap-client": client_on_a_tap}
            ways[self.net](self, serve, ask, seen)
            gc.collect()  # what was not closed warns now, and in this cell
        if self.net == "kernel":
            if seen.packets is not None or self.loop != "uvloop":  # libuv makes no audit events
                assert seen.saw_the_kernel(), "the kernel carried this, and no witness noticed"
            return
        assert not seen.carried, f"kernel sockets carried traffic: {seen.carried}"
        assert not seen.packets, f"{seen.packets} packets crossed the kernel's loopback"
        if not self.adopts:
            assert not seen.binds, f"kernel sockets were bound: {seen.binds}"

    def bindable(self) -> str:
        """What the server binds to. The kernel refuses our address to a socket that the program made itself."""
        return "0.0.0.0" if self.adopts == "both" else OURS


# -- the environments ------------------------------------------------------------------------------------------------------------


def on_the_kernel(where: Where, serve: Serve, ask: Ask, seen: witness.Witness) -> None:
    on_kernel(where.loop, functools.partial(both, serve, ask, LOCAL, LOCAL))


def on_our_stack(where: Where, serve: Serve, ask: Ask, seen: witness.Witness) -> None:
    on_stack(where.loop, None, functools.partial(both, serve, ask, where.bindable(), OURS), where.patched)


async def both(serve: Serve, ask: Ask, here: str, there: str) -> None:
    async with serve(here) as port:
        await ask(there, port)


def server_on_a_tap(where: Where, serve: Serve, ask: Ask, seen: witness.Witness) -> None:
    def peer(port: Any) -> None:
        with seen.far_side():
            on_kernel(plain(where.loop), functools.partial(ask, OURS, port))

    async def main() -> None:
        async with serve(where.bindable()) as port:
            await in_thread(where.loop, functools.partial(peer, port))

    on_stack(where.loop, TAP, main)


def client_on_a_tap(where: Where, serve: Serve, ask: Ask, seen: witness.Witness) -> None:
    asked = threading.Event()
    serving: concurrent.futures.Future[Any] = concurrent.futures.Future()

    async def serve_until_asked() -> None:
        async with serve(KERNELS) as port:
            serving.set_result(port)
            await in_thread(plain(where.loop), asked.wait)

    def peer() -> None:
        with seen.far_side():
            try:
                on_kernel(plain(where.loop), serve_until_asked)
            except BaseException as error:
                if not serving.done():
                    serving.set_exception(error)
                raise

    async def main() -> None:
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            far = executor.submit(peer)  # the tap is there now, and the kernel's address on it
            try:
                await ask(KERNELS, await in_thread(where.loop, serving.result))
            finally:
                asked.set()
                await in_thread(where.loop, far.result)

    on_stack(where.loop, TAP, main)


def plain(loop: str) -> str:
    return "trio" if loop == "trio" else "std"


async def in_thread(loop: str, function: Callable[[], Any]) -> Any:
    if loop == "trio":
        import trio

        return await trio.to_thread.run_sync(function)
    return await asyncio.get_running_loop().run_in_executor(None, function)


# -- loops ---------------------------------------------------------------------------------------------------------------------


def on_kernel(loop: str, main: Callable[[], Awaitable[None]]) -> None:
    """Run `main` on a plain loop and the kernel's sockets."""
    if loop == "trio":
        import trio

        trio.run(main)
        return
    on_asyncio(base_factory(loop), main)


def on_stack(loop: str, device: str | None, main: Callable[[], Awaitable[None]], patched: bool = False) -> None:
    """Run `main` on our stack: on `device`, or on a host that is alone on a wire in memory."""
    net = device or Wire().port("alone")
    options = {} if device else {"addresses": [f"{OURS}/24"]}
    if loop == "trio":
        on_trio(main, netstack.open(net, **options))
        return
    if loop == "uvloop":
        uvloop()

    async def patch() -> None:
        with netstack.patch(asyncio.get_running_loop().net):
            await main()

    base = {"std": "asyncio", "uvloop": "uvloop"}[loop]
    on_asyncio(functools.partial(new_event_loop, net, base=base, **options), patch if patched else main)


def on_trio(main: Callable[[], Awaitable[None]], opening: Any) -> None:
    import trio

    async def bounded() -> None:
        with trio.fail_after(PATIENCE):
            async with opening as net:
                net.install_trio(adopt=True)
                await main()

    trio.run(bounded)


def base_factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    return asyncio.SelectorEventLoop if loop == "std" else uvloop().Loop


def uvloop() -> ModuleType:
    return pytest.importorskip("uvloop", reason="uvloop is not installed: pip install '.[compat]'")


def on_asyncio(factory: Callable[[], asyncio.AbstractEventLoop], main: Callable[[], Awaitable[None]]) -> None:
    """Run `main`, bounded; what was only told to the loop's exception handler fails the cell as well."""
    told: list[dict[str, Any]] = []

    async def bounded() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        async with asyncio.timeout(PATIENCE):
            await main()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(bounded())
    assert not told, told


# -- what drivers share --------------------------------------------------------------------------------------------------------


@functools.cache
def authority() -> Any:
    trustme = program("trustme")
    return trustme.CA()


def server_tls(*alpn: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate().configure_cert(context)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


@functools.cache
def certificate() -> Any:
    return authority().issue_cert(OURS, KERNELS, LOCAL, "netstack.test")


def client_tls(*alpn: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


@contextlib.asynccontextmanager
async def task_of(work: Coroutine[Any, Any, Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """Run a program's `serve_forever` beside the block, and end it with the block."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
