"""Which modules go into an image, and what process 1 is told."""

import json
import subprocess
import sys
import textwrap

import pytest

from netstack.cli import main
from netstack.errors import UsageError
from netstack.imaging import build as building
from netstack.imaging import contents
from netstack.imaging.build import Recipe, modules_of
from netstack.imaging.closure import Closure, uses
from netstack.imaging.guest import settings
from netstack.imaging.verdict import Verdict

pytestmark = pytest.mark.once


@pytest.fixture
def house(tmp_path):
    """A folder of modules: `write(name, text)`, and a closure that looks there."""

    class House:
        path = tmp_path

        def write(self, name, text):
            place = tmp_path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(textwrap.dedent(text))

        def closure(self, program, **said):
            made = Closure([str(tmp_path)], **said)
            made.program(textwrap.dedent(program), "program")
            return {name for name in made.modules if name not in sys.stdlib_module_names}

    return House()


def test_imports_are_followed_into_functions_but_not_where_only_checkers_look(house):
    house.write("a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import b\nelse:\n    import c\n")
    for name in "bcde":
        house.write(f"{name}.py", "def f():\n    import d\n" if name == "c" else "")
    assert house.closure("import a\ntry:\n    import nowhere\nexcept ImportError:\n    import e") == {"a", "c", "d", "e"}


def test_relative_imports_lead_to_modules_of_the_package_and_names_to_nothing(house):
    house.write("pack/__init__.py", "")
    house.write("pack/one.py", "from . import two\nfrom .deep.three import value")
    house.write("pack/two.py", "")
    house.write("pack/deep/__init__.py", "")
    house.write("pack/deep/three.py", "from ..two import x\nfrom .... import y\nvalue = 1")
    assert house.closure("from pack.one import f") == {"pack", "pack.one", "pack.two", "pack.deep", "pack.deep.three"}


def test_of_a_package_that_loads_its_names_later_only_what_is_used_comes_along(house):
    house.write(
        "lazy/__init__.py",
        """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from .big import Big as Big
            from .little import Little as Little
        def __getattr__(name): ...
        """,
    )
    house.write("lazy/big.py", "import lazy.ballast")
    house.write("lazy/little.py", "")
    house.write("lazy/ballast.py", "")
    for program in ("import lazy\nlazy.Little()", "from lazy import Little", "import lazy as z\nprint(z.Little)"):
        assert house.closure(program) == {"lazy", "lazy.little"}, program
    assert house.closure("from lazy import Big") == {"lazy", "lazy.big", "lazy.ballast"}
    assert house.closure("import lazy, lazy.big", without=["lazy.ballast"]) == {"lazy", "lazy.big"}


def test_what_is_no_python_says_so():
    with pytest.raises(SyntaxError):
        uses("import")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The closure of a program that names asyncio and json."""
    program = tmp_path_factory.mktemp("plain") / "app.py"
    program.write_text("import asyncio, json\n")
    return modules_of(Recipe(str(program)), "packet")


def imported_by(text):
    """What a run of `text` really imports, of this package."""
    script = f"import sys\n{text}\nprint([n for n in sys.modules if n.startswith('netstack')])"
    path = ":".join(filter(None, sys.path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env={"PYTHONPATH": path}, check=True)
    return set(json.loads(done.stdout.replace("'", '"')))


RUN = """
import asyncio, random
from netstack.runtime.loop import new_event_loop
from netstack.runtime.loops.substitute import loops
import netstack.imaging.guest.init
from netstack.runtime import automatic, leased
async def main():
    async def hello(reader, writer):
        writer.write(await reader.read(5)); writer.close()
    server = await asyncio.start_server(hello, "0.0.0.0", 80)
    await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, ("0.0.0.0", 53))
    reader, writer = await asyncio.open_connection("10.0.0.1", 80)
    writer.write(b"hello")
    assert await reader.read() == b"hello"
    writer.close()
    server.close()
with loops(lambda base: new_event_loop("loopback:?address=10.0.0.1/24", base=base)):
    asyncio.run(main())
