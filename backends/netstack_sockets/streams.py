"""A connection of the kernel's, with the verbs of our own streams.

The kernel's buffers are the queues, and its windows the brakes. What lies here is one chunk that was read and not yet received,
what a `send_all` was called with and the kernel had no room for, and what is little and waits for the end of the loop's
iteration (outbox.py). Nothing is read by a call that could be cancelled with the bytes in its hand, as `loop.sock_recv` is: the
loop tells that something can be read, what is read belongs to the stream, and the task that waits for it goes on at once
(netstack/sleeper.py).

A socket is let go of as soon as nothing more can come of it: closed and delivered, lost, or ended by both sides.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import struct
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Protocol

from netstack.errors import BrokenError, BusyError, ClosedError, UsageError
from netstack.instant import Duration
from netstack.patience import Patience
from netstack.resting import Attendance, Resting
from netstack.signatures import Address
from netstack.sleeper import Sleeper

from .outbox import Outbox
from .world import address_of, named, wait_for, wake

Buffer = bytes | bytearray | memoryview
CHUNK = 65536  # read at once: what `receive` gives unless told otherwise
VECTOR = 64  # buffers in one call; the kernel takes 1024, and a call of so many has long paid for itself
FILE_BLOCK = 1 << 20  # of a file in one call: the loop waits for the disk meanwhile, if the page cache doesn't have it
LITTLE = 16384  # up to here what is sent waits for what else is sent in this iteration of the loop
GREED = 16  # calls in a row that don't wait before others get a turn: the kernel's queue is filled while ours is emptied
RESET = struct.pack("ii", 1, 0)  # SO_LINGER that makes close() a reset
NO_SENDFILE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


class HasFileno(Protocol):
    """An open file."""

    def fileno(self) -> int: ...


class KernelStream(Resting):
    """`netstack.signatures.Stream` on a kernel's socket, and the further verbs of our `TcpStream`."""

    # beyond `signatures.Stream`, as our own streams say it
    gathers = True  # `send_all` takes several buffers in a row
    sendfile = True  # `send_file` takes no copy through this process
    keeps = True  # what a `send_all` that is cancelled or timed out was given is sent all the same

    def __init__(
        self,
        outbox: Outbox,
        sock: socket.socket,
        peer: Address,
        on_end: Callable[[KernelStream], None],
        attendance: Attendance | None = None,
    ) -> None:
        """`sock` doesn't block and is connected; `on_end` is called when it has been closed."""
        super().__init__(attendance)
        self._loop = loop = outbox.loop
        self._outbox = outbox
        self._sock = sock
        self._on_end = on_end
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._local = address_of(sock.getsockname())
        self._remote = peer
        self._gone = False  # the socket is closed
        self._closed = False  # by our user
        self._error: OSError | None = None
        self._luck = 0
        self._chunk = b""
        self._head = 0  # bytes of the chunk that were received
        self._eof = False
        self._reading = False  # the loop watches
        self._receiving = False
        self._reader = Sleeper(loop)
        self._patience = Patience(loop)
        self._queue: deque[bytes | memoryview] = deque()
        self._put_off = 0  # bytes of it that wait for the outbox, and for nothing else
        self._eof_sent = False  # by our user; the kernel hears of it …
        self._ended = False  # … behind the queue
        self._writing = False
        self._sending = False
        self._writer: asyncio.Future[None] | None = None

    @property
    def local_address(self) -> Address:
        return self._local

    @property
    def remote_address(self) -> Address:
        return self._remote

    @property
    def socket(self) -> socket.socket:
        """For options, and for nothing that transfers or closes."""
        return self._sock

    @property
    def closed(self) -> bool:
        """Has this side closed it?"""
        return self._closed

    def _broken(self) -> BrokenError:
        broken = BrokenError(f"the connection is gone: {self._error}")
        broken.__cause__ = self._error
        return broken

    async def _fair(self) -> None:
        """Called after work that did not wait."""
        self._luck += 1
        if self._luck >= GREED:
            self._luck = 0
            await asyncio.sleep(0)

    # -- receiving ----------------------------------------------------------------------------------------------------------

    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        if limit < 1:
            raise UsageError(f"receive({limit}) can't return anything: ask for one byte or more")
        if not await self._something(timeout):
            return b""
        if self._head == 0 and len(self._chunk) <= limit:
            data, self._chunk = self._chunk, b""
            return data
        return bytes(self._take(limit))

    async def receive_view(self, timeout: Duration | None = None) -> memoryview:
        """What is there, up to 64 KiB, read-only, without a copy; an empty one when the peer has ended its side. As `receive`."""
        return self._take(CHUNK) if await self._something(timeout) else memoryview(b"")

    async def receive_into(self, buffer: bytearray | memoryview, timeout: Duration | None = None) -> int:
        """Fill `buffer` with what is there, and say how much that is; 0 when the peer has ended its side. As `receive`, and
        UsageError for a buffer that can't be written or has no room."""
        view = memoryview(buffer)
        if view.readonly or not view.nbytes or not view.c_contiguous:
            raise UsageError("receive_into() needs a buffer that can be written, in one piece, with room for one byte or more")
        if not await self._something(timeout):
            return 0
        piece = self._take(view.nbytes)
        view.cast("B")[: len(piece)] = piece
        return len(piece)

    def __aiter__(self) -> KernelStream:
        """`async for segment in stream`: `receive_view` until the peer has ended its side."""
        return self

    async def __anext__(self) -> memoryview:
        segment = await self.receive_view()
        if not segment:
            raise StopAsyncIteration
        return segment

    def _take(self, limit: int) -> memoryview:
        """From the chunk, which has something."""
        piece = memoryview(self._chunk)[self._head : self._head + limit]
        self._head += len(piece)
        if self._head == len(self._chunk):
            self._chunk = b""
            self._head = 0
        return piece

    async def _something(self, timeout: Duration | None) -> bool:
        """Wait until there is a chunk. False: nothing will come, in order."""
        if self._receiving:
            raise BusyError("another task is already receiving from this stream")
        self._receiving = True
        try:
            while not self._chunk:
                if self._closed:
                    raise ClosedError("this stream is closed")
                if self._eof:
                    return False
                if self._error is not None:
                    raise self._broken()
                if not self._reading:
                    if self._read():
                        await self._fair()
                        continue
                    self._reading = True
                    self._loop.add_reader(self._sock, self._on_readable)
                self._luck = 0
                if timeout is None:
                    await self._reader
                    continue
                self._patience.begin(self._reader, timeout, "waiting for the peer to send")
                try:
                    await self._reader
                finally:
                    self._patience.end()
        finally:
            self._receiving = False
        return True

    def _read(self) -> bool:
        """What the kernel has, as the chunk; or how it ended. False: nothing yet."""
        try:
            self._chunk = self._sock.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._lose(error)
            return True
        if not self._chunk:
            self._eof = True
            self._watch_no_more_reads()
            self._check_over()
        return True

    def _on_readable(self) -> None:
        if self._chunk:  # nobody takes it: what comes stays in the kernel, and holds up the peer
            self._watch_no_more_reads()
        elif self._read():
            self.stir()
            self._reader.wake()

    def _watch_no_more_reads(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._sock)

    # -- resting --------------------------------------------------------------------------------------------------------------

    def _may_rest(self) -> bool:
        return not self._closed

    def _lie_down(self) -> bool:
        if self._chunk or self._eof or self._error is not None:
            return False
        self._patience.stop()
        if not self._reading:
            self._reading = True
            self._loop.add_reader(self._sock, self._on_readable)
        return True

    # -- sending ------------------------------------------------------------------------------------------------------------

    async def send_all(self, data: Buffer | Sequence[Buffer], timeout: Duration | None = None) -> None:
        """One buffer, or several in a row. Returns when the kernel has taken all of it, or will be given it, being little, before
        the loop waits again; as `Stream.send_all`."""
        self._check_sending()
        queue = self._queue
        size = 0
        for part in data if isinstance(data, list | tuple) else (data,):
            view = _flat(part)
            if n := len(view):
                size += n
                queue.append(view)
        if not self._writing:
            if self._put_off + size <= LITTLE:
                if size:
                    self._put_off_too(size)
                if type(data) is not bytes:
                    self._keep_queue()
                await self._fair()
                return
            self._flush()
        if self._error is not None:
            raise self._broken()
        if not self._queue:
            await self._fair()
            return
        self._keep_queue()
        await self._drained(timeout)

    async def send_file(
        self, file: int | HasFileno, offset: int = 0, count: int | None = None, timeout: Duration | None = None
    ) -> int:
        """Send `count` bytes of a regular file from `offset` on, or as many as it has, by sendfile(2); return how many that were.
        Its position is neither used nor moved. A call that fails or is cancelled may have sent some of it.

        Raises as `send_all` does, with `timeout` for each block; OSError from reading; UsageError for what is no regular file.
        """
        fd = file if isinstance(file, int) else file.fileno()
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise UsageError("send_file() sends regular files: read anything else yourself, and send_all() it")
        if offset < 0 or (count is not None and count < 0):
            raise UsageError(f"offset={offset} and count={count} must not be negative")
        self._check_sending()
        self.push()
        sent = 0
        while count is None or sent < count:
            block = FILE_BLOCK if count is None else min(FILE_BLOCK, count - sent)
            await self._drained(timeout)
            self._check_sending()  # somebody may have ended our side meanwhile
            try:
                n = os.sendfile(self._sock.fileno(), fd, offset + sent, block)
            except (BlockingIOError, InterruptedError):
                self._watch_writes()
                continue
            except OSError as error:
                if error.errno not in NO_SENDFILE:
                    if named(error, "") is error:
                        raise  # the file's
                    self._lose(error)
                    raise self._broken() from self._error
                data = await self._loop.run_in_executor(None, os.pread, fd, block, offset + sent)
                await self.send_all(data, timeout)
                n = len(data)
            if not n:
                break
            sent += n
            await self._fair()
        return sent

    async def send_eof(self) -> None:
        if not self._eof_sent and not self._closed and self._error is None:
            self._eof_sent = True
            if not self._queue:
                self._end()
            else:
                self.push()

    def _check_sending(self) -> None:
        if self._closed:
            raise ClosedError("this stream is closed")
        if self._sending:
            raise BusyError("another task is already sending on this stream")
        if self._error is not None:
            raise self._broken()
        if self._eof_sent:
            raise ClosedError("this side of the stream has been ended: send before send_eof()")

    async def _drained(self, timeout: Duration | None) -> None:
        """Until the kernel has taken what is queued, and has room if that is being watched for."""
        self._sending = True
        try:
            while self._writing:
                self._writer = self._loop.create_future()
                try:
                    await wait_for(self._writer, timeout, "waiting for the peer to read")
                finally:
                    self._writer = None
                if self._closed:
                    raise ClosedError("this stream was closed while it was sending")
                if self._error is not None:
                    raise self._broken()
        finally:
            self._sending = False

    def _put_off_too(self, size: int) -> None:
        if not self._put_off:
            self._outbox.add(self)
        self._put_off += size

    def push(self) -> None:
        """What was put off waits no longer."""
        if self._put_off:
            self._flush()

    def _keep_queue(self) -> None:
        self._queue = deque(_kept(part) for part in self._queue)

    def _flush(self) -> None:
        """Give the kernel what it takes; watch for room when it does not take all."""
        queue = self._queue
        self._put_off = 0
        while queue:
            try:
                n = self._sock.send(queue[0]) if len(queue) == 1 else self._sock.sendmsg(list(islice(queue, VECTOR)))
            except (BlockingIOError, InterruptedError):
                self._watch_writes()
                return
            except OSError as error:
                self._lose(error)
                return
            while n:
                part = queue.popleft()
                if len(part) > n:
                    queue.appendleft(memoryview(part)[n:])
                    break
                n -= len(part)
        self._watch_no_more_writes()
        if self._closed:
            self._let_go()
        elif self._eof_sent:
            self._end()
        wake(self._writer)

    def _watch_writes(self) -> None:
        if not self._writing:
            self._writing = True
            self._loop.add_writer(self._sock, self._flush)

    def _watch_no_more_writes(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._sock)

    def _end(self) -> None:
        """Our side, now that everything has gone."""
        if self._ended:
            return
        self._ended = True
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:  # reset meanwhile
            self._lose(error)
        else:
            self._check_over()

    # -- the end --------------------------------------------------------------------------------------------------------------

    def _check_over(self) -> None:
        if self._eof and self._ended:
            self._let_go()

    def _lose(self, error: OSError) -> None:
        """The kernel says that the connection is gone. What came before can still be received, and needs no socket."""
        self._error = named(error, "the connection broke")
        rest = [self._chunk[self._head :]]
        try:
            while data := self._sock.recv(CHUNK):
                rest.append(data)
        except OSError:
            pass
        self._chunk, self._head = b"".join(rest), 0
        self._let_go()

    def _let_go(self) -> None:
        """Close the socket: after what it has been given, or by a reset, as was arranged with the kernel."""
        if self._gone:
            return
        self._gone = True
        self._watch_no_more_reads()
        self._watch_no_more_writes()
        self._patience.stop()
        self._queue.clear()
        self._put_off = 0
        self._sock.close()
        self._wake()
        self._on_end(self)

    def _wake(self) -> None:
        """Whoever waits is to look again."""
        self.stir()
        self._reader.wake_soon()
        wake(self._writer)

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        if self._closed:
            return
        if self._chunk and not self._gone:
            self.abort()  # as the kernel does itself for what it still has
            return
        self._closed = True
        self._chunk = b""
        self.end_rest()
        self._watch_no_more_reads()
        self.push()
        if not self._queue:
            self._let_go()
        self._wake()

    def abort(self) -> None:
        self._closed = True
        self._chunk = b""
        self.end_rest()
        if not self._gone:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._let_go()

    @property
    def delivering(self) -> bool:
        """Closed, and not all of it is in the kernel's hands yet."""
        return self._closed and not self._gone


def _kept(data: bytes | memoryview) -> bytes | memoryview:
    """What nobody changes while it waits."""
    return data if isinstance(data, bytes) or data.readonly else bytes(data)


def _flat(data: Buffer) -> bytes | memoryview:
    """`data` as bytes that can be sent in pieces."""
    if isinstance(data, bytes):
        return data
    view = memoryview(data)
    if not view.c_contiguous:
        return bytes(view)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")
