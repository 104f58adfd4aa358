"""On a real ComfyUI whose own check of the origin is off: other sites change nothing; and what `doctor` tells of it."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from resource_gate.host.comfyui_hooks import QUEUE_HOOKS

pytestmark = pytest.mark.live


@pytest.fixture
def open_to_all(start_comfyui):
    return start_comfyui("--enable-cors-header", "*")


def post(server, path, headers):
    request = urllib.request.Request(
        server.url + path, b"{}", {"Content-Type": "application/json", **headers}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def test_comfyui_that_lets_every_origin_in_lets_none_change_our_state_and_the_report_is_whole(open_to_all):
    server = open_to_all
    foreign = ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"})
    for prefix in ("", "/api"):
        for headers in foreign:
            for route in ("pause", "free", "settings", "batch/restore"):
                assert post(server, f"{prefix}/resource_gate/{route}", headers) == 403
    assert server.client.status()["gate"]["state"] == "open"
    assert post(server, "/resource_gate/pause", {"Origin": server.url}) == 200
    assert post(server, "/resource_gate/resume", {"Sec-Fetch-Site": "same-origin"}) == 200

    report = server.client.call("GET", "/resource_gate/doctor")
    hooks = {f"prompt_queue.{name}": use for name, use in QUEUE_HOOKS.items()}
    assert report["hooks"] == hooks | {"nodes.before_node_execution": "looks at the memory before a node"}
    assert report["host"]["name"] == "ComfyUI" and report["off"] == {} and report["journal"]["problem"] is None
    assert report["machine"]["libraries"]["torch"]
