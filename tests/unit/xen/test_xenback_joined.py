"""Our netfront and our netback, joined over the simulated machine, each below a stack of its own."""

import random

from netstack.address import Cidr
from netstack.stack import Stack
from netstack_xen.back.netif import XenBack
from netstack_xen.front.netif import Xen
from netstack_xen.simulated import Machine, toolstack
