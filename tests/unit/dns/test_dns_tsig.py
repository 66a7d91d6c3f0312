"""Transaction signatures, with dnspython as the other side; streams; and what each kind of bad signature is answered."""

import contextlib
import hmac
import random
import re
import time

import dns.message
import dns.name
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack.dns import edns, message, tsig
from netstack.dns import name as names
from netstack.dns.message import Message, Question, Record, decode
from netstack.dns.tsig import Key, Keys, Signer, TsigError, Verifier
from netstack.errors import UsageError, WireError

NOW = 1_700_000_000
SECRET = bytes(range(32))
KEY = Key("Transfer.Example", SECRET)
KEYS = Keys([KEY])
FORMERR, NOTAUTH = 1, 9


def query(type=6, id=0x1234, opt=False):
    m = Message(id, 0x0100)
    m.question.append(Question(names.parse("example."), type))
    if opt:
        m.edns = edns.Edns(1232)
    return m.encode()


def response(id=0x1234, records=3):
    m = Message(id, 0x8400)
    m.question.append(Question(names.parse("example."), 6))
    m.answer = [Record(names.parse(f"a{i}.example."), 1, 1, 60, bytes([192, 0, 2, i])) for i in range(records)]
    return m.encode()


def their_key(algorithm="hmac-sha256"):
    return dns.tsig.Key("transfer.example.", SECRET, algorithm)


def their_request(algorithm="hmac-sha256", **more):
    """A query that dnspython signed, with its MAC."""
    m = dns.message.make_query("www.example.", "A", **more)
    m.use_tsig(their_key(algorithm))
    wire = m.to_wire()
    return m, wire


# -- two sides ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", sorted(tsig.ALGORITHMS))
@pytest.mark.parametrize("opt", [False, True])
def test_what_dnspython_signs_verifies_and_our_answer_satisfies_it(algorithm, opt):
    m, wire = their_request(algorithm, use_edns=opt)
    ours = Key("transfer.example", SECRET, algorithm)
    signed = tsig.verify(wire, Keys([ours]), m.tsig[0].time_signed)
    assert signed.key == ours
    asked = decode(signed.message)
    assert asked.question == [Question(names.parse("www.example."), 1)] and asked.additional == []
    assert (asked.edns is not None) == opt

    answer = Message(asked.id, 0x8580)
    answer.question = asked.question
    answer.answer.append(Record(names.parse("www.example."), 1, 1, 60, bytes(4)))
    answer.edns = edns.Edns(1232) if opt else None
    reply = signed.signer().sign(answer.encode(), m.tsig[0].time_signed)
    assert len(reply) <= len(answer.encode()) + ours.overhead
    keyring = {dns.name.from_text("transfer.example."): their_key(algorithm)}
    theirs = dns.message.from_wire(reply, keyring=keyring, request_mac=m.mac)
    assert theirs.had_tsig and theirs.answer[0].name == dns.name.from_text("www.example.")
    with pytest.raises(dns.tsig.BadSignature):
        dns.message.from_wire(reply, keyring=keyring, request_mac=b"another")


@pytest.mark.parametrize("algorithm", sorted(tsig.ALGORITHMS))
def test_what_we_sign_dnspython_verifies_and_its_answer_satisfies_us(algorithm):
    ours = Key("transfer.example", SECRET, algorithm)
    request = Signer(ours)
    now = int(time.time())  # dnspython asks the clock
    wire = request.sign(query(opt=True), now)
    keyring = {dns.name.from_text("transfer.example."): their_key(algorithm)}
    theirs = dns.message.from_wire(wire, keyring=keyring)
    assert theirs.had_tsig and theirs.edns == 0
    reply = dns.message.make_response(theirs).to_wire()
    verifier = Verifier(ours, request.mac)
    assert decode(verifier.check(reply, now)).id == 0x1234
    verifier.finish()
    other = Verifier(ours, request.mac[:-1] + bytes([request.mac[-1] ^ 1]))
    with pytest.raises(TsigError, match="not right"):
        other.check(reply, now)


