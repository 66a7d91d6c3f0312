"""A grant, as one line of a domain's table."""


class Grant:
    """A frame of `owner` that `peer` may map by the number `ref`."""

    def __init__(self, owner: int, peer: int, ref: int, frame: int, *, writable: bool, entry: int) -> None:
        self.owner, self.peer, self.ref, self.frame, self.writable = owner, peer, ref, frame, writable
        self.entry = entry  # in the books
        self.mappings = 0
        self.dropped = False  # by its owner; the machine ends it when nobody maps it any more

    def __str__(self) -> str:
        return f"ref {self.ref} to domain {self.peer}"
