from __future__ import annotations

import json
import os

import pytest

from resource_gate.batch.supervisor.exits import Exit, ExitLog, Reason
from resource_gate.gate.last_exit import last_exit


def an_exit(pid=7, reason=Reason.OOM_KILL):
    return Exit(1.5, pid, reason, "was killed for memory", None, "SIGKILL", 60.0, ("a",), "3 KSampler", 123, 2.0)


def test_each_end_is_a_line_of_json(tmp_path):
    log = ExitLog(tmp_path / "made", print)
    log.add(an_exit())
    log.add(an_exit(8, Reason.LEAK))
    first, second = map(json.loads, (tmp_path / "made/exits.jsonl").read_text().splitlines())
    assert first == {
        "time": 1.5,
        "pid": 7,
        "reason": "oom kill",
        "detail": "was killed for memory",
        "code": None,
        "signal": "SIGKILL",
        "uptime": 60.0,
        "jobs": ["a"],
        "node": "3 KSampler",
        "peak": 123,
        "restart_in": 2.0,
    }
    assert (second["pid"], second["reason"]) == (8, "leak")


def test_the_file_stays_bounded_and_keeps_the_newest(tmp_path):
    log = ExitLog(tmp_path, print, max_bytes=4000)
    sizes = []
    for pid in range(200):
        log.add(an_exit(pid))
        sizes.append((tmp_path / "exits.jsonl").stat().st_size)
    lines = [json.loads(line) for line in (tmp_path / "exits.jsonl").read_text().splitlines()]
    assert max(sizes) <= 4000
    assert [line["pid"] for line in lines] == list(range(200 - len(lines), 200)) and len(lines) > 5


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path):
    said: list[str] = []
    (tmp_path / "file").write_text("")
    log = ExitLog(tmp_path / "file/below", said.append)
    log.add(an_exit())
    log.add(an_exit())
    assert len(said) == 1 and "exits.jsonl" in said[0]


def test_no_folder_known_is_no_error(tmp_path):
    said: list[str] = []
    ExitLog(None, said.append).add(an_exit())
    assert said == [] and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="no limit on the size of files here")
def test_a_disk_that_was_full_for_a_while_costs_the_ends_of_that_while_alone(tmp_path):
    """Who reads how the last life ended would else find one of long ago, or none: and blame a job that only ran."""
    import resource

    said: list[str] = []
    log = ExitLog(tmp_path, said.append)
    log.add(an_exit(pid=1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "exits.jsonl").stat().st_size + 20, hard))
    try:
        log.add(an_exit(pid=2))
        log.add(an_exit(pid=3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.add(an_exit(pid=4, reason=Reason.ASKED))
    assert last_exit(tmp_path, 4).reason == "asked"
    assert len(said) == 1