def test_the_record_octet_by_octet():
    """Made by hand from RFC 8945 4.2 and 4.3, with the HMAC of the standard library."""
    wire = query()
    variables = (
        b"\x08transfer\x07example\0" + b"\0\xff" + b"\0\0\0\0" + b"\x0bhmac-sha256\0" + NOW.to_bytes(6, "big") + b"\x01\x2c\0\0\0\0"
    )
    mac = hmac.digest(SECRET, wire + variables, "sha256")
    rdata = b"\x0bhmac-sha256\0" + NOW.to_bytes(6, "big") + b"\x01\x2c" + b"\0\x20" + mac + b"\x12\x34" + b"\0\0" + b"\0\0"
    record = b"\x08transfer\x07example\0" + b"\0\xfa\0\xff\0\0\0\0" + len(rdata).to_bytes(2, "big") + rdata
    assert tsig.sign(wire, KEY, NOW) == wire[:10] + b"\0\1" + wire[12:] + record


def test_a_message_without_a_signature_is_none():
    assert tsig.verify(query(), KEYS, NOW) is None
    assert tsig.verify(query(opt=True), KEYS, NOW) is None


def test_names_in_other_letters_and_an_id_that_a_forwarder_changed_verify():
    signed = bytearray(tsig.sign(query(), KEY, NOW))
    at = signed.index(b"transfer")
    signed[at : at + 8] = b"TRANSFER"
    at = signed.index(b"hmac-sha256")
    signed[at : at + 4] = b"HMAC"
    signed[:2] = b"\x99\x99"
    found = tsig.verify(bytes(signed), KEYS, NOW)
    assert found is not None and found.message == b"\x99\x99" + query()[2:]


# -- what is wrong, and what is said ------------------------------------------------------------------------------------------


def refused(wire, now=NOW, keys=KEYS, **more):
    with pytest.raises(TsigError) as caught:
        tsig.verify(wire, keys, now, **more)
    return caught.value


def error_answer(error, now=NOW):
    return error.answer(Message(0x1234, 0x8000 | error.rcode).encode(), now)


def test_an_unknown_key_or_algorithm_is_badkey_and_the_answer_is_not_signed():
    for other in (Key("another", SECRET), Key("transfer.example", SECRET, "hmac-sha512")):
        error = refused(tsig.sign(query(), other, NOW))
        assert (error.rcode, error.error) == (NOTAUTH, tsig.BADKEY)
        t = tsig.find(error_answer(error))
        assert (t.name, t.algorithm, t.mac, t.error) == (other.name, other.wire_algorithm, b"", tsig.BADKEY)


def test_every_changed_octet_is_found(seed):
    rng = random.Random(seed)
    good = tsig.sign(query(opt=True), KEY, NOW)
    for _ in range(300):
        at = rng.randrange(2, len(good))  # the id may change
        bad = bytearray(good)
        bad[at] ^= 1 << rng.randrange(8)
        if bytes(bad).lower() == good.lower():
            continue  # a letter of a name, in the record: canonical
        try:
            found = tsig.verify(bytes(bad), KEYS, NOW)
        except TsigError as error:
            assert error.rcode in (FORMERR, NOTAUTH)
        else:
            # what is found nowhere: it has become another message without a signature, or its letters differ in the record alone
            assert found is None, (at, bad[at], good[at])


def test_a_wrong_secret_is_badsig_and_the_answer_is_not_signed():
    error = refused(tsig.sign(query(), Key("transfer.example", b"guessed"), NOW))
    assert (error.rcode, error.error) == (NOTAUTH, tsig.BADSIG)
    t = tsig.find(error_answer(error))
    assert (t.mac, t.error) == (b"", tsig.BADSIG)


@pytest.mark.parametrize("off", [-301, 301, 10**9])
def test_a_wrong_clock_is_badtime_and_the_client_can_verify_the_answer_and_read_our_clock(off):
    client = Signer(KEY)
    wire = client.sign(query(), NOW)
    error = refused(wire, now=NOW + off)
    assert (error.rcode, error.error) == (NOTAUTH, tsig.BADTIME)
    answer = error_answer(error, NOW + off)
    t = tsig.find(answer)
    assert (t.time, t.error, t.other, len(t.mac)) == (NOW, tsig.BADTIME, (NOW + off).to_bytes(6, "big"), 32)
    with pytest.raises(TsigError, match=re.escape(f"BADTIME: its clock is {off:+} s from ours")):
        Verifier(KEY, client.mac).check(answer, NOW)


