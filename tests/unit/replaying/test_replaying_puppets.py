"""Captures played to puppets, which say what the captured host said: all must come out as it was, in every order."""

import io
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replaying_captures import CLIENT, HANDSHAKE, SERVER, THEM, US, as_link, conversation, noise, raw_file, segments, udp

import netstack
from netstack import pcap
from netstack.captures import read
from netstack.errors import UsageError, WireError
from netstack.tcp.wire import Segment, mss_option, sack_permitted_option, timestamps_option
from netstack.testing import streams

PCAPS = Path(__file__).resolve().parents[3] / "pcaps"
WAYS = (
    {},
    {"order": "reversed"},
    {"order": "shuffled", "duplicate": 0.5},
    {"duplicate": 1.0, "cut": 200},
    {"order": lambda burst: burst[1:] + burst[:1]},
)


def deliver(capture: bytes, host: str, **options):
    return netstack.replay(io.BytesIO(capture), host, **options).deliver()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: ",".join(way) or "captured")
@pytest.mark.parametrize("host", ["192.0.2.1", "192.0.2.2"])
def test_what_two_kernels_said_comes_out_again_as_either_of_them(host, way):
    report = netstack.replay(PCAPS / "linux-tcp.pcapng", host, **way).deliver()
    assert report.mismatches == []
    assert report.connections == 2 and report.notes == []
    sizes = {(played.name.partition(" ")[0], len(played.sent), len(played.received or b"")) for played in report.played}
    ours = {"192.0.2.1": (54, 20061), "192.0.2.2": (20061, 54)}[host]
    assert {size[1:] for size in sizes} == {ours, (0, 0)}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: ",".join(way) or "captured")
@pytest.mark.parametrize("host", [CLIENT, SERVER])
def test_a_capture_full_of_losses_comes_out_whole(host, way, seed):
    request, answer = noise(30_000), noise(120_000, 6)
    capture = conversation(request, answer, seed=seed, loss=0.05, reorder=0.05, duplicate=0.02)
    report = deliver(capture, host, seed=seed, **way)
    assert report.mismatches == []
    (played,) = report.played
    assert {played.sent, played.received} == {request, answer}


def test_sequence_numbers_wrap_at_play_as_they_did(seed):
    data = noise(3000)
    capture = segments(
        *HANDSHAKE,
        (">", "A", 1, 1, data[:1000]),
        (">", "A", 1001, 1, data[1000:2000]),
        ("<", "A", 1, 2001, b"yes"),
        (">", "PA", 2001, 4, data[2000:]),
        ("<", "FA", 4, 3001),
        (">", "FA", 3001, 5),
        ("<", "A", 5, 3002),
        isn=(2**32 - 1200, 2**32 - 2),
    )
    for host, sent, received in ((SERVER, b"yes", data), (CLIENT, data, b"yes")):
        report = deliver(capture, host, seed=seed)
        assert report.mismatches == []
        assert (report.played[0].sent, report.played[0].received) == (sent, received)


@pytest.mark.parametrize(
    ("linktype", "header", "fragment"),
    [
        (pcap.ETHERNET, bytes.fromhex("020000000002 020000000001 0800"), 0),
        (pcap.ETHERNET, bytes.fromhex("020000000002 020000000001 88a8 0007 8100 0064 0800"), 0),
        (pcap.LINUX_SLL, bytes.fromhex("0000 0001 0006 020000000001 0000 0800"), 0),
        (pcap.LINUX_SLL2, bytes.fromhex("0800 0000 00000003 0001 00 06 020000000001 0000"), 0),
        (pcap.NULL, bytes.fromhex("02000000"), 0),
        (pcap.RAW, b"", 0),
        (pcap.RAW, b"", 512),
    ],
)
def test_links_tags_and_fragments_make_no_difference(linktype, header, fragment):
    capture = as_link(conversation(noise(5000), noise(9000)), linktype, header, fragment)
    report = deliver(capture, SERVER)
    assert report.mismatches == [] and len(report.played[0].sent) == 9000


