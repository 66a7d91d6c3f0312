"""How the rooms of the reader say no to each other. The reader turns it into a `Refusal` event: it never leaves the reader."""

from ..errors import WireError


class Refused(WireError):
    """`status` is the answer, `reason` a sentence without any of the peer's bytes."""

    def __init__(self, status: int, reason: str, truncated: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.truncated = truncated