def test_clocks_may_differ_by_the_fudge():
    assert tsig.verify(tsig.sign(query(), KEY, NOW), KEYS, NOW + 300) is not None
    assert tsig.verify(tsig.sign(query(), KEY, NOW), KEYS, NOW - 300) is not None
    assert refused(tsig.sign(query(), KEY, NOW, fudge=10), now=NOW + 11).error == tsig.BADTIME


def test_a_mac_shorter_than_we_demand_is_badtrunc_and_the_answer_is_signed():
    short = Key("transfer.example", SECRET, size=16)
    client = Signer(short)
    wire = client.sign(query(), NOW)
    assert tsig.verify(wire, Keys([short]), NOW) is not None
    error = refused(wire)
    assert (error.rcode, error.error) == (NOTAUTH, tsig.BADTRUNC)
    with pytest.raises(TsigError, match="BADTRUNC"):
        Verifier(short, client.mac).check(error_answer(error), NOW)


@pytest.mark.parametrize("n", [0, 9, 15, 33, 64])
def test_a_mac_of_a_length_that_no_truncation_has_is_formerr(n):
    t = tsig.find(tsig.sign(query(), KEY, NOW))
    mac = (t.mac * 2)[:n]
    wire = tsig._with_record(query(), t.name, t.algorithm, t.time, t.fudge, mac, t.original_id, 0, b"")
    error = refused(wire)
    assert (error.rcode, error.error) == (FORMERR, 0)
    assert tsig.find(error_answer(error)) is None


def test_a_tsig_record_that_is_not_the_last_is_formerr():
    signed = tsig.sign(query(), KEY, NOW)
    another = signed[:10] + b"\0\2" + signed[12:] + b"\0\0\1\0\1\0\0\0\0\0\4\0\0\0\0"
    with pytest.raises(WireError, match="isn't the last"):
        decode(another)
    twice = tsig.sign(signed, KEY, NOW)
    with pytest.raises(WireError, match="isn't the last"):
        decode(twice)
    in_answer = signed[:6] + b"\0\1\0\0\0\0" + signed[12:]
    with pytest.raises(WireError, match="isn't the last"):
        decode(in_answer)


def test_class_ttl_and_length_of_the_record_must_be_lawful():
    signed = tsig.sign(query(), KEY, NOW)
    at = tsig.find(signed).at + len(KEY.name)
    for change in (at + 3, at + 5, at + 9):
        bad = bytearray(signed)
        bad[change] ^= 1
        assert refused(bytes(bad)).rcode == FORMERR


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_octets_are_a_value_or_a_wire_error(noise, cut):
    good = tsig.sign(query(opt=True), KEY, NOW)
    for data in (noise, good[:cut] + noise, good[: len(good) - cut] + noise):
        with contextlib.suppress(WireError):
            tsig.verify(data, KEYS, NOW)


# -- OPT and TSIG in messages -------------------------------------------------------------------------------------------------


def test_a_decoded_message_keeps_the_record_last_and_puts_opt_before_it_again():
    signed = tsig.sign(query(opt=True), KEY, NOW)
    m = decode(signed)
    assert m.edns is not None and [r.type for r in m.additional] == [250]
    assert m.encode() == signed
    assert tsig.verify(m.encode(), KEYS, NOW) is not None
    assert len(m.encode(limit=len(signed) - 1)) < len(signed)  # the question had to go: the signature never does


# -- streams ------------------------------------------------------------------------------------------------------------------


def stream(n, every=1, key=KEY, mac=b"request's"):
    """`n` messages of an answer of which each `every`th is signed, as others do it."""
    signer = Signer(key, mac)
    out = []
    held = b""
    for i in range(n):
        wire = response(records=i % 3)
        if i % every and i != n - 1:
            held += wire
            out.append(wire)
        else:
            start = tsig._counted(signer.mac) + held
            signed, signer.mac = tsig._signed(wire, key, NOW, 300, start, timers_only=i > 0)
            out.append(signed)
            held = b""
    return out


