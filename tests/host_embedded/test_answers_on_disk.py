"""With `gate.answer_on_disk` a client hears that its prompt was taken when a power cut cannot take it any more."""

from __future__ import annotations

import asyncio

import pytest

from resource_gate.extension import Extension
from resource_gate.gate.host import Queued
from resource_gate.host.embedded import EmbeddedHost


@pytest.fixture
def extension(tmp_path):
    made = Extension(EmbeddedHost(tmp_path))
    made.start()
    yield made
    made.stop()


def test_an_answer_waits_for_the_disk_where_that_is_set(extension):
    extension.change_settings({"gate": {"answer_on_disk": True}})
    for n in range(5):
        extension.journal.accepted(Queued(f"p{n}", float(n), {}, ("1",)))
        asyncio.run(extension.host.on_disk())
        assert not extension.journal._store.unsynced
