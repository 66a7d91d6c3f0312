"""What xl writes into the store for a vif. On Xen as well as here: from a program in the domain that may, usually 0."""

from collections.abc import Mapping
from typing import NamedTuple

from ..hypervisor import Store


class Vif(NamedTuple):
    """The two folders of a vif."""

    frontend: str
    backend: str


def folders(front: int, handle: int = 0, back: int = 0) -> Vif:
    return Vif(f"/local/domain/{front}/device/vif/{handle}", f"/local/domain/{back}/backend/vif/{front}/{handle}")


def add_vif(
    store: Store,
    front: int,
    handle: int = 0,
    *,
    back: int = 0,
    mac: str = "00:16:3e:00:00:01",
    mtu: "int | None" = None,
    hotplug: bool = True,
    trusted: bool = True,
    more: "Mapping[str, str] | None" = None,
) -> Vif:
    """Both folders, with state 1, in one transaction. `hotplug` writes what the hotplug script writes when it has put the vif on a
    bridge, without which netback does not connect; `more` is for the backend's folder, as `rate`, `bridge`."""
    vif = folders(front, handle, back)
    theirs = {"frontend": vif.frontend, "frontend-id": str(front), "online": "1", "handle": str(handle), "mac": mac, "type": "vif"}
    theirs["script"] = "/etc/xen/scripts/vif-bridge"  # netback's probe fails without one
    if hotplug:
        theirs["hotplug-status"] = "connected"
    theirs |= dict(more or {}) | {"state": "1"}
    ours = {"backend": vif.backend, "backend-id": str(back), "handle": str(handle), "mac": mac, "trusted": str(int(trusted))}
    if mtu is not None:
        ours["mtu"] = str(mtu)
    ours["state"] = "1"

    def change(within: Store) -> None:
        for folder, owner, reader, texts in ((vif.frontend, front, back, ours), (vif.backend, back, front, theirs)):
            within.remove(folder)
            within.make(folder)
            within.permit(folder, owner, readers=[reader] if reader != owner else [])
            for name, text in texts.items():
                within.write(f"{folder}/{name}", text)

    store.together(change)
    return vif


def hotplug(store: Store, vif: Vif, *, connected: bool = True) -> None:
    """What the hotplug script says, which decides whether netback connects."""
    if connected:
        store.write(f"{vif.backend}/hotplug-status", "connected")
    else:
        store.remove(f"{vif.backend}/hotplug-status")


def unplug(store: Store, vif: Vif) -> None:
    """Ask that the vif be closed for good, as `xl network-detach` begins: the backend goes to Closing, the frontend follows."""

    def change(within: Store) -> None:
        within.write(f"{vif.backend}/online", "0")
        within.write(f"{vif.backend}/state", "5")

    store.together(change)


def remove_vif(store: Store, vif: Vif) -> None:
    """Both folders. Those above that are empty then stay, as xl leaves them."""

    def change(within: Store) -> None:
        within.remove(vif.frontend)
        within.remove(vif.backend)

    store.together(change)


def rename(store: Store, vif: Vif, name: str) -> None:
    """The interface's name in the backend's domain, as `vifname=` in a configuration of xl."""
    store.write(f"{vif.backend}/vifname", name)
