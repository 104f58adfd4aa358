from __future__ import annotations

import contextlib
import json
import logging
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resource_gate.api.routes import MAX_BODY, MAX_CLIENT_ID
from resource_gate.api.schemas import BadRequest, Free, Past, parse
from resource_gate.monitor.readings import Level
from resource_gate.settings import Settings

POSTS = ["free", "pause", "resume", "settings"]


async def post(client, route, **how):
    answer = await client.post(f"/resource_gate/{route}", **how)
    return answer.status, await answer.json()


async def refused(client, route, **how):
    status, body = await post(client, route, **how)
    assert status == 400 and set(body) == {"error"} and set(body["error"]) == {"message", "fields"}
    return body["error"]


async def test_status_is_answered_off_the_event_loop(client, actions):
    answer = await client.get("/resource_gate/status")
    assert answer.status == 200 and await answer.json() == {"level": "normal"}
    assert actions.threads[0] is not threading.current_thread()


async def test_status_without_watch_sends_no_events(client, watchers):
    await client.get("/resource_gate/status")
    await client.get("/resource_gate/status?watch=")
    assert watchers.current() == []


async def test_a_client_that_watches_has_a_lease(client, watchers):
    await client.get("/resource_gate/status", params={"watch": "me"})
    assert watchers.current() == ["me"]


async def test_an_overlong_client_id_is_refused(client, watchers):
    answer = await client.get("/resource_gate/status", params={"watch": "x" * (MAX_CLIENT_ID + 1)})
    assert answer.status == 400 and watchers.current() == []
    answer = await client.get("/resource_gate/status", params={"watch": "x" * MAX_CLIENT_ID})
    assert answer.status == 200


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({}, (Level.CRITICAL, None)),
        ({"level": "warning"}, (Level.WARNING, None)),
        ({"level": "emergency", "goal_bytes": 2**30}, (Level.EMERGENCY, 2**30)),
        ({"goal_bytes": None}, (Level.CRITICAL, None)),
    ],
)
async def test_free_asks_for_what_the_body_says_off_the_event_loop(client, actions, body, asked):
    status, answer = await post(client, "free", json=body)
    assert status == 200 and answer["freed"] == 5
    assert actions.asked == [("free", *asked)]
    assert actions.threads[0] is not threading.current_thread()


@pytest.mark.parametrize(
    ("body", "field", "in_force"),
    [
        ({"level": "all"}, "level", "critical"),
        ({"level": 3}, "level", "critical"),
        ({"level": "normal"}, "level", "critical"),
        ({"goal_bytes": 0}, "goal_bytes", None),
        ({"goal_bytes": 2**51}, "goal_bytes", None),
        ({"goal_bytes": "5"}, "goal_bytes", None),
        ({"goal_bytes": 1.5}, "goal_bytes", None),
        ({"goal_bytes": True}, "goal_bytes", None),
        ({"gaol_bytes": 5}, "gaol_bytes", None),
    ],
)
async def test_free_refuses_what_it_does_not_understand_with_the_field(client, actions, body, field, in_force):
    error = await refused(client, "free", json=body)
    (row,) = error["fields"]
    assert row["field"] == field and row["in_force"] == in_force and row["problem"]
    assert actions.asked == []


async def test_each_wrong_field_has_a_row_of_its_own(client):
    error = await refused(client, "free", json={"level": "all", "goal_bytes": -1, "typo": 1})
    assert {row["field"] for row in error["fields"]} == {"level", "goal_bytes", "typo"}


@pytest.mark.parametrize("route", ["pause", "resume"])
async def test_pause_and_resume(client, actions, route):
    assert await post(client, route, json={}) == (200, {"ok": True})
    assert actions.asked == [(route,)]


@pytest.mark.parametrize("route", ["pause", "resume"])
async def test_pause_and_resume_take_no_fields(client, actions, route):
    error = await refused(client, route, json={"seconds": 5})
    assert error["fields"][0]["field"] == "seconds" and actions.asked == []


@pytest.mark.parametrize("route", POSTS)
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"]
)
async def test_a_body_that_a_foreign_page_could_send_unasked_is_refused(client, actions, route, content_type):
    error = await refused(client, route, data=b"{}", headers={"Content-Type": content_type})
    assert "application/json" in error["message"] and actions.asked == []


@pytest.mark.parametrize("route", POSTS)
async def test_the_content_type_may_name_its_charset(client, route):
    answer = await client.post(
        f"/resource_gate/{route}", data=b"{}", headers={"Content-Type": "application/json; charset=utf-8"}
    )
    assert answer.status == 200


@pytest.mark.parametrize("route", POSTS)
@pytest.mark.parametrize("body", [[], "x", 5, None, True, [{}]])
async def test_a_body_that_is_no_object_is_refused(client, actions, route, body):
    error = await refused(client, route, data=json.dumps(body), headers={"Content-Type": "application/json"})
    assert "JSON object" in error["message"] and actions.asked == []


