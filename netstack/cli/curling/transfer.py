"""One URL of a line of curl's: what is asked, where it goes, and what is told of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from attrs import evolve

from ... import __version__
from ...errors import ClosedError, UsageError
from ...http.client.client import HttpClient
from ...http.client.errors import (
    FetchError,
)
from ...http.client.request import BodyLike
from ...http.client.response import ClientResponse
from ...http.client.url import Url, parse
from .form import blocks, form, pieces
from .outcome import Ended, blame
from .show import Bar
from .words import Wrong

if TYPE_CHECKING:
    from .carrier import Carrier

EXPECT = 1 << 20  # bodies from here on are not sent before the server has said that it wants them, as curl's


class Transfer:
    """One URL, once."""

    def __init__(self, carrier: Carrier, text: str, output: str | None, upload: str | None) -> None:
        self.carrier = carrier
        self.options = carrier.options
        self.text = text
        self.output = output  # "": standard output; None: as the URL calls it
        self.upload = upload
        self.response: ClientResponse | None = None
        self.code = 0
        self.received = 0
        self.retry_after = 0.0
        self.name = ""  # of the file
        self._offset = 0

    async def run(self, client: HttpClient[Any]) -> None:
        """Raises Ended."""
        options = self.options
        self.carrier.teller.begin()
        try:
            url = self._url()
            work = self._fetch(client, url)
            if options.max_time:
                async with asyncio.timeout(options.max_time):
                    await work
            else:
                await work
        except TimeoutError as error:
            if isinstance(error, FetchError):
                raise blame(error, self.carrier.options.connect_timeout) from error
            took = round((time.monotonic() - self.carrier.teller.times.start) * 1000)
            raise Ended(28, f"Operation timed out after {took} milliseconds with {self.received} bytes received") from None
        except FetchError as error:
            raise blame(error, options.connect_timeout) from error
        except Wrong as error:
            raise Ended(error.status, str(error)) from None
        except ClosedError as error:
            raise Ended(56, str(error)) from error
        except UsageError as error:
            raise Ended(4 if "h2" in str(error) else 2, str(error)) from error
        finally:
            self.carrier.teller.times.end = time.monotonic()

    def _url(self) -> Url:
        text = self.text
        scheme, mark, _ = text.partition("://")
        if not mark:
            text = f"http://{text}"
        elif scheme.lower() not in ("http", "https"):
            raise Ended(1, f"Protocol {scheme!r} is not spoken here: http and https are")
        try:
            url = parse(text)
        except UsageError as error:
            raise Ended(3, f"URL using bad/illegal format or missing URL: {error}") from None
        data = self.options.body
        if self.options.get and data is not None:
            joint = "&" if "?" in url.target else "?"
            url = evolve(url, target=url.target + joint + data.decode("ascii", "replace"))
        if self.upload not in (None, "-", ".") and url.path.endswith("/"):
            assert self.upload is not None
            path, mark, query = url.target.partition("?")
            url = evolve(url, target=path + quote(os.path.basename(self.upload)) + mark + query)
        return url

    async def _fetch(self, client: HttpClient[Any], url: Url) -> None:
        options = self.options
        body, length, kind = self._body()
        method = options.request or ("HEAD" if options.head else "PUT" if self.upload else "GET" if body is None else "POST")
        user = options.user.partition(":") if options.user else None
        if user is not None and not user[1]:
            from getpass import getpass

            user = (user[0], ":", getpass(f"Enter host password for user '{user[0]}':"))
        with contextlib.ExitStack() as files:
            self._prepare(url)
            heads = self._heads(files)
            self.carrier.teller.heads = heads
            headers = self._headers(kind)
            large = length is None or length > EXPECT
            response = await client.request(
                method,
                url,
                headers=headers,
                body=body,
                length=length,
                auth=None if user is None else (user[0], user[2]),
                redirects=options.max_redirs if options.location else 0,
                expect=large and body is not None and not any(line.lower().startswith("expect") for line in options.headers),
            )
            self.response = response
            self.code = response.status
            with contextlib.suppress(ValueError):
                self.retry_after = float(response.headers.get("retry-after", "0") or 0)
            async with response:
                await self._take(response, files)

    # -- what is asked --------------------------------------------------------------------------------------------------------

    def _headers(self, kind: str) -> list[tuple[str, str]]:
        """Those of -H go before ours: `Name:` takes one away, `Name;` sends an empty one."""
        options = self.options
        agent = f"netstack-curl/{__version__}" if options.user_agent is None else options.user_agent
        ours = [("user-agent", agent), ("accept", "*/*")]
        if options.json:
            ours = [("user-agent", agent), ("accept", "application/json")]
        if options.compressed:
            ours.append(("accept-encoding", "deflate, gzip"))
        if options.referer:
            ours.append(("referer", options.referer))
        if self.carrier.cookies:
            ours.append(("cookie", self.carrier.cookies))
        if kind:
            ours.append(("content-type", kind))
        if self._range():
            ours.append(("range", f"bytes={self._range()}"))
        said: list[tuple[str, str]] = []
        gone: set[str] = set()
        for line in options.headers:
            name, colon, value = line.partition(":")
            if colon and not value.strip():
                gone.add(name.strip().lower())
            elif colon:
                said.append((name.strip(), value.strip()))
            elif line.rstrip().endswith(";"):
                said.append((line.rstrip()[:-1].strip(), ""))
        given = {name.lower() for name, _ in said} | gone
        kept = [(name, value) for name, value in ours if name not in given and value]
        # an empty value keeps the client from adding its own
        kept += [(name, "") for name in ("accept", "user-agent") if name not in {each for each, _ in (*kept, *said)}]
        return [*kept, *((name.lower(), value) for name, value in said)]

    def _range(self) -> str:
        return f"{self._offset}-" if self._offset else self.options.range

    def _body(self) -> tuple[BodyLike, int | None, str]:
        """The body, its length, and its type."""
        options = self.options
        if options.form:
            boundary = "-" * 24 + secrets.token_hex(8)
            parts, length = form(options.form, boundary)
            return (lambda: pieces(parts)), length, f"multipart/form-data; boundary={boundary}"
        if self.upload is not None:
            if self.upload in ("-", "."):
                return _standard_input(), None, ""
            path = Path(self.upload)
            try:
                length = path.stat().st_size
                path.open("rb").close()
            except OSError as error:
                raise Ended(26, f"{self.upload} can't be read: {error.strerror}") from None
            return (lambda: blocks(path)), length, ""
        data = options.body
        if data is None or options.get:
            return None, 0, ""
        return data, len(data), "application/json" if options.json else "application/x-www-form-urlencoded"

    # -- what comes -----------------------------------------------------------------------------------------------------------

    def _prepare(self, url: Url) -> None:
        """The name of the file, and where it goes on."""
        options = self.options
        if self.output == "":
            return
        if self.output is None:
            self.name = os.path.basename(url.path)
            if not self.name:
                raise Ended(23, "-O takes the name of the file from the URL, which has none: say -o FILE")
        elif self.output != "-":
            self.name = self.output
        if self.name and options.output_dir:
            self.name = os.path.join(options.output_dir, self.name)
        if options.continue_at == "-":
            with contextlib.suppress(OSError):
                self._offset = os.stat(self.name).st_size
        elif options.continue_at:
            if not options.continue_at.isdigit():
                raise Ended(2, f"-C takes a number of bytes or -, not {options.continue_at!r}")
            self._offset = int(options.continue_at)

    def _heads(self, files: contextlib.ExitStack) -> list[BinaryIO]:
        options = self.options
        heads: list[BinaryIO] = []
        if options.include or options.head:
            heads.append(_Held() if self.name else self.carrier.out)  # type: ignore[arg-type]  # all that is done with it is writing
        if options.dump_header:
            try:
                if options.dump_header == "-":
                    heads.append(self.carrier.out)
                else:
                    heads.append(files.enter_context(Path(options.dump_header).open("wb")))  # noqa: SIM115 (`files` closes it)
            except OSError as error:
                raise Ended(23, f"{options.dump_header} can't be written: {error.strerror}") from None
        return heads

    async def _take(self, response: ClientResponse, files: contextlib.ExitStack) -> None:
        options = self.options
        failed = response.status >= 400 and (options.fail or options.fail_with_body)
        if failed and not options.fail_with_body:
            raise Ended(22, f"The requested URL returned error: {response.status}")
        if self._offset and response.status == 416:
            return  # it is here already
        if self._offset and response.status == 200 and not options.head:
            raise Ended(33, "HTTP server doesn't seem to support byte ranges. Cannot resume.")
        if options.max_filesize and (response.length or 0) > options.max_filesize:
            raise Ended(63, "Maximum file size exceeded")
        out = self._open(files)
        bar = self._bar()
        started = time.monotonic()
        total = response.length
        try:
            for held in self.carrier.teller.heads:
                if isinstance(held, _Held):
                    self._write(out, held.take())
            if options.compressed:
                response.decode()
            async for piece in response:
                self.received += len(piece)
                if options.max_filesize and self.received > options.max_filesize:
                    raise Ended(63, "Maximum file size exceeded")
                self._write(out, piece)
                if bar is not None:
                    bar.show(self.received, None if options.compressed else total)
                if options.limit_rate:
                    ahead = self.received / options.limit_rate - (time.monotonic() - started)
                    if ahead > 0:
                        await asyncio.sleep(ahead)
            self._flush(out)
            if bar is not None:
                bar.show(self.received, total, end=True)
        finally:
            if bar is not None:
                bar.close()
        if failed:
            raise Ended(22, f"The requested URL returned error: {response.status}")

    def _open(self, files: contextlib.ExitStack) -> BinaryIO:
        if not self.name:
            return self.carrier.out
        try:
            if self.options.create_dirs:
                os.makedirs(os.path.dirname(self.name) or ".", exist_ok=True)
            return files.enter_context(open(self.name, "ab" if self._offset else "wb"))
        except OSError as error:
            raise Ended(23, f"Failed to open the file {self.name}: {error.strerror}") from None

    def _write(self, out: BinaryIO, data: bytes) -> None:
        try:
            out.write(data)
            if out is self.carrier.out:
                out.flush()  # who reads a pipe sees it as it comes
        except OSError as error:
            raise Ended(23, f"Failure writing output to destination: {error.strerror}") from None

    def _flush(self, out: BinaryIO) -> None:
        try:
            out.flush()
        except OSError as error:
            raise Ended(23, f"Failure writing output to destination: {error.strerror}") from None

    def _bar(self) -> Bar | None:
        """Where somebody looks, and the output doesn't go there too."""
        options, err = self.options, self.carrier.err
        if options.silent or options.no_progress_meter or options.verbose or not err.isatty():
            return None
        if not self.name and self.carrier.out.isatty():
            return None
        return Bar(err, shutil.get_terminal_size().columns)

    # -- what is told ---------------------------------------------------------------------------------------------------------

    def facts(self, status: int, message: str) -> tuple[dict[str, Any], dict[str, str]]:
        """For -w."""
        teller, response = self.carrier.teller, self.response
        times = teller.times
        head = teller.head
        fields = {} if head is None else {name.decode(): value.decode("latin-1") for name, value in head.fields}
        total = times.since(times.end or time.monotonic())
        url = str(response.url) if response is not None else self.text
        code = head.status if head is not None else 0
        location = fields.get("location", "")
        with contextlib.suppress(UsageError):
            location = str(parse(url).join(location)) if location and 300 <= code < 400 else ""
        facts: dict[str, Any] = {
            "http_code": code,
            "response_code": code,
            "http_version": response.version if response is not None else "0",
            "size_download": self.received,
            "size_upload": teller.uploaded_size,
            "size_header": teller.header_size,
            "size_request": teller.request_size,
            "speed_download": int(self.received / total) if total else 0,
            "speed_upload": int(teller.uploaded_size / total) if total else 0,
            "time_namelookup": 0.0,
            "time_connect": times.since(times.connect),
            "time_appconnect": times.since(times.appconnect),
            "time_pretransfer": times.since(times.pretransfer),
            "time_starttransfer": times.since(times.starttransfer),
            "time_redirect": times.since(times.redirect),
            "time_total": total,
            "num_connects": teller.connects,
            "num_headers": len(head.fields) if head is not None else 0,
            "num_redirects": len(response.history) if response is not None else 0,
            "redirect_url": location,
            "url": self.text,
            "url_effective": url,
            "scheme": url.partition(":")[0].upper(),
            "method": response.method if response is not None else "",
            "content_type": fields.get("content-type", ""),
            "remote_ip": teller.remote[0],
            "remote_port": teller.remote[1],
            "local_ip": teller.local[0],
            "local_port": teller.local[1],
            "filename_effective": self.name,
            "ssl_verify_result": 0 if status != 60 else 1,
            "exitcode": status,
            "errormsg": message,
            "referer": self.options.referer,
        }
        return facts, fields


class _Held:
    """Heads for a file that is opened when its transfer has succeeded so far."""

    def __init__(self) -> None:
        self._data = b""

    def write(self, data: bytes) -> None:
        self._data += data

    def take(self) -> bytes:
        data, self._data = self._data, b""
        return data


def _standard_input() -> Iterator[bytes]:
    while block := os.read(0, 65536):
        yield block
