"""A policy as a file of Python: `netstack-tap --policy file.py`, where the file has a function `setup(router)`."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import UsageError


def load_policy(path: str) -> Callable[[Any], Any]:
    """The function `setup` of the file, which is run for it. Raises UsageError; what the file itself raises goes through."""
    if not Path(path).is_file():
        raise UsageError(f"{path} is no file: --policy wants one of Python, with a function setup(router)")
    try:
        found = runpy.run_path(path, run_name=f"policy:{Path(path).stem}")
    except SyntaxError as error:
        raise UsageError(f"{path}, line {error.lineno}: {error.msg}") from None
    setup = found.get("setup")
    if not callable(setup):
        raise UsageError(f"{path} has no function setup(router)")
    return setup  # type: ignore[no-any-return]
