"""`resource-gate batch run` on two real ComfyUIs in memory groups of different size, with Dask's workers killed."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from resource_gate.batch.local.server_process import ServerProcess
from resource_gate.batch.trial.sample_jobs import plain_clip
from resource_gate.batch.verify import check_clip

pytestmark = pytest.mark.live

MIB = 1024**2
LARGE, SMALL = 3000 * MIB, 1300 * MIB
"""The stock baseline's clip (97 frames, 640×360 to 1280×720) takes ComfyUI to 2131 MB."""
PATIENCE = 120.0
"""Seconds until a batch that hangs is given up; it takes a fifth of that."""
BIG = {2, 5}
ROWS = [(640, 360, 97) if index in BIG else (320, 180, 24) for index in range(8)]


def run_arguments(folder: Path, servers: list[ServerProcess]) -> list[str]:
    graph: dict[str, Any] = dict(plain_clip(0).graph)
    (folder / "workflow.json").write_text(json.dumps(graph))
    lines = ["width,height,frames,wide,high,color"]
    lines += [f"{w},{h},{n},{2 * w},{2 * h},{index}" for index, (w, h, n) in enumerate(ROWS)]
    (folder / "jobs.csv").write_text("\n".join(lines))
    sets = ["frames.width={width}", "frames.height={height}", "frames.batch_size={frames}", "frames.color={color}"]
    sets += ["scale.width={wide}", "scale.height={high}"]
    command = [sys.executable, "-m", "resource_gate.cli", "batch", "run", str(folder / "workflow.json"), "--json"]
    command += ["--csv", str(folder / "jobs.csv"), "--out", str(folder / "out"), "--dashboard", "0"]
    for one in sets:
        command += ["--set", one]
    for server in servers:
        command += ["--server", server.url]
    return command


def test_two_servers_of_different_size_and_killed_workers_all_done_none_twice(
    start_comfyui: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    large, small = start_comfyui(limit=LARGE), start_comfyui(limit=SMALL)
    killed: list[int] = []
    ended: list[dict[str, Any]] = []
    machines: list[dict[str, Any]] = []
    with (tmp_path / "errors.txt").open("w+") as errors:
        process = subprocess.Popen(
            run_arguments(tmp_path, [large, small]), stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "job_ended":
                ended.append(event)
            if event["event"] == "progress" and event["index"] in BIG and not killed:
                machines += fleet_of((tmp_path / "errors.txt").read_text())
                for worker in psutil.Process(process.pid).children(recursive=True):
                    if "spawn_main" in " ".join(worker.cmdline()):
                        killed.append(worker.pid)
                        worker.kill()
        code = process.wait(PATIENCE)
        errors.seek(0)
        assert code == 0, errors.read()

    assert len(killed) == 2
    assert sorted(event["index"] for event in ended) == list(range(len(ROWS)))
    name_of_large = large.url.partition("//")[2]
    assert {event["server"] for event in ended if event["index"] in BIG} == {name_of_large}
    assert len({event["server"] for event in ended}) == 2
    # ComfyUI's own histories tell of every prompt that ran, whoever asked for it.
    assert sum(len(server.client.call("GET", "/history")) for server in (large, small)) == len(ROWS)
    assert large.alive and small.alive and not large.child.oom_kills and not small.child.oom_kills
    for event in ended:
        width, height, frames = ROWS[event["index"]]
        (output,) = event["outputs"]
        check = check_clip(Path(output), frames, 2 * width, 2 * height)
        assert check.whole, check.text
    assert sorted(machine["state"] for machine in machines) == ["up", "up"]
    assert {machine["ram"]["limit"] for machine in machines} == {LARGE, SMALL}


def fleet_of(said: str) -> list[dict[str, Any]]:
    """What the batch's own dashboard tells of its machines."""
    url = next(line.split()[-1] for line in said.splitlines() if "Dashboard: http" in line)
    with urllib.request.urlopen(f"{url}resource_gate/fleet", timeout=10) as answer:
        told: list[dict[str, Any]] = json.load(answer)["machines"]
    return told
