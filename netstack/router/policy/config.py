"""What a policy may be told beside its rules."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import ge, gt, optional

from ...instant import SECOND, Duration


@frozen
class PolicyConfig:
    """How a policy behaves. Each bound stops something: the reason stands beside the number."""

    # for a function of on_flow or on_request: SYNs are repeated after 1, 3 and 7 s, and a client that waits longer has mostly
    # given up
    hook_timeout: Duration = field(default=Duration(10 * SECOND), validator=gt(Duration(0)))
    # a name still opens flows for so long after its TTL: pools and browsers keep addresses
    grace: Duration = field(default=Duration(300 * SECOND), validator=ge(Duration(0)))
    # pairs of a name and an address, for each guest: a browser's day is some hundreds. What is beyond costs 250 bytes each
    names: int = field(default=2048, validator=ge(1))
    # addresses of guests that names are learnt for: those of a /24
    guests: int = field(default=256, validator=ge(1))
    # flows of one guest at once: a guest that opens more must not take the table, or the host's descriptors, from another
    flows: int = field(default=16384, validator=ge(1))
    # new flows of one guest in a second, and at once; None for no limit: the bound on all of them is then the only one
    new_flows: int | None = field(default=None, validator=optional(ge(1)))
    new_flows_burst: int = field(default=1024, validator=ge(1))
    # denials that are remembered, to be shown
    denials: int = field(default=1000, validator=ge(1))
    # where a client speaks first, and says a name: what is looked at of rules by name. A rule with other ports is believed
    tls_ports: frozenset[int] = frozenset((443, 8443))
    http_ports: frozenset[int] = frozenset((80, 8000, 8080))
    # certificates that are made for interception and kept: each is a context of OpenSSL, some 100 KiB
    certificates: int = field(default=256, validator=ge(1))
