"""How a program in an image has ended, read from what its machine says on the console."""

from __future__ import annotations

import re

_ENDED = re.compile(rb"netstack: .* (?:has ended with status (\d+)|(was ended by|could not be started)).*good night")


class Verdict:
    """`status` is None as long as nothing was said."""

    def __init__(self) -> None:
        self.status: int | None = None

    def hear(self, line: bytes) -> None:
        found = _ENDED.search(line)
        if found is not None:
            self.status = int(found[1]) if found[1] else 1