def test_a_loopback_has_two_ends_of_one_address():
    capture = conversation(b"GET", noise(4000))
    own = bytes.fromhex("7f000001")
    capture = as_link(capture, pcap.NULL, bytes.fromhex("02000000"))
    capture = capture.replace(bytes.fromhex("0a000001"), own).replace(bytes.fromhex("0a000002"), own)
    with pytest.raises(UsageError, match=r"talks to itself in this capture: say which end we are by its port, like 127.0.0.1:8080"):
        deliver(capture, "127.0.0.1")
    report = deliver(capture, "127.0.0.1:80")
    assert report.mismatches == [] and report.connections == 1 and len(report.played[0].sent) == 4000
    assert "our host is 198.19.0.1 here" in report.notes[0]


def test_a_hole_in_the_capture_ends_what_can_be_played_and_is_said():
    lines = [
        *HANDSHAKE,
        (">", "A", 1, 1, b"a" * 100),
        ("<", "A", 1, 301, b"b" * 50),
        (">", "A", 301, 51, b"c" * 10),
        ("<", "A", 51, 311),
    ]
    report = deliver(segments(*lines), SERVER)
    assert report.mismatches == []
    assert report.played[0].received == b"a" * 100 and report.played[0].sent == b""
    assert report.notes == [
        "10.0.0.1:40000 > 10.0.0.2:80: the capture lacks 200 bytes of what the peer sent, at offset 100: played up to there"
    ]
    filled = deliver(segments(*lines), SERVER, fill=True)
    assert filled.mismatches == []
    assert filled.played[0].received == b"a" * 100 + bytes(200) + b"c" * 10 and filled.played[0].sent == b"b" * 50


def test_two_versions_of_a_byte_are_said():
    lines = [*HANDSHAKE, (">", "A", 1, 1, b"first"), (">", "A", 3, 1, b"RST, twice"), ("<", "A", 1, 13)]
    report = deliver(segments(*lines), SERVER)
    assert report.mismatches == [] and report.played[0].received == b"first twice"[:5] + b", twice"
    assert report.notes == ["10.0.0.1:40000 > 10.0.0.2:80: two versions of byte 2 of what the peer sent, the later one in packet 5"]


def test_a_connection_without_its_handshake_is_given_one():
    report = deliver(segments((">", "PA", 1, 1, b"hello"), ("<", "PA", 1, 6, b"you"), (">", "A", 6, 4)), SERVER)
    assert report.mismatches == [] and (report.played[0].sent, report.played[0].received) == (b"you", b"hello")


def test_timestamps_and_sack_blocks_are_mapped(seed):
    def stamps(value: int, echo: int) -> bytes:
        return timestamps_option(value, echo)

    syn = mss_option(1000) + sack_permitted_option()
    sack = b"\1\1\5\x0a" + (5000 + 1001).to_bytes(4, "big") + (5000 + 2001).to_bytes(4, "big")
    capture = segments(
        (">", "S", 0, None, b"", syn + stamps(7_000_000, 0)),
        ("<", "SA", 0, 1, b"", syn + stamps(42, 7_000_000)),
        (">", "A", 1, 1, b"", stamps(7_000_001, 42)),
        ("<", "A", 1, 1, b"x" * 1000, stamps(43, 7_000_001)),
        ("<", "A", 1001, 1, b"y" * 1000, stamps(43, 7_000_001)),
        (">", "A", 1, 1, b"", stamps(7_000_002, 43) + sack),
        ("<", "A", 1, 1, b"x" * 1000, stamps(44, 7_000_002)),
        (">", "FA", 1, 2001, b"", stamps(7_000_003, 44)),
        ("<", "FA", 2001, 2, b"", stamps(45, 7_000_003)),
        (">", "A", 2, 2002, b"", stamps(7_000_004, 45)),
    )
    out = io.BytesIO()
    replay = netstack.replay(io.BytesIO(capture), SERVER, seed=seed, pcap=out)
    assert replay.deliver().mismatches == []
    stack = replay.world.hosts[0].stack
    assert stack.counters()["TcpExt"]["PAWSEstab"] == 0
    sent, echoed = [], []
    for item in read(io.BytesIO(out.getvalue())):
        segment = Segment.decode(item.data[20:])
        value = segment.option(8)
        assert value is not None
        (sent if segment.sport == 80 else echoed).append((int.from_bytes(value[:4], "big"), int.from_bytes(value[4:], "big")))
    ours = {stamp for stamp, _ in sent}
    assert all(echo in ours for _, echo in echoed if echo)
    assert [stamp for stamp, _ in echoed] == sorted(stamp for stamp, _ in echoed)


