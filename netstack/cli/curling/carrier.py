"""Carries out a line of curl's: one URL after another, or many at once, each with the client of its group."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator, Hashable, Iterator, Sequence
from http.cookiejar import LoadError, MozillaCookieJar
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from ...http.client.client import HttpClient
from ...http.client.cookies import CookieJar
from ..options import open_net
from .facts import facts
from .globs import expand, named
from .options import Options
from .outcome import Ended
from .show import Numbers, Teller, Tellers, write_out
from .transfer import Transfer
from .ways import client_of, key_of

TRANSIENT = (408, 429, 500, 502, 503, 504)
Job = tuple[Options, str, "str | None", "str | None", int]
"""A URL of a group, where it goes, what is uploaded, and the how many-th of the line it is."""


class Carrier:
    """One command line on its way."""

    def __init__(self, groups: Sequence[Options], out: BinaryIO, err: TextIO) -> None:
        self.groups = groups
        self.options = groups[-1]  # which has what holds for all
        self.out = out
        self.err = err
        self.jar = MozillaCookieJar()
        self._numbers = Numbers()
        self._clients: dict[Hashable, HttpClient[Any]] = {}

    def teller(self) -> Teller:
        """For another transfer, in whose task this is called."""
        teller = Teller(self.err, self.options.verbose, self._numbers)
        Tellers.current.set(teller)
        return teller

    async def run(self) -> int:
        """The exit status: of the last transfer, as curl's."""
        self._load_cookies()
        async with self._net() as net:
            try:
                carry = self._together if self.options.parallel else self._in_turn
                status = await carry(net)
            finally:
                for client in self._clients.values():
                    await client.aclose()
        self._save_cookies()
        return status

    async def _in_turn(self, net: Any) -> int:
        status = 0
        for job in self._jobs():
            status = await self._attempts(self._client(net, job[0]), job)
            if status and self.options.fail_early:
                break
        return status

    async def _together(self, net: Any) -> int:
        status = 0  # of the last one that failed: which is the last of all, is chance
        running: set[asyncio.Task[int]] = set()
        jobs = self._jobs()
        try:
            job = next(jobs, None)
            while job is not None or running:
                while job is not None and len(running) < max(self.options.parallel_max, 1):
                    running.add(asyncio.create_task(self._attempts(self._client(net, job[0]), job)))
                    job = next(jobs, None)
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    status = await task or status
                if status and self.options.fail_early:
                    break
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return status

    def _jobs(self) -> Iterator[Job]:
        """In their order. Raises Wrong."""
        numbers = itertools.count()
        for options in self.groups:
            outputs, uploads = iter(options.outputs), iter(options.upload_files)
            for pattern in options.urls:
                number = next(numbers)
                output = next(outputs, None if options.remote_name_all else "")
                upload = next(uploads, None)
                files = [None] if upload is None else [file for file, _ in _expanded(options, upload)]
                for file in files:
                    for url, values in _expanded(options, pattern):
                        yield options, url, named(output, values) if output and values else output, file, number

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

    def _client(self, net: Any, options: Options) -> HttpClient[Any]:
        keeps = _keeps_cookies(options)
        key = key_of(options, keeps)
        client = self._clients.get(key)
        if client is None:
            client = self._clients[key] = client_of(net, options, CookieJar(self.jar) if keeps else None)
        return client

    # -- one URL --------------------------------------------------------------------------------------------------------------

    async def _attempts(self, client: HttpClient[Any], job: Job) -> int:
        """With --retry. Gives the status, and has said why."""
        options, silent = job[0], self.options.silent
        started = time.monotonic()
        pause = options.retry_delay or 1.0
        left = options.retry
        while True:
            transfer = Transfer(self, *job)
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
                if status:
                    transfer.spoil()
                self._written(transfer, status, message)
                if status and (not silent or self.options.show_error):
                    self.err.write(f"curl: ({status}) {message}\n")
                return status
            if not silent:
                problem = message or f"HTTP error {transfer.code}"
                self.err.write(f"Warning: Problem: {problem}. Will retry in {wait:g} seconds. {left} retries left.\n")
            await asyncio.sleep(wait)
            left -= 1
            pause = pause if options.retry_delay else min(pause * 2, 600.0)

    def _written(self, transfer: Transfer, status: int, message: str) -> None:
        template = transfer.options.write_out
        if not template:
            return
        if template.startswith("@"):
            template = sys.stdin.read() if template == "@-" else Path(template[1:]).read_text()
        out, err = write_out(template, *facts(transfer, status, message))
        self.out.write(out.encode())
        self.out.flush()
        self.err.write(err)

    # -- cookies --------------------------------------------------------------------------------------------------------------

    def cookies(self, options: Options) -> str:
        """What -b says outright."""
        return "; ".join(each for each in options.cookies if "=" in each)

    def _load_cookies(self) -> None:
        for name in {each for options in self.groups for each in options.cookies}:
            if "=" not in name and name:
                with contextlib.suppress(OSError, LoadError):  # curl goes on without it, too
                    self.jar.load(name, ignore_discard=True)

    def _save_cookies(self) -> None:
        for name in {options.cookie_jar for options in self.groups if options.cookie_jar}:
            self.jar.save("/dev/stdout" if name == "-" else name, ignore_discard=True)


def _keeps_cookies(options: Options) -> bool:
    return bool(options.cookie_jar) or any("=" not in each for each in options.cookies)


def _expanded(options: Options, text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Raises Wrong."""
    return iter(((text, ()),)) if options.globoff else expand(text)
