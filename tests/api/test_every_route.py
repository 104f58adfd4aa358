"""Every route that the extension has: guarded, bounded, checked. A new one is under these rules by being there."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from resource_gate.api.guard import BURST
from resource_gate.api.panel import PanelRoutes
from resource_gate.api.paths import GET, POST, PREFIX, AtFirstRequest
from resource_gate.api.predictions import FORETOLD
from resource_gate.api.routes import MAX_BODY
from resource_gate.extension import Extension
from resource_gate.host.embedded import EmbeddedHost

ASKED_OFTEN = {"/resource_gate/predictions": FORETOLD[1]}
"""Routes that change nothing and take a body, with what they let through in a row."""

JSON = {"Content-Type": "application/json"}
FOREIGN = (
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)


@web.middleware
async def open_to_all(request, handler):
    """What ComfyUI puts in front under `--enable-cors-header`: each preflight is answered with yes."""
    answer = web.Response() if request.method == "OPTIONS" else await handler(request)
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.headers["Access-Control-Allow-Headers"] = "Content-Type"
    return answer


@pytest.fixture
def extension(tmp_path):
    made = Extension(EmbeddedHost(tmp_path))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def routes(extension):
    return [r for r in extension.host.routes if isinstance(r, web.RouteDef)]


@pytest.fixture
async def client(routes):
    app = web.Application(middlewares=[open_to_all])
    app.router.add_routes(routes)
    async with TestClient(TestServer(app)) as made:
        yield made


@pytest.fixture
def changes(routes):
    return sorted(r.path for r in routes if r.method == "POST")


def test_every_path_that_is_registered_is_answered_and_no_handler_lacks_its_path(extension):
    built = AtFirstRequest(extension.handlers).handlers()
    assert set(built) == {("GET", PREFIX + path) for path in GET} | {("POST", PREFIX + path) for path in POST}


def test_there_are_only_looks_and_changes_and_all_lie_in_our_folder(routes, changes):
    assert {r.method for r in routes} == {"GET", "POST"}
    assert all(f"{r.path}/".startswith("/resource_gate/") and "{" not in r.path for r in routes)
    assert len(changes) >= 10


async def test_no_other_site_reaches_a_change_even_where_comfyui_lets_every_origin_in(client, changes):
    for path in changes:
        for headers in FOREIGN:
            answer = await client.post(path, data="{}", headers={**JSON, **headers})
            assert answer.status == 403, (path, headers)
            assert "nothing was done" in (await answer.json())["error"]["message"]


async def test_what_a_browser_may_send_without_asking_is_refused(client, changes):
    """A page of another site can send these types with no preflight; a browser so old that it marks nothing, too."""
    for path in changes:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            answer = await client.post(path, data=b"{}", headers={"Content-Type": kind})
            assert answer.status == 400, (path, kind)


async def test_a_body_with_a_field_that_is_not_known_is_refused_by_its_name(client, changes):
    for path in changes:
        answer = await client.post(path, json={"nonsense": 1})
        told = (await answer.json())["error"]
        assert answer.status == 400 and "nonsense" in {row["field"] for row in told["fields"]}, path


async def test_a_body_that_is_no_object_too_long_or_too_deep_is_refused(client, changes):
    for path in changes:
        for body in ("[]", "1", "{", "[" * 30_000, json.dumps({"id": "x" * MAX_BODY})):
            assert (await client.post(path, data=body, headers=JSON)).status == 400, (path, body[:20])


async def test_a_body_that_is_not_packed_as_it_says_is_refused_and_is_no_error_of_ours(client, changes, caplog):
    packed = {**JSON, "Content-Encoding": "gzip", "Connection": "close"}
    for path in changes:
        async with client.post(path, data=b"no gzip", headers=packed, compress=False) as answer:
            assert answer.status == 400 and "nothing was done" in (await answer.json())["error"]["message"], path
    assert [record.message for record in caplog.records if record.name.startswith("resource_gate")] == []


async def test_every_change_has_a_limit_of_its_own_on_how_often(client, changes):
    for path in changes:
        burst = ASKED_OFTEN.get(path, BURST)
        answers = []
        while 429 not in answers:  # how many more than the burst depends on how slowly this machine asks
            answers.append((await client.post(path, data="[]", headers=JSON)).status)
            assert len(answers) < 20 * burst, path
        assert answers[:-1] == [400] * (len(answers) - 1) and len(answers) > burst, path


async def test_a_get_changes_nothing(client, routes, changes):
    looks = {r.path for r in routes if r.method == "GET"}
    for path in changes:
        assert (await client.get(path)).status == (200 if path in looks else 405), path


async def test_what_takes_long_takes_one_thread_however_many_ask(serving, tmp_path):
    """`free/costs` waits for the running node: a page that asks again and again must not use up the loop's threads."""
    began, go_on = [], threading.Event()

    class Slow:
        def costs(self):
            began.append(1)
            go_on.wait(30)
            return {"deferred": None}

    async with serving(PanelRoutes(Slow(), tmp_path)) as client:
        asked = [asyncio.create_task(client.get("/resource_gate/free/costs")) for _ in range(20)]
        while not began:
            await asyncio.sleep(0.01)
        asked[0].cancel()  # who goes away takes the answer from nobody
        await asyncio.sleep(0)
        go_on.set()
        answers = await asyncio.gather(*asked[1:])
        assert {a.status for a in answers} == {200} and len(began) <= 2
