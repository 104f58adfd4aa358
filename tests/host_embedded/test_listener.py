"""What the gate and the ladder get: they are asked at the right moments, and cannot break a prompt."""

from __future__ import annotations

import gc
import logging
import threading
import weakref

import pytest

from resource_gate.gate.host import QueueHost, Verdict
from resource_gate.host.embedded_kinds import Input, NodeKind, NodeResult
from resource_gate.reclaim.host import MemoryHost, Place, Use


def test_it_implements_both_protocols(host):
    def memory(it: MemoryHost) -> MemoryHost:
        return it

    def queue(it: QueueHost) -> QueueHost:
        return it

    for protocol, value in ((MemoryHost, memory(host)), (QueueHost, queue(host))):
        wanted = [n for n in vars(protocol) if not n.startswith("_")] + list(protocol.__annotations__)
        assert [n for n in wanted if not hasattr(value, n)] == []


def test_a_prompt_that_may_not_start_stays_pending_and_can_be_deleted(host, clip, until, recorder):
    listener = recorder(verdict=lambda job: Verdict(False, "no room", again_in=0.01))
    host.attach(listener)
    held, behind = host.submit(clip(1)), host.submit(clip(2))
    until(lambda: listener.asked.count(held.id) > 2)
    running, pending = host.queue.snapshot()
    assert (running, [i.id for i in pending]) == ([], [held.id, behind.id])
    host.queue.delete([held.id])
    until(lambda: behind.id in listener.asked)
    assert host.queue.history() == {}
    assert listener.began == []


def test_a_wake_asks_again_at_once(host, clip, until, recorder):
    may = threading.Event()
    listener = recorder(verdict=lambda job: Verdict(may.is_set(), "", again_in=3600.0))
    host.attach(listener)
    item = host.submit(clip())
    until(lambda: listener.asked)
    may.set()
    host.wake()
    assert until(lambda: host.queue.entry(item.id))["status"]["completed"]


def test_the_listener_hears_a_prompt_from_its_start_to_its_end(host, run, clip, recorder):
    listener = recorder()
    host.attach(listener)
    prompt_id = run(clip())["prompt"][1]
    assert listener.asked == listener.began == [prompt_id]
    assert listener.nodes == [("1", "EmptyImage"), ("2", "ImageScale"), ("3", "CreateVideo"), ("4", "SaveVideo")]
    assert [(o.job_id, o.ok) for o in listener.outcomes] == [(prompt_id, True)]


def test_the_listener_hears_why_a_prompt_failed(host, run, clip, recorder):
    listener = recorder()
    host.attach(listener)
    graph = clip()
    graph["2"]["inputs"]["width"] = 63
    run(graph)
    outcome = listener.outcomes[0]
    assert (outcome.ok, outcome.error_type, outcome.node_id) == (False, "ValueError", "4")
    assert "63×32" in outcome.error


def test_an_end_is_told_before_the_history_shows_it(host, run, clip, recorder):
    listener = recorder()
    known = []
    listener.ended = lambda outcome: known.append(host.queue.entry(outcome.job_id))
    host.attach(listener)
    run(clip())
    assert known == [None]


@pytest.mark.parametrize("method", ["may_start", "started", "before_node", "ended"])
def test_a_listener_that_raises_is_told_of_once_and_the_prompts_run(host, run, clip, recorder, caplog, method):
    def broken(argument):
        raise RuntimeError("broken on purpose")

    listener = recorder()
    setattr(listener, method, broken)
    host.attach(listener)
    with caplog.at_level(logging.ERROR):
        assert run(clip(1))["status"]["completed"]
        assert run(clip(2))["status"]["completed"]
    assert len([r for r in caplog.records if "told once" in r.getMessage()]) == 1
    assert list(host.degraded().values()) == ["RuntimeError: broken on purpose"]
    assert host.worker_alive()


def test_work_runs_at_once_on_the_worker_thread_while_it_idles(host, until):
    places = []
    host.on_worker(lambda place: places.append((place, threading.current_thread().name)))
    until(lambda: places)
    assert places == [(Place.BETWEEN_PROMPTS, "embedded-prompt-worker")]


def test_work_runs_at_once_while_a_prompt_waits_at_the_gate(host, clip, until, recorder):
    listener = recorder(verdict=lambda job: Verdict(False, "", again_in=3600.0))
    host.attach(listener)
    host.submit(clip())
    until(lambda: listener.asked)
    places = []
    host.on_worker(places.append)
    until(lambda: places)
    assert places == [Place.BETWEEN_PROMPTS]


def test_work_waits_for_the_boundary_between_two_nodes_while_one_runs(host, hold, until):
    graph = {
        "1": {"class_type": "Hold", "inputs": {}},
        "2": {"class_type": "Allocate", "inputs": {"mb": 0, "seconds": 0, "value": ["1", 0]}},
    }
    item = host.submit(graph)
    until(hold.entered.is_set)
    places = []
    host.on_worker(lambda place: places.append((place, host.view().node)))
    host.wake()
    assert places == []
    hold.release.set()
    until(lambda: host.queue.entry(item.id))
    assert places == [(Place.BETWEEN_NODES, "2 Allocate")]


