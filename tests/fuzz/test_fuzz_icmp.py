"""Anything inside ICMP: no message, however mangled, does more than raise a counter."""

import warnings

from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.errors import WireError
from netstack.ipv4 import icmp_wire
from tests.unit.ipv4.ipworld import A, B, Host, datagram, echo, icmp

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers.inet import ICMP, IP

# where an InMsgs ends
ENDS = (
    "InErrors", "InDestUnreachs", "InTimeExcds", "InParmProbs", "InSrcQuenchs", "InRedirects", "InEchos", "InEchoReps",
    "InTimestamps", "InTimestampReps", "InAddrMasks", "InAddrMaskReps", "InUnknownTypes",
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 20), st.integers(0, 255), st.integers(0, 0xFFFFFFFF), st.binary(max_size=80), st.booleans())
def test_any_message_is_counted_and_never_answered_unless_it_asks(
    type: int, code: int, rest: int, data: bytes, quoting: bool
) -> None:
    host = Host()
    told: list[int] = []
    host.ip.icmp.on_echo_reply(7, lambda *reply: told.append(0), lambda *error: told.append(1))
    if quoting:
        data = datagram(echo(data, 7), A, B, 1)[: 20 + len(data)]
    answers = host.receive(datagram(icmp(type, code, rest, data), proto=1))
    assert len(answers) == (1 if type == 8 else 0)
    m = host.ip.icmp.mib
    badly_quoted = m.InBadQuote if m.InErrors else 0  # counted by its type too
    assert sum(getattr(m, name) for name in ENDS) - badly_quoted == m.InMsgs == 1
    for mtu, _ in host.ip.path_mtus.entries.values():
        assert mtu >= 552


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=100))
def test_reading_a_quote_gives_a_header_or_a_wire_error(data: bytes) -> None:
    try:
        src, dst, proto, total, ihl = icmp_wire.quoted(bytearray(data), 0, len(data))
    except WireError:
        return
    head = IP(data)
    assert (head.version, head.ihl * 4, head.len, head.proto, head.frag) == (4, ihl, total, proto, 0)
    assert (src, dst) == (int.from_bytes(data[12:16], "big"), int.from_bytes(data[16:20], "big"))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 0xFFFFFFFF), st.binary(max_size=200), st.integers(0, 8))
def test_messages_are_written_as_scapy_reads_them(type: int, code: int, rest: int, data: bytes, at: int) -> None:
    b = bytearray(12)
    at = min(at, len(data))
    icmp_wire.put_message(b, 2, type, code, rest, data, at, len(data) - at)
    message = bytes(b[2:10]) + data[at:]
    assert message == icmp(type, code, rest, data[at:])
    if type in (0, 8):
        read = ICMP(message)
        assert (read.type, read.code, read.id, read.seq) == (type, code, rest >> 16, rest & 0xFFFF)
