"""The examples, in memory: a host with its name and its site, and another that looks it up and reads it."""

import importlib.util
import ssl
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trustme

import netstack
from netstack.http import StaticFiles
from netstack.testing.net import World

EXAMPLES = Path(__file__).parents[3] / "examples"
NAME = "www.example"


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield EXAMPLES
    for name in ("homepage", "gitpage"):
        sys.modules.pop(name, None)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def fetch(stack: Any, port: int, path: str, *fields: str) -> tuple[int, str, bytes]:
    """Status, head and body, from the host with that name."""
    stream = await stack.connect_stream(NAME, port)
    try:
        await stream.send_all("\r\n".join([f"GET {path} HTTP/1.1", f"Host: {NAME}", "Connection: close", *fields, "\r\n"]).encode())
        said = b""
        while piece := await stream.receive():
            said += piece
    finally:
        await stream.aclose()
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body


def visit(site: Any, visitor: Any, contexts: tuple[ssl.SSLContext, ssl.SSLContext] | None = None) -> None:
    """`visitor` with a net on which the name is known, and TLS over it."""
    module = load("homepage")
    server_context, client_context = contexts or (None, None)

    async def main() -> None:
        world = World(seed=7)
        server, client = world.host("server"), world.host("client")
        async with netstack.open_world(world), module.homepage(server.net, site, NAME, server_context):
            client.net.dns = [str(server.address.address)]
            await visitor(client.net, netstack.Tls(client.net, client=client_context) if client_context else None)

    netstack.run_virtual(main())


def test_the_homepage_fits_a_screen() -> None:
    assert len((EXAMPLES / "homepage.py").read_text().splitlines()) < 60


def test_the_homepage_has_a_name_and_pages_with_tls_and_without(examples: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>home</h1>")
    (tmp_path / "style.css").write_text("h1 { color: teal }")
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert(NAME).configure_cert(server)
    authority.configure_trust(client)

    async def visitor(net: Any, tls: Any) -> None:
        assert len((await net.resolve(NAME)).addresses) == 1
        for stack, port in ((net, 80), (tls, 443)):
            status, head, body = await fetch(stack, port, "/")
            assert (status, body) == (200, b"<h1>home</h1>")
            assert "Content-Type: text/html; charset=utf-8" in head
            assert (await fetch(stack, port, "/style.css"))[2] == b"h1 { color: teal }"
            assert (await fetch(stack, port, "/nothing"))[0] == 404

    visit(StaticFiles(tmp_path, listing=False), visitor, (server, client))


def commit(repo: Any, files: dict[str, bytes], branch: bytes) -> None:
    """A bare repository's branch becomes these files, a link and a submodule."""
    from dulwich.objects import Blob, Commit, Tree

    root, sub = Tree(), Tree()
    for path, data in files.items():
        blob = Blob.from_string(data)
        repo.object_store.add_object(blob)
        folder, _, name = path.rpartition("/")
        (sub if folder else root).add(name.encode(), 0o100644, blob.id)
    link = Blob.from_string(b"../../etc/passwd")
    repo.object_store.add_object(link)
    root.add(b"link", 0o120000, link.id)
    root.add(b"module", 0o160000, b"1" * 40)
    repo.object_store.add_object(sub)
    root.add(b"sub", 0o040000, sub.id)
    repo.object_store.add_object(root)
    made = Commit()
    made.tree = root.id
    made.author = made.committer = b"A <a@example>"
    made.commit_time = made.author_time = 784111777
    made.commit_timezone = made.author_timezone = 0
    made.message = b"a page"
    repo.object_store.add_object(made)
    repo.refs[b"refs/heads/" + branch] = made.id


def test_the_same_serves_a_branch_and_what_is_pushed_to_it(examples: Path) -> None:
    pytest.importorskip("dulwich")
    from dulwich.repo import Repo

    module = load("gitpage")
    with tempfile.TemporaryDirectory() as folder:
        repo = Repo.init_bare(folder)
        commit(repo, {"index.html": b"first", "sub/index.html": b"below", "sub/a.css": b"css"}, b"pages")
        site = module.GitBranch(folder, "pages")

        async def visitor(net: Any, _: Any) -> None:
            status, head, body = await fetch(net, 80, "/")
            assert (status, body) == (200, b"first")
            tag = next(line.partition(": ")[2] for line in head.splitlines() if line.startswith("ETag"))
            assert (await fetch(net, 80, "/", f"If-None-Match: {tag}"))[0] == 304
            assert (await fetch(net, 80, "/index.html"))[2] == b"first"
            assert (await fetch(net, 80, "/sub/a.css"))[2] == b"css"
            assert (await fetch(net, 80, "/sub/"))[2] == b"below"
            status, head, _ = await fetch(net, 80, "/sub")
            assert status == 301
            assert "Location: /sub/\r\n" in head + "\r\n"
            for path in ("/link", "/module", "/module/x", "/index.html/", "/index.html/x", "/../x", "/no", "/%00", "/sub%2fa.css"):
                assert (await fetch(net, 80, path))[0] == 404, path
            commit(repo, {"index.html": b"second"}, b"pages")
            assert (await fetch(net, 80, "/", f"If-None-Match: {tag}"))[2] == b"second"

        try:
            visit(site, visitor)
        finally:
            site.close()
            repo.close()


def test_a_branch_that_is_not_there_has_no_pages(examples: Path) -> None:
    pytest.importorskip("dulwich")
    from dulwich.repo import Repo

    module = load("gitpage")
    with tempfile.TemporaryDirectory() as folder:
        Repo.init_bare(folder).close()
        site = module.GitBranch(folder)

        async def visitor(net: Any, _: Any) -> None:
            assert (await fetch(net, 80, "/"))[0] == 404

        try:
            visit(site, visitor)
        finally:
            site.close()
