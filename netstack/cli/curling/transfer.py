"""One URL of a line of curl's, once: what comes of asking, and where it goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ...errors import ClosedError, UsageError
from ...http.client.client import HttpClient
from ...http.client.errors import FetchError
from ...http.client.redirects import REDIRECTS
from ...http.client.response import ClientResponse
from ...http.client.url import Url
from .asking import body_of, expects, fields_of, following_of, method_of, moment, url_of, user_of
from .options import Options, Wrong
from .outcome import Ended, blame
from .show import Bar, Teller

if TYPE_CHECKING:
    from .carrier import Carrier


class Transfer:
    """One URL, once."""

    def __init__(
        self, carrier: Carrier, options: Options, text: str, output: str | None, upload: str | None, number: int
    ) -> None:
        self.carrier = carrier
        self.options = options
        self.text = text
        self.output = output  # "": standard output; None: as the URL calls it
        self.upload = upload
        self.number = number  # of those of a line
        self.teller: Teller = carrier.teller()
        self.response: ClientResponse | None = None
        self.code = 0
        self.received = 0
        self.retry_after = 0.0
        self.name = ""  # of the file
        self._offset = 0
        self._made = False  # the file is ours

    async def run(self, client: HttpClient[Any]) -> None:
        """Raises Ended."""
        options = self.options
        times = self.teller.times
        try:
            url = url_of(options, self.text, self.upload)
            work = self._fetch(client, url)
            if options.max_time:
                async with asyncio.timeout(options.max_time):
                    await work
            else:
                await work
        except TimeoutError as error:
            if isinstance(error, FetchError):
                raise blame(error, options.connect_timeout) from error
            took = round((time.monotonic() - times.start) * 1000)
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
            times.end = time.monotonic()

    def spoil(self) -> None:
        """It failed: --remove-on-error."""
        if self._made and self.options.remove_on_error:
            with contextlib.suppress(OSError):
                os.unlink(self.name)

    async def _fetch(self, client: HttpClient[Any], url: Url) -> None:
        options = self.options
        body, length, kind = body_of(options, self.upload)
        method = method_of(options, body, self.upload)
        with contextlib.ExitStack() as files:
            self._prepare(url)
            self.teller.heads = self._heads(files)
            asked = f"{self._offset}-" if self._offset else options.range
            response = await client.request(
                options.request or method,
                url,
                headers=fields_of(options, kind, self.carrier.cookies(options), asked),
                body=body,
                length=length,
                auth=user_of(options, url),
                redirects=options.max_redirs if options.location else 0,
                expect=expects(options, body, length),
                following=following_of(options, method),
            )
            self.response = response
            self.code = response.status
            with contextlib.suppress(ValueError):
                self.retry_after = float(response.headers.get("retry-after", "0") or 0)
            async with response:
                await self._take(response, files)
        self._date(response)
        if options.etag_save:
            Path(options.etag_save).write_text(f"{tag}\n" if (tag := response.headers.get("etag", "")) else "")

    # -- what comes -----------------------------------------------------------------------------------------------------------

    def _prepare(self, url: Url) -> None:
        """The name of the file, and where it goes on."""
        options = self.options
        if self.output is None:
            self.name = os.path.basename(url.path)
            if not self.name:
                raise Ended(23, "-O takes the name of the file from the URL, which has none: say -o FILE")
        elif self.output != "-":
            self.name = self.output  # "" for standard output
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
        if options.location and not options.max_redirs and response.status in REDIRECTS and "location" in response.headers:
            raise Ended(47, "Maximum (0) redirects followed")
        if failed and not options.fail_with_body:
            raise Ended(22, f"The requested URL returned error: {response.status}")
        if self._offset and response.status == 416:
            return  # it is here already
        if self._offset and response.status == 200 and not options.head:
            raise Ended(33, "HTTP server doesn't seem to support byte ranges. Cannot resume.")
        if options.max_filesize and (response.length or 0) > options.max_filesize:
            raise Ended(63, "Maximum file size exceeded")
        if self._known(response):
            self.code = 304
            return
        if self.output is None and options.remote_header_name:
            self._rename(response)
        out = self._open(files)
        bar = self._bar()
        pace = _Pace(options)
        total = response.length
        try:
            for held in self.teller.heads:
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
                await pace.keep(self.received)
            self._flush(out)
            if bar is not None:
                bar.show(self.received, total, end=True)
        finally:
            if bar is not None:
                bar.close()
        if failed:
            raise Ended(22, f"The requested URL returned error: {response.status}")

    def _known(self, response: ClientResponse) -> bool:
        """The server doesn't know what -z means, and has sent what we have."""
        said = self.options.time_cond
        since, modified = moment(said) if said else None, _modified(response)
        if since is None or modified is None or response.status != 200 or self.options.range:
            return False
        return modified > since if said.startswith("-") else modified <= since

    def _rename(self, response: ClientResponse) -> None:
        """-J: the server's name for it, of which the last part alone is taken, and never the name of what is here already."""
        found = _FILENAME.search(response.headers.get("content-disposition", "") or "")
        if found is None:
            return
        name = os.path.basename((found[1] or found[2]).replace("\\", "/"))
        if name in ("", ".", ".."):
            return
        self.name = os.path.join(self.options.output_dir, name)
        if os.path.exists(self.name):
            raise Ended(23, f"Failed to open the file {self.name}: File exists")

    def _date(self, response: ClientResponse) -> None:
        """-R"""
        modified = _modified(response)
        if self.options.remote_time and self._made and modified is not None:
            os.utime(self.name, (modified, modified))

    def _open(self, files: contextlib.ExitStack) -> BinaryIO:
        if not self.name:
            return self.carrier.out
        try:
            if self.options.create_dirs:
                os.makedirs(os.path.dirname(self.name) or ".", exist_ok=True)
            if not self.options.clobber:
                self.name = _unused(self.name)
            file: BinaryIO = files.enter_context(open(self.name, "ab" if self._offset else "wb"))  # noqa: SIM115 (`files` closes it)
        except OSError as error:
            raise Ended(23, f"Failed to open the file {self.name}: {error.strerror}") from None
        self._made = True
        return file

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
        options, err = self.carrier.options, self.carrier.err
        if options.silent or options.no_progress_meter or options.verbose or options.parallel or not err.isatty():
            return None
        if not self.name and self.carrier.out.isatty():
            return None
        return Bar(err, shutil.get_terminal_size().columns)


