from __future__ import annotations

from pathlib import Path

import pytest

from resource_gate.batch.local.find_comfyui import find_comfyui, read_version


def install(folder: Path, python: str = ".venv/bin/python", version: str = "0.33.0") -> Path:
    folder.mkdir(parents=True)
    for name in ("main.py", "folder_paths.py"):
        (folder / name).write_text("")
    (folder / "comfyui_version.py").write_text(f'# generated\n__version__ = "{version}"\n')
    if python:
        (folder / python).parent.mkdir(parents=True)
        (folder / python).write_text("")
    return folder


def test_the_default_place_is_found_with_its_own_python(tmp_path):
    folder = install(tmp_path / "comfy/ComfyUI")
    finding = find_comfyui({}, tmp_path)
    assert finding.comfyui.path == folder.resolve()
    assert finding.comfyui.python == folder.resolve() / ".venv/bin/python"
    assert finding.reason == "ComfyUI 0.33.0 in ~/comfy/ComfyUI"


@pytest.mark.parametrize("python", ["venv/bin/python", ".venv/Scripts/python.exe", "venv/Scripts/python.exe"])
def test_other_virtual_environments_are_found_too(tmp_path, python):
    install(tmp_path / "UI", python)
    assert find_comfyui({"COMFYUI_PATH": str(tmp_path / "UI")}).comfyui.python.as_posix().endswith(f"UI/{python}")


def test_the_windows_portable_build_has_its_python_beside_it(tmp_path):
    install(tmp_path / "portable/ComfyUI", "")
    python = tmp_path / "portable/python_embeded/python.exe"
    python.parent.mkdir()
    python.write_text("")
    assert find_comfyui({"COMFYUI_PATH": str(tmp_path / "portable/ComfyUI")}).comfyui.python.samefile(python)


def test_a_path_that_is_set_wins_over_the_default_place(tmp_path):
    install(tmp_path / "comfy/ComfyUI")
    install(tmp_path / "other", version="0.3.64")
    assert find_comfyui({"COMFYUI_PATH": str(tmp_path / "other")}, tmp_path).comfyui.version == "0.3.64"


def test_a_set_path_that_is_wrong_is_told_and_not_passed_over(tmp_path):
    install(tmp_path / "comfy/ComfyUI")
    finding = find_comfyui({"COMFYUI_PATH": str(tmp_path / "gone")}, tmp_path)
    assert finding.comfyui is None
    assert f"COMFYUI_PATH={tmp_path / 'gone'}" in finding.reason


def test_a_folder_that_is_something_else_is_no_comfyui(tmp_path):
    (tmp_path / "comfy/ComfyUI").mkdir(parents=True)
    (tmp_path / "comfy/ComfyUI/main.py").write_text("")
    finding = find_comfyui({}, tmp_path)
    assert finding.comfyui is None
    assert finding.reason == "no ComfyUI in ~/comfy/ComfyUI, and COMFYUI_PATH is not set"


def test_a_python_that_is_set_wins_over_its_own(tmp_path):
    folder, python = install(tmp_path / "UI"), tmp_path / "conda-python"
    python.write_text("")
    found = find_comfyui({"COMFYUI_PATH": str(folder), "COMFYUI_PYTHON": str(python)}).comfyui
    assert found.python == python


def test_a_set_python_that_is_not_there_is_told(tmp_path):
    folder = install(tmp_path / "UI")
    finding = find_comfyui({"COMFYUI_PATH": str(folder), "COMFYUI_PYTHON": "/no/python"})
    assert finding.comfyui is None and "COMFYUI_PYTHON=/no/python" in finding.reason


def test_an_installation_without_a_python_says_what_to_set(tmp_path):
    finding = find_comfyui({"COMFYUI_PATH": str(install(tmp_path / "UI", ""))})
    assert finding.comfyui is None and "set COMFYUI_PYTHON" in finding.reason


def test_a_link_to_python_is_kept_as_a_link(tmp_path):
    folder, target = install(tmp_path / "UI", ""), tmp_path / "usr-bin-python"
    target.write_text("")
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to(target)
    assert find_comfyui({"COMFYUI_PATH": str(folder)}).comfyui.python == folder.resolve() / ".venv/bin/python"


def test_the_version_is_read_without_running_anything(tmp_path):
    (tmp_path / "comfyui_version.py").write_text('raise SystemExit\n__version__ = "1.2"\n')
    assert read_version(tmp_path) == "1.2"


def test_a_version_that_is_not_told_is_unknown(tmp_path):
    assert read_version(tmp_path) == "unknown"
    (tmp_path / "comfyui_version.py").write_text("# nothing\n")
    assert read_version(tmp_path) == "unknown"
