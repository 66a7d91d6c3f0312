"""A capture played to a stack."""

import io
from pathlib import Path

import pytest
from netstack_pcap import Pcap, open_pcap, read_packets

from netstack import pcap
from netstack.address import Mac
from netstack.errors import UsageError
from netstack.instant import MILLISECOND, SECOND, Instant
from netstack.pcap import PcapngWriter, PcapWriter
from netstack.plugins import open_netif
from netstack.testing.clock import VirtualClock
from netstack.testing.netifs import Probe

PEER, US = "02:00:00:00:00:99", "02:00:00:00:00:01"
T0 = 1_700_000_000 * SECOND


def frame(payload: bytes, src: str = PEER) -> bytes:
    return bytes(Mac.parse(US)) + bytes(Mac.parse(src)) + b"\x88\xb5" + payload


def capture(*times: int, linktype: int = pcap.ETHERNET) -> io.BytesIO:
    file = io.BytesIO()
    writer = PcapngWriter(file.write)
    number = writer.interface("eth0", linktype)
    for n, time in enumerate(times):
        writer.packet(number, T0 + time, frame(bytes([n])))
    file.seek(0)
    return file


def play(device: Pcap, start: int = 0) -> tuple[Probe, VirtualClock]:
    clock, probe = VirtualClock(start), Probe(device)
    clock.add(probe)
    return probe, clock


def test_packets_come_at_the_pace_of_the_capture_from_the_first_poll_on() -> None:
    probe, clock = play(Pcap(capture(0, 5 * MILLISECOND, SECOND)), start=77)
    assert probe.next_deadline() == 0
    clock.advance(10 * SECOND)
    assert [when - 77 for when, _ in probe.frames] == [0, 5 * MILLISECOND, SECOND]
    assert [data[14] for _, data in probe.frames] == [0, 1, 2]
    assert probe.netif.finished
    assert probe.next_deadline() is None


def test_the_pace_can_be_changed() -> None:
    probe, clock = play(Pcap(capture(0, SECOND, 3 * SECOND), speed=10))
    clock.advance(SECOND)
    assert [when for when, _ in probe.frames] == [0, SECOND // 10, 3 * SECOND // 10]
    with pytest.raises(UsageError, match="speed=0 is not possible"):
        Pcap(capture(0), speed=0)


def test_as_fast_as_possible_is_a_batch_a_poll() -> None:
    device = Pcap(capture(*(n * SECOND for n in range(65))), speed=None)
    probe = Probe(device)
    assert device.poll(Instant(5)) is True
    assert (len(probe.frames), probe.batches) == (64, 1)
    assert device.poll(Instant(5)) is False
    assert (len(probe.frames), probe.batches) == (65, 2)
    assert device.poll(Instant(5)) is False
    assert probe.batches == 2


def test_time_that_goes_back_in_the_capture_does_not_on_the_wire() -> None:
    probe, clock = play(Pcap(capture(0, SECOND, MILLISECOND, 2 * SECOND)))
    clock.advance(3 * SECOND)
    assert [when for when, _ in probe.frames] == [0, SECOND, SECOND, 2 * SECOND]


def test_what_the_host_itself_sent_is_not_played_to_it() -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file.write)
    eth, raw = writer.interface("eth0"), writer.interface("tun0", pcap.RAW)
    writer.packet(eth, T0, frame(b"ours", src=US))
    writer.packet(eth, T0 + 1, frame(b"out"), pcap.OUTBOUND)
    writer.packet(raw, T0 + 2, b"\x45")
    writer.packet(eth, T0 + 3, frame(b"theirs"), pcap.INBOUND, length=2000)
    file.seek(0)
    device = Pcap(file, mac=Mac.parse(US))
    probe, clock = play(device)
    clock.advance(SECOND)
    assert probe.take() == [frame(b"theirs")]
    assert (device.mib.InOwn, device.mib.InOutbound, device.mib.InOtherLink, device.mib.InCut, device.mib.InFrames) == (
        1,
        1,
        1,
        1,
        1,
    )
    assert [when for when, _ in probe.frames] == []


