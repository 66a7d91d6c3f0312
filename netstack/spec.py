"""What a user types to say which device, and how a back end reads the options in it.

    tap:tap0?address=10.79.0.2/24&gateway=10.79.0.1     kind, name of the device, options
    pcap:bug.pcapng?speed=max                           the name may be a path
    my.package:factory:name?key=value                   no registration: a dotted module and a function in it

The stack takes its own options off (`Spec.take`), the factory gets the rest. In names and values `%26`, `%3F` and `%25`
stand for `&`, `?` and `%`; any other `%` is itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .errors import UsageError
from .records import evolve, frozen

_KIND = re.compile(r"[a-z][a-z0-9_-]*", re.ASCII)
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_KEY = re.compile(r"[a-z][a-z0-9_-]*", re.ASCII)
_ESCAPE = re.compile("%(26|3[Ff]|25)")


@frozen
class Spec:
    """What a user typed to say which device, taken apart. `options` keeps the order, and a key may stand there repeatedly."""

    kind: str
    name: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Spec:
        """`"kind:name?key=value&key=value"`. Raises UsageError."""
        head, question, tail = text.partition("?")
        kind, _, name = head.partition(":")
        if _MODULE.fullmatch(kind):
            factory, _, name = name.partition(":")
            if not factory.isidentifier():
                raise UsageError(f"{text!r} names a module but no function in it: write {kind}:factory:name")
            kind = f"{kind}:{factory}"
        elif not _KIND.fullmatch(kind):
            raise UsageError(f"{text!r} does not say which device: write kind:name?key=value, like tap:tap0?address=10.79.0.2/24")
        options = []
        for item in tail.split("&") if tail else ():
            key, equals, value = item.partition("=")
            if not equals or not _KEY.fullmatch(key):
                raise UsageError(f"{item!r} in {text!r} is not an option: write key=value, with & between two of them")
            options.append((key, _plain(value)))
        if question and not options:
            raise UsageError(f"{text!r} ends in a question mark: options follow it, like ?address=10.79.0.2/24")
        return cls(kind, _plain(name), tuple(options))

    def take(self, *keys: str) -> tuple[dict[str, tuple[str, ...]], Spec]:
        """The values of these keys, () for one that is not there, and the Spec without them: for the factory."""
        taken = {key: tuple(value for other, value in self.options if other == key) for key in keys}
        return taken, evolve(self, options=tuple((key, value) for key, value in self.options if key not in keys))

    def __str__(self) -> str:
        """In the form that `parse` reads."""
        options = "&".join(f"{key}={_escaped(value)}" for key, value in self.options)
        return f"{self.kind}:{_escaped(self.name)}" + (f"?{options}" if options else "")


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def _escaped(text: str) -> str:
    # only a % that would be read as an escape needs one
    return _ESCAPE.sub(r"%25\1", text).replace("&", "%26").replace("?", "%3F")


# -- reading options ------------------------------------------------------------------------------------------------------


def check_options(kind: str, options: Mapping[str, str], known: Mapping[str, str]) -> None:
    """Raise UsageError when there is an option that is not in `known`, which maps each one to an example of its value."""
    for key in options:
        if key not in known:
            choice = ", ".join(f"{name}={example}" for name, example in known.items()) or "no option at all"
            raise UsageError(f"{kind} does not know the option {key!r}: it knows {choice}")


def read_flag(key: str, text: str) -> bool:
    """`yes`, `on`, `true`, `1` or their opposites. Raises UsageError."""
    word = text.lower()
    if word in ("yes", "on", "true", "1"):
        return True
    if word in ("no", "off", "false", "0"):
        return False
    raise UsageError(f"{key}={text} is neither yes nor no: write {key}=yes or {key}=no")


def read_int(key: str, text: str, low: int, high: int) -> int:
    """A decimal number from `low` to `high`. Raises UsageError."""
    if text.isascii() and text.isdigit() and len(text) <= 20 and low <= int(text) <= high:
        return int(text)
    raise UsageError(f"{key}={text} is not possible: write a number from {low} to {high}")
