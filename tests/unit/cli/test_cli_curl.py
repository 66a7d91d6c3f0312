"""`netstack curl`: its grammar, its bar, -w, and its statuses. What curl itself does is compared in tests/interop."""

from pathlib import Path

import pytest

from netstack.cli import main
from netstack.cli.curling.form import form, pieces
from netstack.cli.curling.show import clock, human, line, write_out
from netstack.cli.curling.words import Options, Wrong, read, size


def test_options_stand_anywhere_and_short_ones_may_be_joined() -> None:
    options = read(["http://a/", "-sSLofile", "-XPUT", "--data", "x", "--", "-b"])
    assert (options.silent, options.show_error, options.location, options.outputs) == (True, True, True, ["file"])
    assert (options.request, options.body, options.urls) == ("PUT", b"x", ["http://a/", "-b"])


def test_long_ones_may_be_cut_short() -> None:
    options = read(["--inse", "--max-t", "1.5", "--http1.1", "u"])
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
        return read([*words, "u"]).body

    assert body("-d", "a=b", "-d", f"@{file}") == b"a=b&ab"
    assert body("--data-binary", f"@{file}") == b"a\r\nb\n"
    assert body("--data-raw", "@x") == b"@x"
    assert body("--data-urlencode", "a=b c&") == b"a=b%20c%26"
    assert body("--data-urlencode", "=b c") == b"b%20c"
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
        "000 0.500000 %{x}\n7\tc"
    )
    assert write_out("%{json}", facts, {}) == '{"http_code": 0, "time_total": 0.5, "size_download": 7}'


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
