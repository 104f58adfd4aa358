from __future__ import annotations

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resource_gate.host.graphs import is_link, links_of, nodes_taken_from_cache, signatures


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


@st.composite
def graphs(draw, cyclic=True):
    """Graphs in API format; links go to earlier nodes only, or anywhere and nowhere."""
    count = draw(st.integers(1, 8))
    graph = {}
    for number in range(count):
        reach = range(count + 1) if cyclic else range(number)
        link = st.sampled_from([[str(i), 0] for i in reach] or [5])
        names = st.sampled_from("abc")
        graph[str(number)] = {
            "class_type": draw(st.sampled_from(["Load", "Scale", "Save"])),
            "inputs": draw(st.dictionaries(names, link | st.integers(0, 2) | st.text(max_size=2), max_size=3)),
        }
    return graph


class Counted(dict):
    """A graph that does not let itself be asked for its nodes more often than so."""

    def __init__(self, nodes, at_most):
        super().__init__(nodes)
        self._left = at_most

    def get(self, *key):
        self._left -= 1
        assert self._left >= 0, "nodes are visited again and again"
        return super().get(*key)


def reaches_end(graph, node_id, on_way=()):
    """Whether all ancestors are there and none of them is its own; the slow and plain way."""
    if node_id in on_way or node_id not in graph:
        return False
    return all(reaches_end(graph, i, (*on_way, node_id)) for i in links_of(graph[node_id]))


def unfolded(graph, node_id):
    """The whole ancestry as a tree: two nodes are the same if these are."""
    inputs = graph[node_id]["inputs"]
    return (
        graph[node_id]["class_type"],
        tuple((k, (unfolded(graph, v[0]), v[1]) if is_link(v) else repr(v)) for k, v in sorted(inputs.items())),
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs())
def test_exactly_the_nodes_with_whole_and_acyclic_ancestry_are_signed(graph):
    assert set(signatures(graph)) == {i for i in graph if reaches_end(graph, i)}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs(cyclic=False))
def test_two_nodes_have_one_signature_exactly_if_their_ancestries_are_the_same(graph):
    signed = signatures(graph)
    for one, other in itertools.combinations(graph, 2):
        assert (signed[one] == signed[other]) == (unfolded(graph, one) == unfolded(graph, other))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs(cyclic=False), st.randoms())
def test_names_and_order_of_the_nodes_do_not_matter(graph, random):
    order = list(graph)
    random.shuffle(order)
    renamed = {
        f"n{i}": {
            "class_type": graph[i]["class_type"],
            "inputs": {k: [f"n{v[0]}", v[1]] if is_link(v) else v for k, v in graph[i]["inputs"].items()},
        }
        for i in order
    }
    signed, again = signatures(graph), signatures(renamed)
    assert all(signed[i] == again[f"n{i}"] for i in graph)


def test_a_changed_seed_changes_the_node_and_what_follows_and_nothing_else():
    def graph(seed):
        return {
            "1": node("Load", name="a"),
            "2": node("Sample", model=["1", 0], seed=seed),
            "3": node("Decode", samples=["2", 0]),
            "4": node("Other", model=["1", 0]),
        }

    one, other = signatures(graph(1)), signatures(graph(2))
    assert {i for i in one if one[i] != other[i]} == {"2", "3"}


def test_which_output_is_taken_makes_a_difference():
    graph = {"1": node("Load"), "2": node("Save", x=["1", 0]), "3": node("Save", x=["1", 1])}
    signed = signatures(graph)
    assert signed["2"] != signed["3"]


def test_a_chain_of_five_thousand_nodes_is_no_trouble_either_way_round():
    chain = {str(i): node("Pass", x=[str(i - 1), 0] if i else 0) for i in range(5000)}
    assert len(signatures(chain)) == 5000
    assert len(set(signatures(dict(reversed(chain.items()))).values())) == 5000


def test_a_long_chain_that_hangs_in_the_air_costs_no_more_than_a_whole_one():
    chain = Counted({str(i): node("Pass", x=[str(i - 1), 0]) for i in range(5000)}, at_most=10 * 5000)
    assert signatures(chain) == {}


def test_many_ways_to_a_missing_node_are_walked_once():
    """Forty storeys of two nodes that both take both below: 2^40 ways down."""
    graph = Counted({}, at_most=10 * 81)
    for storey, side in itertools.product(range(40), "ab"):
        graph[f"{storey}{side}"] = node("Mix", x=[f"{storey - 1}a", 0], y=[f"{storey - 1}b", 0])
    graph["ring"] = node("Mix", x=["ring", 0], y=["39a", 0])
    assert signatures(graph) == {}


def test_what_hangs_on_a_cycle_is_left_out_and_the_rest_is_signed():
    graph = {
        "a": node("X", x=["b", 0]),
        "b": node("X", x=["a", 0]),
        "after": node("X", x=["a", 0]),
        "alone": node("X", x=1),
    }
    assert set(signatures(graph)) == {"alone"}


def test_nodes_of_another_shape_are_left_out():
    graph = {"1": None, "2": node("Load"), "3": {"class_type": "Bare"}, "4": {"class_type": "B", "inputs": None}}
    assert set(signatures(graph)) == {"2", "3", "4"}


def test_a_link_is_what_comfyui_takes_for_one():
    assert is_link(["4", 0]) and is_link(["4", 0.0])
    assert not any(map(is_link, ([4, 0], ["4"], ["4", 0, 1], ("4", 0), "40", ["4", "0"], None)))


def test_what_is_taken_from_the_cache_lies_at_the_edge_of_what_must_run():
    graph = {
        "1": node("Load"),
        "2": node("Encode", x=["1", 0]),
        "3": node("Sample", x=["2", 0], y=["1", 1]),
        "4": node("Save", x=["3", 0]),
        "9": node("Unasked", x=["3", 0]),
    }
    assert nodes_taken_from_cache(graph, {"1", "2"}.__contains__, ["4"]) == {"1", "2"}
    assert nodes_taken_from_cache(graph, {"1", "2", "3"}.__contains__, ["4"]) == {"3"}
    assert nodes_taken_from_cache(graph, set().__contains__, ["4"]) == set()
    assert nodes_taken_from_cache(graph, {"1"}.__contains__, ["4", "gone"]) == {"1"}


def test_a_cycle_does_not_keep_the_walk_going():
    graph = {"a": node("X", x=["b", 0]), "b": node("X", x=["a", 0])}
    assert nodes_taken_from_cache(graph, set().__contains__, ["a"]) == set()


def test_a_cached_output_node_still_takes_what_it_is_fed():
    """ComfyUI schedules an output node even where it is cached, and runs those of its inputs that are not."""
    graph = {
        "1": {"class_type": "Frames", "inputs": {}},
        "2": {"class_type": "Preview", "inputs": {"images": ["1", 0]}},
    }
    assert nodes_taken_from_cache(graph, {"1", "2"}.__contains__, ["2"]) == {"1", "2"}
