"""Header fields as people use them: case doesn't matter, a name may come more than once, order is kept."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from ..errors import UsageError
from .events import RawFields

HeadersLike: TypeAlias = "Headers | Mapping[str, str] | Iterable[tuple[str, str]]"


class Headers:
    """An immutable multi-mapping of field names to values. Values are text in ISO 8859-1, which loses no byte."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: HeadersLike = ()) -> None:
        if isinstance(pairs, Headers):
            self._pairs: tuple[tuple[str, str], ...] = pairs._pairs
        else:
            items = pairs.items() if isinstance(pairs, Mapping) else pairs
            self._pairs = tuple((name.lower(), value) for name, value in items)

    @classmethod
    def from_raw(cls, fields: RawFields) -> "Headers":
        """From what the reader hands up: names are in lower case already."""
        made = cls.__new__(cls)
        made._pairs = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in fields)
        return made

    def raw(self) -> RawFields:
        """As they go on the wire. Raises UsageError for characters beyond ISO 8859-1."""
        try:
            return tuple((name.encode("ascii"), value.encode("latin-1")) for name, value in self._pairs)
        except UnicodeEncodeError as error:
            raise UsageError(f"a header has characters beyond ISO 8859-1 ({error.object!r}): encode them (RFC 8187)") from None

    def get_all(self, name: str) -> list[str]:
        """Every value of `name`, in order."""
        name = name.lower()
        return [value for key, value in self._pairs if key == name]

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of `name`; several are joined with `", "` (RFC 9110 5.3)."""
        values = self.get_all(name)
        return ", ".join(values) if values else default

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in (key for key, _ in self._pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Pairs of lower-case name and value."""
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return f"Headers({list(self._pairs)!r})"
