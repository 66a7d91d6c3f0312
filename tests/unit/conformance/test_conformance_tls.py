"""`Tls` over the kernel's sockets and over our own TCP, held to the signature of streams."""

from __future__ import annotations

import contextlib
import functools
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

import netstack
from netstack.testing.conformance import Ends, StreamStackSuite, VerbSuite
from netstack.testing.wire import Wire
from netstack.tls import Tls

trustme = pytest.importorskip("trustme")


@functools.cache
def contexts(version: ssl.TLSVersion) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A client's and a server's, for the addresses of these tests."""
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1", "10.0.0.2").configure_cert(server)
    authority.configure_trust(client)
    client.minimum_version = client.maximum_version = version
    return client, server


@contextlib.asynccontextmanager
async def over_the_kernel(version: ssl.TLSVersion) -> AsyncIterator[Ends[Any]]:
    client, server = contexts(version)
    async with netstack.open("posix:?address=127.0.0.1") as net:
        tls = Tls(net, client=client, server=server)
        yield Ends(tls, tls, "127.0.0.1")


@contextlib.asynccontextmanager
async def over_ours(version: ssl.TLSVersion) -> AsyncIterator[Ends[Any]]:
    client, server = contexts(version)
    wire = Wire()
    async with (
        netstack.open(wire.port("a"), addresses=["10.0.0.1/24"]) as here,
        netstack.open(wire.port("b"), addresses=["10.0.0.2/24"]) as there,
    ):
        yield Ends(Tls(here, client=client, server=server), Tls(there, client=client, server=server), "10.0.0.2")


class Limits:
    """What netstack.tls says of itself: records are encrypted as they are taken, and read ahead of who receives."""

    takes_whole = False
    ends_meanwhile = False
    unread_told = False


class TestTls13OverTheKernel(Limits, StreamStackSuite):
    def ends(self) -> Any:
        return over_the_kernel(ssl.TLSVersion.TLSv1_3)


class TestTls12OverTheKernel(Limits, StreamStackSuite):
    def ends(self) -> Any:
        return over_the_kernel(ssl.TLSVersion.TLSv1_2)


class TestTlsVerbs(Limits, VerbSuite):
    files = False

    def ends(self) -> Any:
        return over_the_kernel(ssl.TLSVersion.TLSv1_3)


class TestTls13OverOurs(Limits, StreamStackSuite):
    def ends(self) -> Any:
        return over_ours(ssl.TLSVersion.TLSv1_3)
