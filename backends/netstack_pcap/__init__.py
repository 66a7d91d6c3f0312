"""Captures as devices: play a pcap or pcapng file to a stack, and keep what the stack says to it."""

import netstack as netstack  # first: it decides which build of this package's modules is loaded

from .factory import open_pcap as open_pcap
from .netif import Pcap as Pcap
from .netif import read_packets as read_packets

__all__ = ["Pcap", "open_pcap", "read_packets"]
