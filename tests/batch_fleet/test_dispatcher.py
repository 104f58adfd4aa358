from __future__ import annotations

from resource_gate.batch.fleet.machine import DOWN, Reading
from resource_gate.batch.runner.result import LOST, REFUSED, SERVER


def test_every_job_is_given_once_and_its_end_is_in_the_journal(bench, clip, reading):
    one = bench([clip(n) for n in range(5)])
    one.see("a", reading())
    one.see("b", reading())
    assert one.run() == ""
    assert sorted(name for name, _ in one.hands.given) == [f"clip{n:03}" for n in range(5)]
    assert {row["state"] for row in one.rows().values()} == {"done"}
    assert {row["server"] for row in one.rows().values()} == {"a", "b"}
    assert len(one.told_of("job_started")) == len(one.told_of("job_ended")) == 5


def test_intent_is_in_the_journal_before_a_machine_hears_of_the_job(bench, clip, reading):
    one = bench([clip(0)])
    seen = []

    def answer(lease, job, machine):
        seen.append((one.rows()[job]["state"], one.rows()[job]["server"]))
        one.done(lease, job, machine)

    one.hands.answer = answer
    one.see("a", reading())
    one.run()
    assert seen == [("running", "a")]


def test_a_dead_workers_job_goes_to_the_same_machine_when_that_is_back_with_the_same_attempt(bench, clip, reading):
    one = bench([clip(0)])

    def answer(lease, job, machine):
        if len(one.hands.given) == 1:
            one.broken(lease)
            one.leave("a")
            one.see("b", reading(limit=99))
            one.see("a", reading())
        else:
            one.done(lease, job, machine)

    one.hands.answer = answer
    one.see("a", reading())
    one.run()
    assert one.hands.given == [("clip000", "a"), ("clip000", "a")]
    assert one.hands.attempts == [1, 1]  # its prompt has the same id: the server has it already


def test_a_dead_machines_job_moves_once_it_has_not_come_back(bench, clip, reading):
    one = bench([clip(0)])

    def answer(lease, job, machine):
        if machine == "a":
            one.broken(lease)
            one.leave("a")
            one.see("b", reading())
        else:
            one.done(lease, job, machine)

    one.hands.answer = answer
    one.see("a", reading())
    one.run()
    assert one.hands.given == [("clip000", "a"), ("clip000", "b")]
    assert one.now > 20  # it was waited for
    assert one.rows()["clip000"]["server"] == "b"


def test_an_end_that_comes_after_its_job_was_given_up_counts_for_nothing(bench, clip, reading):
    one = bench([clip(0)])

    def answer(lease, job, machine):
        one.broken(lease)
        one.done(lease, job, machine)  # the machine was only cut off, and finished it
        one.hands.answer = one.done

    one.hands.answer = answer
    one.see("a", reading())
    one.run()
    assert len(one.hands.given) == 2
    assert len(one.told_of("job_ended")) == 1


def test_a_job_whose_workers_keep_ending_is_given_up_with_the_reason(bench, clip, reading):
    one = bench([clip(0), clip(1)])
    one.hands.answer = lambda lease, job, machine: (
        one.broken(lease, "killed by signal 9") if job == "clip000" else one.done(lease, job, machine)
    )
    one.see("a", reading())
    assert one.run() == ""
    row = one.rows()["clip000"]
    assert row["state"] == "failed" and "killed by signal 9" in row["error"]
    assert one.rows()["clip001"]["state"] == "done"


def test_a_job_that_never_reached_a_machine_is_not_given_up_however_often_that_happens(bench, clip, reading):
    one = bench([clip(0)])

    def answer(lease, job, machine):
        if len(one.hands.given) < 20:
            one.broken(lease, "its machine has just left", reached=False)
            one.see("a", reading())
        else:
            one.done(lease, job, machine)

    one.hands.answer = answer
    one.see("a", reading())
    assert one.run() == ""
    assert one.rows()["clip000"]["state"] == "done"


def test_what_ran_out_of_memory_goes_to_a_larger_machine_and_its_like_never_back(bench, clip, reading):
    one = bench([clip(n, frames=24) for n in range(3)])

    def answer(lease, job, machine):
        one.failed(lease, "out of memory", "12 ImageScale: MemoryError") if machine == "small" else one.done(
            lease, job, machine
        )

    one.hands.answer = answer
    one.see("small", reading(limit=3))
    one.see("large", reading(limit=30, used=26))
    one.run()
    assert {row["state"] for row in one.rows().values()} == {"done"}
    assert sum(machine == "small" for _, machine in one.hands.given) == 1


