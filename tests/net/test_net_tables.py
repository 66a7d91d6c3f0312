"""What is recorded in tests/net/tables holds: each row is measured again, and may differ by what its file allows.

`python -m tests.net.tables` shows all that differs; `python -m tests.net.tables --record [NAME …]` records anew. What a change
of a table means is for whoever commits it to say.
"""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

import netstack
from tests.net.tables import table as tables
from tests.net.tables.register import TABLES
from tests.net.tables.table import Column, Row, Table

PURE = netstack.build_info().build == "pure"
ROWS = [(name, row) for name, table in TABLES.items() for row in table.rows if not PURE or table.pure(row)]


@pytest.mark.parametrize(("name", "row"), ROWS, ids=["-".join((name, *row)) for name, row in ROWS])
def test_it_is_as_recorded(name: str, row: Row) -> None:
    differences = TABLES[name].differences(row)
    assert not differences, "\n".join([*differences, f"if it is meant to be so: {tables.RECORD} {name}"])


@pytest.mark.parametrize("name", TABLES)
def test_the_file_has_the_rows_of_its_table_and_no_others(name: str) -> None:
    assert list(TABLES[name].read()) == list(TABLES[name].rows)
    assert any(TABLES[name].pure(row) for row in TABLES[name].rows)


def test_a_table_is_read_as_it_was_written_and_says_what_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "HERE", tmp_path)
    values = {"slow": (1.0, 100.0), "fast": (9.0, 0.0)}
    columns = (Column("rate", "Mbit/s", 10, 0.05, 2), Column("count", "of something", 0, 2))
    keys, rows = (("path", "which"),), (("slow",), ("fast",))
    table = Table("small", "A small one", "About.", keys, columns, rows, values.__getitem__, lambda row: True)
    table.write([(row, table.measure(*row)) for row in table.rows])
    assert table.read() == {("slow",): (1.0, 100.0), ("fast",): (9.0, 0.0)}
    assert [table.differences(row) for row in table.rows] == [[], []]
    values["slow"], values["fast"] = (1.09, 102.0), (8.05, 3.0)
    assert table.differences(("slow",)) == []
    assert table.differences(("fast",)) == ["rate of fast was 9.00 and is 8.05", "count of fast was 0 and is 3"]
    table.path.write_text(table.path.read_text("utf-8").replace("± 10 % or 0.05", "± 20 % or 0.05"), "utf-8")
    assert table.differences(("fast",)) == ["count of fast was 0 and is 3"], "the tolerance is the file's"
    assert "no row idle" in table.differences(("idle",))[0]
    lawful = attrs.evolve(table, law=lambda row, values: "too slow" if values[0] < 2 else "")
    assert lawful.differences(("slow",)) == ["slow: too slow"]
