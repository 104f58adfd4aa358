from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resource_gate.gate.need import MARGIN, NOISE, PASSED_OVER, REMEMBERED, SETTLED, NodeNeeds, arithmetic_need

MB = 1024**2
GB = 1024**3


def tensor(*shape):
    return SimpleNamespace(shape=shape, dtype="float32")


FRAMES = tensor(97, 720, 1280, 3)
SMALL = tensor(97, 360, 640, 3)


@pytest.mark.parametrize(
    ("what", "inputs", "need"),
    [
        ("EmptyImage", {"width": 640, "height": 360, "batch_size": 97, "color": 255}, 97 * 640 * 360 * 12),
        (
            "ImageScale",
            {"image": SMALL, "width": 1280, "height": 720, "upscale_method": "bilinear", "crop": "disabled"},
            97 * 1280 * 720 * 12,
        ),
        ("ImageScale down", {"image": FRAMES, "width": 64, "height": 36}, 97 * 1280 * 720 * 12),
        ("ImageScaleBy", {"image": SMALL, "upscale_method": "area", "scale_by": 2.0}, 97 * 1280 * 720 * 12),
        ("ImageScaleBy down", {"image": FRAMES, "scale_by": 0.5}, 97 * 640 * 360 * 12),
        ("RepeatImageBatch", {"image": tensor(1, 720, 1280, 3), "amount": 97}, 97 * 1280 * 720 * 12),
        ("VAEDecode, images", {"samples": {"samples": tensor(4, 4, 64, 64)}, "vae": object()}, 4 * 512 * 512 * 12),
        (
            "VAEDecode, video",
            {"samples": {"samples": tensor(1, 16, 25, 90, 160)}, "vae": object()},
            97 * 1280 * 720 * 12,
        ),
        (
            "VAEDecode with a mask",
            {"samples": {"samples": tensor(1, 4, 64, 64), "noise_mask": tensor(1, 1, 512, 512)}, "vae": object()},
            512 * 512 * 12,
        ),
        ("VAEEncode", {"pixels": SMALL, "vae": object()}, 97 * 640 * 360 * 12),
        ("SaveVideo", {"video": object(), "filename_prefix": "a", "format": "mp4", "codec": "h264"}, 0),
        ("a prompt", {"text": "a cat, 4k, 9999999", "clip": object()}, 0),
        ("nothing", {}, 0),
    ],
)
def test_the_arithmetic_of_core_nodes(what, inputs, need):
    assert arithmetic_need(inputs) == need


def test_a_video_is_never_more_than_its_own_frames():
    audio = {"waveform": tensor(1, 2, 44100 * 4), "sample_rate": 44100}
    assert arithmetic_need({"images": FRAMES, "fps": 24.0, "audio": audio}) == 97 * 1280 * 720 * 12


def test_arrays_are_found_in_lists_and_dicts():
    assert arithmetic_need({"images": [[tensor(2, 10, 10, 3)]]}) == 2 * 10 * 10 * 12
    assert arithmetic_need({"data": {"deep": {"image": tensor(2, 10, 10, 3)}}}) == 2 * 10 * 10 * 12


class LazyAudio(Mapping):
    """As VideoHelperSuite's: to look at what it maps runs ffmpeg, and fails for a film without sound."""

    def __getitem__(self, key):
        raise RuntimeError("failed to extract audio")

    __iter__ = __len__ = __getitem__


def test_a_mapping_that_loads_when_it_is_looked_at_is_not_made_to_load():
    assert arithmetic_need({"audio": LazyAudio(), "samples": LazyAudio(), "images": tensor(8, 4, 4, 3)}) == 8 * 48 * 4


@pytest.mark.parametrize("odd", [float("inf"), float("nan"), -5, 10**40, True, "512", None, [1]])
def test_odd_sizes_are_left_out(odd):
    assert arithmetic_need({"width": odd, "height": odd, "amount": odd, "scale_by": odd, "image": SMALL}) == (
        97 * 640 * 360 * 12
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.lists(st.integers(0, 200), max_size=6).map(lambda s: tensor(*s)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
inputs_of_any_kind = st.dictionaries(
    st.sampled_from(["width", "height", "amount", "scale", "scale_by", "samples", "vae", "image", "batch_size"])
    | st.text(max_size=4),
    values,
    max_size=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(inputs_of_any_kind)
def test_whatever_a_node_is_given_the_arithmetic_raises_nothing_and_is_never_negative(inputs):
    assert arithmetic_need(inputs) >= 0


def test_an_unknown_kind_needs_its_arithmetic():
    assert NodeNeeds().expect("New", arithmetic_need({"image": FRAMES})) == 97 * 1280 * 720 * 12
    assert NodeNeeds().expect("New", arithmetic_need({})) == 0


def test_a_learned_factor_goes_with_the_size():
    needs = NodeNeeds()
    needs.learn("Scale", GB, 3 * GB)
    assert needs.expect("Scale", arithmetic_need({"image": FRAMES})) == pytest.approx(
        97 * 1280 * 720 * 12 * 3 * MARGIN, abs=2
    )


def test_a_node_that_took_nothing_is_expected_to_take_nothing():
    needs = NodeNeeds()
    needs.learn("CreateVideo", GB, -5 * MB)
    assert needs.expect("CreateVideo", arithmetic_need({"images": FRAMES})) == 0


def test_where_the_sizes_say_nothing_bytes_are_learned():
    needs = NodeNeeds()
    needs.learn("CheckpointLoader", 0, 4 * GB)
    assert needs.expect("CheckpointLoader", arithmetic_need({"ckpt_name": "a"})) == pytest.approx(
        4 * GB * MARGIN, abs=2
    )


def test_a_tiny_image_teaches_no_absurd_factor():
    """A library that is loaded on the first run costs 300 MB however small the picture is."""
    needs = NodeNeeds()
    needs.learn("Detect", 64 * 64 * 12, 300 * MB)
    assert needs.expect("Detect", arithmetic_need({"image": FRAMES})) == 97 * 1280 * 720 * 12
    assert needs.expect("Detect", arithmetic_need({"image": tensor(1, 64, 64, 3)})) == pytest.approx(
        300 * MB * MARGIN, abs=2
    )


def test_the_worst_of_the_last_runs_counts_and_older_ones_are_forgotten():
    needs = NodeNeeds()
    needs.learn("Scale", NOISE, 9 * NOISE)
    for _ in range(REMEMBERED - 1):
        needs.learn("Scale", NOISE, NOISE)
    assert needs.expect("Scale", arithmetic_need({"image": FRAMES})) == pytest.approx(
        97 * 1280 * 720 * 12 * 9 * MARGIN, abs=2
    )
    needs.learn("Scale", NOISE, NOISE)
    assert needs.expect("Scale", arithmetic_need({"image": FRAMES})) == pytest.approx(
        97 * 1280 * 720 * 12 * MARGIN, abs=2
    )


def test_a_kind_that_takes_next_to_nothing_is_measured_now_and_then_only():
    needs = NodeNeeds()
    for _ in range(SETTLED):
        assert needs.worth_measuring("Note", 0)
        needs.learn("Note", 0, 1000)
    assert sum(needs.worth_measuring("Note", 0) for _ in range(3 * PASSED_OVER)) == 3
    assert needs.worth_measuring("Note", 1 * GB)
    needs.learn("Note", 0, 500 * MB)
    assert all(needs.worth_measuring("Note", 0) for _ in range(10))
