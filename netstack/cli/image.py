"""`netstack image`: a program, our stack and an interpreter as a machine that boots.

netstack image app.py --target qemu -o app.img --boot
netstack image app.py --target qemu -o app.img -- --its options
netstack image -m my.service --target xen -o service.img        a kernel, an initramfs and an xl.cfg
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .options import positive_seconds

if TYPE_CHECKING:
    from ..imaging.build import Image, Recipe


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "netstack image [options] -o IMAGE (FILE | -m MODULE) [-- argument ...]"
    say = parser.add_argument
    say("program", metavar="FILE", help="the program")
    say("-m", dest="module", action="store_true", help="what is named is a module, not a file")
    say("--target", choices=("qemu", "xen"), default="qemu", help="what boots it: a virtual machine, or Xen as a PV guest")
    say("-o", "--output", metavar="IMAGE", required=True, help="the file to write")
    say("--net", metavar="SPEC", help="the device (default: packet:eth0, or xen:0); without an address: DHCP")
    say("--kernel", metavar="PATH", help="vmlinuz, a package, or a folder of one (default: Debian's cloud kernel, fetched)")
    say("--include", metavar="MODULE", action="append", default=[], help="a module that no source shows; repeatable")
    say("--without", metavar="MODULE", action="append", default=[], help="one to leave out, as ssl; repeatable")
    say("--file", metavar="FILE", action="append", default=[], help="a file or folder that it reads; repeatable")
    say("--env", metavar="NAME=VALUE", action="append", default=[], help="an environment variable; repeatable")
    say("--rehearse", metavar="SECONDS", type=positive_seconds, help="run it here as long, and take what it imports, too")
    say("--append", metavar="WORDS", default="", help="more for the kernel's command line")
    say("--pack", choices=("none", "gzip", "lz4", "zstd"), default="none", help="smaller, and later: the initramfs")
    say("--unpacked-kernel", action="store_true", help="sooner, and larger: the kernel unpacked")
    say("--pure", action="store_true", help="our modules as bytecode: sooner there under emulation, slower afterwards")
    say("--list", action="store_true", help="all files, not only the sum of each part")
    say("--boot", action="store_true", help="boot it now in QEMU, on a network of QEMU's own")
    say("--forward", metavar="HERE:THERE", action="append", default=[], help="with --boot: a port of this host for one of its")
    say("arguments", nargs="*", metavar="argument", help="what the program gets")


def run(args: argparse.Namespace) -> int:
    from ..imaging.build import build
    from ..imaging.packages import find_kernel

    recipe = read(args)
    kernel = find_kernel(args.kernel)
    if args.rehearse:
        recipe = with_rehearsal(recipe, args.rehearse)
    image = build(recipe, kernel)
    written = write(image, Path(args.output))
    report(image, written, args.list)
    return boot(image, written[0], args.forward) if args.boot else tell(image, written[0])


def read(args: argparse.Namespace) -> "Recipe":
    from ..imaging.build import Recipe

    path = Path(args.program)
    if not args.module and not path.is_file():
        raise UsageError(f"there is no file {path}: a program is named, or a module with -m")
    for word in args.env:
        if "=" not in word:
            raise UsageError(f"--env {word} says no value: write NAME=VALUE")
    return Recipe(
        args.program, args.target, args.module, tuple(args.arguments), args.net, dict(word.split("=", 1) for word in args.env),
        tuple(args.include), tuple(args.without), tuple(files(args.file)), args.pack, not args.unpacked_kernel,
        args.append, args.pure,
    )  # fmt: skip


def files(said: list[str]) -> "list[tuple[str, Path]]":
    """Name inside and place here of each file, and of all in a folder."""
    found = []
    for word in said:
        path = Path(word)
        if path.is_dir():
            found += [(str(Path(path.name) / p.relative_to(path)), p) for p in sorted(path.rglob("*")) if p.is_file()]
        elif path.is_file():
            found.append((path.name, path))
        else:
            raise UsageError(f"there is no file {path} to take along")
    return found


def with_rehearsal(recipe: "Recipe", seconds: float) -> "Recipe":
    import attrs

    from ..imaging.rehearsal import rehearse

    return attrs.evolve(recipe, include=(*recipe.include, *rehearse(recipe, seconds)))


def write(image: "Image", output: Path) -> list[Path]:
    """The files of an image, the one to name first."""
    if image.recipe.target == "qemu":
        output.write_bytes(image.data)
        return [output]
    from ..imaging.xen import write_pair

    return write_pair(image, output)


def report(image: "Image", written: list[Path], every: bool) -> None:
    if every:
        for name, (data, _) in sorted(image.contents.files.items()):
            print(f"{len(data):>10}  {name}")
        print()
    for part, size in sorted(image.contents.weights.items(), key=lambda item: -item[1]):
        print(f"{size / 1e6:8.1f} MB  {part}")
    print(f"{image.initramfs / 1e6:8.1f} MB  initramfs: {len(image.contents.files)} files, {len(image.closure.modules)} modules")
    for path in written:
        print(f"{path.stat().st_size / 1e6:8.1f} MB  {path}")


def tell(image: "Image", path: Path) -> int:
    from ..imaging.boot import qemu, shown

    if image.recipe.target == "qemu":
        print(f"boot it: {shown(qemu(path))}")
    else:
        print(f"boot it, as root in dom0: xl create -c {path.with_suffix('.cfg')}")
    return 0


def boot(image: "Image", path: Path, forwards: list[str]) -> int:
    """Run it; the exit status is that of the program inside."""
    from ..imaging.boot import USER_NET, qemu, shown
    from ..imaging.verdict import Verdict

    if image.recipe.target != "qemu":
        raise UsageError("--boot starts images for QEMU: one for Xen is started in dom0, with xl create")
    netdev = USER_NET
    for word in forwards:
        here, colon, there = word.partition(":")
        if not (colon and here.isdigit() and there.isdigit()):
            raise UsageError(f"--forward {word} is not two ports: write 8080:80")
        netdev += f",hostfwd=tcp:127.0.0.1:{here}-:{there}"
    words = qemu(path, netdev=netdev, extra=("-accel", "kvm:tcg") if os.access("/dev/kvm", os.W_OK) else ())
    print(f"boot: {shown(words)}", flush=True)
    began = time.monotonic()
    verdict = Verdict()
    try:
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as machine:
            assert machine.stdout is not None
            for line in machine.stdout:
                sys.stdout.write(line.decode("utf-8", "replace"))
                sys.stdout.flush()
                verdict.hear(line)
    except FileNotFoundError:
        raise UsageError("qemu-system-x86_64 is not installed: apt-get install qemu-system-x86") from None
    if verdict.status is None:
        print(f"netstack: the machine has ended after {time.monotonic() - began:.1f} s without saying how", file=sys.stderr)
        return 1
    return verdict.status
