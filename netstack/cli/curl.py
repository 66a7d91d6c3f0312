"""`netstack curl`: fetch a URL, with what users of curl expect, on any stack.

The exit status is curl's: 6 no such host, 7 nobody there, 22 an error and -f, 23 nowhere to write, 28 too late, 35 no TLS, 52 no
answer, 56 a connection that broke, 60 a certificate that is not to be trusted …
"""

from __future__ import annotations

import argparse
import sys

HELP = """\
usage: netstack curl [OPTION ...] URL ...

Fetch URLs, http:// and https://, and write what comes to standard output. Options stand anywhere, and hold for all URLs.

  where it goes       -o FILE  -O (as the URL calls it)  --output-dir DIR  --create-dirs  -C OFFSET|- (go on)  -r RANGE
                      -i (with heads)  -I (heads alone)  -D FILE (heads)  --max-filesize N  --limit-rate N  --compressed
  what is asked       -X METHOD  -d DATA  --data-binary DATA  --data-raw DATA  --data-urlencode DATA  --json DATA  -G
                      -F NAME=CONTENT|@FILE  --form-string NAME=TEXT  -T FILE|-  -H LINE  -A AGENT  -e REFERER
                      -u USER:PASSWORD  -b COOKIES|FILE  -c FILE
  where to            -L (follow redirections)  --max-redirs N  -x PROXY  -U USER:PASSWORD  -p  --noproxy HOSTS
                      --resolve HOST:PORT:ADDRESS  --http1.1  --http2  --http2-prior-knowledge
  whom to trust       -k (everybody)  --cacert FILE  -E CERTIFICATE  --key FILE
  how long            --connect-timeout S  -m S  --expect100-timeout S
                      --retry N  --retry-delay S  --retry-max-time S  --retry-connrefused  --retry-all-errors
  what is told        -v  -s  -S  -f (no body of errors: 22)  --fail-with-body  --fail-early  -w FORMAT  --no-progress-meter

A net of one's own, in place of the system's:
  --net SPEC  --address CIDR  --gateway IP  --dns SERVER  --hosts FILE  --pcap FILE  --fault FAULTS
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The grammar is curl's own, in which order counts: argparse hands all words on."""
    parser.prefix_chars = "\0"
    parser.add_argument("words", nargs="*", metavar="WORD")


def run(args: argparse.Namespace) -> int:
    from .curling.words import Wrong, read

    try:
        options = read(args.words)
    except Wrong as wrong:
        print(f"curl: {wrong}", file=sys.stderr)
        return wrong.status
    if options.help:
        print(HELP, end="")
        return 0
    if options.version:
        from .. import __version__

        print(f"netstack curl {__version__}\nProtocols: http https")
        return 0
    from ..runtime.loop import KERNEL
    from ..runtime.loop import run as run_loop
    from .curling.carrier import Carrier

    try:
        return run_loop(Carrier(options, sys.stdout.buffer, sys.stderr).run(), net=KERNEL[0])
    except Wrong as wrong:
        print(f"curl: ({wrong.status}) {wrong}", file=sys.stderr)
        return wrong.status
