"""Any octets to every decoder of the DNS: a value or WireError, in bounded time and memory; and dnspython reads the same."""

import contextlib
import random
import time
import tracemalloc
import warnings

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.dns import ask as asks
from netstack.dns import name, rdata
from netstack.dns.ask import Ask
from netstack.dns.edns import Edns
from netstack.dns.message import Message, Question, Record, decode
from netstack.dns.numbers import Type
from netstack.dns.packed import Packed
from netstack.errors import UsageError, WireError

ASK = Ask()
LABELS = [b"a", b"B", b"www", b"example", b"Com", b"x" * 63, b"\0.\xff", b"ns1"]


def some_name(rng: random.Random) -> bytes:
    return name.join(rng.choices(LABELS, k=rng.randrange(0, 4)))


def some_rdata(rng: random.Random, type: int) -> bytes:
    n = some_name
    u16 = rng.randbytes(2)
    if type == Type.A:
        return rng.randbytes(4)
    if type == Type.AAAA:
        return rng.randbytes(16)
    if type in (Type.NS, Type.CNAME, Type.PTR, Type.DNAME):
        return n(rng)
    if type == Type.SOA:
        return n(rng) + n(rng) + rng.randbytes(20)
    if type == Type.MX:
        return u16 + n(rng)
    if type == Type.SRV:
        return u16 * 3 + n(rng)
    if type == Type.NAPTR:
        return u16 * 2 + b"\1a\2bc\0" + n(rng)
    if type == Type.RP:
        return n(rng) + n(rng)
    if type == Type.TXT:
        return b"\3abc" * rng.randrange(1, 4)
    if type == Type.NSEC:
        return n(rng) + b"\0\1\x40"
    return rng.randbytes(rng.randrange(0, 30))


TYPES = [Type.A, Type.AAAA, Type.NS, Type.CNAME, Type.PTR, Type.DNAME, Type.SOA, Type.MX, Type.SRV, Type.NAPTR, Type.RP, Type.TXT,
         Type.NSEC, 65280]  # fmt: skip


def some_message(rng: random.Random) -> Message:
    m = Message(rng.getrandbits(16), rng.choice([0x0100, 0x8180, 0x8400]))
    for _ in range(rng.choice([1, 1, 1, 0, 2])):
        m.question.append(Question(some_name(rng), int(rng.choice(TYPES))))
    for section in (m.answer, m.authority, m.additional):
        for _ in range(rng.randrange(0, 4)):
            owner, type = some_name(rng), int(rng.choice(TYPES))
            section.append(Record(owner, type, 1, rng.getrandbits(31), some_rdata(rng, type)))
    if rng.randrange(2):
        cookie = rng.randbytes(rng.choice([8, 16, 40]))
        known = [(3, b"ns1"), (10, cookie), (12, bytes(9)), (15, b"\0\x0fno"), (65001, b"12345")]
        options = tuple(rng.sample(known, rng.randrange(3)))
        m.edns = Edns(rng.getrandbits(16), do=bool(rng.randrange(2)), options=options, ext_rcode=rng.choice([0, 1]))
    return m


def mutated(rng: random.Random, data: bytes) -> bytes:
    b = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        kind = rng.randrange(6)
        at = rng.randrange(len(b) + 1)
        if kind == 0:
            b[at:at] = rng.randbytes(rng.randrange(1, 4))
        elif kind == 1:
            del b[at : at + rng.randrange(1, 4)]
        elif kind == 2:
            del b[at:]
        elif b and kind == 3:
            b[at % len(b)] = rng.choice([0, 1, 63, 64, 0xC0, 0xFF, rng.getrandbits(8)])
        elif len(b) > 1 and kind == 4:
            at %= len(b) - 1
            b[at : at + 2] = (0xC000 | rng.randrange(0, len(b) + 4)).to_bytes(2, "big")
        elif b:
            b[rng.randrange(min(12, len(b)))] = rng.choice([0, 1, 0xFF])
    return bytes(b)


def flat(records: list[Record]) -> list[tuple[bytes, int, int, int, bytes]]:
    return sorted((r.name.lower(), r.type, r.rclass, r.ttl, r.rdata) for r in records)


