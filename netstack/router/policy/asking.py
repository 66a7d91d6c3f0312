"""Asking functions of the program's what becomes of a flow. Whatever goes wrong with them denies: a policy that fails, fails
closed."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...instant import SECOND
from ..flow import Decision, Flow

if TYPE_CHECKING:
    from .judge import Judge

log = logging.getLogger("netstack.policy")

Hook = Callable[[Flow], Any]


def ask(judge: Judge, hooks: Sequence[Hook], flow: Flow) -> Decision | Awaitable[Decision]:
    """The decision of the first that has one, or of the rules; to be awaited where one of them is a coroutine."""
    for at, hook in enumerate(hooks):
        try:
            said = hook(flow)
        except Exception as error:
            return failed(judge, hook, flow, error)
        if inspect.isawaitable(said):
            return wait(judge, hooks[at + 1 :], hook, said, flow)
        if (decision := understood(judge, hook, flow, said)) is not None:
            return judge.shared(flow, decision)
    return judge.shared(flow, judge.judge(flow))


class TookTooLong(Exception):
    """A function of the program's, and not something that it waited for."""


async def within(judge: Judge, said: Awaitable[Any]) -> Any:
    """What a coroutine says, in time. Raises TookTooLong, and what the coroutine raises."""
    try:
        async with asyncio.timeout(judge.config.hook_timeout / SECOND) as limit:
            return await said
    except TimeoutError:
        if limit.expired():
            raise TookTooLong(f"it took longer than {judge.config.hook_timeout / SECOND:g} s") from None
        raise


async def wait(judge: Judge, rest: Sequence[Hook], hook: Hook, said: Awaitable[Any], flow: Flow) -> Decision:
    try:
        value = await within(judge, said)
    except Exception as error:
        return failed(judge, hook, flow, error)
    if (decision := understood(judge, hook, flow, value)) is not None:
        return judge.shared(flow, decision)
    later = ask(judge, rest, flow)
    return later if isinstance(later, Decision) else await later


def understood(judge: Judge, hook: Hook, flow: Flow, said: Any) -> Decision | None:
    """What a function has said, as a decision; None: it leaves it to the next."""
    if said is None:
        return None
    if isinstance(said, Decision):
        if said.action == "deny":
            judge.denied(flow, "hook", said.reason or f"{name_of(hook)} says no")
        else:
            judge.mib.Allowed += 1
        return said
    if said is True:
        return judge.waved(flow)
    if said is False:
        judge.denied(flow, "hook", f"{name_of(hook)} says no")
        return Decision.deny(flow.note)
    return failed(judge, hook, flow, TypeError(f"{said!r} is no decision: return a Decision, True, False or None"))


def failed(judge: Judge, hook: Hook, flow: Flow, error: Exception) -> Decision:
    tell(judge, hook, flow, flow, error)
    return Decision.deny(flow.note)


def tell(judge: Judge, hook: Callable[..., Any], flow: Flow, what: object, error: Exception, name: str = "") -> None:
    """A function failed, or took too long, to decide about `what`, which is denied."""
    if isinstance(error, TookTooLong):
        judge.denied(flow, "hook timed out", f"{name_of(hook)}: {error}", name)
        log.error("%s took too long, so %r is denied", name_of(hook), what)
    else:
        judge.denied(flow, "hook failed", f"{name_of(hook)} failed: {type(error).__name__}", name)
        log.error("%s failed, so %r is denied", name_of(hook), what, exc_info=error)


def name_of(hook: Callable[..., Any]) -> str:
    """For people."""
    return getattr(hook, "__name__", "") or type(hook).__name__
