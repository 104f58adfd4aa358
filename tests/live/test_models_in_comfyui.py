"""Models on a real ComfyUI, with real checkpoints of random weights: what goes first when RAM, and when VRAM is short.

RAM is really short here: the server runs in a memory limit, and holds memory that nobody can free.
The models and the frames are of one prompt: ComfyUI itself drops what earlier ones left when the next one runs.

VRAM cannot be: these tests run on a CPU. What is simulated, all of it in `SIMULATED_DEVICE`: the models are loaded by
ComfyUI itself, into RAM; then each `LoadedModel.device` is set to the meta device, so that ComfyUI and Resource Gate
take them for models on a device. `comfy.model_management.get_free_memory` and `torch.xpu`'s calls tell of that device:
1 GB, of which the models there and a slack of 64 MB are used. `free_memory` is ComfyUI's own and really unloads; a
wrapper writes down what it was called with. Resource Gate runs unchanged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from resource_gate.batch.local.find_comfyui import ComfyUI
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec

from ..small_models import node, with_models, write_models
from .simulated_device import BEFORE_THE_EXTENSION, HOLDER, SIMULATED_DEVICE, SIMULATION

pytestmark = pytest.mark.live

MIB = 1024**2
LIMIT = 2400 * MIB
OUTPUTS = "outputs of earlier prompts"
IDLE_MODELS = "models that no later node needs"
AGAIN = "outputs that the next prompt would have used again"
TAKES_MODELS = {IDLE_MODELS, AGAIN, "all models"}


def with_frames(megabytes: int, color: int = 1) -> dict[str, Any]:
    """Leaves so many MB of frames in the output cache."""
    return {
        "frames": node("EmptyImage", width=1024, height=1024, batch_size=megabytes // 12, color=color),
        "one": node("ImageFromBatch", image=["frames", 0], batch_index=0, length=1),
        "show_one": node("PreviewImage", images=["one", 0]),
    }


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of three small models."""
    return write_models(tmp_path_factory.mktemp("models"))


def run(client: Any, graph: dict[str, Any]) -> set[str]:
    """Run it; return the nodes that ComfyUI took from its cache."""
    prompt_id = client.submit(graph)
    end = client.wait_for_end(prompt_id, timeout=120)
    assert end.ok, end.reason
    messages = dict(client.call("GET", f"/history/{prompt_id}")[prompt_id]["status"]["messages"])
    return set(messages["execution_cached"]["nodes"])


def actions(client: Any, resource: str) -> list[dict[str, Any]]:
    """The log's, oldest first."""
    return [a for a in client.call("GET", "/resource_gate/log")["actions"] if a["resource"] == resource]


def rungs(action: dict[str, Any]) -> list[str]:
    return [rung["name"] for rung in action["rungs"]]


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.1)


