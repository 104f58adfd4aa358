"""Jobs are real clips: what was encoded decodes, with all its frames."""

from __future__ import annotations

import json

import av
import pytest


def test_a_clip_decodes_with_all_its_frames_its_size_its_rate_and_its_colour(host, run, clip, decoded):
    entry = run(clip(color=0x336699, frames=7))
    assert entry["status"]["status_str"] == "success"
    assert entry["outputs"]["4"]["images"] == [{"filename": "clip_00001_.mp4", "subfolder": "", "type": "output"}]
    made = decoded(host.output_folder / "clip_00001_.mp4")
    assert (made.frames, made.width, made.height, made.rate, made.codec) == (7, 64, 32, 24.0, "h264")
    assert made.color == pytest.approx((0x33, 0x66, 0x99), abs=6)


def test_files_with_one_prefix_are_numbered_in_its_subfolder(host, run, clip):
    first = run(clip(1, prefix="video/a clip"))
    second = run(clip(2, prefix="video/a clip"))
    names = [e["outputs"]["4"]["images"][0] for e in (first, second)]
    assert [n["filename"] for n in names] == ["a clip_00001_.mp4", "a clip_00002_.mp4"]
    assert {n["subfolder"] for n in names} == {"video"}
    assert sorted(p.name for p in (host.output_folder / "video").iterdir()) == [n["filename"] for n in names]


def test_a_prefix_may_hold_the_size_of_the_clip(host, run, clip):
    run(clip(prefix="%width%x%height%"))
    assert (host.output_folder / "64x32_00001_.mp4").is_file()


@pytest.mark.parametrize("prefix", ["../outside", "/etc/outside", "a/../../outside", ""])
def test_a_prefix_that_leads_out_of_the_output_folder_fails_the_job_and_writes_nothing(host, run, clip, prefix):
    before = set(host.folders.base.rglob("*"))
    entry = run(clip(prefix=prefix))
    assert entry["status"]["status_str"] == "error"
    event, told = entry["status"]["messages"][-1]
    assert (event, told["node_id"], told["node_type"]) == ("execution_error", "4", "SaveVideo")
    assert "not inside its folder" in told["exception_message"]
    assert {p for p in host.folders.base.rglob("*") if p.is_file()} == {p for p in before if p.is_file()}


def test_odd_sides_fail_with_a_message_that_names_them(run, clip):
    graph = clip()
    graph["2"]["inputs"]["width"] = 63
    event, told = run(graph)["status"]["messages"][-1]
    assert event == "execution_error"
    assert told["exception_type"] == "ValueError"
    assert "63×32" in told["exception_message"]


@pytest.mark.parametrize(
    ("save", "name", "codec"),
    [
        ({"format": "auto", "codec": "auto"}, "clip_00001_.mp4", "h264"),
        ({"format": "mkv", "codec": "h264"}, "clip_00001_.mkv", "h264"),
        ({"format": "webm", "codec": "auto"}, "clip_00001_.webm", "av1"),
        ({"format": "mp4", "codec": "auto", "format.codec": "av1"}, "clip_00001_.mp4", "av1"),
    ],
)
def test_containers_and_codecs_are_those_asked_for(host, run, clip, decoded, save, name, codec):
    graph = clip(**save)
    graph["2"]["inputs"] |= {"width": 128, "height": 64}  # AV1 encodes nothing smaller
    assert run(graph)["status"]["status_str"] == "success"
    made = decoded(host.output_folder / name)
    assert (made.frames, made.codec) == (5, codec)


def test_ten_bits_are_kept(host, run, clip):
    graph = clip()
    graph["3"]["inputs"]["bit_depth"] = 10
    run(graph)
    with av.open(str(host.output_folder / "clip_00001_.mp4")) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p10le"


def test_the_graph_lies_in_the_file(host, run, clip):
    run(clip())
    with av.open(str(host.output_folder / "clip_00001_.mp4")) as container:
        assert json.loads(container.metadata["prompt"])["1"]["class_type"] == "EmptyImage"


def test_an_interrupt_between_two_frames_leaves_no_file_at_all(host, run, clip):
    def interrupt_the_encoder(event, data, client):
        if event == "progress" and data["node"] == "4":
            host.queue.interrupt()

    host.listen(interrupt_the_encoder)
    entry = run(clip(frames=50), client_id="me")
    assert [m[0] for m in entry["status"]["messages"]][-1] == "execution_interrupted"
    assert list(host.output_folder.iterdir()) == []


def test_previews_are_pictures_in_the_temp_folder_one_a_frame(host, run):
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 6, "batch_size": 3, "color": 0xFF0000}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    images = run(graph)["outputs"]["2"]["images"]
    assert [i["type"] for i in images] == ["temp"] * 3
    for image in images:
        with av.open(str(host.temp_folder() / image["filename"])) as container:
            pixels = next(container.decode(video=0)).to_ndarray(format="rgb24")
        assert pixels.shape == (6, 8, 3)
        assert pixels[0, 0].tolist() == [255, 0, 0]


def test_files_of_the_history_and_of_the_cache_are_referenced(host, run):
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 6, "batch_size": 1, "color": 0}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "kept"}},
    }
    run(graph)
    made = set(host.temp_folder().iterdir())
    assert len(made) == 1
    assert host.referenced_files() == made
    host.queue.forget()
    assert host.referenced_files() == made, "a cached re-run would show it again"
    host.on_worker(lambda place: host.drop_outputs(host.outputs()))
    run({"1": graph["1"], "3": graph["3"]})
    assert host.referenced_files() == set()
