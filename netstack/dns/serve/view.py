"""What a server shows to some clients and not to others: split horizons."""

from collections.abc import Iterable

from ..authority.zone import Zone
from ..authority.zones import Zones
from ..resolve.job import Finder
from .client import Networks
from .handlers import Handler, Handlers


class View:
    """Zones, callbacks and a finder for the clients of some networks: `View(["10.0.0.0/8"], zones=[inside])`.

    The first view that has the client's network is his; the others don't exist for him.
    """

    def __init__(
        self,
        networks: Iterable[str] = ("any",),
        zones: Zones | Iterable[Zone] = (),
        *,
        handler: Handler | None = None,
        finder: Finder | None = None,
    ) -> None:
        self.networks = Networks(networks)
        self.zones = zones if isinstance(zones, Zones) else Zones(zones)
        self.handlers = Handlers()
        self.finder = finder
        if handler is not None:
            self.handlers.add("*.", handler)
