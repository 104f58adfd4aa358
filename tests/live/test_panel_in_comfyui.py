"""On a real ComfyUI: what the nodes tell while they run, and what the panel hears and asks of a batch."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest

pytestmark = pytest.mark.live

TEXT = 3
"""ComfyUI's number for a binary message that carries a node's text."""


class Ear:
    """Hears what one browser tab would, on a thread of its own."""

    def __init__(self, url: str) -> None:
        self.id = str(uuid.uuid4())
        self.events: list[tuple[str, Any]] = []
        self.texts: list[tuple[str, str]] = []
        self._url = url.replace("http", "ws", 1) + f"/ws?clientId={self.id}"
        self._ready, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen()), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    def close(self) -> None:
        self._over.set()
        self._thread.join(10)

    async def _listen(self) -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(self._url, max_msg_size=0) as socket:
            self._ready.set()
            while not self._over.is_set():
                try:
                    message = await socket.receive(timeout=0.1)
                except asyncio.TimeoutError:
                    continue
                if message.type is aiohttp.WSMsgType.TEXT:
                    event = json.loads(message.data)
                    self.events.append((event["type"], event["data"]))
                elif message.type is aiohttp.WSMsgType.BINARY and struct.unpack_from(">I", message.data)[0] == TEXT:
                    (length,) = struct.unpack_from(">I", message.data, 4)
                    node, text = message.data[8 : 8 + length], message.data[8 + length :]
                    self.texts.append((node.decode(), text.decode()))

    def of(self, kind: str) -> list[Any]:
        return [data for event, data in list(self.events) if event == kind]


@pytest.fixture
def ear(comfyui: Any) -> Iterator[Ear]:
    made = Ear(comfyui.url)
    yield made
    made.close()


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def graph(color: int, on_timeout: str = "continue", ram_percent: int = 1, wait: int = 2) -> dict[str, Any]:
    widgets = {"models": "unused", "drop_outputs": False, "empty_cache": True, "collect_garbage": True}
    limits = {"ram_percent": ram_percent, "vram_percent": 100, "free_disk_gb": 0.0}
    return {
        "1": node("EmptyImage", width=64, height=64, batch_size=1, color=color),
        "2": node("ResourceGateFreeMemory", value=["1", 0], **widgets),
        "3": node("ResourceGate", value=["2", 0], **limits, wait_seconds=wait, on_timeout=on_timeout),
        "4": node("SaveImage", images=["3", 0], filename_prefix="cats"),
    }


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.05)
    return found


def test_the_nodes_tell_what_they_wait_for_and_what_they_freed_while_they_run(client: Any, ear: Ear) -> None:
    prompt_id = client.submit(graph(31), client_id=ear.id)
    assert client.wait_for_end(prompt_id).ok
    gate = until(lambda: [t for n, t in ear.texts if n == "3" and t.startswith("went on")] and ear.texts)
    freed = [text for number, text in gate if number == "2"]
    waited = [text for number, text in gate if number == "3"]
    assert freed[0] == "dropping cached outputs …" and freed[-1].startswith("freed ")
    assert waited[0].startswith("waiting 0 of 2 s: RAM is at ") and waited[1].startswith("waiting 1 of 2 s")
    bars = {(data["node"], data["max"]) for data in ear.of("progress")}
    assert {("2", 4), ("3", 2)} <= bars


def test_another_tab_is_not_told_of_nodes_that_are_not_its_own(client: Any, ear: Ear) -> None:
    other = str(uuid.uuid4())
    assert client.wait_for_end(client.submit(graph(32, ram_percent=100), client_id=other)).ok
    assert client.wait_for_end(client.submit(graph(33, ram_percent=100))).ok
    assert ear.texts == []


def test_a_failed_prompt_is_told_and_queued_again_when_asked(client: Any, ear: Ear) -> None:
    client.call("GET", f"/resource_gate/status?watch={ear.id}")
    prompt_id = client.submit(graph(34, "fail", wait=1))
    assert not client.wait_for_end(prompt_id).ok
    job = next(j for j in client.call("GET", "/resource_gate/batch")["jobs"] if j["id"] == prompt_id)
    assert (job["title"], job["state"], job["can_retry"]) == ("cats", "failed", True)
    answer = client.call("POST", "/resource_gate/batch/retry", {"ids": [prompt_id]})
    (again,) = answer["queued"]
    assert again["of"] == prompt_id and not client.wait_for_end(again["id"]).ok
    told = until(lambda: [e for e in ear.of("resource_gate.batch") if e["job"] and e["job"]["id"] == again["id"]])
    until(lambda: {"started", "ended"} <= {e["kind"] for e in ear.of("resource_gate.batch")})
    assert told[0]["job"]["title"] == "cats"
    marks = client.call("GET", "/resource_gate/history/marks")["jobs"]
    assert [m["ok"] for m in marks if m["id"] in (prompt_id, again["id"])] == [False, False]


def test_stop_lets_the_running_prompt_end_and_holds_the_next(client: Any, ear: Ear) -> None:
    client.call("GET", f"/resource_gate/status?watch={ear.id}")
    running, waiting = client.submit(graph(35)), client.submit(graph(36, ram_percent=100))
    until(lambda: client.queue().running == (running,))
    try:
        assert client.call("POST", "/resource_gate/batch/stop", {})["batch"]["state"] == "stopping"
        assert client.wait_for_end(running).ok
        until(lambda: client.status()["batch"]["state"] == "paused")
        assert client.queue().pending == (waiting,)
    finally:
        client.call("POST", "/resource_gate/resume", {})
    assert client.wait_for_end(waiting).ok
    until(lambda: "batch_ended" in {e["kind"] for e in ear.of("resource_gate.batch")})


def test_a_dry_run_keeps_what_is_cached(client: Any) -> None:
    assert client.wait_for_end(client.submit(graph(37, ram_percent=100))).ok
    costs = client.call("GET", "/resource_gate/free/costs")
    assert costs["deferred"] is None and costs["emergency"]["reruns"] >= 1
    answer = client.call("POST", "/resource_gate/free", {"level": "emergency", "dry_run": True})
    assert answer["dry_run"] and answer["freed"] == 0
    assert client.call("GET", "/resource_gate/free/costs")["emergency"]["reruns"] == costs["emergency"]["reruns"]


def test_the_panel_is_a_page_of_its_own_and_finds_its_script(client: Any) -> None:
    for path in ("/resource_gate/", "/resource_gate", "/api/resource_gate/"):
        with urllib.request.urlopen(client.url + path, timeout=20) as answer:
            assert answer.headers.get_content_type() == "text/html" and b'id="resource-gate"' in answer.read()
    assert [path for path in client.call("GET", "/extensions") if path.endswith("/resource_gate.js")]
