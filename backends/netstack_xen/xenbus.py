"""How the two ends of a device find each other and agree, through the store (xen/io/xenbus.h).

Each end has a folder of its own, which it alone writes and the other one reads: `/local/domain/F/device/vif/0` is the front's,
`/local/domain/B/backend/vif/F/0` the back's. In either stands a `state`, and each end goes on when it sees the other's.

    toolstack   both 1                                          makes the folders
    back        1 -> 2            says what it can do
    front       1 -> 4            has granted its pages, and says their numbers
    back        2 -> 4            has mapped them
    to close    front 4 -> 5, back 5; front 6, back 6           and, to begin again, front 1, back 2

The functions here take a folder, and raise what the store raises. What stands in the store was written by another domain: text that
is no number is as good as none.
"""

from enum import IntEnum

from .hypervisor import Store


class State(IntEnum):
    UNKNOWN = 0  # nothing there
    INITIALISING = 1
    INIT_WAIT = 2
    INITIALISED = 3
    CONNECTED = 4
    CLOSING = 5
    CLOSED = 6
    RECONFIGURING = 7
    RECONFIGURED = 8


def domain_folder(domid: int) -> str:
    return f"/local/domain/{domid}"


def front_folder(domid: int, handle: int, kind: str = "vif") -> str:
    return f"/local/domain/{domid}/device/{kind}/{handle}"


def back_folder(domid: int, front: int, handle: int, kind: str = "vif") -> str:
    """Of the backend in `domid`, for the frontend in `front`."""
    return f"/local/domain/{domid}/backend/{kind}/{front}/{handle}"


def number(text: "str | None", default: int, low: int = 0, high: int = 0xFFFFFFFF) -> int:
    """Decimal text between these bounds, else `default`."""
    if text is None:
        return default
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 20 and low <= int(text) <= high:
        return int(text)
    return default


def read_number(store: Store, folder: str, key: str, default: int = 0, low: int = 0, high: int = 0xFFFFFFFF) -> int:
    return number(store.read(f"{folder}/{key}"), default, low, high)


def read_flag(store: Store, folder: str, key: str, default: bool = False) -> bool:
    return read_number(store, folder, key, int(default)) != 0


def read_state(store: Store, folder: str) -> State:
    return State(read_number(store, folder, "state", 0, 0, 8))


def switch(store: Store, folder: str, state: State) -> bool:
    """Go on to `state`. False where the folder has none any more: the device was removed, and must not rise again as a lone
    node."""
    there = False

    def change(t: Store) -> None:
        nonlocal there
        text = t.read(f"{folder}/state")
        there = text is not None
        if text is not None and text != str(int(state)):
            t.write(f"{folder}/state", str(int(state)))

    store.together(change)
    return there


def complain(store: Store, folder: str, sentence: str) -> None:
    """Leave an error where an administrator looks for it: `error/…` of the domain's own folder. Nothing happens where that is
    full."""
    domain, found, device = folder.partition("/device/")
    if not found:
        domain, found, device = folder.partition("/backend/")
    try:
        store.write(f"{domain}/error{found}{device}/error", sentence)
    except OSError:
        return
