"""What one end wants of a connection and what the other one has to give, and how the user hears of it."""

import attrs

from netstack import const

from .. import xenbus
from ..hypervisor import Hypervisor


@attrs.frozen
class Wish:
    """What the user wants of a connection; a back end may have less."""

    queues: int = 1
    split: bool = True
    gives: int = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4 | const.OFFLOAD_TSO6  # what may come
    takes: int = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4  # what is left to the back end
    steer: bool = True
    filter: bool = False  # of multicasts only those shall come whose groups the back end was told


@attrs.frozen
class Offer:
    """What a back end says that it can do."""

    queues: int
    split: bool
    sg: bool
    tso4: bool
    tso6: bool
    control: bool
    multicast: bool


@attrs.frozen
class Event:
    """Something that happened to the interface, in one sentence."""

    now: int
    what: str  # a word: found, connected, carrier, lost, refused, slow, short, steering, removed, closed
    sentence: str


def read_offer(hypervisor: Hypervisor, back: str) -> Offer:
    def flag(key: str) -> bool:
        return xenbus.read_flag(hypervisor.store, back, key)

    return Offer(
        queues=xenbus.read_number(hypervisor.store, back, "multi-queue-max-queues", 1, 1, 256),
        split=flag("feature-split-event-channels"),
        sg=flag("feature-sg"),
        tso4=flag("feature-gso-tcpv4"),
        tso6=flag("feature-gso-tcpv6"),
        control=flag("feature-ctrl-ring"),
        multicast=flag("feature-multicast-control"),
    )
