"""The package as the registry would hold it: what git tracks, without what `.comfyignore` names."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pathspec
import pytest

ROOT = Path(__file__).parents[2]


def shipped_files() -> list[str]:
    """Paths from the root with forward slashes, chosen as comfy-cli's `zip_files` does."""
    lines = [s for line in (ROOT / ".comfyignore").read_text("utf-8").splitlines() if (s := line.strip())]
    ignored = pathspec.GitIgnoreSpec.from_lines(line for line in lines if not line.startswith("#"))
    # What is not committed yet, too: a new file must be seen before it is in the index, not after.
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted({f for f in listed.stdout.splitlines() if (ROOT / f).is_file() and not ignored.match_file(f)})


@pytest.fixture(scope="session")
def shipped() -> list[str]:
    """What would be published."""
    return shipped_files()


@pytest.fixture
def installed(shipped: list[str], tmp_path: Path) -> Path:
    """The package as ComfyUI-Manager would unpack it."""
    folder = tmp_path / "custom_nodes" / "resource-gate"
    for name in shipped:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT
