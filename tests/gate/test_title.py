from __future__ import annotations

import pytest

from resource_gate.gate.title import LONGEST, title_of

SAVE = {"class_type": "SaveImage", "inputs": {"filename_prefix": "video/cat\n night"}, "_meta": {"title": "Save it"}}
SHOW = {"class_type": "PreviewImage", "inputs": {}, "_meta": {"title": "My preview"}}
PLAIN = {"class_type": "PreviewImage", "inputs": {}}


@pytest.mark.parametrize(
    ("graph", "outputs", "extra", "title"),
    [
        ({"1": PLAIN, "2": SAVE}, ["2"], {}, "video/cat night"),
        ({"1": SHOW}, ["1"], {}, "My preview"),
        ({"1": PLAIN}, ["1"], {}, "PreviewImage"),
        ({"1": SHOW, "2": SAVE}, [], {}, "My preview"),
        ({"1": SAVE}, ["1"], {"extra_pnginfo": {"workflow": {"name": "Cats"}}}, "Cats"),
        ({"1": SAVE}, ["1"], {"extra_pnginfo": {"workflow": {"name": 5}}}, "video/cat night"),
        ({"1": SAVE}, ["1"], {"extra_pnginfo": "odd"}, "video/cat night"),
        ({"1": {"inputs": {"filename_prefix": ["2", 0]}}, "2": "odd"}, ["gone", "1"], {}, ""),
        ({}, [], {}, ""),
    ],
)
def test_a_prompt_is_named_by_its_workflow_else_by_what_it_writes(graph, outputs, extra, title):
    assert title_of(graph, outputs, extra) == title


def test_a_title_is_short():
    node = {"class_type": "S", "inputs": {"filename_prefix": "x" * 1000}}
    assert title_of({"1": node}, ["1"]) == "x" * LONGEST
