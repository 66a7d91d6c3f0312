"""Who runs the handlers of a listener's streams: each in a task of the net, and the next one after each rest (resting.py)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..patience import Bells
from ..resting import Work
from .servers import Server

if TYPE_CHECKING:
    from .net import Net
    from .streams import TcpStream


class Attendance:
    """Of one listener."""

    __slots__ = ("_net", "_server", "bells")

    def __init__(self, net: Net, server: Server) -> None:
        self._net = net
        self._server = server
        self.bells: Bells = net.bells

    def begin(self, stream: TcpStream, work: Work) -> None:
        """For a new one."""
        self._server.attach()
        self._net.own(self._attend(stream, work))

    def go_on(self, stream: TcpStream, work: Work) -> None:
        """For one that has rested."""
        if self._net.closed:
            stream.abort()
            self._server.detach()
        else:
            self._net.own(self._attend(stream, work))

    def end(self, stream: TcpStream) -> None:
        self._server.detach()

    async def _attend(self, stream: TcpStream, work: Work) -> None:
        try:
            await work(stream)
        except asyncio.CancelledError:
            stream.abort()
            raise
        except Exception as error:
            stream.abort()
            context = {"message": "Unhandled exception in a stream handler", "exception": error}
            self._net.loop.call_exception_handler(context)
        finally:
            if not stream.settle():
                stream.close()
                self._server.detach()