def test_what_one_server_refuses_another_may_take_and_what_all_refuse_fails_with_the_reason(bench, clip, reading):
    one = bench([clip(0)])
    one.hands.answer = lambda lease, job, machine: one.failed(lease, REFUSED, f"{machine} has no such model")
    one.see("a", reading())
    one.see("b", reading())
    one.run()
    assert sorted(machine for _, machine in one.hands.given) == ["a", "b"]
    row = one.rows()["clip000"]
    assert row["state"] == "failed" and "has no such model" in row["error"]


def test_a_machine_whose_server_fails_rests_and_the_others_do_its_jobs(bench, clip, reading):
    one = bench([clip(n) for n in range(6)])
    one.hands.answer = lambda lease, job, machine: (
        one.failed(lease, SERVER, "gone") if machine == "bad" else one.done(lease, job, machine)
    )
    one.see("bad", reading(limit=99))
    one.see("good", reading())
    one.run()
    assert {row["state"] for row in one.rows().values()} == {"done"}
    assert sum(machine == "bad" for _, machine in one.hands.given) <= 1
    assert any(event["server"] == "bad" and event["state"] == "resting" for event in one.told_of("server"))


def test_a_job_that_fits_nowhere_fails_with_numbers_and_the_others_run(bench, clip, reading):
    one = bench([clip(0, frames=4096, width=4096, height=4096), clip(1)])
    one.see("a", reading(limit=8))
    one.run()
    row = one.rows()["clip000"]
    assert row["state"] == "failed"
    assert "it needs about" in row["error"] and "a has room for 6.2 GB" in row["error"]
    assert one.rows()["clip001"]["state"] == "done"
    assert one.hands.given == [("clip001", "a")]


def test_a_job_too_large_for_all_that_are_there_waits_for_a_larger_one_to_join(bench, clip, reading):
    one = bench([clip(0, frames=500)], patience=60.0)
    one.see("small", reading(limit=2))
    one.heard = lambda event: one.see("large", reading(limit=64)) if event["event"] == "waiting" else None
    assert one.run() == ""
    assert one.hands.given == [("clip000", "large")]
    assert "it fits on no machine" in one.told_of("waiting")[0]["reason"]


def test_what_was_learned_keeps_later_jobs_off_the_small_machine(bench, clip, reading):
    one = bench([clip(n, frames=97) for n in range(6)])

    def answer(lease, job, machine):
        peak = (1 + 5) * 1024**3  # far more than the arithmetic says
        one.done(lease, job, machine, peak_ram=peak) if machine == "large" else one.done(lease, job, machine)

    one.hands.answer = answer
    one.see("large", reading(limit=30, resident=1024**3))
    one.run()
    learned = one.learned(clip(9))
    assert learned is not None and learned >= 5 * 1024**3


def test_asked_to_finish_it_gives_nothing_more_and_lets_what_runs_end(bench, clip, reading):
    one = bench([clip(n) for n in range(4)])

    def answer(lease, job, machine):
        one.stopping.ask()
        one.done(lease, job, machine)

    one.hands.answer = answer
    one.see("a", reading())
    assert one.run() == ""
    assert len(one.hands.given) == 1
    assert one.journal.counts() == {"planned": 3, "running": 0, "done": 1, "failed": 0, "skipped": 0}


def test_asked_to_stop_now_it_has_the_machines_stop_and_leaves_the_jobs_to_be_done(bench, clip, reading):
    one = bench([clip(n) for n in range(4)])
    one.hands.answer = lambda lease, job, machine: one.stopping.at_once()
    one.see("a", reading())
    assert one.run() == ""
    assert one.hands.dropped == ["clip000"]
    assert one.journal.counts()["planned"] == 4


