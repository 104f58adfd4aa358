from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace

import pytest

from resource_gate.gate.host import Job
from resource_gate.host.comfyui_cache import OutputCache
from resource_gate.reclaim.host import Use


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


GRAPH = {
    "1": node("Load", name="a"),
    "2": node("Scale", image=["1", 0], size=2),
    "3": node("Save", image=["2", 0]),
}


class KeySet:
    """`CacheKeySetInputSignature`: it holds the cache by way of the question whether nodes have changed."""

    def __init__(self, graph, cache):
        self.keys = {node_id: key_of(graph, node_id) for node_id in graph}
        self.is_changed_cache = SimpleNamespace(outputs_cache=cache)

    def get_data_key(self, node_id):
        return self.keys.get(node_id)


def key_of(graph, node_id):
    """What ComfyUI makes of a node and its ancestors: equal exactly where both are."""
    inputs = graph[node_id]["inputs"].items()
    return (
        graph[node_id]["class_type"],
        frozenset((k, (key_of(graph, v[0]), v[1]) if isinstance(v, list) else v) for k, v in inputs),
    )


class Cache:
    """`HierarchicalCache`: entries by key, a cache of its own for each expanded node."""

    def __init__(self):
        self.cache, self.subcaches = {}, {}

    def set_prompt(self, graph):
        self.dynprompt = SimpleNamespace(original_prompt=graph, get_node=lambda node_id: graph[node_id])
        self.cache_key_set = KeySet(graph, self)

    def set(self, *node_ids):
        for node_id in node_ids:
            entry = SimpleNamespace(outputs=[[f"output of {node_id}"]], ui={})
            self.cache[self.cache_key_set.get_data_key(node_id)] = entry


class Executor:
    def __init__(self, cache=None):
        self.caches = SimpleNamespace(outputs=cache or Cache())

    def run(self, graph, *done):
        """A prompt whose nodes `done` (all, where none is named) have run."""
        self.caches.outputs.set_prompt(graph)
        self.caches.outputs.set(*(done or graph))


def about_to_run(graph, node_id, *later, subgraph=None):
    execution_list = SimpleNamespace(
        pendingNodes={i: {} for i in (node_id, *later)},
        dynprompt=SimpleNamespace(get_node=lambda i: graph[i]),
    )
    return SimpleNamespace(execution_list=execution_list, pending_subgraph_results=subgraph or {})


@pytest.fixture
def executor():
    return Executor()


@pytest.fixture
def view():
    return OutputCache(lambda kind: kind == "Random")


def uses(view, executor, node=None, waiting=None):
    return {o.node: o.use for o in view.outputs(executor, node, waiting)}


def job(graph, *outputs):
    return Job("next", 1, graph, outputs)


def with_seed(size):
    return {**GRAPH, "2": node("Scale", image=["1", 0], size=size)}


def test_in_a_running_prompt_what_a_pending_node_takes_is_needed_and_the_rest_done(view, executor):
    executor.run(GRAPH, "1", "2")
    assert uses(view, executor, about_to_run(GRAPH, "3")) == {"1 Load": Use.DONE, "2 Scale": Use.NEEDED}
    assert uses(view, executor, about_to_run(GRAPH, "2", "3"))["1 Load"] == Use.NEEDED


def test_what_the_result_of_a_subgraph_takes_is_needed(view, executor):
    executor.run(GRAPH, "1", "2")
    running = about_to_run(GRAPH, "3", subgraph={"9": [(True, (["1", 0], "x")), (False, (["2", 0],)), (True, None)]})
    assert uses(view, executor, running)["1 Load"] == Use.NEEDED


def test_what_another_prompt_left_is_earlier(view, executor):
    executor.run({"8": node("Old", x=1)})
    view.outputs(executor, None, None)
    executor.run(GRAPH, "1", "2")
    assert uses(view, executor, about_to_run(GRAPH, "3"))["8 Old"] == Use.EARLIER


def test_with_nothing_waiting_all_that_lies_there_is_earlier(view, executor):
    executor.run(GRAPH)
    assert set(uses(view, executor).values()) == {Use.EARLIER}


def test_only_what_lies_at_the_edge_of_the_waiting_prompt_is_reusable(view, executor):
    executor.run(GRAPH)
    assert uses(view, executor, None, job(with_seed(3), "3")) == {
        "1 Load": Use.REUSABLE,
        "2 Scale": Use.EARLIER,
        "3 Save": Use.EARLIER,
    }


def test_what_the_waiting_prompt_reuses_of_an_earlier_one_stays_reusable_while_another_runs(view, executor):
    executor.run({"8": node("Old", x=1)})
    view.outputs(executor, None, None)
    executor.run(GRAPH, "1", "2")
    waiting = job({"5": node("Old", x=1), "6": node("Save", image=["5", 0])}, "6")
    assert uses(view, executor, about_to_run(GRAPH, "3"), waiting)["8 Old"] == Use.REUSABLE


