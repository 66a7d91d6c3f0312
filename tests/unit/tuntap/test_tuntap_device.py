"""Names, options and refusals: what can be said without a device."""

import errno

import pytest
from netstack_tuntap import DeviceUnavailable, NotAllowed, open_tap, open_tun
from netstack_tuntap.device import _refusal, check_name, stack_mac

from netstack.errors import NetstackError, UsageError


@pytest.mark.parametrize("name", ["", "tap0", "tap%d", "a" * 15, "tün0"])
def test_names_that_an_interface_may_have(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["a" * 16, "tü" * 6, "a/b", "a b", "a:b", ".", "..", "a\0"])
def test_names_that_an_interface_can_not_have(name: str) -> None:
    with pytest.raises(UsageError, match="like tap0"):
        check_name(name)


def test_the_stack_is_another_host_than_the_kernel() -> None:
    kernel = bytes.fromhex("021122334455")
    mac = stack_mac("tap0", kernel)
    assert mac == stack_mac("tap0", kernel)
    assert bytes(mac)[0] == 2
    assert bytes(mac) != kernel
    assert mac != stack_mac("tap1", kernel)
    assert mac != stack_mac("tap0", bytes.fromhex("021122334456"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"colour": "red"}, r"tap does not know the option 'colour': it knows mac=.*, mtu=1500, host=10.79.0.1/24"),
        ({"mac": "tap"}, r"'tap' is not a link address"),
        ({"mtu": "67"}, r"mtu=67 is not possible: write a number from 68 to 65521"),
        ({"mtu": "many"}, r"mtu=many"),
        ({"host": "10.79.0"}, r"not an IPv4 address"),
        ({"persist": "maybe"}, r"persist=maybe is neither yes nor no"),
        ({"gro": "maybe"}, r"gro=maybe is neither yes nor no"),
        ({"offload": "lro"}, r"offload=lro is not possible: write yes, no, or some of csum,tso4,tso6,tso-ecn,uso"),
        ({"offload": ""}, r"offload= is not possible"),
        ({"offload": "csum,"}, r"offload=csum, is not possible"),
        ({"offload": "tso4"}, r"offload=tso4 is not possible: a cut segment needs its checksum, so write offload=csum,tso4"),
        ({"offload": "csum,tso-ecn"}, r"tso-ecn is a kind of tso4 and tso6, so name one of them as well"),
    ],
)
def test_bad_options_are_refused_before_a_device_is_made(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        open_tap("tap0", options)


def test_a_tun_does_not_know_a_link_address() -> None:
    with pytest.raises(UsageError, match="tun does not know the option 'mac'"):
        open_tun("tun0", {"mac": "02:00:00:00:00:01"})


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EPERM, NotAllowed, "sudo ip tuntap add dev tap7 mode tap user $USER && sudo ip link set tap7 up"),
        (errno.EACCES, NotAllowed, "sudo chmod 666 /dev/net/tun"),
        (errno.ENOENT, DeviceUnavailable, "sudo modprobe tun"),
        (errno.EBUSY, DeviceUnavailable, "in use by another program"),
        (errno.ENOMEM, DeviceUnavailable, "can't be opened"),
    ],
)
def test_a_refusal_says_what_helps(number: int, kind: type[NetstackError], words: str) -> None:
    error = _refusal(OSError(number, "as the kernel says"), "tap7", "tap")
    assert type(error) is kind
    assert isinstance(error, OSError)
    assert error.errno == number
    assert words in str(error)


def test_a_refusal_without_a_name_suggests_one() -> None:
    assert "ip tuntap add dev tun0 mode tun" in str(_refusal(OSError(errno.EPERM, ""), "", "tun"))