def test_a_disk_that_is_full_here_ends_the_batch_once_what_runs_has_ended(bench, clip, reading):
    one = bench([clip(n) for n in range(6)])
    full = "clip000.mp4 cannot be written: No space left on device"

    def answer(lease, job, machine):
        if machine == "a":
            one.failed(lease, "disk", full)
        else:
            one.at[one.now + 20] = lambda: one.done(lease, job, machine)

    one.hands.answer = answer
    one.see("a", reading())
    one.see("b", reading())
    assert one.run() == full
    assert [machine for _, machine in one.hands.given] == ["a", "b"]
    assert one.journal.counts() == {"planned": 4, "running": 1, "done": 1, "failed": 0, "skipped": 0}
    assert (one.rows()["clip000"]["state"], one.rows()["clip000"]["server"]) == ("running", "a")


def test_with_no_machine_left_it_says_so_and_the_jobs_stay_to_be_done(bench, clip, reading):
    one = bench([clip(n) for n in range(2)], options={"ready_budget": 5.0})
    one.see("a", Reading(0.0, DOWN, "connection refused"))
    assert one.run() == "no machine has been there for 5 s"
    assert one.journal.counts()["planned"] == 2
    assert one.hands.given == []


def test_a_machine_that_joins_late_is_waited_for(bench, clip, reading):
    one = bench([clip(0)], options={"ready_budget": 1000.0})
    one.at[40.0] = lambda: one.see("late", reading())
    assert one.run() == ""
    assert one.hands.given == [("clip000", "late")]


def test_nobody_is_given_a_job_while_a_machine_that_is_to_come_has_not_been_looked_at(bench, clip, reading):
    one = bench([clip(0), clip(1)])
    for name in ("a", "b"):
        one.dispatcher.expect(name, f"http://{name}")
    one.see("a", reading())
    given_before = []

    def join():
        given_before.extend(one.hands.given)
        one.see("b", reading(limit=99))

    one.at[one.now + 5] = join
    assert one.run() == ""
    assert given_before == []
    assert sorted(machine for _, machine in one.hands.given) == ["a", "b"]


def test_a_machine_that_does_not_come_holds_up_the_others_for_a_moment_only(bench, clip, reading):
    one = bench([clip(0)])
    for name in ("a", "b"):
        one.dispatcher.expect(name, f"http://{name}")
    one.see("a", reading())
    assert one.run() == ""
    assert one.hands.given == [("clip000", "a")] and one.now < 30


def test_jobs_an_earlier_runner_was_at_go_first_to_the_machines_they_were_on(bench, clip, reading):
    one = bench([clip(n) for n in range(3)], homes={1: "b", 2: "gone"})
    one.see("a", reading(limit=99))
    one.see("b", reading())
    one.run()
    assert ("clip001", "b") in one.hands.given
    assert {row["state"] for row in one.rows().values()} == {"done"}


def test_events_of_a_job_pass_on_and_those_of_one_given_up_do_not(bench, clip, reading):
    one = bench([clip(0)])

    def answer(lease, job, machine):
        one.told(lease, event="progress", index=0, node="3 ImageScale", value=1, max=4)
        one.told("another lease", event="progress", index=0, node="ghost", value=1, max=4)
        one.done(lease, job, machine)

    one.hands.answer = answer
    one.see("a", reading())
    one.run()
    assert [event["node"] for event in one.told_of("progress")] == ["3 ImageScale"]


def test_what_a_machine_tells_is_of_the_time_at_which_it_is_heard_here(bench, clip, reading):
    """Its clock is another one, and durations are taken between what it tells and what is told here."""
    one = bench([clip(0)])

    def answer(lease, job, machine):
        one.told(lease, event="progress", index=0, time=7e9)
        one.done(lease, job, machine)

    one.hands.answer = answer
    one.see("a", reading())
    one.run()
    times = [event["time"] for event in one.events if event["event"] in ("job_started", "progress", "job_ended")]
    assert len(times) == 3 and times == sorted(times)


def test_a_server_that_died_with_a_job_is_taken_to_be_too_small_for_it(bench, clip, reading):
    one = bench([clip(n, frames=24) for n in range(2)])
    one.hands.answer = lambda lease, job, machine: (
        one.failed(lease, LOST, "the server died with it") if machine == "small" else one.done(lease, job, machine)
    )
    one.see("small", reading(limit=8))
    one.see("large", reading(limit=30, used=25))
    one.run()
    assert {row["state"] for row in one.rows().values()} == {"done"}
    assert one.roster.machines["small"].room.refuted
