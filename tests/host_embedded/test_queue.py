"""The queue: order, deleting, interrupting, history, and what is run again."""

from __future__ import annotations

import uuid

import pytest

from resource_gate.host.embedded import EmbeddedHost
from resource_gate.host.embedded_graph import PromptRefused
from resource_gate.host.embedded_kinds import Input, NodeKind, NodeResult


def held(tag, value=None):
    """A graph of one node that holds the worker."""
    return {"1": {"class_type": "Hold", "inputs": {"tag": tag} if value is None else {"tag": tag, "value": value}}}


def events(entry):
    return [m[0] for m in entry["status"]["messages"]]


def test_prompts_run_in_order_of_their_numbers_and_those_at_the_front_first(host, hold, until):
    began = []
    host.listen(lambda event, data, client: began.append(data["prompt_id"]) if event == "execution_start" else None)
    blocker = host.submit(held(0), client_id="me")
    until(hold.entered.is_set)
    second = host.submit(held(1), client_id="me")
    third = host.submit(held(2), client_id="me")
    first = host.submit(held(3), client_id="me", front=True)
    last = host.submit(held(4), client_id="me", number=99)
    hold.release.set()
    until(lambda: host.queue.entry(last.id))
    assert began == [i.id for i in (blocker, first, second, third, last)]


def test_the_view_names_the_running_node_and_counts_what_waits(host, hold, until):
    running = host.submit(held(0))
    until(hold.entered.is_set)
    host.submit(held(1))
    view = host.view()
    assert (view.running, view.pending, view.node) == ([running.id], 1, "1 Hold")
    hold.release.set()
    until(lambda: len(host.queue.history()) == 2 and not host.view().running)
    assert (host.view().running, host.view().pending, host.view().node) == ([], 0, "")


def test_a_deleted_prompt_never_runs(host, hold, until):
    host.submit(held(0))
    until(hold.entered.is_set)
    gone, stays = host.submit(held(1)), host.submit(held(2))
    host.queue.delete([gone.id])
    hold.release.set()
    until(lambda: host.queue.entry(stays.id))
    assert host.queue.entry(gone.id) is None
    assert hold.ran == 2


def test_a_cleared_queue_keeps_the_running_prompt(host, hold, until):
    running = host.submit(held(0))
    until(hold.entered.is_set)
    host.submit(held(1))
    host.queue.clear()
    assert host.queue.remaining == 1
    hold.release.set()
    assert until(lambda: host.queue.entry(running.id))["status"]["completed"]


def test_an_interrupt_ends_the_running_prompt_only(host, hold, until):
    running = host.submit(held(0))
    until(hold.entered.is_set)
    after = host.submit(held(1))
    assert not host.queue.interrupt(after.id), "it does not run yet"
    assert host.queue.interrupt(running.id)
    entry = until(lambda: host.queue.entry(running.id))
    assert entry["status"]["status_str"] == "error"
    assert not entry["status"]["completed"]
    assert events(entry) == ["execution_start", "execution_cached", "execution_interrupted"]
    hold.release.set()
    assert until(lambda: host.queue.entry(after.id))["status"]["completed"]


def test_an_interrupt_while_nothing_runs_stops_nothing_later(host, run, clip):
    assert not host.queue.interrupt()
    assert run(clip())["status"]["completed"]


def test_the_history_tells_what_comfyui_tells(host, run, clip):
    graph = clip()
    prompt_id = str(uuid.uuid4())
    extra = {"api_key_comfy_org": "secret", "mine": 1}
    entry = run(graph, prompt_id=prompt_id, client_id="me", extra_data=extra)
    number, known_id, known_graph, extra_data, targets = entry["prompt"]
    assert (number, known_id, targets) == (0, prompt_id, ["4"])
    assert known_graph["4"]["class_type"] == "SaveVideo"
    assert extra_data["client_id"] == "me"
    assert extra_data["mine"] == 1
    assert "secret" not in str(entry)
    assert entry["status"]["status_str"] == "success"
    assert entry["status"]["completed"] is True
    assert events(entry) == ["execution_start", "execution_cached", "execution_success"]
    assert all(m[1]["prompt_id"] == prompt_id and m[1]["timestamp"] > 0 for m in entry["status"]["messages"])
    assert list(entry["outputs"]) == list(entry["meta"]) == ["4"]


