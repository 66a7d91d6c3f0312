"""`netstack dig`: ask a name server, and see what it said, in dig's words.

Exit status, as dig's: 0 somebody answered, whatever the answer; 1 bad words; 8 no batch file; 9 nobody answered; 10 anything else.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from .digging.show import Shower

HELP = """\
usage: netstack dig [@SERVER] [NAME] [TYPE] [CLASS] [-x ADDRESS] [+WORD[=VALUE] ...] [NAME ...]

Ask a name server, and print what it says as dig does. What stands before the first name holds for all of them.

  @SERVER             whom to ask (default: the name servers of /etc/resolv.conf; with a net of one's own it must be said)
  -p PORT             its port (53; 853, 443 by TLS, HTTPS)  -b ADDRESS[#PORT]  where datagrams leave from
  -x ADDRESS          the name of an address                 -q NAME  -t TYPE  -c CLASS  for words that look like something else
  -f FILE             look-ups of a file, one a line         -4  -6   only these addresses of a server
  -y [ALG:]NAME:KEY   sign with a key                        -k FILE  the key of a file
  -j, --json          JSON in the shapes of RFC 8427, one object a line
  -u                  times in microseconds                  -h  -v

  how to ask          +tcp +tls +tls-ca[=FILE] +tls-hostname=NAME +https[=PATH] +https-get[=PATH] +http-plain[=PATH]
                      +time=SECONDS +tries=N +retry=N +ignore +nofail
                      +bufsize=N +noedns +edns=V +noednsnegotiation +ednsflags=N +ednsopt=CODE[:HEX] +dnssec +nsid
                      +nocookie +cookie=HEX +nobadcookie +subnet=NET +padding=N +keepalive +expire
                      +norecurse +noadflag +cdflag +aaflag +raflag +tcflag +zflag +coflag +opcode=N +header-only +qid=N
                      +search +showsearch +domain=NAME +ndots=N
  whom to ask         +trace (from the root downwards) +nssearch (all servers of a zone)
  what to show        +short +noall +answer +authority +additional +question +comments +stats +cmd +qr +identify
                      +multiline +rrcomments +nocrypto +split=N +nottlid +ttlunits +noclass +unknownformat +expandaaaa
                      +onesoa +showbadcookie

Words can be cut short, +no… takes them back. A net of one's own, in place of the system's:
  --net SPEC  --address CIDR  --gateway IP  --pcap FILE  --fault FAULTS
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The grammar is dig's own, in which order counts: argparse hands all words on."""
    parser.prefix_chars = "\0"
    parser.add_argument("words", nargs="*", metavar="WORD")


def run(args: argparse.Namespace) -> int:
    words: list[str] = args.words
    if "-h" in words or "--help" in words:  # before anything is loaded
        print(HELP, end="")
        return 0
    from .digging.words import BatchError, read

    try:
        job = read(words)
    except BatchError as error:
        return _complain(error, 8)
    except UsageError as error:
        return _complain(error, 1)
    if job.help:
        print(HELP, end="")
        return 0
    if job.version:
        from .. import __version__

        print(f"netstack dig {__version__}")
        return 0
    for warning in job.warnings:
        print(warning, file=sys.stderr)
    from ..runtime.loop import KERNEL
    from ..runtime.loop import run as run_loop
    from .digging.show import Shower

    shower: Shower = Shower(job, sys.stdout)
    try:
        return run_loop(shower.run(), net=KERNEL[0])
    except UsageError as error:
        return _complain(error, 1)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _complain(error, 10)


def _complain(error: Exception, status: int) -> int:
    from . import complain

    return complain(error, status)