def theirs(data: bytes) -> dns.message.Message | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dns.message.from_wire(data, one_rr_per_rrset=True)
        except Exception:
            return None


def their_records(section: list[dns.rrset.RRset]) -> list[tuple[bytes, int, int, int, bytes]]:
    return sorted((s.name.to_wire().lower(), int(s.rdtype), int(s.rdclass), s.ttl, rd.to_wire()) for s in section for rd in s)


def check_whatever(data: bytes) -> Message | None:
    """Every decoder sees it; what is lawful goes around."""
    verdict = ASK.read(data)
    assert verdict in range(5)
    if verdict != asks.SILENCE:
        assert decode(ASK.refuse(1)).flags & 15 == 1
    try:
        m = decode(data)
    except WireError as error:
        assert verdict != asks.OK, error
        assert str(error)
        return None
    if verdict == asks.OK:
        q = m.question[0]
        assert (ASK.name, ASK.type, ASK.rclass, ASK.id) == (q.name, q.type, q.rclass, m.id)
        assert ASK.key == q.name.lower() + q.type.to_bytes(2, "big") + q.rclass.to_bytes(2, "big")
        assert ASK.edns == (m.edns is not None)
    again = decode(m.encode(exact=True))
    assert (again.id, again.flags, again.question) == (m.id, m.flags, m.question)
    assert (again.answer, again.authority, again.additional, again.edns) == (m.answer, m.authority, m.additional, m.edns)
    assert [q.name for q in again.question] == [q.name for q in m.question]
    for r in (*m.answer, *m.authority, *m.additional):
        check_rdata(r.type, r.rdata)
    if m.edns is not None:
        for read in ("cookie", "errors", "keepalive", "nsid", "subnet"):
            with contextlib.suppress(WireError):
                getattr(m.edns, read)
    if m.qr and len(m.question) == 1:
        try:
            packed = Packed(data)
        except UsageError:
            assert m.edns is not None
        else:
            query = Message(7, 0)
            query.question = m.question
            assert ASK.read(query.encode()) == asks.OK
            got = decode(packed.reply(ASK, 65535))
            assert (got.answer, got.authority, got.additional, got.id) == (m.answer, m.authority, m.additional, 7)
    return m


def check_rdata(type: int, data: bytes) -> None:
    try:
        value = rdata.unpack(type, data)
    except WireError:
        assert rdata.to_text(type, data).startswith("\\# ")
        return
    said = rdata.to_text(type, data)
    assert rdata.unpack(type, rdata.from_text(type, said)) == value
    assert rdata.unpack(type, rdata.pack(type, value)) == value


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_octets_are_a_message_or_a_wire_error(data: bytes) -> None:
    check_whatever(data)


@settings(max_examples=300)
@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.binary(max_size=150), st.booleans())
def test_any_octets_after_a_header(qd: int, an: int, ar: int, data: bytes, response: bool) -> None:
    check_whatever(bytes([0, 7, 0x80 * response, 0, 0, qd, 0, an, 0, 0, 0, ar]) + data)


@settings(max_examples=400)
@given(st.sampled_from(sorted(rdata.FORMS)), st.binary(max_size=120))
def test_any_octets_as_data_of_a_type(type: int, data: bytes) -> None:
    check_rdata(type, data)


@settings(max_examples=300)
@given(st.sampled_from(sorted(rdata.FORMS)), st.text(alphabet='ab01 ."\\;()@-=,:\n\té/+', max_size=60))
def test_any_text_as_data_of_a_type(type: int, said: str) -> None:
    try:
        data = rdata.from_text(type, said)
    except UsageError as error:
        assert str(error)
        return
    assert rdata.from_text(type, rdata.to_text(type, data)) == data


@settings(max_examples=300)
@given(st.text(alphabet='ab.\\01 9@"\0é', max_size=40))
def test_any_text_as_a_name(said: str) -> None:
    try:
        wire = name.parse(said)
    except UsageError:
        return
    assert name.parse(name.text(wire)) == name.check(wire) == wire


