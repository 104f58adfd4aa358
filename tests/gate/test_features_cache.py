"""Features out of the cache are those that would be read."""

from __future__ import annotations

import copy

import pytest

from resource_gate.batch.trial.sample_jobs import ClipSize, plain_clip
from resource_gate.gate.host import Queued
from resource_gate.gate.prediction.features import features_of
from resource_gate.gate.prediction.features_cache import KEPT, SHORT, FeaturesCache

GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 32, "batch_size": 4, "color": 1}},
    "2": {"class_type": "KSampler", "inputs": {"image": ["1", 0], "seed": 5, "steps": 20, "cfg": 7.5, "denoise": 1e-3}},
    "3": {"class_type": "Save", "inputs": {"images": ["2", 0], "text": 'he said "steps":5, and "seed":6}', "x": -1}},
    "4": {"class_type": "PrimitiveInt", "inputs": {"value": 16}},
}


def asked(cache, graph, outputs=("3",)):
    return cache.of(Queued("a", 0, graph, outputs))


def with_number(node, name, value):
    graph = copy.deepcopy(GRAPH)
    graph[node]["inputs"][name] = value
    return graph


@pytest.mark.parametrize(("node", "name"), [("1", "color"), ("2", "seed"), ("2", "cfg"), ("2", "denoise"), ("3", "x")])
@pytest.mark.parametrize("value", [2, -3, 1.5e-7, 2**63])
def test_a_number_that_says_nothing_of_the_size_is_no_reason_to_read_it_again(node, name, value):
    cache = FeaturesCache()
    first = asked(cache, GRAPH)
    assert asked(cache, with_number(node, name, value)) is first


@pytest.mark.parametrize(
    ("node", "name", "value"),
    [
        ("1", "width", 128),
        ("1", "batch_size", 9),
        ("2", "steps", 30),
        ("3", "text", "another"),
        ("3", "images", ["1", 0]),
        ("4", "value", 17),
        ("2", "scale_by", 2.0),
    ],
)
def test_every_other_difference_is_read(node, name, value):
    cache = FeaturesCache()
    asked(cache, GRAPH)
    graph = with_number(node, name, value)
    assert asked(cache, graph) == features_of(graph, ("3",))


def test_whatever_number_is_changed_the_features_are_those_that_would_be_read():
    cache = FeaturesCache()
    graph = plain_clip(1, ClipSize(97)).graph
    for node_id, node in graph.items():
        for name, value in node["inputs"].items():
            if isinstance(value, (int, float)):
                other = copy.deepcopy(graph)
                other[node_id]["inputs"][name] = value + 1
                assert asked(cache, other, ("save",)) == features_of(other, ("save",))
    assert asked(cache, graph, ("save",)) == features_of(graph, ("save",))


def test_a_large_graph_is_read_once_too_and_its_text_is_not_kept():
    cache = FeaturesCache()
    large = GRAPH | {f"n{i}": {"class_type": "Note", "inputs": {"text": "x" * 100, "seed": i}} for i in range(1000)}
    first = asked(cache, large)
    again = copy.deepcopy(large)
    again["n5"]["inputs"]["seed"] = again["2"]["inputs"]["seed"] = 77
    assert asked(cache, again) is first
    again["n5"]["class_type"] = "Node"
    assert asked(cache, again) is not first
    assert all(len(key[0]) <= SHORT for key in cache._known)


def test_two_sizes_that_change_places_are_another_graph():
    cache = FeaturesCache()
    asked(cache, GRAPH)
    turned = copy.deepcopy(GRAPH)
    turned["1"]["inputs"] |= {"width": 32, "height": 64, "batch_size": 8}
    assert asked(cache, turned) == features_of(turned, ("3",)) != asked(cache, GRAPH)


def test_other_outputs_are_another_prompt():
    cache = FeaturesCache()
    assert asked(cache, GRAPH, ("1",)).kinds == ("EmptyImage",)
    assert len(asked(cache, GRAPH, ("3",)).kinds) == 3


def test_no_more_than_so_many_graphs_are_kept():
    cache = FeaturesCache()
    for width in range(1, KEPT + 10):
        asked(cache, with_number("1", "width", width))
    assert len(cache._known) == KEPT
