"""How two domains find each other: where in Xen's store what stands. A vchan is for two; this is how a port serves many.

*s* is the server's domain, *c* the client's, *p* a port from 1 to 65535. A server that listens has, in its own part of the store,

    /local/domain/s/data/vchan/p                "netstack 1 ID"; whom it serves may read it
    /local/domain/s/data/vchan/p/bell           whom it serves may write it: the number of a domain that calls

and who calls has, in *his* own part, a folder that the server may read, and in it a node for each call:

    /local/domain/c/data/vchan/calls/s/p/NAME   NAME: a number from 1 to 65535, the client's port; `-`; eight hexadecimal digits

The client makes that node, writes its domain on the bell, and waits for

    /local/domain/s/data/vchan/p/c/NAME         ring-ref and event-channel, which only c may read

which is what `libxenvchan_server_init(c, PATH)` leaves at PATH, and the rest is what `libxenvchan_client_init(s, PATH)` does: bind to the
port, map the page, say that one is there. Then the client removes its call, and the server its offer.

**Why so.** *No race*: each offer is for one call, of a name that nobody else has; should two try all the same, Xen binds the port to
the first of them, and the second has touched nothing. *No mask*: only c can write in c's part of the store, so what lies there was
said by c; an offer is granted to c, and c alone can map it. The bell says no more than "look at c", and nothing follows where
nothing is. Who spoils the bell for others (everybody may write it) finds it made anew, and calls repeat theirs until they are
heard. *No litter*: a call that is given up takes its node away, and the server its offer; an offer that nobody takes up in ten
seconds is taken back. *Nothing waits in the server for a client that won't*: offers have a bound, those of one domain half of it.

**For programs of libxenvchan.** They know one path and no calls. A server offers a vchan to domain c at /local/domain/s/data/vchan/p/c
as soon as it listens, where it was told to (`offers`), and another one as soon as that is taken up. A client that finds ring-ref
and event-channel at /local/domain/s/data/vchan/p itself takes that up: a server of libxenvchan's.
"""

import re

VERSION = "netstack 1 "
_NAME = re.compile(r"([1-9][0-9]{0,4})-[0-9a-f]{8}")
DOMAINS = 0x7FF0  # DOMID_FIRST_RESERVED: there are no more


def shop(server: int, port: int) -> str:
    """Where a port's server is found."""
    return f"/local/domain/{server}/data/vchan/{port}"


def bell(server: int, port: int) -> str:
    return f"/local/domain/{server}/data/vchan/{port}/bell"


def shelf(server: int, port: int, client: int) -> str:
    """Below: what is offered to a client's calls. At it: what is offered without a call."""
    return f"/local/domain/{server}/data/vchan/{port}/{client}"


def calls(client: int, server: int, port: int) -> str:
    """The folder of a client's calls."""
    return f"/local/domain/{client}/data/vchan/calls/{server}/{port}"


def number_in(name: str) -> int:
    """The client's port in the name of a call; 0 where that is none."""
    match = _NAME.fullmatch(name)
    number = int(match[1]) if match else 0
    return number if number < 65536 else 0


def domain_in(text: "str | None") -> int:
    """A domain's number; -1 where that is none."""
    if text is not None and text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < DOMAINS:
        return int(text)
    return -1


def lawful(text: "str | None", most: int) -> int:
    """A number from 1 to `most`, as it stands in a node; 0 where that is none."""
    if text is not None and text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= most:
        return int(text)
    return 0