def test_datagrams_and_echoes_are_played_both_ways():
    query, answer = b"\x12\x34" + noise(30), b"\x12\x34" + noise(60)
    capture = raw_file(udp(THEM, 999, US, 53, query), udp(US, 53, THEM, 999, answer))
    for host in (CLIENT, SERVER):
        assert deliver(capture, host).mismatches == []
    for host in ("192.0.2.1", "192.0.2.2"):
        assert netstack.replay(PCAPS / "linux-icmp.pcapng", host).deliver().mismatches == []


def test_which_host_is_asked_for_where_there_are_several():
    capture = conversation(b"x", b"y")
    with pytest.raises(UsageError, match=r"which host are we\?.* there are 10.0.0.1, 10.0.0.2"):
        deliver(capture, None)
    with pytest.raises(UsageError, match=r"10.0.0.9 is not in this capture: there are 10.0.0.1, 10.0.0.2"):
        deliver(capture, "10.0.0.9")
    for options in ({"order": "sorted"}, {"duplicate": 2.0}, {"cut": -1}, {"ignore": "("}):
        with pytest.raises(UsageError):
            deliver(capture, SERVER, **options)


def test_a_broken_capture_is_an_error_with_its_packet():
    capture = conversation(b"x" * 3000, b"y" * 3000)
    with pytest.raises(WireError, match=r"packet 1: "):
        deliver(b"\0" * 100, SERVER)
    cut = deliver(capture[: len(capture) * 2 // 3 + 1], SERVER)
    assert "ends in the middle of a packet" in " ".join(cut.notes)
    assert cut.mismatches == []


SOUND = conversation(b"GET / HTTP/1.1\r\n\r\n", noise(3000), loss=0.1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), max_size=20), st.integers(0, len(SOUND)))
def test_whatever_a_capture_says_there_is_a_report_or_an_error(changes, end):
    capture = bytearray(SOUND)
    for at, value in changes:
        capture[at] = value
    with suppress(UsageError, WireError):
        str(deliver(bytes(capture[:end]), SERVER))


@pytest.mark.parametrize("path", sorted(PCAPS.glob("*.pcap*")), ids=lambda path: path.name)
def test_every_capture_of_ours_comes_out_as_what_streams_says(path):
    known: dict[tuple[str, str], bytes] = {}
    for connection in streams(path):
        (client, client_port), (server, server_port) = connection.client, connection.server
        known[f"{client}:{client_port}", f"{server}:{server_port}"] = connection.to_server.data
        known[f"{server}:{server_port}", f"{client}:{client_port}"] = connection.to_client.data
    for host in sorted({end.partition(":")[0] for way in known for end in way}):
        for way in WAYS:
            report = netstack.replay(path, host, **way).deliver()
            assert report.mismatches == [], (host, way)
            for played in report.played:
                client, server = played.name.split(" > ")
                ends = (client, server) if server.startswith(f"{host}:") else (server, client)
                assert known[ends].startswith(played.received or b"")
                if not report.notes:
                    assert known[ends] == (played.received or b"")
