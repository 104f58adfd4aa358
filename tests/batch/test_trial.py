from __future__ import annotations

from pathlib import Path

import pytest

from resource_gate.batch.client import JobEnd, PromptRefused, QueueState, ServerGone
from resource_gate.batch.trial.sample_jobs import ClipJob
from resource_gate.batch.trial.trial import Trial, TrialError
from resource_gate.batch.verify import Check


class Scripted:
    """A server and its client in one: each look at the queue ends the running job, unless a script says otherwise.

    Args:
        output: where a finished job's file goes.
        kills: names of jobs that kill the process when they run, each time.
        keeps: whether the queue, the victim included, is back after a restart.
    """

    def __init__(self, output: Path, kills=(), keeps=False) -> None:
        self.output, self.kills, self.keeps = output, set(kills), keeps
        self.client, self.alive = self, False
        self.waiting: list[tuple[str, str]] = []
        self.ended: dict[str, JobEnd] = {}
        self.starts = self.stops = self.longest_queue = 0
        self.runs: list[str] = []
        self.submitted: list[str] = []
        self.fails: dict[str, str] = {}
        self.refuses: set[str] = set()
        self.dies_after: set[str] = set()
        self.broken_calls = 0

    @property
    def peaks(self):
        return (1000 * self.starts, 10 * self.starts)

    def start(self):
        self.starts += 1
        self.alive = True
        if not self.keeps:
            self.waiting.clear()
            self.ended.clear()
        return 0.0

    def stop(self):
        self.stops += 1
        self.alive = False

    def _check(self):
        if self.broken_calls:
            self.broken_calls -= 1
            raise ServerGone("reset")
        if not self.alive:
            raise ServerGone("refused")

    def submit(self, graph, prompt_id):
        self._check()
        name = graph["name"]
        self.submitted.append(name)
        if name in self.refuses:
            raise PromptRefused(400, {"error": "bad"})
        self.waiting.append((prompt_id, name))
        self.longest_queue = max(self.longest_queue, len(self.waiting))
        return prompt_id

    def queue(self):
        self._check()
        before = QueueState(tuple(i for i, _ in self.waiting[:1]), tuple(i for i, _ in self.waiting[1:]))
        if self.waiting:
            self._run()
        return before

    def _run(self):
        prompt_id, name = self.waiting[0]
        self.runs.append(name)
        if name in self.kills:
            self.alive = False
            if self.keeps:
                self.kills.discard(name)
            return
        self.waiting.pop(0)
        if name in self.fails:
            self.ended[prompt_id] = JobEnd(prompt_id, False, self.fails[name])
            return
        self.ended[prompt_id] = JobEnd(prompt_id, True)
        (self.output / "trial").mkdir(exist_ok=True)
        (self.output / "trial" / f"{name}_00001_.mp4").write_text("clip")
        if name in self.dies_after:
            self.dies_after.discard(name)
            self.die()

    def die(self):
        self.alive = False
        raise ServerGone("reset")

    def history(self, prompt_id):
        self._check()
        return self.ended.get(prompt_id)


def content_is_clip(path, frames, width, height):
    return Check(path.read_text() == "clip", f"{path.name} looked at")


def batch(number=4):
    names = [f"clip{index}" for index in range(number)]
    return [ClipJob(name, 97, 1280, 720, {"name": name}) for name in names]


def trial(server, jobs=None, **more):
    return Trial(server, jobs or batch(), server.output, check=content_is_clip, poll=0.0, death_timeout=0.0, **more)


def states(result):
    return {job.name: job.state for job in result.jobs}


def test_a_batch_that_nothing_happens_to_is_whole(tmp_path):
    server = Scripted(tmp_path)
    result = trial(server).run()
    assert (result.done, result.total, result.deaths, result.whole) == (4, 4, 0, True)
    assert server.runs == ["clip0", "clip1", "clip2", "clip3"]
    assert server.longest_queue == 4 and server.starts == 1 and not server.alive


def test_one_by_one_never_has_two_in_the_queue(tmp_path):
    server = Scripted(tmp_path)
    result = trial(server, queue_all=False).run()
    assert result.whole and server.longest_queue == 1


@pytest.mark.parametrize("queue_all", [True, False])
def test_a_death_loses_the_running_job_and_the_rest_goes_on(tmp_path, queue_all):
    server = Scripted(tmp_path, kills={"clip1", "clip3"})
    result = trial(server, queue_all=queue_all).run()
    assert states(result) == {"clip0": "done", "clip1": "lost", "clip2": "done", "clip3": "lost"}
    assert (result.deaths, server.starts, result.done) == (2, 3, 2)
    assert server.runs.count("clip1") == 1


