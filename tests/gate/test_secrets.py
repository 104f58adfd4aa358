from __future__ import annotations

import json

import pytest

from resource_gate.gate.host import Queued
from resource_gate.gate.journal.journal import Journal
from resource_gate.gate.secrets import may_hold_secrets, names_a_secret, without_secrets


@pytest.mark.parametrize(
    "name",
    [
        *("auth_token_comfy_org", "api_key_comfy_org", "api_key", "apiKey", "API-Key", "hf_token", "token", "password"),
        *("clientSecret", "Authorization", "access_key", "private_key", "session_cookie", "aws_secret_access_key"),
    ],
)
def test_names_of_keys_tokens_and_passwords_are_known(name):
    assert names_a_secret(name)
    assert may_hold_secrets(json.dumps({"1": {"inputs": {name: "x"}}}))


@pytest.mark.parametrize(
    "name", ["to\u212aen", "\u017fecret", "api_\u212aey", "passphrase", "my_credentials", "sensitive", "bearer"]
)
def test_a_text_without_any_part_of_such_a_name_is_passed_over_and_no_other(name):
    assert names_a_secret(name) <= may_hold_secrets(json.dumps({"a": {name: 1}}))
    assert not may_hold_secrets('{"1":{"class_type":"EmptyImage","inputs":{"width":8,"seed":5,"text":"a cat"}}}')


@pytest.mark.parametrize("name", ["max_tokens", "key", "keyframe", "seed", "tokens", "monkey", "text", "key_color"])
def test_names_that_only_look_alike_are_not(name):
    assert not names_a_secret(name)


def test_secrets_of_the_extra_data_go_and_the_graph_can_still_be_run():
    graph = {"1": {"class_type": "Save", "inputs": {"text": "x", "max_tokens": 5}}}
    extra = {"client_id": "me", "api_key_comfy_org": "comfyui-123456", "more": [{"password": "hunter22", "a": 1}]}
    assert without_secrets(graph, extra) == (graph, {"client_id": "me", "more": [{"a": 1}]}, [])


def test_a_key_in_the_graph_goes_everywhere_and_is_told():
    graph = {
        "1": {"class_type": "Ask", "inputs": {"api_key": "sk-123456", "text": "hello", "model": ["2", 0]}},
        "2": {"class_type": "Load", "inputs": {"name": "sk-123456"}},
    }
    extra = {"extra_pnginfo": {"workflow": {"nodes": [{"widgets_values": ["sk-123456", "hello"]}]}}}
    kept, told, taken = without_secrets(graph, extra)
    assert "sk-123456" not in repr((kept, told))
    assert kept["1"]["inputs"] == {"api_key": "", "text": "hello", "model": ["2", 0]}
    assert told == {"extra_pnginfo": {"workflow": {"nodes": [{"widgets_values": ["", "hello"]}]}}}
    assert taken == ["1.api_key", "2.name"]


def widget(name):
    return {"name": name, "type": "STRING", "widget": {"name": name}, "link": None}


@pytest.mark.parametrize(
    ("inputs", "held", "kept"),
    [
        (["api_key", "text"], ["sk-123456", "hello"], ["", "hello"]),
        (["text", "api_key"], ["hello", "sk-1"], ["hello", ""]),
        # One more than there are names, as of the buttons beside a seed: which is which cannot be told.
        (["seed", "api_key"], [7, "randomize", "sk-123456"], [7, "", ""]),
        (["seed", "text"], [7, "randomize", "hello"], [7, "randomize", "hello"]),
        (["api_key", "text"], {"api_key": "sk-123456", "text": "hello"}, {"text": "hello"}),
    ],
)
def test_a_key_in_a_node_that_is_muted_stands_in_the_browsers_copy_alone_and_goes(inputs, held, kept):
    """The graph has no such node, so its value is known by the names that the copy gives to widgets."""
    graph = {"1": {"class_type": "Save", "inputs": {"text": "randomize"}}}
    slots = [{"name": "image", "type": "IMAGE", "link": 3}, *map(widget, inputs)]
    node = {"id": 2, "mode": 2, "type": "Ask", "inputs": slots, "widgets_values": held}
    workflow = {"nodes": [], "definitions": {"subgraphs": [{"nodes": [node]}]}}
    same, told, taken = without_secrets(graph, {"extra_pnginfo": {"workflow": workflow}})
    assert "sk-" not in repr(told)
    found = told["extra_pnginfo"]["workflow"]["definitions"]["subgraphs"][0]["nodes"][0]
    assert found == {**node, "widgets_values": kept}
    assert (same, taken) == (graph, []), "what runs is not touched"


def test_a_key_in_a_muted_node_goes_from_where_else_it_stands():
    graph = {"1": {"class_type": "Load", "inputs": {"name": "sk-123456"}}}
    node = {"inputs": [widget("token")], "widgets_values": ["sk-123456"]}
    kept, _, taken = without_secrets(graph, {"workflow": {"nodes": [node]}})
    assert kept["1"]["inputs"] == {"name": ""} and taken == ["1.name"]


@pytest.mark.parametrize(
    "node",
    [
        {"inputs": None, "widgets_values": ["a"]},
        {"inputs": ["api_key", 3, {"name": ["api_key"], "widget": 1}], "widgets_values": ["a"]},
        {"inputs": [{"name": "api_key", "widget": {}}], "widgets_values": "sk"},
        {"inputs": [{"name": "api_key", "widget": {}}], "widgets_values": [None, {"a": ["b"]}]},
    ],
)
def test_a_copy_that_is_none_stays_as_it_is(node):
    extra = {"workflow": {"nodes": [node]}}
    assert without_secrets({}, extra) == ({}, extra, [])


def test_a_key_that_comes_through_a_link_or_is_empty_is_no_secret():
    graph = {"1": {"class_type": "Ask", "inputs": {"api_key": ["2", 0], "token": ""}}}
    assert without_secrets(graph, {}) == (graph, {}, [])


def test_the_file_holds_none_of_them(tmp_path):
    journal = Journal(tmp_path)
    journal.open()
    graph = {"1": {"class_type": "Ask", "inputs": {"api_key": "sk-graph-key"}}}
    journal.accepted(Queued("a", 0.0, graph, ("1",), {"auth_token_comfy_org": "sk-extra-key"}))
    stripped = journal.rows.jobs(1)[0]["stripped"]
    journal.close()
    kept = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert b"Ask" in kept
    assert b"sk-" not in kept
    assert stripped == "1.api_key"
