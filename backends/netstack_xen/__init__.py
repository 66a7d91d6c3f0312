"""A virtual machine's own network on Xen, without its kernel: netfront, netback and vchan in user space."""

import netstack as netstack  # first: it decides which build of this package's modules is loaded

from .factory import open_xen as open_xen
from .factory import open_xenback as open_xenback
