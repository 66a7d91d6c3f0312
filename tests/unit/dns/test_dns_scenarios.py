"""Scenarios in the language of testbound are played to the iterative resolver; and the player catches what goes otherwise."""

from pathlib import Path

import pytest
from replay import Fail, Skip, play

CHECK = "STEP 2 CHECK_ANSWER\nENTRY_BEGIN\nMATCH all\nREPLY QR RD"
SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.rpl"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_scenario_ends_as_it_says(path, seed):
    played = play(path.read_text(), seed)
    assert len(played.queries) <= 24


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_names_cut_short_and_letters_in_any_case_make_no_difference(path):
    play(path.read_text(), mix_case=True, minimise=True)


def test_there_are_some():
    assert len(SCENARIOS) >= 6


@pytest.mark.parametrize(("was", "becomes", "says"), [
    ("green.tea.shop. IN A 203.0.113.1\nENTRY_END\nSTEP 3", "green.tea.shop. IN A 203.0.113.9\nENTRY_END\nSTEP 3", "answer"),
    (f"{CHECK} RA NOERROR", f"{CHECK} RA NXDOMAIN", "NOERROR instead"),
    (f"{CHECK} RA", f"{CHECK} AA RA", "flags"),
    ("ADDRESS 198.51.100.4", "ADDRESS 198.51.100.99", "SERVFAIL instead"),
])  # fmt: skip
def test_the_player_notices_what_goes_otherwise(was, becomes, says):
    said = next(path for path in SCENARIOS if path.stem == "poison_beside_an_answer").read_text()
    assert was in said
    with pytest.raises(Fail, match=says):
        play(said.replace(was, becomes))


def test_what_needs_more_than_there_is_is_skipped_with_its_reason():
    said = SCENARIOS[0].read_text()
    forward = "forward-zone:\nname: x\nforward-addr: 10.0.0.1"
    for line, reason in ((forward, "servers of zones"), ("server:\naccess-control: x", "access-control")):
        with pytest.raises(Skip, match=reason):
            play(line + "\n" + said)
    with pytest.raises(Skip, match="MATCH"):
        play(said.replace("MATCH all", "MATCH all moon"))
