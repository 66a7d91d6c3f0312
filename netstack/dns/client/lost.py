"""What breaks on the way to a server that is asked over a stream."""

from ...errors import NetstackError


class Lost(NetstackError):
    """The stream was lost before the answer came. `again`: it was an old one, which servers close when they like."""

    def __init__(self, why: str, again: bool) -> None:
        super().__init__(why)
        self.again = again
