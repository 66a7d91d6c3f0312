"""`netstack-tap top`: the flows of a running router, live in the terminal.

    s  sort by the next column      r  the other way round      g  a row for each guest, or for each flow
    p  hold still                   f  show also those that are over or were denied             q  quit

Without a terminal, or with -n, it prints tables one after the other; with -j JSON, a line for each.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

from ...errors import UsageError
from .asking import add_socket_option, asking, shown, size, socket_of

ORDERS = ("rate", "bytes", "idle", "name", "to", "from")
GONE = ("over", "denied", "failed")
FIXED = 73  # columns of all but the name
CLEAR, HOME, REST, BOLD, PLAIN = "\x1b[2J", "\x1b[H", "\x1b[J", "\x1b[1m", "\x1b[0m"
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
Row = dict[str, Any]


class View:
    """What is shown of one picture after the other: rates are what has changed since the last one."""

    def __init__(self, order: str = "rate") -> None:
        self.order = order
        self.reverse = False
        self.by_guest = False
        self.finished = False
        self.held = False
        self.quit = False
        self._before: dict[str, tuple[float, int, int]] = {}
        self._picture: Row = {"time": 0.0, "total": 0, "kinds": {}, "flows": []}

    def feed(self, picture: Row) -> Row:
        """The next picture; the same comes back, each of its flows with `up` and `down`, bytes a second from and to the guest."""
        now, seen = picture["time"], {}
        for row in picture["flows"]:
            at, sent, received = self._before.get(row["id"], (now - row["age"], 0, 0))
            passed = now - at
            row["up"] = max(row["sent"] - sent, 0) / passed if passed > 0 else 0.0
            row["down"] = max(row["received"] - received, 0) / passed if passed > 0 else 0.0
            seen[row["id"]] = (now, row["sent"], row["received"])
        self._before = seen
        if not self.held:
            self._picture = picture
        return picture

    def key(self, letter: str) -> None:
        if letter in ("q", "Q", "\x03", "\x04"):
            self.quit = True
        elif letter == "s":
            self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        elif letter == "r":
            self.reverse = not self.reverse
        elif letter == "g":
            self.by_guest = not self.by_guest
        elif letter == "f":
            self.finished = not self.finished
        elif letter == "p":
            self.held = not self.held

    # -- rows -----------------------------------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        found = [row for row in self._picture["flows"] if self.finished or row["state"] not in GONE]
        if self.by_guest:
            found = list(_by_guest(found))
        keys: dict[str, Any] = {
            "rate": lambda row: -(row["up"] + row["down"]),
            "bytes": lambda row: -(row["sent"] + row["received"]),
            "idle": lambda row: row["idle"],
            "name": lambda row: (row["name"] == "", row["name"]),
            "to": lambda row: (_number(row["dst"]), row["dst_port"]),
            "from": lambda row: (_number(row["src"]), row["src_port"]),
        }
        return sorted(found, key=keys[self.order], reverse=self.reverse)

    def lines(self, width: int, height: int) -> list[str]:
        """At most `height` of at most `width` letters, without anything that moves a cursor."""
        rows = self.rows()
        up, down = sum(row["up"] for row in rows), sum(row["down"] for row in rows)
        kinds = ", ".join(f"{count} {kind}" for kind, count in self._picture["kinds"].items())
        head = f"{self._picture['total']} flows: {kinds or 'none'}"
        held = "  held still" if self.held else ""
        order = f"by {self.order}{', backwards' if self.reverse else ''}{held}"
        name = max(width - FIXED, 4)
        found = [
            shown(head, width),
            shown(f"from guests {size(up)}B/s   to guests {size(down)}B/s   {order}", width),
            shown(
                f"{'PROTO':5} {'FROM':21} {'TO':21} {'UP/s':>5} {'DOWN/s':>6} {'IDLE':>5} {'STATE':3} {'NAME':{name}}".rstrip(),
                width,
            ),
        ]
        for row in rows[: max(height - len(found), 0)]:
            to = f"{row['dst']}:{row['dst_port']}" if row["dst"] else f"{row['count']} flows"
            source = f"{row['src']}:{row['src_port']}" if row["src_port"] else row["src"]
            text = (
                f"{row['proto']:5} {source:21.21} {to:21.21} {size(row['up']):>5} {size(row['down']):>6} {_time(row['idle']):>5} "
                f"{row['state'][:5]:5} {shown(row['name'], name)}"
            )
            found.append(shown(text.rstrip(), width))
        return found[:height]


def _by_guest(rows: list[Row]) -> Iterator[Row]:
    """A row for each guest: its address, what all its flows do together, and the name that it talks with most."""
    guests: dict[str, list[Row]] = {}
    for row in rows:
        guests.setdefault(row["dst"] if row["inbound"] else row["src"], []).append(row)
    for address, own in guests.items():
        busiest = max(own, key=lambda row: row["up"] + row["down"])
        yield {
            "proto": "all", "src": address, "src_port": 0, "dst": "", "dst_port": 0, "count": len(own), "state": "",
            "idle": min(row["idle"] for row in own), "name": f"{own[0]['guest']} {busiest['name']}".strip(),
            **{key: sum(row[key] for row in own) for key in ("up", "down", "sent", "received")},
        }  # fmt: skip


def _number(address: str) -> int:
    total = 0
    for part in address.split("."):
        total = total << 8 | (int(part) if part.isdigit() else 0)
    return total


def _time(seconds: float) -> str:
    return f"{seconds:.0f}s" if seconds < 100 else f"{seconds / 60:.0f}m" if seconds < 6000 else f"{seconds / 3600:.0f}h"


# -- the command --------------------------------------------------------------------------------------------------------------


def configure(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = __doc__
    add_socket_option(parser)
    parser.add_argument("-d", "--delay", metavar="SECONDS", type=float, default=1.0, help="between two pictures (1)")
    parser.add_argument("-n", "--number", metavar="N", type=int, help="print so many pictures, and end")
    parser.add_argument("-o", "--order", choices=ORDERS, default="rate", help="by what (rate)")
    parser.add_argument("-j", "--json", action="store_true", help="JSON, a line for each picture")


def run(args: argparse.Namespace) -> int:
    if not 0.1 <= args.delay <= 3600:
        raise UsageError(f"--delay {args.delay:g}: give seconds from 0.1 to 3600")
    if args.number is not None and args.number < 1:
        raise UsageError(f"-n {args.number} shows nothing: ask for one picture or more")
    path = socket_of(args)
    plain = args.json or args.number is not None or not (sys.stdout.isatty() and sys.stdin.isatty())
    asyncio.run(print_pictures(args, path) if plain else live(args, path))
    return 0


async def pictures(args: argparse.Namespace, path: str) -> AsyncIterator[Row]:
    async with asking(path) as router:
        async for picture in router.lines(f"/flows?watch={args.delay:g}"):
            yield picture


async def print_pictures(args: argparse.Namespace, path: str) -> None:
    """Without a terminal the first of them, unless it is said how many."""
    view = View(args.order)
    left = args.number or (None if args.json else 1)
    stream = pictures(args, path)
    try:
        async for picture in stream:
            picture = view.feed(picture)
            print(json.dumps(picture) if args.json else "\n".join(view.lines(200, 1 << 20)), flush=True)
            if left is not None:
                left -= 1
                if not left:
                    return
    finally:
        await stream.aclose()  # type: ignore[attr-defined]  # a generator's


async def live(args: argparse.Namespace, path: str) -> None:
    """The terminal is ours until `q`, and as it was afterwards."""
    import termios
    import tty

    view = View(args.order)
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)

    def typed() -> None:
        for letter in os.read(fd, 64).decode("ascii", "replace") or "q":
            view.key(letter)
        changed.set()

    async def feed() -> None:
        async for picture in pictures(args, path):
            view.feed(picture)
            changed.set()

    def draw() -> None:
        width, height = shutil.get_terminal_size()
        lines = view.lines(width, height)
        text = "\r\n".join(f"{BOLD}{line.ljust(width)}{PLAIN}" if i == 2 else f"{line}\x1b[K" for i, line in enumerate(lines))
        sys.stdout.write(HOME + text + REST)
        sys.stdout.flush()

    feeding = loop.create_task(feed())
    feeding.add_done_callback(lambda _: changed.set())
    tty.setcbreak(fd)
    sys.stdout.write(ENTER + CLEAR)
    loop.add_reader(fd, typed)
    loop.add_signal_handler(signal.SIGWINCH, changed.set)
    try:
        while not view.quit and not feeding.done():
            draw()
            await changed.wait()
            changed.clear()
    finally:
        loop.remove_reader(fd)
        loop.remove_signal_handler(signal.SIGWINCH)
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        if not feeding.done():
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding
    if not view.quit:
        feeding.result()  # the router has ended, or said why not
