"""Which room may say what: the pure ones neither wait nor look at a clock, and the faces name no runtime."""

import ast
from pathlib import Path

import pytest

import netstack.http

ROOMS = Path(netstack.http.__file__).parent
FACES = {"serve", "client", "dashboard"}  # folders
WAITING_FILES = {"ws/socket.py", "ws/client.py"}  # faces in a pure folder
WAITING = {"asyncio", "trio", "anyio", "threading", "time", "socket", "select", "selectors", "random", "ssl", "concurrent"}
WORLD = WAITING | {"os", "logging", "io", "pathlib"}


@pytest.mark.parametrize("path", sorted(ROOMS.rglob("*.py")), ids=lambda path: "/".join(path.parts[-2:]))
def test_a_room_imports_only_what_its_floor_allows(path: Path) -> None:
    face = path.parent.name in FACES or "/".join(path.parts[-2:]) in WAITING_FILES
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        for name in names:
            allowed = name == "ssl" and path.parent.name == "client"  # who makes a context when the user gives none
            assert allowed or name.split(".")[0] not in (WAITING if face else WORLD), f"{path.name} imports {name}"
        if not face:
            assert not isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith), f"{path.name} waits"
        if isinstance(node, ast.ImportFrom) and node.level and not face and path.parent != ROOMS:
            assert (node.module or "").split(".")[0] not in FACES, f"{path.name} imports a face"


def test_the_public_names_are_there() -> None:
    for name in netstack.http.__all__:
        assert getattr(netstack.http, name).__name__ == name
    with pytest.raises(AttributeError, match="Nothing"):
        netstack.http.Nothing  # type: ignore[attr-defined]  # noqa: B018
