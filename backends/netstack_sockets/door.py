"""How a net learns of the transports that the loop makes for it."""

import asyncio
from collections.abc import Callable


class Door(asyncio.Protocol):
    """Stands in for a protocol until there is a connection; then tells of the transport, and is gone."""

    def __init__(self, tell: Callable[[asyncio.BaseTransport], None], protocol: asyncio.BaseProtocol) -> None:
        self._tell = tell
        self._protocol = protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.set_protocol(self._protocol)
        self._tell(transport)
        self._protocol.connection_made(transport)
