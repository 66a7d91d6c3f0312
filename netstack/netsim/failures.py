"""What goes wrong in a test world and nowhere else."""

from ..errors import NetstackError


class HostCrashed(NetstackError, ConnectionError):
    """The host on which it ran has crashed: what waits for a program there gets this instead of its result."""
