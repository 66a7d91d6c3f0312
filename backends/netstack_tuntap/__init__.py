"""Tap and tun devices: frames and datagrams to and from the Linux kernel."""

import netstack as netstack  # first: it decides which build of this package's modules is loaded

from .device import DeviceUnavailable as DeviceUnavailable
from .device import NotAllowed as NotAllowed
from .factory import open_tap as open_tap
from .factory import open_tun as open_tun
from .netifs import Tap as Tap
from .netifs import Tun as Tun

__all__ = ["DeviceUnavailable", "NotAllowed", "Tap", "Tun", "open_tap", "open_tun"]
