"""Request targets (RFC 9112 3.2) and authorities: which are lawful, and what they name."""

import re
from urllib.parse import unquote_to_bytes

from .refused import Refused

# uri-host [ ":" port ] (RFC 9110 7.2, RFC 3986 3.2.2). Empty is lawful: a target that has no authority
_AUTHORITY = re.compile(rb"(?:\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9\-._~!$&'()*+,;=%]*+)(?::[0-9]{0,5}+)?")
_ABSOLUTE = re.compile(rb"https?://([^/?]*+)", re.IGNORECASE)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def check_authority(value: bytes) -> None:
    """Raises `Refused` unless `value` can be a Host field's value."""
    if _AUTHORITY.fullmatch(value) is None:
        raise Refused(400, "Host is not a host and a port.")


def check_target(method: bytes, target: bytes) -> None:
    """Raises `Refused` unless `target`, visible ASCII, has one of the forms that `method` allows.

    Characters that RFC 3986 wants escaped and browsers don't escape (`|`, `{`, `"` …) pass. A fragment does not: it never goes on
    the wire, and who finds one cuts it off or doesn't.
    """
    if method == b"CONNECT":
        # RFC 9110 9.3.6: a server that is no proxy has no use for it, and a 2xx would change the meaning of all that follows
        raise Refused(501, "CONNECT is for proxies.")
    if b"#" in target:
        raise Refused(400, "The target has a fragment.")
    if b"%" in target and _BAD_ESCAPE.search(target) is not None:
        raise Refused(400, "The target has a % without two hexadecimal digits.")
    if target[:1] == b"/":
        return
    if target == b"*":
        if method != b"OPTIONS":
            raise Refused(400, "The target * is for OPTIONS.")
        return
    absolute = _ABSOLUTE.match(target)  # RFC 9112 3.2.2: must be accepted by every server
    if absolute is None:
        raise Refused(400, "The target is neither a path nor a URL.")
    if not absolute[1]:
        raise Refused(400, "The URL names no host.")  # RFC 9110 4.2.1
    check_authority(absolute[1])


def split_target(target: str) -> tuple[str | None, str, str]:
    """Authority (of a URL alone), path as it was escaped, and query, of a target that `check_target` let pass."""
    authority = None
    if not target.startswith(("/", "*")):
        authority, slash, rest = target.partition("://")[2].partition("/")
        target = slash + rest
        if not slash:
            authority, mark, query = authority.partition("?")
            target = f"/{mark}{query}"
        elif "?" in authority:
            authority, _, query = authority.partition("?")
            target = f"/?{query}{slash}{rest}"
    path, _, query = target.partition("?")
    return authority, path, query


def unescape(path: str) -> str:
    """Percent escapes undone. Bytes that are not UTF-8 become U+FFFD: good to compare and to show, not to open files with."""
    if "%" not in path:
        return path
    return unquote_to_bytes(path).decode("utf-8", "replace")
