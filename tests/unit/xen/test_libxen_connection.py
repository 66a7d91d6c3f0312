"""What LibXen adds to Xen's libraries, on a machine that has none of Xen; on Xen itself promises.py is kept (tests/xen)."""

import errno
import sys

import pytest
from netstack_xen import libxen
from netstack_xen.hypervisor import EVERYONE
from netstack_xen.libxen.connection import TRIES, LibXenStore
from netstack_xen.simulated import Machine

from netstack.errors import UsageError


class Handle:
    """Xenstore as the libraries give it, where relative paths are below nothing; the calls are kept."""

    def __init__(self, collisions=0):
        self.nodes = {}
        self.events = []
        self.calls = []
        self.collisions = collisions
        self.ended = []

    def read(self, transaction, path):
        return self.nodes.get(path)

    def write(self, transaction, path, value):
        self.calls.append((transaction, path, value))
        self.nodes[path] = value

    def permit(self, transaction, path, entries):
        self.calls.append((transaction, path, entries))

    def watch(self, path, token):
        self.events.append((path, token))

    def unwatch(self, path, token):
        self.events = [event for event in self.events if event != (path, token)]

    def fired(self):
        told, self.events = self.events, []
        return told

    def begin(self):
        return 7

    def end(self, transaction, keep):
        self.ended.append((transaction, keep))
        self.collisions -= 1
        return self.collisions < 0


def test_relative_paths_are_below_this_domains_folder_where_the_store_has_none():
    handle = Handle()
    LibXenStore(handle, "/local/domain/0/").write("data/x", "1")
    LibXenStore(handle, "").write("data/x", "1")  # in a guest the store knows whose they are
    LibXenStore(handle, "/local/domain/0/").write("/tool/x", "1")
    assert [path for _, path, _ in handle.calls] == ["/local/domain/0/data/x", "data/x", "/tool/x"]


def test_a_watch_tells_the_path_in_the_words_in_which_it_was_asked():
    handle = Handle()
    store = LibXenStore(handle, "/local/domain/0/")
    store.watch("device", "relative")
    store.watch("/local/domain/0/device", "whole")
    handle.events += [("/local/domain/0/device/vif/0/state", "relative"), ("/local/domain/0/device/vif/0/state", "whole")]
    handle.events.append(("/local/domain/0/devices", "relative"))  # no child of what is watched, whatever it begins with
    assert store.fired() == [
        ("device", "relative"),
        ("/local/domain/0/device", "whole"),
        ("device/vif/0/state", "relative"),
        ("/local/domain/0/device/vif/0/state", "whole"),
        ("/local/domain/0/devices", "relative"),
    ]
    store.watch("@releaseDomain", "gone")
    assert store.fired() == [("@releaseDomain", "gone")]


def test_a_transaction_is_tried_again_until_it_holds():
    handle = Handle(collisions=2)
    LibXenStore(handle, "").together(lambda store: store.write("a", "1"))
    assert handle.calls == [(7, "a", "1")] * 3 and handle.ended == [(7, True)] * 3


def test_a_transaction_that_always_collides_ends_with_an_error():
    handle = Handle(collisions=TRIES)
    with pytest.raises(BlockingIOError, match="collided 1000 times"):
        LibXenStore(handle, "").together(lambda store: None)


def test_a_transaction_that_fails_is_abandoned():
    handle = Handle()

    def change(store):
        with pytest.raises(UsageError, match="no transactions in it"):
            store.together(change)
        raise KeyError("no")

    with pytest.raises(KeyError):
        LibXenStore(handle, "").together(change)
    assert handle.ended == [(7, False)]


def test_permissions_begin_with_the_owners_and_what_everyone_may():
    handle = Handle()
    store = LibXenStore(handle, "")
    store.permit("a", 5)
    store.permit("a", 5, readers=[0, 3], writers=[3])
    store.permit("a", 5, readers=[EVERYONE, 5], writers=[2])
    assert [entries for _, _, entries in handle.calls] == [((5, 0),), ((5, 0), (0, 1), (3, 3)), ((5, 1), (2, 2))]


def test_without_the_extension_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "netstack_xen.libxen._libxen", None)
    monkeypatch.delattr(libxen, "_libxen", raising=False)
    with pytest.raises(libxen.XenUnavailable, match="libxen-dev") as caught:
        libxen.LibXen()
    assert caught.value.errno == errno.ENOSYS


def test_where_there_is_no_xen_one_sentence_says_so():
    built = "the extension over Xen's libraries was not built"
    pytest.importorskip("netstack_xen.libxen._libxen", reason=built, exc_type=ImportError)
    if libxen.takeover.DEVICES.exists():
        pytest.skip("this machine is a domain of Xen")
    with pytest.raises(libxen.XenUnavailable, match="no domain of a Xen machine"):
        libxen.LibXen()


def test_the_kernels_driver_is_told_to_let_go_by_the_file_that_the_kernel_has_for_that(tmp_path):
    device, driver = tmp_path / "devices" / "vif-3", tmp_path / "drivers" / "vif"
    device.mkdir(parents=True)
    driver.mkdir(parents=True)
    assert libxen.held_by(3, tmp_path / "devices") is None and libxen.let_go(3, tmp_path / "devices") is False
    (device / "driver").symlink_to(driver)
    assert libxen.held_by(3, tmp_path / "devices") == "vif" and libxen.held_by(4, tmp_path / "devices") is None
    assert libxen.let_go(3, tmp_path / "devices") is True
    assert (driver / "unbind").read_text() == "vif-3"


def test_the_simulated_store_takes_the_same_calls():
    with Machine() as machine:
        store = machine.domain(5).store
        for name in (name for name in vars(LibXenStore) if not name.startswith("_")):
            assert callable(getattr(store, name))
