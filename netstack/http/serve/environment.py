"""What all connections of a server share."""

from collections.abc import Callable
from importlib.util import find_spec

from attrs import frozen

from ...instant import Instant
from ...runtime.waits import Waits
from ..config import HttpConfig
from ..h2.windows import Room
from ..mib import HttpMib
from .accesslog import Access
from .exchange import Application


def http2_available() -> bool:
    """The library is installed; this loads nothing."""
    return find_spec("h2") is not None


@frozen
class Environment:
    """What all connections of a server share."""

    application: Application
    config: HttpConfig
    clock: Callable[[], Instant]
    date: Callable[[], bytes]
    mib: HttpMib
    closing_at: Callable[[], Instant | None]  # the end of the grace, once the server is closing
    waits: Callable[[], Waits]
    access: Access | None = None
    room: Room | None = None  # by which windows of HTTP/2 may grow
