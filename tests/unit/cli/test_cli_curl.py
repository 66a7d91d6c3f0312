"""`netstack curl`: its grammar, its bar, -w, and its statuses. What curl itself does is compared in tests/interop."""

import os
from pathlib import Path

import pytest

from netstack.cli import main
from netstack.cli.curling.asking import following_of, moment, url_of, without_dots
from netstack.cli.curling.configfile import words_of
from netstack.cli.curling.form import form, pieces
from netstack.cli.curling.globs import expand, named
from netstack.cli.curling.options import Options, Wrong
from netstack.cli.curling.outcome import Ended
from netstack.cli.curling.show import clock, human, line, write_out
from netstack.cli.curling.words import read, size
from netstack.http.client.request import outgoing
from netstack.http.client.url import parse


def test_options_stand_anywhere_and_short_ones_may_be_joined() -> None:
    (options,) = read(["http://a/", "-sSLofile", "-XPUT", "--data", "x", "--", "-b"])
    assert (options.silent, options.show_error, options.location, options.outputs) == (True, True, True, ["file"])
    assert (options.request, options.body, options.urls) == ("PUT", b"x", ["http://a/", "-b"])


def test_long_ones_may_be_cut_short() -> None:
    (options,) = read(["--inse", "--max-t", "1.5", "--http1.1", "u"])
    assert (options.insecure, options.max_time, options.protocols) == (True, 1.5, "1.1")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "no URL"),
        ("-Q a", "-Q is not known"),
        ("--nonsense a", "--nonsense is not known"),
        ("--da x a", "may be"),
        ("a -o", "needs something behind it"),
        ("-m soon a", "takes a time"),
        ("-d x -F a=b u", "only one of"),
        ("-r 1-2 -C - u", "choose one"),
        ("--resolve a u", "HOST:PORT:ADDRESS"),
        ("-d @no-such-file u", "can't be read"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["curl", *line.split()])
    err = capsys.readouterr().err
    assert status in (2, 26, 49)
    assert said in err
    assert err.count("\n") == 1


def test_data_is_joined_and_files_lose_their_ends_of_line_unless_they_are_binary(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"a\r\nb\n")

    def body(*words: str) -> bytes | None:
        return read([*words, "u"])[0].body

    assert body("-d", "a=b", "-d", f"@{file}") == b"a=b&ab"
    assert body("--data-binary", f"@{file}") == b"a\r\nb\n"
    assert body("--data-raw", "@x") == b"@x"
    assert body("--data-urlencode", "a=b c&") == b"a=b+c%26"
    assert body("--data-urlencode", "=b c") == b"b+c"
    assert body("--data-urlencode", f"n@{file}") == b"n=a%0D%0Ab%0A"
    assert body("--json", '{"a":', "--json", "1}") == b'{"a":1}'
    assert body() is None


def test_a_form_has_a_length_before_it_is_sent(tmp_path: Path) -> None:
    file = tmp_path / 'a"b.txt'
    file.write_bytes(b"content")
    parts, length = form([("n=v;type=text/x", False), (f"f=@{file}", False), ("t=@x;y", True), (f"c=<{file}", False)], "B")
    data = b"".join(pieces(parts))
    assert length == len(data)
    assert data == (
        b'--B\r\nContent-Disposition: form-data; name="n"\r\n\r\nv;type=text/x\r\n'
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="a%22b.txt"\r\nContent-Type: text/plain\r\n\r\ncontent\r\n'
        b'--B\r\nContent-Disposition: form-data; name="t"\r\n\r\n@x;y\r\n'
        b'--B\r\nContent-Disposition: form-data; name="c"\r\n\r\ncontent\r\n--B--\r\n'
    ).replace(b'name="n"\r\n\r\nv;type=text/x', b'name="n"\r\nContent-Type: text/x\r\n\r\nv')
    with pytest.raises(Wrong):
        form([("nothing", False)], "B")


