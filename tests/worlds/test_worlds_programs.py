"""Five programs as people write them, in hard times. The stories and what must come of them: stories.py."""

import os
import subprocess
import sys

import pytest

for package in ("aiohttp", "asyncssh", "redis", "trio", "websockets"):
    pytest.importorskip(package)

from tests.worlds import stories  # noqa: E402  # which imports them

hard_times = pytest.mark.netsim(seed=7, **stories.WEATHER)


@hard_times
async def test_an_aiohttp_client_with_retries_sells_each_order_once(netsim, tmp_path):
    await stories.sells_tea(netsim, tmp_path)


@hard_times
async def test_redis_clients_count_every_visitor_once(netsim, tmp_path):
    await stories.counts_visitors(netsim, tmp_path)


@hard_times
async def test_an_asyncssh_session_comes_back_and_misses_nothing(netsim, tmp_path):
    await stories.follows_a_log(netsim, tmp_path)


@hard_times
async def test_a_chat_of_ten_hosts_over_websockets_hears_the_same(netsim, tmp_path):
    await stories.chats(netsim, tmp_path)


@hard_times
@pytest.mark.trio
async def test_a_service_in_trio_has_all_its_jobs_done(netsim, tmp_path):
    await stories.shares_work(netsim, tmp_path)


@pytest.mark.once
@pytest.mark.parametrize("name", stories.STORIES)
def test_runs_of_one_seed_are_identical_to_the_byte(name, tmp_path):
    first = stories.told(name, tmp_path, 7)
    assert first.seconds > 120
    assert first.frames > 200
    assert {stories.told(name, tmp_path, 7).digest for _ in range(2)} == {first.digest}
    if name == "redis":
        assert stories.told(name, tmp_path, 8).digest != first.digest


@pytest.mark.once
def test_in_other_processes_too_with_other_hashes_and_on_both_builds(tmp_path):
    """What Python makes of a set of strings or of objects, and where in memory they are, is another thing in each of these."""
    command = [sys.executable, "-m", "tests.worlds.campaign", "all", "1", "7"]
    others = [{"PYTHONHASHSEED": "1", "NETSTACK_PURE": "1"}, {"PYTHONHASHSEED": "2", "NETSTACK_PURE": "0"}]
    runs = [
        subprocess.Popen(command, env={**os.environ, "PYTHONPATH": ".:backends", **other}, stdout=subprocess.PIPE, text=True)
        for other in others
    ]
    here = {name: stories.told(name, tmp_path, 7).digest for name in stories.STORIES}
    for run in runs:
        printed, _ = run.communicate(timeout=50)
        assert run.returncode == 0
        assert {line.split()[0]: line.split()[1] for line in printed.splitlines()} == here
