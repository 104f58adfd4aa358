from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resource_gate.batch.joblist.job import InputFile
from resource_gate.batch.joblist.plan import plan
from resource_gate.batch.joblist.rows import rows_from_csv, rows_from_pattern

Write = Callable[[str, Any], Path]
Graph = dict[str, Any]


def test_each_row_becomes_a_job_with_its_values_and_its_file(write: Write, graph: Graph, object_info: Graph) -> None:
    clip = write("clips/a b.mp4", b"x")
    write("clips/b.mp4", b"x")
    table = write("jobs.csv", "file,width\nclips/a b.mp4,320\nclips/b.mp4,64\n")
    sets = ["Clip.file={file}", "3.resize_type.width={width}", "CreateVideo.fps=12"]
    listed = plan(write("w.json", graph), rows_from_csv(table), sets, object_info)
    first, second = listed.jobs
    assert first.name == "a b"
    assert first.files == (InputFile("1", "file", clip),)
    assert first.graph["1"]["inputs"]["file"] == str(clip)
    assert first.graph["3"]["inputs"]["resize_type.width"] == 320
    assert second.graph["3"]["inputs"]["resize_type.width"] == 64
    assert second.graph["4"]["inputs"]["fps"] == 12.0
    assert (listed.source, listed.unchecked) == ("jobs.csv", ())
    assert graph["3"]["inputs"]["resize_type.width"] == 640


def test_what_a_job_saves_lies_in_a_folder_of_its_own(write: Write, graph: Graph, object_info: Graph) -> None:
    table = write("jobs.csv", "name\nfirst: one\nsecond\n")
    jobs = plan(write("w.json", graph), rows_from_csv(table), [], object_info).jobs
    assert [job.graph["5"]["inputs"]["filename_prefix"] for job in jobs] == [
        "resource_gate/first_ one/out",
        "resource_gate/second/out",
    ]


def test_a_prefix_that_was_set_stays(write: Write, graph: Graph, object_info: Graph) -> None:
    table = rows_from_csv(write("jobs.csv", "name\na\n"))
    (job,) = plan(write("w.json", graph), table, ["Save.filename_prefix=mine/{name}"], object_info).jobs
    assert job.graph["5"]["inputs"]["filename_prefix"] == "mine/a"


def test_names_come_from_the_template_the_column_the_file_or_the_number(
    write: Write, graph: Graph, object_info: Graph
) -> None:
    path = write("w.json", graph)
    table = rows_from_csv(write("jobs.csv", "seed\n" + "5\n" * 10))
    assert [job.name for job in plan(path, table, [], object_info).jobs][8:] == ["09", "10"]
    named = plan(path, table, [], object_info, name="s{seed}").jobs
    assert [job.name for job in named][:3] == ["s5", "s5-2", "s5-3"]
    found = rows_from_pattern(str(write("x/clip.mp4", b"x")))
    assert plan(path, found, ["1.file={file}"], object_info).jobs[0].name == "clip"


def test_the_same_list_has_the_same_keys_and_another_value_another(
    write: Write, graph: Graph, object_info: Graph
) -> None:
    path, table = write("w.json", graph), rows_from_csv(write("jobs.csv", "name,fps\na,24\nb,24\n"))
    first, again = (plan(path, table, ["4.fps={fps}"], object_info).jobs for _ in range(2))
    other = plan(path, table, ["4.fps=25"], object_info).jobs
    assert [job.key for job in first] == [job.key for job in again]
    assert len({job.key for job in (*first, *other)}) == 4


def test_a_choice_that_brings_inputs_is_checked_with_them(write: Write, graph: Graph, object_info: Graph) -> None:
    for name in ("resize_type.width", "resize_type.height", "resize_type.crop"):
        del graph["3"]["inputs"][name]
    graph["3"]["inputs"].update({"resize_type": "scale by multiplier", "resize_type.multiplier": 1.0})
    table = rows_from_csv(write("jobs.csv", "by\n2\n"))
    sets = ["Resize.resize_type=scale by multiplier", "Resize.resize_type.multiplier={by}"]
    (job,) = plan(write("w.json", graph), table, sets, object_info).jobs
    assert job.graph["3"]["inputs"]["resize_type.multiplier"] == 2.0


