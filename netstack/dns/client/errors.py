"""Why there is no answer. Each is the `socket.gaierror` that programs catch, with glibc's code for it."""

from __future__ import annotations

import socket

from ...errors import NetstackError, TimedOut
from ..resolve.job import Outcome


class ResolutionError(NetstackError, socket.gaierror):
    """`outcome` is all that was found out, where anything was."""

    code = socket.EAI_FAIL

    def __init__(self, message: str, outcome: Outcome | None = None) -> None:
        OSError.__init__(self, int(self.code), message)
        self.outcome = outcome


class NameNotFound(ResolutionError):
    """There is no such name (NXDOMAIN), nor any below it (RFC 8020)."""

    code = socket.EAI_NONAME


class NoData(ResolutionError):
    """There is such a name, and nothing of this type."""

    code = getattr(socket, "EAI_NODATA", socket.EAI_NONAME)


class ServerFailure(ResolutionError):
    """The servers couldn't say; later they may."""

    code = socket.EAI_AGAIN


class LookupTimedOut(ResolutionError, TimedOut):
    """No server said anything in time."""

    code = socket.EAI_AGAIN


class Unanswerable(ResolutionError):
    """Asking again is of no use: nobody can be asked, or the answer is not lawful."""

    code = socket.EAI_FAIL
