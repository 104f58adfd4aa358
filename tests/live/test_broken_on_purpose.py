"""ComfyUI with something of ours broken on purpose: prompts still run, one log line says what is degraded."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.live

PROMPT = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 32, "batch_size": 1, "color": 3}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}

HANGING_DRIVER = """
import time

class NVMLError(Exception):
    pass

class NVMLError_LibraryNotFound(NVMLError):
    pass

class NVMLError_DriverNotLoaded(NVMLError):
    pass

def nvmlInit():
    time.sleep(3600)
"""

RAISING_DRIVER = HANGING_DRIVER.replace("time.sleep(3600)", "raise RuntimeError('the driver fell over')")

WHEN_LOADED = """
import importlib
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.endswith(ENDING):
            sys.meta_path.remove(self)
            break_it()
        return None

sys.meta_path.insert(0, Finder())
"""

FOREIGN_QUEUE = """
ENDING = ".host.comfyui_queue"

class ForeignQueue:
    def __init__(self, queue):
        self._queue = queue

    def __getattr__(self, name):
        if name in ("not_empty", "mutex", "queue"):
            raise AttributeError(name)
        return getattr(self._queue, name)

def break_it():
    from server import PromptServer

    PromptServer.instance.prompt_queue = ForeignQueue(PromptServer.instance.prompt_queue)
"""

RAISING_RAM = """
ENDING = ".host.comfyui_queue"

def raising(*args, **kwargs):
    raise RuntimeError("broken on purpose")

def break_it():
    [package] = [n.removesuffix(".host") for n in sys.modules if n.endswith("resource-gate.host")]
    importlib.import_module(f"{package}.monitor.ram").RamReader.read = raising
"""


@pytest.fixture
def start_broken(start_comfyui: Any, tmp_path: Path) -> Any:
    """Start a ComfyUI that imports these modules before any other of their names."""

    def start(**modules: str) -> Any:
        folder = tmp_path / "broken"
        folder.mkdir()
        for name, source in modules.items():
            (folder / f"{name}.py").write_text(source)
        return start_comfyui(environment={"PYTHONPATH": str(folder)})

    return start


def assert_prompts_run(server: Any) -> None:
    client = server.client
    assert client.wait_for_end(client.submit(PROMPT), timeout=60).ok


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.1)


def lines_with(server: Any, text: str) -> list[str]:
    return [line for line in server.log_tail(1_000_000).splitlines() if text in line]


def test_a_driver_that_hangs_costs_one_line(start_broken: Any) -> None:
    server = start_broken(pynvml=HANGING_DRIVER)
    assert_prompts_run(server)
    until(lambda: "nvml" in server.client.status()["monitor"]["problems"])
    assert "no answer" in server.client.status()["monitor"]["problems"]["nvml"]
    assert server.client.status()["resources"]["ram"]["used"] > 0
    assert_prompts_run(server)
    assert len(lines_with(server, "'nvml'")) == 1


def test_a_reader_that_raises_is_left_out_and_told_once(start_broken: Any) -> None:
    server = start_broken(pynvml=RAISING_DRIVER)
    assert_prompts_run(server)
    assert "the driver fell over" in server.client.status()["monitor"]["problems"]["nvml"]
    assert len(lines_with(server, "the driver fell over")) == 1


def test_a_ram_reader_that_raises_lets_prompts_run_without_the_gate(start_broken: Any) -> None:
    server = start_broken(sitecustomize=RAISING_RAM + WHEN_LOADED)
    assert_prompts_run(server)
    assert_prompts_run(server)
    assert "broken on purpose" in server.client.status()["monitor"]["problems"]["ram"]
    assert len(lines_with(server, "admission failed")) == 1


def test_a_queue_without_the_fields_we_need_leaves_the_monitor(start_broken: Any) -> None:
    server = start_broken(sitecustomize=FOREIGN_QUEUE + WHEN_LOADED)
    assert_prompts_run(server)
    status = server.client.status()
    assert "ForeignQueue" in status["degraded"]["gate"]
    assert status["resources"]["ram"]["used"] > 0
    assert len(lines_with(server, "gate is off")) == 1
