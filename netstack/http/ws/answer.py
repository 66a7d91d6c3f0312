"""The head of a server's answer to an opening handshake (RFC 9112 4): read strictly, since it is only compared."""

from __future__ import annotations

import re

from attrs import frozen

from ...errors import WireError
from ..events import RawFields

HEAD = 16384  # bytes: no server has more to say here, and one that goes on is not a WebSocket's
_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*+)?+")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[ \t]*+([\t\x20-\x7e\x80-\xff]*+)")
_INTERIM = (100, 102, 103)


@frozen
class AnswerHead:
    status: int
    fields: RawFields
    end: int  # where what follows begins
    length: int | None  # of a body, where it is given


def read_head(buffer: bytes, start: int = 0) -> AnswerHead | None:
    """The first head in `buffer` that is not an interim one; None while there is more to come. Raises WireError."""
    while True:
        end = buffer.find(b"\r\n\r\n", start, HEAD + 4)
        if end < 0:
            if len(buffer) > HEAD:
                raise WireError("the server's answer has no end of its head")
            if len(buffer) >= 5 and not buffer.startswith(b"HTTP/"):
                raise WireError("the server does not answer in HTTP/1.1")
            return None
        lines = buffer[start:end].split(b"\r\n")
        status = _STATUS.fullmatch(lines[0])
        if status is None:
            raise WireError("the server does not answer in HTTP/1.1")
        fields = []
        for line in lines[1:]:
            field = _FIELD.fullmatch(line)
            if field is None:
                raise WireError("the server's answer has a field that is none")
            fields.append((field[1].lower(), field[2].rstrip(b" \t")))
        start = end + 4
        if int(status[1]) not in _INTERIM:
            break
    lengths = [value for name, value in fields if name == b"content-length"]
    length = int(lengths[0]) if len(lengths) == 1 and lengths[0].isdigit() and len(lengths[0]) < 19 else None
    return AnswerHead(int(status[1]), tuple(fields), start, length)
