"""An emergency in a running prompt of a real ComfyUI: interrupted, queued again first, finished once, unseen."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytestmark = pytest.mark.live

MIB = 1024**2

FILLER = """
import time
import torch
import comfy.model_management

class Keep:
    \"\"\"Leaves 700 MB in the cache.\"\"\"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "test"

    def run(self):
        return (torch.ones(1, 700 * 1024 * 256, 1, 1),)

class Use:
    \"\"\"Takes them; nothing after it does.\"\"\"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"kept": ("IMAGE",)}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "test"

    def run(self, kept):
        return (kept[:, :8, :, :].clone(),)

class Fill:
    \"\"\"Grows by 900 MB in small steps, as no arithmetic could foresee; looks for an interrupt at each.\"\"\"

    runs = 0

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"used": ("IMAGE",)}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    OUTPUT_NODE = True
    CATEGORY = "test"

    def run(self, used):
        Fill.runs += 1
        print("Fill runs", Fill.runs, flush=True)
        parts = []
        for _ in range(90):
            comfy.model_management.throw_exception_if_processing_interrupted()
            parts.append(torch.ones(10 * 1024 * 256))
            time.sleep(0.03)
        return {"ui": {"text": [str(Fill.runs)]}, "result": (torch.zeros(1, 8, 8, 3),)}

NODE_CLASS_MAPPINGS = {"TestKeep": Keep, "TestUse": Use, "TestFill": Fill}
"""


def test_a_prompt_interrupted_in_an_emergency_ends_once_and_well_for_who_waits(start_comfyui: Any) -> None:
    server = start_comfyui(extra_nodes={"filler": FILLER}, limit=2048 * MIB)
    client = server.client
    prompt_id = client.submit(
        {
            "1": {"class_type": "TestKeep", "inputs": {}},
            "2": {"class_type": "TestUse", "inputs": {"kept": ["1", 0]}},
            "3": {"class_type": "TestFill", "inputs": {"used": ["2", 0]}},
        }
    )
    seen = set()
    give_up = time.monotonic() + 120
    end = None
    while end is None:
        assert time.monotonic() < give_up
        end = client.history(prompt_id)
        if end is None and prompt_id not in client.queue().ids:
            end = client.history(prompt_id)
            assert end is not None, "for a moment nobody knew of the prompt"
        seen.add(client.status()["level"])
        time.sleep(0.05)
    assert end.ok, end.reason
    log = server.log_tail(1_000_000)
    assert log.count("put it back first in line, once") == 1
    assert "Fill runs 2" in log
    assert "Fill runs 3" not in log
    assert "emergency" in seen
