"""What a transfer asks for, as the options of its group have it: the URL, the method, the fields and the body, and what follows a
redirection."""

from __future__ import annotations

import contextlib
import netrc
import os
import re
import secrets
from collections.abc import Iterator
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote

from attrs import evolve

from ... import __version__
from ...errors import UsageError
from ...http.client.redirects import OF_BODY, Follow, follow
from ...http.client.request import BodyLike, Outgoing
from ...http.client.url import Url, parse
from .form import blocks, form, pieces
from .options import Options
from .outcome import Ended

EXPECT = 1 << 20  # bodies from here on are not sent before the server has said that it wants them, as curl's


def url_of(options: Options, text: str, upload: str | None) -> Url:
    """Raises Ended."""
    scheme, mark, _ = text.partition("://")
    if not mark:
        text = f"{options.proto_default}://{text}"
    elif scheme.lower() not in ("http", "https"):
        raise Ended(1, f"Protocol {scheme!r} is not spoken here: http and https are")
    try:
        url = parse(text)
    except UsageError as error:
        raise Ended(3, f"URL using bad/illegal format or missing URL: {error}") from None
    _allow(options.proto, url)
    path, mark, query = url.target.partition("?")
    if not options.path_as_is:
        path = without_dots(path)
    if upload not in (None, "-", ".") and path.endswith("/"):
        assert upload is not None
        path += quote(os.path.basename(upload))
    more = list(options.url_query)
    if options.get and options.body is not None:
        more.append(options.body.decode("ascii", "replace"))
    asked = "&".join(([query] if query else []) + more)
    if any(char <= " " for char in asked):
        raise Ended(3, "URL using bad/illegal format or missing URL: blanks are to be escaped")
    return evolve(url, target=options.request_target or (f"{path}?{asked}" if asked or mark else path))


def _allow(schemes: frozenset[str], url: Url) -> None:
    if url.scheme not in schemes:
        raise Ended(1, f'Protocol "{url.scheme}" not supported or disabled: --proto and --proto-redir say what may be spoken')


def without_dots(path: str) -> str:
    """RFC 3986 5.2.4."""
    kept: list[str] = []
    parts = path.split("/")[1:]
    for part in parts:
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
    if parts and parts[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def method_of(options: Options, body: BodyLike, upload: str | None) -> str:
    """Without -X."""
    return "HEAD" if options.head else "PUT" if upload else "GET" if body is None else "POST"


def following_of(options: Options, method: str) -> Follow:
    """A word given by -X is asked everywhere; whether there is a body is decided as if it had not been given."""
    meant = method
    said = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in said_by(options)[0] if value]

    def following(request: Outgoing, status: int, location: str) -> Outgoing | None:
        nonlocal meant
        found = follow(
            evolve(request, method=meant), status, location, posts=options.post, trusted=options.location_trusted
        )
        if found is None:
            return None
        _allow(options.proto_redir, found.url)
        meant = found.method
        # what -H says, it says of each request
        found = evolve(found, fields=(*found.fields, *(pair for pair in said if pair[0] in OF_BODY and not found.has(pair[0]))))
        if options.referer.endswith(";auto"):
            found = found.without(b"referer").adding(b"referer", str(request.url))
        if not options.path_as_is:
            path, mark, query = found.url.target.partition("?")
            found = evolve(found, url=evolve(found.url, target=without_dots(path) + mark + query))
        return evolve(found, method=options.request) if options.request else found

    return following


def user_of(options: Options, url: Url) -> tuple[str, str] | None:
    """-u, or what a .netrc says. Raises Ended."""
    if options.user:
        user, colon, password = options.user.partition(":")
        if not colon:
            from getpass import getpass

            password = getpass(f"Enter host password for user '{user}':")
        return user, password
    if options.netrc is not None:
        try:
            found = netrc.netrc(os.path.expanduser(options.netrc)).authenticators(url.host)
        except OSError:
            return None  # as curl has it
        except netrc.NetrcParseError as error:
            raise Ended(26, f"{options.netrc} can't be read: {error}") from None
        if found is not None:
            return found[0], found[2] or ""
    return None


