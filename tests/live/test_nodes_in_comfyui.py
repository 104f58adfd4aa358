"""Both nodes on a real ComfyUI: what runs again, what does not, waiting, interrupting, timing out."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

pytestmark = pytest.mark.live

NEVER = 1
"""RAM percent that no ComfyUI is ever below: the gate waits."""


def graph(
    *, prefix: str = "a", color: int = 1, ram_percent: int = 100, wait: int = 5, on_timeout: str = "continue"
) -> Any:
    return {
        "1": node("EmptyImage", width=64, height=64, batch_size=2, color=color),
        "2": node("ImageScale", image=["1", 0], upscale_method="bilinear", width=96, height=96, crop="disabled"),
        "3": node(
            "ResourceGateFreeMemory",
            value=["2", 0],
            models="unused",
            drop_outputs=False,
            empty_cache=True,
            collect_garbage=True,
        ),
        "4": gate(["3", 0], ram_percent, wait, on_timeout),
        "5": node("SaveImage", images=["4", 0], filename_prefix=prefix),
    }


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def gate(value: Any, ram_percent: int, wait: int, on_timeout: str = "continue") -> dict[str, Any]:
    return node(
        "ResourceGate",
        value=value,
        ram_percent=ram_percent,
        vram_percent=100,
        free_disk_gb=0.0,
        wait_seconds=wait,
        on_timeout=on_timeout,
    )


def run(client: Any, prompt: Any) -> tuple[Any, set[str]]:
    """Run it; return ComfyUI's history entry and the nodes that were not taken from the cache."""
    prompt_id = client.submit(prompt)
    client.wait_for_end(prompt_id)
    entry = client.call("GET", f"/history/{prompt_id}")[prompt_id]
    messages = dict(entry["status"]["messages"])
    return entry, set(prompt) - set(messages["execution_cached"]["nodes"])


def test_an_unchanged_workflow_runs_nothing_again(client: Any) -> None:
    run(client, graph(color=11))
    entry, ran = run(client, graph(color=11))
    assert entry["status"]["status_str"] == "success"
    assert ran == set()


def test_with_the_last_node_changed_only_it_and_the_gates_before_it_run(client: Any) -> None:
    run(client, graph(color=12, prefix="a"))
    _, ran = run(client, graph(color=12, prefix="b"))
    assert ran == {"4", "5"}
    _, ran = run(client, graph(color=12, prefix="c"))
    assert ran == {"4", "5"}


def test_with_the_first_node_changed_all_run(client: Any) -> None:
    run(client, graph(color=13))
    _, ran = run(client, graph(color=14))
    assert ran == {"1", "2", "3", "4", "5"}


def test_a_gate_with_no_way_out_fails_with_the_reason_when_told_to(client: Any) -> None:
    entry, _ = run(client, graph(color=15, ram_percent=NEVER, wait=1, on_timeout="fail"))
    assert entry["status"]["status_str"] == "error"
    error = next(data for event, data in entry["status"]["messages"] if event == "execution_error")
    assert error["node_id"] == "4"
    assert "RAM is at" in error["exception_message"]
    assert "raise the node's limits" in error["exception_message"]


def test_a_gate_goes_on_at_its_time_out_unless_told_otherwise(client: Any) -> None:
    entry, ran = run(client, graph(color=16, ram_percent=NEVER, wait=1))
    assert entry["status"]["status_str"] == "success"
    assert "5" in ran


def test_a_waiting_gate_is_interrupted_at_once(client: Any) -> None:
    prompt_id = client.submit(graph(color=17, ram_percent=NEVER, wait=600))
    until(lambda: client.status()["queue"]["node"].startswith("4 "))
    client.call("POST", "/interrupt", {})
    end = client.wait_for_end(prompt_id, timeout=30)
    assert not end.ok
    assert end.reason == "interrupted"


def test_a_list_passes_a_gate_as_one(client: Any) -> None:
    prompt = {
        "1": node("EmptyImage", width=32, height=32, batch_size=3, color=18),
        "2": node("RebatchImages", images=["1", 0], batch_size=1),
        "3": gate(["2", 0], 100, 1),
        "4": node("SaveImage", images=["3", 0], filename_prefix="list"),
    }
    entry, _ = run(client, prompt)
    assert entry["status"]["status_str"] == "success"
    assert len(entry["outputs"]["4"]["images"]) == 3


def test_paused_prompts_stay_pending_and_run_after_resume(client: Any) -> None:
    client.call("POST", "/resource_gate/pause", {})
    try:
        prompt_id = client.submit(graph(color=19), str(uuid.uuid4()))
        until(lambda: client.status()["gate"]["job"] == prompt_id)
        assert prompt_id in client.queue().pending
        assert client.status()["gate"]["state"] == "paused"
    finally:
        client.call("POST", "/resource_gate/resume", {})
    assert client.wait_for_end(prompt_id, timeout=60).ok
    assert client.status()["gate"]["state"] == "open"


def test_a_paused_prompt_can_be_deleted(client: Any) -> None:
    client.call("POST", "/resource_gate/pause", {})
    try:
        prompt_id = client.submit(graph(color=20))
        client.call("POST", "/queue", {"delete": [prompt_id]})
        assert prompt_id not in client.queue().ids
    finally:
        client.call("POST", "/resource_gate/resume", {})
    assert client.history(prompt_id) is None


def test_freeing_by_request_empties_the_cache_of_an_idle_server(client: Any) -> None:
    run(client, graph(color=21))
    answer = client.call("POST", "/resource_gate/free", {"level": "emergency"})
    assert answer["deferred"] is None
    _, ran = run(client, graph(color=21))
    assert ran == {"1", "2", "3", "4", "5"}


def until(condition: Any, seconds: float = 30.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.05)