def test_the_history_can_be_cut_and_forgotten(host, run, clip):
    ids = []
    for i in range(4):
        ids.append(run(clip(color=i, frames=1))["prompt"][1])
    assert list(host.queue.history()) == ids
    assert list(host.queue.history(2)) == ids[2:]
    assert list(host.queue.history(2, 1)) == ids[1:3]
    assert list(host.queue.history(None, 3)) == ids[3:]
    host.queue.forget([ids[0]])
    assert list(host.queue.history()) == ids[1:]
    host.queue.forget()
    assert host.queue.history() == {}


@pytest.mark.parametrize("prompt_id", ["no uuid", "", 7, str(uuid.uuid4()).upper(), uuid.uuid4().hex])
def test_an_id_that_is_not_a_canonical_uuid_is_refused(host, clip, prompt_id):
    with pytest.raises(PromptRefused) as refused:
        host.submit(clip(), prompt_id=prompt_id)
    assert refused.value.error["type"] == "invalid_prompt_id"


def test_a_second_run_unchanged_runs_nothing_and_shows_the_same(host, run, clip, recorder):
    listener = recorder()
    host.attach(listener)
    first = run(clip())
    second = run(clip())
    assert [n for n, _ in listener.nodes] == ["1", "2", "3", "4"]
    assert second["outputs"] == first["outputs"]
    cached = dict(second["status"]["messages"])["execution_cached"]["nodes"]
    assert sorted(cached) == ["1", "2", "3", "4"]
    assert len(list(host.output_folder.iterdir())) == 1


def test_with_only_the_last_node_changed_only_that_runs(host, run, clip, recorder):
    listener = recorder()
    host.attach(listener)
    run(clip(prefix="one"))
    listener.nodes.clear()
    run(clip(prefix="two"))
    assert listener.nodes == [("4", "SaveVideo")]


def test_two_nodes_that_are_the_same_run_once(run, host, recorder):
    listener = recorder()
    host.attach(listener)
    empty = {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    other = {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "p"}}
    assert run({"1": empty, "2": empty, "3": preview, "4": other})["status"]["completed"]
    assert listener.nodes == [("1", "EmptyImage"), ("3", "PreviewImage"), ("4", "SaveImage")]


def test_a_kind_that_is_not_cached_runs_only_when_something_behind_it_must(host, run, recorder):
    def graph(prefix):
        return {
            "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
            "2": {"class_type": "Through", "inputs": {"value": ["1", 0]}},
            "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": prefix}},
        }

    def through(context, value):
        return NodeResult((value,))

    host.nodes["Through"] = NodeKind("Through", through, {"value": Input("*")}, ("*",), cached=False)
    listener = recorder()
    host.attach(listener)
    run(graph("a"))
    run(graph("a"))
    assert [n for n, _ in listener.nodes] == ["1", "2", "3"]
    run(graph("b"))
    assert [n for n, _ in listener.nodes][3:] == ["2", "3"]


def test_a_node_that_fails_ends_its_prompt_and_no_other(host, run, clip):
    graph = clip()
    graph["2"]["inputs"]["width"] = 63
    entry = run(graph)
    assert events(entry)[-1] == "execution_error"
    told = entry["status"]["messages"][-1][1]
    assert told["executed"] == ["1", "2", "3"]
    assert told["traceback"]
    assert run(clip())["status"]["completed"]


def test_allocate_runs_every_time_and_hands_its_value_on(host, run, recorder):
    listener = recorder()
    host.attach(listener)
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "Allocate", "inputs": {"mb": 1, "seconds": 0, "value": ["1", 0]}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }
    for _ in range(2):
        assert run(graph)["status"]["completed"]
    assert [n for n, _ in listener.nodes] == ["1", "2", "3", "2"]


def test_an_interrupt_reaches_allocate_while_it_sleeps(host, until, recorder):
    listener = recorder()
    host.attach(listener)
    item = host.submit({"1": {"class_type": "Allocate", "inputs": {"mb": 1, "seconds": 3600}}})
    until(lambda: listener.nodes)
    host.queue.interrupt(item.id)
    assert events(until(lambda: host.queue.entry(item.id)))[-1] == "execution_interrupted"


def test_stopping_the_host_interrupts_what_runs(tmp_path, hold, until):
    host = EmbeddedHost(tmp_path / "other")
    host.nodes["Hold"] = hold.kind()
    assert host.worker_alive() is None
    host.start()
    assert host.worker_alive() is True
    item, never = host.submit(held(0)), host.submit(held(1))
    until(hold.entered.is_set)
    assert host.stop(30.0)
    assert host.worker_alive() is False
    assert events(host.queue.entry(item.id))[-1] == "execution_interrupted"
    assert host.queue.entry(never.id) is None
