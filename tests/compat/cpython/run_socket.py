"""Runs classes of the interpreter's own `test.test_socket`, on a net of one's own or on the kernel; JSON on standard output.

    python -m tests.compat.cpython.run_socket stack|kernel CLASS…

`{"outcomes": {"Class.test": "pass" | "skip" | "fail: what was raised"}, "kernel_sockets": [families that C made]}`. On the stack
`socket.socket` is substituted before test_socket is imported, and an audit hook writes down each AF_INET or AF_INET6 socket that is
made in C all the same.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import unittest
from typing import Any

import netstack
from netstack.testing.wire import Wire

INET = (2, 10)


class Outcomes(unittest.TestResult):
    def __init__(self) -> None:
        super().__init__()
        self.outcomes: dict[str, str] = {}

    def _set(self, test: Any, outcome: str) -> None:
        name = ".".join(str(test.id()).split(".")[-2:])
        if not self.outcomes.get(name, "").startswith("fail"):
            self.outcomes[name] = outcome

    def addSuccess(self, test: Any) -> None:
        self._set(test, "pass")

    def addSkip(self, test: Any, reason: str) -> None:
        self._set(test, "skip")

    def addFailure(self, test: Any, err: Any) -> None:
        self._set(test, "fail: " + f"{err[0].__name__}: {err[1]}".splitlines()[0])
        if "-v" in sys.argv:
            print(self._exc_info_to_string(err, test), file=sys.stderr)  # type: ignore[attr-defined]

    addError = addFailure

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self.addFailure(test, err)

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        if "-v" in sys.argv:
            print(test.id(), file=sys.stderr, flush=True)


def run(where: str, names: list[str]) -> dict[str, Any]:
    made: list[int] = []

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "socket.__new__" and args[1] in INET and sys._getframe(1).f_locals.get("fileno") is None:
            made.append(int(args[1]))  # with a descriptor it is a name for one that is there already

    with contextlib.ExitStack() as stack:
        if where == "stack":
            sys.addaudithook(hook)
            net = stack.enter_context(netstack.open_blocking(Wire().port("lonely"), addresses=["10.0.0.1/24"]))
            stack.enter_context(netstack.patch(net))
        module = importlib.import_module("test.test_socket")
        module.setUpModule() if hasattr(module, "setUpModule") else None
        loader = unittest.defaultTestLoader
        result = Outcomes()
        for name in names:
            loader.loadTestsFromName(name, module).run(result)
        unittest.doModuleCleanups()
        kernel_sockets = made[:]
    return {"outcomes": result.outcomes, "kernel_sockets": kernel_sockets}


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "-v"]
    print(json.dumps(run(words[0], words[1:])))
