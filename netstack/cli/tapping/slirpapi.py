"""slirp4netns's API: one JSON request for each connection to a unix socket, one reply, word for word as slirp4netns 1.2 says it.

Its replies are what podman and RootlessKit read; `list_hostfwd` answers without the `return` that its manual shows, and so do we.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Iterable
from typing import Any, Protocol

from ...address import Ip4
from ...errors import NetstackError, UsageError

LARGEST = 4096  # bytes, as slirp4netns has it
PATIENCE = 10.0  # seconds for a client to say what it wants: whoever connects and says nothing holds a descriptor
BACKLOG = 16


class Forwards(Protocol):
    """What adds, removes and lists (`router.services.forwards`)."""

    async def add(self, proto: str, host_addr: str, host_port: int, guest_addr: str, guest_port: int) -> int: ...
    async def remove(self, number: int) -> None: ...
    def list(self) -> Iterable[Any]: ...


class Bad(Exception):
    """What is answered as an error."""


class SlirpApi:
    """Requests to `forwards`; `guest` is whom they mean that name nobody."""

    def __init__(self, forwards: Forwards, guest: Ip4) -> None:
        self._forwards = forwards
        self._guest = str(guest)
        self._ids: dict[int, tuple[str, str, int, str, int]] = {}  # ours, by number
        self._server: asyncio.AbstractServer | None = None
        self._clients: set[asyncio.Task[Any]] = set()

    async def start(self, s: socket.socket) -> None:
        """Listen on `s`, which `bind_api` made."""
        self._server = await asyncio.start_unix_server(self._client, sock=s)

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._clients):
            task.cancel()
        for task in list(self._clients):
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    writer.write(await self.answer(await _request(reader)))
                    await writer.drain()
        finally:
            self._clients.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def answer(self, request: bytes) -> bytes:
        try:
            reply = await self._do(request)
        except Bad as bad:
            reply = {"error": {"desc": f"bad request: {bad}"}}
        return json.dumps(reply, separators=(",", ":")).encode()

    async def _do(self, request: bytes) -> dict[str, Any]:
        if len(request) >= LARGEST:
            raise Bad("too large message")
        try:
            said, _ = json.JSONDecoder().raw_decode(request.decode().lstrip())
        except (ValueError, RecursionError):
            raise Bad("cannot parse JSON") from None
        if not isinstance(said, dict):
            raise Bad("json_object() failed")
        execute = said.get("execute")
        if not isinstance(execute, str):
            raise Bad("no execute found")
        arguments = said.get("arguments")
        arguments = arguments if isinstance(arguments, dict) else {}
        if execute == "add_hostfwd":
            return await self._add(arguments)
        if execute == "list_hostfwd":
            names = ("proto", "host_addr", "host_port", "guest_addr", "guest_port")
            return {"entries": [{"id": number, **dict(zip(names, row, strict=True))} for number, row in self._ids.items()]}
        if execute == "remove_hostfwd":
            return await self._remove(arguments)
        raise Bad("unknown execute")

    async def _add(self, arguments: dict[str, Any]) -> dict[str, Any]:
        proto = arguments.get("proto")
        if proto not in ("tcp", "udp"):
            raise Bad("add_hostfwd: bad arguments.proto")
        host = _address(arguments, "host_addr", "0.0.0.0")
        host_port = _number(arguments, "host_port")
        guest = _address(arguments, "guest_addr", self._guest)
        guest_port = _number(arguments, "guest_port")
        try:
            number = await self._forwards.add(proto, host, host_port, guest, guest_port)
        except (NetstackError, OSError):
            raise Bad("add_hostfwd: slirp_add_hostfwd failed") from None
        self._ids[number] = (proto, host, host_port, guest, guest_port)
        return {"return": {"id": number}}

    async def _remove(self, arguments: dict[str, Any]) -> dict[str, Any]:
        number = arguments.get("id")
        if not isinstance(number, (int, float)) or isinstance(number, bool) or int(number) not in self._ids:
            raise Bad("remove_hostfwd: bad arguments.id")
        try:
            await self._forwards.remove(int(number))
        except (NetstackError, OSError):
            raise Bad("remove_hostfwd: slirp_remove_hostfwd failed") from None
        del self._ids[int(number)]
        return {"return": {}}


async def _request(reader: asyncio.StreamReader) -> bytes:
    """What the client says: a whole JSON value, or all up to its end. It may leave its own end open."""
    said = b""
    while len(said) < LARGEST:
        piece = await reader.read(LARGEST - len(said))
        if not piece:
            break
        said += piece
        with contextlib.suppress(ValueError, RecursionError):
            json.loads(said)
            break
    return said


def _address(arguments: dict[str, Any], name: str, default: str) -> str:
    text = arguments.get(name)
    if not isinstance(text, str) or not text:
        return default
    try:
        return str(Ip4.parse(text))
    except UsageError:
        raise Bad(f"add_hostfwd: bad arguments.{name}") from None


def _number(arguments: dict[str, Any], name: str) -> int:
    value = arguments.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < 1 << 31 or not int(value):
        raise Bad(f"add_hostfwd: bad arguments.{name}")
    return int(value)


def bind_api(path: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A listening socket at `path`, in place of what was there. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    s = socket.socket(socket.AF_UNIX, kind)
    try:
        s.bind(path)
        s.listen(BACKLOG)
        s.setblocking(False)
    except OSError as error:
        s.close()
        raise OSError(error.errno, error.strerror, path) from None
    return s
