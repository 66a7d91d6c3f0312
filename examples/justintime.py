"""An appliance that starts services when their names are asked for, and stops them when nobody comes any more.

    python examples/justintime.py SPEC NAME=ADDRESS=WHAT ...
    python examples/justintime.py 'tap:tap0?host=10.79.0.1/24&address=10.79.0.2/24&address=10.79.0.3/24' \\
        www.test=10.79.0.2=site.img  files.test=10.79.0.3=8000:python3,-m,http.server,8000

    dig @10.79.0.2 www.test                  curl http://10.79.0.2/          # the machine boots meanwhile

WHAT is an image that `netstack image` has made, or PORT:COMMAND,WORDS for a process that listens on that port of the host. The
addresses are the appliance's own; all services answer on port 80. It needs a device of ours: the kernel would answer SYNs itself.
"""

import asyncio
import logging
import shutil
import signal
import sys
from pathlib import Path

import netstack
from netstack.errors import UsageError
from netstack.justintime.appliance import JustInTime
from netstack.justintime.instances import image, process
from netstack.justintime.service import Service

IDLE = 60.0


def read(word: str, idle: float = IDLE) -> Service:
    """`NAME=ADDRESS=WHAT`. Raises UsageError."""
    name, _, rest = word.partition("=")
    address, equals, what = rest.partition("=")
    if not equals:
        raise UsageError(f"{word} is no service: write NAME=ADDRESS=WHAT, as in www.test=10.79.0.3=site.img")
    port, colon, command = what.partition(":")
    if colon and port.isdigit():
        return Service(name, address, process(*command.split(","), port=int(port)), idle=idle)
    if not Path(what).is_file():
        raise UsageError(f"{what} is neither an image nor PORT:COMMAND")
    if shutil.which("qemu-system-x86_64") is None:
        raise UsageError("an image needs qemu-system-x86_64: apt-get install qemu-system-x86")
    return Service(name, address, image(Path(what)), idle=idle, patience=60)  # emulated, on a machine that is busy


async def main(spec: str, *words: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with netstack.open(spec) as net, JustInTime(net, map(read, words)) as appliance:
        await appliance.listen()
        print(f"{', '.join(appliance.lives)} on {', '.join(net.addresses)}", flush=True)
        await stop.wait()
        print(appliance.counts)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    netstack.run(main(sys.argv[1], *sys.argv[2:]))
