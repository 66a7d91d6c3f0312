"""Services and their texts (RFC 6763), and messages as another implementation reads and writes them."""

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mdns_world import any_name

from netstack.dns.multicast import message
from netstack.dns.multicast.records import Own, Spec, text
from netstack.dns.multicast.service import Service, subtype_name, text_items, text_octets, type_name, whose_type
from netstack.errors import UsageError, WireError


def test_keys_and_values_are_these_octets():
    """RFC 6763 6.6: the example there, and the four ways of 6.4."""
    assert text_octets({"papersize": "A4"}) == b"\x0cpapersize=A4"
    assert text_octets({"path": "/", "PlugIns": True, "x": b"\x00\xff", "none": None, "no": False, "empty": ""}) == (
        b"\6path=/\7PlugIns\4x=\x00\xff\6empty="
    )
    assert text_octets({}) == b"\0"


def test_what_is_read_has_small_keys_and_the_first_of_each():
    data = b"\3A=1\3a=2\1b\2=x\2c=\0"
    assert text_items(data) == {"a": b"1", "b": None, "c": b""}
    assert text_items(b"\0") == {}
    assert text_items(b"\7short") == {}


@given(st.binary(max_size=300))
def test_any_text_is_read(data):
    assert isinstance(text_items(data), dict)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: Service("Web", "http.tcp", 80), "_http._tcp"),
        (lambda: Service("", "_http._tcp", 80), "name of an instance"),
        (lambda: Service("x" * 64, "_http._tcp", 80), "name of an instance"),
        (lambda: Service("a\nb", "_http._tcp", 80), "name of an instance"),
        (lambda: Service("Web", "_http._tcp", 65536), "not a port"),
        (lambda: Service("Web", "_http._tcp", 80, txt={"a=b": ""}), "not a key"),
        (lambda: Service("Web", "_http._tcp", 80, txt={"a": "x" * 255}), "at most 255"),
        (lambda: Service("Web", "_http._tcp", 80, subtypes=("",)), "not a subtype"),
        (lambda: Service("Web", "_a-much-too-long-name._tcp", 80), "_http._tcp"),
    ],
)
def test_what_cannot_be_a_service_is_refused(made, says):
    with pytest.raises(UsageError, match=says):
        made()


def test_names_of_types_and_subtypes():
    assert type_name("_http._tcp") == type_name("_http._tcp.local.") == b"\5_http\4_tcp\5local\0"
    assert subtype_name("_printer", "_http._tcp") == b"\x08_printer\4_sub\5_http\4_tcp\5local\0"
    assert whose_type(b"\3Web\5_http\4_tcp\5local\0") == "_http._tcp"
    assert text(b"\5A.b\\c" + type_name("_http._tcp")) == "A\\.b\\\\c._http._tcp.local"
    assert any_name("A\\.b\\\\c._http._tcp.local") == b"\5A.b\\c" + type_name("_http._tcp")
    assert any_name("Büro") == b"\5B\xc3\xbcro\5local\0"


def test_names_inside_of_srv_and_nsec_are_compressed_for_the_group_and_not_for_others():
    srv = Own(Spec(any_name("x._a._udp.local"), 33, bytes(6) + any_name("h.local"), 120, True))
    address = Own(Spec(any_name("h.local"), 1, bytes(4), 120, True))
    (data,), _ = message.responses([srv, address], [], 1472)
    assert data == bytes.fromhex(
        "0000 8400 0000 0002 0000 0000 01 78 02 5f61 04 5f756470 05 6c6f63616c 00"
        "0021 8001 00000078 000a 0000 0000 0000 01 68 c016 c02d 0001 8001 00000078 0004 00000000"
    )
    assert message.read(data).answers[0].rdata == srv.rdata


@given(st.binary(max_size=200))
def test_reading_is_total(data):
    with contextlib.suppress(WireError):
        message.read(data)


# -- python-zeroconf as another reader and writer -------------------------------------------------------------------------------


def test_zeroconf_reads_what_we_write(seed):
    zeroconf = pytest.importorskip("zeroconf")
    rng = random.Random(seed)
    service = Service("Büro 1", "_http._tcp", 8080, txt={"path": "/x"}, subtypes=("_office",))
    owns = [Own(spec) for spec in service.specs(service.name(), any_name("server.local"))]
    owns += [Own(Spec(any_name("server.local"), 1, rng.randbytes(4), 120, True))]
    owns += [Own(Spec(any_name("server.local"), 47, message.denial(any_name("server.local"), [1]), 120, True))]
    rng.shuffle(owns)
    (data,), _ = message.responses(owns, [], 1472)
    theirs = zeroconf.DNSIncoming(data)
    assert theirs.valid
    assert theirs.is_response()
    answers = theirs.answers()
    assert len(answers) == len(owns)
    for own, record in zip(owns, answers, strict=True):
        assert (record.name.encode(), record.type, record.unique) == (b".".join(_labels(own.name)) + b".", own.type, own.unique)
        assert record.ttl == own.ttl
    srv = next(r for r in answers if r.type == 33)
    assert (srv.port, srv.server) == (8080, "server.local.")
    nsec = next(r for r in answers if r.type == 47)
    assert (nsec.next_name, nsec.rdtypes) == ("server.local.", [1])
    probe = message.probe([[own for own in owns if own.name == any_name("server.local") and own.type == 1]], 1472)
    assert probe is not None
    theirs = zeroconf.DNSIncoming(probe)
    assert theirs.valid
    assert theirs.num_authorities == 1
    (question,) = theirs.questions
    assert (question.name, question.unicast, question.type) == ("server.local.", True, 255)


def _labels(name: bytes) -> list[bytes]:
    from netstack.dns.name import labels

    return labels(name)


def test_we_read_what_zeroconf_writes(seed):
    zeroconf = pytest.importorskip("zeroconf")
    out = zeroconf.DNSOutgoing(0x8400, multicast=True)
    flush = 0x8001
    name = "Web._http._tcp.local."
    out.add_answer_at_time(zeroconf.DNSPointer("_http._tcp.local.", 12, 1, 4500, name), 0)
    out.add_answer_at_time(zeroconf.DNSService(name, 33, flush, 120, 0, 0, 80, "h.local."), 0)
    out.add_answer_at_time(zeroconf.DNSText(name, 16, flush, 4500, b"\3a=b"), 0)
    out.add_answer_at_time(zeroconf.DNSNsec("h.local.", 47, flush, 120, "h.local.", [1, 28]), 0)
    (data,) = out.packets()
    packet = message.read(data)
    assert packet.response
    assert packet.lawful
    pointer, srv, txt, nsec = packet.answers
    assert (pointer.rdata, pointer.flush) == (any_name("Web._http._tcp.local"), False)
    assert (srv.rdata, srv.flush, srv.ttl) == (b"\0\0\0\0\0\x50" + any_name("h.local"), True, 120)
    assert text_items(txt.rdata) == {"a": b"b"}
    assert message.denied_types(nsec.rdata) == {1, 28}