"""


def test_all_that_a_program_on_the_stack_imports_goes_into_its_image(plain):
    """The closure is read, the run is a fact: nothing may be missing."""
    found = set(plain.modules)
    assert imported_by(RUN) - found == set()
    assert {"asyncio", "netstack_packet.netif", "encodings.utf_8", "netstack.imaging.guest.machine"} <= found
    assert not {name for name in found if name.partition(".")[0] in ("trio", "h2", "scapy", "pytest", "tkinter", "cryptography")}
    assert not {name for name in found if name.startswith(("netstack.router", "netstack.http", "netstack.testing"))}


def test_a_server_of_pages_brings_its_rooms_along(tmp_path):
    program = tmp_path / "app.py"
    program.write_text("from netstack.http import HttpServer\nimport netstack\nnetstack.serve_dns\n")
    found = set(modules_of(Recipe(str(program)), "packet").modules)
    assert {"netstack.http.serve.session", "netstack.dns.serve.door", "httptools"} <= found
    assert not {name for name in found if name.startswith(("netstack.router", "netstack.http.client"))}


def test_bytecode_in_an_image_says_nothing_of_where_it_was_made(plain):
    code = contents.bytecode(plain.modules["json.decoder"])
    assert code[4:8] == b"\1\0\0\0" and b"/usr/lib/python" in code
    assert sys.base_prefix == "/usr" or sys.base_prefix.encode() not in code


# -- what process 1 is told -----------------------------------------------------------------------------------------------------


def told(line, net="packet:eth0"):
    image = settings.write("/app/app.py", False, ("baked",), net, {"A": "1", "B": "2"}, ("virtio",))
    return settings.read(image, line)


def test_an_address_is_asked_for_unless_one_is_said():
    assert told("console=ttyS0 quiet").net == "packet:eth0?ip=dhcp"
    assert told("netstack.ip=10.79.0.2/24 netstack.gateway=10.79.0.1").net == "packet:eth0?ip=10.79.0.2/24&gateway=10.79.0.1"
    assert told("netstack.ip=dhcp", "packet:eth0?address=10.0.0.1/8&ring=yes").net == "packet:eth0?ring=yes&ip=dhcp"
    assert told("", "packet:eth0?address=10.0.0.1/8").net == "packet:eth0?address=10.0.0.1/8"
    assert told("netstack.net=xen:0?queues=2 netstack.dns=10.0.0.3").net == "xen:0?queues=2&ip=dhcp&dns=10.0.0.3"
    assert told("netstack.net=posix:").net == "posix:"


def test_the_command_line_of_the_kernel_wins_and_what_it_says_last():
    said = told("netstack.env.B=3 netstack.ip=10.0.0.1/8 netstack.ip=10.0.0.2/8 netstack.boot=timed netstack.speed=9")
    assert said.environment == {"A": "1", "B": "3"} and said.net.endswith("ip=10.0.0.2/8")
    assert said.timed and said.unknown == ("netstack.speed=9",) and said.arguments == ("baked",)


def test_arguments_stand_behind_two_dashes():
    assert told("quiet -- one 'and two' --three").arguments == ("one", "and two", "--three")
    assert told("quiet -- it's").arguments == ("it's",)
    assert told("quiet -- ").arguments == ("baked",) or told("quiet -- ").arguments == ()


def test_the_end_is_read_from_the_console():
    verdict = Verdict()
    verdict.hear(b"netstack: 10.0.0.1/24 on eth0\r\n")
    assert verdict.status is None
    verdict.hear(b"netstack: app.py has ended with status 7 after 3.1 s; good night\r\n")
    assert verdict.status == 7
    verdict = Verdict()
    verdict.hear(b"netstack: app.py was ended by ValueError: no after 3.1 s; good night\r\n")
    assert verdict.status == 1


# -- the command ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.py"], "there is no file nowhere.py"),
        (["-m", "nowhere.at.all", "--kernel", "KERNEL"], "there is no kernel KERNEL"),
        (["PROGRAM", "--env", "X"], "says no value"),
        (["PROGRAM", "--file", "nothing"], "there is no file nothing"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, tmp_path, capsys):
    program = tmp_path / "app.py"
    program.write_text("pass\n")
    words = [str(program) if word == "PROGRAM" else word for word in words]
    assert main(["image", "-o", str(tmp_path / "x"), *words]) == 2
    out = capsys.readouterr()
    assert sentence in out.err and out.err.count("\n") == 1 and not (tmp_path / "x").exists()


def test_packings_that_are_not_there_are_refused():
    assert building.pack(b"abc", "none") == b"abc"
    assert building.pack(b"abc" * 100, "gzip")[:2] == b"\x1f\x8b"
    with pytest.raises(UsageError, match="no way to pack"):
        building.pack(b"", "rar")


def test_a_rehearsal_sees_what_a_source_does_not_show(tmp_path):
    from netstack.imaging.rehearsal import rehearse

    (tmp_path / "hidden.py").write_text("")
    program = tmp_path / "app.py"
    program.write_text(
        "import asyncio, importlib\n"
        "async def main():\n"
        "    importlib.import_module('hid' + 'den')\n"
        "    await asyncio.start_server(print, '0.0.0.0', 80)\n"
        "    await asyncio.sleep(60 if __import__('sys').argv[1] == 'long' else 0)\n"
        "asyncio.run(main())\n"
    )
    seen = rehearse(Recipe(str(program), arguments=("short",)), 30)
    assert "hidden" in seen
    program.write_text("raise ValueError('no')\n")
    with pytest.raises(UsageError, match="ValueError"):
        rehearse(Recipe(str(program)), 30)
