"""What nodes there are at a scheduler's machines, asked through their workers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from resource_gate.batch.fleet.definitions import definitions_at, definitions_of
from resource_gate.batch.fleet.require import FleetRefused, Tls
from resource_gate.batch.fleet.worker_side import NAME, MachinePlugin, definitions

NODES = {"LoadVideo": {"input": {}}}


class Cluster:
    def __init__(self, *answers: Any) -> None:
        self.answers = {f"tcp://10.0.0.{number}:1": answer for number, answer in enumerate(answers)}
        self.asked: list[str] = []

    def nthreads(self) -> dict[str, int]:
        return dict.fromkeys(self.answers, 1)

    def run(self, function: Any, workers: list[str]) -> dict[str, Any]:
        self.asked += workers
        answer = self.answers[workers[0]]
        if isinstance(answer, Exception):
            raise answer
        return {workers[0]: answer}


def test_the_first_machine_whose_server_answers_tells_its_nodes():
    cluster = Cluster(OSError("its server is gone"), None, NODES, {"Other": {}})
    assert definitions_of(cluster) == NODES
    assert len(cluster.asked) == 3  # one of somebody else's, without a server, tells nothing


def test_without_a_machine_nothing_is_known():
    assert definitions_of(Cluster()) is None and definitions_of(Cluster({}, OSError("gone"))) is None


def test_a_worker_that_is_not_ours_has_no_server(tmp_path):
    assert asyncio.run(definitions(SimpleNamespace(plugins={}))) is None
    with pytest.raises(Exception, match="gone"):
        asyncio.run(definitions(SimpleNamespace(plugins={NAME: MachinePlugin("a", "http://127.0.0.1:1", tmp_path)})))


def test_a_scheduler_that_is_not_safe_or_not_there_is_refused():
    with pytest.raises(FleetRefused, match="no TLS"):
        definitions_at("tcp://10.1.2.3:8786", Tls())
    with pytest.raises(FleetRefused, match="was not reached"):
        definitions_at("tcp://127.0.0.1:1", Tls(), timeout=0.3)