def fill_to(client: Any, share: float) -> None:
    """Hold as much memory as brings the server to that share of its limit; by a route, for a prompt would clean up."""
    asked = time.time()
    until(lambda: client.status()["time"] > asked)
    ram = client.status()["resources"]["ram"]
    assert ram["limit"] == LIMIT
    client.call("POST", "/hold", {"megabytes": int(share * LIMIT - ram["used"]) // MIB})


def test_when_ram_is_short_outputs_go_first_and_models_only_when_that_is_not_enough(
    start_comfyui: Any, models: Path
) -> None:
    server = start_comfyui(
        extra_nodes={"holder": HOLDER},
        limit=LIMIT,
        models=models,
        environment={"RESOURCE_GATE_MONITOR_INTERVAL": "0.5", "RESOURCE_GATE_RECLAIM_PAUSE": "1"},
    )
    client = server.client
    run(client, with_models() | with_frames(400))
    fill_to(client, 0.92)
    until(lambda: any(OUTPUTS in rungs(a) for a in actions(client, "ram")))
    until(lambda: client.status()["level"] == "normal")
    assert not any(TAKES_MODELS & set(rungs(a)) for a in actions(client, "ram"))
    assert {"a", "b", "vae"} <= run(client, with_models("other"))

    fill_to(client, 0.97)
    until(lambda: any(IDLE_MODELS in rungs(a) for a in actions(client, "ram")))
    [first] = [a for a in actions(client, "ram") if IDLE_MODELS in rungs(a)][:1]
    assert first["level"] == "emergency"
    before, after = first["rungs"][: rungs(first).index(IDLE_MODELS)], rungs(first)[rungs(first).index(IDLE_MODELS) :]
    assert sum(max(0, rung["freed"]) for rung in before) < first["goal"]
    assert not {OUTPUTS, "garbage collection", "heap trim"} & set(after)
    assert first["freed"] > 200 * MIB
    assert server.alive


VAE, CLIP = "AutoencoderKL 319", "SD1ClipModel 235"
ALL = sorted([VAE, CLIP, CLIP])

Simulate = dict[str, Any]


@pytest.fixture(scope="module")
def simulate(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Simulate:
    """What a server is started with so that it has the simulated device."""
    folder = tmp_path_factory.mktemp("simulated")
    (folder / "simulated_device.py").write_text(SIMULATED_DEVICE)
    (folder / "sitecustomize.py").write_text(BEFORE_THE_EXTENSION)
    return {
        "extra_nodes": {"simulation": SIMULATION},
        # What frees memory by itself would come in between.
        "environment": {"PYTHONPATH": str(folder), "RESOURCE_GATE_RECLAIM_ENABLED": "false"},
        "models": models,
    }


@pytest.fixture(scope="module")
def simulated(
    simulate: Simulate, installation: ComfyUI, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    with ServerProcess(ServerSpec(installation, **simulate), tmp_path_factory.mktemp("comfyui")) as server:
        yield server


@pytest.fixture
def on_device(simulated: ServerProcess) -> Iterator[Any]:
    """A client of a server whose three models lie on the device."""
    client = simulated.client
    client.call("POST", "/resource_gate/free", {"level": "emergency"})
    assert client.call("GET", "/simulated")["loaded"] == []
    yield load_on_device(simulated)
    client.call("POST", "/simulated/place", {"where": "cpu"})


def load_on_device(server: ServerProcess) -> Any:
    run(server.client, with_models())
    server.client.call("POST", "/simulated/place", {"where": "meta"})
    assert sorted(server.client.call("GET", "/simulated")["loaded"]) == ALL
    return server.client


def climb(client: Any, goal: int | None) -> tuple[dict[str, Any], list[str], list[dict[str, Any]]]:
    """What the ladder did for so many bytes of VRAM, what is still loaded, and the calls of ComfyUI's `free_memory`."""
    before = len(client.call("GET", "/simulated")["calls"])
    action = client.call("POST", "/simulated/climb", {"goal": goal})
    after = client.call("GET", "/simulated")
    return action, sorted(after["loaded"]), after["calls"][before:]


def test_when_vram_is_short_the_largest_model_goes_and_the_others_stay_loaded(on_device: Any) -> None:
    action, loaded, calls = climb(on_device, 200 * MIB)
    assert action["met"] is True, action["text"]
    assert loaded == [CLIP, CLIP]
    [call] = calls
    assert sorted(call["kept"]) == [CLIP, CLIP]
    assert call["of other types"] == []
    assert rungs(action)[-1] == IDLE_MODELS


def test_those_that_stayed_are_not_loaded_again(on_device: Any, simulated: ServerProcess) -> None:
    climb(on_device, 200 * MIB)
    on_device.call("POST", "/simulated/place", {"where": "cpu"})
    before = len(simulated.log_tail(1_000_000))
    run(on_device, with_models("another text"))
    log = simulated.log_tail(1_000_000)[before:]
    assert log.count("Requested to load AutoencoderKL") == 1
    assert "Requested to load SD1ClipModel" not in log


def test_as_many_models_go_as_the_goal_takes(on_device: Any) -> None:
    action, loaded, _ = climb(on_device, 450 * MIB)
    assert action["met"] is True, action["text"]
    assert loaded == [CLIP]


def test_the_model_that_the_waiting_prompt_uses_stays_while_another_will_do(on_device: Any) -> None:
    on_device.call("POST", "/resource_gate/pause", {})
    try:
        prompt_id = on_device.submit(with_models(mask=0.5))  # takes the texts from the cache, and the VAE anew
        until(lambda: on_device.status()["gate"]["job"] == prompt_id)
        action, loaded, _ = climb(on_device, 200 * MIB)
        on_device.call("POST", "/queue", {"delete": [prompt_id]})
    finally:
        on_device.call("POST", "/resource_gate/resume", {})
    assert action["met"] is True, action["text"]
    assert loaded == sorted([VAE, CLIP])


def test_a_goal_of_ram_unloads_no_model_from_the_device(on_device: Any) -> None:
    run(on_device, with_models() | with_frames(200))
    assert sorted(on_device.call("GET", "/simulated")["loaded"]) == ALL
    answer = on_device.call("POST", "/resource_gate/free", {"level": "emergency", "goal_bytes": 100 * MIB})
    assert [a["resource"] for a in answer["actions"]] == ["ram"], answer
    assert sorted(on_device.call("GET", "/simulated")["loaded"]) == ALL


def test_when_vram_is_short_garbage_goes_before_the_device_cache_and_models_last(
    simulate: Simulate, start_comfyui: Any
) -> None:
    action, loaded, _ = climb(load_on_device(start_comfyui(**simulate)), None)
    assert rungs(action) == ["garbage collection", "device cache", IDLE_MODELS]
    assert action["freed"] == pytest.approx((64 + 319 + 2 * 235) * MIB, abs=3 * MIB)
    assert loaded == []
