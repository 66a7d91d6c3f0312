"""`netstack curl`: fetch a URL, with what users of curl expect, on any stack.

The exit status is curl's: 6 no such host, 7 nobody there, 22 an error and -f, 23 nowhere to write, 28 too late, 35 no TLS, 52 no
answer, 56 a connection that broke, 60 a certificate that is not to be trusted …
"""

from __future__ import annotations

import argparse
import contextlib
import sys

HELP = """\
usage: netstack curl [OPTION ...] URL ... [--next [OPTION ...] URL ...]

Fetch URLs, http:// and https://, and write what comes to standard output. Options stand anywhere, and hold for all URLs up to a
--next, those of "what is told" for all. {a,b}, [1-10], [01-99:2], [a-z] in a URL make many of it, #1 in FILE is what the first is.

  where it goes       -o FILE  -O (as the URL calls it)  --remote-name-all  -J (as the server does)  -R (with its date)
                      --output-dir DIR  --create-dirs  --remove-on-error  -C OFFSET|- (go on)  -r RANGE
                      -i (with heads)  -I (heads alone)  -D FILE (heads)  --max-filesize N  --limit-rate N  --compressed
  what is asked       -X METHOD  -d DATA  --data-binary DATA  --data-raw DATA  --data-urlencode DATA  --json DATA  -G
                      -F NAME=CONTENT|@FILE  --form-string NAME=TEXT  -T FILE|-  --url-query DATA  -z DATE|FILE
                      -H LINE  -A AGENT  -e REFERER  -b COOKIES|FILE  -c FILE  --path-as-is  --request-target TARGET
  who asks            -u USER:PASSWORD  -n (.netrc)  --netrc-file FILE  --oauth2-bearer TOKEN
  where to            -L (follow redirections)  --location-trusted  --max-redirs N  --post301  --post302  --post303
                      -x PROXY  -U USER:PASSWORD  -p  --noproxy HOSTS  --unix-socket FILE
                      --resolve HOST:PORT:ADDRESS  --connect-to HOST1:PORT1:HOST2:PORT2
                      --http1.1  --http2  --http2-prior-knowledge  -g (no patterns)
  whom to trust       -k (everybody)  --cacert FILE  -E CERTIFICATE  --key FILE  --tlsv1.2  --tlsv1.3  --tls-max VERSION
  how long            --connect-timeout S  -m S  --expect100-timeout S  -Y BYTES (a second at least)  -y S
                      --retry N  --retry-delay S  --retry-max-time S  --retry-connrefused  --retry-all-errors
                      -Z (all at once)  --parallel-max N  --fail-early
  what is told        -v  -s  -S  -f (no body of errors: 22)  --fail-with-body  -w FORMAT  --no-progress-meter  --stderr FILE
                      -K FILE (more options)

A net of one's own, in place of the system's:
  --net SPEC  --address CIDR  --gateway IP  --dns SERVER  --hosts FILE  --pcap FILE  --fault FAULTS
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The grammar is curl's own, in which order counts: argparse hands all words on."""
    parser.prefix_chars = "\0"
    parser.add_argument("words", nargs="*", metavar="WORD")


def run(args: argparse.Namespace) -> int:
    from .curling.options import Wrong
    from .curling.words import read

    try:
        groups = read(args.words)
    except Wrong as wrong:
        print(f"curl: {wrong}", file=sys.stderr)
        return wrong.status
    options = groups[-1]
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

    with contextlib.ExitStack() as files:
        err = sys.stderr
        if options.stderr:
            try:
                err = sys.stdout if options.stderr == "-" else files.enter_context(open(options.stderr, "w"))
            except OSError as error:
                print(f"curl: {options.stderr} can't be written: {error.strerror}", file=sys.stderr)
        try:
            return run_loop(Carrier(groups, sys.stdout.buffer, err).run(), net=KERNEL[0])
        except Wrong as wrong:
            print(f"curl: ({wrong.status}) {wrong}", file=err)
            return wrong.status
