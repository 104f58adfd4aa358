from __future__ import annotations

from pathlib import Path

import pytest

from resource_gate.batch.joblist.job import Job
from resource_gate.batch.needs.graph_need import Frames, graph_need, probe_video, signature
from resource_gate.batch.needs.learned_need import LearnedNeed, expected
from resource_gate.batch.trial.sample_jobs import ClipSize, model_clip, node, plain_clip

SOURCE = 97 * 640 * 360 * 3 * 4
TARGET = SOURCE * 4


def test_the_stock_baselines_clip_is_its_frames_before_and_after_scaling():
    need = graph_need(plain_clip(0).graph)
    assert (need.total, need.largest) == (SOURCE + TARGET, TARGET)


def test_a_scaling_to_the_same_size_makes_the_pictures_anew():
    need = graph_need(plain_clip(0, ClipSize(scale=1)).graph)
    assert need.total == 2 * SOURCE


def test_repeated_and_decoded_pictures_count():
    need = graph_need(model_clip(0).graph)
    # seed 128×72, decoded from its latent, scaled, 97 times, scaled up.
    small = 640 * 360 * 12
    assert need.largest == TARGET
    assert need.total >= TARGET + SOURCE + small


def test_a_latent_counts_with_what_is_decoded_from_it():
    graph = {
        "l": node("EmptyHunyuanLatentVideo", width=832, height=480, length=81, batch_size=1),
        "s": node("KSampler", latent_image=["l", 0], seed=1),
        "d": node("VAEDecode", samples=["s", 0], vae=["v", 0]),
        "v": node("VAELoader", vae_name="x"),
    }
    need = graph_need(graph)
    assert need.total == need.largest == 81 * 832 * 480 * 12


def test_scaling_by_a_factor_and_a_probed_video():
    graph = {
        "v": node("LoadVideo", file="clip.mp4"),
        "c": node("GetVideoComponents", video=["v", 0]),
        "s": node("ImageScaleBy", image=["c", 0], upscale_method="area", scale_by=2.0),
    }
    video = Frames(10, 100, 50)
    need = graph_need(graph, lambda text: video if text == "clip.mp4" else None)
    assert (need.total, need.largest) == (video.bytes * 5, video.bytes * 4)


@pytest.mark.parametrize(
    "graph",
    [
        {},
        {"1": node("KSampler", seed=3)},
        {"1": node("A", x=["2", 0]), "2": node("B", x=["1", 0])},
        {"1": {"class_type": "NoInputs"}},
        {"1": "no node"},
        {"1": node("EmptyImage", width=-5, height="wide", batch_size=None)},
    ],
)
def test_a_graph_that_does_not_tell_needs_nothing(graph):
    assert graph_need(graph).total == 0


def test_signatures_differ_by_classes_and_links_and_not_by_values():
    assert signature(plain_clip(0).graph) == signature(plain_clip(7, ClipSize(frames=5)).graph)
    assert signature(plain_clip(0).graph) != signature(model_clip(0).graph)


def test_a_video_is_probed_by_its_header(tmp_path: Path):
    import av
    import numpy as np

    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(7):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    assert probe_video(str(path)) == Frames(7, 64, 48)
    (tmp_path / "text.mp4").write_text("no video")
    assert probe_video(str(tmp_path / "text.mp4")) is None
    assert probe_video(str(tmp_path / "missing.mp4")) is None
    assert probe_video("a prompt of some words.") is None


def job(index: int, **size: int) -> Job:
    made = plain_clip(index, ClipSize(**size))
    return Job(index, made.name, made.graph)


def test_need_is_arithmetic_at_first_and_then_what_the_workflow_took():
    need = LearnedNeed(probe=lambda _: None)
    assert need(job(0)) == int((SOURCE + TARGET) * 1.2)
    need.learn(job(0), 2 * (SOURCE + TARGET))
    assert need(job(1)) == 2 * (SOURCE + TARGET)
    half = need(job(2, frames=48))
    assert half is not None and half < 2 * (SOURCE + TARGET)


def test_what_a_small_job_took_beside_its_pictures_is_not_multiplied_for_a_large_one():
    need = LearnedNeed(probe=lambda _: None)
    small, large = job(0, frames=24), job(1)
    libraries = 300 * 1024**2
    need.learn(small, need.size(small)[1] + libraries)
    assert need(large) == need.size(large)[1] + libraries


def test_with_jobs_of_several_sizes_the_slope_is_learned_and_the_worst_lies_on_top():
    need = LearnedNeed(probe=lambda _: None)
    for index, (frames, extra) in enumerate(((24, 0), (48, 0), (97, 0), (48, 100 * 1024**2))):
        one = job(index, frames=frames)
        need.learn(one, 2 * need.size(one)[1] + 50 * 1024**2 + extra)
    large = job(9, frames=194)
    told, most = need(large), 2 * need.size(large)[1] + 150 * 1024**2
    assert told is not None and most * 0.95 < told < most * 1.05


def test_a_slope_that_measurements_cannot_have_is_not_believed():
    assert expected(100, [(10, 5000), (100, 9000)]) == 4 * 100 + 5000 - 40 + 3640
    assert expected(100, [(10, 500), (100, 100)]) == 500


def test_need_is_never_less_than_the_largest_picture():
    need = LearnedNeed(probe=lambda _: None)
    need.learn(job(0), 0)
    assert need(job(1)) == TARGET


def test_a_thumbnail_is_not_taken_to_need_what_a_large_clip_of_its_workflow_took():
    need = LearnedNeed(probe=lambda _: None)
    large, thumbnail = job(0), job(1, frames=2)
    need.learn(large, need.size(large)[1] + 50 * 1024**2)
    assert need(thumbnail) == need.size(thumbnail)[1] + 50 * 1024**2
    need.learn(thumbnail, 1000)
    assert need(thumbnail) == 1100


def test_a_workflow_without_large_pictures_is_learned_in_bytes():
    need = LearnedNeed(probe=lambda _: None)
    text = Job(0, "text", {"1": node("KSampler", seed=1)})
    assert need(text) is None
    need.learn(text, 1000)
    assert need(text) == 1100
