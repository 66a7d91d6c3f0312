"""Nets without a device worth the name, for sockets that block: a host alone with its loopback, in a thread of its own."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import netstack
from netstack.testing.wire import Wire

HOST = "10.0.0.1"


@contextlib.contextmanager
def lonely_net() -> Iterator[Any]:
    """It leaves no thread, no descriptor and no warning behind."""
    gc.collect()
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with netstack.open_blocking(Wire().port("lonely"), addresses=[f"{HOST}/24"]) as net:
            yield net
        gc.collect()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors, os.listdir("/proc/self/fd")


class Thread(threading.Thread):
    """Runs `work()`; `result()` joins, and gives its value or raises what it raised."""

    def __init__(self, work: Callable[..., Any], *args: Any) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._args = args
        self.value: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.value = self._work(*self._args)
        except BaseException as error:
            self.error = error
        finally:
            del self._work, self._args

    def result(self, timeout: float = 20) -> Any:
        self.join(timeout)
        assert not self.is_alive(), "the thread did not end"
        if self.error is not None:
            try:
                raise self.error
            finally:
                self.error = None
        return self.value


def pair(net: Any) -> tuple[Any, Any]:
    """Two connected sockets."""
    with net.create_server((HOST, 0)) as listener:
        near = net.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return near, far
