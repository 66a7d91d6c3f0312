"""A Xen machine under QEMU: made, watched, and ended.

Always software emulation: whoever runs this gets the same machine. Three words of its command line were found the hard way. With
SMAP, QEMU 7.2 reads the stack of domain 0's ring-3 `iret` as the supervisor, which faults. With XSAVE and AVX, programs of domain 0
are killed at random, or lose bytes, as soon as a guest runs beside it and virtual CPUs change places on the CPUs: two loops of
`dmesg | tail` and `ls | tail` had a dozen faults in half a minute, with SVM or not, in one thread of QEMU or two; and none without
these features. And QEMU takes commas in `-initrd` for borders between Xen's modules, so the kernel's command line has none.
"""

import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from .image import Image

CPU = "max,-smap,-xsave,-avx,-avx2"
MEMORY = 1536  # MiB; the rest is the guest's and Xen's
DOMAIN0 = 1024


Heard = Callable[[str], None]


def boot(image: Image, archives: "list[bytes | Path]", limit: float, heard: Heard, log: Path) -> float:
    """Run it until it powers itself off, or for `limit` seconds: each line of its console goes to `heard` and into `log`. Returns
    how long it took."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="netstack-xen-") as folder:
        initrd = Path(folder, "initrd")
        with initrd.open("wb") as file:
            for part in (image.base, *archives):
                file.write(part if isinstance(part, bytes) else part.read_bytes())
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", CPU, "-m", str(MEMORY), "-smp", "2", "-nodefaults",
            "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", str(image.xen),
            "-append", f"console=com1 com1=115200,8n1 dom0_mem={DOMAIN0}M,max:{DOMAIN0}M loglvl=error guest_loglvl=error",
            "-initrd", f"{image.kernel} console=hvc0 quiet loglevel=4 panic=1,{initrd}",
        ]  # fmt: skip
        with log.open("wb", buffering=0) as file:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            try:
                listen(process, started + limit, heard, file.write)
            finally:
                process.kill()
                process.wait()
                assert process.stdout is not None
                process.stdout.close()
    return time.monotonic() - started


def listen(process: "subprocess.Popen[bytes]", end: float, heard: Heard, write: "Callable[[bytes], object]") -> None:
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            left = end - time.monotonic()
            if left <= 0 or not selector.select(left):
                heard("@@late")
                return
            data = os.read(descriptor, 65536)
            if not data:
                return
            write(data)
            *lines, rest = (rest + data).replace(b"\r", b"").split(b"\n")
            for line in lines:
                heard(line.decode(errors="replace"))
