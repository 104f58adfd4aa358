"""The example workflows: pictures beside them, links that hold, and our nodes wired by their real names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from resource_gate.nodes.passing import passing_nodes

FOLDER = Path(__file__).parents[1] / "example_workflows"
WORKFLOWS = sorted(FOLDER.glob("*.json"))
OURS = {spec.id: spec for spec in passing_nodes()}
LARGEST_PICTURE = 150_000


def load(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


def test_there_are_some_and_nothing_else_lies_there():
    assert len(WORKFLOWS) >= 3
    assert {p.name for p in FOLDER.iterdir()} == {p.stem + end for p in WORKFLOWS for end in (".json", ".jpg")}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_has_a_picture_that_is_small_enough_for_a_list(path):
    picture = path.with_suffix(".jpg").read_bytes()
    assert picture[:3] == b"\xff\xd8\xff" and len(picture) <= LARGEST_PICTURE


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_link_joins_an_output_and_an_input_that_know_of_it(path):
    workflow = load(path)
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for link, source, out, target, into, _ in workflow["links"]:
        assert link in nodes[source]["outputs"][out]["links"]
        assert nodes[target]["inputs"][into]["link"] == link
    assert {slot["link"] for node in nodes.values() for slot in node["inputs"]} - {None} == {
        link[0] for link in workflow["links"]
    }


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_our_nodes_in_it_have_the_names_and_the_order_of_the_real_ones(path):
    found = [node for node in load(path)["nodes"] if node["type"].startswith("ResourceGate")]
    assert found
    for node in found:
        spec = OURS[node["type"]]
        assert node["properties"]["cnr_id"] == "resource-gate"
        widgets = [slot["name"] for slot in node["inputs"] if "widget" in slot]
        assert widgets == [w.name for w in spec.widgets]
        for widget, value in zip(spec.widgets, node.get("widgets_values") or (), strict=True):
            if widget.kind == "choice":
                assert value in widget.choices
            elif widget.kind == "bool":
                assert isinstance(value, bool)
            else:
                assert widget.low <= value <= widget.high
