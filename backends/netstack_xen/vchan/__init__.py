"""Xen's stream between two domains (libxenvchan), as a stack: HTTP from domain to domain, and no TCP/IP in between.

    async with netstack.open("vchan:") as net: ...

It is found in the group `netstack.stack`. What stands in memory: wire.py; in the store: paths.py.
"""

import netstack as netstack  # first: it decides which build of this package's modules is loaded

from .factory import open_vchan as open_vchan
from .mib import VchanMib as VchanMib
from .stack import Vchan as Vchan
from .stack import VchanListener as VchanListener
from .stream import VchanStream as VchanStream

__all__ = ["Vchan", "VchanListener", "VchanMib", "VchanStream", "open_vchan"]
