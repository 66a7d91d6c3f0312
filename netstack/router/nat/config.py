"""What can be chosen about NAT to sockets, each with its reason. Durations are nanoseconds."""

from __future__ import annotations

from typing import Literal

import attrs

from ...address import Ip4
from ...errors import UsageError
from ...instant import SECOND

MINUTE = 60 * SECOND


@attrs.frozen(kw_only=True)
class NatConfig:
    """Raises UsageError for a value that can't work.

    A flow is a descriptor of the host and a few KiB. When a table is full, TCP flows are not taken any more, since nobody but their
    ends knows which of them may go (RFC 5382 REQ-5); of datagrams and echoes the oldest of the guest that has most is forgotten.
    """

    max_tcp: int = 16384
    tcp_per_guest: int = 8192  # its addresses count together: one that connects to everything leaves the others half of the table
    max_udp: int = 16384  # pairs of a guest's port and a peer
    max_sockets: int = 16384  # ports of guests that have sent datagrams, each a descriptor
    max_echo: int = 512  # identifiers of echo requests, each a descriptor
    descriptors: int = 0  # of all three tables together: what TCP doesn't use datagrams may, until it does; 0: they are not counted
    tcp_idle: int = (2 * 60 + 4) * MINUTE  # RFC 5382 REQ-5, and no less
    tcp_transitory: int = 4 * MINUTE  # the same, for those that are opening or closing
    udp_idle: int = 5 * MINUTE  # RFC 4787 REQ-5 recommends five minutes, two at the least …
    udp_short: int = 30 * SECOND  # … but may be shorter for well-known ports: names that were asked for (53)
    echo_idle: int = 60 * SECOND  # RFC 5508 REQ-2
    outbound: Ip4 | None = None  # the host's address that flows leave from; None: whichever its routes choose
    filtering: Literal["independent", "address", "port"] = "port"  # who may send to a guest's port (RFC 4787 5): everybody, hosts
    # that it has sent to, or only the ports that it has sent to, as the kernel's own masquerading does

    def __attrs_post_init__(self) -> None:
        for name in ("max_tcp", "tcp_per_guest", "max_udp", "max_sockets", "max_echo"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} lets nothing pass: choose 1 or more")
        for name in ("tcp_idle", "tcp_transitory", "udp_idle", "udp_short", "echo_idle"):
            if getattr(self, name) < SECOND:
                raise UsageError(f"{name}={getattr(self, name)} is less than a second: durations are in nanoseconds")
        if self.filtering not in ("independent", "address", "port"):
            raise UsageError(f"filtering={self.filtering!r} is no way to filter: choose 'independent', 'address' or 'port'")
