"""How much of what a program writes may wait, as asyncio's transports count it."""

from ..errors import UsageError

TAKEN = 262144  # what a kernel's socket has room for when its connection is young; Linux lets it grow to 4 MiB


def write_limits(high: int | None, low: int | None) -> tuple[int, int]:
    """(low, high) as asyncio makes them of what `set_write_buffer_limits` was given."""
    if high is None:
        high = 65536 if low is None else 4 * low
    if low is None:
        low = high // 4
    if not high >= low >= 0:
        raise UsageError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
    return low, high
