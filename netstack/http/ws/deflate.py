"""permessage-deflate (RFC 7692): what is offered, what is taken, and what an answer may say.

Parameters are read by the grammar of RFC 6455 9.1. An offer that breaks a rule is declined and the next one looked at; an answer
that breaks one ends the handshake.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from attrs import frozen

from ...errors import WireError

NAME = "permessage-deflate"
Params: TypeAlias = tuple[tuple[str, str | None], ...]
Offers: TypeAlias = tuple[tuple[str, Params], ...]

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_PARAM = re.compile(rf"[ \t]*+;[ \t]*+({_TOKEN})(?:[ \t]*+=[ \t]*+(?:({_TOKEN})|\"((?:[^\"\\]|\\.)*+)\"))?+")
_NAME = re.compile(rf"[ \t]*+({_TOKEN})")
_END = re.compile(r"[ \t]*+(?:,[ \t,]*+|$)")
_BITS = re.compile(r"[89]|1[0-5]")
_MOST = 32  # extensions and parameters together, in one field: browsers send two; each costs an object


@frozen
class Deflate:
    """What both sides agreed on."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 15
    client_max_window_bits: int = 15


def parse_extensions(value: str) -> Offers:
    """A Sec-WebSocket-Extensions field (RFC 6455 9.1). Raises WireError."""
    found = []
    count, at = 0, 0
    while at < len(value):
        name = _NAME.match(value, at)
        if name is None:
            raise WireError("Sec-WebSocket-Extensions is not a list of extensions.")
        at = name.end()
        params: list[tuple[str, str | None]] = []
        while (param := _PARAM.match(value, at)) is not None:
            quoted = param[3]
            params.append((param[1], param[2] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)))
            at = param.end()
        count += 1 + len(params)
        end = _END.match(value, at)
        if end is None or count > _MOST:
            raise WireError("Sec-WebSocket-Extensions is not a list of extensions.")
        at = end.end()
        found.append((name[1], tuple(params)))
    return tuple(found)


def accept(offers: Offers, window_bits: int) -> tuple[Deflate, str] | None:
    """The first offer that a server can take, and what it answers; our side's window has `window_bits` at most."""
    for name, params in offers:
        if name != NAME:
            continue
        read = _read(params, offer=True)
        if read is None:
            continue
        server_bits = window_bits
        if "server_max_window_bits" in read:
            server_bits = min(window_bits, int(read["server_max_window_bits"] or 15))
            if server_bits < 9:
                continue  # zlib has no raw window of 8 bits to send with: declining is allowed (RFC 7692 7.1.2.1)
        answer = [NAME]
        for flag in ("server_no_context_takeover", "client_no_context_takeover"):
            if flag in read:
                answer.append(flag)
        if server_bits < 15:
            answer.append(f"server_max_window_bits={server_bits}")
        client_bits = 15
        if "client_max_window_bits" in read:  # only who says that word understands it (RFC 7692 7.1.2.2)
            client_bits = min(window_bits, int(read["client_max_window_bits"] or 15))
            answer.append(f"client_max_window_bits={client_bits}")
        agreed = Deflate("server_no_context_takeover" in read, "client_no_context_takeover" in read, server_bits, client_bits)
        return agreed, "; ".join(answer)
    return None


def offer(window_bits: int) -> str:
    """What a client asks for."""
    if window_bits == 15:
        return f"{NAME}; client_max_window_bits"
    return f"{NAME}; server_max_window_bits={window_bits}; client_max_window_bits={window_bits}"


def read_answer(answers: Offers, window_bits: int) -> Deflate | None:
    """What the server took of `offer(window_bits)`. Raises WireError for anything else (RFC 6455 9.1, RFC 7692 7.1)."""
    if not answers:
        return None
    name, params = answers[0]
    read = _read(params, offer=False) if len(answers) == 1 and name == NAME else None
    if read is None:
        raise WireError("the server chose extensions that were not offered")
    server_bits = int(read.get("server_max_window_bits") or 15)
    client_bits = min(window_bits, int(read.get("client_max_window_bits") or 15))
    if server_bits > window_bits or client_bits < 9:
        raise WireError("the server chose a window that was not offered")
    return Deflate("server_no_context_takeover" in read, "client_no_context_takeover" in read, server_bits, client_bits)


def _read(params: Params, offer: bool) -> dict[str, str | None] | None:
    """None where a parameter is unknown, comes twice, or has a value that it can't have (RFC 7692 7)."""
    read: dict[str, str | None] = {}
    for name, value in params:
        if name in read:
            return None
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                return None
        elif name in ("server_max_window_bits", "client_max_window_bits"):
            if value is None:
                if not offer or name[0] == "s":
                    return None
            elif _BITS.fullmatch(value) is None:
                return None
        else:
            return None
        read[name] = value
    return read
