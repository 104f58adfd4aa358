"""Who may change something: this origin and programs, not pages of other sites; and not without end."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from resource_gate.api.guard import BURST, RATE, Bucket, foreign
from resource_gate.api.routes import Routes, answered

JSON = {"Content-Type": "application/json"}
CHANGES = ("free", "pause", "resume", "settings")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "127.0.0.1:8188", "Origin": "http://127.0.0.1:8188"},
        {"Host": "[::1]:8188", "Origin": "http://[::1]:8188"},
        {"Host": "Studio.lan", "Origin": "http://studio.lan"},
        {"Host": "studio.lan:443", "Origin": "https://studio.lan"},
        {"Host": "127.0.0.1:8188", "Origin": "https://comfy.example", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_the_own_origin_and_programs_are_no_strangers(headers):
    assert not foreign(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1:8188", "Origin": "http://evil.example"},
        {"Host": "127.0.0.1:8188", "Origin": "http://127.0.0.1:3000"},
        {"Host": "127.0.0.1:8188", "Origin": "http://localhost:8188"},
        {"Host": "127.0.0.1:8188", "Origin": "null"},
        {"Host": "studio.lan:8188", "Origin": "http://studio.lan"},
        {"Host": "127.0.0.1:8188", "Origin": "http://127.0.0.1:port"},
        {"Host": "127.0.0.1:8188", "Origin": "http://[::1"},
        {"Host": "x", "Origin": "http://x", "Sec-Fetch-Site": "cross-site"},
        {"Host": "x", "Origin": "http://x", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://x"},
    ],
)
def test_every_other_origin_is_a_stranger(headers):
    assert foreign(headers)


@pytest.mark.parametrize("route", CHANGES)
@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_a_page_of_another_site_changes_nothing_even_with_json(client, actions, route, headers):
    answer = await client.post(f"/resource_gate/{route}", data="{}", headers={**JSON, **headers})
    assert answer.status == 403 and "another origin" in (await answer.json())["error"]["message"]
    assert actions.asked == []


async def test_comfyuis_cors_header_does_not_let_another_site_change_anything(serving, actions, watchers):
    """The middleware is that of ComfyUI under `--enable-cors-header`: it answers each preflight with yes."""

    @web.middleware
    async def cors(request, handler):
        answer = web.Response() if request.method == "OPTIONS" else await handler(request)
        answer.headers["Access-Control-Allow-Origin"] = "*"
        answer.headers["Access-Control-Allow-Headers"] = "Content-Type, Authorization"
        return answer

    async with serving(Routes(actions, watchers), middlewares=[cors]) as client:
        answer = await client.post("/resource_gate/pause", data="{}", headers={**JSON, "Origin": "http://evil.example"})
    assert answer.status == 403 and actions.asked == []


async def test_another_site_gets_no_events(client, watchers):
    await client.get("/resource_gate/status?watch=me", headers={"Sec-Fetch-Site": "cross-site"})
    assert watchers.current() == [] and not watchers.ever


@pytest.mark.parametrize("route", CHANGES)
async def test_a_change_by_get_is_not_known(client, actions, route):
    answer = await client.get(f"/resource_gate/{route}", headers=JSON)
    assert answer.status == (200 if route == "settings" else 405)
    assert actions.asked == []


async def test_a_flood_is_stopped_and_told_when_to_come_again(clock):
    done = []

    async def change(request):
        done.append(request.path)
        return web.json_response({})

    app = web.Application()
    for path in ("/one", "/other"):
        app.router.add_post(path, answered(change, Bucket(clock=clock)))
    async with TestClient(TestServer(app)) as client:
        answers = [await client.post("/one", json={}) for _ in range(BURST + 5)]
        assert [a.status for a in answers] == [200] * BURST + [429] * 5
        assert all(a.headers["Retry-After"] == "1" for a in answers[BURST:])
        assert "try again in 1 s" in (await answers[-1].json())["error"]["message"]
        assert len(done) == BURST
        # One route's flood is not another's, and it is over with time.
        assert (await client.post("/other", json={})).status == 200
        clock.now += 1.0
        assert (await client.post("/one", json={})).status == 200


async def test_looking_is_never_stopped(clock):
    async def look(request):
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/look", answered(look, Bucket(burst=1, clock=clock)))
    async with TestClient(TestServer(app)) as client:
        assert {(await client.get("/look")).status for _ in range(5)} == {200}


def test_a_bucket_fills_again_with_time(clock):
    bucket = Bucket(clock=clock)
    assert [bucket.take() for _ in range(BURST)] == [0.0] * BURST
    assert bucket.take() == pytest.approx(1 / RATE)
    clock.now += 1 / RATE
    assert bucket.take() == 0.0 and bucket.take() > 0
    clock.now += 10_000
    assert sum(bucket.take() == 0.0 for _ in range(2 * BURST)) == BURST
