"""How a transfer ended, in curl's numbers."""

from __future__ import annotations

import ssl

from ...http.client.errors import (
    BadResponse,
    ConnectFailed,
    ConnectionLost,
    FetchError,
    FetchTimedOut,
    ProxyFailed,
    TlsFailed,
    TooManyRedirects,
)


class Ended(Exception):
    """A transfer that failed, in curl's number and one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def blame(error: FetchError, connect_timeout: float) -> Ended:
    """What curl calls it."""
    message = error.strerror or str(error)
    causes: list[BaseException] = []
    cause: BaseException | None = error.__cause__
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__
    if isinstance(error, FetchTimedOut):
        return Ended(28, message)
    if isinstance(error, ConnectFailed):
        return Ended(6 if error.phase == "name" else 7, message)
    if isinstance(error, TlsFailed):
        refused = any(isinstance(each, ssl.SSLCertVerificationError) for each in causes)
        return Ended(60 if refused else 35, message)
    if isinstance(error, ProxyFailed):
        return Ended(56, message)
    if isinstance(error, TooManyRedirects):
        return Ended(1 if "can't be fetched" in message else 47, message)
    if isinstance(error, ConnectionLost):
        if error.unanswered and not causes:
            return Ended(52, "Empty reply from server")
        if error.phase == "read" and not causes:
            return Ended(18, "transfer closed with outstanding read data remaining")
        return Ended(56, message)
    if isinstance(error, BadResponse):
        if any(type(each).__name__ == "CodingError" for each in causes):
            return Ended(61, message)
        if "not HTTP" in message:
            return Ended(1, message)
        return Ended(56 if error.phase == "read" else 8, message)
    return Ended(56, message)
