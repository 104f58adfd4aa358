"""Job lists against the node definitions of a real ComfyUI, and the prompts that come of them sent to it."""

from __future__ import annotations

import json
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

from resource_gate.batch.client import Client
from resource_gate.batch.joblist.check import check_graph, check_shape
from resource_gate.batch.joblist.definitions import Definitions
from resource_gate.batch.joblist.plan import plan
from resource_gate.batch.joblist.rows import rows_from_csv
from resource_gate.batch.joblist.ui_convert import convert
from resource_gate.batch.joblist.ui_file import is_ui_format
from resource_gate.batch.local.find_comfyui import ComfyUI
from resource_gate.batch.local.server_process import ServerProcess

pytestmark = pytest.mark.live

WORKFLOW = Path(__file__).parents[1] / "batch_joblist" / "data" / "subgraphs.ui.json"
MISSING_FILES = ("is not in the server's input folder", "is none of the choices")
"""What is wrong with a template on a machine that has neither its models nor its pictures."""
OTHER_SERVERS = ("the server has no node", "the browser fills it in")
"""What is wrong with a template of nodes that this server lacks, or that only a browser can fill in."""


@pytest.fixture(scope="module")
def object_info(comfyui: ServerProcess) -> dict[str, Any]:
    info: dict[str, Any] = comfyui.client.call("GET", "/object_info")
    return info


@pytest.fixture(scope="module")
def templates(installation: ComfyUI) -> list[Path]:
    """The workflow templates that this ComfyUI brings, as its UI saved them."""
    where = "import comfyui_workflow_templates_json as t; print(*t.__path__)"
    told = subprocess.run([str(installation.python), "-c", where], capture_output=True, text=True, check=False)
    files = sorted(Path(told.stdout.strip()).glob("templates/*.json")) if told.returncode == 0 else []
    if not files:
        pytest.skip("this ComfyUI brings no workflow templates")
    return files


def test_every_template_becomes_a_prompt_that_the_server_would_take(
    templates: list[Path], object_info: dict[str, Any]
) -> None:
    definitions = Definitions(object_info)
    whole, wrong = 0, []
    for path in templates:
        workflow = json.loads(path.read_text("utf-8"))
        if not is_ui_format(workflow):
            continue
        made = convert(workflow, definitions)
        if made.problems:
            wrong += [f"{path.name}: {each}" for each in made.problems if not each.found.startswith(OTHER_SERVERS)]
            continue
        whole += 1
        found = check_shape(made.graph) or check_graph(made.graph, definitions)
        wrong += [f"{path.name}: {each}" for each in found if not each.found.endswith(MISSING_FILES)]
    assert wrong == []
    assert whole > 50


def picture(size: int) -> bytes:
    """A grey PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes([128]) * 3 * size) * size)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_workflow_from_the_ui_runs_and_saves_in_a_folder_of_the_job(
    comfyui: ServerProcess, client: Client, tmp_path: Path
) -> None:
    name = "job list example.png"
    (comfyui.base / "input" / name).write_bytes(picture(8))
    info = client.call("GET", "/object_info")
    table = tmp_path / "jobs.csv"
    table.write_text("name,width\nsmall,24\nwide,48\n", "utf-8")
    sets = [f"21.image={name}", "First pass.width={width}", "PrimitiveInt.value=16"]
    sets += ["22:41.height=12", "24:41.height=12"]
    jobs = plan(WORKFLOW, rows_from_csv(table), sets, info).jobs
    for job in jobs:
        end = client.wait_for_end(client.submit(job.graph), 60)
        assert end.ok, end.reason
        saved = [each for output in end.outputs.values() for each in output.get("images", ())]
        assert sorted(each["subfolder"] for each in saved) == [f"resource_gate/{job.name}"] * 2
