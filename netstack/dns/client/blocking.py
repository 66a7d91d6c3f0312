"""Drives a job with sockets that block, for threads: those of a net's blocking face, or the kernel's. As drive.py, one thing at a
time, and without streams that are kept.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Callable
from typing import Any

from ...errors import WireError
from ...instant import SECOND
from ..message import Question
from ..resolve.forward import Forwarder
from ..resolve.job import Finder, Job, Outcome, Settled, Step
from ..resolve.query import SendDatagram, SendStream
from ..stream import Deframer, frame
from .resolver import Resolver

MakeSocket = Callable[[int, int], Any]  # family and kind


class BlockingResolver:
    """For all threads of a net. What it knows is its own: the resolver's cache belongs to the thread of its loop."""

    def __init__(self, make: MakeSocket, clock: Callable[[], int]) -> None:
        self._make = make
        self._clock = clock
        self._lock = threading.Lock()
        self._of: Finder | None = None
        self._finder: Finder | None = None

    def seek(self, resolver: Resolver[Any, Any], question: Question) -> Outcome:
        """As the `resolver` would, which has a Forwarder."""
        with self._lock:
            resolver.refresh(self._clock())
            if self._finder is None or self._of is not resolver.finder:
                self._of = resolver.finder
                assert isinstance(self._of, Forwarder)
                self._finder = self._of.twin()
            found = self._finder.seek(question, self._clock())
        return found if isinstance(found, Outcome) else self._run(found)

    def _run(self, job: Job) -> Outcome:
        step: Step = self._tell(job.start, self._clock())
        while not isinstance(step, Settled):
            step = self._by_datagram(job, step) if isinstance(step, SendDatagram) else self._by_stream(job, step)
        return step.outcome

    def _tell(self, tell: Callable[..., Any], *said: Any) -> Any:
        """A job works on what all threads share."""
        with self._lock:
            return tell(*said)

    def _left(self, job: Job) -> float:
        assert job.deadline is not None
        return max(job.deadline - self._clock(), 1) / SECOND

    def _expired(self, job: Job) -> Step | None:
        step: Step | None = self._tell(job.expired, max(self._clock(), job.deadline or 0))
        return step

    def _failed(self, job: Job, error: OSError) -> Step:
        step: Step | None = self._tell(job.failed, self._clock(), error.strerror or str(error))
        while step is None:
            threading.Event().wait(self._left(job))
            step = self._expired(job)
        return step

    def _by_datagram(self, job: Job, send: SendDatagram) -> Step:
        address, port = send.server.address, send.server.port
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            sock = self._make(family, socket.SOCK_DGRAM)
        except OSError as error:
            return self._failed(job, error)
        with contextlib.closing(sock):
            try:
                try:
                    sock.bind(("", send.source))
                except OSError as error:
                    if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                        raise
                    sock.bind(("", 0))
                    self._tell(job.moved, sock.getsockname()[1])
                sock.connect((address, port))
                sock.send(send.data)
                number = sock.getsockname()[1]
            except OSError as error:
                return self._failed(job, error)
            while True:
                sock.settimeout(self._left(job))
                step: Step | None
                try:
                    data = sock.recv(65535)
                    step = self._tell(job.datagram, self._clock(), data, address, port, number)
                except TimeoutError:
                    step = self._expired(job)
                except OSError as error:
                    return self._failed(job, error)
                if step is not None:
                    return step

    def _by_stream(self, job: Job, send: SendStream) -> Step:
        assert send.server.tls is None  # of those the loop asks
        address, port = send.server.address, send.server.port
        try:
            sock = self._make(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        except OSError as error:
            return self._failed(job, error)
        deframer = Deframer()
        with contextlib.closing(sock):
            try:
                sock.settimeout(self._left(job))
                sock.connect((address, port))
                sock.sendall(frame(send.data))
                while True:
                    sock.settimeout(self._left(job))
                    data = sock.recv(65536)
                    if not data:
                        return self._failed(job, OSError(errno.ECONNRESET, "the server has closed the stream"))
                    for message in deframer.feed(data):
                        step: Step | None = self._tell(job.message, self._clock(), message)
                        if step is not None:
                            return step
            except TimeoutError:
                step = self._expired(job)
                return step or self._failed(job, OSError(errno.ETIMEDOUT, "no answer in time"))
            except WireError as error:
                return self._failed(job, OSError(errno.EPROTO, str(error)))
            except OSError as error:
                return self._failed(job, error)
