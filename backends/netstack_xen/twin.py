"""The functions of `shm` and `slots`, callable from Python in both builds: compiled they are the C, which is what a test
compares."""

from . import shm, slots


def load8(m: memoryview, o: int) -> int:
    return shm.load8(m, o)


def store8(m: memoryview, o: int, v: int) -> None:
    shm.store8(m, o, v)


def load16(m: memoryview, o: int) -> int:
    return shm.load16(m, o)


def store16(m: memoryview, o: int, v: int) -> None:
    shm.store16(m, o, v)


def load32(m: memoryview, o: int) -> int:
    return shm.load32(m, o)


def store32(m: memoryview, o: int, v: int) -> None:
    shm.store32(m, o, v)


def acquire32(m: memoryview, o: int) -> int:
    return shm.acquire32(m, o)


def release32(m: memoryview, o: int, v: int) -> None:
    shm.release32(m, o, v)


def barrier() -> None:
    shm.barrier()


def or8(m: memoryview, o: int, v: int) -> int:
    return shm.or8(m, o, v)


def and8(m: memoryview, o: int, v: int) -> int:
    return shm.and8(m, o, v)


def fill(m: memoryview, o: int, data: "bytes | bytearray | memoryview", at: int, n: int) -> None:
    shm.fill(m, o, data, at, n)


def copy(m: memoryview, o: int, b: bytearray, at: int, n: int) -> None:
    shm.copy(m, o, b, at, n)


def take(m: memoryview, o: int, n: int) -> bytes:
    return shm.take(m, o, n)


def clear(m: memoryview, o: int, n: int) -> None:
    shm.clear(m, o, n)


def get_tx(m: memoryview, o: int) -> tuple[int, int, int, int, int]:
    return slots.get_tx(m, o)


def put_tx(m: memoryview, o: int, gref: int, offset: int, flags: int, id: int, size: int) -> None:
    slots.put_tx(m, o, gref, offset, flags, id, size)


def get_tx_response(m: memoryview, o: int) -> tuple[int, int]:
    return slots.get_tx_response(m, o)


def put_tx_response(m: memoryview, o: int, id: int, status: int) -> None:
    slots.put_tx_response(m, o, id, status)


def get_rx(m: memoryview, o: int) -> tuple[int, int]:
    return slots.get_rx(m, o)


def put_rx(m: memoryview, o: int, id: int, gref: int) -> None:
    slots.put_rx(m, o, id, gref)


def get_rx_response(m: memoryview, o: int) -> tuple[int, int, int, int]:
    return slots.get_rx_response(m, o)


def put_rx_response(m: memoryview, o: int, id: int, offset: int, flags: int, status: int) -> None:
    slots.put_rx_response(m, o, id, offset, flags, status)


def get_extra(m: memoryview, o: int) -> tuple[int, int, int]:
    return slots.get_extra(m, o)


def put_extra(m: memoryview, o: int, type: int, flags: int, rest: int) -> None:
    slots.put_extra(m, o, type, flags, rest)


def gso(size: int, kind: int) -> int:
    return slots.gso(size, kind)


def gso_size(rest: int) -> int:
    return slots.gso_size(rest)


def gso_kind(rest: int) -> int:
    return slots.gso_kind(rest)


def gso_features(rest: int) -> int:
    return slots.gso_features(rest)
