"""The trio face.

    opening        `open`: a host of one's own, for as long as a block runs
    net            what it gives                                            streams: connections, listeners, datagrams
    install        sockets and names for programs that use trio's own       sockets: trio.socket.SocketType on the stack
    world          hosts of a test's world, in virtual time                 wait: what waits; waits: for TLS
"""

from .net import TrioNet as TrioNet
from .opening import TrioOpening as TrioOpening
from .opening import open as open
