"""The words of a dig command line: dig's own grammar, in which order counts.

What stands before the first name holds for every look-up, what stands after a name for that look-up only. `+no…` takes back.
Bad words are one sentence, `UsageError`; dig's status for them is 1.
"""

from __future__ import annotations

import copy
import ipaddress
import re
import shlex
from collections.abc import Iterator

from ...dns import tsig
from ...dns.numbers import Opcode, Type, class_number, type_number
from ...errors import UsageError
from .lookup import Greeting, Job, Lookup

MOST_SERVERS = 64
NET_WORDS = ("--netif", "--net", "--address", "--gateway", "--pcap", "--fault")
_VALUED = "bcfkpqtxy"
_PLAIN = {  # options that set one thing of a look-up, by every name that dig has for them
    "aaflag": "aa", "aaonly": "aa", "additional": "additional", "adflag": "ad", "ad": "ad", "answer": "answer",
    "authority": "authority", "badcookie": "retry_cookie", "besteffort": "best_effort", "cdflag": "cd", "cd": "cd",
    "class": "rclass_shown", "cl": "rclass_shown", "coflag": "co", "co": "co", "comments": "comments", "crypto": "crypto",
    "ednsnegotiation": "negotiate", "expandaaaa": "expand_aaaa", "expire": "expire", "fail": "fail", "header-only": "header_only",
    "identify": "identify", "ignore": "ignore", "keepalive": "keepalive", "multiline": "multiline", "onesoa": "one_soa",
    "qr": "show_query", "question": "question", "raflag": "ra", "rdflag": "rd", "recurse": "rd", "showbadcookie": "show_cookie",
    "stats": "stats", "tcflag": "tc", "ttlid": "ttl", "ttl": "ttl", "unknownformat": "unknown", "vc": "tcp", "tcp": "tcp",
    "zflag": "z",
}  # fmt: skip
_OTHER = (
    "all", "bufsize", "cmd", "cookie", "defname", "dnssec", "do", "domain", "edns", "ednsflags", "ednsopt", "idnin", "idnout",
    "keepopen", "ndots", "nsid", "nssearch", "opcode", "padding", "qid", "retry", "retries", "rrcomments", "search", "short",
    "showsearch", "split", "subnet", "timeout", "time", "tls", "tls-ca", "tls-hostname", "trace", "tries", "ttlunits", "json",
    "https", "https-get", "https-post", "http-plain", "http-plain-get", "http-plain-post",
)  # fmt: skip


def read(words: list[str]) -> Job:
    """What `words` ask for. Without a name dig asks for the name servers of the root. Raises UsageError."""
    job = Job(words)
    _Reader(job).read(words)
    if job.batch:
        _batch(job)
    elif not job.lookups:
        if not job.default.type_set:
            job.default.type = int(Type.NS)
        job.greeting = Greeting(job.cmd, job.short, job.default.servers[-1] if job.default.servers else "")
        job.lookups.append(job.default)
    return job


