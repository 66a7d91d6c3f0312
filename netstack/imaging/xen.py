"""What Xen's tools want for a PV guest: a kernel, an initramfs and a page of settings (xl.cfg(5)).

A PV guest is put together by its toolstack, page tables and all, from a kernel that says where it belongs, so the one file of
pvh.py does not serve here: kernel and initramfs are two files, and the page names both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .build import Image

MEMORY = 64 << 20  # beside the files, unpacked and packed
PAGE = """# xl create -c {cfg}
name = "{name}"
type = "pv"
kernel = "{kernel}"
ramdisk = "{ramdisk}"
cmdline = "{line}"
memory = {memory}
vcpus = 1
vif = [ "" ]
on_poweroff = "destroy"
on_reboot = "destroy"
on_crash = "destroy"
"""


def write_pair(image: Image, output: Path) -> list[Path]:
    """The initramfs under the name that was asked for, the kernel and the settings beside it."""
    kernel, cfg = output.with_suffix(".vmlinuz"), output.with_suffix(".cfg")
    output.write_bytes(image.data)
    kernel.write_bytes(image.kernel.image)
    cfg.write_text(page(image, output.resolve(), kernel.resolve(), cfg))
    return [output, kernel, cfg]


def page(image: Image, ramdisk: Path, kernel: Path, cfg: Path) -> str:
    size = sum(len(data) for data, _ in image.contents.files.values())
    memory = ((len(image.kernel.vmlinux) + 2 * size + len(image.data) + MEMORY >> 25) + 1) * 32
    line = image.command_line.replace('"', '\\"')
    return PAGE.format(cfg=cfg, name=ramdisk.stem, kernel=kernel, ramdisk=ramdisk, line=line, memory=memory)
