"""The example workflows on a real ComfyUI: each node type and input exists there, and it offers them as templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.live

FOLDER = Path(__file__).parents[2] / "example_workflows"
WORKFLOWS = sorted(FOLDER.glob("*.json"))
IN_THE_BROWSER = {"MarkdownNote"}
"""Types that the frontend knows and the server does not."""


def inputs_of(info: dict[str, Any]) -> set[str]:
    return {name for group in ("required", "optional") for name in info["input"].get(group, {})}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_node_and_input_exists_and_nothing_required_is_left_open(path: Path, client: Any) -> None:
    known = client.call("GET", "/object_info")
    for node in json.loads(path.read_text("utf-8"))["nodes"]:
        if node["type"] in IN_THE_BROWSER:
            continue
        info = known[node["type"]]
        slots = {slot["name"]: slot for slot in node["inputs"]}
        # A choice that brings inputs of its own calls them by both names: format.codec.
        assert {name.partition(".")[0] for name in slots} <= inputs_of(info)
        for name in info["input"].get("required", {}):
            assert slots[name]["link"] is not None or "widget" in slots[name], (node["type"], name)
        assert [slot["name"] for slot in node["outputs"]] == list(info["output_name"])


def test_comfyui_offers_them_as_templates(client: Any) -> None:
    offered = client.call("GET", "/workflow_templates")
    assert sorted(path.stem for path in WORKFLOWS) in [sorted(names) for names in offered.values()]
