"""`GET metrics`: what gate and ladder add, in text that Prometheus' own reader takes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from resource_gate.api.metrics import STATES, Metrics
from resource_gate.gate.admission import GateState
from resource_gate.gate.host import QueueView
from resource_gate.gate.progress import BatchProgress
from resource_gate.monitor.readings import Level, MemoryReading, Sample
from resource_gate.reclaim.action import Action, ActionLog, Step
from resource_gate.reclaim.host import Place
from resource_gate.version import __version__


def values(state="open", worker=True, actions=()):
    log = ActionLog()
    for action in actions:
        log.add(action)
    host = SimpleNamespace(
        name='Comfy"UI', version="0.33.0", view=lambda: QueueView(["a"], 3, "", None), worker_alive=lambda: worker
    )
    sample = Sample(1.0, 2.0, MemoryReading(50, 100, "host"))
    text = Metrics(host, lambda: sample, lambda: GateState(state, ""), BatchProgress(), log).text()
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for f in text_string_to_metric_families(text)
        for s in f.samples
    }


def of(found, name):
    return {labels: value for (n, labels), value in found.items() if n.endswith(name)}


def test_versions_are_labels_whatever_they_hold():
    (labels,) = of(values(), "_info")
    assert dict(labels) == {"version": __version__, "host": 'Comfy"UI', "host_version": "0.33.0"}


@pytest.mark.parametrize("state", STATES)
def test_one_state_of_the_gate_is_one_and_the_others_are_nought(state):
    found = {dict(labels)["state"]: value for labels, value in of(values(state), "gate_state").items()}
    assert found == {s: float(s == state) for s in STATES}


def test_the_queue_is_told():
    found = values()
    assert of(found, "queue_pending") == {(): 3.0} and of(found, "queue_running") == {(): 1.0}


@pytest.mark.parametrize(("worker", "told"), [(True, {(): 1.0}), (False, {(): 0.0}), (None, {})])
def test_a_worker_nobody_has_seen_yet_is_not_told_of(worker, told):
    assert of(values(worker=worker), "worker_alive") == told


def test_what_was_freed_adds_up_and_a_dry_run_frees_nothing():
    def action(dry):
        return Action(1.0, Level.WARNING, "ram", "", Place.ANYWHERE, (Step("x", 7, 0.1),), None, True, dry)

    found = values(actions=[action(False), action(False), action(True)])
    assert of(found, "actions_total") == {(): 3.0} and of(found, "freed_bytes_total") == {(): 14.0}
    assert of(found, "jobs_done_total") == {(): 0.0} and of(found, "jobs_failed_total") == {(): 0.0}
