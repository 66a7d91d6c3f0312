"""Captures, read for what they carry: datagrams put together and numbered, and the byte streams of TCP connections.

files     the packets of a file: pcap or pcapng, gzip around it or not
links     headers of links: Ethernet and its tags, cooked, loopback, PPP
reading   `read`: whole IPv4 datagrams, and everything else
mib       what was met, counted
"""

from .mib import CapturesMib as CapturesMib
from .reading import Datagram as Datagram
from .reading import Other as Other
from .reading import read as read

__all__ = ["CapturesMib", "Datagram", "Other", "read"]
