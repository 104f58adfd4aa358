from __future__ import annotations

from resource_gate.batch.fleet.machine import DOWN, ILL, Memory, Reading
from resource_gate.batch.fleet.placement import Room, Wish, choose, fits, nowhere

GIB = 1024**3


def room(name: str, limit: float, used: float = 1.0, **more: object) -> Room:
    made = Room(name)
    made.take(Reading(0.0, ram=Memory(int(used * GIB), int(limit * GIB)), **{"gated": True, **more}))
    return made


def wish(job: str, need: float | None, **more: object) -> Wish[str]:
    return Wish(job, None if need is None else int(need * GIB), **more)


def given(wishes, rooms, now=0.0):
    return {w.job: r.name for w, r in choose(wishes, rooms, now)}


def test_room_is_what_lies_between_the_rest_and_the_critical_level():
    one = room("a", limit=10, used=1)
    assert one.ever == 8 * GIB
    assert fits(wish("x", 8.0), one) and not fits(wish("x", 8.1), one)


def test_the_machine_with_the_most_free_memory_takes_the_first_job():
    assert given([wish("x", 1)], [room("full", 10, 6), room("free", 10, 2), room("small", 6, 1)]) == {"x": "free"}


def test_a_large_machine_takes_what_only_it_can_and_leaves_the_rest_to_the_small_one():
    rooms = [room("small", 4), room("large", 32)]
    assert given([wish("a", 1), wish("b", 20), wish("c", 1)], rooms) == {"b": "large", "a": "small"}


def test_the_small_machine_stays_idle_rather_than_take_what_does_not_fit():
    assert given([wish("a", 20), wish("b", 21)], [room("small", 4), room("large", 32)]) == {"a": "large"}


def test_jobs_go_in_the_order_of_the_list_where_nothing_else_tells_them_apart():
    assert given([wish("a", 1), wish("b", 1), wish("c", 1)], [room("one", 8), room("two", 9)]) == {
        "a": "two",
        "b": "one",
    }


def test_a_job_of_unknown_need_goes_anywhere():
    assert given([wish("a", None)], [room("small", 2)]) == {"a": "small"}


def test_a_machine_that_has_a_job_is_ill_is_down_or_is_short_of_memory_gets_none():
    busy = room("busy", 8)
    busy.free = False
    rooms = [busy, room("ill", 8, state=ILL), room("down", 8, state=DOWN), room("full", 8, level="critical")]
    assert given([wish("a", 1)], [*rooms, Room("never seen")]) == {}


def test_what_is_known_of_a_machine_stays_known_while_it_does_not_answer():
    one = room("a", 10)
    one.take(Reading(1.0, DOWN, "connection refused"))
    assert one.ever == 8 * GIB and not fits(wish("x", 9), one)


def test_the_rest_is_the_least_seen_while_nothing_runs():
    one = room("a", 10, used=3)
    one.take(Reading(1.0, ram=Memory(2 * GIB, 10 * GIB)))
    one.take(Reading(2.0, ram=Memory(1 * GIB, 10 * GIB), busy=True))
    assert one.rest == 2 * GIB


def test_growth_is_told_against_the_rest_of_what_was_measured():
    gated = room("a", 10, used=6, resident=1 * GIB)
    gated.take(Reading(1.0, ram=Memory(9 * GIB, 10 * GIB), gated=True, busy=True, resident=4 * GIB))
    assert gated.grew(5 * GIB, 0) == 4 * GIB  # the process' own peak, on a machine where others hold 5 GiB
    assert gated.grew(5 * GIB, int(10.5 * GIB)) == int(4.5 * GIB)
    assert gated.grew(None, 0) is None
    stock = room("b", 10, used=6, gated=False)
    assert stock.grew(8 * GIB, 0) == 2 * GIB
    assert stock.grew(None, 7 * GIB) == 1 * GIB


def test_a_stock_server_gets_time_to_fall_back_and_then_the_job_all_the_same():
    rooms = [room("a", 10, used=1, gated=False)]
    rooms[0].take(Reading(1.0, ram=Memory(8 * GIB, 10 * GIB), busy=True))
    assert given([wish("x", 4)], rooms, now=0.0) == {}
    assert given([wish("x", 4)], rooms, now=59.0) == {}
    assert given([wish("x", 4)], rooms, now=60.0) == {"x": "a"}


