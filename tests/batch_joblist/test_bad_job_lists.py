"""Everything that can be wrong with a batch is told before the first job, all at once, each with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resource_gate.batch.joblist.job import JobListError
from resource_gate.batch.joblist.plan import plan
from resource_gate.batch.joblist.rows import rows_from_csv

Write = Callable[[str, Any], Path]
Graph = dict[str, Any]
TABLE = "file,width,how\na.mp4,320,area\nb.mp4,64,area\n"


def refused(
    write: Write, graph: Any, info: Any, sets: list[str], table: str = TABLE, name: str | None = None
) -> list[str]:
    for clip in ("a.mp4", "b.mp4"):
        write(clip, b"x")
    rows = rows_from_csv(write("jobs.csv", table))
    with pytest.raises(JobListError) as error:
        plan(write("w.json", graph), rows, sets, info, name)
    return [str(problem) for problem in error.value.problems]


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["LoadVideos.file={file}"], "--set LoadVideos.file={file}: the workflow has no node 'LoadVideos'; expected a"),
        (
            ["Clip.files={file}"],
            "--set Clip.files={file}: node 1 (Clip) has no input 'files'; expected one of its inputs",
        ),
        (["Clip.file={fil}"], "--set Clip.file={fil}: there is no column 'fil'; expected one of file, width, how"),
        (["Clip.file"], "--set Clip.file: it is not understood; expected Node.input=value"),
        (["Clip.file={file"], "--set Clip.file={file: a single { in '{file'; a brace that shall stay is written twice"),
        (["Clip.file={file}", "1.file=a.mp4"], "--set 1.file=a.mp4: --set Clip.file={file} sets the same input"),
        (["Clip.file=c.mp4"], "jobs.csv, row 1, --set Clip.file=c.mp4: there is no file 'c.mp4'; expected a file on"),
        (["4.fps={how}"], "jobs.csv, row 1, column how: 'area'; expected a number (1.0–120.0)"),
        (["3.resize_type.width={how}"], "jobs.csv, row 1, column how: 'area'; expected a whole number (0–16384)"),
        (["3.resize_type.width=-1"], "jobs.csv, row 1, --set 3.resize_type.width=-1: '-1'; expected a whole number"),
        (["3.scale_method={width}"], "jobs.csv, row 1, column width: '320'; expected one of nearest-exact, bilinear"),
        (["3.resize_type=wider"], "jobs.csv, row 1, --set 3.resize_type=wider: 'wider'; expected one of scale dim"),
        (["3.input={width}"], "row 1, column width: '320'; expected a link from another node: input input takes"),
        (["3.resize_type=scale by multiplier"], "row 1, node 3 (Resize), input resize_type.multiplier: it is missing"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(
    sets: list[str], message: str, write: Write, graph: Graph, object_info: Graph
) -> None:
    told = refused(write, graph, object_info, sets)
    assert any(message in each for each in told), told


def put(node: str, **values: Any) -> Callable[[Graph], Graph]:
    """Put values into a node's inputs; dots in their names are written as two underscores."""

    def broken(graph: Graph) -> Graph:
        graph[node]["inputs"].update({name.replace("__", "."): value for name, value in values.items()})
        return graph

    return broken


def rename(node: str, class_type: str) -> Callable[[Graph], Graph]:
    def broken(graph: Graph) -> Graph:
        graph[node]["class_type"] = class_type
        return graph

    return broken


def without(node: str, name: str | None = None) -> Callable[[Graph], Graph]:
    def broken(graph: Graph) -> Graph:
        del (graph if name is None else graph[node]["inputs"])[name or node]
        return graph

    return broken


def instead(content: Any) -> Callable[[Graph], Any]:
    return lambda graph: content


