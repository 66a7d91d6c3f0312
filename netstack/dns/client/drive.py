"""Drives a job (resolve/job.py) over any datagrams and streams, on asyncio and trio: sockets, a clock and nothing else.

A datagram goes from a port of its own, connected to the server, which is closed when the attempt is over: so nobody else's
datagrams come in, what ICMP says is about this attempt (RFC 5452 9.2, RFC 1122 4.1.3.3), and what comes late finds nobody. Streams
are kept and shared (pipes.py).
"""

from __future__ import annotations

import ssl
from typing import Generic, TypeVar

from ...errors import AddressInUse, ClosedError, TimedOut
from ...instant import Duration
from ...runtime.waits import Waits, waits_here
from ...signatures import Address, Datagrams, DatagramStack, StreamStack
from ..resolve.job import Job, Outcome, Settled, Step
from ..resolve.query import SendDatagram, SendStream
from .lost import Lost
from .pipes import Pipes, said

D_co = TypeVar("D_co", bound=DatagramStack, covariant=True)
S_co = TypeVar("S_co", bound=StreamStack, covariant=True)


class Driver(Generic[D_co, S_co]):
    """`tls` is the context for servers that want TLS (`Upstream.tls`); without one it is `ssl.create_default_context()`.

    Any number of jobs may run at once: who starts them bounds them. Each has one port or one place on a stream.
    """

    def __init__(self, datagrams: D_co, streams: S_co, waits: Waits | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self._datagrams = datagrams
        self._waits = waits
        self._pipes = Pipes(streams, tls)
        self._closed = False

    @property
    def datagrams(self) -> D_co:
        return self._datagrams

    @property
    def streams(self) -> S_co:
        return self._pipes.streams

    @property
    def waits(self) -> Waits:
        """The runtime's, found out when they are first needed."""
        if self._waits is None:
            self._waits = waits_here()
        return self._waits

    async def run(self, job: Job) -> Outcome:
        """Until the job is settled. Cancelled, it cancels the job. Raises ClosedError after `aclose`."""
        waits = self.waits
        try:
            step = job.start(waits.now())
            while not isinstance(step, Settled):
                if self._closed:
                    raise ClosedError("this resolver is closed")
                if isinstance(step, SendDatagram):
                    step = await self._by_datagram(job, step)
                else:
                    step = await self._by_stream(job, step)
        except BaseException:
            job.cancel()
            raise
        return step.outcome

    async def aclose(self) -> None:
        """Streams are closed, and jobs that are under way raise ClosedError at their next step. Twice is once."""
        self._closed = True
        await self._pipes.aclose()

    # -- over UDP -------------------------------------------------------------------------------------------------------------

    async def _by_datagram(self, job: Job, send: SendDatagram) -> Step:
        waits = self.waits
        try:
            port = await self._port(job, send.source, (send.server.address, send.server.port))
        except OSError as error:
            return job.failed(waits.now(), said(error)) or await self._nothing(job)
        try:
            number = port.local_address[1]
            try:
                await port.send(send.data)
            except OSError as error:
                step = job.failed(waits.now(), said(error))
                if step is not None:
                    return step
            while True:
                left = _left(job, waits.now())
                step = None
                try:
                    data, (address, from_port) = await port.receive(left)
                    step = job.datagram(waits.now(), data, address, from_port, number)
                except TimedOut:
                    step = job.expired(_late(job, waits.now()))
                except OSError as error:  # of a connected port: the quoted datagram was ours
                    step = job.failed(waits.now(), said(error))
                if step is not None:
                    return step
        finally:
            with waits.shield():
                await port.aclose()

    async def _port(self, job: Job, source: int, remote: Address) -> Datagrams:
        """The port that the job wants, or, where somebody has it, one of the stack's choice."""
        try:
            return await self._datagrams.bind_datagrams(source, remote=remote)
        except (AddressInUse, PermissionError):
            port = await self._datagrams.bind_datagrams(0, remote=remote)
        job.moved(port.local_address[1])
        return port

    async def _nothing(self, job: Job) -> Step:
        """The job goes on waiting, though nothing can come."""
        waits = self.waits
        while True:
            try:
                await waits.wait(waits.event(), _left(job, waits.now()))
            except TimedOut:
                step = job.expired(_late(job, waits.now()))
                if step is not None:
                    return step

    # -- over TCP, TLS and HTTPS ----------------------------------------------------------------------------------------------

    async def _by_stream(self, job: Job, send: SendStream) -> Step:
        waits = self.waits
        while True:
            with self._pipes.ask(send.server, send.data, waits) as asked:
                while True:
                    try:
                        data = await asked.answer(_left(job, waits.now()))
                        step = job.message(waits.now(), data)
                    except TimedOut:
                        step = job.expired(_late(job, waits.now()))
                    except Lost as lost:
                        if lost.again:
                            break  # the server had closed a stream that was idle (RFC 7766 6.2.4): once more on a new one
                        step = job.failed(waits.now(), str(lost))
                        step = step or await self._nothing(job)
                    if step is not None:
                        return step


def _left(job: Job, now: int) -> Duration:
    assert job.deadline is not None  # something is under way
    return Duration(max(job.deadline - now, 0))


def _late(job: Job, now: int) -> int:
    """A timer fires at its deadline or after it, whatever the clock's last digit says."""
    return now if job.deadline is None else max(now, job.deadline)
