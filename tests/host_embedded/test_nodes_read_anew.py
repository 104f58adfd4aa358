"""A node that waits for GPU memory or a disk must not go by what the sampler saw at rest, 5 s ago."""

from __future__ import annotations

import threading

import pytest

from resource_gate.extension import Extension
from resource_gate.host.embedded import EmbeddedHost
from resource_gate.monitor.readings import GpuReading

GB = 1024**3


class WithCard(EmbeddedHost):
    """A host with a card, whose readings a test sets."""

    used = 98 * GB

    def __init__(self, base):
        super().__init__(base)
        self.read = threading.Event()

    def gpu_memory(self):
        self.read.set()
        return [GpuReading(0, "card", self.used, 100 * GB, "torch")]


@pytest.fixture
def host(tmp_path):
    return WithCard(tmp_path)


def test_each_look_of_a_node_has_the_card_read_anew(host):
    extension = Extension(host)
    looks = threading.Event()
    try:
        while not extension.sampler.sample().gpus:  # the reader has a thread of its own
            looks.wait(0.01)
        host.used = 10 * GB
        host.read.clear()
        while extension.sample().gpus[0].used != host.used:
            assert host.read.wait(10), "nobody has read the card since"
    finally:
        extension.sampler.stop()
