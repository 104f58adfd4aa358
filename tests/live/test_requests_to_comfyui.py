"""The routes on a real ComfyUI: what is refused, and what stays in force."""

from __future__ import annotations

from typing import Any

import pytest

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


def test_the_routes_answer_under_api_too(client: Any) -> None:
    assert client.call("GET", "/api/resource_gate/status")["version"] == client.status()["version"]
