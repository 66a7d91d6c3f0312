"""Updates in a file: there after a crash, whatever it cut short; and nothing is answered that is not there."""

from __future__ import annotations

import errno
import os
import random

import pytest
from test_dns_update import A, contents, make, message, rr

from netstack.dns.authority import journalfile, load, update
from netstack.dns.authority.journalfile import HEAD, JournalFile
from netstack.dns.numbers import Rcode
from netstack.errors import UsageError


def updated(path, n=5, large=journalfile.LARGE):
    """A zone after `n` updates, each with its frame in the journal."""
    zone, kept = make(), JournalFile(path, large=large)
    kept.replay(zone)
    for i in range(n):
        assert update.apply(zone, message([rr(f"h{i}", A, f"192.0.2.{i % 250}", ttl=60)]), kept.keep) == 0
    kept.close()
    return zone


def again(path, serial=1):
    zone, kept = make(serial), JournalFile(path)
    try:
        kept.replay(zone)
    finally:
        kept.close()
    return zone


def test_what_was_answered_is_there_after_a_restart(tmp_path):
    path = tmp_path / "zone.jnl"
    assert again(path).serial == 1 and not path.exists()
    zone = updated(path)
    found = again(path)
    assert contents(found) == contents(zone) and found.serial == zone.serial == 6
    assert [change.new for change in found.journal] == [2, 3, 4, 5, 6], "so copies get increments over the restart, too"
    assert again(path, serial=4).serial == 6, "some of the updates were put into the file by hand"
    assert again(path, serial=6).serial == 6 and path.read_bytes() == HEAD, "all of them were"


def test_wherever_a_crash_cuts_it_what_came_before_is_there(tmp_path):
    path = tmp_path / "zone.jnl"
    updated(path, 3)
    whole = path.read_bytes()
    sizes = set()
    for n in range(len(HEAD), len(whole), 5):
        path.write_bytes(whole[:n])
        zone = again(path)
        assert zone.rrset(f"h{zone.serial - 2}", "A") is not None or zone.serial == 1
        sizes.add(zone.serial)
        assert path.stat().st_size <= n and again(path).serial == zone.serial
    assert sizes == {1, 2, 3}
    for n in range(len(HEAD)):
        path.write_bytes(whole[:n])
        assert again(path).serial == 1
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert again(path).serial == 3


def test_what_is_mangled_in_the_middle_is_said(tmp_path, seed):
    path = tmp_path / "zone.jnl"
    zone = updated(path, 3)
    whole, rng = path.read_bytes(), random.Random(seed)
    for _ in range(50):
        at = rng.randrange(len(whole) - 1)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :])
        try:
            found = again(path)
        except UsageError:
            continue
        assert 1 <= found.serial < zone.serial


def test_a_zone_file_that_was_edited_meanwhile_is_not_mixed_with_updates(tmp_path):
    path = tmp_path / "zone.jnl"
    updated(path)
    with pytest.raises(UsageError, match=r"updates since serial 1 of example\., and the zone file was changed to 99"):
        again(path, serial=99)


def test_it_is_of_one_server_and_no_other_file(tmp_path):
    path = tmp_path / "zone.jnl"
    first = JournalFile(path)
    update.apply(make(), message([rr("h", A, "192.0.2.1", ttl=60)]), first.keep)
    with pytest.raises(UsageError, match="another server's"):
        again(path)
    first.close()
    assert again(path).serial == 2
    path.write_bytes(b"; a zone file, or what somebody has there" * 9)
    with pytest.raises(UsageError, match="not a journal"):
        again(path)


def test_it_does_not_grow_without_end(tmp_path, seed):
    """The same names come and go: many updates, and what is kept is their difference."""
    path, rng = tmp_path / "zone.jnl", random.Random(seed)
    zone, kept = make(), JournalFile(path, large=2000)
    path.write_bytes(HEAD)
    for _ in range(300):
        host, value = f"h{rng.randrange(10)}", f"192.0.2.{rng.randrange(5)}"
        change = rr(host, A, value, ttl=rng.choice((60, 90))) if rng.randrange(3) else rr(host, A, value, rclass=254)
        assert update.apply(zone, message([change]), kept.keep) == 0
        assert path.stat().st_size < 8_000
    kept.close()
    assert contents(again(path)) == contents(zone) and list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_stored_is_not_done(tmp_path, monkeypatch):
    path = tmp_path / "zone.jnl"
    zone, kept = make(), JournalFile(path)
    assert update.apply(zone, message([rr("a", A, "192.0.2.1", ttl=60)]), kept.keep) == 0
    before, size = contents(zone), path.stat().st_size

    def full(fd):
        raise OSError(errno.ENOSPC, "no space left on the device")

    monkeypatch.setattr(os, "fdatasync", full)
    assert update.apply(zone, message([rr("b", A, "192.0.2.2", ttl=60)]), kept.keep) == Rcode.SERVFAIL
    monkeypatch.undo()
    assert contents(zone) == before and path.stat().st_size == size
    assert update.apply(zone, message([rr("c", A, "192.0.2.3", ttl=60)]), kept.keep) == 0
    kept.close()
    assert contents(again(path)) == contents(zone)


def test_a_file_is_the_old_one_until_it_is_the_new_one(tmp_path):
    path = tmp_path / "copy.zone"
    path.write_text("old")
    steps = journalfile.write_whole(path, (f"; {i}" for i in range(2500)))
    next(steps)
    assert path.read_text() == "old"
    steps.close()
    assert [each.name for each in tmp_path.iterdir()] == ["copy.zone"]
    zone = make()
    assert list(journalfile.write_whole(path, load.write(zone))) == [] and contents(load.read(path)) == contents(zone)
