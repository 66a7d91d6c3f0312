"""From a program to an image: what `netstack image` does, for programs and tests as well."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zlib
from pathlib import Path

from attrs import field, frozen

from ..errors import UsageError
from ..plugins import find
from . import contents as inside
from . import kernel as kernels
from . import pvh
from .closure import CORE, Closure
from .contents import Contents
from .guest import settings
from .kernel import Kernel
from .lz4 import MAGIC as LZ4

TARGETS = {"qemu": "packet:eth0", "xen": "xen:0"}
DRIVERS = {
    "qemu": ("virtio_pci", "virtio_net", "af_packet"),
    "xen": ("xen_evtchn", "xen_gntalloc", "xen_gntdev"),
}
GUEST = (
    "netstack.imaging.guest.init",
    "netstack.imaging.guest.later",
    "netstack.runtime.automatic",
    "netstack.runtime.asyncio",
    "netstack.runtime.selector",
)
BACK_ENDS = {"packet": ("netstack_packet.factory",), "xen": ("netstack_xen.factory",)}
# The garbage of imports is looked for once they are done, and what they would import for nothing is put off.
INIT = """#!/usr/bin/python{version} -ISB
import gc
gc.disable()
from netstack.imaging.guest import later
later.put_off()
from netstack.imaging.guest import init
init.main()
"""
# What a kernel does at its start that only matters to those who use its disks, its network, its keys or its tracing. Each was a
# tenth of a second or more under emulation, most of them tests of ciphers and tables of types for programs of BPF. A name that a
# kernel doesn't know is passed over by it.
SPARED = (
    "load_system_certificate_list", "crypto_kdf108_init", "init_encrypted", "init_blk_tracer", "init_kprobe_trace",
    "slab_sysfs_init", "bpf_rstat_kfunc_init", "bpf_key_sig_kfuncs_init", "cubictcp_register", "tcp_congestion_default",
    "kfunc_init", "bpf_prog_test_run_init", "bpf_tcp_ca_kfunc_init", "trace_eval_init", "tracer_init_tracefs",
    "ftrace_check_for_weak_functions",
)  # fmt: skip
QUICK = (
    "quiet panic=-1 mitigations=off ipv6.disable=1 net.ifnames=0 random.trust_cpu=on cryptomgr.notests rcupdate.rcu_expedited=1 "
    f"initcall_blacklist={','.join(SPARED)}"
)
COMMAND_LINE = {"qemu": f"console=ttyS0 tsc=unstable no_timer_check {QUICK}", "xen": f"console=hvc0 {QUICK}"}
# Where QEMU translates instructions a repetition costs what any instruction does, so that Linux and libc had better not copy byte
# by byte because the processor says that it is good at that; the page tables need no fifth level; and the BIOS's tables say of
# interrupts what running ACPI's programs for a sixth of a second would.
EMULATED = "clearcpuid=erms,fsrm,rep_good no5lvl pci=noacpi GLIBC_TUNABLES=glibc.cpu.hwcaps=-ERMS,-FSRM"
PACKINGS = ("none", "gzip", "lz4", "zstd")


@frozen
class Recipe:
    """What goes into an image. `program` is a file, or with `module` a name that can be imported.

    net       the device, a SPEC with or without address; without one ip=dhcp is meant
    include   modules that can't be seen in any source; without: modules to leave out though they are imported
    files     files that the program reads: name inside (relative to the program's folder) and the file here
    packing   of the initramfs: none, gzip, lz4, zstd
    packed    of the kernel: as small as it came, or quickest to start
    pure      our own modules as bytecode: sooner there under emulation, which has to translate compiled code that runs once; slower
              afterwards, and everywhere else
    """

    program: str
    target: str = "qemu"
    module: bool = False
    arguments: tuple[str, ...] = ()
    net: str | None = None
    environment: dict[str, str] = field(factory=dict)
    include: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    files: tuple[tuple[str, Path], ...] = ()
    packing: str = "none"
    packed: bool = True
    command_line: str = ""
    pure: bool = False


@frozen
class Image:
    """What was built. `data` is what boots: for a PVH machine all of it, for Xen's PV the initramfs beside `kernel`."""

    recipe: Recipe
    data: bytes
    kernel: Kernel
    contents: Contents
    closure: Closure
    command_line: str
    initramfs: int  # bytes, packed


def build(recipe: Recipe, kernel: Kernel) -> Image:
    """Raises UsageError for what can't be."""
    if recipe.target not in TARGETS:
        raise UsageError(f"{recipe.target!r} is no target: there are {', '.join(TARGETS)}")
    net = recipe.net or TARGETS[recipe.target]
    kind = net.partition(":")[0]
    if kind != "posix":
        find(kind)  # or one sentence that says what there is; and its package is on the path
    closure = modules_of(recipe, kind)
    made = Contents()
    inside.add_interpreter(made)
    inside.add_modules(made, closure)
    program = recipe.program if recipe.module else inside.add_program(made, Path(recipe.program))
    for name, path in recipe.files:
        made.add("program", f"{inside.APP}/{name}", path.read_bytes())
    drivers = kernels.select(kernel.modules, DRIVERS[recipe.target])
    for name, data in drivers:
        made.add("drivers", f"modules/{name}.ko", data)
    order = tuple(name for name, _ in drivers)
    said = settings.write(program, recipe.module, recipe.arguments, net, recipe.environment, order)
    made.add("start", settings_name(), said.encode())
    made.add("start", "init", INIT.format(version=inside.PYTHON.removeprefix("usr/bin/python")).encode(), 0o755)
    made.add("start", "sbin/poweroff", f"#!/{inside.PYTHON} -IS\nimport os\nos.kill(1, 15)\n".encode(), 0o755)
    made.add("start", f"{inside.HOME}/lib-dynload/README", b"Extension modules lie with the others, one folder above.\n")
    initramfs = pack(made.archive(), recipe.packing)
    line = f"{COMMAND_LINE[recipe.target]} {recipe.command_line}".strip()
    data = pvh.make(kernel, initramfs, line, recipe.packed, EMULATED) if recipe.target == "qemu" else initramfs
    return Image(recipe, data, kernel, made, closure, line, len(initramfs))


def settings_name() -> str:
    from .guest import init

    return init.SETTINGS.lstrip("/")


def modules_of(recipe: Recipe, kind: str) -> Closure:
    """What the program imports, and what starts it."""
    here = Path(__file__).resolve().parents[2]
    path = Path(recipe.program)
    first = [str(Path.cwd())] if recipe.module else [str(path.resolve().parent)]
    closure = Closure([*first, str(here), str(here / "backends"), *filter(None, sys.path)], recipe.without, recipe.pure)
    closure.add(*CORE, *GUEST, *BACK_ENDS.get(kind, ()), *recipe.include, why="the image")
    for name in recipe.include:
        if name not in closure.modules:
            raise UsageError(f"the module {name} is nowhere here, so it can't be included")
    if recipe.module:
        closure.add(recipe.program, f"{recipe.program}.__main__", why="the image")
        if recipe.program not in closure.modules:
            raise UsageError(f"there is no module {recipe.program}: `-m` takes what `python -m` would")
    else:
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            raise UsageError(f"{path} is no Python program") from None
        try:
            closure.program(text, path.name)
        except SyntaxError as error:
            raise UsageError(f"{path}: {error}") from None
    return closure


def pack(data: bytes, packing: str) -> bytes:
    """An archive in one of the forms that kernels unpack. Raises UsageError where the tool for it isn't here."""
    if packing == "none":
        return data
    if packing == "gzip":
        packer = zlib.compressobj(9, wbits=31)
        return packer.compress(data) + packer.flush()
    words = {"lz4": ("lz4", "-l", "-9", "-q", "-c"), "zstd": ("zstd", "-19", "-q", "-c")}.get(packing)
    if words is None:
        raise UsageError(f"{packing!r} is no way to pack: there are {', '.join(PACKINGS)}")
    if shutil.which(words[0]) is None:
        raise UsageError(f"{words[0]} is not installed (apt-get install {words[0]}), so pack with gzip, or not at all")
    packed = subprocess.run(words, input=data, capture_output=True, check=True).stdout
    assert packing != "lz4" or packed.startswith(LZ4)
    return packed
