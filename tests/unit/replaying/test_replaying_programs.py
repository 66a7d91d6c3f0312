"""Programs under test, on asyncio and trio, against captures."""

import asyncio
import io
import json
import struct
from pathlib import Path

import pytest
import trio
from replaying_captures import CLIENT, SERVER, THEM, US, conversation, noise, raw_file, udp

import netstack
from netstack.errors import UsageError
from netstack.instant import SECOND
from netstack.replaying.compare import Comparison, hexdump
from netstack.runtime.trio.world import run_virtual as trio_virtual

PCAPS = Path(__file__).resolve().parents[3] / "pcaps"
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 09:00:00 GMT\r\nContent-Length: 3000\r\n\r\n" + noise(3000)
CAPTURE = conversation(REQUEST, ANSWER)


def served(answer: bytes, capture: bytes = CAPTURE, close: bool = True, speed: float | str = "max", deadline=None, **options):
    """The report of a server that sends `answer` once it has read a request."""

    async def main():
        async with netstack.replay(io.BytesIO(capture), as_host=SERVER, **options) as r:

            async def serve(reader, writer):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                if close:
                    writer.close()
                else:
                    await asyncio.sleep(1000)

            await r.program(asyncio.start_server(serve, "0.0.0.0", 80))
            return await r.run(speed, deadline=deadline)

    return netstack.run_virtual(main())


def test_a_server_that_answers_as_captured_has_no_mismatch():
    report = served(ANSWER)
    assert report.mismatches == [] and report.ok
    assert str(report).startswith("1 connections, 0 exchanges of datagrams, ")
    assert json.loads(report.json())["ok"] is True


def test_the_first_byte_that_differs_is_named_with_its_packet_and_both_hexdumps():
    report = served(ANSWER[:1500] + bytes([ANSWER[1500] ^ 0xFF]) + ANSWER[1501:])
    (mismatch,) = report.mismatches
    assert (mismatch.kind, mismatch.offset, mismatch.got_offset) == ("differs", 1500, 1500)
    numbers = {data: number for number, data in _answers()}
    (packet,) = (number for data, number in numbers.items() if data <= 1500 < data + 1448)
    assert mismatch.packet == packet
    assert mismatch.expected == ANSWER[1476:1524]
    text = str(mismatch)
    assert f"byte 1500, in packet {packet} of the capture, differs" in text
    assert f"[{ANSWER[1500]:02x}]" in text and f"[{ANSWER[1500] ^ 0xFF:02x}]" in text
    assert json.loads(report.json())["mismatches"][0]["expected"] == ANSWER[1476:1524].hex()


def _answers():
    """Packets of the captured answer: their number, and the offset of their first byte."""
    from netstack.captures import read
    from netstack.tcp.wire import Segment

    isn = None
    for item in read(io.BytesIO(CAPTURE)):
        segment = Segment.decode(item.data[20:])
        if segment.sport == 80 and segment.flags & 2:
            isn = segment.seq
        elif segment.sport == 80 and segment.payload:
            yield item.number, segment.seq - isn - 1


@pytest.mark.parametrize(
    ("answer", "close", "kinds", "says"),
    [
        (ANSWER[:-10], True, ["missing"], "10 bytes are missing from byte 3068"),
        (ANSWER + b"more", True, ["extra"], "4 bytes more than the capture has, from byte 3078"),
        (b"", True, ["missing"], "3078 bytes are missing from byte 0"),
        (ANSWER, False, ["ended"], "our host does not end its stream, which it does in packet"),
        (b"", False, ["missing", "ended"], "3078 bytes are missing"),
    ],
)
def test_what_is_missing_or_too_much_is_said_and_nothing_hangs(answer, close, kinds, says):
    report = served(answer, close=close)
    assert [mismatch.kind for mismatch in report.mismatches] == kinds
    assert says in str(report)
    assert report.duration < 60 * SECOND


