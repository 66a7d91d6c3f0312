"""The forms that an image is made of: an archive, LZ4, ELF, and the one file that boots."""

import contextlib
import itertools
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack.errors import UsageError, WireError
from netstack.imaging import elf, kernel, lz4, pvh
from netstack.imaging.archive import Archive
from netstack.imaging.kernel import Kernel

pytestmark = pytest.mark.once
ROOT = Path(pvh.__file__).parent


# -- the archive ----------------------------------------------------------------------------------------------------------------


def test_an_archive_is_what_kernels_read():
    made = Archive()
    made.file("a/b", b"text\n", 0o755)
    zero, one = b"00000000", b"00000001"
    folder = b"070701" + b"00000002" + b"000041ED" + zero * 2 + one + zero * 6 + b"00000002" + zero + b"a\0"
    file = b"070701" + b"00000002" + b"000081ED" + zero * 2 + one + zero + b"00000005" + zero * 4 + b"00000004" + zero + b"a/b\0"
    end = b"070701" + b"00000003" + zero * 3 + one + zero * 6 + b"0000000B" + zero + b"TRAILER!!!\0"
    folder = folder.replace(b"00000002", b"00000001", 1)
    pad = lambda piece: piece + bytes(-len(piece) % 4)  # noqa: E731
    assert made.close() == pad(folder) + pad(file) + pad(b"text\n") + pad(end)


@pytest.mark.needs("cpio")
def test_cpio_unpacks_what_was_written(tmp_path):
    made = Archive()
    made.folder("etc", 0o700)
    made.file("etc/deep/file", b"x" * 4097, 0o640)
    made.link("bin", "usr/bin")
    subprocess.run(["cpio", "-idm", "--quiet"], input=made.close(), cwd=tmp_path, check=True)
    assert (tmp_path / "etc/deep/file").read_bytes() == b"x" * 4097 and (tmp_path / "bin").readlink() == Path("usr/bin")
    assert (tmp_path / "etc").stat().st_mode & 0o777 == 0o700


def test_an_archive_takes_no_name_that_leads_out_of_it_and_none_twice():
    made = Archive()
    made.file("a", b"")
    for name in ("/a", "../a", "b/../../a", "", "a"):
        with pytest.raises(UsageError):
            made.file(name, b"")


# -- LZ4 ------------------------------------------------------------------------------------------------------------------------


def test_a_block_of_literals_and_an_overlapping_match():
    assert lz4.unpack(bytes([0x35, *b"abc", 3, 0, 0x10, ord("!")])) == b"abc" + b"abcabcabc" + b"!"
    assert lz4.unpack(bytes([0x1F, ord("x"), 1, 0, 255, 1, 0x00])) == b"x" * (1 + 15 + 255 + 1 + 4)
    assert lz4.unpack(bytes([0xF0, 2, *range(17)])) == bytes(range(17))


@pytest.mark.needs("lz4")
def test_what_lz4_packs_is_unpacked(seed):
    data = bytes(i * i % 251 for i in range(100_000)) + b"again and again " * 3000 + bytes(5000)
    packed = subprocess.run(["lz4", "-l", "-9", "-q", "-c"], input=data, capture_output=True, check=True).stdout
    whole, blocks = lz4.unpack_frame(packed + b"\x10\x20\x30\x40")  # a kernel has its size behind
    assert bytes(whole) == data and len(blocks) == 1


@given(st.binary(max_size=200))
def test_any_block_is_unpacked_or_refused(data):
    with contextlib.suppress(WireError):
        assert len(lz4.unpack(data)) <= lz4.BLOCK


# -- ELF ------------------------------------------------------------------------------------------------------------------------


