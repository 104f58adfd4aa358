from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from resource_gate.batch.joblist.definitions import Definitions
from resource_gate.batch.joblist.ui_convert import convert

Data = Callable[[str], Any]


def ui(nodes: list[dict[str, Any]], links: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"version": 0.4, "nodes": nodes, "links": links or [], **more}


def ui_node(number: int, kind: str, values: Any = None, mode: int = 0, **slots: Any) -> dict[str, Any]:
    inputs = [{"name": name, "type": slot[0], "link": slot[1]} for name, slot in slots.get("inputs", {}).items()]
    outputs = [{"name": kind, "type": kind, "links": []} for kind in slots.get("outputs", ())]
    return {"id": number, "type": kind, "mode": mode, "widgets_values": values, "inputs": inputs, "outputs": outputs}


@pytest.mark.parametrize("name", ["flat", "subgraphs"])
def test_a_workflow_becomes_the_prompt_that_the_frontend_makes_of_it(
    name: str, data: Data, definitions: Definitions
) -> None:
    made = convert(data(f"{name}.ui.json"), definitions)
    assert made.problems == ()
    assert made.graph == data(f"{name}.prompt.json")


def test_links_written_as_objects_mean_the_same_as_those_written_as_lists(data: Data, definitions: Definitions) -> None:
    workflow = data("flat.ui.json")
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    workflow["links"] = [dict(zip(keys, link, strict=True)) for link in workflow["links"]]
    workflow["version"] = 1
    assert convert(workflow, definitions).graph == data("flat.prompt.json")


def test_what_a_subgraph_shows_is_known_by_its_node(data: Data, definitions: Definitions) -> None:
    made = convert(data("subgraphs.ui.json"), definitions)
    assert made.titles["22"] == "First pass"
    assert made.aliases["22", "sigma"] == (("22:42:51", "sigma"),)


def test_the_older_list_of_shown_widgets_gives_its_values_too(data: Data, definitions: Definitions) -> None:
    workflow = data("subgraphs.ui.json")
    host = next(node for node in workflow["nodes"] if node["id"] == 22)
    host["properties"]["proxyWidgets"] = [["41", "height"], ["41", "width"]]
    host["widgets_values"] = [111, 222]
    inputs = convert(workflow, definitions).graph["22:41"]["inputs"]
    assert (inputs["width"], inputs["height"]) == (222, 111)


def test_a_seed_takes_two_values_and_a_choice_those_of_its_own_inputs(definitions: Definitions) -> None:
    sampler = ui_node(1, "KSampler", [7, "increment", 12, 3.0, "euler", "karras", 0.5])
    resize = ui_node(2, "ResizeImageMaskNode", ["scale by multiplier", 2.5, "bicubic"])
    graph = convert(ui([sampler, resize]), definitions).graph
    assert graph["1"]["inputs"] == {
        "seed": 7, "steps": 12, "cfg": 3.0, "sampler_name": "euler", "scheduler": "karras", "denoise": 0.5,
    }  # fmt: skip
    assert graph["2"]["inputs"] == {
        "resize_type": "scale by multiplier",
        "resize_type.multiplier": 2.5,
        "scale_method": "bicubic",
    }


def test_a_widget_newer_than_the_file_has_its_default(definitions: Definitions) -> None:
    graph = convert(ui([ui_node(1, "KSampler", [7, "fixed", 12])]), definitions).graph
    assert graph["1"]["inputs"]["denoise"] == 1.0
    assert graph["1"]["inputs"]["cfg"] == 8.0


def test_values_saved_by_name_are_read_by_name(definitions: Definitions) -> None:
    node = ui_node(1, "ImageScale", {"height": 20, "width": 10, "crop": "center", "upscale_method": "area", "x": 1})
    assert convert(ui([node]), definitions).graph["1"]["inputs"] == {
        "upscale_method": "area", "width": 10, "height": 20, "crop": "center",
    }  # fmt: skip


def test_a_value_that_is_a_list_is_not_taken_for_a_link(definitions: Definitions) -> None:
    graph = convert(ui([ui_node(1, "ImageCompare", [])]), definitions).graph
    assert graph["1"]["inputs"]["compare_view"] == {"__value__": ["", ""]}


