"""The supervisor's decisions, with children, looks, signals and time of the tests' own."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from resource_gate.batch.supervisor.command import child_environment
from resource_gate.batch.supervisor.look import Answer, Look
from resource_gate.batch.supervisor.reboot_marker import VARIABLE, RebootMarker
from resource_gate.batch.supervisor.supervisor import GAVE_UP, duration

from .supervised import BUSY, DEAD, FULL, GIB, WELL, World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_server_that_ends_with_code_0_is_not_started_again(world):
    world.plans = [{"lives": 30, "code": 0}]
    assert world.run() == 0
    assert len(world.children) == 1
    assert world.children[0].swept is False  # what it left running on purpose is left
    assert world.exits[0]["restart_in"] is None


def test_a_first_death_is_followed_by_a_restart_at_once_and_a_second_in_a_row_after_a_delay(world):
    world.plans = [{"lives": 30, "code": -11}, {"lives": 30, "code": 3}, {"lives": 30, "code": 0}]
    assert world.run() == 0
    first, second, _ = world.children
    assert second.began == pytest.approx(30, abs=0.5)
    assert world.children[2].began == pytest.approx(61.5, abs=0.7)
    assert first.swept and second.swept
    assert [(e["reason"], e["signal"], e["code"]) for e in world.exits] == [
        ("signal", "SIGSEGV", None),
        ("code", "", 3),
        ("code", "", 0),
    ]
    assert "was ended by SIGSEGV after 30 s. It is started again at once (restart 1 in an hour)." in world.said[1]
    assert any("It is started again in 1 s (restart 2 in an hour)." in line for line in world.said)


def test_a_kill_for_memory_is_told_as_one_with_the_node_that_ran(world):
    world.look = BUSY
    world.plans = [{"lives": 300, "code": -9, "oom": True}, {"lives": 3}]
    world.run()
    told = world.exits[0]
    assert (told["reason"], told["node"], told["jobs"], told["peak"]) == ("oom kill", "12 ImageScale", ["a"], 2 * GIB)
    assert told["uptime"] == pytest.approx(300, abs=0.5)
    sentence = "The server (pid 100) was killed for memory after 5 min, while 12 ImageScale ran."
    assert any(line.startswith(sentence) for line in world.said)


def test_a_kill_whose_reason_nobody_knows_says_so(world):
    world.plans = [{"lives": 3, "code": -9, "oom": None}, {"lives": 3}]
    world.run()
    assert "perhaps for memory" in world.exits[0]["detail"]


def test_a_server_that_cannot_come_up_is_given_up_with_a_code_and_a_sentence(world):
    world.look = None
    world.plans = [{"lives": 2, "code": 1} for _ in range(20)]
    assert world.run(limit=10) == GAVE_UP
    assert len(world.children) == 11
    assert world.now < 10 * 60
    assert "is given up" in world.said[-1] and "--limit-per-hour" in world.said[-1]
    assert world.exits[-1]["restart_in"] is None


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_asked_to_stop_it_passes_that_on_and_ends_as_the_server_does(world, number, status):
    world.send(10, number)
    assert world.run() == status
    assert world.children[0].got == [number]
    assert world.exits[0]["reason"] == "asked"


def test_a_server_that_ends_in_order_when_asked_gives_us_its_code(world):
    world.plans = [{"code_when_told": 0}]
    world.send(10, signal.SIGINT)
    assert world.run() == 0


def test_a_signal_that_is_no_stop_is_passed_on_and_nothing_else(world):
    world.plans = [{"lives": 30, "code": -9, "oom": True}, {"lives": 5}]
    world.send(10, signal.SIGUSR1)
    assert world.run() == 0
    assert world.children[0].got == [signal.SIGUSR1] and len(world.children) == 2


def test_a_server_that_does_not_end_is_killed_when_asked_three_times(world):
    world.plans = [{"heeds": ()}]
    for second in (10, 20, 30):
        world.send(second, signal.SIGINT)
    assert world.run() == 137
    assert world.children[0].got == [2, 2, 2, 9]


def test_asked_once_it_waits_as_long_as_the_server_takes(world):
    world.plans = [{"heeds": (), "lives": 5000, "code": 0}]
    world.send(10, signal.SIGINT)
    assert world.run() == 0
    assert world.children[0].got == [2]


def test_asked_while_it_waits_to_start_again_it_stops(world):
    world.plans = [{"lives": 3, "code": 1}] * 2
    world.send(6.8, signal.SIGTERM)
    assert world.run() == 143
    assert len(world.children) == 2


def test_a_death_by_the_same_signal_that_came_to_us_is_one_that_was_asked_for(world):
    """As systemd and process groups do it."""
    world.plans = [{"lives": 10, "code": -15}]
    world.send(10.0, signal.SIGTERM)
    assert world.run() == 143
    assert len(world.children) == 1 and world.exits[0]["reason"] == "asked"


def test_a_dead_worker_is_found_in_two_looks_and_the_server_started_again(world):
    world.show(60, DEAD)
    world.show(68, WELL)
    world.send(100, signal.SIGTERM)
    world.run()
    first, second = world.children
    assert first.got == [signal.SIGINT]
    assert second.began < 70
    assert world.exits[0]["reason"] == "hang" and "prompt worker is dead" in world.exits[0]["detail"]
    assert world.exits[0]["node"] == "12 ImageScale"


def test_one_that_does_not_heed_is_ended_step_by_step(world):
    world.plans = [{"heeds": ()}, {}]
    world.show(10, DEAD)
    world.show(60, WELL)
    world.send(100, signal.SIGTERM)
    world.run()
    assert world.children[0].got == [2, 15, 9]
    assert world.children[1].began == pytest.approx(16 + 15 + 5 + 1, abs=4)


def test_a_job_without_progress_hangs(world):
    world.show(10, BUSY)
    world.show(400, WELL)
    world.send(1000, signal.SIGTERM)
    world.run(hang_after=300)
    assert len(world.children) == 2
    assert world.children[1].began == pytest.approx(10 + 300, abs=10)


def test_asked_to_stop_while_a_hang_is_being_ended_it_does_not_start_again(world):
    world.plans = [{"heeds": (15,)}]
    world.show(10, DEAD)
    world.send(20, signal.SIGTERM)
    assert world.run() == 143
    assert len(world.children) == 1 and world.exits[0]["reason"] == "asked"


def test_a_leak_is_first_freed_then_answered_with_an_orderly_restart_at_once(world):
    world.show(60, FULL)
    world.show(110, WELL)
    world.send(200, signal.SIGTERM)
    world.run(limit=0)  # an orderly restart is no death, and does not count
    first, second = world.children
    assert world.frees == [pytest.approx(72, abs=4)]
    assert first.got == [signal.SIGINT]
    assert second.began == pytest.approx(93, abs=6)
    assert world.exits[0]["reason"] == "leak" and world.exits[0]["restart_in"] == 0.0
    assert any(line.startswith("The server leaks:") for line in world.said)


def test_a_second_leak_within_half_an_hour_is_only_told(world):
    world.show(60, FULL)
    world.send(1500, signal.SIGTERM)
    world.show(96, WELL)
    world.show(120, FULL)
    world.run()
    assert len(world.children) == 2
    assert sum("left running" in line for line in world.said) == 1


def test_no_restart_for_leaks_where_that_is_switched_off(world):
    world.show(60, FULL)
    world.send(500, signal.SIGTERM)
    world.run(leak=False)
    assert len(world.children) == 1 and world.frees == []


def test_a_server_that_asks_to_be_started_again_is_at_once_and_without_a_count(world):
    world.plans = [{"lives": 30, "code": 0}, {"lives": 30, "code": 0}]
    world.reboots = 1
    assert world.run(limit=0) == 0
    assert world.children[1].began == pytest.approx(30, abs=0.5)
    assert [e["reason"] for e in world.exits] == ["reboot", "code"]


def test_lives_in_which_jobs_end_are_followed_by_no_delay(world):
    world.plans = [{"lives": 30, "code": -9, "oom": True} for _ in range(6)]
    for life in range(6):
        world.show(life * 30.4 + 8, replace(BUSY, ended=life * 2))
        world.show(life * 30.4 + 20, replace(BUSY, ended=life * 2 + 1))
    world.send(250, signal.SIGTERM)
    world.run(limit=100)
    assert [e["restart_in"] for e in world.exits[:-1]] == [0.0] * 6


def test_lives_too_short_to_see_a_job_end_count_as_work_where_another_job_runs_each_time(world):
    world.plans = [{"lives": 5, "code": -9} for _ in range(6)]
    for life in range(6):
        world.show(life * 5.2 + (life > 0) * 0.8, replace(BUSY, running=(f"job{life}",)))
    world.send(60, signal.SIGTERM)
    world.run(limit=100)
    assert [e["restart_in"] for e in world.exits[:-1]] == [0.0] * 6


def test_the_same_job_at_each_death_is_no_work(world):
    world.look = BUSY
    world.plans = [{"lives": 5, "code": -9} for _ in range(4)]
    world.send(100, signal.SIGTERM)
    world.run(limit=100)
    assert [e["restart_in"] for e in world.exits[:-1]] == [0.0, 1.0, 2.0, 5.0]


def test_a_stock_server_is_told_of_once_in_all_its_lives(world):
    world.look = Look(Answer.STOCK)
    world.plans = [{"lives": 30, "code": 1}, {"lives": 30, "code": 0}]
    world.run()
    assert sum("without Resource Gate" in line for line in world.said) == 1


def test_an_address_at_which_nobody_answers_is_told_once_and_the_process_left_alone(world):
    world.look = Look(Answer.REFUSED)
    world.plans = [{"lives": 10_000, "code": 0}]
    assert world.run() == 0
    assert sum("--url" in line for line in world.said) == 1
    assert world.children[0].got == []


@pytest.mark.parametrize(
    ("error", "status"), [(FileNotFoundError("no such program: x"), 127), (PermissionError(), 126)]
)
def test_a_command_that_cannot_be_started_ends_as_in_a_shell(world, error, status):
    world.failure = error
    assert world.run() == status
    assert "cannot be started" in world.said[0]


def test_a_restart_that_fails_for_a_while_is_tried_again(world):
    """A process table that is full, memory that is short just after a kill for it, a share that is away."""
    world.plans = [{"lives": 30, "code": -9, "oom": True}, {"lives": 5, "code": 0}]
    world.at(29, lambda: setattr(world, "failure", BlockingIOError(11, "Resource temporarily unavailable")))
    world.at(32, lambda: setattr(world, "failure", None))
    assert world.run() == 0
    assert len(world.children) == 2
    assert any("temporarily unavailable" in line and "tried again in 1 s" in line for line in world.said)


def test_restarts_that_fail_count_like_deaths_and_end_as_in_a_shell(world):
    world.plans = [{"lives": 30, "code": -9, "oom": True}]
    world.at(29, lambda: setattr(world, "failure", FileNotFoundError("no such program: python")))
    assert world.run(limit=3) == 127
    assert len(world.children) == 1
    assert 30 + 1 + 2 <= world.now < 40


def test_asked_to_stop_while_restarts_fail_it_stops(world):
    world.plans = [{"lives": 30, "code": -9, "oom": True}]
    world.at(29, lambda: setattr(world, "failure", PermissionError("not now")))
    world.send(33, signal.SIGTERM)
    assert world.run() == 143


def test_durations_are_said_as_a_person_says_them():
    assert [duration(s) for s in (4.2, 119, 300, 7300)] == ["4 s", "119 s", "5 min", "2.0 h"]


def test_the_child_learns_that_it_is_supervised_and_a_choice_of_the_users_stays():
    marker = RebootMarker({})
    try:
        given = child_environment({"PATH": "/bin", "RESOURCE_GATE_SUPERVISED": "0"}, marker)
        assert given["RESOURCE_GATE_GATE_RESTORE"] == "now"
        assert given["RESOURCE_GATE_SUPERVISED"] == "1"
        assert given["PATH"] == "/bin" and given[VARIABLE]
        assert (
            child_environment({"RESOURCE_GATE_GATE_RESTORE": "never"}, marker)["RESOURCE_GATE_GATE_RESTORE"] == "never"
        )
    finally:
        marker.close()


def test_a_marker_is_found_once_and_nothing_is_left_of_it():
    marker = RebootMarker({})
    assert not marker.take()
    marker.path.touch()
    assert marker.take() and not marker.take()
    marker.path.touch()
    marker.close()
    assert not marker.path.exists()
    assert marker.path != RebootMarker({}).path


def test_a_session_of_the_users_own_is_kept(tmp_path):
    marker = RebootMarker({VARIABLE: str(tmp_path / "mine")})
    (tmp_path / "mine.reboot").touch()
    assert marker.take()
    marker.close()
    assert tmp_path.exists()
