"""The matrix runs in a network namespace of its own, where the kernel's loopback is a witness: see witness.py."""

import gc
import os
from collections.abc import Iterator

import pytest

from tests.compat import witness


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "root_tap: makes a tap in the namespace of this very process, which takes root")


@pytest.fixture(scope="package", autouse=True)
def namespace() -> Iterator[bool]:
    gc.collect()
    gc.freeze()  # a collection after each cell costs what the cell made, not what all these programs imported
    with witness.own_namespace() as own:
        yield own
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _what_taps_need(request: pytest.FixtureRequest, namespace: bool) -> None:
    if request.node.get_closest_marker("root_tap") is None:
        return
    if not namespace:
        pytest.skip("no network namespace for this process: run as root")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("/dev/net/tun can't be opened: modprobe tun; in a container pass --device /dev/net/tun")
