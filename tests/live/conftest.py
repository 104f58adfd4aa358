"""Real ComfyUIs for tests marked `live`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from resource_gate.batch.client import Client
from resource_gate.batch.local.find_comfyui import ComfyUI, find_comfyui
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec

StartComfyUI = Callable[..., ServerProcess]


@pytest.fixture(scope="session")
def installation() -> ComfyUI:
    """The ComfyUI that live tests run."""
    found = find_comfyui()
    assert found.comfyui is not None, found.reason
    return found.comfyui


@pytest.fixture(scope="session")
def comfyui(installation: ComfyUI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One ComfyUI with the extension, ready, for all tests that only use it and leave it as they found it."""
    with ServerProcess(ServerSpec(installation), tmp_path_factory.mktemp("comfyui")) as server:
        yield server


@pytest.fixture
def client(comfyui: ServerProcess) -> Client:
    """A client of `comfyui`."""
    return comfyui.client


@pytest.fixture
def start_comfyui(installation: ComfyUI, tmp_path: Path) -> Iterator[StartComfyUI]:
    """Start ComfyUIs of a test's own: `start_comfyui("--cache-none", limit=2300 * MIB, extension=False)`.

    Each is ready when it is returned, has `client`, `url`, `base`, `log_tail()`, `kill()` and `start()` again, and is
    stopped after the test. `extra_nodes` are custom nodes, name → source; `environment` is added to ours; `models` is
    a models folder to use.
    """
    started: list[ServerProcess] = []

    def start(
        *flags: str,
        limit: int | None = None,
        extension: bool = True,
        extra_nodes: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        models: Path | None = None,
    ) -> ServerProcess:
        spec = ServerSpec(installation, extension, flags, limit, extra_nodes or {}, environment or {}, models)
        server = ServerProcess(spec, tmp_path / f"comfyui{len(started)}")
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()
