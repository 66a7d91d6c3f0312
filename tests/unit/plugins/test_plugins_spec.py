"""What a user types to say which device."""

import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack import plugins
from netstack.errors import UsageError
from netstack.plugins import open_netif
from netstack.spec import Spec, read_flag, read_int
from netstack.testing.netifs import Loopback

made: list[tuple[str, dict[str, str]]] = []


def factory(name: str, options: Mapping[str, str]) -> Loopback:
    made.append((name, dict(options)))
    return Loopback(name)


HERE = "some.module:factory"
ROOT = Path(plugins.__file__).resolve().parents[1]


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """This module, as `some.module`."""
    monkeypatch.setitem(sys.modules, "some", sys.modules[__name__])
    monkeypatch.setitem(sys.modules, "some.module", sys.modules[__name__])
    made.clear()


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("tap", Spec("tap")),
        ("tap:", Spec("tap")),
        ("tap:tap0", Spec("tap", "tap0")),
        (
            "tap:tap0?address=10.79.0.2/24&gateway=10.79.0.1",
            Spec("tap", "tap0", (("address", "10.79.0.2/24"), ("gateway", "10.79.0.1"))),
        ),
        ("tap:tap0?address=1.2.3.4&address=1.2.3.5", Spec("tap", "tap0", (("address", "1.2.3.4"), ("address", "1.2.3.5")))),
        ("pcap:/tmp/a:b.pcapng", Spec("pcap", "/tmp/a:b.pcapng")),
        ("pcap:what%3F%26%25.pcap?out=a%26b", Spec("pcap", "what?&%.pcap", (("out", "a&b"),))),
        ("tap:tap0?fault=loss=1%,delay=20ms", Spec("tap", "tap0", (("fault", "loss=1%,delay=20ms"),))),
        ("tap:tap0?key=", Spec("tap", "tap0", (("key", ""),))),
        ("some.module:factory", Spec("some.module:factory")),
        ("some.module:factory:a:b?k=v", Spec("some.module:factory", "a:b", (("k", "v"),))),
    ],
)
def test_a_spec_is_read(text: str, spec: Spec) -> None:
    assert Spec.parse(text) == spec
    assert Spec.parse(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "does not say which device: write kind:name"),
        (":tap0", "does not say which device"),
        ("TAP:tap0", "does not say which device"),
        ("10.0.0.1:80", "does not say which device"),
        ("tap:tap0?", "ends in a question mark"),
        ("tap:tap0?address", "'address' in .* is not an option: write key=value"),
        ("tap:tap0?=1", "is not an option"),
        ("tap:tap0?a=1&&b=2", "'' in .* is not an option"),
        ("tap:tap0?Address=1", "is not an option"),
        ("some.module", "names a module but no function in it: write some.module:factory:name"),
        ("some.module:1x:name", "names a module but no function"),
    ],
)
def test_a_bad_spec_is_refused_with_what_would_be_right(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Spec.parse(text)


@given(st.text())
def test_any_text_is_a_spec_or_a_usage_error(text: str) -> None:
    try:
        spec = Spec.parse(text)
    except UsageError:
        return
    assert Spec.parse(str(spec)) == spec


@given(st.text(), st.lists(st.tuples(st.from_regex(r"[a-z][a-z0-9_-]*", fullmatch=True), st.text())))
def test_whatever_stands_in_names_and_values_comes_back(name: str, options: list[tuple[str, str]]) -> None:
    spec = Spec("tap", name, tuple(options))
    assert Spec.parse(str(spec)) == spec


def test_the_stack_takes_its_options_and_the_factory_gets_the_rest(importable: None) -> None:
    spec = Spec.parse(f"{HERE}:dev?address=1.1.1.1&mtu=9000&address=2.2.2.2&colour=red")
    taken, rest = spec.take("address", "gateway")
    assert taken == {"address": ("1.1.1.1", "2.2.2.2"), "gateway": ()}
    assert open_netif(rest).name == "dev"
    assert made == [("dev", {"mtu": "9000", "colour": "red"})]


def test_a_factory_gets_each_option_once(importable: None) -> None:
    with pytest.raises(UsageError, match="mtu stands twice"):
        open_netif(f"{HERE}:dev?mtu=1&mtu=2")
    assert made == []


def test_registered_factories_are_found_by_name(importable: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def entry_points(group: str) -> list[EntryPoint]:
        assert group in ("netstack.netif", "netstack.stack")
        if group == "netstack.stack":
            return [EntryPoint("tunnel", HERE, group), EntryPoint("posix", "impostor:open", group)]
        return [EntryPoint("vde", HERE, group), EntryPoint("tap", "impostor:open", group)]

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    open_netif("vde:switch")
    assert made == [("switch", {})]
    assert plugins.find("tap").__module__.startswith("netstack_tuntap")
    there = "loopback, packet, pcap, qemu, tap, tun, vde, xen, xenback, and without a device posix, tunnel, vchan"
    with pytest.raises(UsageError, match=f"'tpa': there are {there}, or write"):
        open_netif("tpa:tap0")


@pytest.mark.parametrize("kind", ["some.module:nothing", "there.is.no.such:thing"])
def test_what_can_not_be_loaded_is_named(kind: str, importable: None) -> None:
    with pytest.raises(UsageError, match="can't be loaded from"):
        open_netif(kind)


def test_importing_loads_no_back_end_and_no_metadata() -> None:
    program = "import sys, netstack.plugins; print([m for m in sys.modules if m.startswith(('importlib.metadata', 'netstack_'))])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.once
def test_a_checkout_that_was_never_installed_finds_its_back_ends_after_all_else_on_the_path() -> None:
    program = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from netstack.plugins import find
find("tap"), find("tun")
import netstack_tuntap
print(netstack_tuntap.__file__, sys.path[-1], sys.path.count(sys.path[-1]))
"""
    # -S: without site-packages, where this checkout may be installed all the same
    done = subprocess.run([sys.executable, "-S", "-E", "-c", program], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.split() == [str(ROOT / "backends/netstack_tuntap/__init__.py"), str(ROOT / "backends"), "1"]


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("ON", True), ("1", True), ("no", False), ("off", False)])
def test_a_flag_is_read(text: str, value: bool) -> None:
    assert read_flag("up", text) is value


@pytest.mark.parametrize("text", ["", "-1", "1.5", "0x10", "²", "11", "9" * 5000])
def test_a_number_is_in_its_range(text: str) -> None:
    assert read_int("n", "10", 0, 10) == 10
    with pytest.raises(UsageError, match="from 0 to 10"):
        read_int("n", text, 0, 10)
