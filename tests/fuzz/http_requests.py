"""Requests at random: mostly lawful, then with what smugglers try, then with bytes changed anywhere."""

from random import Random

METHODS = [b"GET", b"POST", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"M-SEARCH", b"BREW", b"get", b"G{T"]
TARGETS = [
    b"/", b"/a?b=c", b"*", b"http://h/x", b"https://h:1?q", b"//h/x", b"/%41", b"/%4", b"/a#b", b"/\xe9", b"h:1", b"/a b",
    b'/|{}^"',
]  # fmt: skip
VERSIONS = [b"HTTP/1.1"] * 8 + [
    b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"HTTP/1.1 ", b"HTTP/01.1", b"HTTP/1.10", b"",
]  # fmt: skip
HARMLESS = [
    b"Accept: */*", b"Cookie: a=b; c=d", b"X:", b"X: \xe9 \t y", b"Connection: close", b"Connection: keep-alive",
    b"TE: trailers", b"Connection: upgrade", b"Upgrade: h2c", b"Expect: 100-continue", b"Range: bytes=0-1", b"X-%: 1",
    b"Via: 1.1 a, 1.0 b", b"Connection: close, content-length", b"Content-Type: text/plain", b"Trailer: X", b"X: a:b:c",
    b"!#$%&'*+-.^_`|~: 1",
]  # fmt: skip
LENGTHS = [
    b" 5", b" +5", b" -5", b" 5, 5", b" 5,6", b"", b" 0x5", b" 5_0", b" 005", b" 5 ", b" 1 2", b" 5;a", b" \x0b5", b" 5\x0c",
    b" 18446744073709551621", b" 9223372036854775808", b" \xb2", b' "5"', b" 5\r", b" 5\r\n ", b"\r\n 5", b" 5\n", b" 5\x00",
]  # fmt: skip
CODINGS = [
    b" chunked", b" Chunked", b"\tchunked", b" chunked ", b" \x0bchunked", b" chunked\x0c", b" xchunked", b" chunkedx",
    b" identity", b" chunked, identity", b" identity, chunked", b"", b" chunked, chunked", b" gzip, chunked", b" chunked,",
    b" ,chunked", b' "chunked"', b" chunked;q=1", b"\r\n chunked", b" chunked\r", b" ch\xc5\xbfunked", b" chun\xe2\x84\xaaed",
]  # fmt: skip
ODD = [
    *(b"Content-Length:" + value for value in LENGTHS), *(b"Transfer-Encoding:" + value for value in CODINGS),
    b"Host: b", b"Host:", b"Host: a:80", b"Host: [::1]", b"Host: a/b", b"Host: a@b", b"Host: a, b", b"HOST: a", b"Host : a",
    b" Host: b", b"Content-Length : 5", b"Content_Length: 5", b"Content-Length\t: 5", b"Transfer-Encoding : chunked",
    b"Transfer-Encoding\x0b: chunked", b"Transfer_Encoding: chunked", b"Transfer-Encoding\r\n: chunked",
    b"X: y\rTransfer-Encoding: chunked", b"X: y\nTransfer-Encoding: chunked", b"X: y\r\n Transfer-Encoding: chunked",
    b"\x00X: y", b"Tran\xc5\xbffer-Encoding: chunked", b"X: \x00", b"X: \x7f", b"X: \x01", b"X: \x85y", b"X\xe9: y",
    b"X y: z", b": y", b"X", b"", b"(X): y", b"X: y\x0bZ: w", b"X;: y", b"\xa0X: y",
]  # fmt: skip
SIZES = [
    b"5", b"05", b"0005", b"5;x", b"5;x=y", b'5;x="y;\\"z"', b"5 ;x", b"5; x", b"5 ", b" 5", b"0x5", b"+5", b"-5", b"5_",
    b"5\t", b"5;", b"", b"5;x=\xe9", b'5;x="', b"5;\r", b"5\x0b", b"5,x", b"000000000000000000005", b"10000000000000005",
    b"ffffffffffffffff", b"5;x\ny", b"5\r",
]  # fmt: skip
ENDS = [b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r", b""]
LASTS = [b"0\r\n\r\n"] * 8 + [
    b"0\r\nA: b\r\n\r\n", b"00\r\n\r\n", b"0;x\r\n\r\n", b"0\r\n", b"0\r\nA\r\n\r\n", b"0\r\nA : b\r\n\r\n",
    b"0\r\n A: b\r\n\r\n", b"0\n\n", b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\n\r", b"0\r\n\n", b"-0\r\n\r\n", b"0 \r\n\r\n",
    b"0\r\n\r\n\r\n", b"0\r\n\x00\r\n\r\n", b"\r\n\r\n",
]  # fmt: skip
NOISE = [
    b"\r", b"\n", b"\r\n", b"\x00", b" ", b"\t", b":", b";", b"0", b"5", b"\xff", b"\x0b", b"\x0c", b"\x1c", b"\x85", b"%",
    b"#", b",", b'"', b"\r\n\r\n", b"\r\n ", b"\xa0", b"\xef\xbb\xbf", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"0\r\n\r\n",
    b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n",
]  # fmt: skip


def chunked(random: Random, odd: bool) -> bytes:
    parts = []
    for _ in range(random.randrange(4)):
        if odd and not random.randrange(3):
            parts += [random.choice(SIZES), random.choice(ENDS), b"hello", random.choice(ENDS)]
        else:
            data = bytes(random.choices(b"ab0\r\n", k=random.randint(1, 20)))
            size = random.choice([b"%x", b"%X", b"0%x"]) % len(data)
            parts += [size, random.choice([b"", b"", b"", b";x", b";a=b"]), b"\r\n", data, b"\r\n"]
    return b"".join(parts) + (random.choice(LASTS) if odd else random.choice(LASTS[:10]))


def one(random: Random, odd: bool) -> bytes:
    """A request and its body, lawful unless it is to be `odd`."""
    pick = random.choice
    method, target, version = pick(METHODS[:8]), pick(TARGETS[:4]), pick(VERSIONS[:9])
    fields = random.sample(HARMLESS, random.randrange(4))
    body = b""
    framing = random.randrange(3)
    if framing == 1:
        body = bytes(random.choices(b"xyz\r\n0", k=random.randrange(12)))
        fields.append(pick([b"Content-Length: %d", b"content-length:\t%d ", b"Content-Length:%04d"]) % len(body))
    elif framing == 2:
        body = chunked(random, odd)
        fields.append(pick([b"Transfer-Encoding: chunked", b"transfer-encoding:CHUNKED"]))
    if odd:
        kind = random.randrange(6)
        if kind == 0:
            method, target, version = pick(METHODS), pick(TARGETS), pick(VERSIONS)
        for _ in range(random.randrange(3) if kind else 0):
            fields.append(pick(ODD))
    fields.insert(random.randint(0, len(fields)), b"Host: a")
    random.shuffle(fields)
    lines = [b" ".join((method, target, version)) if version else b" ".join((method, target)), *fields, b""]
    ends = [pick(ENDS) if odd and not random.randrange(12) else b"\r\n" for _ in lines]
    return b"".join(line + end for line, end in zip(lines, ends, strict=True)) + body


def stream(random: Random) -> bytes:
    """What one connection sends: up to three requests, in two of three cases with something odd in it."""
    odd = random.randrange(3)
    data = b"".join(one(random, odd == 1 and not random.randrange(2)) for _ in range(random.choice([1, 1, 2, 3])))
    if odd == 2:
        for _ in range(random.choice([1, 1, 1, 2, 4])):
            data = mutated(random, data)
    return data


def mutated(random: Random, data: bytes) -> bytes:
    at = random.randint(0, len(data))
    kind = random.randrange(6)
    if kind == 0:
        return data[:at] + data[at + random.randint(1, 3) :]
    if kind == 1:
        return data[:at] + bytes((random.randrange(256),)) + data[at + 1 :]
    if kind == 2:  # some of it twice
        return data[:at] + data[max(at - random.randint(1, 30), 0) :]
    if kind == 3 and data:  # one bit
        at = min(at, len(data) - 1)
        return data[:at] + bytes((data[at] ^ 1 << random.randrange(8),)) + data[at + 1 :]
    return data[:at] + random.choice(NOISE) + data[at + random.choice([0, 0, 1]) :]
