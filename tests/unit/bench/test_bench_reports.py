"""What is written of a run: text, page, history."""

import json
import re
from html.parser import HTMLParser

import pytest

from tests.bench import history, report_html, report_text
from tests.bench.machine import cpu_model
from tests.bench.measure import Entrant, Goal, Round, Row, Spread, judge
from tests.bench.rows import ROWS

GOAL = Goal("bulk <receive> & more", "gbit", "ours", "theirs", 0.7)
TIME = Goal("a turn", "us", "ours", None, 10, at_least=False)
FACTS = {"date": "2030-01-02T03:04:05Z", "commit": "abc1234", "python": "3.13.1", "cpu": "A <fast> one", "cores": 2}


def entrant(name, own=False):
    return Entrant(name, lambda _: lambda _: {}, own)


def result(ours=3.0, theirs=4.0, others=0.0, missing=None):
    row = Row("receive", "Said in <words>.", {"gbit": "Gbit/s"}, [entrant("ours", True), entrant("theirs")], [GOAL])
    values = {"ours": {"gbit": ours}, "theirs": {"gbit": theirs}}
    return judge(row, [Round(values, others)] * 3, missing or {})


class Tags(HTMLParser):
    """Checks that what is opened is closed, and gathers the text."""

    VOID = frozenset({"meta"})

    def __init__(self):
        super().__init__()
        self.open = []
        self.text = ""
        self.attributes = []

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.attributes += [(tag, name, value) for name, value in attributes]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0.00"), (0.01234, "0.0123"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (12345, "12,345")]
)
def test_numbers_have_the_digits_that_mean_something(value, text):
    assert report_text.number(value) == text


def test_the_table_says_what_was_measured_what_the_goal_was_and_whether_it_was_reached():
    lines = list(report_text.verdicts([result()]))
    assert re.search(r"bulk <receive> & more +0\.75 \[0\.75 - 0\.75\] +>= +0\.7 +reached$", lines[1])
    assert lines[-1].startswith("1 of 1 reached.")
    assert "not reached" in list(report_text.verdicts([result(ours=1.0)]))[1]


def test_a_row_says_who_was_left_out_and_that_others_disturbed_it():
    text = "\n".join(report_text.figures(result(others=0.8, missing={"pasta": "not there"})))
    assert "others used 0.80 cores" in text
    assert re.search(r"pasta +left out: not there", text)


def test_the_page_is_whole_and_escapes_what_it_is_told():
    entries = [json.loads(history.line([result(ours=ours)], FACTS, quick=False)) for ours in (2.0, 3.0)]
    page = report_html.page([result(missing={"<b>": "it said <script>"})], FACTS, entries)
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    for text in ("bulk <receive> & more", "Said in <words>.", "A <fast> one", "<b>: left out, it said <script>"):
        assert text in tags.text
    assert "How it came along" in tags.text


def test_the_page_loads_nothing():
    page = report_html.page([result()], FACTS, [])
    tags = Tags()
    tags.feed(page)
    assert not [each for each in tags.attributes if each[1] in ("src", "href")]
    assert "url(" not in page and "@import" not in page and "<script" not in page


def test_a_strip_has_the_goal_in_its_middle_and_better_to_the_right():
    assert report_html.place(GOAL, 0.7) == 50
    assert report_html.place(GOAL, 7.0) == 100
    assert report_html.place(GOAL, 0.07) == pytest.approx(0)
    assert report_html.place(TIME, 1.0) == 100, "less time is better"
    assert report_html.place(TIME, 1000.0) == 0
    assert report_html.place(GOAL, 0.0) == 0


def test_a_line_of_the_history_has_the_facts_and_the_figures_with_their_ranges(tmp_path):
    file = tmp_path / "history.jsonl"
    assert history.read(file) == []
    history.append(history.line([result(ours=3.14159265)], FACTS, quick=False), file)
    history.append(history.line([result(others=0.777)], FACTS, quick=True), file)
    first, second = history.read(file)
    assert first == FACTS | {
        "others": {"receive": 0.0},
        "figures": {"receive": {"ours": {"gbit": [3.142, 3.142, 3.142]}, "theirs": {"gbit": [4.0, 4.0, 4.0]}}},
    }
    assert second["quick"] is True
    assert second["others"] == {"receive": 0.78}


def test_the_series_of_a_goal_skips_runs_that_lack_a_figure():
    entries = [json.loads(history.line([result(ours=ours)], FACTS, quick=False)) for ours in (2.0, 3.0)]
    entries.insert(1, {"commit": "x", "figures": {"receive": {"ours": {"gbit": [1, 1, 1]}}}})
    entries.insert(1, {"commit": "x"})
    assert history.series(entries, "receive", GOAL) == [("abc1234", 0.5), ("abc1234", 0.75)]


def test_the_document_says_of_each_goal_what_it_came_to():
    document = history.document([result(missing={"pasta": "not there"})], FACTS)
    assert json.loads(json.dumps(document)) == document
    said = {"own": "ours", "peer": "theirs", "measured": [0.75, 0.75, 0.75], "reached": True, "limit": 0.7, "sign": ">="}
    assert document["goals"][0] == {"row": "receive", "text": "bulk <receive> & more", **said}
    assert document["missing"] == {"receive": {"pasta": "not there"}}


def test_what_is_recorded_of_past_runs_can_be_read():
    for entry in history.read():
        assert {"date", "commit", "python", "kernel", "cpu", "cores", "figures"} <= entry.keys()
        for row in entry["figures"].values():
            for keys in row.values():
                assert all(low <= median <= high for median, low, high in keys.values())


def test_the_model_of_the_processor_is_read_from_cpuinfo():
    assert cpu_model("processor : 0\nmodel name\t: Some   CPU @ 2.60GHz\nflags : a b\n") == "Some CPU @ 2.60GHz"
    assert cpu_model("nothing here\n")


def test_each_goal_of_the_table_names_somebody_who_takes_part():
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        names = [entrant.name for entrant in row.entrants]
        assert len(set(names)) == len(names), row.name
        for goal in row.goals:
            assert goal.key in row.keys, goal.text
            assert goal.own in names, goal.text
            assert goal.peer is None or goal.peer in names, goal.text
            assert next(entrant for entrant in row.entrants if entrant.name == goal.own).own, goal.text


def test_a_goal_that_was_not_measured_is_neither_reached_nor_missed():
    row = Row("receive", "Text.", {"gbit": "Gbit/s"}, [entrant("ours", True)], [GOAL])
    alone = judge(row, [Round({"ours": {"gbit": 1.0}}, 0.0)], {"theirs": "absent"})
    assert report_text.mark(alone.verdicts[0]) == "not measured"
    assert "not measured" in report_html.page([alone], FACTS, [])
    assert Spread.of([1.0]) == Spread(1.0, 1.0, 1.0)
