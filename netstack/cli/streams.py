"""`netstack streams`: the TCP connections in a capture, one line for each, and the bytes of both directions as files.

netstack streams bug.pcapng
netstack streams bug.pcapng -o streams -n 3
"""

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from ..errors import UsageError, WireError
from .options import count

if TYPE_CHECKING:
    from ..captures import Connection, Stream

NANOSECONDS = 1_000_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a capture, pcap or pcapng, gzip around it or not; - is standard input")
    parser.add_argument("-o", dest="folder", metavar="DIR", help="write both directions of each connection into DIR")
    parser.add_argument("-n", dest="number", metavar="N", type=count, help="only the connection with this number")
    parser.add_argument("--json", action="store_true", help="one object on each line, with gaps and conflicts")
    parser.add_argument("--checksums", action="store_true", help="pass over segments whose checksum is wrong")


def run(args: argparse.Namespace) -> int:
    from ..captures import StreamsMib, streams

    if args.folder is not None:
        os.makedirs(args.folder, exist_ok=True)
    mib = StreamsMib()
    found = 0
    file = sys.stdin.buffer if args.file == "-" else args.file
    try:
        for found, connection in enumerate(streams(file, checksums=args.checksums, mib=mib), 1):
            if args.number not in (None, found):
                continue
            print(json.dumps(as_json(found, connection)) if args.json else line(found, connection), flush=True)
            if args.folder is not None:
                save(args.folder, found, connection)
    except WireError as error:
        print(f"netstack: {args.file}: {error}", file=sys.stderr)
        return 1
    if mib.CutFiles:
        print(f"netstack: {args.file} ends in the middle of a packet", file=sys.stderr)
    if args.number is not None and args.number > found:
        raise UsageError(f"-n {args.number} is not there: {args.file} has {found} connections")
    return 0


def line(number: int, c: "Connection") -> str:
    """`3 10.0.0.1:40000 -> 10.0.0.2:80  54 up, 20061 down in 0.031 s, closed; down: 1448 bytes missing in 1 gap`"""
    took = "" if c.began is None or c.ended is None else f" in {(c.ended - c.began) / NANOSECONDS:.3f} s"
    opened = "" if c.opened == "handshake" else f"{c.opened}, "
    text = f"{number} {c}  {c.to_server.length} up, {c.to_client.length} down{took}, {opened}{c.closed}"
    for name, stream in (("up", c.to_server), ("down", c.to_client)):
        notes = remarks(stream)
        text += f"; {name}: {', '.join(notes)}" if notes else ""
    return text


def remarks(s: "Stream") -> list[str]:
    """What is not as it should be."""
    gaps = s.gaps
    notes = [f"{s.missing} bytes missing in {len(gaps)} gap{'s' if len(gaps) > 1 else ''}"] if gaps else []
    named = {
        "conflicts": s.conflicts,
        "bytes again": s.retransmitted,
        "segments out of order": s.out_of_order,
        "bytes out of the window": s.out_of_window,
        "bytes behind the FIN": s.after_fin,
        "bytes too late": s.late,
    }
    return notes + [f"{value} {name}" for name, value in named.items() if value]


def as_json(number: int, c: "Connection") -> dict[str, object]:
    return {
        "number": number,
        "client": c.client,
        "server": c.server,
        "opened": c.opened,
        "closed": c.closed,
        "packets": [c.first, c.last],
        "time": [c.began, c.ended],
        **{name: stream_as_json(stream) for name, stream in (("up", c.to_server), ("down", c.to_client))},
    }


def stream_as_json(s: "Stream") -> dict[str, object]:
    return {
        "length": s.length,
        "whole": s.whole,
        "gaps": s.gaps,
        "conflicts": s.conflicting,
        "again": s.retransmitted,
        "out_of_order": s.out_of_order,
    }


def save(folder: str, number: int, c: "Connection") -> None:
    """Two files, named as tcpflow's: who says it, and to whom. A gap is left out, as in `Stream.data`."""
    for stream, (src, dst) in ((c.to_server, (c.client, c.server)), (c.to_client, (c.server, c.client))):
        name = f"{number:04}-{src[0]}.{src[1]}-{dst[0]}.{dst[1]}"
        with open(os.path.join(folder, name), "wb") as file:
            for _, chunk in stream.chunks():
                file.write(chunk)
