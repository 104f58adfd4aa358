from __future__ import annotations

import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from resource_gate.api.predictions import PredictionRoutes

VIEW = {"machine": "m", "families": []}


class Learned:
    def __init__(self):
        self.forgotten = []

    def view(self):
        return VIEW

    def exported(self):
        return '{"v":1}\n{"v":1}\n'

    def forget(self, family):
        self.forgotten.append(family)
        return 7


@pytest.fixture
def learned():
    return Learned()


@pytest.fixture
async def client(learned):
    table = web.RouteTableDef()
    PredictionRoutes(learned).add_to(table)
    app = web.Application()
    app.add_routes(table)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_what_was_learned_is_told(client):
    answer = await client.get("/resource_gate/predictions")
    assert await answer.json() == VIEW


async def test_all_runs_are_given_line_by_line(client):
    answer = await client.get("/resource_gate/predictions/runs")
    assert [json.loads(line) for line in (await answer.text()).splitlines()] == [{"v": 1}] * 2


@pytest.mark.parametrize("family", ["*", "ab12", "ab12" * 4])
async def test_a_family_is_forgotten(client, learned, family):
    answer = await client.post("/resource_gate/predictions/forget", json={"family": family})
    assert await answer.json() == {"ok": True, "runs": 7} and learned.forgotten == [family]


@pytest.mark.parametrize(
    "body", [{}, {"family": ""}, {"family": "a"}, {"family": "../x"}, {"family": 5}, {"all": True}]
)
async def test_anything_else_is_refused_and_nothing_is_forgotten(client, learned, body):
    answer = await client.post("/resource_gate/predictions/forget", json=body)
    assert answer.status == 400 and learned.forgotten == []
    assert (await answer.json())["error"]["fields"]
