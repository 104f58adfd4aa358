"""Two copies in `custom_nodes`, as ComfyUI-Manager and a git clone leave them: one works, the other says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.live

ROOT = Path(__file__).resolve().parents[2]

GATE = {"ram_percent": 85, "vram_percent": 95, "free_disk_gb": 0.1, "wait_seconds": 1, "on_timeout": "continue"}
PROMPT = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 32, "batch_size": 1, "color": 3}},
    "2": {"class_type": "ResourceGate", "inputs": GATE | {"value": ["1", 0]}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
}


def test_of_two_copies_one_works_and_the_other_says_so_once(start_comfyui: Any) -> None:
    server = start_comfyui()
    server.stop()
    (server.base / "custom_nodes" / "second-copy").symlink_to(ROOT, target_is_directory=True)
    server.start()
    client = server.client
    for _ in range(2):
        assert client.wait_for_end(client.submit(PROMPT), timeout=60).ok
    assert client.status()["batch"]["done"] == 2
    told = [line for line in server.log_tail(1_000_000).splitlines() if "Resource Gate runs already" in line]
    assert len(told) == 1
    assert f"{server.base / 'custom_nodes' / 'resource-gate'};" in told[0]
