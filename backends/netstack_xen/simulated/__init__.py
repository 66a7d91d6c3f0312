"""A hypervisor in this process, for tests: domains that share pages, ring ports and write into a store, and books of it all.

    machine = Machine()
    back, front = machine.domain(0), machine.domain(1)
    toolstack.add_vif(back.store, front.domid)
    ...
    machine.books.assert_even()

It keeps the promises of `hypervisor.py`, and goes about what is forbidden as Xen and Linux do.
"""

import netstack as netstack  # first: it decides which build of this package's modules is loaded

from . import toolstack as toolstack
from .books import Books as Books
from .books import Note as Note
from .machine import Machine as Machine
from .program import Program as Program
from .tree import Quotas as Quotas
from .trouble import Trouble as Trouble