def test_an_endless_program_is_heard_no_longer_than_it_takes_to_say_so():
    async def main():
        async with netstack.replay(io.BytesIO(CAPTURE), as_host=SERVER) as r:

            async def serve(reader, writer):
                while True:
                    writer.write(bytes(65536))
                    await writer.drain()

            await r.program(asyncio.start_server(serve, "0.0.0.0", 80))
            return await r.run(deadline=30)

    report = netstack.run_virtual(main())
    assert report.mismatches[0].kind == "differs" and report.mismatches[0].offset == 0
    assert len(report.played[0].sent) < 1 << 20


def test_the_deadline_ends_it():
    report = served(b"", close=False, deadline=2)
    assert report.mismatches[-1].kind == "deadline" and report.duration == 2 * SECOND


def test_what_may_differ_is_left_out():
    later = ANSWER.replace(b"Sat, 21 Nov 2026 09:00:00 GMT", b"never")
    assert served(later).mismatches[0].offset == ANSWER.index(b"Sat")
    date = rb"(?im)^date:[^\r\n]*\r\n"
    assert served(later, ignore=date).mismatches == []
    assert served(ANSWER.replace(b"Date: Sat, 21 Nov 2026 09:00:00 GMT\r\n", b""), ignore=[date, b"never"]).mismatches == []
    assert served(later, ignore=lambda data: data.partition(b"\r\n\r\n")[2]).mismatches == []
    (mismatch,) = served(later[:-1] + b"?", ignore=date).mismatches
    assert (mismatch.offset, mismatch.got_offset) == (len(ANSWER) - 1, len(later) - 1)


def test_nobody_who_listens_and_nobody_who_connects():
    async def idle(host):
        async with netstack.replay(io.BytesIO(CAPTURE), as_host=host) as r:
            return await r.run()

    (refused,) = netstack.run_virtual(idle(SERVER)).mismatches
    assert (refused.kind, refused.text) == ("refused", "our host refuses this connection, which begins in packet 1")
    (silent,) = netstack.run_virtual(idle(CLIENT)).mismatches
    assert (silent.kind, silent.text) == ("never opened", "our host never opens this connection, which it does in packet 1")


def test_a_client_connects_as_usual_from_a_port_of_its_own():
    async def main(extra):
        async with netstack.replay(io.BytesIO(CAPTURE), as_host=CLIENT) as r:

            async def client():
                reader, writer = await asyncio.open_connection(SERVER, 80)
                writer.write(REQUEST)
                got = await reader.read()
                writer.close()
                if extra:
                    with pytest.raises(OSError):
                        await asyncio.open_connection(SERVER, 81)
                return got

            task = asyncio.ensure_future(r.program(client()))
            report = await r.run()
            return report, await task

    report, got = netstack.run_virtual(main(False))
    assert got == ANSWER and report.mismatches == []
    report, got = netstack.run_virtual(main(True))
    assert [mismatch.kind for mismatch in report.mismatches] == ["extra connection"]
    assert "a connection to 10.0.0.2:81 that the capture doesn't have" in str(report)


def test_the_same_under_trio_at_the_pace_of_the_capture():
    async def main():
        async with netstack.replay(io.BytesIO(CAPTURE), as_host=SERVER) as r:

            async def serve(stream):
                got = b""
                while not got.endswith(b"\r\n\r\n"):
                    got += await stream.receive_some(100)
                await stream.send_all(ANSWER)

            await r.net.serve_streams(serve, 80)
            return await r.run(speed=1.0), r.script.duration

    report, duration = trio_virtual(main)
    assert report.mismatches == []
    assert duration <= report.duration <= duration + SECOND
    assert trio.__name__ == "trio"


def test_a_slow_program_moves_what_follows():
    """The peer's reaction takes as long after a late answer as it did after a prompt one."""

    async def main(think, speed):
        async with netstack.replay(PCAPS / "linux-tcp.pcapng", as_host="192.0.2.2") as r:
            answer = r.script.connections[0].from_us.data

            async def serve(reader, writer):
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(think)
                writer.write(answer)
                writer.close()

            await r.program(asyncio.start_server(serve, "0.0.0.0", 80))
            return await r.run(speed)

    prompt, late = (netstack.run_virtual(main(think, 1)) for think in (0, 2))
    assert prompt.mismatches == late.mismatches == []
    assert 1.9 * SECOND < late.duration - prompt.duration < 2.3 * SECOND