BROKEN_WORKFLOWS = [
    (instead("{ no json"), "w.json: it is not JSON"),
    (instead([]), "w.json: it has no nodes; expected a workflow in API format"),
    (instead({"1": {"type": "X"}}), "w.json, node 1: it is no node"),
    (instead({"nodes": [{"id": 1}], "links": []}), "w.json: it is no workflow that ComfyUI's UI saved"),
    (rename("1", "LoadVideoo"), "node 1 (Clip): the server has no node 'LoadVideoo'; expected 'LoadVideo'"),
    (put("2", video=["9", 0]), "node 2 (Parts), input video: it is linked to node 9; expected a node of this"),
    (put("2", video=["1", 3]), "input video: it is linked to output 3 of node 1 (Clip), which has 1"),
    (put("2", video=["1"]), "input video: ['1'] is no link"),
    (put("4", images=["1", 0]), "input images: it is linked to node 1 (Clip), which makes VIDEO; expected IMAGE"),
    (put("2", video=["4", 0]), "links lead in a circle: 2 → 3 → 4 → 2"),
    (without("2", "video"), "node 2 (Parts), input video: it is missing; expected VIDEO"),
    (without("5"), "w.json: no node of it keeps anything; expected a node that saves or shows"),
    (put("4", fps=900.0), "input fps: 900.0 is out of range; expected a number (1.0–120.0)"),
    (put("4", fps="fast"), "input fps: 'fast' is no number"),
    (put("3", scale_method="magic"), "input scale_method: 'magic' is none of the choices"),
    (put("3", resize_type__width=0.5e5), "input resize_type.width: 50000.0 is out of range; expected a whole number"),
    (put("1", file="gone.mp4"), "input file: 'gone.mp4' is not in the server's input folder"),
]


@pytest.mark.parametrize(("broken", "message"), BROKEN_WORKFLOWS)
def test_a_broken_workflow_is_named(
    broken: Callable[[Graph], Any], message: str, write: Write, graph: Graph, object_info: Graph
) -> None:
    told = refused(write, broken(graph), object_info, [])
    assert any(message in each for each in told), told


def test_a_missing_file_is_named_with_its_row_and_column(write: Write, graph: Graph, object_info: Graph) -> None:
    told = refused(write, graph, object_info, ["Clip.file={file}"], "file\na.mp4\nlost.mp4\n")
    assert told == ["jobs.csv, row 2, column file: there is no file 'lost.mp4'; expected a file on this machine"]


@pytest.mark.parametrize("text", ["", "~nobody-of-this-name/a.mp4", "x" * 5000 + ".mp4", "clips"])
def test_a_text_that_can_be_no_file_is_a_missing_file(
    text: str, write: Write, graph: Graph, object_info: Graph
) -> None:
    write("clips/a.mp4", b"x")
    (told,) = refused(write, graph, object_info, ["Clip.file={file}"], f"file,x\n{text},1\n")
    assert told.startswith("jobs.csv, row 1, column file: ")
    assert told.endswith("; expected a file on this machine")


def test_a_node_that_is_two_is_told_with_both_ids(write: Write, graph: Graph, object_info: Graph) -> None:
    graph["6"] = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}, "_meta": {"title": "Clip"}}
    told = refused(write, graph, object_info, ["Clip.file={file}"])
    assert told == [
        "--set Clip.file={file}: 'Clip' is 2 nodes; expected one of them by its id: node 1 (Clip), node 6 (Clip)"
    ]


def test_a_name_template_of_an_unknown_column_is_named(write: Write, graph: Graph, object_info: Graph) -> None:
    told = refused(write, graph, object_info, [], name="{stem}")
    assert told == ["--name {stem}: there is no column 'stem'; expected one of file, width, how"]


def test_everything_is_told_at_once(write: Write, graph: Graph, object_info: Graph) -> None:
    graph["4"]["inputs"]["fps"] = 0.0
    table = "file,width\nlost.mp4,wide\na.mp4,20000\n"
    told = refused(write, graph, object_info, ["Clip.file={file}", "3.resize_type.width={width}", "X.y=1"], table)
    assert [each.split(";")[0] for each in told] == [
        "--set X.y=1: the workflow has no node 'X'",
        "w.json, node 4 (Clip again), input fps: 0.0 is out of range",
        "jobs.csv, row 1, column file: there is no file 'lost.mp4'",
        "jobs.csv, row 1, column width: 'wide'",
        "jobs.csv, row 2, column width: '20000'",
    ]


def test_the_uis_own_format_without_a_server_is_refused_with_the_way_out(
    write: Write, data: Callable[[str], Any]
) -> None:
    told = refused(write, data("flat.ui.json"), None, [])
    assert told[0].startswith("w.json: it is in the UI's own format; expected a server that runs")


def test_without_a_server_a_number_is_still_a_number(write: Write, graph: Graph) -> None:
    assert refused(write, graph, None, ["4.fps={how}"]) == [
        "jobs.csv, row 1, column how: 'area'; expected a number",
        "jobs.csv, row 2, column how: 'area'; expected a number",
    ]
