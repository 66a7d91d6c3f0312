"""curl's words: which there are, what they take, and what a line of them asks for. Raises `Wrong`, with curl's exit status."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from attrs import Factory, define

from ...errors import UsageError

_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


class Wrong(UsageError):
    """A line that asks for nothing that can be done."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status


@define
class Options:
    """All that a line says. Names are curl's long ones."""

    urls: list[str] = Factory(list)
    outputs: list[str | None] = Factory(list)  # of -o and -O, in their order: None is -O
    output_dir: str = ""
    create_dirs: bool = False
    verbose: bool = False
    silent: bool = False
    show_error: bool = False
    no_progress_meter: bool = False
    fail: bool = False
    fail_with_body: bool = False
    fail_early: bool = False
    head: bool = False
    include: bool = False
    dump_header: str = ""
    get: bool = False
    request: str = ""
    data: list[bytes] = Factory(list)
    json: bool = False
    form: list[tuple[str, bool]] = Factory(list)  # what -F says; is it plain text?
    upload_files: list[str] = Factory(list)
    headers: list[str] = Factory(list)
    user: str = ""
    user_agent: str | None = None
    referer: str = ""
    insecure: bool = False
    cacert: str | None = None
    cert: str | None = None
    key: str | None = None
    location: bool = False
    max_redirs: int = 50
    proxy: str | None = None
    proxy_user: str = ""
    proxytunnel: bool = False
    noproxy: str | None = None
    protocols: str = "auto"
    connect_timeout: float = 0.0
    max_time: float = 0.0
    expect100_timeout: float = 1.0
    retry: int = 0
    retry_delay: float = 0.0
    retry_max_time: float = 0.0
    retry_connrefused: bool = False
    retry_all_errors: bool = False
    range: str = ""
    continue_at: str = ""
    compressed: bool = False
    resolve: list[str] = Factory(list)
    limit_rate: int = 0
    max_filesize: int = 0
    write_out: str = ""
    cookies: list[str] = Factory(list)
    cookie_jar: str = ""
    net: str = ""
    address: list[str] = Factory(list)
    gateway: str | None = None
    dns: list[str] = Factory(list)
    hosts: str | None = None
    pcap: str | None = None
    fault: str | None = None
    help: bool = False
    version: bool = False

    @property
    def body(self) -> bytes | None:
        """What the -d say, joined."""
        if not self.data:
            return None
        return b"".join(self.data) if self.json else b"&".join(self.data)


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
    """content, =content, name=content, @file, name@file"""
    at, equals = value.find("@"), value.find("=")
    if equals >= 0 and (at < 0 or equals < at):
        name, content = value[:equals], os.fsencode(value[equals + 1 :])
    elif at >= 0:
        name, content = value[:at], _file(value[at + 1 :])
    else:
        name, content = "", os.fsencode(value)
    encoded = quote(content, safe="-._~")
    options.data.append(f"{name}={encoded}".encode() if name else encoded.encode())


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
    "no-buffer": _nothing,
    "globoff": _nothing,
    "ipv4": _nothing,
    "basic": _nothing,
    "tcp-nodelay": _nothing,
    "disable": _nothing,
    "help": _flag("help"),
    "version": _flag("version"),
}
SHORT = {
    "o": "output", "X": "request", "d": "data", "F": "form", "T": "upload-file", "H": "header", "u": "user", "A": "user-agent",
    "e": "referer", "E": "cert", "x": "proxy", "U": "proxy-user", "m": "max-time", "r": "range", "C": "continue-at",
    "w": "write-out", "b": "cookie", "c": "cookie-jar", "D": "dump-header", "v": "verbose", "s": "silent", "S": "show-error",
    "#": "progress-bar", "O": "remote-name", "f": "fail", "I": "head", "i": "include", "G": "get", "k": "insecure",
    "L": "location", "p": "proxytunnel", "N": "no-buffer", "g": "globoff", "4": "ipv4", "q": "disable", "h": "help",
    "V": "version",
}  # fmt: skip


def read(words: list[str]) -> Options:
    """Raises Wrong."""
    options = Options()
    rest = iter(words)
    plain = False
    for word in rest:
        if plain or word == "-" or not word.startswith("-"):
            options.urls.append(word)
        elif word == "--":
            plain = True
        elif word.startswith("--"):
            name = _long(word[2:])
            if name in TAKES:
                TAKES[name](options, _value(rest, word))
            else:
                FLAGS[name](options, "")
        else:
            _cluster(options, word, rest)
    return check(options)


def _cluster(options: Options, word: str, rest: Any) -> None:
    """-sSLo file, -ofile"""
    for at in range(1, len(word)):
        name = SHORT.get(word[at])
        if name is None:
            raise Wrong(f"option -{word[at]} is not known here (try netstack curl --help)")
        if name in TAKES:
            value = word[at + 1 :]
            TAKES[name](options, value or _value(rest, f"-{word[at]}"))
            return
        FLAGS[name](options, "")


def _value(rest: Any, word: str) -> str:
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
    for entry in options.resolve:
        if len(entry.lstrip("+").split(":", 2)) != 3:
            raise Wrong(f"--resolve takes HOST:PORT:ADDRESS, not {entry!r}", 49)
    return options
