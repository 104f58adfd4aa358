"""`resource-gate run` with a real ComfyUI: a dead prompt worker, and memory that cannot be freed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from resource_gate.batch.client import Client, ClientError
from resource_gate.batch.local.base_directory import make_base_directory
from resource_gate.batch.local.cgroups import Cgroups, CgroupUnavailable
from resource_gate.batch.local.find_comfyui import ComfyUI
from resource_gate.batch.local.server_process import ServerSpec, free_port, server_command

pytestmark = pytest.mark.live

NOTICED_WITHIN = 15.0
"""Seconds from the worker's death until the supervisor has found it, as the project promises."""

HOSTILE = """
import json, os, pathlib, time, urllib.request

class Output:
    CATEGORY, FUNCTION, OUTPUT_NODE = "test", "run", True
    RETURN_TYPES = ()

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"seed": ("INT", {"default": 0})}}

class Hostile(Output):
    '''Ends the prompt worker: ComfyUI catches Exception alone, and a thread that exits so says nothing.'''

    def run(self, seed):
        once = pathlib.Path(__file__).with_name("once")
        if not once.exists():
            once.write_text(str(time.time()))
            raise SystemExit("hostile")
        return {"ui": {"text": ["tame"]}}

class Leaking(Output):
    '''Holds memory for ever, once, until the emergency level is reached; slowly, so that the readings keep up.'''

    held = []

    def run(self, seed):
        once = pathlib.Path(__file__).with_name("leaked")
        while not once.exists() and self.fraction() < 0.96:
            self.held.append(b"x" * (8 << 20))
            time.sleep(0.03)
        once.touch()
        return {"ui": {"text": [str(len(self.held))]}}

    def fraction(self):
        with urllib.request.urlopen(os.environ["TEST_URL"] + "/resource_gate/status") as answer:
            ram = json.load(answer)["resources"]["ram"]
        return ram["used"] / ram["limit"]

NODE_CLASS_MAPPINGS = {"Hostile": Hostile, "Leaking": Leaking}
"""


class Supervised:
    """A ComfyUI under `resource-gate run`, as a process of its own."""

    def __init__(self, comfyui: ComfyUI, base: Path, *options: str) -> None:
        self.base = make_base_directory(base, extension=True, extra_nodes={"hostile": HOSTILE})
        port = free_port()
        self.client = Client(f"http://127.0.0.1:{port}", timeout=10)
        self.log = base / "supervisor.log"
        command = [sys.executable, "-m", "resource_gate.cli", "run", *options, "--"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *server_command(ServerSpec(comfyui), self.base, port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.base,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "TEST_URL": self.client.url},
                start_new_session=True,
            )
        self.ready()

    def ready(self) -> None:
        self.client.wait_ready(120, lambda: self.process.poll() is None)

    @property
    def exits(self) -> list[dict[str, Any]]:
        path = self.base / "user/__resource_gate/exits.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def server(self) -> psutil.Process | None:
        """The ComfyUI of this moment."""
        return next(iter(psutil.Process(self.process.pid).children()), None)

    def stop(self) -> int:
        """Ask it to end, as a service manager does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        for child in psutil.Process(self.process.pid).children(recursive=True):
            child.kill()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def supervised(installation: ComfyUI, tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    started: list[Supervised] = []

    def start(*options: str) -> Supervised:
        started.append(Supervised(installation, tmp_path / "comfyui", *options))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


def until(condition: Callable[[], Any], seconds: float) -> Any:
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < give_up, "it did not come about in time"
        time.sleep(0.1)
    return found


def test_a_worker_killed_by_a_node_is_noticed_and_the_batch_is_finished(
    supervised: Callable[..., Supervised], record_property: Callable[[str, object], None]
) -> None:
    run = supervised()
    first = run.server
    assert first is not None
    batch = [run.client.submit({"1": {"class_type": "Hostile", "inputs": {"seed": seed}}}) for seed in range(3)]
    hostile = batch[0]
    died = float(until((run.base / "custom_nodes/hostile/once").exists, 30) and time.time())
    assert run.client.queue().ids == set(batch)  # HTTP answers as if nothing had happened
    until(lambda: "hangs: its prompt worker is dead" in run.log.read_text("utf-8", "replace"), NOTICED_WITHIN)
    until(lambda: run.exits, 30)
    told = run.exits[0]
    assert told["reason"] == "hang" and "prompt worker is dead" in told["detail"]
    assert told["jobs"] == [hostile] and told["node"] == "1 Hostile"
    assert told["pid"] == first.pid and told["time"] > died
    record_property("seconds", told["time"] - died)
    run.ready()
    second = run.server
    assert second is not None and second.pid != first.pid
    ends = [until(partial(run.client.history, job), 60) for job in batch]
    assert all(end.ok for end in ends), ends
    assert run.stop() == 143  # ComfyUI does not handle SIGTERM
    assert [told["reason"] for told in run.exits] == ["hang", "asked"]


def test_a_leak_is_answered_by_an_orderly_restart_before_the_kernel_kills(
    supervised: Callable[..., Supervised],
) -> None:
    try:
        Cgroups().open(None).remove()
    except CgroupUnavailable as error:
        pytest.skip(f"no control group can be made on this machine: {error}")
    run = supervised("--memory-limit", "2000")
    run.client.submit({"1": {"class_type": "Leaking", "inputs": {"seed": 1}}})
    until(lambda: run.exits, 180)
    told = run.exits[0]
    assert told["reason"] == "leak", told
    assert told["jobs"] == []
    run.ready()

    def level() -> str:
        try:
            return (run.client.status() or {}).get("level", "")
        except ClientError:
            return ""

    until(lambda: level() == "normal", 30)
    run.stop()
    assert [told["reason"] for told in run.exits] == ["leak", "asked"]