def test_random_messages_are_what_dnspython_reads(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(400):
        m = some_message(rng)
        data = m.encode(exact=bool(rng.randrange(2)))
        them = theirs(data)
        assert them is not None, data.hex()
        assert them.id == m.id and them.flags == m.flags & ~15 and int(them.rcode()) == m.rcode
        assert [(q.name.to_wire().lower(), int(q.rdtype)) for q in them.question] == [(q.name.lower(), q.type) for q in m.question]
        for ours, section in ((m.answer, them.answer), (m.authority, them.authority), (m.additional, them.additional)):
            assert flat(ours) == their_records(section)
        if m.edns is not None:
            assert (them.edns, them.payload, bool(them.ednsflags & dns.flags.DO)) == (0, m.edns.payload, m.edns.do)
            assert tuple((int(o.otype), o.to_wire()) for o in them.options) == m.edns.options
        got = check_whatever(data)
        assert got is not None and flat(got.answer) == flat(m.answer)
        back = check_whatever(them.to_wire(max_size=65535, want_shuffle=False))
        assert back is not None and flat(back.answer) == flat(m.answer) and back.edns == m.edns


def test_mutated_messages_are_lawful_where_dnspython_finds_them_lawful(seed: int) -> None:
    """Where they are lawful to both they are the same. We may refuse what it takes (pointers into the header), and take what it
    refuses: it unpacks all data at once, and has opinions about it."""
    rng = random.Random(seed)
    both = 0
    for _ in range(1500):
        data = mutated(rng, some_message(rng).encode())
        m = check_whatever(data)
        them = theirs(data)
        if m is None or them is None or them.opcode() != 0:
            continue
        both += 1
        assert them.id == m.id
        assert flat(m.answer) == their_records(them.answer)
        assert flat(m.authority) == their_records(them.authority)
    assert both > 100


def test_bombs_of_compression_cost_little_time_and_memory() -> None:
    """The worst that 65535 octets can ask for: records whose names are as long as can be, and wait at the end of long chains."""

    def bomb(links: int) -> bytes:
        full = (b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"a" * 61 + b"\0"
        question = full + b"\0\1\0\1"
        at = 12 + len(question) + 11  # of the chain: pointers, each to the one before it, in the data of a record of type 255
        jumps = [0xC000 | (at + 2 * (i - 1) if i else 12) for i in range(links)]
        chain = b"".join(jump.to_bytes(2, "big") for jump in jumps)
        block = question + b"\0\0\xff\0\1\0\0\0\0" + len(chain).to_bytes(2, "big") + chain
        ends = [(0xC000 | at + 2 * i).to_bytes(2, "big") for i in (links - 1, links - 2)]  # by turns, so that nothing is remembered
        record = ends[0] + b"\0\2\0\1\0\0\0\0\0\2" + ends[1]
        n = (65535 - 12 - len(block)) // len(record)
        return b"\0\0\x80\0\0\1" + (n + 1).to_bytes(2, "big") + bytes(4) + block + record * n

    for links in (4, 30, 126):
        data = bomb(links)
        assert len(data) > 65000
        tracemalloc.start()
        started = time.perf_counter()
        try:
            m = decode(data)
        except WireError as error:
            assert links > 4 and "more pointers followed" in str(error)
        else:
            assert links == 4 and len(m.answer) > 4600 and len(m.answer[1].name) == len(m.answer[1].rdata) == 255
        spent = time.perf_counter() - started
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 8_000_000
        assert spent < 20  # the work is bounded, 65,000 jumps; the memory is traced, which is slow


def test_the_sum_of_all_counts_is_refused_before_anything_is_read() -> None:
    started = time.perf_counter()
    for _ in range(1000):
        try:
            decode(b"\0\0\x80\0" + b"\xff" * 8 + bytes(500))
        except WireError:
            continue
        raise AssertionError("65535 records can't be in 512 octets")
    assert time.perf_counter() - started < 5


def test_what_dnspython_refuses_in_names_we_refuse() -> None:
    for data in (b"\xc0\x0c", b"\x40a", b"\x80a", b"\x01a\xc0\x0c"):
        message = b"\0\0\x80\0\0\1" + bytes(6) + data + b"\0\1\0\1"
        assert theirs(message) is None
        assert check_whatever(message) is None


def test_every_type_of_dnspython_that_we_know_has_the_same_number() -> None:
    for kind in Type:
        if kind.name not in ("WKS",):
            assert int(dns.rdatatype.from_text(kind.name)) == kind
