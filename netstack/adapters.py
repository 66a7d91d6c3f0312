"""Where compiled cores meet plain Python: each adapter is a core that calls the methods of an ordinary object.

A Python class can't override a `cdef` method, so whoever writes a sink or a user in Python hands it to one of these. 24-70 ns
a call (cython-patterns: bound and looked-up calls), paid only by those who use them.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from . import raw
from .cores import DatagramCatcher, DatagramUser, Frame, FrameSink, IpError, NetifCore, Out, StreamUser


class FrameHandler(Protocol):
    """What `PySink` calls."""

    def on_frame(self, frame: bytes, now: int, /) -> None: ...
    def on_flush(self, now: int, /) -> None: ...


class PySink(FrameSink):
    """Hands frames, as bytes, to a Python object: for wrappers and tools that sit on a netif."""

    __slots__ = ("handler",)

    def __init__(self, handler: FrameHandler) -> None:
        self.handler = handler

    def input(self, f: Frame) -> None:
        self.handler.on_frame(raw.take(f.buf, f.off, f.end - f.off), f.now)

    def flush(self, now: int) -> None:
        self.handler.on_flush(now)


class FramePort:
    """Sends whole frames into a netif from Python: the counterpart of `PySink`."""

    __slots__ = ("core", "out")

    def __init__(self, core: NetifCore) -> None:
        self.core = core
        self.out = Out()

    def send(self, frame: bytes, now: int) -> None:
        p = self.out
        p.reset()
        p.data = frame
        p.n = raw.size(frame)
        self.core.send(p, now)
        p.data = None

    def send_out(self, p: Out, now: int) -> None:
        """Send a packet as the caller laid it out, with what it asks of the device."""
        self.core.send(p, now)


class Observer(Protocol):
    """What `TeeSink` and `TeePort` call. Frame and Out are good only during the call, and not to be changed. One that has a method
    `on_taken(now)` is called when the layers above have done with a frame, too."""

    def on_input(self, f: Frame, /) -> None: ...
    def on_flush(self, now: int, /) -> None: ...
    def on_send(self, p: Out, now: int, /) -> None: ...


class TeeSink(FrameSink):
    """Shows each frame to a Python object and passes the same frame on, whatever the device said about it."""

    __slots__ = ("observer", "sink", "taken")

    def __init__(self, observer: Observer, sink: FrameSink) -> None:
        self.observer = observer
        self.sink = sink
        self.taken: Callable[[int], None] | None = getattr(observer, "on_taken", None)

    def input(self, f: Frame) -> None:
        now = f.now
        self.observer.on_input(f)
        self.sink.input(f)
        if self.taken is not None:
            self.taken(now)

    def flush(self, now: int) -> None:
        self.sink.flush(now)
        self.observer.on_flush(now)


class TeePort(NetifCore):
    """The same for what is sent: the object sees it first, and offloads stay as they are."""

    __slots__ = ("core", "observer")

    def __init__(self, observer: Observer, core: NetifCore) -> None:
        self.observer = observer
        self.core = core

    def send(self, p: Out, now: int) -> None:
        self.observer.on_send(p, now)
        self.core.send(p, now)


class StreamHandler(Protocol):
    """What `PyStreamUser` calls; see `cores.StreamUser` for when."""

    def on_connected(self, now: int, /) -> None: ...
    def on_data(self, data: bytes, now: int, /) -> None: ...
    def on_eof(self, now: int, /) -> None: ...
    def on_writable(self, now: int, /) -> None: ...
    def on_closed(self, error: Exception | None, now: int, /) -> None: ...


class Several:
    """Observers that look at the same frames, one after the other."""

    def __init__(self, observers: "Sequence[Observer]") -> None:
        self.observers = tuple(observers)
        self.takers = [observer.on_taken for observer in self.observers if hasattr(observer, "on_taken")]

    def on_input(self, f: Frame) -> None:
        for observer in self.observers:
            observer.on_input(f)

    def on_taken(self, now: int) -> None:
        for taken in self.takers:
            taken(now)

    def on_flush(self, now: int) -> None:
        for observer in self.observers:
            observer.on_flush(now)

    def on_send(self, p: Out, now: int) -> None:
        for observer in self.observers:
            observer.on_send(p, now)


class PyStreamUser(StreamUser):
    """A connection's user written in Python; one copy out of the slab for each delivery."""

    __slots__ = ("handler",)

    def __init__(self, handler: StreamHandler) -> None:
        self.handler = handler

    def connected(self, now: int) -> None:
        self.handler.on_connected(now)

    def data(self, f: Frame, n: int, now: int) -> None:
        self.handler.on_data(raw.take(f.buf, f.off, n), now)

    def queued(self, data: bytes, now: int) -> None:
        self.handler.on_data(data, now)

    def eof(self, now: int) -> None:
        self.handler.on_eof(now)

    def writable(self, now: int) -> None:
        self.handler.on_writable(now)

    def closed(self, error: "Exception | None", now: int) -> None:
        self.handler.on_closed(error, now)


class DatagramHandler(Protocol):
    """What `PyDatagramUser` calls; addresses are ints."""

    def on_datagram(self, data: bytes, address: int, port: int, now: int, /) -> None: ...
    def on_error(self, error: Exception, address: int, port: int, now: int, /) -> None: ...


class PyDatagramUser(DatagramUser):
    """A UDP port's user written in Python."""

    __slots__ = ("handler",)

    def __init__(self, handler: DatagramHandler) -> None:
        self.handler = handler

    def datagram(self, f: Frame, sport: int, now: int) -> None:
        self.handler.on_datagram(raw.take(f.buf, f.off, f.end - f.off), f.src, sport, now)

    def error(self, e: Exception, address: int, port: int, now: int) -> None:
        self.handler.on_error(e, address, port, now)


class CatchHandler(Protocol):
    """What `PyDatagramCatcher` calls; addresses are ints."""

    def on_caught(self, data: bytes, src: int, sport: int, dst: int, dport: int, ttl: int, now: int, /) -> None: ...
    def on_error(self, e: IpError, sport: int, dport: int, now: int, /) -> None: ...


class PyDatagramCatcher(DatagramCatcher):
    """Who catches datagrams, written in Python: one call for each."""

    __slots__ = ("handler",)

    def __init__(self, handler: CatchHandler) -> None:
        self.handler = handler

    def caught(self, f: Frame, sport: int, dport: int, now: int) -> None:
        size = f.gso or f.end - f.off or 1
        for o in range(f.off, max(f.end, f.off + 1), size):
            self.handler.on_caught(raw.take(f.buf, o, min(size, f.end - o)), f.src, sport, f.dst, dport, f.ttl, now)

    def error(self, e: IpError, sport: int, dport: int, now: int) -> None:
        self.handler.on_error(e, sport, dport, now)
