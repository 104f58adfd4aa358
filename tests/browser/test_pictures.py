"""`make pictures` still makes its pictures: run as it is, for two that need no ComfyUI."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.browser


def test_a_picture_is_made_of_each_state_that_is_asked_for(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tools" / "pictures.py"), "--only", "idle,emergency", "--to", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["panel-emergency-dark.png", "panel-idle-dark.png"]
    for name, width in (("panel-emergency-dark.png", 312), ("panel-idle-dark.png", 360)):
        with Image.open(tmp_path / name) as picture:
            assert picture.width == width
            assert picture.height > 800, "the whole page, not what fits on a screen"
            assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 50, "not an empty page"
