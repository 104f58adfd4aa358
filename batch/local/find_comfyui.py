"""Finds a ComfyUI on this machine, and the Python that runs it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PATH_VARIABLE = "COMFYUI_PATH"
PYTHON_VARIABLE = "COMFYUI_PYTHON"
DEFAULT_PATH = Path("comfy/ComfyUI")
"""Below the home folder: where comfy-cli installs."""
PYTHONS = (
    ".venv/bin/python",
    "venv/bin/python",
    ".venv/Scripts/python.exe",
    "venv/Scripts/python.exe",
    "../python_embeded/python.exe",  # the Windows portable build; its folder is spelt like this
)


@dataclass(frozen=True)
class ComfyUI:
    """One installation: its folder, the Python that runs it, and its version (`unknown` where it does not say)."""

    path: Path
    python: Path
    version: str


@dataclass(frozen=True)
class Finding:
    """What came of the search: an installation, or the reason why there is none."""

    comfyui: ComfyUI | None
    reason: str


def find_comfyui(environment: Mapping[str, str] | None = None, home: Path | None = None) -> Finding:
    """Look where `COMFYUI_PATH` says, else in `~/comfy/ComfyUI`; a set path that is wrong is told, not passed over.

    Args:
        environment: where the two variables are looked up; the process's own by default.
        home: the home folder; the user's own by default.
    """
    environment = os.environ if environment is None else environment
    set_path = environment.get(PATH_VARIABLE, "")
    path = Path(set_path).expanduser() if set_path else (home or Path.home()) / DEFAULT_PATH
    where = f"{PATH_VARIABLE}={set_path}" if set_path else f"~/{DEFAULT_PATH.as_posix()}"
    if not (path / "main.py").is_file() or not (path / "folder_paths.py").is_file():
        hint = "" if set_path else f", and {PATH_VARIABLE} is not set"
        return Finding(None, f"no ComfyUI in {where}{hint}")
    path = path.resolve()
    set_python = environment.get(PYTHON_VARIABLE, "")
    if set_python:
        python = Path(set_python).expanduser()
        if not python.is_file():
            return Finding(None, f"{PYTHON_VARIABLE}={set_python} is not a file")
    else:
        found = [path / name for name in PYTHONS if (path / name).is_file()]
        if not found:
            return Finding(None, f"the ComfyUI in {where} has no Python of its own; set {PYTHON_VARIABLE}")
        python = found[0]
    version = read_version(path)
    # Absolute but not resolved: a virtual environment's python is a link, and is known by the link's place.
    return Finding(ComfyUI(path, python.absolute(), version), f"ComfyUI {version} in {where}")


def read_version(path: Path) -> str:
    """Read the version from `comfyui_version.py` as text: importing it would need its Python."""
    try:
        text = (path / "comfyui_version.py").read_text("utf-8", "replace")
    except OSError:
        return "unknown"
    match = re.search(r"""^__version__\s*=\s*["']([^"']+)["']""", text, re.MULTILINE)
    return match[1] if match else "unknown"
