from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resource_gate.batch.joblist.plan import plan
from resource_gate.batch.joblist.rows import rows_from_csv
from resource_gate.batch.joblist.ui_texts import plain_text


@pytest.mark.parametrize(
    ("text", "made", "picked"),
    [
        ("a red car", "a red car", False),
        ("a {red|blue} car", "a red car", True),
        ("a {red} car", "a red car", False),
        ("{a {tiny|big} cat|a dog} runs", "a tiny cat runs", True),
        ("{|maybe} here", " here", True),
        (r"keep \{this\|that\}", "keep {this|that}", False),
        (r"{a\|b|c}", "a|b", True),
        ("one // not this\ntwo /* nor\nthis */three", "one \ntwo three", False),
        ("open {red|blue", "open red", True),
        ("ends with \\", "ends with \\", False),
        ("", "", False),
    ],
)
def test_a_text_becomes_what_the_ui_would_send_with_the_first_of_each_choice(
    text: str, made: str, picked: bool
) -> None:
    assert plain_text(text) == (made, picked)


def test_a_choice_in_a_text_is_told(
    write: Callable[[str, Any], Path], data: Callable[[str], Any], object_info: dict[str, Any]
) -> None:
    workflow = data("flat.ui.json")
    text = {"id": 99, "type": "CLIPTextEncode", "widgets_values": ["a {red|blue} car"], "inputs": [], "outputs": []}
    workflow["nodes"].append(text)
    listed = plan(write("w.json", workflow), rows_from_csv(write("j.csv", "name\na\n")), [], object_info)
    assert listed.jobs[0].graph["99"]["inputs"]["text"] == "a red car"
    assert listed.unchecked == (
        "node 99 (CLIP Text Encode (Prompt)), input text: of {this|that} the first is taken in every job; "
        "the UI would pick one at random.",
    )
