"""Server cookies: the vectors of RFC 9018, and what age and secrets do to one."""

import ipaddress
import random

import pytest

from netstack.dns import const as dc
from netstack.dns.serve.cookies import Cookies
from netstack.errors import UsageError
from netstack.siphash import SipHash
from netstack.testing import twins

S = 1_000_000_000
SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
V4 = (0, int(ipaddress.ip_address("198.51.100.100")), False)
OTHER = (0, int(ipaddress.ip_address("203.0.113.203")), False)
V6_NUMBER = int(ipaddress.ip_address("2001:db8:220:1:59de:d0f4:8769:82b8"))
V6 = (V6_NUMBER >> 64, V6_NUMBER & (1 << 64) - 1, True)
T = 1559731985


def judge(cookies, data, client, unix, now=5 * S):
    """(verdict, the cookie of the answer in hex)"""
    cookies.set_clock(unix * S, now)
    wire = bytearray(b"xx") + data
    verdict = cookies.judge(wire, 2, len(data), *client, now)
    assert cookies.option[:4] == b"\0\x0a\0\x18"
    return verdict, cookies.option[4:].hex()


def test_siphash_gives_the_vectors_of_its_authors():
    key = bytes(range(16))
    expected = [0x726FDB47DD0E0E31, 0x74F839C593DC67FD, 0x0D6C8009D9A94F5A, 0x85676696D7FB7E2D]
    assert [SipHash(key).of(bytes(range(n))) for n in range(4)] == expected
    assert SipHash(key).of(bytes(range(15))) == 0xA129CA6149BE45E5
    assert SipHash(key).of(bytes(range(63))) == 0x958A324CEB064572
    with pytest.raises(UsageError, match="16"):
        SipHash(b"short")


def test_both_builds_hash_alike(seed):
    dice = random.Random(seed)
    pure = twins.load_pure("siphash")
    for _ in range(50):
        key, message = dice.randbytes(16), dice.randbytes(dice.randrange(70))
        assert SipHash(key).of(message) == pure.SipHash(key).of(message)


def test_a_new_client_gets_the_cookie_of_rfc_9018_a_1():
    client = bytes.fromhex("2464c4abcf10c957")
    verdict = judge(Cookies(SECRET), client, V4, T)
    assert verdict == (dc.STRANGER, "2464c4abcf10c957010000005cf79f111f8130c3eee29480")


def test_a_cookie_older_than_half_an_hour_is_renewed_as_in_rfc_9018_a_2():
    cookie = bytes.fromhex("2464c4abcf10c957010000005cf79f111f8130c3eee29480")
    verdict = judge(Cookies(SECRET), cookie, V4, T + 2400)
    assert verdict == (dc.KNOWN, "2464c4abcf10c957010000005cf7a871d4a564a1442aca77")


def test_reserved_octets_are_hashed_and_not_judged_as_in_rfc_9018_a_3():
    cookie = bytes.fromhex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5")
    assert judge(Cookies(SECRET), cookie, OTHER, 0x5CF78F71) == (dc.KNOWN, cookie.hex())
    late = judge(Cookies(SECRET), cookie, OTHER, 1559734700)
    assert late == (dc.STRANGER, "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e")


def test_secrets_are_rolled_over_as_in_rfc_9018_a_4():
    old, new = bytes.fromhex("dd3bdf9344b678b185a6f5cb60fca715"), bytes.fromhex("445536bcd2513298075a5d379663c962")
    cookie = bytes.fromhex("22681ab97d52c298010000005cf7c57926556bd0934c72f8")
    expected = (dc.KNOWN, "22681ab97d52c298010000005cf7c609a6bb79d16625507a")
    assert judge(Cookies(new, (old,)), cookie, V6, 1559741961) == expected
    assert judge(Cookies(new), cookie, V6, 1559741961)[0] == dc.STRANGER
    rolled = Cookies(old)
    assert judge(rolled, cookie, V6, 1559741961) == (dc.KNOWN, cookie.hex())
    rolled.roll(new, (old,))
    assert judge(rolled, cookie, V6, 1559741961) == expected


@pytest.mark.parametrize(
    ("age", "verdict", "renewed"),
    [(0, dc.KNOWN, False), (1800, dc.KNOWN, False), (1801, dc.KNOWN, True), (3600, dc.KNOWN, True), (3601, dc.STRANGER, True),
     (-300, dc.KNOWN, False), (-301, dc.STRANGER, True)],
)  # fmt: skip
def test_a_cookie_is_good_for_an_hour_and_five_minutes_early(age, verdict, renewed):
    cookies = Cookies(SECRET)
    _, made = judge(cookies, b"client#1", V4, T)
    found, after = judge(cookies, bytes.fromhex(made), V4, T + age)
    assert found == verdict and (after != made) == renewed


def test_seconds_are_compared_across_their_wrap():
    cookies = Cookies(SECRET)
    _, made = judge(cookies, b"client#1", V4, 2**32 - 10)
    assert judge(cookies, bytes.fromhex(made), V4, 2**32 + 10) == (dc.KNOWN, made)


def test_a_cookie_is_good_for_one_address_and_one_client_alone():
    cookies = Cookies(SECRET)
    made = bytes.fromhex(judge(cookies, b"client#1", V4, T)[1])
    assert judge(cookies, made, OTHER, T)[0] == dc.STRANGER
    assert judge(cookies, made, (0, V4[1], True), T)[0] == dc.STRANGER
    assert judge(cookies, b"client#2" + made[8:], V4, T)[0] == dc.STRANGER
    for i in range(8, 24):
        wrong = bytearray(made)
        wrong[i] ^= 1
        assert judge(cookies, bytes(wrong), V4, T)[0] == dc.STRANGER, i
    assert judge(cookies, made[:-1], V4, T)[0] == judge(cookies, made + b"\0", V4, T)[0] == dc.STRANGER
    assert judge(cookies, made, V4, T) == (dc.KNOWN, made.hex())


def test_a_secret_has_sixteen_octets(seed):
    with pytest.raises(UsageError, match="16 octets"):
        Cookies(SECRET, (b"short",))
    made = Cookies.random(random.Random(seed))
    assert judge(made, bytes.fromhex(judge(made, b"client#1", V4, T)[1]), V4, T)[0] == dc.KNOWN
