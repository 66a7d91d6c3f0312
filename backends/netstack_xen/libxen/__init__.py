"""The hypervisor itself, by its own libraries: `netstack_xen.hypervisor` on libxengnttab, libxenevtchn and libxenstore.

The C half, `_libxen`, is built where the headers of those libraries are; without it everything else of this package is there.
"""

import netstack as netstack  # first: it decides which build of this package's modules is loaded

from .connection import LibXen as LibXen
from .connection import XenUnavailable as XenUnavailable
from .takeover import held_by as held_by
from .takeover import let_go as let_go
