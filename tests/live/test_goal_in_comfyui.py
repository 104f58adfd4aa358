"""A goal in bytes on a real ComfyUI: met with no rung after it, or the answer says by how much not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from resource_gate.batch.local.find_comfyui import ComfyUI
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec
from resource_gate.reclaim.action import human

pytestmark = pytest.mark.live

MIB = 1024**2
LARGE, SMALL = 32, 16
"""Frames of 1024×1024: 384 MB and 192 MB."""
FRAME = 12 * MIB
NOISE = 24 * MIB
"""What a server that idles between two readings may take or give back by itself."""
OUTPUTS = "outputs of earlier prompts"


def frames(number: int, color: int) -> dict[str, Any]:
    """Leaves `number` frames in the output cache, and one on the disk."""
    return {
        "frames": node("EmptyImage", width=1024, height=1024, batch_size=number, color=color),
        "one": node("ImageFromBatch", image=["frames", 0], batch_index=0, length=1),
        "show": node("PreviewImage", images=["one", 0]),
    }


def both() -> dict[str, Any]:
    large, small = frames(LARGE, 1), frames(SMALL, 2)
    return {
        f"{size}_{name}": {**n, "inputs": {k: [f"{size}_{v[0]}", 0] if isinstance(v, list) else v for k, v in inputs}}
        for size, graph in (("large", large), ("small", small))
        for name, n in graph.items()
        for inputs in [n["inputs"].items()]
    }


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


@pytest.fixture(scope="module")
def server(installation: ComfyUI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """What it holds is let go of on request alone: not by ComfyUI when others have filled the machine's RAM to 90 %,
    nor by the gate at 85 %."""
    spec = ServerSpec(
        installation,
        flags=("--cache-ram", "0.2", "0.2"),
        environment={"RESOURCE_GATE_RECLAIM_ENABLED": "false"},
    )
    with ServerProcess(spec, tmp_path_factory.mktemp("goal")) as server:
        yield server


@pytest.fixture
def client(server: ServerProcess) -> Any:
    """Of a server whose cache holds 384 MB and 192 MB of frames."""
    client = server.client
    client.call("POST", "/resource_gate/free", {"level": "emergency"})
    assert client.wait_for_end(client.submit(both()), timeout=120).ok
    return client


def free(client: Any, goal: int, level: str = "critical") -> dict[str, Any]:
    """The answer's action on RAM."""
    answer = client.call("POST", "/resource_gate/free", {"level": level, "goal_bytes": goal})
    assert answer["deferred"] is None
    [action] = [a for a in answer["actions"] if a["resource"] == "ram"]
    assert action["rungs"], action["text"]
    return action


@pytest.fixture
def resident(server: ServerProcess) -> Callable[[], int]:
    """Tells the bytes that the server holds in RAM, from outside."""
    process = psutil.Process(server.child.process.pid)
    return lambda: process.memory_info().rss


def cached(client: Any) -> set[str]:
    """The nodes of `both()` that are still in the cache."""
    prompt_id = client.submit(both())
    client.wait_for_end(prompt_id, timeout=120)
    messages = dict(client.call("GET", f"/history/{prompt_id}")[prompt_id]["status"]["messages"])
    return set(messages["execution_cached"]["nodes"])


def test_a_goal_is_met_with_as_many_outputs_as_it_takes_and_no_rung_after(
    client: Any, resident: Callable[[], int]
) -> None:
    before = resident()
    action = free(client, 300 * MIB)
    freed = before - resident()
    assert action["met"] is True, action["text"]
    assert [rung["name"] for rung in action["rungs"]] == [OUTPUTS]
    assert action["goal"] == 300 * MIB
    assert freed >= 300 * MIB
    assert abs(freed - action["freed"]) < NOISE
    assert "short of the goal" not in action["text"]
    kept = cached(client)
    assert "large_frames" not in kept
    assert "small_frames" in kept


@pytest.mark.parametrize("goal", [10, 200, 390, 560])
def test_no_rung_runs_after_the_goal_is_met(client: Any, goal: int) -> None:
    action = free(client, goal * MIB, "emergency")
    *earlier, last = [rung["freed"] for rung in action["rungs"]]
    assert action["met"] is True, action["text"]
    assert sum(max(0, f) for f in earlier) < goal * MIB
    assert sum(max(0, f) for f in (*earlier, last)) >= goal * MIB


def test_a_goal_that_cannot_be_met_is_told_with_what_is_missing(client: Any, resident: Callable[[], int]) -> None:
    goal = 1024 * 1024 * MIB
    before = resident()
    action = free(client, goal, "emergency")
    freed = before - resident()
    assert action["met"] is False
    assert action["freed"] >= (LARGE + SMALL) * FRAME
    assert abs(freed - action["freed"]) < NOISE
    assert f"{human(goal - action['freed'])} short of the goal" in action["text"]
    assert not {"large_frames", "small_frames"} & cached(client)


def test_the_log_tells_the_same_as_the_answer(client: Any) -> None:
    action = free(client, 100 * MIB)
    assert client.call("GET", "/resource_gate/log")["actions"][-1] == action
