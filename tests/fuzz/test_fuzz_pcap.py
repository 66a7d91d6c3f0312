"""Any bytes are a capture or a WireError, in any pieces, in bounded memory."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from netstack import pcap
from netstack.errors import WireError
from netstack.pcap import BLOCK_LIMIT, Decoder, Packet, PcapngWriter, PcapWriter

SECTIONS = {
    order: struct.pack(f"{order}IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    + struct.pack(f"{order}IIHHII", 1, 20, 1, 0, 64, 20)
    for order in "<>"
}


def run(pieces: list[bytes]) -> tuple[list[Packet], "str | None"]:
    decoder = Decoder()
    packets: list[Packet] = []
    try:
        for piece in pieces:
            packets += decoder.feed(piece)
            assert len(decoder._buffer) <= BLOCK_LIMIT + len(piece)
        decoder.finish()
    except WireError as error:
        return packets, str(error)
    return packets, None


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted(n % (len(data) + 1) for n in cuts)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


blocks = st.builds(
    lambda order, kind, body, lie: (
        struct.pack(f"{order}II", kind, len(body) + 12 + lie) + body + struct.pack(f"{order}I", len(body) + 12 + lie)
    ),
    st.sampled_from("<>"),
    st.sampled_from([0x0A0D0D0A, 1, 2, 3, 6, 5, 0x80000000]),
    st.binary(max_size=80),
    st.sampled_from([0, 0, 0, 0, 4, -4]),
)
captures = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda order, rest: SECTIONS[order] + b"".join(rest), st.sampled_from("<>"), st.lists(blocks, max_size=6)),
    st.builds(
        lambda order, magic, rest: struct.pack(f"{order}IHHIIII", magic, 2, 4, 0, 0, 64, 1) + rest,
        st.sampled_from("<>"),
        st.sampled_from([0xA1B2C3D4, 0xA1B23C4D]),
        st.binary(max_size=200),
    ),
)


@given(captures, st.lists(st.integers(0, 10**6), max_size=5))
def test_any_bytes_are_packets_or_a_wire_error_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    whole, pieces = run([data]), run(cut(data, cuts))
    assert whole[0] == pieces[0]
    assert whole[1] == pieces[1]


@given(
    st.lists(st.tuples(st.integers(0, 2**63), st.binary(max_size=100), st.integers(0, 2), st.text(max_size=20)), max_size=8),
    st.lists(st.integers(0, 10**6), max_size=5),
)
def test_what_is_written_is_read_back(packets: list[tuple[int, bytes, int, str]], cuts: list[int]) -> None:
    out = bytearray()
    writer = PcapngWriter(out.extend)
    number = writer.interface("x")
    for time, data, direction, comment in packets:
        writer.packet(number, time, data, direction, comment)
    got, error = run(cut(bytes(out), cuts))
    assert error is None
    plain = [(time, data, direction, comment.partition("\0")[0]) for time, data, direction, comment in packets]
    assert [(p.time, p.data, p.direction, p.comment) for p in got] == plain


@given(st.lists(st.tuples(st.integers(0, 2**32 * 10**9 - 1), st.binary(max_size=100)), max_size=8))
def test_what_is_written_classic_is_read_back(packets: list[tuple[int, bytes]]) -> None:
    out = bytearray()
    writer = PcapWriter(out.extend, pcap.RAW)
    for time, data in packets:
        writer.packet(time, data)
    got, error = run([bytes(out)])
    assert error is None
    assert [(p.time, p.data, p.interface.linktype) for p in got] == [(time, data, pcap.RAW) for time, data in packets]
