"""The program in an image: what is carried of it, and how process 1 begins it."""

import subprocess
import sys

import pytest

from netstack.errors import UsageError
from netstack.imaging import contents, kernel
from netstack.imaging.contents import Contents
from netstack.imaging.guest import init

pytestmark = pytest.mark.once

PROGRAM = (
    "import sys\nprint(__name__, __file__, sys.path[0], sys.modules['__main__'].__dict__ is globals())\n1 / len(sys.argv[2:])\n"
)


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "app.py"
    path.write_text(PROGRAM)
    return path


def test_a_program_is_carried_with_its_source_and_compiled(program):
    made = Contents()
    assert contents.add_program(made, program) == "/app/app.py"
    assert made.files["app/app.py"][0] == PROGRAM.encode()
    code = made.files["app/app.pyc"][0]
    assert b"/app/app.py" in code and str(program).encode() not in code
    program.write_text("def")
    with pytest.raises(UsageError, match=r"app\.py can't be compiled"):
        contents.add_program(made, program)


@pytest.mark.parametrize("form", ["compiled", "of another Python", "source"])
def test_process_1_runs_it_as_python_would(program, form):
    if form != "source":
        data = contents.compiled(program, program.read_bytes(), str(program))
        program.with_suffix(".pyc").write_bytes(data if form == "compiled" else bytes(16) + b"nothing")
    text = f"from netstack.imaging.guest import init\ninit.run_file({str(program)!r})"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.stdout == f"__main__ {program} {program.parent} True\n"
    assert (
        f'File "{program}", line 3' in done.stderr and "1 / len(sys.argv[2:])" in done.stderr and "ZeroDivisionError" in done.stderr
    )


def test_what_was_compiled_is_what_runs(program):
    program.with_suffix(".pyc").write_bytes(contents.compiled(program, b"x = 'compiled'", str(program)))
    space: dict[str, object] = {}
    exec(init.code_of(str(program)), space)
    assert space["x"] == "compiled"


def test_a_driver_has_no_table_of_types_for_the_kernel_to_find():
    names = b"\0.symtab\0.BTF\0.rela.text\0"
    assert kernel.untyped(b"\x7fELF" + names) == b"\x7fELF" + names.replace(b"BTF", b"btf")