def test_peaks_are_the_highest_of_all_lives(tmp_path):
    result = trial(Scripted(tmp_path, kills={"clip1"})).run()
    assert (result.peak, result.anonymous_peak) == (2000, 20)


def test_a_queue_that_comes_back_by_itself_is_not_queued_twice(tmp_path):
    server = Scripted(tmp_path, kills={"clip1"}, keeps=True)
    result = trial(server).run()
    assert result.whole and result.deaths == 1
    assert server.submitted == ["clip0", "clip1", "clip2", "clip3"]
    assert server.runs == ["clip0", "clip1", "clip1", "clip2", "clip3"]


def test_a_job_that_ended_before_the_death_unseen_is_done_and_not_lost(tmp_path):
    server = Scripted(tmp_path)
    server.dies_after = {"clip1"}
    result = trial(server).run()
    assert result.deaths == 1
    assert states(result)["clip1"] == "done"
    assert result.done == 3, "the one after it had become the running one"


def test_a_file_that_is_not_whole_is_broken(tmp_path):
    server = Scripted(tmp_path)
    check = lambda path, *size: Check("clip2" not in path.name, "cut off")  # noqa: E731
    result = Trial(server, batch(), tmp_path, check=check, poll=0.0).run()
    assert states(result)["clip2"] == "broken"
    assert (result.done, result.whole) == (3, False)


def test_of_two_attempts_files_a_whole_one_counts(tmp_path):
    server = Scripted(tmp_path)
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial/clip0_00000_.mp4").write_text("half")
    assert trial(server).run().whole


def test_success_without_a_file_is_broken(tmp_path):
    server = Scripted(tmp_path)
    result = Trial(server, batch(), tmp_path / "elsewhere", check=content_is_clip, poll=0.0).run()
    assert {job.state for job in result.jobs} == {"broken"}
    assert result.jobs[0].reason == "no file was written"


def test_files_that_nothing_can_decode_count_but_are_told(tmp_path):
    result = Trial(Scripted(tmp_path), batch(), tmp_path, check=lambda *a: Check(None, "unverified"), poll=0.0).run()
    assert result.whole and not result.verified


def test_a_failed_job_brings_the_servers_reason(tmp_path):
    server = Scripted(tmp_path)
    server.fails = {"clip1": "7 KSampler: out of memory"}
    result = trial(server).run()
    assert states(result)["clip1"] == "failed"
    assert result.jobs[1].reason == "7 KSampler: out of memory"


def test_a_refused_job_fails_and_the_rest_runs(tmp_path):
    server = Scripted(tmp_path)
    server.refuses = {"clip0"}
    result = trial(server).run()
    assert states(result) == {"clip0": "failed", "clip1": "done", "clip2": "done", "clip3": "done"}


def test_a_job_that_the_server_forgets_fails_and_is_not_waited_for(tmp_path):
    server = Scripted(tmp_path)
    forgetful = server.history
    server.history = lambda prompt_id: None if server.runs[-1] == "clip1" else forgetful(prompt_id)
    result = trial(server, queue_all=False).run()
    assert result.jobs[1].reason == "the server lost it"


def test_a_broken_connection_alone_is_no_death(tmp_path):
    server = Scripted(tmp_path)
    server.broken_calls = 2
    result = trial(server).run()
    assert result.whole and result.deaths == 0


def test_dying_again_and_again_with_no_job_ends_the_trial(tmp_path):
    server = Scripted(tmp_path)
    server.submit = lambda graph, prompt_id: server.die()
    with pytest.raises(TrialError, match="died 3 times with no job running"):
        trial(server).run()
    assert (server.starts, server.stops, server.alive) == (4, 1, False)


def test_a_job_that_never_ends_ends_the_trial_and_the_server(tmp_path):
    server = Scripted(tmp_path)
    server._run = lambda: None
    with pytest.raises(TrialError, match="no job ended"):
        trial(server, stall_timeout=0.0).run()
    assert not server.alive and server.stops == 1


def test_progress_is_told_at_every_look(tmp_path):
    seen = []
    trial(Scripted(tmp_path, kills={"clip1"}), progress=seen.append).run()
    assert [p.ended for p in seen] == sorted(p.ended for p in seen)
    assert (seen[-1].ended, seen[-1].deaths, seen[-1].total) == (4, 1, 4)
    assert "clip0" in {p.running for p in seen}
