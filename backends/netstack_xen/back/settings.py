"""What a frontend has said that it wants, read from its folder in one transaction, and what a backend says before."""

from collections.abc import Mapping

import attrs

from netstack.errors import WireError

from .. import xenbus
from ..hypervisor import Store


@attrs.frozen
class QueueKeys:
    """Grants of the two rings, and the frontend's ports; the same port twice where it has one for both."""

    tx_ref: int
    rx_ref: int
    tx_port: int
    rx_port: int


@attrs.frozen
class Settings:
    """What the frontend takes: undone checksums, a frame in several buffers (`pieces`), super-segments; `notifies` when it has given
    buffers. `control` is grant and port of the control ring."""

    queues: tuple[QueueKeys, ...]
    control: tuple[int, int] | None
    blank4: bool
    blank6: bool
    pieces: bool
    gso4: bool
    gso6: bool
    notifies: bool
    filtered: bool


def features(queues: int, split: bool, control: bool, units: bool) -> Mapping[str, str]:
    """What Linux's netback says of itself, without the room before received data that XDP wants. `units` are super-segments."""
    said = {
        "feature-sg": True,
        "feature-gso-tcpv4": units,
        "feature-gso-tcpv6": units,
        "feature-ipv6-csum-offload": True,
        "feature-rx-copy": True,
        "feature-rx-flip": False,
        "feature-multicast-control": True,
        "feature-dynamic-multicast-control": True,
        "feature-split-event-channels": split,
        "feature-ctrl-ring": control,
    }
    return {key: str(int(value)) for key, value in said.items()} | {"multi-queue-max-queues": str(queues)}


def read(store: Store, folder: str, most: int) -> Settings:
    """Raises WireError, with a sentence for the frontend's owner, where no connection can be made of it; `most` queues at most."""
    found: list[Settings] = []
    store.together(lambda t: found.append(_read(t, folder, most)))
    return found[-1]


def _read(store: Store, folder: str, most: int) -> Settings:
    def flag(key: str) -> bool:
        return xenbus.read_flag(store, folder, key)

    count = xenbus.read_number(store, folder, "multi-queue-num-queues", 1)
    if not 1 <= count <= most:
        raise WireError(f"the frontend asks for {count} queues, and 1 to {most} are possible")
    if not flag("request-rx-copy"):
        raise WireError("the frontend does not say request-rx-copy = 1: pages that change hands (rx-flip) are not possible")
    folders = [folder] if count == 1 else [f"{folder}/queue-{n}" for n in range(count)]
    control_ref = _optional(store, folder, "ctrl-ring-ref")
    pieces = flag("feature-sg")
    return Settings(
        queues=tuple(_read_queue(store, each) for each in folders),
        control=None if control_ref is None else (control_ref, _needed(store, folder, "event-channel-ctrl")),
        blank4=not flag("feature-no-csum-offload"),
        blank6=flag("feature-ipv6-csum-offload"),
        pieces=pieces,
        gso4=pieces and flag("feature-gso-tcpv4"),
        gso6=pieces and flag("feature-gso-tcpv6"),
        notifies=flag("feature-rx-notify"),
        filtered=flag("request-multicast-control"),
    )


def _read_queue(store: Store, folder: str) -> QueueKeys:
    tx_port, rx_port = (_optional(store, folder, f"event-channel-{way}") for way in ("tx", "rx"))
    if tx_port is None or rx_port is None:
        tx_port = rx_port = _needed(store, folder, "event-channel")
    return QueueKeys(_needed(store, folder, "tx-ring-ref"), _needed(store, folder, "rx-ring-ref"), tx_port, rx_port)


def _optional(store: Store, folder: str, key: str) -> "int | None":
    value = xenbus.read_number(store, folder, key, -1)
    return None if value < 0 else value


def _needed(store: Store, folder: str, key: str) -> int:
    value = _optional(store, folder, key)
    if value is None:
        raise WireError(f"the frontend has not written a number into {folder}/{key}")
    return value
