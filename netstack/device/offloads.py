"""Which offloads a device shall have: what a user says.

Kernels have had bugs here, and other things stand in for one: so each can be had or left out by name. Without a word, a device
gets all that the kernel takes; what it refuses is left out, and nothing fails.
"""

from typing import NamedTuple

from .. import const
from ..errors import UsageError

NAMES = {
    "csum": const.OFFLOAD_CSUM,
    "tso4": const.OFFLOAD_TSO4,
    "tso6": const.OFFLOAD_TSO6,
    "tso-ecn": const.OFFLOAD_TSO_ECN,
    "uso": const.OFFLOAD_USO,
}
TSO = const.OFFLOAD_TSO4 | const.OFFLOAD_TSO6
ALL = sum(NAMES.values())


class Wanted(NamedTuple):
    """OFFLOAD_* flags, and whether the user named them: then nothing may quietly do without."""

    flags: int
    demanded: bool


NONE = Wanted(0, False)


def read(said: "bool | str | None") -> Wanted:
    """`None` for whatever is there; a bool, or what stands behind `offload=` in a SPEC. Raises UsageError."""
    if said is None:
        return Wanted(ALL, False)
    word = str(said).lower()
    if word in ("yes", "on", "true", "1"):
        return Wanted(ALL, True)
    if word in ("no", "off", "false", "0"):
        return NONE
    flags = 0
    for name in word.split(","):
        if name not in NAMES:
            raise UsageError(f"offload={said} is not possible: write yes, no, or some of {','.join(NAMES)}")
        flags |= NAMES[name]
    if not flags & const.OFFLOAD_CSUM:
        raise UsageError(f"offload={said} is not possible: a cut segment needs its checksum, so write offload=csum,{word}")
    if flags & const.OFFLOAD_TSO_ECN and not flags & TSO:
        raise UsageError(f"offload={said} is not possible: tso-ecn is a kind of tso4 and tso6, so name one of them as well")
    return Wanted(flags, True)


def show(flags: int) -> str:
    """In the form that `read` takes: "csum,tso4", or "no"."""
    return ",".join(name for name, flag in NAMES.items() if flags & flag) or "no"
