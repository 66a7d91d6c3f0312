"""Functions that decide: plain ones and coroutines, and what happens when they fail."""

import asyncio
import inspect

import pytest
from policy_words import SITE, make_flow, make_policy

from netstack.instant import SECOND, Duration
from netstack.router.flow import Decision
from netstack.router.policy.config import PolicyConfig
from netstack.runtime.virtual import run_virtual


def decided(policy, flow=None):
    """The decision, in virtual time, and whether it was waited for."""

    async def main():
        decision = policy.decide(flow or make_flow())
        if not inspect.isawaitable(decision):
            return decision, None
        began = asyncio.get_running_loop().time()
        return await decision, asyncio.get_running_loop().time() - began

    return run_virtual(main())


ELSEWHERE = Decision.connect(to=("192.0.2.1", 1))
SAID = [(True, "connect"), (False, "deny"), (None, "deny"), (ELSEWHERE, "connect"), (Decision.deny("no"), "deny")]


@pytest.mark.parametrize(("said", "action"), SAID)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_decides_before_the_rules(said, action, is_async):
    policy = make_policy()

    def plain(flow):
        return said

    async def waits(flow):
        await asyncio.sleep(1)
        return said

    policy.on_flow(waits if is_async else plain)
    decision, took = decided(policy)
    assert decision.action == action and took == (1 if is_async else None)
    assert policy.mib.Denied == (action == "deny") and policy.mib.Allowed == (action == "connect")
    if isinstance(said, Decision):
        assert decision is said


def test_functions_are_asked_in_order_until_one_decides():
    policy, asked = make_policy("allow"), []

    @policy.on_flow
    def first(flow):
        asked.append(1)

    @policy.on_flow
    async def second(flow):
        asked.append(2)

    @policy.on_flow
    async def third(flow):
        asked.append(3)
        return False

    @policy.on_flow
    def fourth(flow):
        asked.append(4)

    decision, _ = decided(policy)
    assert decision.action == "deny" and asked == [1, 2, 3] and policy.denials()[-1].why == "hook"


def test_where_no_function_decides_the_rules_do():
    policy = make_policy()
    policy.allow(SITE)

    @policy.on_flow
    async def nothing(flow):
        return None

    assert decided(policy)[0].action == "connect"
    assert decided(policy, make_flow("192.0.2.1"))[0].action == "deny"
    assert policy.denials()[-1].why == "default"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_that_fails_denies(is_async, caplog):
    policy = make_policy("allow")

    def plain(flow):
        raise LookupError("no such thing")

    async def waits(flow):
        await asyncio.sleep(0)
        raise TimeoutError("of its own")

    policy.on_flow(waits if is_async else plain)
    decision, _ = decided(policy)
    assert decision.action == "deny" and policy.denials()[-1].why == "hook failed"
    assert policy.mib.DeniedHookFailed == 1 and "failed, so <Flow" in caplog.text


def test_a_function_that_takes_too_long_denies(caplog):
    policy = make_policy("allow", config=PolicyConfig(hook_timeout=Duration(3 * SECOND)))

    @policy.on_flow
    async def slow(flow):
        await asyncio.sleep(1000)
        return True

    decision, took = decided(policy)
    assert decision.action == "deny" and took == pytest.approx(3) and policy.denials()[-1].why == "hook timed out"
    assert policy.mib.DeniedHookTimedOut == 1


@pytest.mark.parametrize("said", [1, "allow", object()])
def test_an_answer_that_is_none_denies(said, caplog):
    policy = make_policy("allow")
    policy.on_flow(lambda flow: said)
    assert decided(policy)[0].action == "deny"
    assert "is no decision" in caplog.text


def test_true_opens_nothing_that_an_ordinary_rule_would_not():
    policy = make_policy("allow", own=["192.0.2.7"])
    policy.on_flow(lambda flow: True)
    for address in ("127.0.0.1", "169.254.169.254", "192.0.2.7"):
        assert decided(policy, make_flow(address))[0].action == "deny"
        assert policy.denials()[-1].why == "guarded"
    assert decided(policy, make_flow("10.1.1.1"))[0].action == "connect"


def test_a_spoofed_flow_is_shown_to_nobody():
    policy, shown = make_policy("allow"), []
    policy.on_flow(shown.append)
    assert decided(policy, make_flow(src="10.9.9.9"))[0].action == "deny" and not shown


def test_a_function_sees_the_names_that_the_guest_meant():
    policy, seen = make_policy(), []
    policy.on_answer("10.0.2.100", "api.example", [SITE], 60)

    @policy.on_flow
    def look(flow):
        seen.append((flow.names, flow.hostname))

    decided(policy)
    assert seen == [(("api.example",), "api.example")]


def test_a_decision_that_nobody_waits_for_any_more_is_cancelled_with_its_function():
    policy, ended = make_policy(), []

    @policy.on_flow
    async def slow(flow):
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            ended.append(True)
            raise

    async def main():
        task = asyncio.ensure_future(policy.decide(make_flow()))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main())
    assert ended == [True] and policy.mib.Denied == 0
