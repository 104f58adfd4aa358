from __future__ import annotations

from types import SimpleNamespace

import pytest

from resource_gate.reclaim.host import Place


def test_work_runs_between_two_nodes_of_a_busy_worker(server, comfyui):
    seen = []

    def run(item):
        comfyui.execute(server, "1", "Load")
        server.hooks.on_worker(lambda place: seen.append((place, server.hooks.node.node_id)))
        comfyui.execute(server, "2", "Scale")
        return True, []

    server.run = run
    server.start().put("a")
    server.wait_for(1)
    assert seen == [(Place.BETWEEN_NODES, "2")]


def test_the_listener_hears_of_each_node_with_its_inputs(server, comfyui):
    server.hooks.install(server.listener)
    comfyui.execute(server, "12", "ImageScale", width=64)
    (node,) = server.listener.nodes
    assert (node.job_id, node.node_id, node.class_type, node.inputs) == ("job", "12", "ImageScale", {"width": 64})
    assert server.hooks.node.execution_list == "the list" and server.hooks.node.pending_subgraph_results == {"7": []}
    assert server.interrupts_checked == 1


def test_a_lazy_check_is_no_node(server, comfyui):
    server.hooks.install(server.listener)
    comfyui.execute(server, "12", "Switch", func="check_lazy_status")
    assert server.listener.nodes == [] and server.interrupts_checked == 1


def test_a_call_from_elsewhere_is_no_node(server):
    server.hooks.install(server.listener)
    server.nodes.before_node_execution()
    assert server.listener.nodes == []


def test_between_prompts_no_node_runs(server, comfyui):
    def run(item):
        comfyui.execute(server, "1", "Load")
        return True, []

    server.run = run
    server.start().put("a")
    server.wait_for(1)
    assert server.hooks.node is None


def test_a_brake_that_raises_lets_the_node_run(server, comfyui):
    def broken(node):
        raise RuntimeError("broken brake")

    server.listener.before_node = broken
    server.hooks.install(server.listener)
    comfyui.execute(server, "1", "Load")
    assert "broken brake" in server.hooks.degraded["brake"]


def test_an_interrupt_goes_through_to_comfyui(server, comfyui):
    class InterruptProcessingException(BaseException):
        pass

    def interrupted():
        raise InterruptProcessingException

    other = comfyui.Server(nodes=SimpleNamespace(before_node_execution=interrupted))
    other.hooks.install(other.listener)
    with pytest.raises(InterruptProcessingException):
        comfyui.execute(other, "1", "Load")
    assert other.listener.nodes == []
