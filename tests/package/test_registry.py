"""What the registry shows and ships: its metadata, its contents, and that it runs where it is unpacked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

RAW = "https://raw.githubusercontent.com/resource-gate/resource-gate/main/"

ALLOWED = re.compile(
    r"[a-z_]+\.py|[a-z_]+/([a-z_]+/)*[a-z_0-9]+\.py"
    r"|web/resource_gate\.js|web/page\.html|web/docs/\w+(/\w+)?\.md|locales/[a-zA-Z-]+/\w+\.json"
    r"|example_workflows/[\w .-]+\.(json|jpg)|examples/[\w.-]+"
    r"|LICENSE|README(\.[\w-]+)?\.md|CHANGELOG\.md|SECURITY\.md|pyproject\.toml|requirements\.txt"
)
"""A new kind of file is shipped by naming it here, never by having been forgotten in `.comfyignore`."""

LOAD_AS_COMFYUI_DOES = """
import asyncio, importlib, importlib.util, json, logging, sys, threading, urllib.request
folder, base = sys.argv[1:]
name = folder.replace(".", "_x_")
spec = importlib.util.spec_from_file_location(name, folder + "/__init__.py")
module = importlib.util.module_from_spec(spec)
sys.modules[name] = module
spec.loader.exec_module(module)
part = lambda path: importlib.import_module(name + path)
host = part(".host.embedded").EmbeddedHost(__import__("pathlib").Path(base))
gate = part(".start").run_on(host)
part(".host.embedded_pass").add_nodes(host, gate.nodes())

async def ask():
    server = part(".host.embedded_server").EmbeddedServer(host)
    port = await server.start()
    def get(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.read().decode()
    paths = ("/resource_gate/status", "/resource_gate/doctor", "/", "/object_info")
    found = {path: await asyncio.to_thread(get, path) for path in paths}
    await server.stop()
    return found

found = asyncio.run(ask())
gate.stop()
print(json.dumps({
    "web": module.WEB_DIRECTORY,
    "entry": asyncio.iscoroutinefunction(module.comfy_entrypoint),
    "status": json.loads(found["/resource_gate/status"]),
    "doctor": json.loads(found["/resource_gate/doctor"]),
    "page": found["/"],
    "nodes": sorted(json.loads(found["/object_info"])),
    "from": sorted({m.__file__ for n, m in sys.modules.items() if n.startswith(name) and m.__file__}),
}))
"""


@pytest.fixture(scope="session")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


def test_the_registry_finds_all_it_asks_for(project):
    about, comfy = project["project"], project["tool"]["comfy"]
    assert re.fullmatch(r"[a-z][a-z0-9]*([-_.][a-z0-9]+)*", about["name"]) and "comfyui" not in about["name"]
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z]+)?", about["version"])
    assert about["description"] and about["license"] == {"file": "LICENSE"}
    assert {"Repository", "Documentation", "Issues"} <= set(about["urls"])
    assert comfy["PublisherId"] and comfy["DisplayName"] == "Resource Gate"
    assert re.fullmatch(r">=\d+\.\d+\.\d+", comfy["requires-comfyui"])
    assert "web" not in comfy, "ComfyUI would load the panel twice"


def test_operating_systems_and_gpus_are_named_as_the_registry_knows_them(project):
    """The lists of comfy-cli's `validate_and_extract_…_classifiers`; one wrong value empties the whole field."""
    classifiers = project["project"]["classifiers"]
    environments = {c.removeprefix("Environment :: ") for c in classifiers if c.startswith("Environment ::")}
    known = {"GPU :: NVIDIA CUDA", "GPU :: AMD ROCm", "GPU :: Intel Arc", "NPU :: Huawei Ascend", "GPU :: Apple Metal"}
    assert environments and environments <= known
    systems = {c.removeprefix("Operating System :: ") for c in classifiers if c.startswith("Operating System ::")}
    assert systems == {"OS Independent"}


def test_every_python_that_is_named_is_allowed(project):
    versions = re.findall(r"Python :: (3\.\d+)", "\n".join(project["project"]["classifiers"]))
    assert versions and project["project"]["requires-python"] == f">={versions[0]}"


@pytest.mark.parametrize(("field", "width", "height"), [("Icon", 1, 1), ("Banner", 21, 9)])
def test_icon_and_banner_are_pictures_of_the_repository_in_the_shape_that_is_asked_for(
    project, root, field, width, height
):
    url = project["tool"]["comfy"][field]
    assert url.startswith(RAW)
    head = (root / url.removeprefix(RAW)).read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    across, down = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    assert across * height == down * width
    assert field != "Icon" or across <= 400


def test_nothing_is_shipped_that_a_user_does_not_need(shipped):
    assert [name for name in shipped if not ALLOWED.fullmatch(name)] == []


def test_all_packages_and_nothing_of_no_package_is_shipped(project, shipped):
    packages = {p.removeprefix("resource_gate").removeprefix(".").replace(".", "/") for p in _packages(project)}
    found = {str(Path(name).parent.as_posix()) for name in shipped if name.endswith(".py")}
    assert {p or "." for p in packages} == found


def test_what_runs_needs_is_shipped(shipped, root):
    assert {"__init__.py", "LICENSE", "README.md", "pyproject.toml", "requirements.txt", "web/resource_gate.js"} <= {
        *shipped
    }
    for folder in ("web", "locales", "example_workflows"):
        for path in (root / folder).rglob("*"):
            if path.is_file():
                assert path.relative_to(root).as_posix() in shipped


def test_pip_installs_all_that_is_served_and_shown_too(project, root):
    """Setuptools takes only what it is told, and says nothing of the rest."""
    patterns = project["tool"]["setuptools"]["package-data"]["resource_gate"]
    told = {path for pattern in patterns for path in root.glob(pattern)}
    folders = ("web", "locales", "example_workflows")
    there = {path for folder in folders for path in (root / folder).rglob("*") if path.is_file()}
    assert there and sorted(there - told) == []


def test_what_is_unpacked_starts_and_serves_from_where_it_lies(installed, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LOAD_AS_COMFYUI_DOES, str(installed), str(tmp_path / "base")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["web"] == "./web" and told["entry"]
    assert told["status"]["resources"]["ram"]["limit"] > 0
    assert told["doctor"]["journal"]["problem"] is None and told["doctor"]["machine"]["disks"]["data"]["free"] > 0
    assert "resource_gate.js" in told["page"]
    assert {"ResourceGate", "ResourceGateFreeMemory", "ResourceGateStatus"} <= set(told["nodes"])
    assert len(told["from"]) > 50 and all(Path(p).is_relative_to(installed) for p in told["from"])


def _packages(project: dict[str, Any]) -> list[str]:
    return list(project["tool"]["setuptools"]["packages"])
