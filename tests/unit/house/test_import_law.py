"""The import law of ARCHITECTURE.md, held against every import statement of the package and the back ends.

Which module stands on which level is read from the first block under "The import law": that page is the only register.
"""

import ast
import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[3]
LEVELS = ("L0", "L1", "L2", "L3", "L4", "S", "D", "T", "L5", "L6")
MAY_IMPORT = {
    "L0": {"L0"},
    "L1": {"L0", "L1 own"},
    "L2": {"L0", "L1", "L2 own"},
    "L3": {"L0", "L1 own", "L2 own", "L3 own"},
    "L4": {"L0", "L1", "L2", "L3", "L4"},
    "S": {"L0", "L1", "L2", "L4", "S"},
    "D": {"L0", "L1", "D"},
    "T": {"L0", "L1", "L2", "L3", "L4", "S", "T"},
    "L5": {"L0", "L1", "L2", "L4", "S", "T", "L5"},
    "L6": set(LEVELS),
    "back end": {"L0", "L1", "D", "T", "back end own"},
}
FOR_STACKS = Path("netstack/runtime/waits.py")  # and, of back ends, for those that are stacks: their faces wait, on either runtime
WORLDLY = {"time", "socket", "os", "random", "asyncio", "threading", "select", "selectors", "subprocess", "signal"}
PURE = ("L0", "L1", "L2", "L3", "L4", "S")
THIRD_PARTY = {"attrs": "*", "httptools": "netstack/http/*", "pytun": "netstack_tuntap/*", "trio": "netstack/runtime/trio*"}
THIRD_PARTY["trio"] += " netstack/netsim/*"  # for who runs programs there
THIRD_PARTY["httpx"] = "netstack/http/client/httpx_transport.py"
THIRD_PARTY["wsproto"] = "netstack/http/ws/*"  # when the first WebSocket is opened
THIRD_PARTY["dns"] = "netstack/dns/authority/load.py"
THIRD_PARTY["h2"] = THIRD_PARTY["hpack"] = "netstack/http/h2/*"
THIRD_PARTY["uvloop"] = "netstack/runtime/*"  # taken where it is there: the loop below ours
THIRD_PARTY["cryptography"] = "netstack/router/policy/authority.py"  # when certificates are made
THIRD_PARTY["pytest"] = "netstack/netsim/*"  # the plug-in, which pytest imports
CIMPORTS_UNSEEN = re.compile(
    r"^\s*from\s+(?:\.\S*|netstack\w*)\s+cimport\s+(?:raw|const)\b.*$|^\s*from\s+\..*cimport.*$", re.MULTILINE
)


def expand(words: str) -> list[str]:
    """`a b/{c,d}` as a, b/c, b/d."""
    found = []
    for word in words.split():
        head, brace, tail = word.partition("{")
        names, _, rest = tail.partition("}")
        found += [head + name + rest for name in names.split(",")] if brace else [word]
    return found


def register() -> dict[str, str]:
    """Pattern of a module's path in the package (`tcp/*`, `stack`) and its level, as ARCHITECTURE.md says."""
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    block = page.partition("## The import law")[2].split("```")[1]
    levels: dict[str, str] = {}
    level = ""
    for line in block.strip("\n").splitlines():
        if match := re.match(r"(L\d|S|D|T) +\S+ +(.*)", line):
            level, line = match.groups()
        assert level, f"the import law begins with a line that names no level: {line!r}"
        for pattern in expand(line):
            assert pattern not in levels, f"{pattern} stands twice in the import law"
            levels[pattern] = level
    return levels


REGISTER = register()
SOURCES = sorted(path.relative_to(ROOT) for top in ("netstack", "backends") for path in (ROOT / top).rglob("*.py"))
MODULES = {path for path in SOURCES if path.parts[0] == "netstack"}
BACKENDS = sorted(path for path in SOURCES if path.parts[0] == "backends")


def level_of(path: Path) -> str:
    """The level of a source file, given relative to the checkout; an empty string when it is not registered."""
    if path.parts[0] == "backends":
        return "back end"
    name = "/".join(path.with_suffix("").parts[1:])
    if name.endswith("/__init__"):  # a package's own file is as high as the highest of its modules: it may name them
        room = name.removesuffix("__init__")
        inside = [level for pattern, level in REGISTER.items() if pattern.startswith(room)]
        if inside:
            return max(inside, key=LEVELS.index)
    if name in REGISTER:
        return REGISTER[name]
    return next((level for pattern, level in REGISTER.items() if "*" in pattern and fnmatchcase(name, pattern)), "")


def room_of(path: Path) -> str:
    """`tcp` for everything in netstack/tcp, the package's name for a back end, the module's own name where it stands alone."""
    return path.parts[1] if len(path.parts) > 2 else path.stem


def is_ours(name: str) -> bool:
    """A module of the package or of a back end."""
    return name.partition(".")[0].partition("_")[0] == "netstack"


