"""An image of examples/appliance.py, and a host of ours on the other end of its machine's network card: DHCP, then HTTP and DNS."""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import netstack
from netstack.address import Cidr, Ip4
from netstack.dhcp.onstack import ServerOnStack
from netstack.dhcp.server import DhcpConfig
from netstack.errors import NetstackError, UsageError
from netstack.imaging import boot
from netstack.imaging.build import Recipe, build
from netstack.imaging.kernel import Kernel
from netstack.imaging.packages import find_kernel

ROOT = Path(__file__).resolve().parents[2]
APPLIANCE = ROOT / "examples" / "appliance.py"
OWN = "10.80.0.1/24"
GUEST = "10.80.0.100"
QUESTION = bytes.fromhex("00070100000100000000000009") + b"appliance\x04test\0\0\1\0\1"
ASK = b"GET / HTTP/1.1\r\nHost: appliance.test\r\n\r\n"


def kernel() -> "tuple[Kernel | None, str]":
    """A kernel, or what to do to have one."""
    said = os.environ.get("NETSTACK_TEST_KERNEL")
    installed = sorted(Path("/boot").glob("vmlinuz-*-cloud-amd64"))
    try:
        return find_kernel(said or (str(installed[-1]) if installed else None)), ""
    except (UsageError, OSError) as error:
        return None, str(error)


def missing() -> str:
    """What this machine lacks to start one."""
    if shutil.which(boot.QEMU) is None:
        return "qemu-system-x86_64 is not installed: apt-get install qemu-system-x86"
    return ""


def image(folder: Path, found: Kernel, **said: Any) -> Path:
    path = folder / "app.img"
    path.write_bytes(build(Recipe(str(APPLIANCE), **said), found).data)
    return path


class Machine:
    """One that runs. `lines` is what it has said."""

    def __init__(self, process: asyncio.subprocess.Process, began: float) -> None:
        self.process = process
        self.began = began
        self.lines: list[tuple[float, str]] = []

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append((time.monotonic() - self.began, line.decode("utf-8", "replace").rstrip()))

    def said(self) -> str:
        return "\n".join(f"{at:6.2f} {line}" for at, line in self.lines)


@asynccontextmanager
async def running(words: "list[str]") -> "AsyncIterator[Machine]":
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    machine = Machine(process, began)
    listening = asyncio.create_task(machine.listen())
    try:
        yield machine
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        await listening


@asynccontextmanager
async def network(path: Path) -> "AsyncIterator[Any]":
    """Our side of the cable, which serves addresses."""
    async with netstack.open(f"qemu:{path},server?address={OWN}") as net:
        config = DhcpConfig(own=Cidr.parse_whole(OWN), first=Ip4.parse(GUEST), last=Ip4.parse(GUEST), router=Ip4.parse(OWN[:-3]))
        server = ServerOnStack(net.stack, net.turn, config)
        server.start()
        try:
            yield net
        finally:
            server.close()


def netdev(path: Path) -> str:
    return f"stream,id=n,server=off,addr.type=unix,addr.path={path}"


async def page(net: Any, patience: float, address: str = GUEST, port: int = 80) -> bytes:
    """The page at `address`, asked for until there is somebody. Raises TimeoutError."""
    async with asyncio.timeout(patience):
        while True:
            try:
                reader, writer = await net.open_connection(address, port)
            except (OSError, NetstackError):
                await asyncio.sleep(0.05)
                continue
            try:
                writer.write(ASK)
                return bytes(await reader.read())
            finally:
                writer.close()


async def name(net: Any, address: str = GUEST) -> bytes:
    """What the machine says who `appliance.test` is."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()

    class Asker(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            transport.sendto(QUESTION)

        def datagram_received(self, data: bytes, peer: Any) -> None:
            if not answer.done():
                answer.set_result(data)

    transport, _ = await net.create_datagram_endpoint(Asker, remote_addr=(address, 53))
    try:
        async with asyncio.timeout(10):
            return await answer
    finally:
        transport.close()
