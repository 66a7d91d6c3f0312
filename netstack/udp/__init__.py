"""UDP: `Udp` over an internet layer, `UdpPort` for each bound port, `DatagramQueue` for those who read later."""

from .core import UdpPort
from .queue import DatagramQueue
from .udp import Udp

__all__ = ["DatagramQueue", "Udp", "UdpPort"]
