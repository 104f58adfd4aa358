"""A real ComfyUI on a real card, with dynamic VRAM (its default) and without, and real models of random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from resource_gate.batch.local.find_comfyui import ComfyUI, find_comfyui
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec

from ..small_models import write_models
from .card import Card
from .card_nodes import CARD


@pytest.fixture(scope="session")
def installation() -> ComfyUI:
    """The ComfyUI that these tests run."""
    found = find_comfyui()
    assert found.comfyui is not None, found.reason
    return found.comfyui


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of three small models."""
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session", params=["dynamic", "static"])
def card_of_session(
    request: pytest.FixtureRequest, installation: ComfyUI, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Card]:
    dynamic = request.param == "dynamic"
    spec = ServerSpec(
        installation,
        flags=() if dynamic else ("--disable-dynamic-vram",),
        extra_nodes={"card": CARD},
        environment={"RESOURCE_GATE_MONITOR_INTERVAL": "0.2"},
        models=models,
    )
    with ServerProcess(spec, tmp_path_factory.mktemp("comfyui")) as server:
        card = Card(server, dynamic)
        # Libraries and kernels that a first use loads stay on the card.
        card.take(64)
        card.load_models("first")
        yield card


@pytest.fixture
def card(card_of_session: Card) -> Card:
    """A server with next to nothing on its card."""
    card_of_session.client.call("POST", "/free", {"unload_models": True, "free_memory": True})
    card_of_session.until(lambda: not card_of_session.loaded())
    card_of_session.free("emergency")
    return card_of_session
