"""Two halves of a ring over one page: who is told when, and that nobody is believed beyond what can be."""

import random
import struct

import pytest
from netstack_xen import slots, twin
from netstack_xen.ring import BackRing, FrontRing


def pair(slot=slots.TX, start=0):
    page = memoryview(bytearray(4096))
    front = FrontRing(page, slot)
    if start:  # as if so many had gone through already
        struct.pack_into("=4I", page, 0, start, (start + 1) & 0xFFFFFFFF, start, (start + 1) & 0xFFFFFFFF)
        front = late(page, slot, start)
    return front, BackRing(page, slot, start), page


def late(page, slot, start):
    """A ring through which `start` requests have gone."""
    words = bytes(page[:16])
    front = FrontRing(page, slot)
    front.req_prod = start
    front.push()
    front.rsp_cons = start
    page[:16] = words
    return front


def words(page):
    return struct.unpack_from("=4I", page)


def ask(front, n, first=0):
    for i in range(n):
        twin.put_tx(front.page, front.at(front.req_prod), first + i, 0, 0, i, 60)
        front.req_prod = front.req_prod + 1 & 0xFFFFFFFF
    return front.push()


def answer(back, n):
    for _ in range(n):
        gref, *_ = twin.get_tx(back.page, back.at(back.req_cons))
        back.req_cons = back.req_cons + 1 & 0xFFFFFFFF
        twin.put_tx_response(back.page, back.at(back.rsp_prod), gref, 0)
        back.rsp_prod = back.rsp_prod + 1 & 0xFFFFFFFF
    return back.push()


@pytest.mark.parametrize("slot, n", [(slots.TX, 256), (slots.RX, 256), (slots.CTRL, 128)])
def test_a_page_holds_a_power_of_two_of_slots(slot, n):
    front, back, page = pair(slot)
    assert front.n == back.n == front.free() == n
    assert words(page) == (0, 1, 0, 1)
    assert front.at(n - 1) + slot <= 4096
    assert front.at(n) == front.at(0) == 64


def test_the_first_request_is_told_and_the_next_ones_only_to_who_asked():
    front, back, _ = pair()
    assert ask(front, 1)
    assert not ask(front, 1), "the back end has not asked since"
    assert back.waiting() == 2
    assert not answer(back, 2) or front.waiting() == 2
    assert not back.final_check(1)
    assert ask(front, 3)


def test_who_asks_for_the_third_answer_hears_of_the_third():
    front, back, _ = pair()
    ask(front, 10)
    assert answer(back, 1), "a new ring asks for the first"
    front.rsp_cons += 1
    assert not front.final_check(3)
    assert not answer(back, 2)
    assert front.waiting() == 2
    assert answer(back, 1)
    assert front.final_check(3), "it is there already"


def test_the_last_look_finds_what_came_while_we_decided_to_sleep():
    front, back, _ = pair()
    ask(front, 2)
    answer(back, 1)
    front.rsp_cons += 1
    answer(back, 1)
    assert front.final_check(1)


def test_nothing_new_is_told_to_nobody():
    front, back, page = pair()
    assert not front.push()
    assert not back.push()
    assert words(page) == (0, 1, 0, 1)


@pytest.mark.parametrize("start", [0, 0xFFFFFFFF, 0xFFFFFF80, 0x7FFFFFFE])
def test_numbers_run_through_their_end(seed, start):
    rng = random.Random(seed)
    front, back, _ = pair(start=start)
    asked, answered, read = 0, 0, 0
    for _ in range(400):
        n = rng.randrange(0, front.free() + 1)
        ask(front, n, asked)
        asked += n
        assert front.unanswered() == asked - read
        assert back.waiting() == asked - answered
        m = rng.randrange(0, back.waiting() + 1)
        answer(back, m)
        answered += m
        assert front.waiting() == answered - read
        for _ in range(rng.randrange(0, front.waiting() + 1)):
            id, _ = twin.get_tx_response(front.page, front.at(front.rsp_cons))
            assert id == read & 0xFFFF
            front.rsp_cons = front.rsp_cons + 1 & 0xFFFFFFFF
            read += 1
    assert read


def test_a_front_is_told_no_answers_to_what_it_has_not_asked():
    front, _, page = pair()
    ask(front, 5)
    for claim in (6, 256, 0x80000000, 0xFFFFFFFF):
        struct.pack_into("=I", page, slots.RSP_PROD, claim)
        assert front.waiting() == -1
        assert front.final_check(1), "so that somebody looks"
    struct.pack_into("=I", page, slots.RSP_PROD, 5)
    assert front.waiting() == 5


def test_requests_that_were_not_pushed_can_not_be_answered():
    front, _, page = pair()
    ask(front, 1)
    front.req_prod += 1
    struct.pack_into("=I", page, slots.RSP_PROD, 2)
    assert front.waiting() == -1


def test_a_back_end_takes_no_more_than_the_ring_holds():
    front, back, page = pair()
    ask(front, 200)
    back.req_cons += 100  # read, not answered
    assert back.waiting() == 100
    for claim in (257, 0x80000000, 99, 0xFFFFFFFF):
        struct.pack_into("=I", page, slots.REQ_PROD, claim)
        assert back.waiting() == -1
        assert back.final_check(1)
    struct.pack_into("=I", page, slots.REQ_PROD, 256)
    assert back.waiting() == 156


@pytest.mark.parametrize("seed_offset", range(4))
def test_no_notification_is_missed_whatever_the_order(seed, seed_offset):
    """Two ends that sleep unless they were told, and step at random: all that was asked is answered."""
    rng = random.Random(seed + seed_offset)
    front, back, _ = pair()
    told = {"front": False, "back": False}
    left, done = 500, 0
    idle = 0
    while done < 500:
        assert idle < 1000, f"both sleep, {done} of 500 were answered"
        idle += 1
        if rng.random() < 0.5:
            if left and front.free() and rng.random() < 0.7:
                n = min(left, rng.randrange(1, 1 + front.free()))
                told["back"] |= ask(front, n)
                left -= n
                idle = 0
            elif told["front"]:
                told["front"] = False
                while True:
                    n = front.waiting()
                    front.rsp_cons = front.rsp_cons + n
                    done += n
                    outstanding = front.unanswered()
                    if not front.final_check(1 + (rng.randrange(outstanding) if outstanding else 0)):
                        break
                idle = 0
        elif told["back"]:
            told["back"] = False
            while True:
                told["front"] |= answer(back, back.waiting())
                if not back.final_check(1):
                    break
            idle = 0
