"""The whole server side of the panel on the embedded host: what its routes answer and its events tell."""

from __future__ import annotations

import aiohttp
import pytest

from resource_gate.extension import Extension
from resource_gate.host.embedded_kinds import Input, NodeKind, NodeResult
from resource_gate.host.embedded_server import EmbeddedServer


@pytest.fixture
def panel(host):
    """An extension that runs on `host`, its events in `heard`, and a node that fails while `broken`."""
    extension = Extension(host)
    extension.heard, extension.broken = [], True
    host.listen(lambda event, data, client: extension.heard.append(data) if event == "resource_gate.batch" else None)

    def run(context, tag=0):
        if extension.broken:
            raise ValueError("broken")
        return NodeResult((), {"text": ["well"]})

    host.nodes["Brittle"] = NodeKind("Brittle", run, {"tag": Input("INT", required=False)}, (), output_node=True)
    extension.start()
    yield extension
    extension.stop()


@pytest.fixture
def heard(panel):
    """What is sent to somebody who watches."""
    panel.watchers.renew("me")
    return panel.heard


@pytest.fixture
async def http(host, panel, tmp_path):
    server = EmbeddedServer(host, tmp_path)
    port = await server.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session
    await server.stop()


def brittle(host, tag=0):
    return host.submit({"1": {"class_type": "Brittle", "inputs": {"tag": tag}}})


async def asked(http, method, route, **more):
    async with http.request(method, f"/resource_gate/{route}", **more) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_what_failed_is_told_and_runs_again_when_asked(host, panel, http, until):
    item = brittle(host)
    until(lambda: host.queue.entry(item.id))
    page = await asked(http, "GET", "batch")
    (job,) = page["jobs"]
    assert (job["title"], job["state"], job["error"], job["can_retry"]) == ("Brittle", "failed", "broken", True)
    assert (page["retryable"], page["batch"]["failed"], page["running"], page["left"]) == (1, 1, [], [])
    panel.broken = False
    answer = await asked(http, "POST", "batch/retry", json={})
    (again,) = answer["queued"]
    assert again["of"] == item.id
    assert until(lambda: host.queue.entry(again["id"]))["status"]["completed"]
    states = {row["id"]: row["state"] for row in (await asked(http, "GET", "batch"))["jobs"]}
    assert states == {item.id: "failed", again["id"]: "done"}
    marks = await asked(http, "GET", "history/marks")
    assert [(mark["id"], mark["ok"]) for mark in marks["jobs"]] == [(item.id, False), (again["id"], True)]


async def test_each_event_carries_the_job_and_the_batch(host, heard, http, until):
    item = brittle(host)
    until(lambda: [e for e in heard if e["kind"] == "ended"])
    started, ended = (e for e in heard if e["count"])
    assert (started["kind"], started["job"]["id"], ended["kind"]) == ("started", item.id, "ended")
    assert (ended["job"]["id"], ended["job"]["state"], ended["batch"]["failed"]) == (item.id, "failed", 1)


async def test_stop_lets_the_running_job_end_and_holds_the_next_until_resume(host, panel, heard, http, hold, until):
    panel.broken = False
    first = host.submit({"1": {"class_type": "Hold", "inputs": {}}})
    second = brittle(host)
    until(hold.entered.is_set)
    assert (await asked(http, "POST", "batch/stop", json={}))["batch"]["state"] == "stopping"
    status = await asked(http, "GET", "status")
    assert (status["batch"]["stop_after_current"], status["gate"]["state"]) == (True, "open")
    # An event tells what is when it is sent: the job must still be running then.
    assert until(lambda: "stopping" in [e["batch"]["state"] for e in list(heard) if e["kind"] == "state"])
    hold.release.set()
    until(lambda: host.queue.entry(first.id))
    until(lambda: panel.status()["batch"]["state"] == "paused")
    assert host.queue.entry(second.id) is None
    await asked(http, "POST", "resume", json={})
    assert until(lambda: host.queue.entry(second.id))["status"]["completed"]


async def test_a_deleted_prompt_is_told(host, heard, http, hold, until):
    host.submit({"1": {"class_type": "Hold", "inputs": {}}})
    until(hold.entered.is_set)
    waiting = brittle(host)
    host.queue.delete([waiting.id])
    (event,) = until(lambda: [e for e in heard if e["kind"] == "deleted"])
    assert (event["job"]["id"], event["job"]["state"], event["count"]) == (waiting.id, "deleted", 1)


async def test_a_dry_run_keeps_what_is_cached_and_a_real_one_frees_it(host, panel, http, clip, run):
    run(clip(frames=3))
    held = len(host.outputs())
    costs = await asked(http, "GET", "free/costs")
    assert costs["emergency"]["reruns"] == held > 0 and costs["deferred"] is None
    dry = await asked(http, "POST", "free", json={"level": "emergency", "dry_run": True})
    assert (dry["freed"], dry["ok"], len(host.outputs())) == (0, True, held)
    assert (await asked(http, "GET", "log"))["actions"] == []
    await asked(http, "POST", "free", json={"level": "emergency"})
    assert len(host.outputs()) == 0


async def test_without_a_watcher_only_what_a_person_must_hear_is_sent(host, panel, http, until):
    item = brittle(host)
    until(lambda: host.queue.entry(item.id))
    panel.panel.restored(["a", "b"])
    (event,) = until(lambda: list(panel.heard))
    assert (event["kind"], event["count"], event["job"]) == ("restored", 2, None)


@pytest.mark.parametrize("path", ["/resource_gate", "/resource_gate/", "/api/resource_gate/"])
async def test_the_panel_is_a_page_of_its_own_too(http, panel, path):
    async with http.get(path) as answer:
        assert answer.status == 200 and answer.content_type == "text/html"
        assert 'id="resource-gate"' in await answer.text()


async def test_settings_are_reset_over_http(host, panel, http):
    await asked(http, "POST", "settings", json={"gate": {"wait": 5}})
    answer = await asked(http, "POST", "settings/reset", json={"fields": ["gate.wait"]})
    assert answer["settings"]["gate"]["wait"] == 30 and "schema" in answer
