"""The routes on a real ComfyUI: what is refused, and what stays in force."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from resource_gate.batch.errors import RequestRefused

pytestmark = pytest.mark.live


def refused(client: Any, path: str, body: Any) -> Any:
    with pytest.raises(RequestRefused) as caught:
        client.call("POST", f"/resource_gate/{path}", body)
    assert caught.value.status == 400
    return caught.value.body["error"]


def test_a_level_that_does_not_exist_is_named_with_what_is_allowed(client: Any) -> None:
    [field] = refused(client, "free", {"level": "panic"})["fields"]
    assert field["field"] == "level"
    assert "'critical'" in field["problem"]
    assert field["in_force"] == "critical"


def test_a_setting_out_of_range_is_named_with_its_range_and_what_stays_in_force(client: Any) -> None:
    before = client.call("GET", "/resource_gate/settings")["settings"]
    [field] = refused(client, "settings", {"ram": {"warning": 1.7}})["fields"]
    assert field["field"] == "ram.warning"
    assert "0.01 to 1.0" in field["problem"]
    assert field["in_force"] == before["ram"]["warning"]
    assert client.call("GET", "/resource_gate/settings")["settings"] == before


def test_a_setting_that_is_taken_counts_at_once_and_can_be_taken_back(client: Any) -> None:
    client.call("POST", "/resource_gate/settings", {"ram": {"warning": 0.5}})
    try:
        assert client.status()["resources"]["ram"]["tiers"]["warning"] == 0.5
    finally:
        client.call("POST", "/resource_gate/settings", {"ram": {"warning": 0.85}})
    assert client.status()["resources"]["ram"]["tiers"]["warning"] == 0.85


@pytest.mark.parametrize("path", ["pause", "resume", "free", "settings"])
def test_a_body_that_is_no_object_changes_nothing(client: Any, path: str) -> None:
    assert "JSON object" in refused(client, path, [1])["message"]


def test_the_status_tells_the_host_and_that_the_worker_lives(client: Any) -> None:
    status = client.status()
    assert status["host"]["name"] == "ComfyUI"
    assert status["worker_alive"] is True
    assert status["resources"]["ram"]["limit"] > 0
    assert status["degraded"] == {}


def test_the_metrics_pass_prometheus_own_parser(comfyui: Any) -> None:
    with urllib.request.urlopen(f"{comfyui.url}/resource_gate/metrics") as answer:
        families = {f.name: f for f in text_string_to_metric_families(answer.read().decode())}
    [limit] = families["resource_gate_ram_limit_bytes"].samples
    assert limit.value > 0
    assert families["resource_gate_jobs_done"].type == "counter"
    assert families["resource_gate_worker_alive"].samples[0].value == 1


def test_the_history_tells_what_the_status_told(client: Any) -> None:
    points = client.call("GET", "/resource_gate/history?points=5")["points"]
    assert 1 <= len(points) <= 5
    assert points[-1]["ram_limit"] == client.status()["resources"]["ram"]["limit"]


def test_a_request_of_another_origin_is_refused(comfyui: Any) -> None:
    body = urllib.request.Request(
        f"{comfyui.url}/resource_gate/pause",
        b"{}",
        {"Content-Type": "application/json", "Origin": "http://evil.example"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(body)
    assert caught.value.code == 403


def test_the_routes_answer_under_api_too(client: Any) -> None:
    assert client.call("GET", "/api/resource_gate/status")["version"] == client.status()["version"]