def module_file(dotted: str) -> Path | None:
    """The source of `netstack.x.y` or `netstack_x.y`, or None when there is none of that name."""
    parts = dotted.split(".")
    base = Path("netstack" if parts[0] == "netstack" else f"backends/{parts[0]}", *parts[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if (ROOT / path).exists():
            return path
    return None


def dotted_name(path: Path) -> list[str]:
    parts = list(path.with_suffix("").parts)
    return parts[1:] if parts[0] == "backends" else parts


def imports(path: Path) -> list[tuple[int, str]]:
    """(line, absolute dotted name) of everything that the file imports, wherever the statement stands."""
    found: list[tuple[int, str]] = []
    package = dotted_name(path)[:-1]
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.append((node.lineno, inner if is_ours(base) and module_file(inner) else base))
    return sorted(set(found))


def test_the_rule_for_each_level_is_the_one_on_the_page():
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8").partition("## The import law")[2]
    rows = re.findall(r"^\| (L\d|S|D|T|back ends) \| (.+) \|$", page, re.MULTILINE)
    assert [name for name, _ in rows] == [*LEVELS, "back ends"]


def test_every_module_is_registered():
    strange = [str(path) for path in sorted(MODULES) if (ROOT / path).stat().st_size and not level_of(path)]
    assert not strange, (
        f"{strange} stand on no level: add them to the block under 'The import law' in ARCHITECTURE.md, in the line of their level"
    )


def test_the_register_names_only_what_exists():
    names = ["/".join(path.with_suffix("").parts[1:]) for path in MODULES]
    gone = [pattern for pattern in REGISTER if not any(fnmatchcase(name, pattern) for name in names)]
    assert not gone, f"ARCHITECTURE.md's import law names modules that are not there: {gone}"


def trespasses(path: Path) -> list[str]:
    """The imports of `path` that its level forbids."""
    level, room = level_of(path), room_of(path)
    allowed = MAY_IMPORT[level or "L0"]
    wrong = []
    for line, name in imports(path):
        if not is_ours(name):
            continue
        target = module_file(name)
        if target is None:
            wrong.append(f"{path}:{line} imports {name}, which is nowhere")
            continue
        theirs = level_of(target)
        if level == "back end" and (name == "netstack" or target == FOR_STACKS):
            continue  # the switch to the pure build stands there
        own = room_of(target) == room and target.parts[0] == path.parts[0]
        if theirs not in allowed and not (own and f"{theirs} own" in allowed):
            wrong.append(f"{path}:{line} ({level}) imports {name} ({theirs or 'not registered'})")
    return wrong


def test_imports_follow_the_law():
    wrong = [line for path in SOURCES for line in trespasses(path)]
    assert not wrong, "\n".join(wrong)


def test_nothing_below_the_faces_waits_or_asks_the_world():
    wrong = []
    for path in sorted(MODULES):
        if level_of(path) not in PURE:
            continue
        wrong += [f"{path}:{line} imports {name}" for line, name in imports(path) if name.partition(".")[0] in WORLDLY]
        waits = (ast.AsyncFor, ast.AsyncWith, ast.Await)
        declares = () if path.name == "signatures.py" else (ast.AsyncFunctionDef,)  # its Protocols say what the faces offer
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
            if isinstance(node, (*waits, *declares)):
                wrong.append(f"{path}:{node.lineno} says async or await")
    assert not wrong, "\n".join(wrong)


def test_signatures_declare_async_only_in_protocols():
    tree = ast.parse((ROOT / "netstack/signatures.py").read_text("utf-8"))
    protocols = [
        node for node in tree.body if isinstance(node, ast.ClassDef) and any(getattr(b, "id", "") == "Protocol" for b in node.bases)
    ]
    inside = {id(node) for protocol in protocols for node in ast.walk(protocol)}
    assert all(id(node) in inside for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef))


def test_the_world_outside_is_the_standard_library_and_a_short_list():
    wrong = []
    for path in SOURCES:
        where = str(path).removeprefix("backends/")
        for line, name in imports(path):
            top = name.partition(".")[0]
            allowed = any(fnmatchcase(where, pattern) for pattern in THIRD_PARTY.get(top, "").split())
            if top not in sys.stdlib_module_names and not is_ours(name) and not allowed:
                wrong.append(f"{path}:{line} imports {top}")
    assert not wrong, "\n".join(wrong)


def test_imports_inside_a_package_are_relative():
    wrong = []
    for path in SOURCES:
        own = dotted_name(path)[0]
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            wrong += [
                f"{path}:{node.lineno} imports {name} by its absolute name" for name in names if name.partition(".")[0] == own
            ]
    assert not wrong, "\n".join(wrong)


def test_a_back_end_imports_netstack_before_its_own_modules():
    """Or NETSTACK_PURE=1 would come too late for its own compiled modules."""
    for path in BACKENDS:
        ours = [name for _, name in sorted(imports(path)) if is_ours(name)] if path.name == "__init__.py" else []
        assert not ours or ours[0].partition(".")[0] == "netstack", f"{path}: import netstack first"


PXDS = sorted(path.relative_to(ROOT) for top in ("netstack", "backends") for path in (ROOT / top).rglob("*.pxd"))


def test_a_pxd_cimports_in_the_form_that_cython_tracks():
    wrong = [f"{path}: {line.strip()}" for path in PXDS for line in CIMPORTS_UNSEEN.findall((ROOT / path).read_text("utf-8"))]
    assert not wrong, f"write `cimport netstack.raw as raw`, `from netstack.cores cimport Frame`: {wrong}"


def test_a_package_with_a_pxd_has_an_empty_one_of_its_own():
    bare = sorted({str(path.parent) for path in PXDS if not (ROOT / path.parent / "__init__.pxd").exists()})
    assert not bare, f"{bare} need an empty __init__.pxd, or Cython doesn't see them as packages"


def test_the_levels_of_the_page_are_the_levels_of_this_test():
    assert set(REGISTER.values()) <= set(LEVELS)
    assert {word.removesuffix(" own") for allowed in MAY_IMPORT.values() for word in allowed} <= {*LEVELS, "back end"}
