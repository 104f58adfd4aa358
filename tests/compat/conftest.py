"""The ComfyUIs at hand: the one that live tests run, and the oldest that is supported where there is one."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from resource_gate.batch.local.find_comfyui import ComfyUI, find_comfyui, read_version

PROBE = Path(__file__).with_name("probe.py")
OLD_DEFAULT = Path("~/comfy-old/ComfyUI")
HOOKS = [line.removeprefix("def ").split("(")[0] for line in PROBE.read_text("utf-8").split("@hook\n")[1:]]


def installations() -> dict[str, Path]:
    """Version → folder. `COMFYUI_OLD_PATH` names an older one, which is run by the newer one's Python."""
    found = find_comfyui().comfyui
    old = Path(os.environ.get("COMFYUI_OLD_PATH") or OLD_DEFAULT).expanduser()
    paths = ([] if found is None else [found.path]) + ([old] if (old / "main.py").is_file() else [])
    return {read_version(path): path for path in paths}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "hook" in metafunc.fixturenames:
        metafunc.parametrize("hook", HOOKS)
    if "version" in metafunc.fixturenames:
        # Without any, one test is left for `missing` to tell why it does not run.
        metafunc.parametrize("version", list(installations()) or ["none"], scope="session")


@pytest.fixture(scope="session")
def comfyui(version: str) -> ComfyUI:
    """One of them, run by the newer one's Python."""
    newest = find_comfyui().comfyui
    assert newest is not None
    return ComfyUI(installations()[version], newest.python, version)


@pytest.fixture(scope="session")
def probed(version: str, comfyui: ComfyUI) -> dict[str, str]:
    """Hook → "" or what is different, in this ComfyUI."""
    done = subprocess.run(
        [str(comfyui.python), str(PROBE)],
        cwd=comfyui.path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("PROBED ")]
    assert told, f"ComfyUI {version} could not be looked at: {done.stderr[-2000:]}"
    answer: dict[str, str] = json.loads(told[0].removeprefix("PROBED "))
    return answer