@pytest.mark.parametrize(("linktype", "header"), [(pcap.RAW, 0), (pcap.NULL, 4), (pcap.LINUX_SLL, 16), (pcap.LINUX_SLL2, 20)])
def test_links_with_bare_datagrams_lose_their_header(linktype: int, header: int) -> None:
    device = Pcap(capture(0, linktype=linktype))
    assert device.mac is None
    probe, clock = play(device)
    clock.run_due()
    assert probe.take() == [frame(b"\0")[header:]]
    with pytest.raises(UsageError, match="leave mac out"):
        Pcap(capture(0, linktype=linktype), mac=Mac.parse(US))


def test_a_link_of_another_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="link type 105: only Ethernet"):
        Pcap(capture(0, linktype=105))


def test_what_is_no_capture_is_refused_at_once_and_what_breaks_later_is_an_oserror() -> None:
    with pytest.raises(UsageError, match="neither pcapng nor pcap"):
        Pcap(io.BytesIO(b"<html><body>404"))
    broken = io.BytesIO(capture(0, 1).getvalue() + b"\x06\0\0\0\x0d\0\0\0\0\0\0\0")
    device = Pcap(broken, speed=None)
    probe = Probe(device)
    for _ in range(2):
        with pytest.raises(OSError, match="can't be played any further: a block of 13 bytes"):
            device.poll(Instant(0))
    assert (len(probe.frames), probe.batches) == (2, 1)


def test_a_capture_that_is_cut_off_just_ends() -> None:
    device = Pcap(io.BytesIO(capture(0, 1).getvalue()[:-1]), speed=None)
    probe = Probe(device)
    assert device.poll(Instant(0)) is False
    assert len(probe.frames) == 1
    assert device.mib.InTruncatedFile == 1


def test_an_empty_capture_is_a_silent_ethernet() -> None:
    device = Pcap(capture())
    assert device.finished
    assert device.next_deadline() is None
    assert device.mac is not None
    assert device.poll(Instant(0)) is False


def test_what_is_sent_goes_to_the_other_file_on_the_clock_of_the_capture(tmp_path: Path) -> None:
    source = tmp_path / "in.pcapng"
    source.write_bytes(capture(0, SECOND).getvalue())
    for name in ("sent.pcapng", "sent.pcap"):
        device = open_netif(f"pcap:{source}?out={tmp_path / name}")
        probe, clock = play(device, start=12345)
        clock.run_due()
        clock.advance(MILLISECOND)
        probe.send(b"an answer", clock.now)
        device.close()
        with (tmp_path / name).open("rb") as file:
            (packet,) = read_packets(file)
        assert (packet.time, packet.data) == (T0 + MILLISECOND, b"an answer")
        assert (tmp_path / name).read_bytes()[:4] == (b"\x4d\x3c\xb2\xa1" if name.endswith("pcap") else b"\x0a\x0d\x0d\x0a")


def test_a_classic_capture_plays_too(tmp_path: Path) -> None:
    path = tmp_path / "old.pcap"
    with path.open("wb") as file:
        PcapWriter(file.write).packet(T0, frame(b"x"))
    with pytest.raises(UsageError, match="can't be read: No such file"):
        open_netif(f"pcap:{path}x")
    device = open_pcap(str(path), {"mac": US, "mtu": "9000", "speed": "max"})
    assert (str(device.mac), device.mtu) == (US, 9000)
    probe, clock = play(device)
    clock.run_due()
    assert probe.take() == [frame(b"x")]
    device.close()


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("", {}, "pcap needs a file to play"),
        ("x", {"loop": "1"}, "does not know the option 'loop': it knows speed=max"),
        ("x", {"speed": "fast"}, "speed=fast is not possible"),
        ("x", {"mtu": "1"}, "mtu=1 is not possible"),
        ("/nowhere/x", {}, "can't be read"),
    ],
)
def test_bad_options_are_refused(name: str, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        open_pcap(name, options)
