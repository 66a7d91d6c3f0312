"""Names of a net, for faces that ask without waiting."""

from __future__ import annotations

import socket
from typing import Any

from .hostside import kernel_getaddrinfo


class Literals:
    """Addresses, and `localhost`."""

    def getaddrinfo(self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> list[Any]:
        host = "127.0.0.1" if host in ("localhost", b"localhost") else host
        return kernel_getaddrinfo(host, port, family or socket.AF_INET, type, proto, flags | socket.AI_NUMERICHOST)

    def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        return str(sockaddr[0]), str(sockaddr[1])


def names_of(net: Any) -> Any:
    return getattr(net, "names", None) or Literals()
