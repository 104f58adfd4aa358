from __future__ import annotations

import copy

import pytest

from resource_gate.batch.trial.sample_jobs import ClipSize, model_clip, node, plain_clip
from resource_gate.gate.prediction.features import features_of, likeness

SMALL, LARGE = 97 * 640 * 360, 97 * 1280 * 720


def test_a_clip_is_as_large_as_its_frames_before_and_after_scaling():
    features = features_of(plain_clip(0).graph)
    assert (features.largest, features.total, features.frames) == (LARGE, SMALL + LARGE, 97)
    assert features.arithmetic == (SMALL + LARGE) * 12
    assert set(features.makers) == {"frames", "scale"}


def test_seeds_texts_names_and_sizes_do_not_change_the_family():
    one, other = model_clip(1).graph, copy.deepcopy(model_clip(2, ClipSize(33)).graph)
    other["text"]["inputs"]["text"] = "something else entirely, with 14.safetensors words"
    assert features_of(one).family == features_of(other).family
    assert features_of(one).total != features_of(other).total


@pytest.mark.parametrize(
    ("node_id", "name", "value"), [("vae", "vae_name", "other.safetensors"), ("scale", "upscale_method", "bicubic")]
)
def test_models_and_choices_do(node_id, name, value):
    one, other = model_clip(1).graph, copy.deepcopy(model_clip(1).graph)
    other[node_id]["inputs"][name] = value
    assert features_of(one).family != features_of(other).family


def test_a_number_is_found_through_primitives_and_reroutes():
    graph = {
        "n": node("PrimitiveInt", value=33),
        "r": node("Reroute", **{"": ["n", 0]}),
        "i": node("EmptyImage", width=100, height=10, batch_size=["r", 0], color=1),
    }
    assert features_of(graph).largest == 33_000
    direct = {"i": node("EmptyImage", width=100, height=10, batch_size=33, color=1)}
    assert features_of(graph).family == features_of(direct).family


def test_a_batch_size_node_counts_as_what_it_chose_and_else_as_what_is_wanted():
    graph = {
        "s": node("ResourceGateBatchSize", wanted=50, step=1, plus_one=False, keep_free=0.5),
        "i": node("EmptyImage", width=10, height=10, batch_size=["s", 0], color=1),
    }
    assert features_of(graph).frames == 50 and features_of(graph).size_nodes == ("s",)
    assert features_of(graph, sizes={"s": 7}).frames == 7


@pytest.mark.parametrize(
    ("after", "frames", "pixels"),
    [
        (node("ImageScaleBy", image=["i", 0], scale_by=2.0), 9, 400),
        (node("RepeatImageBatch", image=["i", 0], amount=3), 27, 100),
        (node("ImageFromBatch", image=["i", 0], batch_index=0, length=4), 4, 100),
        (node("RIFE VFI", frames=["i", 0], multiplier=2), 18, 100),
        (node("ImageScale", image=["i", 0], width=20, height=0), 9, 400),
        (node("ImageScaleToTotalPixels", image=["i", 0], megapixels=1.0), 9, 1024**2),
        (node("ImageBlur", image=["i", 0], blur_radius=3), 9, 100),
        (node("EmptyHunyuanLatentVideo", width=8, height=8, length=5, batch_size=2), 10, 64),
    ],
)
def test_what_nodes_make_of_what_they_are_given(after, frames, pixels):
    graph = {"i": node("EmptyImage", width=10, height=10, batch_size=9, color=0), "a": after}
    made = features_of(graph, ("a",)).makers
    assert made.get("a", made.get("i")) == pytest.approx(frames * pixels, rel=0.01)


@pytest.mark.parametrize(
    ("kind", "names"), [("ImageBatch", ("image1", "image2")), ("BatchImagesNode", ("images.image0", "images.image1"))]
)
def test_clips_laid_one_behind_the_other_are_as_long_as_both(kind, names):
    graph = {
        "a": node("EmptyImage", width=100, height=50, batch_size=8, color=0),
        "b": node("EmptyImage", width=10, height=10, batch_size=16, color=0),
        "j": node(kind, **dict(zip(names, (["a", 0], ["b", 0]), strict=True))),
    }
    features = features_of(graph)
    assert features.frames == 24 and features.largest == 100 * 50 * 24
    assert features.total == 100 * 50 * 32 + 10 * 10 * 16


def test_steps_times_pixels_is_the_work_of_a_sampler():
    graph = {
        "l": node("EmptyLatentImage", width=64, height=64, batch_size=2),
        "k": node("KSampler", latent_image=["l", 0], steps=20, seed=5),
    }
    assert features_of(graph).work == 20 * 2 * 64 * 64


def test_only_what_the_outputs_need_counts():
    graph = {**plain_clip(0).graph, "huge": node("EmptyImage", width=8000, height=8000, batch_size=4096, color=0)}
    assert features_of(graph, ("save",)) == features_of(plain_clip(0).graph, ("save",))


@pytest.mark.parametrize(
    "graph",
    [
        {},
        {"1": None},
        {"1": {}},
        {"1": {"class_type": 5, "inputs": {"width": "x", "height": [], "a": ["1", 0]}}},
        {"1": {"class_type": "A", "inputs": {"a": ["2", 0]}}, "2": {"class_type": "B", "inputs": {"b": ["1", 0]}}},
        {"1": {"class_type": "A", "inputs": {"width": ["gone", 0], "height": float("nan"), "batch_size": -4}}},
        {"1": {"class_type": "EmptyImage", "inputs": {"width": 2**30, "height": 2**30, "batch_size": 2**30}}},
    ],
)
def test_a_graph_that_makes_no_sense_is_small_or_cut_and_raises_nothing(graph):
    assert 0 <= features_of(graph).total < 2**42


def test_likeness_is_the_share_of_kinds_and_models_in_common():
    features = features_of(plain_clip(0).graph)
    assert likeness(features, features.kinds, ()) == 1
    assert likeness(features, ("EmptyImage", "ImageScale"), ()) == 0.5
    assert likeness(features, ("KSampler",), ("a.safetensors",)) == 0
