"""asyncio's SSLProtocol as it runs over our transports: see asynciotls.py, which imports this for the first connection in TLS."""

from __future__ import annotations

from asyncio.sslproto import SSLProtocol
from typing import Any


class TlsProtocol(SSLProtocol):
    """asyncio's own, with three mistakes mended that lose data, or a connection, where the peer's end follows closely upon what the
    program has not read yet. Over our transports they show, because frames arrive before the loop's callbacks and not between."""

    def _do_flush(self: Any) -> None:
        """Behind the peer's end: first everything is read, whatever the size of a BufferedProtocol's buffer, and nothing is thrown
        away because a callback of `resume_reading` comes after the program has paused again."""
        if self._eof_received:
            left = None
            while not self._app_reading_paused and left != (left := self._incoming.pending + self._sslobj.pending()) and left:
                self._do_read()
            if self._app_reading_paused:
                return  # it is resumed, or closed
        SSLProtocol._do_flush(self)  # type: ignore[attr-defined]  # what the types don't know of

    def _start_shutdown(self: Any) -> None:
        """Closed by a program that will not resume any more: without this, nobody ever closed the connection."""
        app = self._app_transport
        if self._state.name == "FLUSHING" and self._eof_received and self._app_reading_paused and app is not None and app._closed:
            self._app_reading_paused = False
            SSLProtocol._do_flush(self)  # type: ignore[attr-defined]  # as above
        else:
            SSLProtocol._start_shutdown(self)
