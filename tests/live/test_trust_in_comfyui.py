"""On a real ComfyUI that is open to others: other sites change nothing; and what `doctor` tells of it."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from aiohttp import web

from resource_gate.extension import Extension
from resource_gate.host.comfyui_hooks import QUEUE_HOOKS
from resource_gate.host.embedded import EmbeddedHost

pytestmark = pytest.mark.live


@pytest.fixture(params=[("--enable-cors-header", "*"), ("--listen", "0.0.0.0")], ids=["cors", "listen"])
def open_to_all(start_comfyui, request):
    """Where ComfyUI's own check of the origin is off, and where it does not apply: to a name that is not loopback."""
    return start_comfyui(*request.param)


@pytest.fixture
def changes(tmp_path):
    """Every POST route that the extension has."""
    extension = Extension(EmbeddedHost(tmp_path))
    extension.start()
    found = [r.path for r in extension.host.routes if isinstance(r, web.RouteDef) and r.method == "POST"]
    extension.stop()
    return found


def post(server, path, headers):
    request = urllib.request.Request(
        server.url + path, b"{}", {"Content-Type": "application/json", **headers}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def test_comfyui_that_lets_every_origin_in_lets_none_change_our_state_and_the_report_is_whole(open_to_all, changes):
    server = open_to_all
    foreign = (
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Host": "studio.lan:8188", "Origin": "http://evil.example"},
    )
    assert len(changes) >= 10
    for prefix in ("", "/api"):
        for headers in foreign:
            for route in changes:
                assert post(server, prefix + route, headers) == 403, (route, headers)
    assert server.client.status()["gate"]["state"] == "open"
    assert post(server, "/resource_gate/pause", {"Origin": server.url}) == 200
    assert post(server, "/resource_gate/resume", {"Sec-Fetch-Site": "same-origin"}) == 200
    named = {"Host": "studio.lan:8188", "Origin": "http://studio.lan:8188"}
    assert post(server, "/resource_gate/pause", named) == 200
    assert post(server, "/resource_gate/resume", named) == 200

    report = server.client.call("GET", "/resource_gate/doctor")
    hooks = {f"prompt_queue.{name}": use for name, use in QUEUE_HOOKS.items()}
    assert report["hooks"] == hooks | {"nodes.before_node_execution": "looks at the memory before a node"}
    assert report["host"]["name"] == "ComfyUI" and report["off"] == {} and report["journal"]["problem"] is None
    assert report["machine"]["libraries"]["torch"]
