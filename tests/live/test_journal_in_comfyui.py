"""A real ComfyUI killed in the middle of a batch: restored in its order, done once; what kills it is set aside."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

from resource_gate.batch.errors import ClientError

pytestmark = pytest.mark.live

NODES = """
import os
import time
import torch

class Slow:
    \"\"\"Holds the worker until the file `go` lies in the working folder.\"\"\"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"tag": ("INT", {"default": 0}), "api_key": ("STRING", {"default": ""})}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    OUTPUT_NODE = True
    CATEGORY = "test"

    def run(self, tag, api_key):
        print("Slow runs", tag, flush=True)
        while not os.path.exists("go"):
            time.sleep(0.02)
        return {"ui": {"text": [str(tag)]}, "result": (torch.zeros(1, 8, 8, 3),)}

class Deadly:
    \"\"\"Ends the process as a fault in C would.\"\"\"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"tag": ("INT", {"default": 0})}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    OUTPUT_NODE = True
    CATEGORY = "test"

    def run(self, tag):
        os.kill(os.getpid(), 9)

class Keep:
    \"\"\"Leaves 400 MB in the cache.\"\"\"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "test"

    def run(self):
        return (torch.ones(1, 400 * 1024 * 256, 1, 1),)

class Flaky:
    \"\"\"Fails so often, with the error that is asked for, then works.\"\"\"

    ran = {}

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"kept": ("IMAGE",), "error": ("STRING", {}), "times": ("INT", {"default": 1})}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    OUTPUT_NODE = True
    CATEGORY = "test"

    def run(self, kept, error, times):
        Flaky.ran[error] = Flaky.ran.get(error, 0) + 1
        print("Flaky runs", error, Flaky.ran[error], flush=True)
        if Flaky.ran[error] <= times:
            if error == "oom":
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. (simulated)")
            if error == "memory":
                raise MemoryError("simulated")
            raise {"connection": ConnectionResetError, "bug": ValueError}[error](error)
        return {"ui": {"text": [str(Flaky.ran[error])]}, "result": (torch.zeros(1, 8, 8, 3),)}

class Vae:
    \"\"\"Has room for tiles only.\"\"\"

    def decode(self, latent):
        print("plain decode", flush=True)
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. (simulated)")

    def decode_tiled(self, latent, **tiles):
        print("tiled decode", sorted(tiles.items()), flush=True)
        return torch.zeros(1, 64, 64, 3)

    def temporal_compression_decode(self):
        return None

    def spacial_compression_decode(self):
        return 8

class LoadVae:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("VAE",)
    FUNCTION = "run"
    CATEGORY = "test"

    def run(self):
        return (Vae(),)