def test_the_bar_fits_its_line_and_says_how_long_still() -> None:
    text = line(25 << 20, 100 << 20, 5.0, 80)
    assert text.startswith("[####")
    assert text.endswith(" 25.0%  25.0M of 100M  5.0M/s  0:15 left")
    assert len(text) == 79
    assert len(line(25 << 20, 100 << 20, 5.0, 30)) < 30
    assert line(3 << 10, None, 2.0, 80) == "3.0k  1.5k/s  0:02"
    assert (human(12), human(123456), clock(3725)) == ("12", "121k", "1:02:05")


def test_what_is_written_out_has_curls_forms() -> None:
    facts = {"http_code": 0, "time_total": 0.5, "size_download": 7}
    assert write_out("%{http_code} %{time_total} %%{x}\\n%{size_download}\\t%header{A-B}", facts, {"a-b": "c"}) == (
        "000 0.500000 %{x}\n7\tc",
        "",
    )
    assert write_out("%{json}", facts, {})[0] == '{"http_code": 0, "time_total": 0.5, "size_download": 7}'
    assert write_out("a%{stderr}b%{stdout}c%{onerror}d", facts, {}) == ("ac", "b")
    assert write_out("a%{onerror}%{stderr}b", {"exitcode": 7}, {}) == ("a", "b")


def test_sizes_have_units() -> None:
    assert [size(text) for text in ("10", "1k", "1.5M", "2gb")] == [10, 1024, 3 << 19, 2 << 30]
    assert Options().max_redirs == 50


def test_help_and_version_ask_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["curl", "--help"]) == 0
    assert "--resolve" in capsys.readouterr().out
    assert main(["curl", "-V"]) == 0


def test_on_a_net_of_its_own_nobody_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["curl", "-sS", "--net", "loopback:", "--address", "10.0.0.1/24"]
    assert main([*words, "http://10.0.0.1:81/"]) == 7
    assert main([*words, "http://nowhere.example/"]) == 6
    err = capsys.readouterr().err
    assert err.startswith("curl: (7) ")
    assert err.count("\n") == 2


def test_groups_have_options_of_their_own_and_share_what_holds_for_all() -> None:
    one, two = read(["-s", "-d", "x", "u", "--next", "-v", "-X", "PUT", "w"])
    assert (one.urls, one.body, one.request, one.silent, one.verbose) == (["u"], b"x", "", True, False)
    assert (two.urls, two.body, two.request, two.silent, two.verbose) == (["w"], None, "PUT", True, True)
    assert len(read(["-:", "u"])) == 1  # nothing before it
    with pytest.raises(Wrong):
        read(["u", "--next"])


@pytest.mark.parametrize(("pattern", "urls"), [
    ("a/{b,c}/[1-2]", ["a/b/1", "a/b/2", "a/c/1", "a/c/2"]),
    ("[08-11:2]", ["08", "10"]),
    ("[8-11]", ["8", "9", "10", "11"]),
    ("[x-z]{,q}", ["x", "xq", "y", "yq", "z", "zq"]),
    (r"\{a\}\[1-2\]{b\,c}", ["{a}[1-2]b,c"]),
    ("http://[::1]:80/[1-2]", ["http://[::1]:80/1", "http://[::1]:80/2"]),
    ("plain", ["plain"]),
])  # fmt: skip
def test_patterns_make_many_urls_of_one(pattern: str, urls: list[str]) -> None:
    assert [url for url, _ in expand(pattern)] == urls


@pytest.mark.parametrize("pattern", ["[1-", "[3-1]", "[1-3:9]", "[1-3:0]", "[a-Z]", "{a", "a}", "a]", "{}", "{a{b}}", "[]", "[x]"])
def test_a_pattern_that_means_nothing_is_status_3(pattern: str) -> None:
    with pytest.raises(Wrong) as caught:
        expand(pattern)
    assert caught.value.status == 3


def test_a_long_range_is_counted_and_not_listed() -> None:
    urls = expand("[1-1000000000]/[1-1000000000]")
    assert [next(urls)[0] for _ in range(2)] == ["1/1", "1/2"]


