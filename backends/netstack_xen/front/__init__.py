"""netfront: a virtual network interface of this domain, as a netif."""

import netstack as netstack  # first: it decides which build of this package's modules is loaded

from .connection import NoPages as NoPages
from .frontend import NoVif as NoVif
from .frontend import Phase as Phase
from .netif import Xen as Xen
from .terms import Event as Event
