"""The C extension over Xen's libraries, on a machine without Xen, while AddressSanitizer, LeakSanitizer and UBSan watch.

It is compiled with stand-ins for the three libraries (standins/) in place of them, and strained by libxen_strain.py in a process of
its own. What Xen itself makes of it is seen in tests/xen.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SOURCES = ROOT / "backends" / "netstack_xen" / "libxen"
WATCHED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g", "-O1")
WRAPPED = "-Wl,--wrap=read,--wrap=write,--wrap=fcntl"  # system calls of the extension's own fail, too


def ask(compiler, *words):
    return subprocess.run([compiler, *words], capture_output=True, text=True)


def why_not():
    """What this machine lacks, or None."""
    compiler = shutil.which("gcc")
    if compiler is None:
        return "there is no gcc"
    for name in ("libasan.so", "libubsan.so"):
        if not Path(ask(compiler, f"-print-file-name={name}").stdout.strip()).is_absolute():
            return f"gcc has no {name}"
    headers = "".join(f"#include <{name}.h>\n" for name in ("xengnttab", "xenevtchn", "xenstore", "xentoollog", "Python"))
    command = [compiler, "-E", "-xc", "-o", os.devnull, f"-I{sysconfig.get_path('include')}", "-"]
    if subprocess.run(command, input=headers, text=True, capture_output=True).returncode:
        return "the headers of Xen's libraries, or of Python, are not installed (libxen-dev)"
    return None


LACKING = why_not()
pytestmark = [pytest.mark.once, pytest.mark.timeout(300), pytest.mark.skipif(LACKING is not None, reason=LACKING or "-")]


def compiled(target, sources):
    names = [str(path) for folder in (sources, HERE / "standins") for path in sorted(folder.glob("*.c"))]
    command = ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Wno-cast-function-type", "-Wno-missing-field-initializers", "-Werror"]
    command += ["-DPy_LIMITED_API=0x030B0000", f"-I{sysconfig.get_path('include')}", *WATCHED, WRAPPED, "-shared", "-fPIC"]
    done = ask(*command, "-o", str(target), *names)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def extension(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("watched") / "_libxen.so", SOURCES)


def strain(extension, word):
    """What was said, and whether a sanitizer, the stand-ins or the strain itself found something."""
    first = " ".join(ask("gcc", f"-print-file-name={name}").stdout.strip() for name in ("libasan.so", "libubsan.so"))
    environment = {
        **os.environ,
        "LD_PRELOAD": first,
        "PYTHONMALLOC": "malloc",  # every object of Python's is one that is watched
        "ASAN_OPTIONS": "detect_leaks=1:fast_unwind_on_malloc=0:malloc_context_size=12",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "backends")]),
        "NETSTACK_PURE": "1",
    }
    command = [sys.executable, str(HERE / "libxen_strain.py"), str(extension), word]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", timeout=240)
    said = done.stdout + done.stderr
    if "LeakSanitizer has encountered a fatal error" in said:
        pytest.skip("LeakSanitizer can't look into processes here")
    # an interpreter that ends with something of its own is not what is asked about
    others_leak = done.stdout.endswith("even\n") and "LeakSanitizer" in said and "/libxen/" not in said
    return said, done.returncode == 0 or others_leak


@pytest.mark.parametrize("word", ["promises", "faults", "memory", "fork", "words"])
def test_the_extension_loses_nothing_and_touches_nothing_that_is_gone(extension, word):
    said, good = strain(extension, word)
    assert good, said[-6000:]


@pytest.mark.parametrize(
    ("line", "instead", "told"),
    [
        ("if (self->exports > 0)", "if (0)", "AddressSanitizer: SEGV"),  # pages go from under a view
        ("PyMem_Free(self->numbers);", ";", "detected memory leaks"),
    ],
)
def test_a_line_that_is_missing_is_found(tmp_path, line, instead, told):
    shutil.copytree(SOURCES, tmp_path / "libxen", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    source = tmp_path / "libxen" / "grants.c"
    text = source.read_text()
    assert text.count(line) == 1
    source.write_text(text.replace(line, instead))
    said, good = strain(compiled(tmp_path / "_libxen.so", tmp_path / "libxen"), "promises")
    assert not good and told in said, said[-6000:]