def test_a_file_is_named_after_its_patterns() -> None:
    assert named("f_#2_#1_#3#", ("a", "b")) == "f_b_a_#3#"


def test_a_file_of_options_is_read_as_curl_reads_it() -> None:
    text = '# no\n\nurl = "http://a/\\"b\\tc"\n-d x\n  header: X-A\n--silent\nuser-agent="q'
    assert words_of(text) == ["--url", 'http://a/"b\tc', "-d", "x", "--header", "X-A", "--silent", "--user-agent", "q"]


@pytest.mark.parametrize(("path", "plain"), [
    ("/a/../b/./c", "/b/c"), ("/../../x/..", "/"), ("/a/b/..", "/a/"), ("/a/.", "/a/"), ("/a//b", "/a//b"), ("/", "/"),
    ("/..a/.b", "/..a/.b"),
])  # fmt: skip
def test_dots_in_a_path_are_taken_at_their_word(path: str, plain: str) -> None:
    assert without_dots(path) == plain


def _redirected(words: list[str], method: str, *statuses: int) -> list[tuple[str, bytes | None]]:
    (options,) = read([*words, "http://a.example/x"])
    following = following_of(options, method)
    url, user = parse("http://a.example/x"), ("me", "pw")
    request = outgoing(options.request or method, url, (), b"body", None, None, user, False, False, "")
    found: list[tuple[str, bytes | None]] = []
    for status in statuses:
        after = following(request, status, "http://b.example/y")
        assert after is not None
        request = after
        found.append((request.method, request.content.data))
        assert request.has(b"authorization") == options.location_trusted
    return found


def test_redirections_turn_posts_into_gets_unless_they_are_told_not_to() -> None:
    for status in (301, 302, 303):
        assert _redirected(["-L"], "POST", status) == [("GET", b"")]
    same, changed = ("POST", b"body"), ("GET", b"")
    assert _redirected(["-L"], "POST", 307, 308, 302) == [same, same, changed]
    assert _redirected(["-L", "--post301", "--post303"], "POST", 301, 303, 302) == [same, same, changed]
    assert _redirected(["-L"], "PUT", 302, 303) == [("PUT", b"body"), ("GET", b"")]


def test_a_word_of_ones_own_is_asked_everywhere_with_the_body_that_there_would_be_without_it() -> None:
    assert _redirected(["-L", "-X", "FOO"], "POST", 307, 301, 302) == [("FOO", b"body"), ("FOO", b""), ("FOO", b"")]
    assert _redirected(["--location-trusted", "-X", "FOO"], "GET", 302) == [("FOO", b"body")]


def test_what_may_be_spoken_is_held_to_on_the_way() -> None:
    (options,) = read(["--proto", "=https", "--proto-redir", "-http", "u"])
    assert (options.proto, options.proto_redir) == ({"https"}, {"https"})
    with pytest.raises(Ended) as caught:
        url_of(options, "http://a/", None)
    assert caught.value.status == 1
    assert str(url_of(options, "https://a/", None)) == "https://a/"


def test_dates_of_a_condition_are_dates_or_files(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("")
    os.utime(file, (1500000000, 1500000000))
    for text in ("Wed, 01 Jan 2020 00:00:00 GMT", "-20200101", "1 Jan 2020", "2020-01-01"):
        assert moment(text) == 1577836800
    assert moment(str(file)) == 1500000000
    assert moment("no such thing") is None


def test_of_many_at_once_each_fails_by_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    net, files = ["--net", "loopback:", "--address", "10.0.0.1/24"], ["-o", str(tmp_path / "#1")]
    assert main(["curl", "-sSZ", *net, "http://10.0.0.1:81/[1-3]", *files, "--next", "ftp://10.0.0.1/"]) in (7, 1)
    lines = capsys.readouterr().err.splitlines()
    assert sorted(line[:9] for line in lines) == ["curl: (1)", "curl: (7)", "curl: (7)", "curl: (7)"]