def test_what_hangs_on_a_muted_node_loses_its_link(data: Data, definitions: Definitions) -> None:
    workflow = data("flat.ui.json")
    next(node for node in workflow["nodes"] if node["id"] == 12)["mode"] = 2
    graph = convert(workflow, definitions).graph
    assert "12" not in graph
    assert graph["6"]["inputs"] == {"images.image0": ["4", 0]}


def test_a_set_node_and_a_get_node_of_one_name_are_one_link(definitions: Definitions) -> None:
    nodes = [
        ui_node(1, "EmptyImage", [8, 8, 1, 0], outputs=["IMAGE"]),
        ui_node(2, "SetNode", ["picture"], inputs={"IMAGE": ("IMAGE", 1)}, outputs=["*"]),
        ui_node(3, "GetNode", ["picture"], outputs=["IMAGE"]),
        ui_node(4, "PreviewImage", [], inputs={"images": ("IMAGE", 2)}),
    ]
    made = convert(ui(nodes, [[1, 1, 0, 2, 0, "IMAGE"], [2, 3, 0, 4, 0, "IMAGE"]]), definitions)
    assert set(made.graph) == {"1", "4"}
    assert made.graph["4"]["inputs"]["images"] == ["1", 0]


def test_a_node_that_the_server_lacks_is_named_unless_it_is_linked_to_nothing(definitions: Definitions) -> None:
    nodes = [
        ui_node(1, "FancyLoader", [], outputs=["IMAGE"]),
        ui_node(2, "PreviewImage", [], inputs={"images": ("IMAGE", 1)}),
        ui_node(3, "PrettyLabel", ["hello"]),
    ]
    made = convert(ui(nodes, [[1, 1, 0, 2, 0, "IMAGE"]]), definitions)
    assert [str(problem) for problem in made.problems] == [
        "node 1 (FancyLoader): the server has no node 'FancyLoader'; "
        "expected one that it has: install what brings it, or mute it"
    ]


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (ui_node(1, "workflow>Upscale", []), "node 1 (workflow>Upscale): it is a group node"),
        (ui_node(1, "Load3D", ["a.glb", "x", 1, 1]), "node 1 (Load 3D & Animation): the browser fills it in"),
        (ui_node(1, "PreviewImage", [], inputs={"images": ("IMAGE", 9)}), "input images: link 9 is not in the file"),
    ],
)
def test_what_cannot_be_made_a_prompt_is_refused_with_its_place(
    node: dict[str, Any], text: str, definitions: Definitions
) -> None:
    assert text in str(convert(ui([node]), definitions).problems[0])


def test_reroutes_that_lead_in_a_circle_are_named(definitions: Definitions) -> None:
    nodes = [
        ui_node(1, "Reroute", None, inputs={"": ("*", 2)}, outputs=["*"]),
        ui_node(2, "Reroute", None, inputs={"": ("*", 1)}, outputs=["*"]),
        ui_node(3, "PreviewImage", [], inputs={"images": ("IMAGE", 3)}),
    ]
    links = [[1, 1, 0, 2, 0, "*"], [2, 2, 0, 1, 0, "*"], [3, 2, 0, 3, 0, "IMAGE"]]
    assert "in a circle" in str(convert(ui(nodes, links), definitions).problems[0])


def test_a_subgraph_that_holds_itself_is_refused(data: Data, definitions: Definitions) -> None:
    workflow = data("subgraphs.ui.json")
    outer = workflow["definitions"]["subgraphs"][0]
    outer["nodes"].append({**copy.deepcopy(outer["nodes"][1]), "id": 77, "type": outer["id"], "inputs": []})
    with pytest.raises(ValueError, match="holds itself"):
        convert(workflow, definitions)


def test_a_file_of_another_shape_is_refused(definitions: Definitions) -> None:
    with pytest.raises(ValueError, match="no workflow that ComfyUI's UI saved"):
        convert({"nodes": [{"type": "KSampler"}], "links": []}, definitions)
