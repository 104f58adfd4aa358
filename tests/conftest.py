"""Tests that need what this machine has not are left out, all of a kind with one line; none is skipped as if green."""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest

from resource_gate.batch.local.find_comfyui import find_comfyui
from resource_gate.batch.local.server_process import sees_gpu

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LEFT_OUT = pytest.StashKey[list[str]]()


def missing() -> dict[str, str]:
    """Marker → why its tests cannot run here."""
    found = {}
    comfyui = find_comfyui()
    if comfyui.comfyui is None:
        found["live"] = found["gpu"] = comfyui.reason
    elif not sees_gpu(comfyui.comfyui.python):
        found["gpu"] = "torch sees no GPU here"
    if not os.environ.get("CHROMIUM") and not any(map(shutil.which, CHROMIUMS)):
        found["browser"] = "no Chromium on PATH, and CHROMIUM is not set"
    elif importlib.util.find_spec("playwright") is None:
        found["browser"] = "Playwright for Python is not installed"
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    lines = []
    for marker, reason in missing().items():
        out = [item for item in items if item.get_closest_marker(marker)]
        if out:
            lines.append(f"{len(out)} {marker} tests did not run: {reason}")
            config.hook.pytest_deselected(items=out)
            items[:] = [item for item in items if item not in out]
    config.stash[LEFT_OUT] = lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(LEFT_OUT, []):
        terminalreporter.write_line(line)
