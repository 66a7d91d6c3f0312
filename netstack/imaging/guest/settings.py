"""What process 1 is told: by the image, and on the kernel's command line, where it can be said anew at each start.

    netstack.ip=dhcp               or an address with its prefix, 10.79.0.2/24
    netstack.gateway=10.79.0.1     netstack.dns=10.79.0.1
    netstack.net=packet:eth0       another device, with options as everywhere: packet:eth0?ring=yes
    netstack.env.NAME=value        an environment variable
    netstack.trace=FILE            every segment with its reason; - for the console
    -- one two                     the program's arguments, in place of those in the image
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from ...records import frozen

CODE_HEADER = 16  # bytes before the code in a .pyc (PEP 552): magic number, flags, 8 of the source's time and size or hash
PREFIX = "netstack."
KNOWN = ("ip", "gateway", "dns", "net", "boot")


@frozen
class Settings:
    """`net` is a SPEC with all options in it; `unknown` are words that begin like ours and mean nothing."""

    program: str
    module: bool
    arguments: tuple[str, ...]
    net: str
    environment: Mapping[str, str]
    drivers: tuple[str, ...]
    timed: bool
    unknown: tuple[str, ...]


def read(image: str, command_line: str) -> Settings:
    """`image` is the text that `write` made. A setting that stands twice counts as it stands last."""
    made: dict[str, Any] = json.loads(image)
    ours, dashes, theirs = command_line.partition(" -- ")
    said: dict[str, str] = {}
    environment: dict[str, str] = dict(made["environment"])
    unknown = []
    for word in _words(ours):
        if not word.startswith(PREFIX):
            continue
        key, _, value = word[len(PREFIX) :].partition("=")
        if key.startswith("env."):
            environment[key[4:]] = value
        elif key in KNOWN:
            said[key] = value
        else:
            unknown.append(word)
    arguments = tuple(_words(theirs)) if dashes else tuple(made["arguments"])
    net = spec(said.get("net", made["net"]), said)
    timed = said.get("boot") == "timed"
    return Settings(
        made["program"], made["module"], arguments, net, environment, tuple(made["drivers"]), timed, tuple(unknown)
    )


def write(
    program: str, module: bool, arguments: tuple[str, ...], net: str, environment: Mapping[str, str], drivers: tuple[str, ...]
) -> str:
    words = {"program": program, "module": module, "arguments": arguments, "net": net, "environment": dict(environment)}
    return json.dumps({**words, "drivers": drivers})


def spec(net: str, said: Mapping[str, str]) -> str:
    """The SPEC `net` with what was said of addresses; ip=dhcp where nothing was."""
    head, question, tail = net.partition("?")
    options = [item for item in tail.split("&") if question and item]
    ip = said.get("ip")
    if ip:
        options = [item for item in options if item.partition("=")[0] not in ("ip", "address", "gateway")]
        options.append(f"ip={ip}")
    if not any(item.partition("=")[0] in ("ip", "address") for item in options) and head.partition(":")[0] != "posix":
        options.append("ip=dhcp")
    for key in ("gateway", "dns"):
        if said.get(key):
            options = [item for item in options if item.partition("=")[0] != key]
            options.append(f"{key}={said[key]}")
    return f"{head}?{'&'.join(options)}" if options else head


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quotation that isn't closed
        return text.split()
