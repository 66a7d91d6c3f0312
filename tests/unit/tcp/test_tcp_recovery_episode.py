"""Proportional rate reduction (RFC 9937), and what undoes an episode."""

from __future__ import annotations

import pytest

from netstack.tcp.recovery.episode import MOST_AGAIN, Episode
from netstack.tcp.recovery.history import KEPT, History

MSS = 1000


def recovery(flight: int, lost: int, target: int) -> list[int]:
    """Segments that leave for each ACK of the first round trip, when the first `lost` of `flight` are lost and all are marked at
    the third SACK, as RFC 9937 8 has it; limited transmit has sent two."""
    episode = Episode(flight * MSS, 1 << 40, flight * MSS)
    pipe = (flight - 2 + 2 - lost) * MSS
    leaving: list[int] = []
    to_resend = lost * MSS
    for i in range(flight - lost - 2 + 2):
        pipe -= MSS
        episode.arrived(MSS, False, i == 0)
        episode.reckon(pipe, target * MSS, MSS)
        n = 0
        while episode.quota >= MSS:
            episode.left(MSS)
            to_resend -= MSS
            pipe += MSS
            n += 1
        leaving.append(n)
    return leaving


def test_a_single_loss_brings_the_flight_down_by_one_for_two_acks() -> None:
    """RFC 9937 8: about every second ACK lets a segment out, and no ACK more than one."""
    sent = recovery(20, 1, 10)
    assert sent[0] == 1, "the retransmission leaves at once"
    assert max(sent) == 1 and abs(sum(sent) - 10) <= 1
    assert all(sum(sent[i : i + 4]) <= 3 for i in range(len(sent) - 4))


def test_heavy_loss_lets_out_what_arrives_and_not_more() -> None:
    """RFC 9937 6.2, packet conservation: the flight is below the target already."""
    sent = recovery(20, 15, 10)
    assert sent[0] == 1 and max(sent) <= 2
    assert sum(sent) <= 7


def test_progress_lets_the_flight_grow_back_as_in_slow_start() -> None:
    episode = Episode(20 * MSS, 1 << 40, 20 * MSS)
    episode.arrived(MSS, True, False)
    episode.reckon(2 * MSS, 10 * MSS, MSS)
    assert episode.quota == 2 * MSS, "what arrived, and one more: SafeACK"
    episode.left(2 * MSS)
    episode.arrived(MSS, True, True)
    episode.reckon(3 * MSS, 10 * MSS, MSS)
    assert episode.quota == MSS, "no more when the ACK tells of another loss"


def test_the_target_bounds_it() -> None:
    episode = Episode(20 * MSS, 1 << 40, 20 * MSS)
    episode.left(MSS)
    episode.arrived(8 * MSS, True, False)
    episode.reckon(9 * MSS, 10 * MSS, MSS)
    assert episode.quota == MSS


def test_writing_more_does_not_reckon_again() -> None:
    episode = Episode(20 * MSS, 1 << 40, 20 * MSS)
    episode.arrived(MSS, False, True)
    episode.reckon(18 * MSS, 10 * MSS, MSS)
    episode.left(MSS)
    episode.reckon(18 * MSS, 10 * MSS, MSS)
    assert episode.quota == 0


def test_a_duplicate_report_for_each_retransmission_undoes_it() -> None:
    episode = Episode(1, 1, 1)
    assert not episode.twice(100, 200), "nothing was sent again"
    episode.resent(100, 200, 5)
    episode.resent(400, 700, 6)
    assert not episode.twice(100, 200)
    assert not episode.twice(100, 200), "the same again counts once"
    assert not episode.twice(500, 600)
    assert not episode.twice(400, 500)
    assert episode.twice(600, 700)


@pytest.mark.parametrize("wrap", [0, 2**32 - 150])
def test_reports_of_what_was_not_sent_again_count_for_nothing(wrap: int) -> None:
    episode = Episode(1, 1, 1)
    episode.resent((wrap + 100) % 2**32, (wrap + 200) % 2**32, 5)
    assert not episode.twice((wrap + 300) % 2**32, (wrap + 400) % 2**32)
    assert not episode.twice((wrap + 150) % 2**32, (wrap + 400) % 2**32)
    assert episode.twice((wrap + 50) % 2**32, (wrap + 250) % 2**32)


def test_more_than_can_be_kept_in_mind_is_never_undone() -> None:
    episode = Episode(1, 1, 1)
    for i in range(MOST_AGAIN + 1):
        episode.resent(10 * i, 10 * i + 10, 1)
    assert not any(episode.twice(10 * i, 10 * i + 10) for i in range(MOST_AGAIN + 1))


def test_an_echo_from_before_the_first_retransmission_means_the_original() -> None:
    episode = Episode(1, 1, 1)
    assert not episode.answered(3), "nothing was sent again"
    episode.resent(0, 100, 10)
    episode.resent(100, 200, 20)
    assert not episode.answered(-1)
    assert episode.answered(9)
    assert not episode.answered(15), "this one was needed"
    assert not episode.answered(9), "and that can't be taken back"


def test_the_history_keeps_the_last_and_counts_all() -> None:
    history = History()
    for i in range(100):
        history.note(i, 10 * i, 10, 1 + i % 2, 1)
    assert len(history.told()) == KEPT and history.told()[-1].at == 99 and history.bytes == 1000
    assert history.reasons() == {"rack": 50, "dupacks": 50}
    assert history.has(999) and not history.has(1000) and not history.has(0)