def _batch(job: Job) -> None:
    try:
        with open(job.batch, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise BatchError(f"couldn't open batch file {job.batch!r}: {error.strerror}") from None
    before = [word for i, word in enumerate(job.words) if word != "-f" and (i == 0 or job.words[i - 1] != "-f")]
    for line in lines:
        said = shlex.split(line, comments=True) if not line.lstrip().startswith(";") else []
        if said:
            one = Job(job.words)
            _Reader(one).read(before + said)
            job.lookups += one.lookups
            job.greeting = job.greeting or one.greeting


class BatchError(UsageError):
    """The batch file can't be read: status 8."""


class _Reader:
    """`now` is the look-up that words are about: all that follow, until the first name, and then the last one that was named."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.default = self.now = job.default
        self.open = True  # a bare word may be a type or a class
        self.comments_said = self.question_said = False

    def read(self, words: list[str]) -> None:
        left = iter(words)
        for word in left:
            self.word(word, left)

    def word(self, word: str, left: Iterator[str]) -> None:
        if word.startswith("@"):
            if len(self.now.servers) == MOST_SERVERS:
                raise UsageError(f"more than {MOST_SERVERS} servers")
            if self.now is not self.default and self.now.servers == self.default.servers:
                self.now.servers = []
            self.now.servers.append(word[1:])
        elif word.startswith("+"):
            self.plus(word[1:])
        elif word.startswith("--"):
            self.double(word, left)
        elif word.startswith("-") and len(word) > 1:
            self.dash(word[1:], left)
        else:
            self.bare(word)

    def ask(self, name: str) -> Lookup:
        if self.job.greeting is None:
            self.job.greeting = Greeting(self.job.cmd, self.job.short, self.default.servers[-1] if self.default.servers else "")
        self.now = copy.copy(self.default)
        self.now.servers = list(self.default.servers)
        self.now.options = list(self.default.options)
        self.now.name = name
        self.job.lookups.append(self.now)
        return self.now

    def bare(self, word: str) -> None:
        if self.open:
            if self.set_type(word):
                return
            try:
                rclass = class_number(word)
            except UsageError:
                pass
            else:
                self.set_class(rclass)
                return
        self.ask(word)

    def set_type(self, word: str) -> bool:
        serial = 0
        if word.lower().startswith("ixfr="):
            serial, type = _number(word[5:], 0xFFFFFFFF, "serial number"), int(Type.IXFR)
        else:
            try:
                type = type_number(word)
            except UsageError:
                return False
            if type == Type.IXFR:
                raise UsageError("an incremental transfer needs the serial that is there: write ixfr=2026010100")
        if self.now.type_set:
            self.job.warnings.append(";; Warning, extra type option")
        self.now.type, self.now.type_set, self.now.serial = type, True, serial
        if self.now.transfer:
            self.now.question, self.now.comments = self.question_said, self.comments_said
        return True

    def set_class(self, rclass: int) -> None:
        if self.now.class_set:
            self.job.warnings.append(";; Warning, extra class option")
        self.now.rclass, self.now.class_set = rclass, True

    # -- -x and its like ------------------------------------------------------------------------------------------------------

    def double(self, word: str, left: Iterator[str]) -> None:
        said, equals, _ = word.partition("=")
        if said == "--help":
            self.job.help = True
        elif said == "--json":
            self.job.json = True
        elif said in NET_WORDS:
            self.job.net.append(word)
            if not equals:
                self.job.net.append(_next(left, word))
        else:
            raise UsageError(f"{word} is not an option (try netstack dig -h)")

    def dash(self, word: str, left: Iterator[str]) -> None:
        job = self.job
        while word and word[0] not in _VALUED:
            letter, word = word[0], word[1:]
            if letter in "46":
                job.family = int(letter)
            elif letter == "h":
                job.help = True
            elif letter == "j":
                job.json = True
            elif letter == "u":
                self.now.micros = True
            elif letter == "v":
                job.version = True
            elif letter not in "dimnr":  # dig's: debugging, obsolete, and not to read a file that isn't read here
                raise UsageError(f"-{letter} is not an option (try netstack dig -h)")
        if not word:
            return
        letter, value = word[0], word[1:] or _next(left, f"-{word[0]}")
        if letter == "b":
            address, _, port = value.partition("#")
            job.source = (_address(address), _number(port, 65535, "port") if port else 0)
        elif letter == "c":
            self.open = False
            self.set_class(class_number(value))
        elif letter == "f":
            job.batch = value
        elif letter == "k":
            job.key = key_file(value)
        elif letter == "p":
            job.port = _number(value, 65535, "port")
        elif letter == "q":
            self.ask(value)
        elif letter == "t":
            self.open = False
            if not self.set_type(value):
                type_number(value)
        elif letter == "x":
            lookup = self.ask(reverse(value))
            if not lookup.type_set:
                lookup.type = int(Type.PTR)
        else:
            job.key = tsig.parse(value)

    # -- +word=value ----------------------------------------------------------------------------------------------------------

    def plus(self, word: str) -> None:
        said, _, value = word.partition("=")
        said = said.lower()
        on = not said.startswith("no")
        option = _known(said[2:] if not on else said, word)
        if option in _PLAIN:
            setattr(self.now, _PLAIN[option], on)
            if self.now is self.default:
                self.comments_said = on if option == "comments" else self.comments_said
                self.question_said = on if option == "question" else self.question_said
            return
        one = getattr(self, "_plus_" + option.replace("-", "_"))
        one(on, value if "=" in word else None)

    def _plus_all(self, on: bool, value: str | None) -> None:
        for what in ("question", "answer", "authority", "additional", "comments", "stats"):
            setattr(self.now, what, on)
        self.job.cmd = on

    def _plus_bufsize(self, on: bool, value: str | None) -> None:
        self.now.bufsize = 1232 if value is None else _number(value, 65535, "buffer size")

    def _plus_cmd(self, on: bool, value: str | None) -> None:
        self.job.cmd = on

    def _plus_cookie(self, on: bool, value: str | None) -> None:
        self.now.cookie = on
        self._want_edns(on)
        self.now.cookie_value = b"" if value is None else _octets(value, "cookie")

    def _plus_dnssec(self, on: bool, value: str | None) -> None:
        self.now.dnssec = on
        self._want_edns(on)

    _plus_do = _plus_dnssec

    def _want_edns(self, on: bool) -> None:
        if on and self.now.edns is None:
            self.now.edns = 0

    def _plus_domain(self, on: bool, value: str | None) -> None:
        self.job.domain, self.job.search = _needed("domain", value), True

    def _plus_edns(self, on: bool, value: str | None) -> None:
        self.now.edns = (0 if value is None else _number(value, 255, "EDNS version")) if on else None

    def _plus_ednsflags(self, on: bool, value: str | None) -> None:
        self.now.edns_flags = _number(value, 0xFFFF, "set of EDNS flags") if on and value is not None else 0
        self._want_edns(on)

    def _plus_ednsopt(self, on: bool, value: str | None) -> None:
        if not on:
            self.now.options = []
            return
        code, _, data = _needed("ednsopt", value).partition(":")
        number = _OPTION_WORDS.get(code.lower())
        if number is None:
            number = _number(code, 65535, "EDNS option: write a number or a name like nsid")
        self.now.options.append((number, _octets(data, "EDNS option's value")))
        self._want_edns(True)

    def _plus_https(self, on: bool, value: str | None, get: bool = False, plain: bool = False) -> None:
        path = (value or "/dns-query") if on else ""
        self.now.https = path if not path or path.startswith("/") else f"/{path}"
        self.now.https_get, self.now.http_plain = get, plain

    def _plus_https_get(self, on: bool, value: str | None) -> None:
        self._plus_https(on, value, get=True)

    def _plus_http_plain(self, on: bool, value: str | None) -> None:
        self._plus_https(on, value, plain=True)

    def _plus_http_plain_get(self, on: bool, value: str | None) -> None:
        self._plus_https(on, value, get=True, plain=True)

    _plus_https_post, _plus_http_plain_post = _plus_https, _plus_http_plain

    def _plus_idnin(self, on: bool, value: str | None) -> None:
        """Names are sent as they are written here, whatever is said."""

    _plus_idnout = _plus_keepopen = _plus_idnin

    def _plus_json(self, on: bool, value: str | None) -> None:
        self.job.json = on

    def _plus_ndots(self, on: bool, value: str | None) -> None:
        self.job.ndots = _number(_needed("ndots", value), 20, "number of dots")

    def _plus_nsid(self, on: bool, value: str | None) -> None:
        self.now.nsid = on
        self._want_edns(on)

    def _plus_nssearch(self, on: bool, value: str | None) -> None:
        self.now.ns_search = on
        if on:
            for what in ("stats", "comments", "additional", "authority", "question"):
                setattr(self.now, what, False)
            self.now.identify = self.job.short = True
            self.now.type, self.now.type_set = int(Type.SOA), True

    def _plus_opcode(self, on: bool, value: str | None) -> None:
        word = _needed("opcode", value) if on else "0"
        self.now.opcode = int(Opcode[word.upper()]) if word.upper() in Opcode.__members__ else _number(word, 15, "opcode")

    def _plus_padding(self, on: bool, value: str | None) -> None:
        self.now.padding = _number(_needed("padding", value), 512, "padding") if on else 0
        self._want_edns(on)

    def _plus_qid(self, on: bool, value: str | None) -> None:
        self.now.id = _number(_needed("qid", value), 65535, "query id") if on else None

    def _plus_retry(self, on: bool, value: str | None) -> None:
        self.now.tries = 1 + _number(_needed("retry", value), 254, "number of retries")

    _plus_retries = _plus_retry

    def _plus_tries(self, on: bool, value: str | None) -> None:
        self.now.tries = max(1, _number(_needed("tries", value), 255, "number of tries"))

    def _plus_rrcomments(self, on: bool, value: str | None) -> None:
        self.now.remarks = on

    def _plus_search(self, on: bool, value: str | None) -> None:
        self.job.search = on

    _plus_defname = _plus_search

    def _plus_showsearch(self, on: bool, value: str | None) -> None:
        self.job.search = self.job.show_search = on

    def _plus_short(self, on: bool, value: str | None) -> None:
        self.job.short = on
        if on:
            self.job.cmd = False
            self.now.answer = True
            for what in ("additional", "authority", "question", "comments", "stats", "remarks"):
                setattr(self.now, what, False)

    def _plus_split(self, on: bool, value: str | None) -> None:
        if value is not None and on:
            width = _number(value, 1023, "width")
            self.now.chunk = (width + 3) // 4 * 4
            if self.now.chunk != width:
                self.job.warnings.append(f";; Warning, split must be a multiple of 4; adjusting to {self.now.chunk}")
        elif not on:
            self.now.chunk = 0

    def _plus_subnet(self, on: bool, value: str | None) -> None:
        self.now.subnet = subnet(_needed("subnet", value)) if on else b""
        self._want_edns(on)

    def _plus_timeout(self, on: bool, value: str | None) -> None:
        word = _needed("time", value)
        if not re.fullmatch(r"\d{1,5}(\.\d{1,3})?", word, re.ASCII):
            raise UsageError(f"+time={word} is not a time: write seconds")
        self.job.timeout = float(word) or 1.0

    _plus_time = _plus_timeout

    def _plus_tls(self, on: bool, value: str | None) -> None:
        self.now.tls = on

    def _plus_tls_ca(self, on: bool, value: str | None) -> None:
        self.now.tls_ca = (value or "") if on else None
        self.now.tls = self.now.tls or (on and not self.now.https)

    def _plus_tls_hostname(self, on: bool, value: str | None) -> None:
        self.now.tls_hostname = _needed("tls-hostname", value) if on else ""
        self._plus_tls_ca(on, self.now.tls_ca)

    def _plus_trace(self, on: bool, value: str | None) -> None:
        self.now.trace = on
        if on:
            self.now.identify = self.now.authority = self.now.dnssec = self.now.cookie = True
            for what in ("comments", "stats", "additional", "question"):
                setattr(self.now, what, False)

    def _plus_ttlunits(self, on: bool, value: str | None) -> None:
        self.now.ttl, self.now.ttl_units = True, on


def _known(said: str, word: str) -> str:
    """The option whose name begins so: dig takes the first letters, where no other begins with them."""
    if said in _PLAIN or said in _OTHER:
        return said
    found = {option for option in (*_PLAIN, *_OTHER) if said and option.startswith(said)}
    meanings = {_PLAIN.get(option, option) for option in found}
    if len(meanings) == 1 or (found and _shortest(found, said)):
        return min(found, key=len)
    if found:
        raise UsageError(f"+{word} may be any of {', '.join('+' + option for option in sorted(found))}")
    raise UsageError(f"+{word} is not an option (try netstack dig -h)")


def _shortest(found: set[str], said: str) -> bool:
    """All of them are the same word and more: `tls`, `tls-ca`."""
    least = min(found, key=len)
    return all(option.startswith(least) for option in found)


_OPTION_WORDS = {
    "llq": 1, "nsid": 3, "dau": 5, "dhu": 6, "n3u": 7, "ecs": 8, "expire": 9, "cookie": 10, "keepalive": 11, "padding": 12,
    "pad": 12, "chain": 13, "key-tag": 14, "ede": 15, "client-tag": 16, "server-tag": 17,
}  # fmt: skip


def _needed(option: str, value: str | None) -> str:
    if not value:
        raise UsageError(f"+{option} needs a value: +{option}=…")
    return value


def _next(left: Iterator[str], word: str) -> str:
    value = next(left, None)
    if value is None:
        raise UsageError(f"{word} needs a value")
    return value


def _number(word: str | None, most: int, what: str) -> int:
    try:
        n = int(word or "", 0 if (word or "").lower().startswith("0x") else 10)
    except ValueError:
        n = -1
    if not 0 <= n <= most:
        raise UsageError(f"{word!r} is not a {what}: numbers up to {most} are")
    return n


def _octets(word: str, what: str) -> bytes:
    try:
        return bytes.fromhex(word)
    except ValueError:
        raise UsageError(f"{word!r} is not a {what}: pairs of hexadecimal digits are") from None


def _address(word: str) -> str:
    try:
        return str(ipaddress.ip_address(word))
    except ValueError:
        raise UsageError(f"{word!r} is not an address") from None


def reverse(word: str) -> str:
    """The name under which an address is looked up; dig also takes the first octets of an IPv4 one."""
    try:
        return ipaddress.ip_address(word).reverse_pointer + "."
    except ValueError:
        parts = word.rstrip(".").split(".")
        if 1 <= len(parts) <= 4 and all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts):
            return ".".join(reversed(parts)) + ".in-addr.arpa."
        raise UsageError(f"{word!r} is not an address") from None


def subnet(word: str) -> bytes:
    """The data of a client-subnet option (RFC 7871 6) from 192.0.2.0/24, 2001:db8::/56 or 0."""
    if word in ("0", "0/0"):
        return b"\0\1\0\0"
    try:
        net = ipaddress.ip_network(word, strict=False)
    except ValueError:
        raise UsageError(f"{word!r} is not a subnet: write it like 192.0.2.0/24") from None
    octets = net.network_address.packed[: (net.prefixlen + 7) // 8]
    return bytes((0, 1 if net.version == 4 else 2, net.prefixlen, 0)) + octets


def key_file(path: str) -> tsig.Key:
    """A file as `tsig-keygen` writes it. Raises UsageError."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    found = re.search(r'key\s+"?([^"\s{]+)"?\s*\{(.*?)\}', text, re.DOTALL)
    words = dict(re.findall(r'(algorithm|secret)\s+"?([^";\s]+)"?\s*;', found[2])) if found else {}
    if not found or "secret" not in words:
        raise UsageError(f"{path} has no key: tsig-keygen writes one")
    return tsig.Key(found[1], words["secret"], words.get("algorithm", "hmac-sha256"))