def test_other_ids_in_the_waiting_prompt_do_not_hide_that_it_is_the_same(view, executor):
    executor.run(GRAPH)
    waiting = job({"77": node("Load", name="a"), "78": node("Blur", image=["77", 0])}, "78")
    assert uses(view, executor, None, waiting)["1 Load"] == Use.REUSABLE


def test_entries_of_subcaches_are_listed_and_dropped_there(view, executor):
    executor.run(GRAPH)
    sub = Cache()
    sub.set_prompt({"2.1": node("Inner", x=1)})
    sub.set("2.1")
    executor.caches.outputs.subcaches["2"] = sub
    listed = view.outputs(executor, None, None)
    assert len(listed) == 4
    view.drop(listed)
    assert sub.cache == {} and executor.caches.outputs.cache == {}


def test_dropping_takes_just_these_and_twice_is_no_error(view, executor):
    executor.run(GRAPH)
    going = [o for o in view.outputs(executor, None, None) if o.node == "2 Scale"]
    view.drop(going)
    view.drop(going)
    assert {o.node for o in view.outputs(executor, None, None)} == {"1 Load", "3 Save"}


@pytest.mark.parametrize("cache", [SimpleNamespace(), SimpleNamespace(cache={}, subcaches={})])
def test_a_cache_that_keeps_nothing_or_has_not_run_yet_has_no_entries(view, cache):
    executor = Executor(cache)
    assert view.outputs(executor, None, job(GRAPH, "3")) == []
    view.run_again(executor, "1")
    view.before_prompt(executor, job(GRAPH, "3"))


GATED = {
    "1": node("Load", name="a"),
    "2": node("Gate", value=["1", 0]),
    "3": node("Sample", x=["2", 0], seed=1),
    "4": node("Save", x=["3", 0]),
}


def gate_is_cached(executor):
    return key_of(GATED, "2") in executor.caches.outputs.cache


def gated_run(view, executor):
    executor.run(GATED)
    view.run_again(executor, "2")


def test_a_gate_runs_again_where_something_after_it_must_run(view, executor):
    gated_run(view, executor)
    view.before_prompt(executor, job({**GATED, "3": node("Sample", x=["2", 0], seed=2)}, "4"))
    assert not gate_is_cached(executor)
    assert key_of(GATED, "1") in executor.caches.outputs.cache


def test_a_gate_makes_nothing_run_in_an_unchanged_prompt(view, executor):
    gated_run(view, executor)
    before = dict(executor.caches.outputs.cache)
    view.before_prompt(executor, job(GATED, "4"))
    assert executor.caches.outputs.cache == before


def test_a_gate_that_stayed_is_remembered_for_the_prompt_after(view, executor):
    gated_run(view, executor)
    view.before_prompt(executor, job(GATED, "4"))
    executor.run(GATED)
    view.before_prompt(executor, job({**GATED, "3": node("Sample", x=["2", 0], seed=2)}, "4"))
    assert not gate_is_cached(executor)


def test_a_gate_whose_follower_fell_out_of_the_cache_runs_again(view, executor):
    gated_run(view, executor)
    executor.caches.outputs.cache.pop(key_of(GATED, "3"))
    view.before_prompt(executor, job(GATED, "4"))
    assert not gate_is_cached(executor)


def test_a_gate_before_a_node_that_decides_by_itself_runs_again(view, executor):
    graph = {**GATED, "3": node("Random", x=["2", 0])}
    executor.run(graph)
    view.run_again(executor, "2")
    view.before_prompt(executor, job(graph, "4"))
    assert not gate_is_cached(executor)


def test_a_gate_behind_a_node_that_decides_by_itself_runs_again(view, executor):
    graph = {**GATED, "1": node("Random")}
    executor.run(graph)
    view.run_again(executor, "2")
    view.before_prompt(executor, job(graph, "4"))
    assert key_of(graph, "2") not in executor.caches.outputs.cache


def test_one_of_two_followers_that_must_run_is_enough(view, executor):
    graph = {**GATED, "5": node("Blur", x=["2", 0], size=1)}
    executor.run(graph)
    view.run_again(executor, "2")
    view.before_prompt(executor, job({**graph, "5": node("Blur", x=["2", 0], size=9)}, "4", "5"))
    assert not gate_is_cached(executor)


def test_asking_twice_to_run_again_is_no_error(view, executor):
    gated_run(view, executor)
    view.run_again(executor, "2")
    view.before_prompt(executor, job({}, "4"))
    view.before_prompt(executor, job({}, "4"))
    assert not gate_is_cached(executor)


REMEMBERS = "the view holds ComfyUI's old cache, outputs and models in it, by its key sets and by run_again"


def test_a_cache_that_comfyui_has_let_go_of_is_not_kept_alive(view, executor):
    """`/free` resets the executor: all outputs must go, though we remember which prompts there were."""
    gated_run(view, executor)
    view.outputs(executor, None, None)
    gone = weakref.ref(executor.caches.outputs)
    executor.caches = SimpleNamespace(outputs=Cache())
    gc.collect()
    assert gone() is None
