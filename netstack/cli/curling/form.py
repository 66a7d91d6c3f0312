"""multipart/form-data (RFC 7578), as -F says it: name=content, name=@file, name=<file, with ;type= and ;filename=. Files are
read as they are sent."""

from __future__ import annotations

import mimetypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from .options import Wrong

BLOCK = 262144
Part: TypeAlias = "bytes | Path"


def form(said: list[tuple[str, bool]], boundary: str) -> tuple[list[Part], int]:
    """The body in parts, and its length. Raises Wrong."""
    parts: list[Part] = []
    for text, plain in said:
        name, equals, content = text.partition("=")
        if not equals or not name:
            raise Wrong(f"-F takes NAME=CONTENT, not {text!r}")
        parts.append(f"--{boundary}\r\n".encode())
        head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
        body: Part
        if plain or content[:1] not in ("@", "<"):
            content, kind, _ = (content, "", "") if plain else _attributes(content)
            body = os.fsencode(content)
        else:
            mark = content[0]
            file, kind, called = _attributes(content[1:])
            body = _bytes_of_stdin() if file == "-" else Path(file)
            if isinstance(body, Path) and not body.is_file():
                raise Wrong(f"{file} can't be read: there is no such file", 26)
            if mark == "@":
                head += f'; filename="{_quoted(called or os.path.basename(file))}"'
                kind = kind or mimetypes.guess_type(file)[0] or "application/octet-stream"
        if kind:
            head += f"\r\nContent-Type: {kind}"
        parts += (f"{head}\r\n\r\n".encode(), body, b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return parts, sum(part.stat().st_size if isinstance(part, Path) else len(part) for part in parts)


def pieces(parts: list[Part]) -> Iterator[bytes]:
    for part in parts:
        if isinstance(part, Path):
            yield from blocks(part)
        else:
            yield part


def blocks(path: Path, start: int = 0) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(BLOCK):
            yield block


def _attributes(text: str) -> tuple[str, str, str]:
    """Content, type and filename."""
    content, *rest = text.split(";")
    kind = called = ""
    for word in rest:
        name, _, value = word.strip().partition("=")
        if name == "type":
            kind = value
        elif name == "filename":
            called = value.strip('"')
        elif kind and "=" in word:
            kind += f";{word}"  # type=text/plain;charset=utf-8
        else:
            content += f";{word}"
    return content, kind, called


def _quoted(name: str) -> str:
    """RFC 7578 4.2, as browsers do it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _bytes_of_stdin() -> bytes:
    return sys.stdin.buffer.read()
