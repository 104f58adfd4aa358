from __future__ import annotations

import json
import time

import pytest

from resource_gate.batch.client import Client
from resource_gate.batch.local.server_process import free_port
from resource_gate.batch.supervisor.look import STOCK_LOOKS, Answer, Look, Watcher, look_at

STATUS = {
    "level": "emergency",
    "resources": {"ram": {"used": 95, "limit": 100, "level": "emergency", "tiers": {"critical": 0.9}}},
    "process": {"anonymous": 60, "peak": 80, "rss": 70},
    "worker_alive": True,
    "gate": {"state": "waiting"},
    "queue": {"running": ["a"], "pending": 2, "node": "12 ImageScale", "progress": 0.5},
    "batch": {"done": 3, "failed": 1, "retried": 0},
}


@pytest.fixture
def client(fake_comfyui):
    return Client(fake_comfyui.url, timeout=5)


def test_with_the_gate_all_is_known(fake_comfyui, client):
    fake_comfyui.answers["/resource_gate/status"] = (200, STATUS)
    assert look_at(client) == Look(
        Answer.GATE,
        True,
        "waiting",
        ("a",),
        2,
        "12 ImageScale",
        (("a",), "12 ImageScale", 0.5, 4, 0),
        4,
        (95, 100, 0.9),
        True,
        60,
        80,
    )


def test_ram_and_process_may_be_unknown(fake_comfyui, client):
    fake_comfyui.answers["/resource_gate/status"] = (200, {**STATUS, "resources": {}, "process": None})
    look = look_at(client)
    assert (look.answer, look.ram, look.emergency, look.anonymous) == (Answer.GATE, None, False, None)


@pytest.mark.parametrize("answer", [(404, "no"), (200, {"strange": 1}), (200, []), (401, "who are you"), (500, "oh")])
def test_what_answers_otherwise_lives_and_counts_as_stock(fake_comfyui, client, answer):
    fake_comfyui.answers["/resource_gate/status"] = answer
    assert look_at(client) == Look(Answer.STOCK)


def test_a_server_known_to_be_stock_is_asked_for_its_queue_alone(fake_comfyui, client):
    assert look_at(client, stock=True) == Look(Answer.STOCK)
    assert [path for _, path, _ in fake_comfyui.received] == ["/queue"]


def test_silence_and_refusal_are_told_apart(fake_comfyui):
    fake_comfyui.answers["/resource_gate/status"] = lambda handler: time.sleep(0.5)
    assert look_at(Client(fake_comfyui.url, timeout=0.05)).answer is Answer.SILENT
    assert look_at(Client(f"http://127.0.0.1:{free_port()}")).answer is Answer.REFUSED


def looks(watcher, count):
    found = []
    give_up = time.monotonic() + 20
    while len(found) < count:
        assert time.monotonic() < give_up, "no looks came"
        found += watcher.take()
        time.sleep(0.01)
    return found


def test_a_watcher_looks_until_it_is_stopped(fake_comfyui):
    watcher = Watcher(fake_comfyui.url, interval=0.01)
    assert {look.answer for look in looks(watcher, 3)} == {Answer.STOCK}
    watcher.stop()


def test_a_stock_server_is_asked_now_and_then_whether_it_has_the_gate_after_all(fake_comfyui):
    watcher = Watcher(fake_comfyui.url, interval=0.01)
    assert {look.answer for look in looks(watcher, STOCK_LOOKS)} == {Answer.STOCK}
    fake_comfyui.answers["/resource_gate/status"] = (200, STATUS)
    assert Answer.GATE in {look.answer for look in looks(watcher, 3 * STOCK_LOOKS)}
    watcher.stop()
    paths = [path for _, path, _ in fake_comfyui.received]
    assert paths[1 : paths.index("/resource_gate/status", 1)] == ["/queue"] * (STOCK_LOOKS + 1)


def test_a_server_that_comes_up_is_looked_at_more_often_until_it_answers(fake_comfyui):
    """So that what it holds is known before its first job."""
    refused = Watcher(f"http://127.0.0.1:{free_port()}", interval=3600)
    assert {look.answer for look in looks(refused, 2)} == {Answer.REFUSED}
    refused.stop()
    watcher = Watcher(fake_comfyui.url, interval=3600)
    assert [look.answer for look in looks(watcher, 1)] == [Answer.STOCK]
    watcher.stop()


def test_a_server_with_the_gate_is_looked_at_more_often_in_its_first_seconds(fake_comfyui):
    """So that a life that ends soon is known to have done work."""
    fake_comfyui.answers["/resource_gate/status"] = (200, STATUS)
    watcher = Watcher(fake_comfyui.url, interval=3600)
    assert [look.ended for look in looks(watcher, 3)] == [4] * 3
    watcher.stop()


def test_freeing_is_asked_for_until_it_is_done_and_told_with_the_next_look(fake_comfyui):
    answers = [(409, {"deferred": "a node runs"}), (200, {"ok": True, "actions": []})]
    fake_comfyui.answers["/resource_gate/status"] = (200, STATUS)
    fake_comfyui.answers["/resource_gate/free"] = lambda handler: answers.pop(0)
    watcher = Watcher(fake_comfyui.url, interval=0.01)
    watcher.free()
    found = looks(watcher, 8)
    watcher.stop()
    assert sum(look.freed for look in found) == 1
    bodies = [body for method, path, body in fake_comfyui.received if path == "/resource_gate/free"]
    assert bodies == [{"level": "emergency"}] * 2


def test_a_freeing_that_fails_is_complained_of_once(fake_comfyui, caplog):
    fake_comfyui.answers["/resource_gate/status"] = (200, STATUS)
    fake_comfyui.answers["/resource_gate/free"] = (500, json.dumps({"error": "no"}).encode())
    watcher = Watcher(fake_comfyui.url, interval=0.01)
    watcher.free()
    assert not any(look.freed for look in looks(watcher, 6))
    watcher.stop()
    assert len([r for r in caplog.records if "could not be told to free" in r.message]) == 1


def test_what_it_calls_stuck_is_read_and_nothing_else_of_what_is_amiss(client, fake_comfyui):
    for degraded, stuck in (({"journal": "off"}, ""), ({"stuck": "prompt a is stuck"}, "prompt a is stuck")):
        fake_comfyui.answers["/resource_gate/status"] = (200, {**STATUS, "degraded": degraded})
        assert look_at(client).stuck == stuck
