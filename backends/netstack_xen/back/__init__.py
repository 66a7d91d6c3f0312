"""netback: the other end of a domain's network interface, as a netif."""

import netstack as netstack  # first: it decides which build of this package's modules is loaded

from .netif import VifUnavailable as VifUnavailable
from .netif import XenBack as XenBack
