"""Counters: one slotted object for each MIB group, plain integers, named as the kernel names them.

Names that stand in Linux's /proc/net/snmp and /proc/net/netstat mean here what they mean there. A drop that the kernel lumps
together gets a name of its own beside them: *every* reason for discarding a packet is one counter, which tests assert and
operators read. Each room declares its group in its `mib.py`: `MEANING` says what each counter counts, attributes hold the
numbers, and the layer that owns the group increments them in place.
"""


class Group:
    """Counters that belong together."""

    __slots__ = ()

    MEANING: dict[str, str] = {}

    def snapshot(self) -> dict[str, int]:
        """Names and values, in the order of declaration."""
        return {name: getattr(self, name) for name in self.MEANING}
