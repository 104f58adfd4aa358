"""How large a model file is, by the name a graph gives it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from resource_gate.host.model_files import ModelFiles


@pytest.fixture
def folders(tmp_path):
    for name, size in (("vae/small.safetensors", 10), ("loras/small.safetensors", 30), ("custom_nodes/x.pt", 50)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0" * size)

    def get_full_path(kind, name):
        path = tmp_path / kind / name
        return str(path) if path.is_file() else None

    return SimpleNamespace(
        folder_names_and_paths={kind: ([str(tmp_path / kind)], set()) for kind in ("vae", "loras", "custom_nodes")},
        get_full_path=get_full_path,
    )


def test_it_is_the_largest_of_that_name_among_the_folders_of_models(folders):
    assert ModelFiles(folders).size_of("small.safetensors") == 30
    assert ModelFiles(folders).size_of("x.pt") == 0, "a folder of nodes holds no weights"
    assert ModelFiles(folders).size_of("nowhere.safetensors") == 0


def test_folders_that_cannot_be_asked_cost_one_warning(folders, caplog):
    def broken(kind, name):
        raise ValueError("path is on mount '//server', start on mount 'C:'")

    folders.get_full_path = broken
    files = ModelFiles(folders)
    assert [files.size_of("a.safetensors") for _ in range(3)] == [0, 0, 0]
    assert len(caplog.records) == 1


def test_a_file_that_goes_meanwhile_is_none(folders, tmp_path):
    folders.get_full_path = lambda kind, name: str(Path(tmp_path) / "gone")
    assert ModelFiles(folders).size_of("a.safetensors") == 0
