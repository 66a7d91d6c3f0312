"""A capture from text: the entry point `pcap` of the group `netstack.netif`."""

from collections.abc import Mapping
from typing import BinaryIO

from netstack.address import Mac
from netstack.errors import UsageError
from netstack.spec import check_options, read_int

from .netif import Pcap

OPTIONS = {"speed": "max", "out": "sent.pcapng", "mac": "02:00:00:00:00:01", "mtu": "1500"}


def open_pcap(name: str, options: Mapping[str, str]) -> Pcap:
    """`pcap:FILE?speed=…&out=…&mac=…&mtu=…`; see `Pcap`. An `out` that ends in .pcap is written in the classic format."""
    check_options("pcap", options, OPTIONS)
    if not name:
        raise UsageError("pcap needs a file to play: write pcap:FILE, like pcap:bug.pcapng")
    speed, mac, out = _speed(options.get("speed", "1")), options.get("mac"), options.get("out")
    address = None if mac is None else Mac.parse(mac)
    mtu = read_int("mtu", options.get("mtu", "1500"), 68, 65535)
    file = _open(name, "rb")
    target = None
    try:
        target = None if out is None else _open(out, "wb")
        classic = out is not None and out.endswith((".pcap", ".cap"))
        return Pcap(file, name=name, mac=address, mtu=mtu, speed=speed, out=target, classic=classic)
    except BaseException:
        file.close()
        if target is not None:
            target.close()
        raise


def _open(path: str, mode: str) -> BinaryIO:
    try:
        # unbuffered: after a crash what was sent is in the file
        return open(path, mode, buffering=0)  # type: ignore[return-value]  # FileIO is a BinaryIO in all that matters here
    except OSError as error:
        raise UsageError(f"{path} can't be {'read' if mode == 'rb' else 'written'}: {error.strerror}") from error


def _speed(text: str) -> "float | None":
    if text == "max":
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"speed={text} is not possible: write a factor like 10, or max") from None
