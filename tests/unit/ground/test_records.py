"""Records: what attrs gives, made when it is first asked for."""

import copy
import inspect
import pickle
import subprocess
import sys

import attrs
import pytest

from netstack.records import FILLED, _Later, asdict, evolve, field, frozen

pytestmark = pytest.mark.once


@frozen
class Point:
    x: int
    y: int = 2
    marks: tuple[object, ...] = ()
    seen: list[int] = field(factory=list)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError(f"x={self.x}")

    def swapped(self) -> "Point":
        return evolve(self, x=self.y, y=self.x)


@frozen(kw_only=True)
class Settings:
    name: str
    size: int = 1


@attrs.frozen
class Theirs:
    x: int
    y: int = 2


def test_a_record_is_made_compared_and_shown_as_one_of_attrs() -> None:
    assert repr(Point(1)) == "Point(x=1, y=2, marks=(), seen=[])"
    assert repr(Settings(name="a")) == repr(Settings(name="a", size=1)) == "Settings(name='a', size=1)"
    assert Point(1) == Point(1, 2) and Point(1) != Point(3) and Point(1) != (1, 2) and Settings(name="a") != Theirs(1)
    assert len({Settings(name="a"), Settings(name="a"), Settings(name="b")}) == 2
    assert Point(1).seen is not Point(1).seen
    assert Point(1).swapped() == Point(2, 1)
    match Point(7, 8):
        case Point(x, y):
            assert (x, y) == (7, 8)
    for call in (Point, lambda: Point(1, z=3), lambda: Settings("a")):  # type: ignore[call-arg, misc, list-item]  # as the test says
        with pytest.raises(TypeError, match="argument"):
            call()


def test_nobody_changes_a_record() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="frozen"):
        point.x = 3  # type: ignore[misc]
    with pytest.raises(AttributeError, match="frozen"):
        del point.x
    with pytest.raises(AttributeError, match="frozen"):
        point.new = 3  # type: ignore[attr-defined]
    assert point == Point(1)


def test_what_is_wrong_is_refused_by_the_class_however_it_is_made() -> None:
    for make in (lambda: Point(-1), lambda: evolve(Point(1), x=-1)):
        with pytest.raises(ValueError, match="x=-1"):
            make()


def test_copies_and_pickles_are_equal() -> None:
    point = Point(1, marks=(Point(2),))
    assert copy.copy(point) == copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point


def test_attrs_own_functions_know_a_record() -> None:
    point = Point(1, marks=(Settings(name="a"),))
    assert attrs.has(Point) and [each.name for each in attrs.fields(Point)] == ["x", "y", "marks", "seen"]  # type: ignore[arg-type]
    assert attrs.evolve(point, x=5) == evolve(point, x=5)  # type: ignore[misc]
    assert asdict(point) == {"x": 1, "y": 2, "marks": [{"name": "a", "size": 1}], "seen": []}
    assert asdict(point, recurse=False)["marks"] == (Settings(name="a"),)
    assert attrs.asdict(point, recurse=False) == asdict(point, recurse=False)  # type: ignore[arg-type]
    assert str(inspect.signature(Settings)) == str(inspect.signature(Settings.__init__)).replace("self, ", "")


def test_methods_are_made_when_they_are_asked_for_and_only_then() -> None:
    @frozen
    class Fresh:
        x: int

    def waiting() -> set[str]:
        return {name for name, value in vars(Fresh).items() if isinstance(value, _Later)}

    everything = {"__init__", "__eq__", "__hash__", "__repr__", "__attrs_attrs__"}
    assert waiting() == everything
    one = Fresh(1)
    assert waiting() == everything
    assert one == Fresh(1)
    assert waiting() == everything - {"__eq__"}
    assert [Fresh(i).x for i in range(FILLED)] == list(range(FILLED))
    assert waiting() == everything - {"__eq__", "__init__"}


@pytest.mark.parametrize("kw_only", [False, True])
def test_the_first_records_are_made_and_refused_as_by_the_function(kw_only: bool) -> None:
    """Whatever is said, by the loop that fills the first ones and by the function that is compiled later."""

    def fresh() -> type:
        @frozen(kw_only=kw_only)
        class Fresh:
            x: int
            self_: int
            made: list[int] = field(factory=list)
            seen: tuple[int, ...] = (7,)

            def __post_init__(self) -> None:
                if self.x == 0:
                    raise ValueError("x=0")

        return Fresh

    by_loop, by_function = fresh(), fresh()
    assert "self_" in inspect.signature(by_function).parameters  # the question compiles it
    assert not isinstance(vars(by_function)["__init__"], _Later)

    def outcome(cls: type, values: tuple[int, ...], named: dict[str, int]) -> object:
        try:
            return asdict(cls(*values, **named))
        except (TypeError, ValueError) as error:
            return type(error), str(error).replace(cls.__qualname__, "")

    names = ("x", "self_", "made", "seen", "self", "cls", "record", "z")
    refused = 0
    for count in range(6):
        for bits in range(1 << len(names)):
            named = {name: 10 + i for i, name in enumerate(names) if bits >> i & 1}
            vars(by_loop)["__init__"].filled = 0
            said = outcome(by_loop, tuple(range(1, 1 + count)), named)
            assert said == outcome(by_function, tuple(range(1, 1 + count)), named)
            refused += isinstance(said, tuple)
    assert 0 < refused < 6 << len(names)
    assert outcome(by_loop, (), {"x": 0, "self_": 1}) == outcome(by_function, (), {"x": 0, "self_": 1}) == (ValueError, "x=0")
    assert by_loop(x=1, self_=2).made is not by_loop(x=1, self_=2).made


def test_opening_a_host_imports_no_attrs() -> None:
    text = "import sys, netstack; netstack.open; netstack.Net; import netstack.runtime.automatic; print('attr' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert done.stdout == "False\n"
