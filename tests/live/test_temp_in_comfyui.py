"""The temp folder of a long batch of previews, beside that of a ComfyUI without the extension."""

from __future__ import annotations

import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resource_gate.batch.errors import RequestRefused
from resource_gate.batch.local.server_process import ServerProcess

pytestmark = pytest.mark.live

PROMPTS, KEPT = 200, 40
CACHE = ("--cache-lru", "1000")
"""A cache that remembers all previews: the hard case, in which a prompt queued again would show one that is gone."""
AGE = 60.0
"""Seconds: the least that the settings allow."""
MOMENT = 120.0
"""Seconds after which what was waited for will not come: samples are 5 s apart, looks at the folder 60 s."""


def preview(color: int) -> dict[str, Any]:
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": color}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }


def run_batch(server: ServerProcess) -> list[str]:
    """Run the prompts, and leave only the last ones in the history."""
    ids = [server.client.submit(preview(color)) for color in range(PROMPTS)]
    assert server.client.wait_for_end(ids[-1], timeout=300).ok
    server.client.call("POST", "/history", {"delete": ids[:-KEPT]})
    return ids


def temp_files(server: ServerProcess) -> dict[Path, int]:
    return {path: path.stat().st_size for path in (server.base / "temp").rglob("*") if path.is_file()}


def shown(server: ServerProcess) -> list[dict[str, str]]:
    """All previews that the history names."""
    history = server.client.call("GET", "/history")
    return [i for e in history.values() for ui in e["outputs"].values() for i in ui["images"] if i["type"] == "temp"]


def is_there(server: ServerProcess, image: dict[str, str]) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/view?{urllib.parse.urlencode(image)}", timeout=30) as answer:
            return answer.status == 200 and len(answer.read()) > 0
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return False


def wait_until(true: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + MOMENT
    while not true():
        assert time.monotonic() < give_up, what
        time.sleep(0.5)


def test_a_long_batch_leaves_under_a_third_of_stock_and_every_preview_that_the_history_names(
    start_comfyui: Callable[..., ServerProcess], record_property: Callable[[str, object], None]
) -> None:
    ours = start_comfyui(*CACHE)
    ours.client.call("POST", "/resource_gate/settings", {"reclaim": {"temp_age": AGE}})
    ids = run_batch(ours)
    made = temp_files(ours)
    assert len(made) == PROMPTS

    stock = start_comfyui(*CACHE, extension=False)
    run_batch(stock)

    youngest = max(path.stat().st_ctime for path in made)
    wait_until(lambda: time.time() > youngest + AGE, "the files do not grow old")
    # At rest it would look within ten minutes; a folder above its cap is looked at once.
    cap = sum(made.values()) // 2
    ours.client.call("POST", "/resource_gate/settings", {"reclaim": {"temp_cap": cap}})
    wait_until(lambda: len(temp_files(ours)) < PROMPTS, f"nothing was removed:\n{ours.log_tail()}")
    wait_until(lambda: len(temp_files(ours)) <= KEPT, "some expired files stay")

    left, stock_bytes = sum(temp_files(ours).values()), sum(temp_files(stock).values())
    record_property("share", left / stock_bytes)
    assert left <= 0.30 * stock_bytes
    named = shown(ours)
    assert len(named) == KEPT
    assert all(is_there(ours, image) for image in named)

    log = ours.client.call("GET", "/resource_gate/log")
    actions = log["actions"] if isinstance(log, dict) else log
    told = [a for a in actions if a["resource"] == "disk_temp"]
    assert [f"removed {PROMPTS - KEPT} old temp files" in a["text"] for a in told] == [True]

    # The cache still has the node that made a preview that is gone: it makes it anew, and shows none that is not there.
    for color in (0, PROMPTS - 1):
        again = ours.client.submit(preview(color))
        end = ours.client.wait_for_end(again, timeout=60)
        assert end.ok
        [image] = end.outputs["2"]["images"]
        assert is_there(ours, image)
    assert len(temp_files(ours)) == KEPT + 1, "the preview that is still there was not made a second time"
    assert ids[0] not in ours.client.call("GET", "/history")
    with pytest.raises(RequestRefused):
        ours.client.call("GET", "/view?filename=nothing.png&type=temp")
