"""From nothing to a verdict: `python -m tests.xen.run [WORD …]`.

Exit status 0 where every case passed; 1 where one failed, or no verdict came; 2 where the machine can't be made here.
"""

import argparse
import shutil
import signal
import sys
import time
from pathlib import Path

from . import machine, payload
from .image import Image, NoImage, made

LIMIT = 280.0  # seconds of the machine's life; the whole is meant to take less than five minutes


class Listener:
    """Says what the cases say, and keeps the verdict."""

    def __init__(self, started: float, loud: bool) -> None:
        self.started = started
        self.loud = loud
        self.verdict = ""

    def __call__(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "@@verdict":
            self.verdict = rest
        if word.startswith("@@") or self.loud:
            print(f"{time.monotonic() - self.started:6.1f} s  {line.removeprefix('@@ ')}", flush=True)


def made_here() -> Image:
    if shutil.which("qemu-system-x86_64") is None:
        raise NoImage("there is no qemu-system-x86_64: run `make tools` as root, or install qemu-system-x86")
    if not list((payload.ROOT / "backends/netstack_xen/libxen").glob("_libxen*.so")):
        raise NoImage("the extension over Xen's libraries was not built: install libxen-dev, then `make`")
    return made()


def packed(options: argparse.Namespace, image: Image) -> "list[bytes | Path]":
    """What domain 0 finds beside the image; what comes later counts."""
    environment = {"NETSTACK_PURE": "1" if options.pure else "0", "XEN_CASES": " ".join(options.words)}
    if options.sanitize:
        environment |= {"PYTHON": "/payload/watched", "XEN_PATIENCE": "3"}
    guest = payload.Archive()  # domain 0 starts its guests from this, and from what it was started from itself
    guest.copy(image.kernel, "guest/vmlinuz")
    if not options.words or any("image" in word for word in options.words):
        payload.appliance(guest)
    archives: list[bytes | Path] = [payload.interpreter(), payload.tree(environment), guest.pack()]
    return [*archives, payload.watched()] if options.sanitize else archives


def main(arguments: "list[str]") -> int:
    parser = argparse.ArgumentParser(prog="tests.xen.run", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("words", nargs="*", help="only cases with one of these words in their names")
    parser.add_argument("--loud", action="store_true", help="the whole console of the machine")
    parser.add_argument("--pure", action="store_true", help="the pure build of the tree")
    parser.add_argument("--sanitize", action="store_true", help="the C extension under sanitizers: not for b_guest")
    parser.add_argument("--limit", type=float, default=LIMIT, metavar="SECONDS", help="of the machine's life (%(default)g)")
    parser.add_argument("--log", type=Path, default=Path("build/xen.log"), help="where the console goes (%(default)s)")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no machine outlives this
    try:
        image = made_here()
        archives = packed(options, image)
    except NoImage as error:
        print(f"make test-xen: {error}", file=sys.stderr)
        return 2
    print(f"{time.monotonic() - started:6.1f} s  the machine starts", flush=True)
    options.log.parent.mkdir(parents=True, exist_ok=True)
    listener = Listener(started, options.loud)
    machine.boot(image, archives, options.limit, listener, options.log)
    good = listener.verdict.startswith("good")
    if not good:
        print(options.log.read_text(errors="replace").replace("\r", "")[-20000:])
        print(f"make test-xen: {listener.verdict or 'no verdict came'}; the console is in {options.log}")
    else:
        print(f"make test-xen: {listener.verdict}, {time.monotonic() - started:.0f} s in all")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
