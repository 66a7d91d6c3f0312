"""The demo's page in a real browser, over the tap: values move, a connection is picked, diagrams are drawn, no complaint."""

import json
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

VISITOR = Path(__file__).with_name("dashboard_visitor.py")


@pytest.mark.needs("chromium", "curl")
@pytest.mark.timeout(120)
def test_a_browser_sees_the_stack_at_work(netns, tmp_path):
    pytest.importorskip("playwright", reason="playwright is not installed")
    done = netns.run(sys.executable, str(VISITOR), str(tmp_path))
    assert done.returncode == 0, done.stderr[-4000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["sequence"] >= 4
    assert {path.name for path in tmp_path.glob("*.png")} == {"1280-quiet.png", "1280-light.png", "1280-dark.png", "390-dark.png"}
