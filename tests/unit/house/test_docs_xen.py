"""The examples of docs/xen.md that need no Xen are carried out."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "xen.md").read_text("utf-8")
EXAMPLES = [text for text in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) if "simulated" in text]


SAID = ["b'hello, dom0\\n'\n", "", "hello, domain 7\n\n"]


@pytest.mark.parametrize(("example", "said"), list(zip(EXAMPLES, SAID, strict=True)), ids=["greet", "ends", "vchan"])
def test_an_example_on_the_simulated_machine_does_what_it_says(example, said, capsys):
    exec(compile(example, "docs/xen.md", "exec"), {"__name__": "docs"})
    assert capsys.readouterr().out == said
