"""A node that waits for GPU memory or a disk must not go by what the sampler saw at rest, 5 s ago."""

from __future__ import annotations

import threading

import pytest

from resource_gate.extension import Extension
from resource_gate.host.embedded import EmbeddedHost
from resource_gate.monitor.readings import GpuReading

GB = 1024**3


LOOKS = 3000
"""0.01 s apart: the reader has a thread of its own, and is asked the less often the more it takes."""


class WithCard(EmbeddedHost):
    """A host with a card, whose readings a test sets."""

    used = 98 * GB

    def gpu_memory(self):
        return [GpuReading(0, "card", self.used, 100 * GB, "torch")]


@pytest.fixture
def host(tmp_path):
    return WithCard(tmp_path)


def test_each_look_of_a_node_has_the_card_read_anew(host):
    extension = Extension(host)

    def shows(used):
        pause = threading.Event()
        return any([g.used for g in extension.sample().gpus] == [used] or pause.wait(0.01) for _ in range(LOOKS))

    try:
        assert shows(98 * GB)
        host.used = 10 * GB
        assert shows(10 * GB), "nobody has read the card since"
    finally:
        extension.sampler.stop()
