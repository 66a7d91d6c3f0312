"""Every TCP flow runs with sequence numbers that lie in the middle, that pass 2**31 and that pass 2**32 within its first bytes.

Those with many segments in flight also run with `within`, where 2**32 lies between the fourth and the fifth of them: a module asks
for it by `pytestmark = pytest.mark.parametrize("script", ISS, indirect=True)`.
"""

from collections.abc import Callable
from typing import Any

import pytest

from netstack.testing.script import TcpScript

ISS = {"plain": (1_000_000, 5_000_000), "half": (2**31 - 3, 2**32 - 3), "wrap": (2**32 - 3, 2**31 - 3)}
WITHIN = {"within": (2**32 - 5100, 2**31 - 5100)}


@pytest.fixture(params=ISS)
def script(request: pytest.FixtureRequest) -> Callable[..., TcpScript]:
    """Makes a scripted peer; keywords go to TcpScript."""
    local_iss, peer_iss = (ISS | WITHIN)[request.param]

    def make(**options: Any) -> TcpScript:
        return TcpScript(local_iss=local_iss, peer_iss=peer_iss, **options)

    return make


@pytest.fixture
def peer(script: Callable[..., TcpScript]) -> TcpScript:
    return script()
