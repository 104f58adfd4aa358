"""Node definitions of a real ComfyUI 0.33.0 (a few classes, tooltips left out), and workflows.

`data/*.ui.json` were loaded by ComfyUI's frontend 1.49.6 in Chromium; `data/*.prompt.json` is what its
`graphToPrompt` made of them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resource_gate.batch.joblist.definitions import Definitions

DATA = Path(__file__).parent / "data"


def read(name: str) -> Any:
    return json.loads((DATA / name).read_text("utf-8"))


@pytest.fixture(scope="session")
def _object_info() -> dict[str, Any]:
    info: dict[str, Any] = read("object_info.json")
    info["LoadVideo"]["input"]["required"]["file"][1]["options"] = ["clip.mp4"]
    info["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][1]["options"] = ["good.safetensors"]
    return info


@pytest.fixture
def object_info(_object_info: dict[str, Any]) -> dict[str, Any]:
    """What the server answers; a copy, to be broken at will."""
    return copy.deepcopy(_object_info)


@pytest.fixture(scope="session")
def definitions(_object_info: dict[str, Any]) -> Definitions:
    return Definitions(_object_info)


@pytest.fixture
def data() -> Callable[[str], Any]:
    """Reads a file of `data/`."""
    return read


@pytest.fixture
def graph() -> dict[str, Any]:
    """A small workflow in API format that the server takes: load a clip, resize it, save it."""

    def node(class_type: str, title: str, **inputs: Any) -> dict[str, Any]:
        return {"class_type": class_type, "inputs": inputs, "_meta": {"title": title}}

    size = {"resize_type": "scale dimensions", "resize_type.width": 640, "resize_type.height": 360}
    return {
        "1": node("LoadVideo", "Clip", file="clip.mp4"),
        "2": node("GetVideoComponents", "Parts", video=["1", 0]),
        "3": node(
            "ResizeImageMaskNode",
            "Resize",
            input=["2", 0],
            scale_method="area",
            **size,
            **{"resize_type.crop": "center"},
        ),
        "4": node("CreateVideo", "Clip again", images=["3", 0], fps=24.0, bit_depth=8),
        "5": node(
            "SaveVideo", "Save", video=["4", 0], filename_prefix="video/out", format="auto", **{"format.codec": "auto"}
        ),
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], Path]:
    """Writes a file below the test's folder: bytes and texts as they are, anything else as JSON."""

    def put(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return path

    return put
