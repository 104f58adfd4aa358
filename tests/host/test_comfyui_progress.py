"""The running node and how far it is, from ComfyUI's progress registry."""

from __future__ import annotations

import pytest

from resource_gate.host.comfyui_progress import running_node

RUNNING, PENDING = "running", "pending"


class Prompt:
    """A `DynamicPrompt` with the nodes 4 and 5."""

    def __init__(self):
        self.nodes = {"4": {"class_type": "VAEDecode"}, "5": {"class_type": "KSampler"}}

    def has_node(self, node_id):
        return node_id in self.nodes

    def get_node(self, node_id):
        if not self.has_node(node_id):
            raise KeyError(f"Node {node_id} not found")
        return self.nodes[node_id]


class Registry:
    """A `ProgressRegistry`."""

    def __init__(self, **nodes):
        self.dynprompt = Prompt()
        self.nodes = {
            None if name == "none" else name.strip("n"): {"state": state, "value": value, "max": most}
            for name, (state, value, most) in nodes.items()
        }


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ({}, ("", None)),
        ({"n4": (PENDING, 0, 1)}, ("", None)),
        ({"n4": (PENDING, 0, 1), "n5": (RUNNING, 5, 20)}, ("5 KSampler", 0.25)),
        ({"n5": (RUNNING, 0, 1)}, ("5 KSampler", None)),
    ],
)
def test_the_running_node_is_told_with_the_share_of_its_bar(nodes, told):
    assert running_node(Registry(**nodes), RUNNING) == told


@pytest.mark.parametrize("name", ["none", "n77"])
def test_a_bar_moved_from_a_nodes_own_thread_belongs_to_the_running_node(name):
    """There ComfyUI does not know whose it is, and books it on no node, or on the last that a browser was told of."""
    registry = Registry(**{name: (RUNNING, 5, 20), "n5": (RUNNING, 0, 1)})
    assert running_node(registry, RUNNING) == ("5 KSampler", 0.25)
    assert running_node(Registry(**{name: (RUNNING, 5, 20)}), RUNNING) == ("", 0.25)


def test_a_bar_without_a_length_tells_no_share():
    assert running_node(Registry(n5=(RUNNING, None, None)), RUNNING) == ("5 KSampler", None)
