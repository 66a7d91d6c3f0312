"""What goes wrong while something is fetched: in the one exception tree, each also an OSError, each with the phase it happened in.

    FetchError              phase, url; `__cause__` is what the stack said, where it said something
      ConnectFailed         the server, or the proxy, can't be reached: phase "name" or "connect"
      TlsFailed             no TLS with it; `__cause__` is a TlsError, or a CertificateError
      ProxyFailed           the proxy answered CONNECT with `status`
      FetchTimedOut         also a TimedOut
      ConnectionLost        also a BrokenError: in the midst of a request or a response
      BadResponse           what came is not HTTP, or a body that can't be decoded
      TooManyRedirects      or one that leads nowhere

What the caller did wrong is a UsageError, before anything is sent.
"""

from __future__ import annotations

import errno
from typing import Literal, TypeAlias

from ...errors import BrokenError, NetstackError, TimedOut

Phase: TypeAlias = Literal["pool", "name", "connect", "proxy", "tls", "write", "first byte", "read", "redirect", "total"]


class FetchError(NetstackError, OSError):
    """`phase` says how far it came, `url` of what."""

    number = errno.EIO

    def __init__(self, message: str, phase: Phase, url: str = "") -> None:
        OSError.__init__(self, self.number, message)
        self.phase: Phase = phase
        self.url = url


class ConnectFailed(FetchError):
    number = errno.EHOSTUNREACH


class TlsFailed(FetchError):
    number = errno.EPROTO


class ProxyFailed(FetchError):
    number = errno.ECONNREFUSED
    status = 0  # of the proxy's answer; 0 where there was none that can be read


class FetchTimedOut(FetchError, TimedOut):
    number = errno.ETIMEDOUT


class ConnectionLost(FetchError, BrokenError):
    number = errno.ECONNRESET
    unanswered = False  # no byte of an answer had come: the server may not have seen the request at all
    received = 0  # bytes of the body that came before


class BadResponse(FetchError):
    number = errno.EPROTO


class TooManyRedirects(FetchError):
    number = errno.ELOOP
