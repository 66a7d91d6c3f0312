"""Content codings (RFC 9110 8.4, 12.5.3): which of those that are there a client would rather have. Pure functions."""

import re

CODINGS = (("br", ".br"), ("zstd", ".zst"), ("gzip", ".gz"))
"""Names, and how files that hold them end, the smallest first: what is preferred where the client has no preference."""

_ALIASES = {"x-gzip": "gzip"}  # RFC 9110 8.4.1.3
_ITEM = re.compile(r"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:[ \t]*;[ \t]*[qQ]=([01](?:\.[0-9]{0,3})?))?[ \t]*")


def accepted(value: str | None) -> dict[str, float]:
    """The weight of each coding that `value`, an Accept-Encoding field, names. What isn't lawful says nothing."""
    weights: dict[str, float] = {}
    for item in (value or "").split(",")[:32]:  # no client knows so many; what is behind them is not worth the reading
        found = _ITEM.fullmatch(item)
        if found is not None:
            name = found[1].lower()
            weights[_ALIASES.get(name, name)] = min(float(found[2]), 1.0) if found[2] else 1.0
    return weights


def choose(value: str | None, there: list[str]) -> str | None:
    """The coding of `there` that suits best; None: send it as it is.

    Who would rather not have that, and takes none of the others, gets it all the same (RFC 9110 12.5.3). Who sends no field takes
    any coding by the letter of it, and knows of none in practice.
    """
    weights = accepted(value)
    rest = weights.get("*", 0.0)
    best, most = None, weights.get("identity", 0.0)
    for coding in there:
        weight = weights.get(coding, rest)
        if weight > 0 and (weight > most or (weight == most and best is None)):
            best, most = coding, weight
    return best
