"""An image under QEMU's software emulation: an address by DHCP from a host of ours on the other end of the cable, HTTP, DNS, and an
end that is told. One start proves all of it: it takes seconds. Nothing needs root, a tap, or a network.
"""

import asyncio
import re
from pathlib import Path

import imagelab as lab
import pytest

from netstack.imaging import boot
from netstack.imaging.verdict import Verdict

pytestmark = [pytest.mark.once]


@pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "all is there")
@pytest.mark.timeout(180)
def test_an_image_gets_its_address_serves_http_and_dns_and_says_how_it_ends(tmp_path: Path) -> None:
    kernel, why = lab.kernel()
    if kernel is None:
        pytest.skip(why)
    image = lab.image(tmp_path, kernel, packed=False)
    assert 20 << 20 < image.stat().st_size < 120 << 20

    async def story() -> "tuple[bytes, bytes, str]":
        path = tmp_path / "vm.sock"
        async with lab.network(path) as net:
            words = boot.qemu(image, netdev=lab.netdev(path), extra=("-accel", "tcg"), append="netstack.boot=timed")
            async with lab.running(words) as machine:
                try:
                    page = await lab.page(net, 120)
                    answer = await lab.name(net)
                    again = await lab.page(net, 10)
                    assert again == page
                    return page, answer, machine.said()
                except BaseException:
                    print(machine.said())
                    raise

    page, answer, said = asyncio.run(story())
    assert page.startswith(b"HTTP/1.1 200 OK\r\n") and page.endswith(b"<h1>A machine of its own</h1>\n")
    assert answer[:4] == b"\0\7\x84\0" and answer[-4:] == bytes(map(int, lab.GUEST.split("."))), answer
    assert f"netstack: {lab.GUEST}/24 on eth0" in said
    marks = [word for word, _ in re.findall(r"netstack: [\d.]+ (python|drivers|eth0|stack|network)(\s|$)", said)]
    assert marks == ["python", "drivers", "eth0", "stack", "network"], said


@pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "all is there")
@pytest.mark.timeout(180)
def test_a_program_that_ends_ends_its_machine_and_its_status_is_told(tmp_path: Path) -> None:
    """On an address from the command line, with arguments from there, too."""
    kernel, why = lab.kernel()
    if kernel is None:
        pytest.skip(why)
    program = tmp_path / "three.py"
    program.write_text("import sys, os\nprint('got', sys.argv[1:], os.environ['NETSTACK'], os.getpid())\nsys.exit(3)\n")
    from netstack.imaging.build import Recipe, build

    made = build(Recipe(str(program), arguments=("unheard",)), kernel)
    image = tmp_path / "three.img"
    image.write_bytes(made.data)

    async def story() -> str:
        words = boot.qemu(image, extra=("-accel", "tcg"), append="netstack.ip=10.80.0.9/24 -- one 'and two'")
        async with lab.running(words) as machine:
            await asyncio.wait_for(machine.process.wait(), 120)
            await asyncio.sleep(0)
        return machine.said()

    said = asyncio.run(story())
    verdict = Verdict()
    for line in said.encode().splitlines():
        verdict.hear(line)
    assert verdict.status == 3, said
    assert "got ['one', 'and two'] packet:eth0?ip=10.80.0.9/24 1" in said
