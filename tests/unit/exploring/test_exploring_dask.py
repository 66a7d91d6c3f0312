"""A cluster instead of a pool: what dies there is run again, and nothing is lost."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from typing import Any

import explored_scenarios as scenarios
import pytest

from netstack.testing import explore

pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("ignore::ResourceWarning")]  # Dask's own sockets, at its end


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Any]:
    """Two workers, each a process of its own that its nanny replaces."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXPLORED_ONCE", str(tmp_path / "once"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dask = pytest.importorskip("dask")
        distributed = pytest.importorskip("distributed")
        quick = {
            "distributed.scheduler.allowed-failures": 0,  # one death is told at once, or it would take four to name a culprit
            "distributed.worker.memory.terminate": False,
            "distributed.admin.log-length": 0,
        }
        with (
            dask.config.set(quick),
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=logging.CRITICAL
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client


def test_a_worker_of_a_cluster_that_dies_loses_no_result(cluster):
    """Seed 5 kills each worker that tries it, seed 8 the first one only."""
    with cluster.get_executor() as executor:
        report = explore(scenarios.kills, seeds=24, executor=executor, stop_after=2, progress=False, captures=None, shrink=False)
    (failure,) = report.failures
    assert (failure.kind, failure.seeds) == ("died", [5])
    assert report.cases == 24
    assert report.failed == 1
    assert report.deaths >= 2
    assert "its process" in str(failure)


@pytest.mark.timeout(120)
def test_a_cluster_finds_what_one_process_finds(cluster):
    arguments: dict[str, Any] = {"schedules": "partition", "progress": False, "captures": None}
    here = explore(scenarios.two_holders, **arguments, jobs=0)
    with cluster.get_executor() as executor:
        there = explore(scenarios.two_holders, **arguments, executor=executor)
    assert [(f.found, f.case, f.digest) for f in there.failures] == [(f.found, f.case, f.digest) for f in here.failures]
