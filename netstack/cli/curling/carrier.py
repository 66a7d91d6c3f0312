"""Carries out a line of curl's: one URL after another, on one client."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator, Sequence
from http.cookiejar import LoadError, MozillaCookieJar
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from attrs import evolve

from ...errors import UsageError
from ...http.client.client import HttpClient, speaks_http2
from ...http.client.cookies import CookieJar
from ...http.client.proxy import Proxy
from ...http.client.url import Url
from ...http.config import HttpClientConfig
from ...instant import Duration, seconds
from ...tls.contexts import client_context
from ..options import open_net
from .outcome import Ended
from .show import Teller, write_out
from .transfer import Transfer
from .words import Options, Wrong

TRANSIENT = (408, 429, 500, 502, 503, 504)


class Carrier:
    """One command line on its way."""

    def __init__(self, options: Options, out: BinaryIO, err: TextIO) -> None:
        self.options = options
        self.out = out
        self.err = err
        self.teller = Teller(err, options.verbose)
        self.jar = MozillaCookieJar()

    async def run(self) -> int:
        """The exit status: of the last transfer that failed, as curl's."""
        options = self.options
        status = 0
        self._load_cookies()
        async with self._net() as net, self._client(net) as client:
            outputs = iter(options.outputs)
            uploads = list(options.upload_files)
            for number, url in enumerate(options.urls):
                upload = uploads[min(number, len(uploads) - 1)] if uploads else None
                ended = await self._attempts(client, url, next(outputs, ""), upload)
                status = ended or status
                if ended and options.fail_early:
                    break
        if options.cookie_jar:
            self._save_cookies()
        return status

    @contextlib.asynccontextmanager
    async def _net(self) -> AsyncIterator[Any]:
        options = self.options
        spec = options.net or os.environ.get("NETSTACK") or "posix:"
        args = argparse.Namespace(
            netif=spec, address=options.address, gateway=options.gateway, dns=options.dns, hosts=options.hosts, pcap=options.pcap,
            fault=options.fault,
        )  # fmt: skip
        async with open_net(args) as net:
            yield net

    def _client(self, net: Any) -> HttpClient[Any]:
        options = self.options
        limit = seconds(options.connect_timeout) if options.connect_timeout else Duration(300_000_000_000)  # curl's own
        forever = Duration(1 << 62)  # curl waits, unless it is told
        config = HttpClientConfig(
            connect_timeout=limit,
            tls_timeout=limit,
            write_timeout=forever,
            first_byte_timeout=forever,
            read_timeout=forever,
            continue_timeout=Duration(max(seconds(options.expect100_timeout), 1)),
            idle_timeout=Duration(118_000_000_000),
            redirects=options.max_redirs,
        )
        return HttpClient(
            net,
            resolver=self._resolver() if options.resolve else None,
            config=config,
            context=self._context(),
            proxy=self._proxy,
            protocols=options.protocols,  # type: ignore[arg-type]  # words.py has no others
            user_agent="",
            decode=False,
            cookies=CookieJar(self.jar) if self._keeps_cookies else None,
            watcher=self.teller,
        )

    def _context(self) -> ssl.SSLContext:
        options = self.options
        alpn = ["http/1.1"] if options.protocols == "1.1" else ["h2", "http/1.1"]
        if not speaks_http2():
            alpn = ["http/1.1"]
        try:
            return client_context(
                alpn, verify=not options.insecure, ca_file=options.cacert, certificate=options.cert, key=options.key
            )
        except UsageError as error:
            raise Wrong(str(error), 77 if options.cacert else 58) from None

    def _resolver(self) -> Any:
        known: dict[tuple[str, int], list[tuple[str, int]]] = {}
        for entry in self.options.resolve:
            host, port, addresses = entry.lstrip("+").split(":", 2)
            if not port.isdigit():
                raise Wrong(f"--resolve takes HOST:PORT:ADDRESS, not {entry!r}", 49)
            known[host.lower(), int(port)] = [(each.strip("[]"), int(port)) for each in addresses.split(",")]

        async def resolve(host: str, port: int) -> Sequence[tuple[str, int]]:
            return known.get((host, port)) or known.get(("*", port)) or ()

        return resolve

    def _proxy(self, url: Url) -> Proxy | None:
        """-x, or what the environment says: http_proxy in small letters alone, since a CGI's caller can set HTTP_PROXY."""
        options, environ = self.options, os.environ
        text = options.proxy
        if text is None:
            text = environ.get(f"{url.scheme}_proxy") or (environ.get("HTTPS_PROXY") if url.secure else None)
            text = text or environ.get("all_proxy") or environ.get("ALL_PROXY")
        if not text:
            return None
        spared = options.noproxy if options.noproxy is not None else environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        for name in spared.replace(" ", ",").split(","):
            name = name.lstrip(".").lower()
            if name == "*" or (name and (url.host == name or url.host.endswith(f".{name}"))):
                return None
        proxy = Proxy.parse(text if ":" in text.rpartition("://")[2].rpartition("@")[2] else f"{text}:1080", options.proxytunnel)
        if options.proxy_user:
            user, _, password = options.proxy_user.partition(":")
            proxy = evolve(proxy, url=evolve(proxy.url, user=user, password=password))
        return proxy

    # -- one URL --------------------------------------------------------------------------------------------------------------

    async def _attempts(self, client: HttpClient[Any], text: str, output: str | None, upload: str | None) -> int:
        """With --retry. Gives the status, and has said why."""
        options = self.options
        started = time.monotonic()
        pause = options.retry_delay or 1.0
        left = options.retry
        while True:
            transfer = Transfer(self, text, output, upload)
            try:
                await transfer.run(client)
                status, message = 0, ""
            except Ended as ended:
                status, message = ended.status, str(ended)
            again = left > 0 and (
                status == 28
                or (status == 7 and options.retry_connrefused)
                or (status != 0 and status != 23 and options.retry_all_errors)
                or (transfer.code in TRANSIENT and status in (0, 22))
            )
            wait = max(pause, transfer.retry_after) if not options.retry_delay else pause
            if again and options.retry_max_time and time.monotonic() - started + wait > options.retry_max_time:
                again = False
            if not again:
                self._written(transfer, status, message)
                if status and (not options.silent or options.show_error):
                    self.err.write(f"curl: ({status}) {message}\n")
                return status
            if not options.silent:
                problem = message or f"HTTP error {transfer.code}"
                self.err.write(f"Warning: Problem: {problem}. Will retry in {wait:g} seconds. {left} retries left.\n")
            await asyncio.sleep(wait)
            left -= 1
            pause = pause if options.retry_delay else min(pause * 2, 600.0)

    def _written(self, transfer: Transfer, status: int, message: str) -> None:
        template = self.options.write_out
        if not template:
            return
        if template.startswith("@"):
            template = sys.stdin.read() if template == "@-" else Path(template[1:]).read_text()
        facts, headers = transfer.facts(status, message)
        self.out.write(write_out(template, facts, headers).encode())
        self.out.flush()

    # -- cookies --------------------------------------------------------------------------------------------------------------

    @property
    def _keeps_cookies(self) -> bool:
        return bool(self.options.cookie_jar) or any("=" not in each for each in self.options.cookies)

    @property
    def cookies(self) -> str:
        """What -b says outright."""
        return "; ".join(each for each in self.options.cookies if "=" in each)

    def _load_cookies(self) -> None:
        for name in self.options.cookies:
            if "=" not in name and name:
                with contextlib.suppress(OSError, LoadError):  # curl goes on without it, too
                    self.jar.load(name, ignore_discard=True)

    def _save_cookies(self) -> None:
        name = self.options.cookie_jar
        self.jar.save("/dev/stdout" if name == "-" else name, ignore_discard=True)
