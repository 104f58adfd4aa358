from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from resource_gate.api.status import Status, resources
from resource_gate.gate.admission import GateState
from resource_gate.gate.host import Job, QueueView
from resource_gate.gate.progress import BatchProgress
from resource_gate.monitor.readings import (
    CpuReading,
    DiskReading,
    GpuReading,
    Level,
    MemoryReading,
    ProcessReading,
    Sample,
    TempReading,
)
from resource_gate.reclaim.action import Action, ActionLog, Step
from resource_gate.reclaim.host import Place
from resource_gate.settings import Settings, changed
from resource_gate.version import __version__

GB = 1024**3

FULL = Sample(
    at=10.0,
    time=1700000000.0,
    ram=MemoryReading(90 * GB, 100 * GB, "cgroup v2 /job"),
    process=ProcessReading(5, 6, 4, 3),
    cpu=CpuReading(0.5, 2.0, 8),
    gpus=(GpuReading(0, "card", 20 * GB, 24 * GB, "nvml", evictable=8 * GB), GpuReading(1, "other", 1, 0, "torch")),
    disks=(DiskReading("/out", ("output", "temp"), 80 * GB, 100 * GB, 10 * GB),),
    temp=TempReading("/temp", 7, 2, 0.5),
    levels={"ram": Level.CRITICAL, "vram0": Level.NORMAL, "disk_output": Level.WARNING, "cpu": Level.EMERGENCY},
    interval=2.0,
    late=0.1,
    problems={"nvml": "gone"},
)


@pytest.fixture
def build():
    def make(sample=FULL, state=None, view=None, problems=None, worker=True):
        host = SimpleNamespace(
            name="ComfyUI",
            version="0.33.0",
            view=lambda: view or QueueView(["a"], 3, "12 ImageScale", 0.5),
            worker_alive=lambda: worker,
            degraded=lambda: {"brake": "no hook"},
        )
        made = SimpleNamespace(progress=BatchProgress(wall=lambda: 50.0), actions=ActionLog())
        made.status = Status(
            host,
            lambda: sample,
            Settings,
            lambda: state or GateState("waiting", "RAM 90%", 1.0, 31.0, "b"),
            made.progress,
            made.actions,
            lambda: problems or {},
        )
        return made

    return make


def test_it_holds_every_key_that_was_promised(build):
    made = build()
    made.progress.started(Job("a", 0))
    made.actions.add(
        Action(5.0, Level.CRITICAL, "ram", "why", Place.BETWEEN_NODES, (Step("x", 9, 0.1, "did"),), 10, False)
    )
    told = made.status.as_dict()
    assert json.loads(json.dumps(told)) == told
    assert set(told) == {
        "version", "time", "host", "level", "resources", "process", "gpus", "temp", "worker_alive",
        "gate", "queue", "batch", "last_action", "degraded", "causes", "monitor",
    }  # fmt: skip
    assert told["version"] == __version__ and told["time"] == 1700000000.0
    assert told["host"] == {"name": "ComfyUI", "version": "0.33.0"} and told["worker_alive"] is True
    assert told["process"] == {"rss": 5, "peak": 6, "anonymous": 4, "heap_slack": 3}
    assert {"path": "/temp", "bytes": 7, "files": 2, "growth": 0.5}.items() <= told["temp"].items()
    times = {"since": 1.0, "until": 31.0}
    assert told["gate"] == {"state": "waiting", "reason": "RAM 90%", **times, "job": "b", "cause": None}
    assert told["queue"] == {"running": ["a"], "pending": 3, "node": "12 ImageScale", "progress": 0.5}
    assert told["batch"] == {
        **{"done": 0, "total": 4, "failed": 0, "retried": 0, "started_at": 50.0, "last_job": None},
        **{"eta_seconds": None, "eta_low": None, "eta_high": None},
    }
    assert told["monitor"] == {"interval": 2.0, "late": 0.1, "problems": {"nvml": "gone"}}
    assert told["degraded"] == {"brake": "no hook"}
    assert told["last_action"] == {
        "time": 5.0, "level": "critical", "resource": "ram", "why": "why", "cause": None, "place": "between nodes",
        "rungs": [{"name": "x", "freed": 9, "seconds": 0.1, "detail": "did"}],
        "freed": 9, "goal": 10, "met": False, "dry_run": False, "text": made.actions.last.text,
    }  # fmt: skip


def test_the_level_is_that_of_what_can_end_a_job_so_a_busy_cpu_does_not_count(build):
    assert build().status.as_dict()["level"] == "critical"


def test_each_resource_has_its_use_its_limit_its_level_and_its_tiers():
    found = resources(FULL, changed(Settings(), {"ram": {"warning": 0.8}}))
    assert set(found) == {"ram", "vram0", "vram1", "cpu", "disk_output"}
    assert found["ram"] == {
        "used": 90 * GB, "limit": 100 * GB, "fraction": 0.9, "level": "critical",
        "tiers": {"warning": 0.8, "critical": 0.9, "emergency": 0.95}, "source": "cgroup v2 /job",
    }  # fmt: skip
    assert found["vram0"]["fraction"] == 0.5 and found["vram0"]["name"] == "card"
    assert (found["cpu"]["used"], found["cpu"]["limit"], found["cpu"]["level"]) == (4.0, 8, "emergency")
    disk = found["disk_output"]
    assert (disk["used"], disk["fraction"], disk["roles"]) == (90 * GB, 0.9, ["output", "temp"])


def test_a_card_that_tells_no_total_is_no_division_by_zero():
    assert resources(FULL, Settings())["vram1"]["fraction"] == 0.0


def test_a_level_that_the_sample_does_not_hold_is_worked_out():
    sample = Sample(0, 0, ram=MemoryReading(96, 100, "host"))
    assert resources(sample, Settings())["ram"]["level"] == "emergency"


def test_where_nothing_could_be_read_the_parts_are_empty_and_it_is_still_an_answer(build):
    told = build(sample=Sample(0, 0), state=GateState(), view=QueueView([], 0), worker=None).status.as_dict()
    assert told["resources"] == {} and told["gpus"] == [] and told["level"] == "normal"
    assert told["process"] is None and told["temp"] is None and told["last_action"] is None
    assert told["worker_alive"] is None and told["gate"]["state"] == "open" and told["queue"]["progress"] is None
    json.dumps(told)


def test_a_given_sample_wins_over_the_last_one(build):
    assert build().status.as_dict(Sample(0, 77.0))["time"] == 77.0


def test_problems_stand_beside_what_the_host_cannot_do(build):
    told = build(problems={"settings": "bad value"}).status.as_dict()
    assert told["degraded"] == {"brake": "no hook", "settings": "bad value"}
