"""Records: frozen classes with slots that cost nothing until one is made.

    @frozen
    class Place:
        index: int
        name: str = ""
        options: Options = field(factory=Options)

What it gives is what `attrs.frozen` gives: `__init__`, `__eq__`, `__hash__`, `__repr__`, pickling, and attributes that nobody sets
twice; `__post_init__` may look at them and raise. attrs' own functions (`attrs.evolve`, `asdict`, `fields`) know it.

Why not attrs itself: it writes those methods as text and compiles them when the class is made, whether they are ever called or not,
and of what a program imports to open a host that was a third, attrs' own import included. Here a method is a `_Later`, which
compiles the same text when it is first asked for and puts the function in its own place: from then on there is no difference. So
records are for the modules that every program imports, and attrs for all others.

`__init__` waits longer. Most classes here have one record in a program's life, its configuration, and to compile takes as long as
to fill thirty to forty records from a loop: so the first FILLED are filled by `_fill`. What it does not understand it leaves to the
function, which refuses it in the interpreter's own words.

Methods of a record don't say `super()` without arguments: the class is made anew, with slots, and they would mean the old one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")
C = TypeVar("C", bound=type)
Maker = Callable[[type, str], Callable[..., Any]]

_PARTS = "__record_parts__"  # of a class, its fields and their defaults
FILLED = 32  # records of a class that are filled before its `__init__` is compiled: by then the two have cost about the same


class _Made:
    """A default that is made anew for each."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def field(*, factory: Callable[[], T]) -> T:
    """A default by a function, called for each record that is made without the field."""
    return _Made(factory)  # type: ignore[return-value]  # it stands for one until then


@overload
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: C) -> C: ...
@overload
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(*, kw_only: bool = ...) -> Callable[[C], C]: ...
def frozen(cls: type | None = None, *, kw_only: bool = False) -> Any:
    """The decorator: fields are what is annotated."""
    return (lambda plain: _record(plain, kw_only)) if cls is None else _record(cls, kw_only)


def evolve(record: T, **changes: Any) -> T:
    """Another one, with these fields instead."""
    old = {name: getattr(record, name) for name in getattr(type(record), _PARTS)[0]}
    return type(record)(**old | changes)


def asdict(record: object, recurse: bool = True) -> dict[str, Any]:
    """Name and value of each field; with `recurse` records within become such a dict, and tuples lists, as JSON wants them."""
    values = {name: getattr(record, name) for name in getattr(type(record), _PARTS)[0]}
    return {name: _plain(value) for name, value in values.items()} if recurse else values


def _plain(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return asdict(value) if hasattr(value, _PARTS) else value


class _Later:
    """A method, or another attribute of the class, that is made when it is first asked for."""

    __slots__ = ("make", "name", "owner")

    def __init__(self, make: Maker) -> None:
        self.make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner, self.name = owner, name

    def __get__(self, record: object, kind: type | None = None) -> Any:
        made = self.make(self.owner, self.name)
        setattr(self.owner, self.name, made)
        return made.__get__(record, kind) if record is not None and callable(made) else made


class _LaterInit(_Later):
    """`__init__`, which is asked for by each record."""

    __slots__ = ("filled",)

    def __init__(self, make: Maker) -> None:
        super().__init__(make)
        self.filled = 0

    def __get__(self, record: object, kind: type | None = None) -> Any:
        if record is None or self.filled == FILLED:
            return super().__get__(record, kind)
        self.filled += 1
        return partial(_fill, self.owner, record)


def _fill(cls: type, record: object, /, *values: Any, **named: Any) -> None:
    """What the `__init__` of `cls` does."""
    names, defaults, kw_only = getattr(cls, _PARTS)
    by_place = () if kw_only else names
    filled = {**defaults, **dict(zip(by_place, values, strict=False)), **named}
    twice_or_too_many = len(values) > len(by_place) or (named and any(name in named for name in by_place[: len(values)]))
    if twice_or_too_many or filled.keys() != dict.fromkeys(names).keys():
        _init(cls, "__init__")(record, *values, **named)  # it raises
        return
    for name in names:
        value = filled[name]
        object.__setattr__(record, name, value.make() if isinstance(value, _Made) else value)
    if hasattr(record, "__post_init__"):
        record.__post_init__()


def _record(plain: type, kw_only: bool) -> type:
    space = dict(plain.__dict__)
    names = tuple(plain.__annotations__)  # its own; from Python 3.14 on they don't stand in its dict
    defaults = {name: space.pop(name) for name in names if name in space}
    for name in ("__dict__", "__weakref__"):
        space.pop(name, None)
    for name, make in _METHODS.items():
        if name not in space:
            space[name] = _LaterInit(make) if make is _init else _Later(make)
    space |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete, "__getstate__": _state, "__setstate__": _restore}
    space["__slots__"] = (*names, "__weakref__")
    space["__match_args__"] = () if kw_only else names
    space[_PARTS] = (names, defaults, kw_only)
    return type(plain)(plain.__name__, plain.__bases__, space)


