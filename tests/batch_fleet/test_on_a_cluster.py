"""Real Dask processes and real embedded hosts: a worker killed in mid-batch, and two machines of different size."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from resource_gate.batch.fleet.machine import look
from resource_gate.batch.fleet.placement import Room
from resource_gate.batch.fleet.run_fleet import run_fleet
from resource_gate.batch.joblist.job import Job
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec
from resource_gate.batch.runner.book import Book
from resource_gate.batch.runner.journal import Journal
from resource_gate.batch.runner.options import RunOptions
from resource_gate.batch.runner.stopping import Stopping
from resource_gate.batch.trial.sample_jobs import ClipSize, plain_clip
from resource_gate.batch.verify import check_clip

MIB = 1024**2
LARGE, SMALL = 1600 * MIB, 400 * MIB


@pytest.fixture
def two_servers(tmp_path: Path) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """A large and a small embedded host."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(ServerProcess(ServerSpec(None, limit=limit), tmp_path / name))
            for name, limit in (("large", LARGE), ("small", SMALL))
        ]
        yield servers[0], servers[1]


def dask_workers() -> list[psutil.Process]:
    found = psutil.Process().children(recursive=True)
    return [process for process in found if "spawn_main" in " ".join(process.cmdline())]


def test_a_killed_worker_costs_no_job_and_the_small_machine_gets_only_what_fits(
    two_servers: tuple[ServerProcess, ServerProcess],
    clip: Callable[..., Job],
    open_journal: Callable[..., Journal],
    tmp_path: Path,
) -> None:
    large, small = two_servers
    jobs = [
        clip(0, width=160, height=90, frames=24),
        clip(1, width=160, height=90, frames=24),
        clip(2, width=640, height=360, frames=97, scale=1),
        clip(3, width=640, height=360, frames=97, scale=1),
        *(clip(n, width=160, height=90, frames=24) for n in range(4, 10)),
    ]
    journal = open_journal(jobs)
    events: list[Mapping[str, Any]] = []
    killed: list[int] = []
    rooms = {server.url.partition("//")[2]: Room("") for server in two_servers}
    for server in two_servers:
        rooms[server.url.partition("//")[2]].take(look(server.client))

    def show(event: Mapping[str, Any]) -> None:
        events.append(event)
        if event["event"] == "progress" and event["index"] == 2 and not killed:
            for process in dask_workers():
                killed.append(process.pid)
                process.kill()

    book = Book(journal, show)
    options = RunOptions(tmp_path / "out", journal.meta["id"], reconnect_wait=1.0, settle=1.0)
    left = run_fleet(journal, options, book.tell, Stopping(), servers=[large.url, small.url])

    assert left == "" and len(killed) == 2
    rows = journal.report()["jobs"]
    assert [(row["name"], row["state"], row["error"]) for row in rows] == [(job.name, "done", "") for job in jobs]
    for row, job in zip(rows, jobs, strict=True):
        frames = 97 if row["index"] in (2, 3) else 24
        size = (640, 360) if row["index"] in (2, 3) else (320, 180)
        (output,) = row["outputs"]
        assert check_clip(Path(output), frames, *size).whole, job.name
    assert all(server.alive for server in two_servers)
    # The servers' own histories tell of every prompt that ran, whoever asked for it.
    ran = [server.client.call("GET", "/history") for server in two_servers]
    assert sum(map(len, ran)) == len(jobs)
    need = 2 * 97 * 640 * 360 * 12
    for row in rows:
        if row["index"] in (2, 3):
            ever = rooms[row["server"]].ever
            assert ever is not None and need <= ever
    assert {row["server"] for row in rows} == set(rooms)


def test_a_dead_machines_job_moves_and_what_is_finished_never_runs_again(
    two_servers: tuple[ServerProcess, ServerProcess],
    clip: Callable[..., Job],
    open_journal: Callable[..., Journal],
    tmp_path: Path,
) -> None:
    dying, staying = two_servers
    name = dying.url.partition("//")[2]
    jobs = [clip(n, width=160, height=90, frames=24) for n in range(14)]
    journal = open_journal(jobs)
    events: list[Mapping[str, Any]] = []

    def show(event: Mapping[str, Any]) -> None:
        events.append(event)
        if event["event"] == "job_ended" and event["server"] == name:  # it gets the next one before it is looked at
            dying.kill()

    options = RunOptions(tmp_path / "out", journal.meta["id"], reconnect=2, reconnect_wait=0.2, settle=1.0)
    left = run_fleet(journal, options, Book(journal, show).tell, Stopping(), servers=[dying.url, staying.url])
    assert left == "" and not dying.alive
    rows = journal.report()["jobs"]
    assert [row["state"] for row in rows] == ["done"] * len(jobs)
    by_dead = [row for row in rows if row["server"] == name]
    assert len(by_dead) == 1
    assert len(staying.client.call("GET", "/history")) == len(jobs) - len(by_dead)
    assert all(check_clip(Path(row["outputs"][0]), 24, 320, 180).whole for row in rows)
    assert any(e["event"] == "server" and e["server"] == name and e["state"] in ("gone", "down") for e in events)


def test_a_runner_killed_in_mid_batch_leaves_no_process_and_the_next_one_goes_on_and_doubles_nothing(
    two_servers: tuple[ServerProcess, ServerProcess], tmp_path: Path
) -> None:
    graph = dict(plain_clip(0, ClipSize(24, 160, 90)).graph)
    (tmp_path / "workflow.json").write_text(json.dumps(graph))
    (tmp_path / "jobs.csv").write_text("color\n" + "\n".join(map(str, range(10))))
    command = [sys.executable, "-m", "resource_gate.cli", "batch", "run", str(tmp_path / "workflow.json"), "--json"]
    command += ["--csv", str(tmp_path / "jobs.csv"), "--set", "frames.color={color}", "--out", str(tmp_path / "out")]
    for server in two_servers:
        command += ["--server", server.url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    children: list[psutil.Process] = []
    ended = 0
    for line in process.stdout:
        ended += json.loads(line)["event"] == "job_ended"
        if ended == 3 and not children:
            children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
    process.wait()
    process.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert len(children) >= 2 and alive == []

    again = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0, again.stderr
    assert sum(len(server.client.call("GET", "/history")) for server in two_servers) == 10
    outputs = [path for path in (tmp_path / "out").iterdir() if path.suffix == ".mp4"]
    assert len(outputs) == 10 and all(check_clip(path, 24, 320, 180).whole for path in outputs)


def test_ctrl_c_twice_takes_the_prompts_off_the_servers_and_leaves_the_jobs_to_be_done(
    two_servers: tuple[ServerProcess, ServerProcess], open_journal: Callable[..., Journal], tmp_path: Path
) -> None:
    graph = {"1": {"class_type": "Allocate", "inputs": {"mb": 1, "seconds": 600.0}}}
    journal = open_journal([Job(n, f"job{n}", graph) for n in range(3)])
    stopping = Stopping()
    started = threading.Event()

    def show(event: Mapping[str, Any]) -> None:
        if event["event"] == "progress":
            started.set()

    def stop() -> None:
        started.wait(60)
        while not all(server.client.queue().running for server in two_servers):
            time.sleep(0.05)
        stopping.ask()
        stopping.ask()

    thread = threading.Thread(target=stop)
    thread.start()
    options = RunOptions(tmp_path / "out", journal.meta["id"], settle=1.0)
    left = run_fleet(journal, options, Book(journal, show).tell, stopping, servers=[s.url for s in two_servers])
    thread.join()
    assert left == ""
    assert journal.counts()["planned"] == 3
    assert all(not server.client.queue().ids for server in two_servers)