def test_a_query_of_the_dns_is_answered_under_the_number_that_it_has_now():
    def message(ident: int, flags: int, answers: bytes, name: bytes) -> bytes:
        return struct.pack("!HHHHHH", ident, flags, 1, 1 if answers else 0, 0, 0) + name + b"\0\1\0\1" + answers

    a, b = b"\1a\4test\0", b"\1b\4test\0"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4"
    capture = raw_file(
        udp(US, 40001, THEM, 53, message(7, 0x100, b"", a)),
        udp(US, 40002, THEM, 53, message(8, 0x100, b"", b)),
        udp(THEM, 53, US, 40002, message(8, 0x8180, record + bytes([10, 9, 9, 2]), b)),
        udp(THEM, 53, US, 40001, message(7, 0x8180, record + bytes([10, 9, 9, 1]), a)),
    )

    async def main():
        async with netstack.replay(io.BytesIO(capture), as_host=SERVER) as r:

            async def ask(ident, name):
                socket = await r.net.udp(remote=(CLIENT, 53))
                await socket.send(message(ident, 0x100, b"", name))
                answer, _ = await socket.receive()
                return answer

            found = asyncio.gather(ask(0x1111, a), ask(0x2222, b))
            return await r.run(), await found

    report, (first, second) = netstack.run_virtual(main())
    assert report.mismatches == []
    assert (first[:2], first[-4:]) == (b"\x11\x11", bytes([10, 9, 9, 1]))
    assert (second[:2], second[-4:]) == (b"\x22\x22", bytes([10, 9, 9, 2]))


def test_a_ping_is_answered_as_it_was():
    async def main():
        async with netstack.replay(PCAPS / "linux-icmp.pcapng", as_host="192.0.2.1") as r:
            return await asyncio.gather(r.net.ping("192.0.2.2"), r.run())

    rtt, _ = netstack.run_virtual(main())
    assert 0 < rtt < SECOND


def test_it_is_entered_once_and_played_once():
    async def main():
        r = netstack.replay(io.BytesIO(CAPTURE), as_host=SERVER)
        async with r:
            await r.run()
            with pytest.raises(UsageError, match="played already"):
                await r.run()
            with pytest.raises(UsageError, match="needs no event loop"):
                r.deliver()
        with pytest.raises(UsageError, match="entered already"):
            async with r:
                pass

    netstack.run_virtual(main())


def test_an_ordinary_loop_leaves_the_pauses_out():
    async def main():
        async with netstack.replay(PCAPS / "linux-tcp.pcapng", as_host="192.0.2.2") as r:
            answer = r.script.connections[0].from_us.data

            async def serve(stream):
                await stream.receive(1000)
                await stream.send_all(answer)

            await r.net.serve_streams(serve, 80)
            return await r.run()

    report = asyncio.run(main())
    assert report.mismatches == [] and report.duration < 5 * SECOND


def test_a_hexdump_marks_the_byte():
    assert hexdump(b"abcdefgh", 14, 17) == (
        "00000000                                                          61  62  |              ab|\n"
        "00000010  63 [64] 65  66  67  68                                          |cdefgh          |"
    )
    assert hexdump(b"", 0, 0).startswith("00000000 [--]")


def test_streams_of_any_length_are_compared_to_the_byte():
    compare = Comparison().first
    data = noise(20_000)
    assert compare(data, data) is None and compare(b"", b"") is None
    for at in (0, 1, 4095, 4096, 4097, 19_999):
        found = compare(data, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert found is not None and (found.kind, found.expected_offset) == ("differs", at)
        found = compare(data, data[:at])
        assert found is not None and (found.kind, found.expected_offset, found.length) == ("missing", at, 20_000 - at)
