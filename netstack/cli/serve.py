"""`netstack serve`: an ASGI application, or the files of a folder, over HTTP on a stack of our own.

netstack serve --root site --netif tap:tap0 --address 10.79.0.2/24
netstack serve app:app --netif posix --port 8000
netstack serve app:app --cert cert.pem --key key.pem --netif tap:tap0?address=10.79.0.2/24
"""

import argparse
import importlib
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..errors import UsageError
from .options import add_net_options, port_number, size
from .service import run_service
from .web import http_server

if TYPE_CHECKING:
    from ssl import SSLContext

    from ..http.config import HttpConfig
    from ..http.serve.exchange import Application
    from ..runtime.asyncio import Net


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("app", metavar="MODULE:NAME", nargs="?", help="an ASGI application; without one, a folder is served")
    parser.add_argument("--root", metavar="DIR", help="the folder (default: this one)")
    parser.add_argument("--host", metavar="IP", default="", help="serve on this address alone (default: on all)")
    parser.add_argument("--port", metavar="N", type=port_number, help="(80, or 443 with --cert)")
    parser.add_argument("--cert", metavar="FILE", help="certificate chain in PEM form: serve HTTPS")
    parser.add_argument("--key", metavar="FILE", help="its private key, where the certificate's file does not hold it")
    largest = "of a request, as in 20g; more is refused with 413 (a folder: 1g, an application: it is the judge)"
    parser.add_argument("--max-body", metavar="SIZE", type=size, help=largest)
    parser.add_argument(
        "--access-log", metavar="FILE", nargs="?", const="-", help="a line for each response (to FILE, or standard output)"
    )
    folder = parser.add_argument_group("a folder")
    folder.add_argument("--upload", action="store_true", help="let clients PUT files into the folder")
    app = parser.add_argument_group("an application")
    app.add_argument("--app-dir", metavar="DIR", default=".", help="where the module is looked for first (default: here)")
    app.add_argument("--factory", action="store_true", help="NAME is a function without arguments that makes the application")
    app.add_argument("--lifespan", choices=("auto", "on", "off"), default="auto", help="must it take part in its lifespan? (auto)")
    app.add_argument("--root-path", metavar="PATH", default="", help="where a proxy in front has mounted it")
    add_net_options(parser)


def run(args: argparse.Namespace) -> int:
    what, application = _application(args) if args.app else _folder(args)
    context = _context(args)
    config = _config(args)
    port = args.port or (443 if context else 80)

    @asynccontextmanager
    async def serving(net: "Net") -> AsyncIterator[str]:
        with _log(args.access_log) as log:
            access = None
            if log is not None:
                from ..http.serve.accesslog import writer

                access = writer(log, time.time)
            server = http_server(net, port, application=application, host=args.host, context=context, access=access, config=config)
            async with server:
                host = args.host or (net.addresses[0].partition("/")[0] if net.addresses else "127.0.0.1")
                scheme, usual = ("https", 443) if context else ("http", 80)
                yield f"serving {what} at {scheme}://{host}{'' if port == usual else f':{port}'}/"

    return run_service(args, serving)


def _config(args: argparse.Namespace) -> "HttpConfig":
    """An application reads a body piece by piece and stops when it likes; a folder would keep what comes."""
    from ..http.config import MAX_BODY, HttpConfig, HttpLimits

    largest = args.max_body if args.max_body is not None else MAX_BODY if args.app else HttpLimits().body
    return HttpConfig(limits=HttpLimits(body=min(largest, MAX_BODY)))


def _folder(args: argparse.Namespace) -> "tuple[str, Application]":
    if args.factory or args.root_path:
        raise UsageError("--factory and --root-path are for applications: name one, as in netstack serve app:app")
    root = Path(args.root or ".")
    if not root.is_dir():
        raise UsageError(f"--root {args.root} is not a folder: name one that exists")
    from ..http.serve.application import handler_application
    from ..http.serve.files import StaticFiles

    return str(root.resolve()), handler_application(StaticFiles(root, upload=args.upload))


def _application(args: argparse.Namespace) -> "tuple[str, Application]":
    if args.root is not None or args.upload:
        raise UsageError("--root and --upload are for folders: an application serves what it likes")
    from ..http.serve.asgi import Asgi

    return args.app, Asgi(load(args.app, args.app_dir, args.factory), lifespan=args.lifespan, root_path=args.root_path)


def load(name: str, folder: str, factory: bool) -> Callable[..., Any]:
    """What `name`, like `package.module:attribute.of`, stands for. Raises UsageError; what the module itself raises goes on."""
    module_name, colon, path = name.partition(":")
    if not colon or not module_name or not path:
        raise UsageError(f"{name!r} is not an application: write MODULE:NAME, as in app:app")
    sys.path.insert(0, folder)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise
        raise UsageError(f"there is no module {error.name} here or on Python's path: where it is, say with --app-dir") from None
    for part in path.split("."):
        if not hasattr(found, part):
            raise UsageError(f"the module {module_name} has no {path}: name the variable that holds the application")
        found = getattr(found, part)
    if factory:
        found = found()
    if not callable(found):
        raise UsageError(f"{name} is not an ASGI application: it can't be called")
    application: Callable[..., Any] = found
    return application


def _context(args: argparse.Namespace) -> "SSLContext | None":
    if args.cert is None:
        if args.key is not None:
            raise UsageError("--key without --cert: name the certificate, too")
        return None
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(args.cert, args.key)
    except OSError as error:
        if not isinstance(error, ssl.SSLError):
            raise UsageError(f"--cert {args.cert}{f' --key {args.key}' if args.key else ''}: {error.strerror}") from None
        raise UsageError(f"--cert {args.cert} is not a certificate with its key: {error.reason or error}") from None
    return context


@contextmanager
def _log(name: str | None) -> Iterator[IO[str] | None]:
    """Standard output for "-", a file that is appended to, or nothing."""
    if name is None or name == "-":
        yield sys.stdout if name else None
        return
    with open(name, "a", encoding="utf-8") as file:
        yield file