def fields_of(options: Options, kind: str, cookies: str, bytes_: str) -> list[tuple[str, str]]:
    """Those of -H go before ours: `Name:` takes one away, `Name;` sends an empty one."""
    agent = f"netstack-curl/{__version__}" if options.user_agent is None else options.user_agent
    ours = [("user-agent", agent), ("accept", "application/json" if options.json else "*/*")]
    if options.oauth2_bearer:
        ours.append(("authorization", f"Bearer {options.oauth2_bearer}"))
    if options.compressed:
        ours.append(("accept-encoding", "deflate, gzip"))
    if options.referer.removesuffix(";auto"):
        ours.append(("referer", options.referer.removesuffix(";auto")))
    if cookies:
        ours.append(("cookie", cookies))
    if kind:
        ours.append(("content-type", kind))
    if bytes_:
        ours.append(("range", f"bytes={bytes_}"))
    if options.time_cond:
        since = moment(options.time_cond)
        if since is not None:
            name = "if-unmodified-since" if options.time_cond[0] == "-" else "if-modified-since"
            ours.append((name, formatdate(since, usegmt=True)))
    if options.etag_compare:
        with contextlib.suppress(OSError):  # there is none yet
            ours.append(("if-none-match", Path(options.etag_compare).read_text().strip()))
    said, gone = said_by(options)
    given = {name.lower() for name, _ in said} | gone
    kept = [(name, value) for name, value in ours if name not in given and value]
    # an empty value keeps the client from adding its own
    kept += [(name, "") for name in ("accept", "user-agent") if name not in {each for each, _ in (*kept, *said)}]
    return [*kept, *((name.lower(), value) for name, value in said)]


def said_by(options: Options) -> tuple[list[tuple[str, str]], set[str]]:
    """What -H says, and what it takes away."""
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
    return said, gone


def moment(said: str) -> float | None:
    """The instant of a -z, in seconds since 1970: a date, or a file's; None for what is neither."""
    text = said.removeprefix("-").removeprefix("+").removeprefix("=")
    if re.fullmatch(r"\d{8}", text):
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    with contextlib.suppress(ValueError, TypeError, IndexError):
        return parsedate_to_datetime(text if "," in text or ":" in text else f"{text} 00:00:00 GMT").timestamp()
    with contextlib.suppress(ValueError):
        from datetime import UTC, datetime

        found = datetime.fromisoformat(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    with contextlib.suppress(OSError):
        return os.stat(text).st_mtime
    return None


def body_of(options: Options, upload: str | None) -> tuple[BodyLike, int | None, str]:
    """The body, its length, and its type. Raises Ended, Wrong."""
    if options.form:
        boundary = "-" * 24 + secrets.token_hex(8)
        parts, length = form(options.form, boundary)
        return (lambda: pieces(parts)), length, f"multipart/form-data; boundary={boundary}"
    if upload is not None:
        if upload in ("-", "."):
            return _standard_input(), None, ""
        path = Path(upload)
        try:
            length = path.stat().st_size
            path.open("rb").close()
        except OSError as error:
            raise Ended(26, f"{upload} can't be read: {error.strerror}") from None
        return (lambda: blocks(path)), length, ""
    data = options.body
    if data is None or options.get:
        return None, 0, ""
    return data, len(data), "application/json" if options.json else "application/x-www-form-urlencoded"


def expects(options: Options, body: BodyLike, length: int | None) -> bool:
    large = length is None or length > EXPECT
    return large and body is not None and not any(line.lower().startswith("expect") for line in options.headers)


def _standard_input() -> Iterator[bytes]:
    while block := os.read(0, 65536):
        yield block
