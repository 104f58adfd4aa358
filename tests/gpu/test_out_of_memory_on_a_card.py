"""Real out-of-memory errors of CUDA, and other programs on the same card."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from resource_gate.batch.local.find_comfyui import ComfyUI

from ..small_models import node
from .card import MIB, Card

pytestmark = pytest.mark.gpu

HOLD = """
import sys, torch
kept = torch.ones(int(sys.argv[1]) * 1024**2, dtype=torch.uint8, device="cuda")
torch.cuda.synchronize()
print("held", flush=True)
sys.stdin.read()
"""


def share(card: Card, part: float) -> int:
    """MB that are such a part of the card."""
    return int(card.look()["total"] * part / MIB)


def test_an_oom_is_retried_after_freeing_and_the_client_sees_one_success(card: Card) -> None:
    assert card.keep(share(card, 0.6), seed=5)["state"] == "done"
    before = len(card.server.log_tail(1_000_000))
    prompt_id = card.client.submit({"take": node("TakeVram", megabytes=share(card, 0.6), seed=5)})
    end = card.client.wait_for_end(prompt_id, timeout=120)
    assert end.ok, end.reason
    assert "OutOfMemoryError" in card.server.log_tail(1_000_000)[before:]
    [job] = [j for j in card.client.call("GET", "/resource_gate/batch")["jobs"] if j["id"] == prompt_id]
    assert (job["state"], job["attempts"]) == ("done", 2)


def test_what_never_fits_fails_by_name_and_the_next_prompt_runs(card: Card) -> None:
    job = card.take(share(card, 2.0), seed=6)
    assert job["state"] == "failed" and "OutOfMemory" in job["error_type"]
    assert job["node"].startswith("take")
    assert card.take(100, seed=7)["state"] == "done"
    assert card.server.alive


@pytest.fixture
def other_program(card: Card, installation: ComfyUI) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds 70 % of the card until its input is closed."""
    command = [str(installation.python), "-c", HOLD, str(share(card, 0.7))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        if process.poll() is None:
            process.kill()


def test_the_node_waits_for_a_card_that_another_program_fills(card: Card, other_program: subprocess.Popen[str]) -> None:
    assert card.reading()["fraction"] > 0.7
    gate = node(
        "ResourceGate",
        value=["picture", 0],
        ram_percent=100,
        vram_percent=50,
        free_disk_gb=0.0,
        wait_seconds=60,
        on_timeout="error",
    )
    picture = node("EmptyImage", width=8, height=8, batch_size=1, color=int(time.time()) % 2**24)
    prompt_id = card.client.submit({"picture": picture, "gate": gate, "show": node("PreviewImage", images=["gate", 0])})
    time.sleep(3)
    assert card.client.history(prompt_id) is None
    assert other_program.stdin is not None
    other_program.stdin.close()
    other_program.wait(30)
    end = card.client.wait_for_end(prompt_id, timeout=60)
    assert end.ok, end.reason


def test_in_six_runs_the_batch_size_comes_near_what_fits_on_the_card_and_none_of_them_fails(card: Card) -> None:
    item = share(card, 0.05)
    most = int((card.look()["total"] - card.look()["used"]) / MIB) // item
    sizes = []
    for index in range(6):
        job = card.run(
            {
                "size": node("ResourceGateBatchSize", wanted=100, step=1, plus_one=False, keep_free=0.0),
                "take": node(
                    "TakeVram", megabytes=float(item), seed=index, width=1024, height=1024, batch_size=["size", 0]
                ),
                "show": node("PreviewAny", source=["size", 1]),
            }
        )
        assert job["state"] == "done", job
        sizes.append(job["peak_vram"]["vram0"] // (item * MIB))
    assert max(sizes) >= 0.9 * most, (sizes, most)
