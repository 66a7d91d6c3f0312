"""Bytes that wait for asyncio's StreamReader, as the chunks in which they came.

StreamReader keeps what it was fed in a bytearray, and so copies each byte three times: into it, out of it, and down to its front
now and then. Everything else about it is right, and programs know it to the letter. So it stays as it is, and `_buffer` is this:
what it uses of a bytearray, on a row of chunks.

    flat     a bytearray, the front, when somebody has searched; all searching and everything unusual is done in it
    chunks   what came later: bytes and read-only views, kept by reference; little ones are copied together

What is fed and read costs one copy, from the chunk into the bytes that `read` returns, and none where it returns the chunk. Each
byte is moved into `flat` at most once, so that a line which comes byte by byte costs what it costs in a bytearray.
"""

from collections import deque
from typing import Any

from .. import raw
from ..tcp import const as tc


class Rope:
    """A bytearray, as far as anybody can tell who doesn't ask for its type."""

    __slots__ = ("behind", "chunks", "flat", "head")

    def __init__(self) -> None:
        self.flat = bytearray()
        self.chunks: deque[bytes | bytearray | memoryview] = deque()
        self.head = 0  # bytes of the first chunk that are gone
        self.behind = 0  # bytes in the chunks

    # -- what reading in order asks for -------------------------------------------------------------------------------------------

    def extend(self, data: bytes | bytearray | memoryview) -> None:
        """`bytes` and read-only views of bytes are kept, everything else is copied."""
        n = len(data)
        if type(data) is not bytes and not (type(data) is memoryview and data.readonly and data.nbytes == n):
            data = bytes(data)
            n = len(data)
        chunks = self.chunks
        if n <= tc.JOIN and len(chunks) > 1:
            last = chunks[-1]
            if len(last) <= tc.JOIN:
                if type(last) is not bytearray:
                    last = chunks[-1] = bytearray(last)
                last.extend(data)
                self.behind += n
                return
        if n:
            chunks.append(data)
            self.behind += n

    def __len__(self) -> int:
        return len(self.flat) + self.behind

    def __getitem__(self, key: Any) -> Any:
        if type(key) is slice and key.start is None and key.step is None and type(key.stop) is int and key.stop >= 0:
            return self.front(key.stop)
        return self.whole()[key]

    def __delitem__(self, key: Any) -> None:
        if type(key) is slice and key.start is None and key.step is None and type(key.stop) is int and key.stop >= 0:
            self.drop(key.stop)
        else:
            del self.whole()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.whole()[key] = value

    def front(self, n: int) -> bytes:
        """The first `n` bytes, or all."""
        have = len(self.flat)
        if n > have + self.behind:
            n = have + self.behind
        if not n:
            return b""
        if n <= have:
            return raw.take(self.flat, 0, n)
        parts: list[bytes | bytearray | memoryview] = []
        if have:
            parts.append(self.flat)
            n -= have
        o = self.head
        for chunk in self.chunks:
            have = len(chunk) - o
            if have >= n:
                if not parts:
                    return raw.piece(chunk, o, n)
                parts.append(memoryview(chunk)[o : o + n])
                break
            parts.append(memoryview(chunk)[o:] if o else chunk)
            n -= have
            o = 0
        return b"".join(parts)

    def drop(self, n: int) -> None:
        """Delete as much."""
        have = len(self.flat)
        if n >= have + self.behind:
            self.clear()
            return
        if have:
            if n < have:
                del self.flat[:n]
                return
            self.flat = bytearray()
            n -= have
        self.behind -= n
        chunks = self.chunks
        n += self.head
        while n:
            have = len(chunks[0])
            if n < have:
                break
            chunks.popleft()
            n -= have
        self.head = n

    def clear(self) -> None:
        self.behind = 0
        self.head = 0
        self.chunks.clear()
        if self.flat:
            self.flat = bytearray()

    def __bytes__(self) -> bytes:
        return self.front(len(self.flat) + self.behind)

    # -- everything else ------------------------------------------------------------------------------------------------------

    def whole(self) -> bytearray:
        """All of it in one bytearray, this rope's own."""
        flat = self.flat
        chunks = self.chunks
        if chunks:
            o = self.head
            self.head = 0
            self.behind = 0
            for chunk in chunks:
                flat.extend(memoryview(chunk)[o:] if o else chunk)
                o = 0
            chunks.clear()
        return flat

    def find(self, what: bytes, start: int = 0) -> int:
        return self.whole().find(what, start)

    def __getattr__(self, name: str) -> Any:
        """What else a bytearray has."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.whole(), name)

    def __iter__(self) -> Any:
        return iter(bytes(self.whole()))

    def __contains__(self, what: Any) -> bool:
        return what in self.whole()

    def __eq__(self, other: object) -> bool:
        return self.whole() == other

    __hash__ = None  # type: ignore[assignment]  # as a bytearray

    def __iadd__(self, data: bytes) -> "Rope":
        self.extend(data)
        return self

    def __repr__(self) -> str:
        return repr(self.whole())
