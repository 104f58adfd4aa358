"""After an OOM and a failed second try: once more, with what the user has allowed to be changed."""

from __future__ import annotations

import pytest

from resource_gate.gate.changed_conditions import ChangedConditions, smaller_batch, tiled_vae
from resource_gate.gate.gate import Gate
from resource_gate.gate.host import Job, Outcome, Queued
from resource_gate.gate.journal.journal import Journal
from resource_gate.gate.progress import BatchProgress
from resource_gate.gate.retry import Retries

OOM = "torch.OutOfMemoryError"

GRAPH = {
    "1": {"class_type": "KSampler", "inputs": {"steps": 20}},
    "2": {"class_type": "VAEDecode", "inputs": {"samples": ["1", 0], "vae": ["9", 0]}, "_meta": {"title": "mine"}},
    "3": {"class_type": "VAEDecode", "inputs": {"samples": ["1", 0], "vae": ["9", 0]}},
}


@pytest.fixture
def journal(tmp_path, machine):
    journal = Journal(tmp_path, wall=machine.wall, clock=machine.clock)
    journal.open()
    yield journal
    journal.close()


@pytest.fixture
def gate(machine, journal):
    conditions = ChangedConditions(lambda: machine.settings)
    retries = Retries(lambda: machine.settings, machine.clock, machine.wall)
    return Gate(machine.admission, machine.brake, BatchProgress(machine.clock), journal, retries, conditions)


def fail(gate, node, graph=GRAPH, error_type=OOM):
    """Run prompt "a" to a failure; tells whether it is tried again."""
    gate.started(Job("a", 0.0, graph))
    outcome = Outcome("a", False, error_type, "", node)
    again = gate.retry(outcome)
    if not again:
        gate.ended(outcome)
    return again


def test_the_vae_node_that_failed_twice_is_tiled_in_a_copy_and_everything_else_stays(gate, machine, journal, caplog):
    machine.set(gate={"oom_tiled_vae": True})
    journal.accepted(Queued("a", 0.0, GRAPH, ("3",)))
    assert fail(gate, "2")
    assert gate.changed_graph("a") is None  # the first try after freeing is of the same graph
    assert fail(gate, "2")
    changed = gate.changed_graph("a")
    assert changed["2"]["class_type"] == "VAEDecodeTiled"
    assert changed["2"]["inputs"].items() >= GRAPH["2"]["inputs"].items()
    assert changed["2"]["inputs"]["tile_size"] >= 4 * changed["2"]["inputs"]["overlap"]
    assert (changed["1"], changed["3"], GRAPH["2"]["class_type"]) == (GRAPH["1"], GRAPH["3"], "VAEDecode")
    assert "now, with tiled VAE in place of plain" in caplog.text
    assert journal.rows.jobs(1)[0]["changed"] == "tiled VAE in place of plain"
    gate.started(Job("a", 0.0, changed))
    gate.ended(Outcome("a", True))
    job = journal.rows.jobs(1)[0]
    assert (job["state"], job["attempts"], job["changed"]) == ("done", 3, "tiled VAE in place of plain")
    assert gate.changed_graph("a") is None


def test_what_fails_tiled_too_has_failed(gate, machine):
    machine.set(gate={"oom_tiled_vae": True})
    assert [fail(gate, "2"), fail(gate, "2")] == [True, True]
    assert not fail(gate, "2", gate.changed_graph("a"))


def test_a_second_vae_node_of_the_same_prompt_is_not_tiled_beyond_its_one_try(gate, machine):
    machine.set(gate={"oom_tiled_vae": True})
    assert [fail(gate, "2"), fail(gate, "2"), fail(gate, "3", gate.changed_graph("a"))] == [True, True, False]


@pytest.mark.parametrize(
    ("allowed", "node", "retries"), [(False, "2", 3), (True, "1", 3), (True, "12.0.1", 3), (True, "2", 0)]
)
def test_nothing_is_changed_unasked_nor_where_it_would_not_help(gate, machine, allowed, node, retries):
    machine.set(gate={"oom_tiled_vae": allowed, "retries": retries})
    assert fail(gate, node) is bool(retries)
    assert not fail(gate, node)


def test_another_error_changes_nothing(gate, machine):
    machine.set(gate={"oom_tiled_vae": True})
    assert not fail(gate, "2", error_type="ValueError")


def test_where_freeing_gave_nothing_the_conditions_are_changed_at_once(gate, machine):
    machine.set(gate={"oom_tiled_vae": True}).at(80)
    assert fail(gate, "2", error_type="MemoryError")
    assert gate.changed_graph("a")["2"]["class_type"] == "VAEDecodeTiled"


def test_with_a_node_that_shrinks_its_batch_the_same_graph_runs_again_so_often_as_it_can_halve(gate, machine):
    graph = {**GRAPH, "4": {"class_type": "ResourceGateBatchSize", "inputs": {}}}
    assert [fail(gate, "1", graph) for _ in range(6)] == [True] * 4 + [False, True]
    assert smaller_batch(graph, "1") is graph
    assert smaller_batch(GRAPH, "1") is None


def test_both_changes_add_up(gate, machine, journal):
    machine.set(gate={"oom_tiled_vae": True})
    graph = {**GRAPH, "4": {"class_type": "ResourceGateBatchSize", "inputs": {}}}
    journal.accepted(Queued("a", 0.0, graph, ("3",)))
    assert [fail(gate, "2", gate.changed_graph("a") or graph) for _ in range(5)] == [True] * 5
    assert gate.changed_graph("a")["2"]["class_type"] == "VAEDecodeTiled"
    assert journal.rows.jobs(1)[0]["changed"] == "a smaller batch, tiled VAE in place of plain"


def test_a_node_without_inputs_of_its_own_is_no_trouble():
    assert tiled_vae({"1": {"class_type": "VAEDecode"}}, "1")["1"]["inputs"]["tile_size"] == 256
    assert tiled_vae({"1": "no node"}, "1") is None