NODE_CLASS_MAPPINGS = {
    "TestSlow": Slow, "TestDeadly": Deadly, "TestKeep": Keep, "TestFlaky": Flaky, "TestVae": LoadVae,
}
"""


def slow(tag: int, api_key: str = "") -> dict[str, Any]:
    return {"1": {"class_type": "TestSlow", "inputs": {"tag": tag, "api_key": api_key}}}


def clip(color: int, prefix: str) -> dict[str, Any]:
    frames = {"width": 64, "height": 64, "batch_size": 24, "color": color}
    save = {"video": ["2", 0], "filename_prefix": prefix, "format": "mp4", "codec": "h264"}
    return {
        "1": {"class_type": "EmptyImage", "inputs": frames},
        "2": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 24.0}},
        "3": {"class_type": "SaveVideo", "inputs": save},
    }


def flaky(error: str, times: int = 1) -> dict[str, Any]:
    return {
        "1": {"class_type": "TestKeep", "inputs": {}},
        "2": {"class_type": "TestFlaky", "inputs": {"kept": ["1", 0], "error": error, "times": times}},
    }


def until(condition: Any, seconds: float = 120.0) -> Any:
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < give_up, "it never came"
        time.sleep(0.05)
    return found


def jobs(client: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.call("GET", "/resource_gate/batch")["jobs"]
    return found


def test_a_batch_is_whole_after_kills_and_a_job_that_kills_is_set_aside(start_comfyui: Any) -> None:
    server = start_comfyui(extra_nodes={"journal": NODES}, environment={"RESOURCE_GATE_GATE_RESTORE": "now"})
    client = server.client
    ids = [client.submit(clip(1, "clip0")), client.submit(slow(1))]
    ids += [client.submit(clip(n, f"clip{n}")) for n in range(2, 5)]
    secret = client.submit(slow(2, "sk-do-not-keep-this"))
    until(lambda: client.queue().running == (ids[1],))
    server.kill()
    server.start()
    until(lambda: client.queue().running == (ids[1],) and not client.status()["batch"]["restorable"])
    assert client.queue().pending == tuple(ids[2:]), "the order is not the old one"
    assert client.history(ids[0]) is None, "what was done ran again"
    new = client.submit(clip(9, "new"))
    assert client.queue().pending == (*ids[2:], new), "what came later did not come behind"
    (server.base / "go").touch()
    assert client.wait_for_end(new).ok
    states = {job["id"]: job["state"] for job in jobs(client)}
    assert states == {**dict.fromkeys([*ids, new], "done"), secret: "failed"}
    clips = sorted(p.name for p in (server.base / "output").glob("*.mp4"))
    assert clips == [f"{name}_00001_.mp4" for name in ("clip0", "clip2", "clip3", "clip4", "new")]
    kept = b"".join(p.read_bytes() for p in (server.base / "user" / "__resource_gate").glob("journal*"))
    assert b"sk-do-not-keep" not in kept

    client.call("POST", "/resource_gate/pause", {})
    deadly = client.submit({"1": {"class_type": "TestDeadly", "inputs": {"tag": 1}}})
    client.submit(clip(11, "after"))
    with contextlib.suppress(ClientError):  # it may be dead before it has answered
        client.call("POST", "/resource_gate/resume", {})
    until(lambda: not server.alive)
    with contextlib.suppress(ClientError):  # it restores at once, and may die before it was seen to be ready
        server.start()
    until(lambda: not server.alive)
    server.start()
    until(lambda: (server.base / "output" / "after_00001_.mp4").exists() and not client.queue().ids)
    batch = client.call("GET", "/resource_gate/batch")
    assert [(j["id"], j["deaths"], j["node"]) for j in batch["quarantined"]] == [(deadly, 2, "1 TestDeadly")]
    assert batch["quarantined"][0]["peak_ram"] > 0
    assert client.status()["degraded"] == {}


def test_errors_that_may_pass_end_as_one_job_that_went_well(start_comfyui: Any) -> None:
    settings = {"RESOURCE_GATE_GATE_RETRY_WAIT": "0.5"}
    client = start_comfyui(extra_nodes={"journal": NODES}, environment=settings).client
    for error, times, ok, attempts in (
        ("oom", 1, True, 2),
        ("memory", 1, True, 2),
        ("connection", 3, True, 4),
        ("bug", 1, False, 1),
    ):
        end = client.wait_for_end(client.submit(flaky(error, times)))
        assert end.ok is ok, f"{error}: {end.reason}"
        assert jobs(client)[0]["attempts"] == attempts, error
    status = client.status()
    assert status["batch"]["retried"] == 5
    assert (status["batch"]["done"], status["batch"]["failed"]) == (3, 1)
    assert status["degraded"] == {}


def test_a_vae_that_runs_out_of_memory_twice_is_run_tiled_where_that_is_allowed(start_comfyui: Any) -> None:
    server = start_comfyui(extra_nodes={"journal": NODES})
    client = server.client
    graph = {
        "1": {"class_type": "TestVae", "inputs": {}},
        "2": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "3": {"class_type": "VAEDecode", "inputs": {"samples": ["2", 0], "vae": ["1", 0]}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "tiled"}},
    }
    end = client.wait_for_end(client.submit(graph))
    assert not end.ok
    assert "OutOfMemoryError" in end.reason
    client.call("POST", "/resource_gate/settings", {"gate": {"oom_tiled_vae": True}})
    end = client.wait_for_end(client.submit(graph))
    assert end.ok, end.reason
    told = jobs(client)[0]
    assert (told["state"], told["attempts"], told["changed"]) == ("done", 3, "tiled VAE in place of plain")
    assert [p.name for p in (server.base / "output").glob("*.png")] == ["tiled_00001_.png"]
    assert "it is tried again now, with tiled VAE in place of plain" in server.log_tail(100_000)
    assert client.status()["degraded"] == {}