def _init(cls: type, name: str) -> Callable[..., Any]:
    names, defaults, kw_only = getattr(cls, _PARTS)
    known: dict[str, Any] = {"_bind": object.__setattr__.__get__}
    words, lines = [], ["    _set = _bind(self)"]
    for field_name in names:
        word, value = field_name, field_name
        if field_name in defaults:
            default = defaults[field_name]
            known[f"_of_{field_name}"] = default
            word = f"{field_name}=_of_{field_name}"
            if isinstance(default, _Made):
                value = f"_of_{field_name}.make() if {field_name} is _of_{field_name} else {field_name}"
        words.append(word)
        lines.append(f"    _set({field_name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("    self.__post_init__()")
    head = ", ".join(["self", *(["*"] if kw_only and words else []), *words])
    made = _compiled(cls, name, f"def {name}({head}):\n" + "\n".join(lines), known)
    made.__annotations__ = {**cls.__annotations__, "return": None} if names else {"return": None}
    return made


def _eq(cls: type, name: str) -> Callable[..., Any]:
    pairs = "".join(f" and self.{field} == other.{field}" for field in getattr(cls, _PARTS)[0])
    lines = "    if self.__class__ is not other.__class__:\n        return NotImplemented\n"
    return _compiled(cls, name, f"def {name}(self, other):\n{lines}    return True{pairs}", {})


def _hash(cls: type, name: str) -> Callable[..., Any]:
    values = "".join(f"self.{field}, " for field in getattr(cls, _PARTS)[0])
    return _compiled(cls, name, f"def {name}(self):\n    return hash((_cls, {values}))", {"_cls": cls})


def _repr(cls: type, name: str) -> Callable[..., Any]:
    values = ", ".join(f"{field}={{self.{field}!r}}" for field in getattr(cls, _PARTS)[0])
    text = f'def {name}(self):\n    return f"{{type(self).__qualname__.rpartition(chr(46))[2]}}({values})"'
    return _compiled(cls, name, text, {})


def _compiled(cls: type, name: str, text: str, known: dict[str, Any]) -> Callable[..., Any]:
    exec(compile(text, f"<{name} of {cls.__qualname__}>", "exec"), known)
    made: Callable[..., Any] = known[name]
    made.__qualname__ = f"{cls.__qualname__}.{name}"
    made.__module__ = cls.__module__
    return made


def _of_attrs(cls: type, name: str) -> Any:
    """What attrs keeps of a class of its own."""
    import attrs

    names, defaults, kw_only = getattr(cls, _PARTS)
    fields = {}
    for field_name in names:
        default = defaults.get(field_name, attrs.NOTHING)
        made = attrs.Factory(default.make) if isinstance(default, _Made) else default
        fields[field_name] = attrs.field(default=made, kw_only=kw_only, type=cls.__annotations__[field_name])
    return attrs.make_class(cls.__name__, fields, frozen=True).__attrs_attrs__  # type: ignore[attr-defined]  # which it has


def _refuse_to_set(self: object, name: str, value: object) -> None:
    raise AttributeError(f"{type(self).__name__} is frozen: evolve() makes another one, with another {name}")


def _refuse_to_delete(self: object, name: str) -> None:
    raise AttributeError(f"{type(self).__name__} is frozen: its {name} stays")


def _state(self: object) -> tuple[Any, ...]:
    return tuple(getattr(self, name) for name in getattr(type(self), _PARTS)[0])


def _restore(self: object, state: tuple[Any, ...]) -> None:
    for name, value in zip(getattr(type(self), _PARTS)[0], state, strict=True):
        object.__setattr__(self, name, value)


_METHODS: dict[str, Maker] = {"__init__": _init, "__eq__": _eq, "__hash__": _hash, "__repr__": _repr, "__attrs_attrs__": _of_attrs}
