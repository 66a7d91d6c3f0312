"""A cluster instead of a pool: what dies there is run again, and nothing is lost."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import explored_scenarios as scenarios
import pytest

from netstack.testing import explore

pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("ignore::ResourceWarning")]  # Dask's own sockets, at its end


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two workers, each a process of its own that its nanny replaces."""
    os.environ["EXPLORED_ONCE"] = str(tmp_path_factory.mktemp("explored") / "once")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dask = pytest.importorskip("dask")
        distributed = pytest.importorskip("distributed")
        quick = {"distributed.scheduler.allowed-failures": 0}  # one death is told at once: it would take four to name a culprit
        made = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": logging.CRITICAL}
        with dask.config.set(quick), distributed.LocalCluster(processes=True, **made) as local, distributed.Client(local) as client:
            yield client
    del os.environ["EXPLORED_ONCE"]


def test_a_cluster_finds_what_one_process_finds(cluster):
    arguments: dict[str, Any] = {"schedules": "partition", "progress": False, "captures": None}
    here = explore(scenarios.two_holders, **arguments, jobs=0)
    there = explore(scenarios.two_holders, **arguments, executor=cluster.get_executor())
    assert [(f.found, f.case, f.digest) for f in there.failures] == [(f.found, f.case, f.digest) for f in here.failures]


def test_a_worker_of_a_cluster_that_dies_loses_no_result(cluster):
    """Seed 5 kills each worker that tries it, seed 8 the first one only."""
    arguments: dict[str, Any] = {"progress": False, "captures": None, "shrink": False}
    report = explore(scenarios.kills, seeds=10, executor=cluster.get_executor(), stop_after=2, **arguments)
    (failure,) = report.failures
    assert (failure.kind, failure.seeds) == ("died", [5])
    assert report.cases == 10
    assert report.failed == 1
    assert report.deaths >= 2
    assert "its process" in str(failure)
