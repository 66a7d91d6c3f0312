"""Who is who in a user namespace: a user's own id, and those that /etc/subuid and /etc/subgid give him beside it.

Anybody may map one id, his own. More is the system's to give, by newuidmap(1) and newgidmap(1), which look into those files; with
them `apt-get` may become `_apt` in there, and a file belong to `www-data`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable

import attrs

from ...errors import UsageError

OWN = {"u": "/etc/subuid", "g": "/etc/subgid"}


@attrs.frozen
class Helpers:
    """The ids that are a user's beside his own: first and count of each range, and the programs that map them."""

    uids: tuple[tuple[int, int], ...]
    gids: tuple[tuple[int, int], ...]
    newuidmap: str
    newgidmap: str

    @classmethod
    def find(cls) -> Helpers:
        """Those of this process's user. Raises UsageError where there are none."""
        programs = []
        for name in ("newuidmap", "newgidmap"):
            path = shutil.which(name)
            if path is None:
                raise UsageError(f"{name} is not installed, which maps more ids than one's own: apt-get install uidmap")
            programs.append(path)
        ranges = []
        for kind, path in OWN.items():
            try:
                with open(path) as file:
                    text = file.read()
            except OSError:
                text = ""
            found = read_ranges(text, owners())
            if not found:
                example = f"usermod --add-sub{kind}ids 100000-165535 {owners()[0]}"
                raise UsageError(f"{path} gives {owners()[0]} no ids: have root say {example}")
            ranges.append(found)
        return cls(ranges[0], ranges[1], *programs)

    def write(self, pid: int, uid: int, gid: int, keep_id: bool) -> None:
        """Have them mapped in the user namespace of `pid`, a child of ours. Raises OSError."""
        for program, own, ranges in ((self.newuidmap, uid, self.uids), (self.newgidmap, gid, self.gids)):
            words = [str(number) for line in mapping(own, ranges, keep_id) for number in line]
            done = subprocess.run([program, str(pid), *words], capture_output=True, text=True, errors="replace", check=False)
            if done.returncode:
                why = " ".join(done.stderr.split()) or f"status {done.returncode}"
                raise OSError(1, why.removeprefix(f"{os.path.basename(program)}: "), program)


def owners() -> tuple[str, str]:
    """This process's user, as those files may name him."""
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name, str(uid)
    except KeyError:
        return str(uid), str(uid)


def read_ranges(text: str, names: Iterable[str]) -> tuple[tuple[int, int], ...]:
    """The ranges of whoever is called so, as subuid(5) has them: `name:first:count`. What is no such line is left out."""
    found = []
    for line in text.splitlines():
        words = line.strip().split(":")
        if len(words) == 3 and words[0] in names and all(word.isascii() and word.isdigit() for word in words[1:]):
            first, count = int(words[1]), int(words[2])
            if count:
                found.append((first, count))
    return tuple(found)


def mapping(own: int, ranges: Iterable[tuple[int, int]], keep_id: bool) -> list[tuple[int, int, int]]:
    """Lines of a map, (inside, outside, count): one's own id is root's in there, or stays what it is; the others have the rest, in
    order."""
    place = own if keep_id else 0
    lines = [(place, own, 1)]
    at = 0
    for first, count in ranges:
        while count:
            if at == place:
                at += 1
            part = min(count, place - at) if at < place else count
            lines.append((at, first, part))
            at += part
            first += part
            count -= part
    return sorted(lines)
