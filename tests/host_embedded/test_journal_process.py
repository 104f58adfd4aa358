"""A process that is killed again and again in the middle of a batch: every job is done in the end, once."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import uuid

import pytest

from resource_gate.batch.client import Client
from resource_gate.batch.errors import ClientError

PATIENCE = 60.0

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")


class Server:
    """The embedded host on one folder, started again as often as one likes."""

    def __init__(self, base, **environment):
        self.base = base
        self.environment = {**os.environ, "RESOURCE_GATE_GATE_RESTORE": "now", **environment}
        self.process = None
        self.client = None

    def start(self, *options):
        command = [sys.executable, "-m", "resource_gate.host.embedded", "--port", "0", "--base-directory", self.base]
        with (self.base / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*map(str, command), *options], stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment
            )
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, line + self.log()
        self.client = Client(found[0])
        return self.client

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdout.close()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        self.process.stdout.close()

    def jobs(self):
        return {job["id"]: job for job in self.rows()}

    def rows(self):
        return self.client.call("GET", "/resource_gate/batch?limit=500")["jobs"]

    def states(self):
        return [job["state"] for job in self.rows()]

    def log(self):
        return (self.base / "log").read_text()


@pytest.fixture
def server(tmp_path):
    made = []

    def serve(**environment):
        made.append(Server(tmp_path, **environment))
        return made[-1]

    yield serve
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.kill()


def test_a_batch_killed_at_random_moments_is_whole_and_nothing_ran_twice(server, clip, tmp_path, until):
    chance = random.Random(5)
    one = server(RESOURCE_GATE_GATE_DEATHS="100")
    client = one.start()
    ids = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(40)]
    for number, job_id in enumerate(ids):
        client.submit(clip(color=number, frames=24, prefix=f"job{number:02}"), job_id)
    for _ in range(12):
        target = min(one.states().count("done") + chance.randrange(0, 4), len(ids))
        until(lambda target=target: one.states().count("done") >= target)
        time.sleep(chance.random() * 0.05)  # to another moment of the job
        one.kill()
        client = one.start()
    until(lambda: set(one.states()) == {"done"})
    jobs = one.jobs()
    assert sorted(jobs) == sorted(ids)
    clips = sorted(p.name for p in (tmp_path / "output").iterdir() if not p.name.startswith("."))
    assert clips == [f"job{number:02}_00001_.mp4" for number in range(40)]
    began = [jobs[job_id]["ended_at"] for job_id in ids]
    assert began == sorted(began)


def test_a_job_that_was_running_at_two_deaths_is_set_aside_with_its_story_and_the_others_run(server, clip, until):
    one = server()
    client = one.start()
    killer = client.submit(clip(frames=4000, prefix="killer"))
    other = client.submit(clip(prefix="other"))
    for _ in range(2):
        until(lambda: "SaveVideo" in one.client.status()["queue"]["node"] and killer in one.client.queue().running)
        one.kill()
        client = one.start()
    until(lambda: one.jobs()[other]["state"] == "done")
    batch = client.call("GET", "/resource_gate/batch")
    assert [(j["id"], j["deaths"], j["attempts"], j["node"]) for j in batch["quarantined"]] == [
        (killer, 2, 2, "4 SaveVideo")
    ]
    assert batch["quarantined"][0]["peak_ram"] > 0
    assert client.status()["batch"]["quarantined"] == 1
    released = client.call("POST", "/resource_gate/batch/release", {"id": killer})
    assert released == {"restored": [killer], "refused": []}
    until(lambda: killer in client.queue().running)
    assert client.status()["batch"]["quarantined"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_orderly_end_is_no_death_and_what_ran_and_waited_comes_back(server, clip, until, number):
    one = server()
    client = one.start()
    ids = [client.submit(clip(frames=4000)), client.submit(clip())]
    until(lambda: client.queue().running)
    one.stop(number)
    client = one.start()
    until(lambda: client.queue().running and not client.status()["batch"]["restorable"])
    assert (client.queue().running, client.queue().pending) == ((ids[0],), (ids[1],))
    assert [(j["deaths"], j["restorable"]) for j in one.jobs().values()] == [(0, False)] * 2


def test_asked_it_offers_what_was_queued_and_new_prompts_come_behind_it(server, clip, until):
    one = server(RESOURCE_GATE_GATE_RESTORE="ask")
    client = one.start()
    client.call("POST", "/resource_gate/pause", {})
    old = [client.submit(clip(n)) for n in range(3)]
    one.kill()
    client = one.start()
    assert client.status()["batch"]["restorable"] == 3
    assert client.queue().ids == frozenset()
    client.call("POST", "/resource_gate/pause", {})
    new = client.submit(clip(9))
    gone = client.call("POST", "/resource_gate/batch/restore", {"ids": [old[1]], "discard": True})
    assert gone == {"discarded": [old[1]]}
    assert client.call("POST", "/resource_gate/batch/restore", {})["restored"] == [old[0], old[2]]
    assert client.queue().pending == (old[0], old[2], new)
    assert client.call("POST", "/resource_gate/batch/restore", {})["restored"] == []
    assert client.status()["batch"]["restorable"] == 0
    client.call("POST", "/resource_gate/resume", {})
    until(lambda: one.states().count("done") == 3)
    assert one.jobs()[old[1]]["state"] == "deleted"


def test_what_was_deleted_or_cleared_does_not_come_back(server, clip):
    one = server(RESOURCE_GATE_GATE_RESTORE="never")
    client = one.start()
    client.call("POST", "/resource_gate/pause", {})
    ids = [client.submit(clip(n)) for n in range(3)]
    client.call("POST", "/queue", {"delete": [ids[0]]})
    client.call("POST", "/queue", {"clear": True})
    last = client.submit(clip(7))
    one.kill()
    client = one.start()
    assert [job["id"] for job in one.jobs().values() if job["restorable"]] == [last]


def test_a_second_process_on_the_same_folder_says_so_runs_prompts_and_leaves_the_journal_alone(server, clip, until):
    first, second = server(), server()
    first.start().call("POST", "/resource_gate/pause", {})
    kept = first.client.submit(clip())
    client = second.start()
    assert "keeps the journal" in client.status()["degraded"]["journal"]
    assert str(first.process.pid) in client.status()["degraded"]["journal"]
    assert client.wait_for_end(client.submit(clip(3))).ok
    assert list(first.jobs()) == [kept]
    second.kill()
    first.client.call("POST", "/resource_gate/resume", {})
    until(lambda: first.states() == ["done"])


def test_a_client_that_asks_again_with_the_same_id_after_the_restart_gets_one_job(server, clip, until):
    one = server(RESOURCE_GATE_GATE_RESTORE="ask")
    client = one.start()
    client.call("POST", "/resource_gate/pause", {})
    job_id = client.submit(clip(), str(uuid.uuid4()))
    one.kill()
    client = one.start()
    client.submit(clip(), job_id)
    assert client.call("POST", "/resource_gate/batch/restore", {})["restored"] == []
    until(lambda: client.history(job_id))
    assert sorted(one.states()) == ["deleted", "done"]


def test_no_answer_is_lost_between_the_post_and_the_kill(server, clip):
    one = server(RESOURCE_GATE_GATE_RESTORE="never")
    client = one.start()
    client.call("POST", "/resource_gate/pause", {})
    answered = []
    timer = threading.Timer(0.3, one.process.kill)
    timer.start()
    try:
        while True:
            answered.append(client.submit(clip(len(answered))))
    except ClientError:
        timer.join()
    one.kill()
    one.start()
    assert answered
    assert set(answered) <= set(one.jobs())
