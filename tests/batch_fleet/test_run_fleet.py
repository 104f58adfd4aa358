from __future__ import annotations

import time

from resource_gate.batch.fleet.run_fleet import remember
from resource_gate.batch.needs.learned_need import LearnedNeed
from resource_gate.batch.runner.result import JobResult

MIB = 1024**2


def test_a_resumed_batch_knows_what_its_workflow_took_and_who_had_what(open_journal, clip):
    jobs = [clip(n) for n in range(4)]
    journal = open_journal(jobs)
    journal.start(0, "a")
    for used in (500, 700, 400, 4400):
        journal.sample(time.time(), "a", used * MIB, 8000 * MIB, used / 8000)
    journal.end(0, JobResult(True, peak_ram=1, server="a"))
    journal.sample(time.time() + 10, "a", 7000 * MIB, 8000 * MIB, 0.9)  # of somebody else, later
    journal.start(1, "b")
    journal.end(1, JobResult(True, server="b"))
    journal.start(2, "b")
    learned = LearnedNeed(probe=lambda _: None)
    assert remember(journal.report(), journal.job, learned) == {2: "b"}
    # Above the least that was in use there.
    assert learned(jobs[3]) == 4000 * MIB


def test_a_new_batch_knows_nothing(open_journal, clip):
    job = clip(0)
    journal = open_journal([job])
    learned = LearnedNeed(probe=lambda _: None)
    assert remember(journal.report(), journal.job, learned) == {}
    assert learned(job) == int(learned.size(job)[1] * 1.2)