def test_work_that_raises_does_not_end_the_worker(host, run, clip, until):
    def broken(place):
        raise RuntimeError("broken on purpose")

    host.on_worker(broken)
    assert run(clip())["status"]["completed"]
    assert "broken on purpose" in str(host.degraded())


def test_the_uses_of_outputs_before_each_node_are_told_as_they_are(host, run, clip, recorder):
    seen = {}

    def look(node):
        seen[node.node_id] = {o.node: o.use for o in host.outputs()}

    run(clip(color=1, prefix="earlier"))
    host.attach(recorder(act=look))
    run(clip(color=2))
    names = ("1 EmptyImage", "2 ImageScale", "3 CreateVideo", "4 SaveVideo")
    assert seen["1"] == dict.fromkeys(names, Use.EARLIER), "they survive until the first node has run"
    assert seen["2"] == {"1 EmptyImage": Use.NEEDED}
    assert seen["3"] == {"1 EmptyImage": Use.DONE, "2 ImageScale": Use.NEEDED}
    assert seen["4"] == {"1 EmptyImage": Use.DONE, "2 ImageScale": Use.DONE, "3 CreateVideo": Use.NEEDED}


def test_what_the_waiting_prompt_would_take_is_told_from_what_it_would_not(host, run, clip, until, recorder):
    run(clip(prefix="one"))
    seen = []

    def look(job):
        seen.append({o.node: o.use for o in host.outputs()})
        return Verdict(True)

    host.attach(recorder(verdict=look))
    run(clip(prefix="two"))
    assert seen[0] == {
        "1 EmptyImage": Use.EARLIER,
        "2 ImageScale": Use.EARLIER,
        "3 CreateVideo": Use.REUSABLE,
        "4 SaveVideo": Use.EARLIER,
    }


def test_the_bytes_told_are_those_of_the_frames_once(host, run, clip, recorder):
    seen = {}
    host.attach(recorder(act=lambda node: seen.update({node.node_id: host.outputs()})))
    run(clip(frames=5))
    small, large = 5 * 16 * 32 * 3 * 4, 5 * 32 * 64 * 3 * 4
    assert sum(o.ram for o in seen["3"]) == small + large
    assert sum(o.ram for o in seen["4"]) == small + large, "the video is no copy"
    groups = {o.node: o.group for o in seen["4"]}
    assert groups["2 ImageScale"] == groups["3 CreateVideo"] != groups["1 EmptyImage"]


def test_dropping_everything_before_every_node_harms_no_clip(host, run, clip, recorder, decoded):
    host.attach(recorder(act=lambda node: host.drop_outputs(host.outputs())))
    for number in (1, 2):
        assert run(clip(color=number, frames=6))["status"]["completed"]
    made = sorted(host.output_folder.iterdir())
    assert [decoded(p).frames for p in made] == [6, 6]


def test_dropping_what_a_cached_re_run_was_about_to_take_harms_nothing(host, run, clip, recorder, decoded):
    run(clip(prefix="one"))
    host.attach(recorder(act=lambda node: host.drop_outputs(host.outputs())))
    assert run(clip(prefix="two"))["status"]["completed"]
    assert decoded(host.output_folder / "two_00001_.mp4").frames == 5


def test_a_dropped_output_is_really_gone_once_no_pending_node_needs_it(host, run, recorder):
    """Its memory goes with the entry, at the moment the host says it would."""

    class Block:
        pass

    made = []

    def make(context):
        block = Block()
        made.append(weakref.ref(block))
        return NodeResult((block,))

    host.nodes["Make"] = NodeKind("Make", make, {}, ("BLOCK",))
    host.nodes["Take"] = NodeKind(
        "Take",
        lambda context, block=None, then=None: NodeResult((1,)),
        {"block": Input("BLOCK", required=False), "then": Input("*", required=False)},
        ("*",),
        output_node=True,
    )
    alive = {}

    def drop(node):
        host.drop_outputs(host.outputs())
        gc.collect()
        alive[node.node_id] = [ref() is not None for ref in made]

    host.attach(recorder(act=drop))
    entry = run(
        {
            "1": {"class_type": "Make", "inputs": {}},
            "2": {"class_type": "Take", "inputs": {"block": ["1", 0]}},
            "3": {"class_type": "Take", "inputs": {"then": ["2", 0]}},
        }
    )
    assert entry["status"]["completed"]
    assert alive == {"1": [], "2": [True], "3": [False]}


def test_nothing_of_a_prompt_that_ended_is_held_but_the_cache(host, run, recorder, until):
    class Block:
        pass

    made = []

    def make(context, fail=False):
        block = Block()
        made.append(weakref.ref(block))
        if fail:
            raise RuntimeError("broken on purpose")
        return NodeResult((block,))

    host.nodes["Make"] = NodeKind("Make", make, {"fail": Input("BOOLEAN", required=False)}, ("B",), output_node=True)
    run({"1": {"class_type": "Make", "inputs": {}}})
    run({"1": {"class_type": "Make", "inputs": {"fail": True}}})
    dropped = []
    host.on_worker(lambda place: dropped.append(host.drop_outputs(host.outputs())))
    until(lambda: dropped)
    gc.collect()
    assert [ref() for ref in made] == [None, None]
