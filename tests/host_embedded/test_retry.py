"""On the embedded host: a prompt that failed and is tried again is one job with one end."""

from __future__ import annotations

import pytest

from resource_gate.gate.host import Verdict
from resource_gate.host.embedded_kinds import Input, NodeKind, NodeResult


@pytest.fixture
def flaky(host, recorder, until):
    """Fails the first `host.fails` times; `sent` are the ends that its client heard of."""
    host.fails = 1
    host.sent = []
    host.listen(lambda event, data, client: host.sent.append(event) if client == "me" else None)

    def run(context, tag=0):
        if host.fails > 0:
            host.fails -= 1
            raise ConnectionResetError("gone")
        return NodeResult((), {"text": ["well"]})

    host.nodes["Flaky"] = NodeKind("Flaky", run, {"tag": Input("INT", required=False)}, (), output_node=True)
    host.recorder = recorder()
    host.attach(host.recorder)

    def submit(tag=0, **more):
        graph = {"1": {"class_type": "Flaky", "inputs": {"tag": tag}}}
        return host.submit(graph, client_id="me", **more)

    host.flaky = submit
    return host


def ends(host):
    return [e for e in host.sent if e in ("execution_error", "execution_success", "execution_interrupted")]


def test_it_is_tried_again_in_its_place_and_ends_once_and_well(flaky, until):
    flaky.recorder.again = lambda outcome: True
    first, second = flaky.flaky(1), flaky.flaky(2)
    entry = until(lambda: flaky.queue.entry(first.id))
    until(lambda: flaky.queue.entry(second.id))
    assert entry["status"]["completed"]
    assert flaky.recorder.began == [first.id, first.id, second.id]
    assert [(o.job_id, o.ok) for o in flaky.recorder.outcomes] == [(first.id, True), (second.id, True)]
    assert ends(flaky) == ["execution_success", "execution_success"]
    assert [prompt.id for prompt in flaky.recorder.accepted_prompts] == [first.id, second.id]


def test_one_that_is_not_tried_again_tells_its_error_once(flaky, until):
    item = flaky.flaky()
    entry = until(lambda: flaky.queue.entry(item.id))
    assert not entry["status"]["completed"]
    assert ends(flaky) == ["execution_error"]
    assert [o.error_type for o in flaky.recorder.outcomes] == ["ConnectionResetError"]


def test_while_it_waits_for_its_try_it_is_pending_and_can_be_deleted(flaky, until):
    def again(outcome):
        flaky.recorder.verdict = lambda job: Verdict(False, "waiting to retry", 3600)
        return True

    flaky.recorder.again = again
    item = flaky.flaky()
    until(lambda: flaky.recorder.asked.count(item.id) == 2)
    assert [i.id for i in flaky.queue.snapshot()[1]] == [item.id]
    flaky.queue.delete([item.id])
    assert flaky.recorder.removed_ids == [item.id]
    assert ends(flaky) == []


def test_a_prompt_is_told_before_it_is_in_the_queue_and_keys_are_not(flaky):
    known = []
    flaky.recorder.accepted = lambda prompt: known.append((prompt, flaky.queue.head()))
    flaky.recorder.verdict = lambda job: Verdict(False)
    item = flaky.flaky(extra_data={"api_key_comfy_org": "secret", "extra_pnginfo": {}})
    prompt, head = known[0]
    assert (prompt.id, prompt.outputs, head) == (item.id, ("1",), None)
    assert "secret" not in repr(prompt.extra_data)
    assert prompt.extra_data["extra_pnginfo"] == {}


def test_what_an_earlier_process_left_is_put_in_its_place_and_is_not_accepted_twice(flaky, until):
    flaky.recorder.verdict = lambda job: Verdict(False, "held", 3600)
    old = flaky.flaky(1, number=3)
    flaky.queue.delete([old.id])
    flaky.number_after(7.0)
    new = flaky.flaky(2)
    assert new.number == 8
    prompt = flaky.recorder.accepted_prompts[0]
    assert flaky.refusal(prompt) == ""
    flaky.put_again(prompt)
    assert [i.id for i in flaky.queue.snapshot()[1]] == [old.id, new.id]
    assert flaky.queue.head().extra_data == prompt.extra_data
    assert len(flaky.recorder.accepted_prompts) == 2


def test_one_whose_node_is_gone_is_refused_with_the_reason(flaky):
    flaky.recorder.verdict = lambda job: Verdict(False, "held", 3600)
    flaky.flaky()
    del flaky.nodes["Flaky"]
    assert "Flaky" in flaky.refusal(flaky.recorder.accepted_prompts[0])


def test_what_runs_when_the_host_is_stopped_has_not_ended(host, recorder, hold, until):
    listener = recorder()
    host.attach(listener)
    host.submit({"1": {"class_type": "Hold", "inputs": {}}})
    assert hold.entered.wait(30)
    assert host.stop()
    assert listener.outcomes == []
