from __future__ import annotations

from dataclasses import replace

import pytest

from resource_gate.batch.supervisor.look import Answer, Look
from resource_gate.batch.supervisor.verdict import LONGEST_GAP, HangWatch, LeakStep, LeakWatch

GIB = 1024**3
BUSY = Look(Answer.GATE, True, running=("a",), pending=3, node="12 ImageScale", mark=("a", "12", 0.5))
IDLE = Look(Answer.GATE, True, mark=("", "", None))
SILENT, REFUSED, STOCK = Look(Answer.SILENT), Look(Answer.REFUSED), Look(Answer.STOCK)


def seen(watch, look, seconds, step=3.0):
    """What the watch says at last of a look that stays the same for so long."""
    said = None
    while seconds > 0 and said is None:
        said = watch.see(look, min(step, seconds))
        seconds -= step
    return said


def test_a_job_whose_node_shows_no_progress_for_too_long_hangs():
    watch = HangWatch(hang_after=60)
    assert seen(watch, BUSY, 60) is None
    assert watch.see(BUSY, 3) == "12 ImageScale has shown no progress for 60 s"


@pytest.mark.parametrize(
    "sign",
    [
        {"mark": ("a", "12", 0.6)},
        {"mark": ("a", "13", None)},
        {"gate_state": "waiting"},
        {"gate_state": "paused"},
    ],
)
def test_any_sign_of_work_or_a_gate_that_holds_it_begins_the_count_anew(sign):
    watch = HangWatch(hang_after=60)
    seen(watch, BUSY, 57)
    assert watch.see(replace(BUSY, **sign), 3) is None
    assert seen(watch, BUSY, 57) is None


def test_an_idle_server_never_hangs():
    assert seen(HangWatch(hang_after=60), IDLE, 100_000) is None


def test_new_prompts_are_no_progress_and_jobs_that_nobody_takes_hang():
    watch = HangWatch(hang_after=60)
    for pending in range(1, 21):
        assert watch.see(replace(IDLE, pending=pending), 3) is None
    assert watch.see(replace(IDLE, pending=21), 3) == "its queue has shown no progress for 60 s"


def test_progress_of_a_server_without_the_gate_cannot_be_seen_and_is_not_asked_for():
    assert seen(HangWatch(hang_after=60), STOCK, 100_000) is None


def test_a_dead_worker_is_believed_at_the_second_look():
    watch, dead = HangWatch(), replace(IDLE, worker_alive=False)
    assert watch.see(dead, 3) is None
    assert watch.see(replace(IDLE, worker_alive=True), 3) is None
    assert watch.see(dead, 3) is None
    assert "prompt worker is dead" in watch.see(dead, 3)


def test_looks_in_quick_succession_must_span_some_seconds_to_find_a_worker_dead():
    watch, dead = HangWatch(), replace(IDLE, worker_alive=False)
    assert [watch.see(dead, 0.5) for _ in range(4)] == [None] * 4
    assert "prompt worker is dead" in watch.see(dead, 0.5)


def test_time_in_which_it_answers_nothing_counts_for_a_worker_that_was_and_is_found_dead():
    watch, dead = HangWatch(), replace(IDLE, worker_alive=False)
    assert watch.see(dead, 0.1) is None
    assert [watch.see(Look(Answer.SILENT), 1) for _ in range(3)] == [None] * 3
    assert "prompt worker is dead" in watch.see(dead, 0.1)


def test_what_a_server_says_of_itself_as_stuck_is_believed_at_the_third_look_unless_told_never_to():
    watch, stuck = HangWatch(), replace(BUSY, stuck="prompt a is stuck: node 12 X has shown no progress for 1300 s")
    assert [watch.see(look, 3) for look in (stuck, stuck, BUSY, stuck, stuck)] == [None] * 5
    assert "by its own account prompt a is stuck: node 12 X" in watch.see(stuck, 3)
    assert seen(HangWatch(hang_after=0), stuck, 600) is None


def test_a_worker_not_yet_seen_is_not_dead():
    assert seen(HangWatch(), replace(IDLE, worker_alive=None), 600) is None


def test_a_server_that_had_answered_and_is_silent_hangs_after_five_minutes():
    watch = HangWatch()
    watch.see(IDLE, 3)
    assert seen(watch, SILENT, 297, 13) is None
    assert watch.see(SILENT, 13) == "it has not answered for 310 s"


def test_one_answer_ends_the_silence():
    watch = HangWatch()
    watch.see(IDLE, 3)
    seen(watch, SILENT, 290, 13)
    watch.see(IDLE, 3)
    assert watch.see(SILENT, 13) is None


def test_a_short_hang_limit_is_one_for_silence_too():
    watch = HangWatch(hang_after=20)
    watch.see(STOCK, 3)
    assert watch.see(SILENT, 13) is None
    assert watch.see(SILENT, 13) == "it has not answered for 26 s"


