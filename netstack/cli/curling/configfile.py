"""The words in a file as -K takes it: an option on each line with what belongs to it, its dashes left out or not."""

from __future__ import annotations

import re

_LINE = re.compile(r'([^\s=:]+)[\s=:]*(?:"((?:[^"\\]|\\.)*)"?|(\S*)).*')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def words_of(text: str) -> list[str]:
    words: list[str] = []
    for line in text.splitlines():
        found = _LINE.match(line.strip())
        if found is None or line.lstrip().startswith("#"):
            continue
        option, quoted, bare = found.groups()
        words.append(option if option.startswith("-") else f"--{option}")
        if quoted is not None:
            words.append(_ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), quoted))
        elif bare:
            words.append(bare)
    return words