DEEP = b"[" * 30_000 + b"]" * 30_000


@pytest.mark.parametrize("route", POSTS)
@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b"{'level': 1}", DEEP, b'{"level":' + DEEP, b"{} {}", b'{"a": 1' + b"0" * 5000 + b"}"]
)
async def test_a_body_that_is_no_json_is_refused_however_deep(client, actions, route, body):
    await refused(client, route, data=body, headers={"Content-Type": "application/json"})
    assert actions.asked == [] or route == "settings"
    assert actions.store.current == Settings()


@pytest.mark.parametrize("route", POSTS)
async def test_a_body_that_is_too_large_is_refused_and_not_read_to_its_end(client, actions, route):
    sent = 0

    async def endless():
        nonlocal sent
        yield b'{"level": "'
        for _ in range(10_000):
            sent += 1
            yield b"x" * 4096

    with contextlib.suppress(ConnectionError):  # the server may close before its answer is read
        error = await refused(client, route, data=endless(), headers={"Content-Type": "application/json"})
        assert str(MAX_BODY) in error["message"]
    assert sent < 10_000 and actions.asked == []


async def test_a_body_at_the_limit_is_read(client):
    body = json.dumps({"level": "warning"}).ljust(MAX_BODY)
    answer = await client.post("/resource_gate/free", data=body, headers={"Content-Type": "application/json"})
    assert answer.status == 200


async def test_settings_are_shown_and_changed(client, actions):
    status, body = await post(client, "settings", json={"ram": {"warning": 0.7}})
    assert status == 200 and body["settings"]["ram"]["warning"] == 0.7
    answer = await client.get("/resource_gate/settings")
    assert (await answer.json())["settings"]["ram"]["warning"] == 0.7


async def test_a_bad_setting_is_refused_with_range_and_what_stays_in_force(client, actions):
    error = await refused(client, "settings", json={"ram": {"warning": 5, "leave": 0.1}})
    assert error["fields"] == [
        {
            "field": "ram.warning",
            "problem": "Input should be less than or equal to 1 (allowed: 0.01 to 1.0)",
            "in_force": 0.85,
        }
    ]
    assert actions.store.current == Settings()


@pytest.mark.parametrize("name", ["model_dump", "copy", "__class__", "model_fields"])
async def test_a_setting_named_like_a_method_is_as_unknown_as_any(client, name):
    error = await refused(client, "settings", json={"ram": {name: 1}})
    assert error["fields"][0] == {
        "field": f"ram.{name}", "problem": "Extra inputs are not permitted", "in_force": None,
    }  # fmt: skip


async def test_history_and_log_take_their_query(client, actions):
    assert (await client.get("/resource_gate/history?since=5.5&points=7")).status == 200
    assert await (await client.get("/resource_gate/log")).json() == {"actions": []}
    assert actions.asked == [("history", 5.5, 7), ("log", 0.0, 600)]


@pytest.mark.parametrize("query", ["since=-1", "since=nan", "since=x", "points=0", "points=3601", "points=1.5"])
@pytest.mark.parametrize("route", ["history", "log"])
async def test_a_bad_query_is_refused_with_its_field(client, actions, route, query):
    answer = await client.get(f"/resource_gate/{route}?{query}")
    error = (await answer.json())["error"]
    assert answer.status == 400 and error["fields"][0]["field"] == query.partition("=")[0]
    assert actions.asked == []


async def test_metrics_are_prometheus_text(client):
    answer = await client.get("/resource_gate/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=")
    assert await answer.text() == "# HELP x y\n"


async def test_an_error_of_ours_is_answered_with_500_in_the_same_form_and_logged(client, actions, caplog):
    actions.error = RuntimeError("broken inside")
    with caplog.at_level(logging.ERROR):
        status, body = await post(client, "pause", json={})
    assert status == 500 and "/resource_gate/pause failed" in body["error"]["message"]
    assert "broken inside" not in json.dumps(body) and "broken inside" in caplog.text


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(anything | st.dictionaries(st.sampled_from(["level", "goal_bytes", "since", "points", "x"]), anything))
@pytest.mark.parametrize("kind", [Free, Past])
def test_whatever_comes_it_is_understood_or_refused_in_json(kind, data):
    try:
        parse(kind, data)
    except BadRequest as bad:
        json.dumps(bad.as_dict())


async def test_what_has_to_wait_is_a_conflict_that_tells_what_came_free_and_why(client, actions):
    actions.deferred = "a node is running"
    status, answer = await post(client, "free", json={})
    assert status == 409
    assert answer == {"ok": False, "freed": 5, "actions": [], "deferred": "a node is running"}
