"""All paths are registered at the start; what answers them comes with the first request."""

from __future__ import annotations

import pytest
from aiohttp import web

from resource_gate.api.paths import GET, POST, PREFIX, AtFirstRequest


class Handlers:
    def add_to(self, table):
        for path in GET:
            table.get(PREFIX + path)(self.answer)
        for path in POST:
            table.post(PREFIX + path)(self.answer)

    async def answer(self, request):
        return web.Response(text=f"{request.method} {request.path}")


@pytest.fixture
def built():
    return []


@pytest.fixture
async def client(serving, built):
    def build():
        built.append(1)
        return [Handlers()]

    async with serving(AtFirstRequest(build)) as made:
        yield made


async def test_nothing_is_built_by_the_start(client, built):
    assert not built


async def test_the_first_request_builds_and_no_other(client, built):
    for _ in range(2):
        answer = await client.get("/resource_gate/status")
        assert await answer.text() == "GET /resource_gate/status"
    assert len(built) == 1


async def test_get_and_post_of_one_path_are_told_apart(client):
    assert await (await client.post("/resource_gate/settings")).text() == "POST /resource_gate/settings"
    assert await (await client.get("/resource_gate/settings")).text() == "GET /resource_gate/settings"


async def test_who_asks_for_the_head_only_is_answered_too(client):
    assert (await client.head("/resource_gate/metrics")).status == 200


async def test_another_method_is_refused_by_the_server(client, built):
    assert (await client.put("/resource_gate/free")).status == 405
    assert not built
