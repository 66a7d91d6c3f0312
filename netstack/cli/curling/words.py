"""curl's words: which there are, what they take, and what a line of them asks for. Raises `Wrong`, with curl's exit status.

A line is one or more groups with `--next` between them; each has options of its own but for those that are `GLOBAL`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from attrs import asdict

from .configfile import words_of
from .options import GLOBAL, Options, Wrong

_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


Setter = Callable[[Options, str], None]


def _text(name: str) -> Setter:
    return lambda options, value: setattr(options, name, value)


def _number(name: str, kind: Callable[[str], Any], what: str) -> Setter:
    def put(options: Options, value: str) -> None:
        try:
            number = kind(value)
        except ValueError:
            number = -1
        if not 0 <= number < 1 << 62:
            raise Wrong(f"--{name.replace('_', '-')} takes {what}, not {value!r}")
        setattr(options, name, number)

    return put


def _append(name: str) -> Setter:
    return lambda options, value: getattr(options, name).append(value)


def size(text: str) -> int:
    """`10k`, `1.5M`. Raises ValueError."""
    number = text.lower().rstrip("b")
    unit = number[-1:] if number[-1:].isalpha() else ""
    if unit not in _SIZES:
        raise ValueError(text)
    return int(float(number.removesuffix(unit)) * _SIZES[unit])


def _file(name: str) -> bytes:
    try:
        return _stdin() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise Wrong(f"{name} can't be read: {error.strerror}", 26) from None


def _stdin() -> bytes:
    with open(0, "rb", closefd=False) as file:
        return file.read()


def _data(options: Options, value: str) -> None:
    if value.startswith("@"):
        options.data.append(_file(value[1:]).replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b""))
    else:
        options.data.append(os.fsencode(value))


def _data_binary(options: Options, value: str) -> None:
    options.data.append(_file(value[1:]) if value.startswith("@") else os.fsencode(value))


def _data_raw(options: Options, value: str) -> None:
    options.data.append(os.fsencode(value))


def _data_urlencode(options: Options, value: str) -> None:
    options.data.append(_encoded(value).encode())


def _encoded(value: str) -> str:
    """content, =content, name=content, @file, name@file"""
    at, equals = value.find("@"), value.find("=")
    if equals >= 0 and (at < 0 or equals < at):
        name, content = value[:equals], os.fsencode(value[equals + 1 :])
    elif at >= 0:
        name, content = value[:at], _file(value[at + 1 :])
    else:
        name, content = "", os.fsencode(value)
    encoded = quote_plus(content, safe="-._~")  # curl's blank is a +
    return f"{name}={encoded}" if name else encoded


def _json(options: Options, value: str) -> None:
    options.json = True
    _data_binary(options, value)


def _header(options: Options, value: str) -> None:
    if value.startswith("@"):
        options.headers += [line for line in _file(value[1:]).decode("latin-1").splitlines() if line]
    else:
        options.headers.append(value)


def _flag(name: str, value: Any = True) -> Setter:
    return lambda options, _: setattr(options, name, value)


def _nothing(options: Options, value: str) -> None:
    """Asked for what is so anyway."""


def _post(status: int) -> Setter:
    def put(options: Options, value: str) -> None:
        options.post |= {status}

    return put


def _location_trusted(options: Options, value: str) -> None:
    options.location = options.location_trusted = True


def _url_query(options: Options, value: str) -> None:
    """As --data-urlencode, for the URL; with a + before it, as it is."""
    if value.startswith("+"):
        options.url_query.append(value[1:])
    else:
        options.url_query.append(_encoded(value))


def _proto(name: str) -> Setter:
    """=https, -all,https, -http: what may be spoken."""

    def put(options: Options, value: str) -> None:
        allowed: frozenset[str] = getattr(options, name)
        for word in value.lower().split(","):
            scheme = word.lstrip("=+-")
            meant = frozenset(("http", "https") if scheme == "all" else (scheme,) if scheme in ("http", "https") else ())
            allowed = meant if word[:1] == "=" else allowed - meant if word[:1] == "-" else allowed | meant
        setattr(options, name, allowed)

    return put


def _proto_default(options: Options, value: str) -> None:
    if value not in ("http", "https"):
        raise Wrong(f"--proto-default takes http or https, not {value!r}", 1)
    options.proto_default = value


def _tls_max(options: Options, value: str) -> None:
    if value not in ("1.0", "1.1", "1.2", "1.3", "default"):
        raise Wrong(f"--tls-max takes 1.2 or 1.3, not {value!r}")
    options.tls_max = "" if value == "default" else value


SECONDS = "a time in seconds"
TAKES: dict[str, Setter] = {
    "output": _append("outputs"),
    "output-dir": _text("output_dir"),
    "request": _text("request"),
    "data": _data,
    "data-ascii": _data,
    "data-binary": _data_binary,
    "data-raw": _data_raw,
    "data-urlencode": _data_urlencode,
    "json": _json,
    "form": lambda options, value: options.form.append((value, False)),
    "form-string": lambda options, value: options.form.append((value, True)),
    "upload-file": _append("upload_files"),
    "header": _header,
    "user": _text("user"),
    "user-agent": _text("user_agent"),
    "referer": _text("referer"),
    "cacert": _text("cacert"),
    "cert": _text("cert"),
    "key": _text("key"),
    "max-redirs": _number("max_redirs", lambda text: 1 << 30 if text == "-1" else int(text), "a number"),
    "proxy": _text("proxy"),
    "proxy-user": _text("proxy_user"),
    "noproxy": _text("noproxy"),
    "connect-timeout": _number("connect_timeout", float, SECONDS),
    "max-time": _number("max_time", float, SECONDS),
    "expect100-timeout": _number("expect100_timeout", float, SECONDS),
    "retry": _number("retry", int, "a number"),
    "retry-delay": _number("retry_delay", float, SECONDS),
    "retry-max-time": _number("retry_max_time", float, SECONDS),
    "range": _text("range"),
    "continue-at": _text("continue_at"),
    "resolve": _append("resolve"),
    "limit-rate": _number("limit_rate", size, "bytes a second, like 100k"),
    "max-filesize": _number("max_filesize", size, "bytes, like 10M"),
    "write-out": _text("write_out"),
    "cookie": _append("cookies"),
    "cookie-jar": _text("cookie_jar"),
    "dump-header": _text("dump_header"),
    "url": _append("urls"),
    "url-query": _url_query,
    "connect-to": _append("connect_to"),
    "unix-socket": _text("unix_socket"),
    "time-cond": _text("time_cond"),
    "etag-save": _text("etag_save"),
    "etag-compare": _text("etag_compare"),
    "proto-default": _proto_default,
    "proto": _proto("proto"),
    "proto-redir": _proto("proto_redir"),
    "keepalive-time": _nothing,
    "happy-eyeballs-timeout-ms": _nothing,
    "oauth2-bearer": _text("oauth2_bearer"),
    "netrc-file": _text("netrc"),
    "request-target": _text("request_target"),
    "tls-max": _tls_max,
    "parallel-max": _number("parallel_max", int, "a number"),
    "speed-limit": _number("speed_limit", int, "bytes a second"),
    "speed-time": _number("speed_time", int, "a number of seconds"),
    "stderr": _text("stderr"),
    "config": _text("config"),
    "net": _text("net"),
    "netif": _text("net"),
    "address": _append("address"),
    "gateway": _text("gateway"),
    "dns": _append("dns"),
    "hosts": _text("hosts"),
    "pcap": _text("pcap"),
    "fault": _text("fault"),
}
FLAGS: dict[str, Setter] = {
    "verbose": _flag("verbose"),
    "silent": _flag("silent"),
    "show-error": _flag("show_error"),
    "no-progress-meter": _flag("no_progress_meter"),
    "progress-bar": _nothing,  # there is only the bar
    "remote-name": lambda options, _: options.outputs.append(None),
    "create-dirs": _flag("create_dirs"),
    "fail": _flag("fail"),
    "fail-with-body": _flag("fail_with_body"),
    "fail-early": _flag("fail_early"),
    "head": _flag("head"),
    "include": _flag("include"),
    "get": _flag("get"),
    "insecure": _flag("insecure"),
    "location": _flag("location"),
    "proxytunnel": _flag("proxytunnel"),
    "compressed": _flag("compressed"),
    "http1.1": _flag("protocols", "1.1"),
    "http2": _flag("protocols", "2"),
    "http2-prior-knowledge": _flag("protocols", "2 prior knowledge"),
    "retry-connrefused": _flag("retry_connrefused"),
    "retry-all-errors": _flag("retry_all_errors"),
    "remote-name-all": _flag("remote_name_all"),
    "remote-header-name": _flag("remote_header_name"),
    "remote-time": _flag("remote_time"),
    "remove-on-error": _flag("remove_on_error"),
    "location-trusted": _location_trusted,
    "post301": _post(301),
    "post302": _post(302),
    "post303": _post(303),
    "netrc": _flag("netrc", "~/.netrc"),
    "path-as-is": _flag("path_as_is"),
    "parallel": _flag("parallel"),
    "parallel-immediate": _nothing,
    "tlsv1": _nothing,
    "clobber": _nothing,
    "no-clobber": _flag("clobber", False),
    "keepalive": _nothing,
    "styled-output": _nothing,
    "http0.9": _nothing,
    "tlsv1.2": _flag("tls_least", "1.2"),
    "tlsv1.3": _flag("tls_least", "1.3"),
    "no-buffer": _nothing,
    "globoff": _flag("globoff"),
    "ipv4": _nothing,
    "basic": _nothing,
    "tcp-nodelay": _nothing,
    "disable": _nothing,
    "next": _nothing,  # `_option` knows it
    "help": _flag("help"),
    "version": _flag("version"),
}
SHORT = {
    "o": "output", "X": "request", "d": "data", "F": "form", "T": "upload-file", "H": "header", "u": "user", "A": "user-agent",
    "e": "referer", "E": "cert", "x": "proxy", "U": "proxy-user", "m": "max-time", "r": "range", "C": "continue-at",
    "w": "write-out", "b": "cookie", "c": "cookie-jar", "D": "dump-header", "v": "verbose", "s": "silent", "S": "show-error",
    "#": "progress-bar", "O": "remote-name", "f": "fail", "I": "head", "i": "include", "G": "get", "k": "insecure",
    "J": "remote-header-name", "R": "remote-time", "Z": "parallel", "z": "time-cond", "K": "config", "n": "netrc",
    "Y": "speed-limit", "y": "speed-time", "1": "tlsv1", ":": "next", "L": "location", "p": "proxytunnel", "N": "no-buffer",
    "g": "globoff", "4": "ipv4", "q": "disable", "h": "help", "V": "version",
}  # fmt: skip


def read(words: list[str]) -> list[Options]:
    """The groups of a line. Raises Wrong."""
    groups = [Options()]
    _read(words, groups, 0)
    for options in groups:
        check(options)
    return groups


def _read(words: list[str], groups: list[Options], depth: int) -> None:
    rest = iter(words)
    plain = False
    for word in rest:
        options = groups[-1]
        if plain or word == "-" or not word.startswith("-"):
            options.urls.append(word)
        elif word == "--":
            plain = True
        elif word.startswith("--"):
            _option(groups, _long(word[2:]), word, "", rest)
        else:
            _cluster(groups, word, rest)
        if groups[-1].config:
            file, groups[-1].config = groups[-1].config, ""
            if depth >= 10:
                raise Wrong(f"{file}: there are too many files in files", 2)
            _read(words_of(_file(file).decode("utf-8", "surrogateescape")), groups, depth + 1)


def _option(groups: list[Options], name: str, said: str, value: str, rest: Iterator[str]) -> None:
    if name in TAKES:
        TAKES[name](groups[-1], value or _value(rest, said))
    elif name == "next":
        _next(groups)
    else:
        FLAGS[name](groups[-1], "")


def _next(groups: list[Options]) -> None:
    last = groups[-1]
    if not last.urls:
        return
    kept = asdict(last, recurse=False, filter=lambda field, _: field.name in GLOBAL)
    groups.append(Options(**kept))


def _cluster(groups: list[Options], word: str, rest: Iterator[str]) -> None:
    """-sSLo file, -ofile"""
    for at in range(1, len(word)):
        name = SHORT.get(word[at])
        if name is None:
            raise Wrong(f"option -{word[at]} is not known here (try netstack curl --help)")
        _option(groups, name, f"-{word[at]}", word[at + 1 :] if name in TAKES else "", rest)
        if name in TAKES:
            return


def _value(rest: Iterator[str], word: str) -> str:
    value: str | None = next(rest, None)
    if value is None:
        raise Wrong(f"option {word} needs something behind it")
    return value


def _long(name: str) -> str:
    """The whole name of what may be cut short."""
    if name in TAKES or name in FLAGS:
        return name
    if name.startswith("no-") and name[3:] in FLAGS:
        return "disable"  # what is off unless it is said
    found = [each for each in (*TAKES, *FLAGS) if each.startswith(name)]
    if len(found) != 1:
        doubt = f"may be {' or '.join('--' + each for each in found)}" if found else "is not known here"
        raise Wrong(f"option --{name} {doubt} (try netstack curl --help)")
    return found[0]


def split_colons(text: str) -> list[str]:
    """At the colons that stand in no brackets."""
    return [found.strip("[]") for found in re.split(r":(?![^\[]*\])", text)]


def check(options: Options) -> Options:
    """What can't be together."""
    if options.help or options.version:
        return options
    if not options.urls:
        raise Wrong("no URL: name what is to be fetched (try netstack curl --help)")
    bodies = [bool(options.data) and not options.get, bool(options.form), bool(options.upload_files)]
    if sum(bodies) > 1 or (options.head and any(bodies) and not options.request):
        raise Wrong("only one of -d, -F, -T and -I can be asked for at once")
    if options.range and options.continue_at:
        raise Wrong("-r and -C say both where to begin: choose one")
    for entry in options.connect_to:
        if len(split_colons(entry)) != 4:
            raise Wrong(f"--connect-to takes HOST1:PORT1:HOST2:PORT2, not {entry!r}", 49)
    for entry in options.resolve:
        if len(entry.lstrip("+").split(":", 2)) != 3:
            raise Wrong(f"--resolve takes HOST:PORT:ADDRESS, not {entry!r}", 49)
    return options
