"""A prompt is checked before it is queued, and refused as ComfyUI refuses it."""

from __future__ import annotations

import pytest

from resource_gate.host.embedded_graph import PromptRefused, checked, order_of
from resource_gate.host.embedded_nodes import NODES


def refused(graph, only=None):
    with pytest.raises(PromptRefused) as caught:
        checked(graph, NODES, only)
    error = caught.value.error
    assert set(error) == {"type", "message", "details", "extra_info"}
    return caught.value


def node_error(graph, node_id):
    value = refused(graph)
    assert value.error["type"] == "prompt_outputs_failed_validation"
    told = value.node_errors[node_id]
    assert told["class_type"] == graph[node_id]["class_type"]
    assert told["dependent_outputs"] == ["4"]
    return told["errors"][0]


@pytest.mark.parametrize("graph", [None, [], {}, 7, "text"])
def test_what_is_no_graph_is_refused(graph):
    assert refused(graph).error["type"] == "invalid_prompt"


@pytest.mark.parametrize("node", [None, [], 7, {"class_type": "EmptyImage", "inputs": []}])
def test_what_is_no_node_is_refused(node):
    assert refused({"1": node}).error["type"] == "invalid_prompt"


@pytest.mark.parametrize(
    "node", [{}, {"class_type": None}, {"class_type": "NoSuchNode", "inputs": {}}, {"class_type": []}]
)
def test_an_unknown_kind_of_node_is_refused_by_its_name_and_id(node):
    value = refused({"12": node})
    assert value.error["type"] == "missing_node_type"
    assert "12" in value.error["details"]


def test_a_graph_without_an_output_node_is_refused(clip):
    graph = clip()
    del graph["4"]
    assert refused(graph).error["type"] == "prompt_no_outputs"
    assert refused(clip(), only=["3"]).error["type"] == "prompt_no_outputs"


@pytest.mark.parametrize(
    ("node", "name", "value", "kind", "part"),
    [
        ("1", "width", "wide", "invalid_input_type", "width"),
        ("1", "width", None, "invalid_input_type", "width"),
        ("1", "width", float("inf"), "invalid_input_type", "width"),
        ("1", "width", 0, "value_smaller_than_min", "width"),
        ("1", "batch_size", 5000, "value_bigger_than_max", "batch_size"),
        ("3", "fps", float("nan"), "invalid_input_type", "fps"),
        ("2", "upscale_method", "magic", "value_not_in_list", "magic"),
        ("2", "upscale_method", {}, "value_not_in_list", "upscale_method"),
        ("2", "image", 5, "invalid_input_type", "image"),
        ("2", "image", ["1"], "bad_linked_input", "image"),
        ("2", "image", ["99", 0], "bad_linked_input", "'99'"),
        ("2", "image", ["1", 3], "bad_linked_input", "output 3"),
        ("2", "image", ["1", True], "bad_linked_input", "image"),
        ("2", "image", ["1", 0.5], "bad_linked_input", "image"),
        ("2", "image", ["3", 0], "return_type_mismatch", "VIDEO"),
    ],
)
def test_a_wrong_input_is_named_with_its_node(clip, node, name, value, kind, part):
    graph = clip()
    graph[node]["inputs"][name] = value
    if kind == "return_type_mismatch":  # and no cycle besides
        graph["3"]["inputs"]["images"] = ["1", 0]
        graph["4"]["inputs"]["video"] = ["2", 0]
        told = refused(graph).node_errors["2"]["errors"][0]
    else:
        told = node_error(graph, node)
    assert told["type"] == kind
    assert part in told["details"]
    assert told["extra_info"]["input_name"] == name


def test_a_missing_input_is_named_with_its_node(clip):
    graph = clip()
    del graph["1"]["inputs"]["width"]
    told = node_error(graph, "1")
    assert (told["type"], told["details"]) == ("required_input_missing", "width")


def test_a_circle_is_refused_with_its_path(clip):
    graph = clip()
    graph["5"] = {"class_type": "ImageScale", "inputs": dict(graph["2"]["inputs"], image=["2", 0])}
    graph["2"]["inputs"]["image"] = ["5", 0]
    told = node_error(graph, "2")
    assert told["type"] == "dependency_cycle"
    assert "5 (ImageScale)" in told["details"]


def test_a_chain_of_ten_thousand_nodes_is_no_trouble():
    graph = {"0": {"class_type": "EmptyImage", "inputs": {"width": 1, "height": 1, "batch_size": 1, "color": 0}}}
    for i in range(1, 10_000):
        graph[str(i)] = {"class_type": "PreviewImage", "inputs": {"images": [str(i - 1), 0]}}
    prompt = checked(graph, NODES, only=["9999"])
    to_run, taken = order_of(prompt.targets, prompt.graph, lambda node: False)
    assert to_run == [str(i) for i in range(10_000)]
    assert taken == []


def test_values_are_converted_to_the_types_their_inputs_ask_for(clip):
    graph = clip()
    graph["1"]["inputs"]["width"] = "32"
    graph["3"]["inputs"]["fps"] = 24
    prompt = checked(graph, NODES)
    assert prompt.graph["1"]["inputs"]["width"] == 32
    assert isinstance(prompt.graph["3"]["inputs"]["fps"], float)
    assert graph["1"]["inputs"]["width"] == "32", "what the client sent is left as it was"


def test_outputs_that_are_right_run_although_another_is_wrong(clip):
    graph = clip()
    graph["5"] = {"class_type": "PreviewImage", "inputs": {"images": ["77", 0]}}
    prompt = checked(graph, NODES)
    assert prompt.targets == ("4",)
    assert prompt.node_errors["5"]["dependent_outputs"] == ["5"]


def test_a_key_changes_with_the_values_before_it_and_not_with_ids_or_those_behind_it(clip):
    graph = clip(prefix="one")
    same = {{"1": "a", "2": "b", "3": "c", "4": "d"}[i]: n for i, n in clip(prefix="two").items()}
    for node in same.values():
        for name, value in node["inputs"].items():
            if isinstance(value, list):
                node["inputs"][name] = [{"1": "a", "2": "b", "3": "c"}[value[0]], value[1]]
    keys, other = checked(graph, NODES).keys, checked(same, NODES).keys
    assert [keys[i] for i in "123"] == [other[i] for i in "abc"]
    assert keys["4"] != other["d"]
    recolored = checked(clip(color=1), NODES).keys
    assert all(recolored[i] != keys[i] for i in "1234")


def test_nothing_behind_a_cached_node_is_run_and_one_output_is_finished_before_the_next(clip):
    graph = clip()
    graph["5"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    prompt = checked(graph, NODES)
    assert order_of(prompt.targets, prompt.graph, {"2"}.__contains__) == (["3", "4", "1", "5"], ["2"])
    assert order_of(prompt.targets, prompt.graph, {"4"}.__contains__) == (["1", "5"], ["4"])
