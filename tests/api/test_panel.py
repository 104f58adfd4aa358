"""The routes that only the panel asks for."""

from __future__ import annotations

import threading

import pytest

from resource_gate.api.panel import PanelRoutes
from resource_gate.monitor.readings import Level


async def test_a_page_that_is_not_there_is_told_and_hurts_nobody(serving, actions, tmp_path):
    async with serving(PanelRoutes(actions, tmp_path / "page.html")) as client:
        assert (await client.get("/resource_gate/")).status == 404
        assert (await client.get("/resource_gate/free/costs")).status == 200


async def test_no_page_of_another_site_shows_ours_in_a_frame_to_have_its_buttons_clicked(client):
    page = await client.get("/resource_gate/")
    assert page.status == 200 and page.headers["X-Frame-Options"] == "SAMEORIGIN"


async def test_marks_and_costs_are_told_off_the_loop(client, actions):
    answer = await client.get("/resource_gate/history/marks?since=12.5")
    assert await answer.json() == {"jobs": [], "actions": []}
    assert (await client.get("/resource_gate/history/marks")).status == 200
    assert await (await client.get("/resource_gate/free/costs")).json() == {"deferred": None}
    assert actions.asked == [("marks", 12.5), ("marks", 0.0), ("costs",)]
    assert threading.main_thread() not in actions.threads


@pytest.mark.parametrize("since", ["soon", "-1", "inf", "nan"])
async def test_a_wrong_since_is_refused_with_the_field(client, actions, since):
    answer = await client.get(f"/resource_gate/history/marks?since={since}")
    assert answer.status == 400
    assert [row["field"] for row in (await answer.json())["error"]["fields"]] == ["since"]
    assert actions.asked == []


async def test_a_dry_run_frees_nothing(client, actions):
    answer = await client.post("/resource_gate/free", json={"level": "emergency", "dry_run": True})
    assert answer.status == 200 and (await answer.json())["would_free"] == 7
    assert actions.asked == [("dry_run", Level.EMERGENCY)]
    assert threading.main_thread() not in actions.threads


async def test_a_dry_run_that_cannot_tell_all_is_no_error(client, actions):
    actions.deferred = "a node is running"
    assert (await client.post("/resource_gate/free", json={"dry_run": True})).status == 200


async def test_a_dry_run_is_asked_for_in_plain_words(client, actions):
    answer = await client.post("/resource_gate/free", json={"dry_run": "yes"})
    assert [(row["field"], row["in_force"]) for row in (await answer.json())["error"]["fields"]] == [("dry_run", False)]
    assert actions.asked == []


async def test_settings_go_back_to_their_defaults_these_or_all(client, actions):
    actions.store.change({"ram": {"warning": 0.5, "leave": 0.1}})
    answer = await client.post("/resource_gate/settings/reset", json={"fields": ["ram.warning"]})
    ram = (await answer.json())["settings"]["ram"]
    assert (ram["warning"], ram["leave"]) == (0.85, 0.1)
    answer = await client.post("/resource_gate/settings/reset", json={})
    assert (await answer.json())["settings"]["ram"]["leave"] == 0.05
    assert threading.main_thread() not in actions.threads


async def test_a_setting_that_is_none_is_refused_with_its_name(client, actions):
    answer = await client.post("/resource_gate/settings/reset", json={"fields": ["ram.colour"]})
    assert answer.status == 400
    assert (await answer.json())["error"] == {
        "message": "nothing was changed",
        "fields": [{"field": "ram.colour", "problem": "there is no such setting", "in_force": None}],
    }


@pytest.mark.parametrize("body", [{"fields": []}, {"fields": "ram.warning"}, {"fields": [1]}, {"field": "ram.warning"}])
async def test_a_reset_that_is_not_understood_changes_nothing(client, actions, body):
    answer = await client.post("/resource_gate/settings/reset", json=body)
    assert answer.status == 400 and (await answer.json())["error"]["fields"]
    assert actions.asked == []


async def test_a_foreign_page_cannot_reset_them(client, actions):
    answer = await client.post("/resource_gate/settings/reset", data=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status == 400 and actions.asked == []
