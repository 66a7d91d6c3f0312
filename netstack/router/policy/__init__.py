"""Who may go where, by address, port and name, and what a program says to it.

    policy = Policy("deny", network="10.0.2.0/24")
    policy.allow("*.debian.org:80,443")
    policy.allow("10.1.0.0/16:5432", guest="build")

    @policy.on_flow
    async def by_day(flow): return False if await closed() else None

    @policy.on_denied
    def tell(denial): print(denial)

Pure, values and instants in, values out:

    hostnames ranges         names and addresses as they are compared, and which of them are not simply somewhere
    rules spec table         rules, how a user types them, and finding the one that decides
    learnt                   which names a guest was given which addresses for
    hello                    a ClientHello, read by somebody who must not be lied to
    bucket                   so much in a second
    denial config mib        what is told, what may be told, what is counted

Above them:

    said                     whom a guest says that it talks to, in TLS or HTTP
    policy judge asking      Policy, the gate; what every flow takes; functions of the program's
    web relay pump           requests in the clear: what is done to them, the proxy as a machine, and on two streams
    authority intercept      the same under TLS, with certificates of one's own
    policyfile options       a policy as a file of Python, and on a command line
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .authority import Authority as Authority
    from .bucket import TokenBucket as TokenBucket
    from .config import PolicyConfig as PolicyConfig
    from .denial import Denial as Denial
    from .mib import PolicyMib as PolicyMib
    from .policy import Policy as Policy
    from .rules import Rule as Rule
    from .web import Reply as Reply
    from .web import Request as Request

_WHERE = {
    "Authority": "authority",
    "TokenBucket": "bucket",
    "PolicyConfig": "config",
    "Denial": "denial",
    "PolicyMib": "mib",
    "Policy": "policy",
    "Rule": "rules",
    "Reply": "web",
    "Request": "web",
}
__all__ = list(_WHERE)

if not TYPE_CHECKING:  # or every misspelt name would be an `object` to the checker

    def __getattr__(name: str) -> object:
        if name not in _WHERE:
            raise AttributeError(f"module 'netstack.router.policy' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"netstack.router.policy.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
