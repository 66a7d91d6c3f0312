"""Captures, read for what they carry: datagrams put together and numbered, and the byte streams of TCP connections.

files     the packets of a file: pcap or pcapng, gzip around it or not
links     headers of links: Ethernet and its tags, cooked, loopback, PPP
reading   `read`: whole IPv4 datagrams, and everything else
mib       what was met, counted
"""

from .mib import CapturesMib as CapturesMib
from .mib import StreamsMib as StreamsMib
from .reading import Datagram as Datagram
from .reading import Other as Other
from .reading import read as read
from .streams import Connection as Connection
from .streams import Stream as Stream
from .streams import streams as streams

__all__ = ["CapturesMib", "Connection", "Datagram", "Other", "Stream", "StreamsMib", "read", "streams"]
