"""*Adaptive Batch Size* on a real ComfyUI whose card is too small: one prompt, tried with fewer and fewer items.

There is no card: a node raises torch's own error of one where it is asked for more items than would fit. Real ones are
in `tests/gpu`.
"""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.live

FITS = 19
TAKER = f"""
import torch

asked = []

class Take:
    CATEGORY = "tests"
    OUTPUT_NODE = True
    FUNCTION = "run"
    RETURN_TYPES = ()

    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{name: ("INT", {{}}) for name in ("width", "height", "batch_size", "seed")}}}}

    def run(self, width, height, batch_size, seed):
        print("asked for", batch_size, flush=True)
        if batch_size > {FITS}:
            raise torch.OutOfMemoryError("Allocation on device")
        return {{}}

NODE_CLASS_MAPPINGS = {{"Take": Take}}
"""


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def test_a_batch_that_is_too_large_is_halved_until_it_fits_and_the_client_sees_one_success(start_comfyui: Any) -> None:
    server = start_comfyui(extra_nodes={"taker": TAKER})
    for seed in range(3):
        prompt_id = server.client.submit(
            {
                "size": node("ResourceGateBatchSize", wanted=100, step=1, plus_one=False, keep_free=0.0),
                "take": node("Take", seed=seed, width=1024, height=1024, batch_size=["size", 0]),
                "show": node("PreviewAny", source=["size", 1]),
            }
        )
        end = server.client.wait_for_end(prompt_id, timeout=60)
        assert end.ok, end.reason
    asked = [int(line.split()[-1]) for line in server.log_tail(1_000_000).splitlines() if line.startswith("asked for")]
    assert asked[:4] == [100, 50, 25, 12]
    assert len(asked) == 6 and 12 < asked[4] < asked[5] <= FITS
