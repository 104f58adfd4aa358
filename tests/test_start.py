"""The start inside ComfyUI: whatever happens, ComfyUI gets an answer, and a second copy stands back."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from resource_gate.host.comfyui import claimed_by_another
from resource_gate.start import started


class Host:
    def __init__(self, other=None):
        self.other = other

    def claim(self):
        return self.other


def extension_of(host, nodes):
    return host, list(nodes)


def test_what_runs_brings_its_nodes():
    host = Host()
    run = {host: SimpleNamespace(nodes=lambda: ["a node"])}
    assert started(lambda: host, extension_of, run.__getitem__) == (host, ["a node"])


def test_a_second_copy_starts_nothing_has_no_nodes_and_names_the_first(caplog):
    """Installed by the Manager and by a git clone: twice the hooks would wait for each other under the queue's lock."""

    def run(host):
        raise AssertionError("it was started")

    assert started(lambda: Host("/custom_nodes/first"), extension_of, run) == (None, [])
    assert "/custom_nodes/first" in caplog.text and len(caplog.records) == 1


@pytest.mark.parametrize("where", ["host", "run"])
def test_a_start_that_fails_leaves_nodes_that_pass_their_input_through(where, caplog):
    def fails(*arguments):
        raise OSError("no memory is told of")

    make, run = (fails, None) if where == "host" else (Host, fails)
    host, nodes = started(make, extension_of, run)
    assert host is None and {spec.id for spec in nodes} >= {"ResourceGate", "ResourceGateFreeMemory"}
    assert "no memory is told of" in caplog.text


def test_the_first_copy_claims_the_server_and_a_second_is_told_where_it_lies():
    server = SimpleNamespace()
    assert claimed_by_another(server, "/a") is None
    assert claimed_by_another(server, "/b") == "/a"
    assert claimed_by_another(server, "/a") is None