def test_a_server_with_resource_gate_frees_by_itself_and_is_not_waited_for():
    rooms = [room("a", 10, used=1)]
    rooms[0].take(Reading(1.0, ram=Memory(8 * GIB, 10 * GIB), gated=True, busy=True))
    assert given([wish("x", 4)], rooms) == {"x": "a"}


def test_what_a_machine_has_done_it_can_do_again_and_what_killed_it_it_cannot():
    one = room("a", 10)
    one.proven["clip"] = 5
    assert fits(wish("x", 99, size=("clip", 5)), one) and not fits(wish("x", 99, size=("clip", 6)), one)
    one.refuted["clip"] = 4
    assert not fits(wish("x", 1, size=("clip", 5)), one) and fits(wish("x", 1, size=("clip", 3)), one)


def test_a_job_that_prediction_says_fits_nowhere_is_tried_on_the_largest_if_its_largest_picture_fits():
    rooms = [room("small", 4), room("large", 10)]
    tight = wish("x", 9, least=5 * GIB, size=("clip", 9))
    assert given([tight], rooms) == {"x": "large"}
    assert nowhere(tight, rooms) == ""


def test_a_job_held_to_the_machine_that_had_it_goes_there_again_whatever_it_is_thought_to_need():
    held = wish("x", 9, least=2 * GIB, size=("clip", 9), only=frozenset({"small"}))
    assert given([held], [room("large", 10)]) == {}
    assert given([held], [room("small", 4), room("large", 10)]) == {"x": "small"}


def test_a_stock_server_is_tried_only_where_all_pictures_have_room():
    rooms = [room("stock", 10, gated=False)]
    assert given([wish("x", 9, least=int(5 * GIB), size=("clip", int(7.5 * GIB)))], rooms) == {"x": "stock"}
    assert given([wish("x", 9, least=int(5 * GIB), size=("clip", int(8.5 * GIB)))], rooms) == {}


def test_a_job_that_fits_nowhere_is_told_with_the_numbers():
    rooms = [room("small", 4), room("large", 10)]
    told = nowhere(wish("x", 12, least=11 * GIB), rooms)
    assert told == (
        "it fits on no machine: it needs about 12.0 GB; small has room for 2.6 GB (90% of 4.0 GB, less 1.0 GB in use "
        "at rest); large has room for 8.0 GB (90% of 10.0 GB, less 1.0 GB in use at rest)"
    )


def test_a_machine_not_looked_at_yet_may_be_large_enough():
    assert nowhere(wish("x", 12, least=11 * GIB), [room("small", 4), Room("to come")]) == ""


def sharing(name: str, limit: float, memory: str = "host1 host") -> Room:
    return room(name, limit, memory=memory)


def test_servers_in_one_memory_have_jobs_at_once_only_where_these_fit_beside_each_other():
    rooms = [sharing("a", 10), sharing("b", 10)]
    assert given([wish("x", 5), wish("y", 4), wish("z", 3)], rooms) == {"x": "a", "z": "b"}
    assert [one.taking for one in rooms] == [5 * GIB, 3 * GIB]


def test_a_job_that_fits_beside_none_waits_until_its_memory_is_free():
    rooms = [sharing("a", 10), sharing("b", 10)]
    assert given([wish("x", 7), wish("y", 6)], rooms) == {"x": "a"}
    rooms[0].free = False
    assert given([wish("y", 6)], rooms) == {}
    rooms[0].taking = 0
    assert given([wish("y", 6)], rooms) == {"y": "b"}


def test_servers_with_a_memory_each_know_nothing_of_each_other():
    assert given([wish("x", 7), wish("y", 7)], [sharing("a", 10), sharing("b", 10, "host2 host")]) == {
        "x": "a",
        "y": "b",
    }
    assert given([wish("x", 7), wish("y", 7)], [sharing("a", 10, ""), sharing("b", 10, "")]) == {"x": "a", "y": "b"}


def test_what_nobody_knows_the_need_of_is_not_held_back_by_a_neighbour():
    assert given([wish("x", 7), wish("y", None)], [sharing("a", 10), sharing("b", 10)]) == {"x": "a", "y": "b"}
