"""The kernel's sockets as a stack: the same program starts life here, and moves to a device of its own by one argument.

    async with netstack.open("posix:") as net:              # in place of "tap:tap0?address=10.79.0.2/24"
        await net.serve_streams(handler, 8080)

Not a netif: it carries streams and datagrams, not frames. It is found in the group `netstack.stack`.
"""

import netstack as netstack  # first: it decides which build of this package's modules is loaded

from .datagrams import KernelDatagrams as KernelDatagrams
from .factory import open_posix as open_posix
from .listener import KernelListener as KernelListener
from .net import KernelNet as KernelNet
from .streams import KernelStream as KernelStream

__all__ = ["KernelDatagrams", "KernelListener", "KernelNet", "KernelStream", "open_posix"]