def test_a_workflow_as_the_ui_saves_it_is_converted(
    write: Write, data: Callable[[str], Any], object_info: Graph
) -> None:
    workflow = data("subgraphs.ui.json")
    object_info["LoadImage"]["input"]["required"]["image"][0] = ["example.png"]
    table = rows_from_csv(write("jobs.csv", "width,sigma\n96,0.25\n"))
    sets = ["First pass.width={width}", "24.sigma={sigma}"]
    (job,) = plan(write("w.json", workflow), table, sets, object_info).jobs
    assert job.graph["22:41"]["inputs"]["width"] == 96
    assert job.graph["24:42:51"]["inputs"]["sigma"] == 0.25
    assert job.graph["23"]["inputs"]["filename_prefix"] == "resource_gate/1/first"


def test_a_media_file_is_uploaded_even_where_the_node_only_lists_choices(
    write: Write, graph: Graph, object_info: Graph
) -> None:
    object_info["LoadVideo"]["input"]["required"]["file"] = [["clip.mp4"]]
    clip = write("new.mp4", b"x")
    table = rows_from_csv(write("jobs.csv", f"file\n{clip}\nclip.mp4\n"))
    first, second = plan(write("w.json", graph), table, ["1.file={file}"], object_info).jobs
    assert [each.path for each in first.files] == [clip]
    assert second.files == ()
    assert second.graph["1"]["inputs"]["file"] == "clip.mp4"


def test_a_file_that_only_the_server_has_is_named_and_not_uploaded(
    write: Write, graph: Graph, object_info: Graph
) -> None:
    table = rows_from_csv(write("jobs.csv", "file\nclip.mp4\n"))
    (job,) = plan(write("w.json", graph), table, ["1.file={file}"], object_info).jobs
    assert (job.files, job.graph["1"]["inputs"]["file"]) == ((), "clip.mp4")


def test_without_the_server_what_can_be_checked_is_and_the_rest_is_told(write: Write, graph: Graph) -> None:
    clip = write("a.mp4", b"x")
    table = rows_from_csv(write("jobs.csv", "file,width\na.mp4,320\n"))
    sets = ["Clip.file={file}", "Resize.resize_type.width={width}"]
    listed = plan(write("w.json", graph), table, sets, None)
    assert listed.jobs[0].files == (InputFile("1", "file", clip),)
    assert listed.jobs[0].graph["3"]["inputs"]["resize_type.width"] == 320
    assert listed.jobs[0].graph["5"]["inputs"]["filename_prefix"] == "resource_gate/a/out"
    assert "not checked" in listed.unchecked[0]


def test_an_answer_of_the_api_is_unwrapped(write: Write, graph: Graph, object_info: Graph) -> None:
    table = rows_from_csv(write("jobs.csv", "name\na\n"))
    wrapped = plan(write("w.json", {"prompt": graph, "client_id": "x"}), table, [], object_info)
    assert wrapped.jobs[0].key == plan(write("v.json", graph), table, [], object_info).jobs[0].key


def test_the_server_names_of_files_are_put_in_without_touching_the_job(
    write: Write, graph: Graph, object_info: Graph
) -> None:
    clip = write("a.mp4", b"x")
    table = rows_from_csv(write("jobs.csv", "file\na.mp4\n"))
    (job,) = plan(write("w.json", graph), table, ["1.file={file}"], object_info).jobs
    sent = job.graph_with({("1", "file"): "batch/a.mp4"})
    assert sent["1"]["inputs"]["file"] == "batch/a.mp4"
    assert job.graph["1"]["inputs"]["file"] == str(clip)
    assert json.loads(json.dumps(sent)) == sent


def test_jobs_share_what_no_row_changes(write: Write, graph: Graph, object_info: Graph) -> None:
    table = rows_from_csv(write("jobs.csv", "fps\n24\n25\n"))
    first, second = plan(write("w.json", graph), table, ["4.fps={fps}"], object_info).jobs
    assert first.graph["2"] is second.graph["2"]
    assert first.graph["4"] is not second.graph["4"]
