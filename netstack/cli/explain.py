"""`netstack explain`: what the connections of a capture did, drawn and in words.

netstack explain bug.pcapng                       bug.html beside where you are: a page that needs nothing else
netstack explain bug.pcapng -o /tmp/bug.html
netstack explain bug.pcapng -o bug.svg --connection 3
netstack explain bug.pcapng -o -                  the words alone, to standard output
"""

import argparse
import os
import sys
from pathlib import Path

from ..errors import UsageError, WireError
from .options import count


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a capture: pcap or pcapng, whoever made it; gzip'd or not")
    parser.add_argument(
        "-o", "--output", metavar="OUT", help=".html, or .svg of one connection, or - for the words (default: FILE's name, .html)"
    )
    parser.add_argument(
        "-c", "--connection", metavar="N", type=count, help="only the connection of this number, as the words count them"
    )


def run(args: argparse.Namespace) -> int:
    from ..explaining import page
    from ..explaining.findings import findings
    from ..explaining.gather import end_text, gather

    output = args.output or f"{Path(args.file).name.removesuffix('.gz').rpartition('.')[0] or Path(args.file).name}.html"
    kind = "" if output == "-" else Path(output).suffix.lower()
    if output != "-" and kind not in (".html", ".htm", ".svg"):
        raise UsageError(f"{output}: say a name that ends in .html or .svg, or - for the words")
    try:
        found = gather(args.file)
    except WireError as error:
        raise OSError(f"{args.file}: {error}") from error
    if args.connection is not None:
        talks = [talk for talk in found.talks if talk.number == args.connection]
        if not talks:
            raise UsageError(f"there is no connection {args.connection} in {args.file}: it has {len(found.talks)}")
        found.talks = talks
    name = os.path.basename(args.file)
    if output == "-":
        for talk in page.chosen(found.talks):
            print(f"{talk.number}. {end_text(talk.client, talk.version)} → {end_text(talk.server, talk.version)}, {talk.ended}")
            for each in findings(talk):
                print(f"   {page.MARK[each.weight]} {each.title}. {each.text}")
        return 0
    if kind == ".svg" and not found.talks:
        raise UsageError(f"there is no TCP connection in {args.file} to be drawn")
    pieces = (
        page.svg(page.chosen(found.talks)[0] if args.connection is None else found.talks[0], name)
        if kind == ".svg"
        else page.html(found, name)
    )
    with open(output, "w", encoding="utf-8") as file:
        file.writelines(pieces)
    print(
        f"{output}: {len(found.talks)} connections of {found.packets} packets" + (f"; {found.trouble}" if found.trouble else ""),
        file=sys.stderr,
    )
    return 0
