"""The words of DHCP: literal bytes, scapy as an oracle, and every input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack.address import Cidr, Ip4, Mac
from netstack.dhcp import message as msg
from netstack.dhcp import options as opt
from netstack.dhcp.const import BOOTREPLY, Kind, Option
from netstack.dhcp.message import DhcpMessage
from netstack.errors import NetstackError, UsageError, WireError

# a DISCOVER as busybox's udhcpc sends it
DISCOVER = bytes.fromhex(
    "010106003903f3260000000000000000000000000000000000000000020000000001"
    + "00" * 10
    + "00" * 192
    + "63825363"
    + "350101"
    + "3d0701020000000001"
    + "3902 0240".replace(" ", "")
    + "3707"
    + "01 03 06 0c 0f 1c 2a".replace(" ", "")
    + "3c0c7564686370203 12e33352e30".replace(" ", "")
    + "ff"
)


def test_a_discover_of_busybox_is_read():
    m = msg.parse(DISCOVER)
    assert (m.kind, m.xid, m.mac, m.broadcast) == (Kind.DISCOVER, 0x3903F326, Mac.parse("02:00:00:00:00:01"), False)
    assert m.client == bytes.fromhex("01020000000001")
    assert list(m.options[Option.PARAMETERS]) == [1, 3, 6, 12, 15, 28, 42]
    assert m.room == 576 - 28


def test_a_client_without_identifier_is_its_hardware_address():
    m = DhcpMessage(chaddr=b"\2\0\0\0\0\1", options={Option.KIND: b"\1"})
    assert msg.parse(msg.build(m)[0]).client == b"\1\2\0\0\0\0\1"


def test_a_message_has_at_least_the_length_of_bootp():
    wire, left_out = msg.build(DhcpMessage(options={Option.KIND: b"\1"}))
    assert (len(wire), left_out) == (300, [])
    assert wire[236:244] == b"\x63\x82\x53\x63\x35\1\1\xff"


def test_long_options_are_cut_and_joined_again():
    data = bytes(range(256)) * 2
    wire, _ = msg.build(DhcpMessage(options={Option.KIND: b"\5", 43: data}), 1472)
    assert msg.parse(wire).options[43] == data
    at = wire.index(b"\x2b\xff")
    assert wire[at + 257 : at + 259] == b"\x2b\xff"


def test_what_has_no_room_goes_into_file_and_sname_and_then_is_left_out():
    options = {Option.KIND: b"\5", 43: b"a" * 250, 60: b"b" * 120, 61: b"c" * 60, 77: b"d" * 90}
    wire, left_out = msg.build(DhcpMessage(op=BOOTREPLY, options=options))
    assert len(wire) <= 548
    assert left_out == [77]
    found = msg.parse(wire)
    assert {code: data for code, data in options.items() if code != 77} == dict(found.options)
    assert found.file == found.sname == b""
    whole, left_out = msg.build(DhcpMessage(op=BOOTREPLY, options=options), 1472)
    assert left_out == []
    assert dict(msg.parse(whole).options) == options


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        DISCOVER[:239],
        b"\3" + DISCOVER[1:],
        DISCOVER[:2] + b"\x11" + DISCOVER[3:],  # hlen
        DISCOVER[:236] + b"\0\0\0\0" + DISCOVER[240:],
        DISCOVER[:240] + b"\x35",
        DISCOVER[:240] + b"\x35\2\1",
        DISCOVER[:240] + b"\x34\1\4\xff",
        DISCOVER[:240] + b"\x34\2\1\1\xff",
        DISCOVER[:108] + b"\x0c\xff" + DISCOVER[110:240] + b"\x34\1\1\xff",  # an option beyond `file`
    ],
)
def test_what_breaks_the_form_is_refused(wire):
    with pytest.raises(WireError):
        msg.parse(wire)


def test_a_message_without_a_kind_is_not_dhcp():
    for options in ({}, {Option.KIND: b""}, {Option.KIND: b"\0"}, {Option.KIND: b"\1\1"}):
        with pytest.raises(WireError):
            assert DhcpMessage(options=options).kind


def test_classless_routes_are_those_of_the_rfc():
    data = bytes.fromhex("00 0a000001 08 0a 0a000001 18 0a1b81 0a1b8101 11 0a2dee 00000000 20 0a20010a 0a000001".replace(" ", ""))
    found = opt.routes(data)
    assert [(str(cidr), str(router)) for cidr, router in found] == [
        ("0.0.0.0/0", "10.0.0.1"), ("10.0.0.0/8", "10.0.0.1"), ("10.27.129.0/24", "10.27.129.1"), ("10.45.128.0/17", "0.0.0.0"),
        ("10.32.1.10/32", "10.0.0.1"),
    ]  # fmt: skip
    assert opt.pack_routes(found) == data.replace(b"\x11\x0a\x2d\xee", b"\x11\x0a\x2d\x80")
    for bad in (b"\x21\0\0\0\0\0\0\0\0\0", b"\x08\x0a\0\0\0", b"\0"):
        with pytest.raises(WireError):
            opt.routes(bad)


def test_a_search_list_may_be_compressed_as_in_rfc_3397():
    data = bytes.fromhex("03656e67056170706c6503636f6d00" + "096d61726b6574696e67c004")
    assert opt.names(data) == ("eng.apple.com", "marketing.apple.com")
    assert opt.names(opt.pack_names(("a.example", "b"))) == ("a.example", "b")
    for bad in (b"\xc0\0", b"\xc0", b"\3ab", b"\x40a", b"\1a", b"\1a\xc0\0"):
        with pytest.raises(WireError):
            opt.names(bad)


def test_a_mask_has_no_holes():
    assert [opt.prefix(bytes(4)), opt.prefix(b"\xff\xff\xff\0"), opt.prefix(b"\xff" * 4)] == [0, 24, 32]
    with pytest.raises(WireError):
        opt.prefix(b"\xff\0\xff\0")


@pytest.mark.parametrize(
    ("said", "name"), [(b"Laptop", "laptop"), (b"a.b.example\0", "a"), (b"", ""), (b"-x", ""), (b"x_y", ""), (b"a b", ""),
    ("ä".encode(), ""), (b"a" * 64, "")],
)  # fmt: skip
def test_a_hostname_is_a_label_that_dns_may_carry_or_nothing(said, name):
    assert opt.hostname(said) == name


def test_an_fqdn_is_read_in_both_encodings():
    assert opt.fqdn(b"\4\0\0\6laptop\7example\0") == "laptop"
    assert opt.fqdn(b"\0\0\0laptop.example") == "laptop"
    assert opt.fqdn(b"\4\0\0\x40a") == opt.fqdn(b"\0") == opt.fqdn(b"\4\0\0\7abc") == ""


def test_options_that_are_none_are_refused():
    for code in (0, 52, 255, 300):
        with pytest.raises(UsageError):
            msg.build(DhcpMessage(options={code: b""}))


def test_scapy_reads_what_we_say_and_we_what_scapy_says():
    pytest.importorskip("scapy")
    from scapy.layers.dhcp import BOOTP, DHCP

    ours, _ = msg.build(
        DhcpMessage(
            op=BOOTREPLY, xid=7, chaddr=b"\2\0\0\0\0\1", yiaddr=Ip4.parse("10.0.2.100"),
            options={
                Option.KIND: b"\2", Option.SERVER: b"\x0a\0\2\2", Option.LEASE: b"\0\0\x0e\x10", Option.MASK: b"\xff\xff\xff\0",
                Option.ROUTER: b"\x0a\0\2\2", Option.DNS: b"\x0a\0\2\3\x0a\0\2\2", Option.MTU: b"\5\xdc", Option.DOMAIN: b"lan",
                Option.ROUTES: opt.pack_routes([(Cidr.parse("10.9.0.0/16"), Ip4.parse("10.0.2.9"))]),
            },
        )
    )  # fmt: skip
    theirs = BOOTP(ours)
    said = {each[0]: each[1:] for each in theirs[DHCP].options if isinstance(each, tuple)}
    assert (theirs.op, theirs.xid, theirs.yiaddr, theirs.chaddr[:6]) == (2, 7, "10.0.2.100", b"\2\0\0\0\0\1")
    assert said["message-type"] == (2,)
    assert said["name_server"] == ("10.0.2.3", "10.0.2.2")
    assert (said["interface-mtu"], said["lease_time"], said["domain"]) == ((1500,), (3600,), (b"lan",))
    assert "10.9.0.0/16:10.0.2.9" in said["classless_static_routes"][0]

    request = BOOTP(op=1, xid=99, chaddr=b"\2\0\0\0\0\2", flags="B", ciaddr="10.0.2.7") / DHCP(
        options=[
            ("message-type", "request"),
            ("hostname", b"box"),
            ("requested_addr", "10.0.2.101"),
            ("client_id", b"\xff1234"),
            "end",
        ]
    )
    m = msg.parse(bytes(request))
    assert (m.kind, m.xid, m.broadcast, str(m.ciaddr)) == (Kind.REQUEST, 99, True, "10.0.2.7")
    assert (str(m.address(Option.REQUESTED)), m.client, m.options[Option.HOSTNAME]) == ("10.0.2.101", b"\xff1234", b"box")


@given(
    st.binary(max_size=80),
    st.binary(max_size=128),
    st.binary(max_size=64),
    st.sampled_from([b"", b"\x34\1\1", b"\x34\1\2", b"\x34\1\3"]),
)
def test_every_input_is_a_message_or_a_wire_error(options, file, sname, overload):
    wire = DISCOVER[:44] + sname.ljust(64, b"\0") + file.ljust(128, b"\0") + b"\x63\x82\x53\x63" + overload + options
    try:
        m = msg.parse(wire)
    except WireError:
        return
    sendable = {code: data for code, data in m.options.items() if 0 < code < 255 and code != Option.OVERLOAD}
    again, left_out = msg.build(DhcpMessage(options=sendable), 1472)
    assert left_out == []
    assert dict(msg.parse(again).options) == sendable


@given(st.binary(max_size=120))
def test_every_option_is_a_value_or_a_wire_error(data):
    for read in (opt.address, opt.addresses, opt.prefix, opt.text, opt.routes, opt.names):
        try:
            read(data)
        except NetstackError as error:
            assert isinstance(error, WireError)
    assert isinstance(opt.hostname(data) + opt.fqdn(data), str)