def test_a_server_that_takes_no_connection_is_given_the_time_of_a_start():
    """ComfyUI-Manager may have put a new program into the same process, which installs packages first."""
    watch = HangWatch()
    watch.see(IDLE, 3)
    assert seen(watch, REFUSED, 1790) is None
    assert "has taken no connection for" in seen(watch, REFUSED, 20)


def test_an_address_at_which_nobody_ever_answered_is_not_held_against_the_server():
    watch = HangWatch()
    assert seen(watch, REFUSED, 100_000, 30) is None
    assert watch.unknown_for > 99_000
    watch.new_life()
    assert seen(watch, SILENT, 100_000, 30) is None


def test_in_a_later_life_the_address_is_known_to_be_right():
    watch = HangWatch()
    watch.see(IDLE, 3)
    watch.new_life()
    assert seen(watch, REFUSED, 1790) is None
    assert seen(watch, REFUSED, 20) is not None
    assert watch.unknown_for == 0


def test_a_gap_in_which_this_machine_slept_is_not_held_against_the_server():
    watch = HangWatch(hang_after=60)
    watch.see(BUSY, 3)
    assert watch.see(BUSY, 8 * 3600) is None
    assert watch.see(BUSY, 60 - LONGEST_GAP - 1) is None
    assert watch.see(BUSY, 1) is not None


def test_with_no_limit_only_a_dead_worker_counts():
    watch = HangWatch(hang_after=0)
    watch.see(IDLE, 3)
    assert seen(watch, BUSY, 100_000) is None
    assert seen(watch, SILENT, 100_000, 13) is None
    watch.see(replace(IDLE, worker_alive=False), 3)
    assert watch.see(replace(IDLE, worker_alive=False), 3)


def leaking(grown=6 * GIB, **more):
    """Emergency between jobs: 9.6 of 10 GiB used, of which the server has grown by so much from 1 GiB."""
    changes = {"ram": (int(9.6 * GIB), 10 * GIB, 0.9), "emergency": True, "anonymous": GIB + grown, **more}
    return replace(IDLE, **changes)


WELL = replace(IDLE, ram=(4 * GIB, 10 * GIB, 0.9), anonymous=GIB)


@pytest.fixture
def leak():
    watch = LeakWatch(every=1800)
    watch.see(WELL, 3)
    return watch


def steps(watch, look, seconds):
    """Steps asked for, in order, up to a restart; the server does as it is told."""
    found, freed = [], False
    for _ in range(int(seconds / 3)):
        step = watch.see(replace(look, freed=freed), 3)
        freed = step is LeakStep.FREE
        found += [step] if step else []
        if step is LeakStep.RESTART:
            break
    return found


def test_memory_that_stays_though_all_was_freed_asks_for_a_restart(leak):
    assert steps(leak, leaking(), 60) == [LeakStep.FREE, LeakStep.RESTART]


def test_nothing_is_asked_for_before_the_servers_own_ladder_had_its_time(leak):
    assert steps(leak, leaking(), 9) == []


def test_without_an_answer_to_the_freeing_there_is_no_restart(leak):
    assert [s for _ in range(100) if (s := leak.see(leaking(), 3))] == [LeakStep.FREE]


def test_memory_that_comes_back_begins_anew(leak):
    assert steps(leak, leaking(), 15) == [LeakStep.FREE]
    leak.see(WELL, 3)
    assert steps(leak, leaking(), 15) == [LeakStep.FREE]


@pytest.mark.parametrize(
    "other",
    [
        {"running": ("a",)},
        {"gate_state": "paused"},
        {"emergency": False},
        {"ram": None},
        {"anonymous": None},
        {"answer": Answer.STOCK},
    ],
)
def test_in_a_job_or_paused_or_below_the_level_nothing_is_asked_for(leak, other):
    assert steps(leak, leaking(**other), 300) == []


def test_a_job_that_waits_for_memory_is_the_moment_to_do_it(leak):
    waiting = leaking(pending=5, gate_state="waiting")
    assert steps(leak, waiting, 60) == [LeakStep.FREE, LeakStep.RESTART]


def test_memory_that_others_hold_is_no_reason(leak):
    """Half a GiB off 9.6 of 10 leaves more than the critical level."""
    assert steps(leak, leaking(grown=GIB // 2), 300) == []


def test_a_second_restart_waits_and_says_so_once(leak):
    assert steps(leak, leaking(), 60)[-1] is LeakStep.RESTART
    leak.new_life()
    leak.see(WELL, 3)
    assert steps(leak, leaking(), 300) == [LeakStep.FREE, LeakStep.BARRED]
    assert steps(leak, leaking(), 1800) == [LeakStep.RESTART]


def test_what_it_held_when_it_came_up_is_no_growth():
    watch = LeakWatch()
    heavy = replace(WELL, anonymous=7 * GIB)
    watch.see(heavy, 3)
    assert steps(watch, leaking(), 300) == []