def test_dnspython_reads_a_stream_that_we_signed():
    m, wire = their_request()
    now = m.tsig[0].time_signed
    signer = tsig.verify(wire, KEYS, now).signer()
    ctx = None
    for i in range(5):
        signed = signer.sign(response(id=m.id, records=i), now)
        got = dns.message.from_wire(signed, keyring=m.keyring, request_mac=m.mac, tsig_ctx=ctx, multi=True, origin=None)
        assert got.had_tsig
        ctx = got.tsig_ctx


@pytest.mark.parametrize("every", [1, 2, 7, 100])
def test_up_to_99_messages_in_a_row_may_be_unsigned(every):
    verifier = Verifier(KEY, b"request's")
    for wire in stream(203, every):
        decode(verifier.check(wire, NOW))
    verifier.finish()


def test_a_hundred_unsigned_messages_in_a_row_are_too_many():
    verifier = Verifier(KEY, b"request's")
    with pytest.raises(TsigError, match="more than 99"):
        for wire in stream(203, 101):
            verifier.check(wire, NOW)


def test_the_first_and_the_last_message_must_be_signed():
    with pytest.raises(TsigError, match="not signed"):
        Verifier(KEY, b"").check(response(), NOW)
    verifier = Verifier(KEY, b"request's")
    for wire in stream(4, 2)[:2]:
        verifier.check(wire, NOW)
    with pytest.raises(TsigError, match="end of the answer"):
        verifier.finish()


@pytest.mark.parametrize("what", ["drop", "swap", "change", "insert"])
def test_a_stream_that_somebody_tampered_with_breaks(what):
    wires = stream(9, 3)
    if what == "drop":
        del wires[4]
    elif what == "swap":
        wires[4], wires[5] = wires[5], wires[4]
    elif what == "change":
        wires[4] = wires[4][:-1] + b"\xff"
    else:
        wires.insert(4, response())
    verifier = Verifier(KEY, b"request's")
    with pytest.raises(TsigError, match="not right"):
        for wire in wires:
            verifier.check(wire, NOW)


# -- keys ---------------------------------------------------------------------------------------------------------------------


def test_keys_are_written_as_dig_takes_them():
    assert tsig.parse("hmac-sha512:k.example:AAEC") == Key("k.example.", b"\0\1\2", "hmac-sha512")
    assert tsig.parse("K:AAEC") == Key("k", b"\0\1\2")
    assert "c2VjcmV0" not in repr(tsig.parse("k:c2VjcmV0")) and "secret" not in repr(tsig.parse("k:c2VjcmV0"))


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: Key("k", b"x", "hmac-md5"), "MD5"),
        (lambda: Key("k", b"x", "hmac-md5.sig-alg.reg.int."), "MD5"),
        (lambda: Key("k", b"x", "rot13"), "choose one of"),
        (lambda: Key("k", "§"), "base64"),
        (lambda: Key("k", b""), "proves nothing"),
        (lambda: Key("k", b"x", size=15), "16 to 32"),
        (lambda: Key("k", b"x", "hmac-sha1", size=9), "10 to 20"),
        (lambda: Key("k", b"x", size=33), "16 to 32"),
        (lambda: Keys([Key("k", b"x"), Key("K.", b"y")]), "two TSIG keys"),
        (lambda: tsig.parse("hmac-sha256:a:b:c"), "written like"),
    ],
)
def test_bad_keys_are_refused_in_a_sentence(make, says):
    with pytest.raises(UsageError, match=says):
        make()


def test_a_message_without_room_for_a_signature_is_a_usage_error():
    with pytest.raises(UsageError, match="no room"):
        tsig.sign(bytes(65500), KEY, NOW)


def test_the_last_record_is_found_behind_all_kinds_of_names():
    wire = tsig.sign(response(records=9), KEY, NOW)
    assert message.last_record(wire) == len(response(records=9))
    with pytest.raises(WireError):
        message.last_record(wire[:-1])