def test_the_interpreter_says_what_it_needs_and_runs_without_what_debuggers_read(tmp_path):
    path = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    data = path.read_bytes()
    said = elf.read(data)
    assert any(name.startswith("libc.") for name in said.needed) and said.interpreter.startswith("/lib")
    less = elf.stripped(data)
    assert len(less) < len(data) and elf.read(less) == said
    (tmp_path / "python").write_bytes(less)
    (tmp_path / "python").chmod(0o755)
    env = {"PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}
    done = subprocess.run([tmp_path / "python", "-c", "print(6 * 7)"], capture_output=True, text=True, env=env)
    assert done.stdout == "42\n", done.stderr


@given(st.binary(max_size=300))
def test_any_bytes_are_an_elf_file_or_refused(data):
    for candidate in (data, elf.MAGIC + data):
        with contextlib.suppress(WireError):
            elf.read(candidate)


# -- a kernel -------------------------------------------------------------------------------------------------------------------


def test_modules_are_loaded_after_those_they_need_and_without_their_signatures(tmp_path):
    def module(name, *needs):
        folder = tmp_path / "kernel" / name
        folder.mkdir(parents=True)
        signed = b"signature" + bytes(8) + len(b"signature").to_bytes(4, "big") + kernel.SIGNATURE
        text = b"\0license=GPL\0depends=" + ",".join(needs).encode() + b"\0name=x\0"
        (folder / f"{name}.ko").write_bytes(text + signed)
        return text

    net = module("virtio_net", "virtio", "net-failover")
    module("virtio", "virtio_ring")
    module("virtio_ring")
    module("net-failover")
    chosen = kernel.select(tmp_path, ["virtio_net", "af_packet", "virtio"])
    assert [name for name, _ in chosen] == ["virtio_ring", "virtio", "net_failover", "virtio_net"]
    assert dict(chosen)["virtio_net"] == net


def test_what_is_no_kernel_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "vmlinuz"
    for text in (b"", bytes(4096), b"\x7fELF" * 300, bytes(0x202) + b"HdrS" + bytes(1000)):
        path.write_bytes(text)
        with pytest.raises(UsageError, match="no kernel that can be taken apart"):
            kernel.load(path, tmp_path)


# -- the file that boots --------------------------------------------------------------------------------------------------------


@pytest.mark.needs("as", "objcopy")
def test_the_first_instructions_are_those_of_the_listing(tmp_path):
    subprocess.run(["as", "--32", "-o", tmp_path / "o", ROOT / "pvh.S"], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", tmp_path / "o", tmp_path / "bin"], check=True)
    assert (tmp_path / "bin").read_bytes() == pvh.CODE


def little_linux(*segments):
    """An ELF file that says it is a PVH kernel: (offset, physical address, size) of each segment."""
    end = max(offset + size for offset, _, size in segments)
    note = struct.pack("<III", 4, 8, 18) + b"Xen\0" + struct.pack("<Q", 0x1000080)
    rows = [(elf.PT_LOAD, 7, offset, at, at, size, size, 4096) for offset, at, size in segments]
    rows.append((elf.PT_NOTE, 4, end, 0, 0, len(note), len(note), 4))
    head = struct.pack("<16sHHIQQQIHHHHHH", elf.MAGIC, 2, 62, 1, 0, 64, 0, 0, 64, 56, len(rows), 0, 0, 0)
    head += b"".join(struct.pack("<IIQQQQQQ", *row) for row in rows)
    return head + bytes(end - len(head)) + note


def test_the_file_holds_the_kernel_the_initramfs_and_the_words_for_both():
    linux = little_linux((0x1000, 0x1000000, 0x2000), (0x4000, 0x1002000, 0x1000))
    packed = bytes([0xF0, 255, 255]) + b"not really"  # nothing here unpacks it
    for blocks in ((), (packed,)):
        made = pvh.make(Kernel("6", b"", linux, blocks, Path()), b"initramfs", "quiet netstack.ip=dhcp", emulated="no5lvl")
        said = elf.read(made)
        loads = [s for s in said.segments if s.kind == elf.PT_LOAD]
        assert len(loads) == (2 if blocks else 4) and loads == sorted(loads, key=lambda s: s.physical)
        assert all(a.physical + a.size <= b.physical for a, b in itertools.pairwise(loads))
        assert pvh.entry_of(made, said) == loads[-2].physical == said.entry
        last = loads[-1]
        assert made[last.offset : last.offset + last.filled] == b"initramfs"
        body = made[loads[-2].offset : loads[-2].offset + loads[-2].filled]
        table = struct.unpack_from("<I", body, 2)[0] - said.entry
        stack, line, both, limit, modules, entry, more = struct.unpack_from("<7I", body, table)
        assert body[line - said.entry :].startswith(b"quiet netstack.ip=dhcp\0") and entry == 0x1000080
        assert body[more - said.entry :].startswith(b" no5lvl\0")
        assert struct.unpack_from("<QQ", body, modules - said.entry) == (last.physical, 9)
        assert limit - both == pvh.LONGEST and line < both < limit < stack
        rows = struct.unpack_from("<8I", body, table + 28)
        if blocks:  # unpacked at 0xFFF000, from where the second segment moves down
            at, size, to = rows[:3]
            assert body[at - said.entry :][:size] == packed and to == 0xFFF000 and rows[3] == 0
            assert rows[4:7] == (0xFFF000 + 0x4000, 0x1000, 0x1002000) and rows[7] == 0
        else:
            assert rows[:2] == (0, 0)


def test_kernels_that_can_not_be_placed_are_refused():
    linux = little_linux((0x1000, 0x1000000, 0x2000)).replace(b"Xen\0", b"Xan\0")
    with pytest.raises(UsageError, match="can't be started as a PVH guest"):
        pvh.make(Kernel("6", b"", linux, (b"block",), Path()), b"", "")
    with pytest.raises(UsageError, match="too long"):
        pvh.make(Kernel("6", b"", little_linux((0x1000, 0x1000000, 16)), (), Path()), b"", "x" * 2048)
