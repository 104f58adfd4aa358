"""Scaling weighs as torch and Pillow do."""

from __future__ import annotations

import numpy as np
import pytest

from resource_gate.host.embedded_scale import METHODS, crop_to_aspect, empty_frames, scaled

LINE = [0.0, 0.2, 1.0, 0.4, 0.6]

REFERENCE = [
    ("nearest-exact", 8, [0.0, 0.0, 0.2, 1.0, 1.0, 0.4, 0.6, 0.6]),
    ("nearest-exact", 3, [0.0, 1.0, 0.6]),
    ("bilinear", 8, [0.0, 0.0875, 0.25, 0.75, 0.8125, 0.4375, 0.5125, 0.6]),
    ("bilinear", 3, [0.0667, 1.0, 0.5333]),
    ("area", 8, [0.0, 0.1, 0.2, 0.6, 0.7, 0.4, 0.5, 0.6]),
    ("area", 3, [0.1, 0.5333, 0.5]),
    ("bicubic", 8, [-0.0186, 0.0214, 0.2496, 0.8427, 0.9031, 0.4238, 0.4656, 0.6186]),
    ("bicubic", 3, [0.0185, 1.0, 0.5037]),
    ("lanczos", 8, [0.0039, 0.0, 0.251, 0.8784, 0.9059, 0.4275, 0.4549, 0.6392]),
    ("lanczos", 3, [0.0745, 0.7098, 0.5255]),
]
"""What `comfy.utils.common_upscale` of ComfyUI 0.33.0 (torch 2.11, Pillow for lanczos) makes of `LINE`."""


@pytest.mark.parametrize(("method", "width", "expected"), REFERENCE)
@pytest.mark.parametrize("upright", [False, True])
def test_a_line_is_scaled_as_comfyui_scales_it(method, width, expected, upright):
    line = np.asarray(LINE, np.float32).reshape(1, 1, 5, 1).repeat(3, axis=3)
    line = line.swapaxes(1, 2) if upright else line
    size = (1, width) if upright else (width, 1)
    # Pillow rounds to 8 bits, once for each direction.
    tolerance = 1.01 / 255 if method == "lanczos" else 1e-4
    assert scaled(line, *size, method)[0, :, :, 1].ravel() == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(40, 30), (7, 5), (20, 3), (5, 30), (20, 10)])
def test_one_colour_stays_that_colour_at_every_size(method, size):
    frames = empty_frames(2, 10, 20, 0x336699)
    made = scaled(frames, *size, method)
    assert made.shape == (2, size[1], size[0], 3)
    assert made.dtype == np.float32
    assert np.abs(made * 255 - [0x33, 0x66, 0x99]).max() < 0.01


def test_a_side_of_zero_follows_from_the_other():
    frames = empty_frames(1, 10, 20, 0)
    assert scaled(frames, 0, 30, "bilinear").shape == (1, 30, 60, 3)
    assert scaled(frames, 10, 0, "bilinear").shape == (1, 5, 10, 3)


def test_a_crop_takes_the_middle_and_copies_nothing():
    frames = np.arange(20, dtype=np.float32).reshape(1, 1, 20, 1)
    middle = crop_to_aspect(frames, 10, 1)
    assert middle.ravel().tolist() == list(range(5, 15))
    assert np.shares_memory(middle, frames)
    assert crop_to_aspect(frames.swapaxes(1, 2), 1, 10).ravel().tolist() == list(range(5, 15))


def test_what_the_caller_raises_ends_the_scaling():
    def stop(done, total):
        if done == 1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        scaled(empty_frames(3, 4, 4, 0), 8, 8, "bilinear", stop)
