"""The command as people call it, on the embedded host."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from resource_gate.batch.local.server_process import ServerProcess, ServerSpec
from resource_gate.batch.runner.journal import Journal

JOBS = 30
WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 32, "batch_size": 6, "color": 1}},
    "2": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 24.0}},
    "3": {
        "class_type": "SaveVideo",
        "inputs": {"video": ["2", 0], "filename_prefix": "clip", "format": "mp4", "codec": "h264"},
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(ServerSpec(None), tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))
    path = tmp_path / "rows.csv"
    path.write_text("name,color\n" + "".join(f"clip{n},{1000 + n}\n" for n in range(JOBS)))
    return path


def held_for(seconds: float) -> dict[str, Any]:
    """The workflow, with a node in it that takes so long."""
    return {
        **WORKFLOW,
        "2": {"class_type": "CreateVideo", "inputs": {"images": ["4", 0], "fps": 24.0}},
        "4": {"class_type": "Allocate", "inputs": {"mb": 1, "seconds": seconds, "value": ["1", 0]}},
    }


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "resource_gate.cli", "batch", *map(str, arguments)]


def run_arguments(rows: Path, url: str, *more: object) -> list[object]:
    folder = rows.parent
    return [
        *("run", folder / "workflow.json", "--csv", rows, "--set", "EmptyImage.color={color}"),
        *("--server", url, "--out", folder / "out"),
        *("--retry-wait", "0.1", "--reconnect-wait", "0.2", "--ready-budget", "1", *more),
    ]


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120, check=False)


def frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def ran_at(server: ServerProcess, prefix: str = "") -> Counter[str]:
    """Ids of all prompts that the server has ever begun to run, by its own journal."""
    rows, before = [], ""
    while True:
        page = server.client.call("GET", f"/resource_gate/batch?limit=200{before}")
        rows += page["jobs"]
        if page["next"] is None:
            return Counter(row["id"] for row in rows if row["state"] == "done")
        before = f"&before={page['next']}"


def test_a_batch_ends_with_every_clip_and_the_same_command_again_does_nothing(server, rows):
    before = sum(ran_at(server).values())
    first = call(*run_arguments(rows, server.url))
    assert first.returncode == 0, first.stderr
    out = rows.parent / "out"
    assert {path.name: frames(path) for path in out.glob("*.mp4")} == {f"clip{n}.mp4": 6 for n in range(JOBS)}
    again = call(*run_arguments(rows, server.url))
    assert again.returncode == 0 and "going on with the batch" in again.stderr
    assert sum(ran_at(server).values()) - before == JOBS
    assert call("status", out).stdout == f"{JOBS} done\n"
    report = json.loads((out / ".resource-gate/report.json").read_text())
    assert report["batch"]["done"] == JOBS and (out / ".resource-gate/report.html").is_file()


def test_a_runner_killed_in_mid_batch_loses_nothing_and_doubles_nothing(server, rows):
    before = ran_at(server)
    out = rows.parent / "out"
    kills = 0
    arguments: list[object] = run_arguments(rows, server.url, "--json")
    for stop_after in (4, 9, 15):
        process = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "progress" and event["index"] >= stop_after:
                os.kill(process.pid, signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL
        kills += 1
        arguments = ["resume", out, "--json"]
    last = call("resume", out)
    assert last.returncode == 0, last.stderr
    assert kills == 3
    assert {path.name: frames(path) for path in out.glob("*.mp4")} == {f"clip{n}.mp4": 6 for n in range(JOBS)}
    new = ran_at(server) - before
    assert len(new) == JOBS and set(new.values()) == {1}


def test_a_server_killed_twice_in_mid_batch_gets_each_job_back_once(rows, tmp_path):
    (rows.parent / "workflow.json").write_text(json.dumps(held_for(0.1)))
    with ServerProcess(ServerSpec(None), tmp_path / "server") as server:
        process = subprocess.Popen(
            command(*run_arguments(rows, server.url, "--json", "--ready-budget", "60")),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        kills = [3, 8]
        for line in process.stdout:
            event = json.loads(line)
            if kills and event.get("node") == "4 Allocate" and event["index"] >= kills[0]:
                kills.pop(0)
                server.kill()
                server.start()
        assert process.wait(60) == 0 and not kills
        assert {path.name: frames(path) for path in (rows.parent / "out").glob("*.mp4")} == {
            f"clip{n}.mp4": 6 for n in range(JOBS)
        }
        done = ran_at(server)
        assert len(done) == JOBS and set(done.values()) == {1}


def test_a_second_runner_on_the_same_batch_leaves_with_its_own_code(server, rows):
    assert call(*run_arguments(rows, server.url)).returncode == 0
    held = Journal.open(rows.parent / "out/.resource-gate")
    told = call("resume", rows.parent / "out")
    held.close()
    assert told.returncode == 4 and "keeps the journal" in told.stderr


def test_asked_to_stop_it_ends_in_order_and_can_be_resumed(server, rows):
    process = subprocess.Popen(
        command(*run_arguments(rows, server.url, "--json")), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "job_ended":
            process.send_signal(signal.SIGINT)
            break
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3 and "jobs are left: resource-gate batch resume" in errors
    assert call("resume", rows.parent / "out").returncode == 0
    assert len(list((rows.parent / "out").glob("*.mp4"))) == JOBS


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]])
def test_asked_to_stop_now_it_takes_the_job_off_the_server(server, rows, signals):
    (rows.parent / "workflow.json").write_text(json.dumps(held_for(600.0)))
    process = subprocess.Popen(
        command(*run_arguments(rows, server.url, "--json")), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    asked = list(signals)
    for line in process.stdout:
        event = json.loads(line)
        if asked and (event["event"] == "note" or event.get("node") == "4 Allocate"):
            process.send_signal(asked.pop(0))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3, errors
    assert not server.client.queue().ids
    assert call("status", rows.parent / "out").stdout == f"{JOBS} planned\n"


def test_a_failed_job_leaves_its_reason_and_can_be_run_again(server, rows):
    workflow = json.loads((rows.parent / "workflow.json").read_text())
    workflow["3"]["inputs"]["filename_prefix"] = "../outside"  # valid to the eye, refused by the node
    (rows.parent / "workflow.json").write_text(json.dumps(workflow))
    rows.write_text("name,color\none,1\n")
    told = call(*run_arguments(rows, server.url, "--set", "SaveVideo.filename_prefix=../outside"))
    assert told.returncode == 1, told.stderr
    status = call("status", rows.parent / "out").stdout
    assert status.startswith("1 failed\nfailed: one: 3 SaveVideo:")
    again = call("retry-failed", rows.parent / "out")
    assert again.returncode == 1 and "1 failed jobs are to be run again" in again.stderr


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["--set", "EmptyImage.colr={color}"], "has no input 'colr'"),
        (["--set", "EmptyImage.width={wide}"], "wide"),
        (["--csv", "missing.csv"], "missing.csv"),
    ],
)
def test_bad_input_is_told_and_nothing_is_submitted(server, rows, change, told):
    before = ran_at(server)
    answer = call(*run_arguments(rows, server.url, *change))
    assert answer.returncode == 2 and told in answer.stderr
    assert ran_at(server) == before and not (rows.parent / "out").exists()


def test_a_dry_run_lists_the_jobs_and_writes_nothing(server, rows):
    answer = call(*run_arguments(rows, server.url, "--dry-run"))
    assert answer.returncode == 0 and answer.stdout.count("\n") == JOBS + 1
    assert not (rows.parent / "out").exists()


def test_without_a_server_it_could_not_be_tried(rows):
    answer = call(*run_arguments(rows, "http://127.0.0.1:9"))
    assert answer.returncode == 2 and "was not ready" in answer.stderr


def test_another_batch_does_not_take_the_folder_of_the_first(server, rows):
    rows.write_text("name,color\none,1\n")
    assert call(*run_arguments(rows, server.url)).returncode == 0
    rows.write_text("name,color\ntwo,2\n")
    answer = call(*run_arguments(rows, server.url))
    assert answer.returncode == 2 and "there is another batch in" in answer.stderr


def test_a_journal_that_is_damaged_is_named(server, rows):
    folder = rows.parent / "out/.resource-gate"
    folder.mkdir(parents=True)
    (folder / "journal.sqlite3").write_bytes(b"no database at all" * 100)
    for arguments in (["resume", rows.parent / "out"], ["status", folder], run_arguments(rows, server.url)):
        answer = call(*arguments)
        assert answer.returncode == 2 and "journal.sqlite3 cannot be used: file is not a database" in answer.stderr
    assert (folder / "journal.sqlite3").read_bytes().startswith(b"no database")


def test_the_exit_codes_are_in_the_help():
    told = call("run", "--help").stdout
    assert all(f"\n  {code}  " in told for code in range(5))
