from __future__ import annotations

import json

import pytest

from resource_gate.api.predictions import MAX_GRAPH, PredictionRoutes
from resource_gate.gate.prediction.predict import Need

VIEW = {"machine": "m", "families": []}


class Learned:
    def __init__(self):
        self.forgotten = []
        self.asked = []
        self.need = Need(5, 0, 1.5, 1.0, 2.0, True, runs=3)

    def view(self):
        return VIEW

    def exported(self):
        return '{"v":1}\n{"v":1}\n'

    def foretell(self, graph, outputs=()):
        self.asked.append((graph, list(outputs)))
        return self.need

    def forget(self, family):
        self.forgotten.append(family)
        return 7


@pytest.fixture
def learned():
    return Learned()


@pytest.fixture
async def client(serving, learned):
    async with serving(PredictionRoutes(learned)) as client:
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


GRAPH = {"1": {"class_type": "EmptyImage", "inputs": {"width": 64}, "_meta": {"title": "x"}}}


async def test_a_graph_is_foretold_and_nothing_else_is_done(client, learned):
    answer = await client.post("/resource_gate/predictions", json={"prompt": GRAPH, "outputs": ["1"]})
    told = (await answer.json())["need"]
    assert (told["ram"], told["seconds"], told["known"], told["runs"]) == (5, 1.5, True, 3)
    assert learned.asked == [({"1": {"class_type": "EmptyImage", "inputs": {"width": 64}}}, ["1"])]
    assert learned.forgotten == []


async def test_where_nothing_is_predicted_the_answer_says_so(client, learned):
    learned.need = None
    answer = await client.post("/resource_gate/predictions", json={"prompt": GRAPH})
    assert answer.status == 200 and await answer.json() == {"need": None}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"prompt": {}},
        {"prompt": [1]},
        {"prompt": {"1": 5}},
        {"prompt": {"1": {"inputs": {}}}},
        {"prompt": {"1": {"class_type": "A", "inputs": []}}},
        {"prompt": {str(n): GRAPH["1"] for n in range(5001)}},
        {"prompt": GRAPH, "outputs": [7]},
        {"prompt": GRAPH, "wanted": True},
    ],
)
async def test_what_is_no_graph_is_refused_by_field(client, learned, body):
    answer = await client.post("/resource_gate/predictions", json=body)
    assert answer.status == 400 and learned.asked == []
    assert (await answer.json())["error"]["fields"]


async def test_a_graph_beyond_all_measure_is_refused_by_its_size(client, learned):
    body = {"prompt": {"1": {"class_type": "A", "inputs": {"text": "x" * MAX_GRAPH}}}}
    answer = await client.post("/resource_gate/predictions", json=body)
    assert answer.status == 400 and "larger than" in (await answer.json())["error"]["message"] and learned.asked == []


async def test_foretelling_is_kept_from_other_sites(client):
    foreign = {"Origin": "http://elsewhere.example"}
    answer = await client.post("/resource_gate/predictions", json={"prompt": GRAPH}, headers=foreign)
    assert answer.status == 403
