"""The routes of the batch: what they take, refuse and answer."""

from __future__ import annotations

import threading

import pytest

from resource_gate.api.batch import BatchRoutes


class Batch:
    """Remembers what it was asked for, and on which thread."""

    def __init__(self):
        self.asked = []
        self.threads = set()

    def _note(self, *what):
        self.asked.append(what)
        self.threads.add(threading.current_thread())

    def jobs(self, limit, before):
        self._note("jobs", limit, before)
        return {"jobs": [], "next": None, "quarantined": [], "restorable": 0, "problem": None}

    def restore(self, ids, discard):
        self._note("restore", ids, discard)
        return {"restored": ids or [], "refused": []}

    def release(self, job_id):
        self._note("release", job_id)
        return {"restored": [job_id], "refused": []} if job_id == "a" else None

    def retry(self, ids):
        self._note("retry", ids)
        return {"queued": [{"id": "new", "of": "a"}], "refused": []}

    def stop(self):
        self._note("stop")
        return {"state": "stopping"}


@pytest.fixture
def batch():
    return Batch()


@pytest.fixture
async def batch_client(serving, batch):
    async with serving(BatchRoutes(batch)) as made:
        yield made


async def test_jobs_come_in_pages_and_off_the_loop(batch_client, batch):
    assert (await batch_client.get("/resource_gate/batch")).status == 200
    answer = await batch_client.get("/resource_gate/batch?limit=5&before=17")
    assert (await answer.json())["jobs"] == []
    assert batch.asked == [("jobs", 100, None), ("jobs", 5, 17)]
    assert threading.main_thread() not in batch.threads


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "before=0", "before=-1", "before=x"])
async def test_a_page_that_makes_no_sense_is_refused_by_its_field(batch_client, batch, query):
    answer = await batch_client.get(f"/resource_gate/batch?{query}")
    assert answer.status == 400
    assert (await answer.json())["error"]["fields"][0]["field"] == query.partition("=")[0]
    assert batch.asked == []


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({}, ("restore", None, False)),
        ({"ids": ["a", "b"]}, ("restore", ["a", "b"], False)),
        ({"discard": True}, ("restore", None, True)),
    ],
)
async def test_restore_takes_all_or_some_and_may_discard(batch_client, batch, body, asked):
    answer = await batch_client.post("/resource_gate/batch/restore", json=body)
    assert answer.status == 200
    assert batch.asked == [asked]


@pytest.mark.parametrize("body", [{"ids": []}, {"ids": "a"}, {"ids": [1]}, {"discard": "yes"}, {"id": ["a"]}, []])
async def test_a_restore_that_is_not_understood_does_nothing(batch_client, batch, body):
    assert (await batch_client.post("/resource_gate/batch/restore", json=body)).status == 400
    assert batch.asked == []


async def test_a_page_of_another_site_cannot_restore(batch_client, batch):
    answer = await batch_client.post("/resource_gate/batch/restore", data="{}", headers={"Content-Type": "text/plain"})
    assert answer.status == 400
    assert batch.asked == []


async def test_release_lets_one_job_run_again(batch_client, batch):
    answer = await batch_client.post("/resource_gate/batch/release", json={"id": "a"})
    assert await answer.json() == {"restored": ["a"], "refused": []}


async def test_release_of_a_job_that_is_not_set_aside_says_so(batch_client):
    answer = await batch_client.post("/resource_gate/batch/release", json={"id": "b"})
    assert answer.status == 400
    assert (await answer.json())["error"]["fields"][0]["field"] == "id"


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": 5}, {"id": "x" * 200}])
async def test_release_needs_an_id(batch_client, batch, body):
    assert (await batch_client.post("/resource_gate/batch/release", json=body)).status == 400
    assert batch.asked == []


async def test_failed_ones_are_queued_again_all_or_these_off_the_loop(batch_client, batch):
    answer = await batch_client.post("/resource_gate/batch/retry", json={})
    assert (await answer.json())["queued"] == [{"id": "new", "of": "a"}]
    await batch_client.post("/resource_gate/batch/retry", json={"ids": ["a", "b"]})
    assert batch.asked == [("retry", None), ("retry", ["a", "b"])]
    assert threading.main_thread() not in batch.threads


@pytest.mark.parametrize(
    ("body", "field"), [({"ids": []}, "ids"), ({"ids": [5]}, "ids.0"), ({"ids": "a"}, "ids"), ({"id": "a"}, "id")]
)
async def test_retry_refuses_what_it_does_not_understand_with_the_field(batch_client, batch, body, field):
    answer = await batch_client.post("/resource_gate/batch/retry", json=body)
    assert answer.status == 400
    (row,) = (await answer.json())["error"]["fields"]
    assert row["field"] == field and row["problem"]
    assert batch.asked == []


async def test_stop_answers_how_the_batch_stands(batch_client, batch):
    answer = await batch_client.post("/resource_gate/batch/stop", json={})
    assert await answer.json() == {"ok": True, "batch": {"state": "stopping"}}
    assert (await batch_client.post("/resource_gate/batch/stop", json={"now": True})).status == 400
    assert batch.asked == [("stop",)]


@pytest.mark.parametrize("route", ["retry", "stop"])
async def test_a_foreign_page_cannot_send_them(batch_client, batch, route):
    answer = await batch_client.post(
        f"/resource_gate/batch/{route}", data=b"{}", headers={"Content-Type": "text/plain"}
    )
    assert answer.status == 400 and batch.asked == []
