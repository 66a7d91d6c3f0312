"""One conversation that a guest begins, and what is decided about it.

A `Flow` is born with the guest's SYN, first datagram or first echo request, before anything was answered. A `Gate` decides:
connect, take, or deny. Whatever becomes of it, the gate is told of its end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol

import attrs

from ..errors import UsageError
from .conversation import Flow as Flow
from .conversation import Proto as Proto
from .conversation import State as State
from .policy.bucket import Share

How = Literal["reset", "unreachable", "drop"]

# `inspect(flow, first, final)`: may this go on, going by the bytes that the guest sent first? None: it takes more to tell; with
# `final` there will be no more, and None means no
Inspect = Callable[["Flow", bytes, bool], "bool | None"]
Handler = Callable[..., Awaitable[object]]


@attrs.frozen
class Decision:
    """What becomes of a flow. Made by `connect`, `take` and `deny`."""

    action: Literal["connect", "take", "deny"]
    to: tuple[str, int] | str | None = None
    rate: int | None = None
    inspect: Inspect | None = None
    handler: Handler | None = None
    reason: str = ""
    how: How = "reset"
    share: Share | None = None

    @staticmethod
    def connect(
        to: tuple[str, int] | str | None = None,
        *,
        rate: int | None = None,
        inspect: Inspect | None = None,
        handler: Handler | None = None,
        share: Share | None = None,
    ) -> Decision:
        """Go on to `to`, an address or name and a port, or "unix:/path"; None: where the guest wanted to go.

        `rate` bounds each way in bytes a second, `share` is a bound in common with other flows over TCP. `inspect` reads the
        first bytes of a TCP flow before any of them is passed on. `handler(flow, guest, far)` is a coroutine that has both streams
        in place of the relay.
        """
        if isinstance(to, str) and not to.startswith("unix:/"):
            raise UsageError(f"{to!r} is nowhere to connect to: give (address, port), or unix:/path/of/a/socket")
        if rate is not None and rate <= 0:
            raise UsageError(f"a rate of {rate} carries nothing: give bytes a second, or None for no limit")
        return Decision("connect", to, rate, inspect, handler, share=share)

    @staticmethod
    def take(handler: Handler) -> Decision:
        """Be the far end ourselves: `handler(flow, guest)` has the guest's stream, and no socket of the host is opened."""
        return Decision("take", handler=handler)

    @staticmethod
    def deny(reason: str, how: How = "reset") -> Decision:
        """`reset` is a refusal (for UDP: port unreachable), `unreachable` says administratively prohibited, `drop` says nothing."""
        return Decision("deny", reason=reason, how=how)


class Gate(Protocol):
    """Who decides."""

    def decide(self, flow: Flow) -> Decision | Awaitable[Decision]:
        """At once where nobody else must be asked: an awaitable costs a task for each flow."""

    def over(self, flow: Flow) -> Any:
        """The flow has ended, or was denied, or never came to be: `flow.state` and `flow.note` say which."""