_FILENAME = re.compile(r'filename\s*=\s*(?:"([^"]*)"|([^\s;]+))', re.IGNORECASE)


def _modified(response: ClientResponse) -> float | None:
    with contextlib.suppress(ValueError, TypeError):
        return parsedate_to_datetime(response.headers.get("last-modified", "") or "").timestamp()
    return None


def _unused(name: str) -> str:
    """name, name.1, name.2 …"""
    for number in range(1, 101):
        if not os.path.exists(name):
            return name
        name = f"{name.removesuffix(f'.{number - 1}') if number > 1 else name}.{number}"
    return name


class _Pace:
    """--limit-rate, and -Y with -y. That nothing comes at all, the client's read_timeout sees."""

    def __init__(self, options: Options) -> None:
        self._limit = options.limit_rate
        self._least = options.speed_limit or (1 if options.speed_time else 0)
        self._patience = options.speed_time or 30
        self._started = self._since = time.monotonic()
        self._had = 0

    async def keep(self, received: int) -> None:
        """So much has come. Raises Ended."""
        now = time.monotonic()
        if self._limit:
            ahead = received / self._limit - (now - self._started)
            if ahead > 0:
                await asyncio.sleep(ahead)
        if self._least and now - self._since >= self._patience:
            if (received - self._had) / (now - self._since) < self._least:
                slow = f"Operation too slow. Less than {self._least} bytes/sec transferred the last {self._patience} seconds"
                raise Ended(28, slow)
            self._since, self._had = now, received


class _Held:
    """Heads for a file that is opened when its transfer has succeeded so far."""

    def __init__(self) -> None:
        self._data = b""

    def write(self, data: bytes) -> None:
        self._data += data

    def take(self) -> bytes:
        data, self._data = self._data, b""
        return data
