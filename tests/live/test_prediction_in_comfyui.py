"""What is learned of prompts on a real ComfyUI, and the node that goes by it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from resource_gate.batch.trial.sample_jobs import ClipSize, node, plain_clip

pytestmark = pytest.mark.live

GIB = 1024**3
WEIGHTS = 3 * GIB
"""Bytes of a model file."""


@pytest.fixture(scope="module")
def server(installation: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from resource_gate.batch.local.server_process import ServerProcess, ServerSpec

    models = tmp_path_factory.mktemp("models")
    (models / "vae").mkdir()
    for path in (models / "vae" / "hollow.safetensors", models / "outside.safetensors"):
        with path.open("wb") as file:
            file.truncate(WEIGHTS)  # nobody loads it
    spec = ServerSpec(installation, models=models, environment={"RESOURCE_GATE_GATE_TOO_LARGE": "refuse"})
    with ServerProcess(spec, tmp_path_factory.mktemp("predict")) as one:
        yield one


def run(server: Any, graph: Any) -> Any:
    prompt_id = server.client.submit(graph)
    end = server.client.wait_for_end(prompt_id, timeout=120)
    return end, server.client.call("GET", f"/history/{prompt_id}")[prompt_id]


def ran(entry: Any, graph: Any) -> set[str]:
    messages = dict(entry["status"]["messages"])
    return set(graph) - set(messages["execution_cached"]["nodes"])


def adaptive(seed: int, *, wanted: int = 40, keep_free: float = 0.0, prefix: str = "a") -> Any:
    return {
        "n": node("ResourceGateBatchSize", wanted=wanted, step=4, plus_one=True, keep_free=keep_free),
        "frames": node("EmptyImage", width=320, height=180, batch_size=["n", 0], color=seed),
        "scale": node(
            "ImageScale", image=["frames", 0], upscale_method="bilinear", width=640, height=360, crop="disabled"
        ),
        "show": node("PreviewAny", source=["n", 1]),
        "save": node("SaveImage", images=["frames", 0], filename_prefix=prefix),
        "clip": node("SaveVideo", video=["video", 0], filename_prefix=prefix, format="mp4", codec="h264"),
        "video": node("CreateVideo", images=["scale", 0], fps=24.0),
    }


@pytest.fixture(scope="module")
def taught(server: Any) -> Any:
    """What was learned of four runs of one workflow, the first that the server ran."""
    for number, frames in enumerate((17, 33, 49, 25)):
        end, _ = run(server, plain_clip(number, ClipSize(frames)).graph)
        assert end.ok, end.reason
    return server.client.call("GET", "/resource_gate/predictions")["families"]


def test_runs_of_a_workflow_are_learned_and_the_next_one_is_foretold(server: Any, taught: Any) -> None:
    (family,) = taught
    assert family["outcomes"] == {"ok": 4} and family["checked"] == 3
    # 49 frames of 1280 × 720 are 542 MB, and were there beside their source, 135 MB.
    assert 600e6 < family["peak_ram"] < 2.5e9
    server.client.call("POST", "/resource_gate/pause", {})
    for number in range(2):
        server.client.submit(plain_clip(10 + number, ClipSize(33)).graph)
    batch = server.client.status()["batch"]
    server.client.call("POST", "/queue", {"clear": True})
    server.client.call("POST", "/resource_gate/resume", {})
    assert 0 < batch["eta_low"] < batch["eta_seconds"] < batch["eta_high"] < 200 * max(0.1, family["seconds"])


def foretold(server: Any, graph: Any) -> Any:
    return server.client.call("POST", "/resource_gate/predictions", {"prompt": graph})["need"]


def test_a_workflow_that_never_ran_is_told_by_what_its_nodes_took_in_another(server: Any, taught: Any) -> None:
    graph = plain_clip(30, ClipSize(41)).graph
    graph["again"] = node(
        "ImageScale", image=["scale", 0], upscale_method="bilinear", width=1600, height=900, crop="disabled"
    )
    graph["video"]["inputs"]["images"] = ["again", 0]
    need = foretold(server, graph)
    assert not need["known"]
    end, _ = run(server, graph)
    assert end.ok, end.reason
    took = server.client.call("GET", "/resource_gate/predictions")["families"][0]["peak_ram"]
    assert took < need["ram"] < 1.5 * took, "by arithmetic alone it would be more than twice as much"


def test_weights_that_were_never_loaded_are_as_large_as_their_file(server: Any) -> None:
    graph = plain_clip(31, ClipSize(33)).graph
    graph["vae"] = node("VAELoader", vae_name="hollow.safetensors")
    graph["latent"] = node("VAEEncode", pixels=["scale", 0], vae=["vae", 0])
    outside = {**graph, "vae": node("VAELoader", vae_name="../outside.safetensors")}
    need, without = foretold(server, graph)["ram"], foretold(server, outside)["ram"]
    assert WEIGHTS < need < 2 * WEIGHTS
    assert without < WEIGHTS, "no name leads out of the folders of models"


def test_what_by_all_that_is_known_cannot_fit_is_refused_with_the_numbers(server: Any) -> None:
    limit = server.client.status()["resources"]["ram"]["limit"]
    pixels = 2 * limit / 12 / 1000  # of one frame: twice the limit in 1000 frames
    width = min(16384, int((pixels * 16 / 9) ** 0.5))
    end, entry = run(server, plain_clip(50, ClipSize(1000, width // 2, int(pixels / width) // 2)).graph)
    assert not end.ok and "is the limit" in end.reason and "fewer frames, e.g." in end.reason
    assert entry["outputs"] == {}
    after, _ = run(server, plain_clip(51, ClipSize(17)).graph)
    assert after.ok


def test_a_size_is_chosen_and_an_unchanged_workflow_is_taken_from_the_cache(server: Any) -> None:
    _, entry = run(server, adaptive(1))
    assert len(entry["outputs"]["save"]["images"]) == 37
    end, entry = run(server, adaptive(1))
    assert end.ok and ran(entry, adaptive(1)) == set()
    _, entry = run(server, adaptive(2))
    assert {"frames", "scale", "save", "clip"} <= ran(entry, adaptive(2))
    _, entry = run(server, adaptive(2, prefix="b"))
    assert "scale" not in ran(entry, adaptive(2, prefix="b"))


def test_where_little_is_to_be_used_it_gives_less_and_says_why(server: Any) -> None:
    ram = server.client.status()["resources"]["ram"]
    keep = (ram["limit"] - ram["used"]) / GIB - 0.35
    end, entry = run(server, adaptive(3, wanted=4001, keep_free=round(keep, 2)))
    assert end.ok, end.reason
    frames = len(entry["outputs"]["save"]["images"])
    assert frames % 4 == 1 and frames < 1000
    (text,) = entry["outputs"]["show"]["text"]
    assert text.startswith(f"{frames} need about") or text.startswith(f"even {frames} need")


def test_what_was_learned_survives_the_process(server: Any) -> None:
    before = {f["family"]: f["runs"] for f in server.client.call("GET", "/resource_gate/predictions")["families"]}
    server.kill()
    server.start()
    after = {f["family"]: f["runs"] for f in server.client.call("GET", "/resource_gate/predictions")["families"]}
    assert after == before and len(after) >= 2
    lines = server.base.joinpath("user", "__resource_gate", "runs.jsonl").read_text("utf-8").splitlines()
    assert all(json.loads(line)["machine"] for line in lines)
