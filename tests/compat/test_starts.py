"""On every ComfyUI at hand the extension starts whole: hooks in force, gate, journal, freeing and status at work."""

from __future__ import annotations

import pytest

from resource_gate.batch.local.find_comfyui import find_comfyui
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec
from resource_gate.host.comfyui_hooks import QUEUE_HOOKS

pytestmark = pytest.mark.live

GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 512, "height": 512, "batch_size": 8, "color": 7}},
    "2": {
        "class_type": "ResourceGate",
        "inputs": {
            "value": ["1", 0],
            "ram_percent": 100,
            "vram_percent": 100,
            "free_disk_gb": 0.0,
            "wait_seconds": 1,
            "on_timeout": "fail",
        },
    },
    "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
}


@pytest.fixture
def packages(tmp_path):
    """A stand-in for the templates package: the newer one's, which also runs the old ComfyUI, lies elsewhere inside."""
    templates = tmp_path / "packages" / "comfyui_workflow_templates" / "templates"
    templates.mkdir(parents=True)
    (templates.parent / "__init__.py").touch()
    return templates.parents[1]


@pytest.fixture
def server(comfyui, packages, tmp_path):
    newest = comfyui == find_comfyui().comfyui
    environment = {} if newest else {"PYTHONPATH": str(packages)}
    with ServerProcess(ServerSpec(comfyui, environment=environment), tmp_path / "comfyui") as started:
        yield started


def test_the_extension_starts_whole_and_works(server):
    ask = server.client.call
    report = ask("GET", "/resource_gate/doctor")
    hooks = {f"prompt_queue.{name}": use for name, use in QUEUE_HOOKS.items()}
    assert report["off"] == {}
    assert report["hooks"] == hooks | {"nodes.before_node_execution": "looks at the memory before a node"}

    prompt = server.client.submit(GRAPH)
    assert server.client.wait_for_end(prompt, 60).ok
    jobs = {job["id"]: job["state"] for job in ask("GET", "/resource_gate/batch")["jobs"]}
    assert jobs == {prompt: "done"}

    status = server.client.status()
    assert status["gate"]["state"] == "open" and status["worker_alive"] is True
    assert status["batch"]["done"] == 1 and status["resources"]["ram"]["used"] > 0

    ask("POST", "/resource_gate/pause", {})
    held = server.client.submit(GRAPH | {"1": {**GRAPH["1"], "inputs": {**GRAPH["1"]["inputs"], "color": 8}}})
    assert server.client.status()["gate"]["state"] == "paused" and server.client.queue().ids == {held}
    assert ask("POST", "/resource_gate/free", {"level": "emergency"})["freed"] >= 0
    ask("POST", "/resource_gate/resume", {})
    assert server.client.wait_for_end(held, 60).ok
