"""Scaling of float32 frames in numpy: the methods of ComfyUI's ImageScale, one frame at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.float32]
Taps = tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]
"""For each output position: indices of input positions, and their weights; both `[positions, taps]`."""

CUBIC = -0.75
"""The free coefficient of cubic convolution (Keys 1981), as torch and OpenCV set it."""

LANCZOS = 3.0
"""Half width of the Lanczos kernel in pixels of the smaller side, as Pillow sets it."""


def _positions(size: int, wanted: int) -> npt.NDArray[Any]:
    """Centre of each output pixel in input pixels, pixel corners aligned (torch's `align_corners=False`)."""
    return (np.arange(wanted) + 0.5) * (size / wanted) - 0.5


def _nearest(size: int, wanted: int) -> Taps:
    index = np.floor(_positions(size, wanted) + 0.5).astype(np.intp)
    return np.clip(index, 0, size - 1)[:, None], np.ones((wanted, 1), np.float32)


def _bilinear(size: int, wanted: int) -> Taps:
    at = np.maximum(_positions(size, wanted), 0.0)
    low = np.minimum(np.floor(at).astype(np.intp), size - 1)
    share = (at - low).astype(np.float32)
    return np.stack([low, np.minimum(low + 1, size - 1)], 1), np.stack([1 - share, share], 1)


def _bicubic(size: int, wanted: int) -> Taps:
    at = _positions(size, wanted)
    low = np.floor(at)
    offsets = np.arange(-1, 3)
    far = np.abs((at - low)[:, None] - offsets)
    inner = ((CUBIC + 2) * far - (CUBIC + 3)) * far**2 + 1
    outer = ((far - 5) * far + 8) * far * CUBIC - 4 * CUBIC
    weight = np.where(far <= 1, inner, outer).astype(np.float32)
    return np.clip(low[:, None].astype(np.intp) + offsets, 0, size - 1), weight


def _windows(size: int, starts: list[int], ends: list[int], weigh: Callable[[int, npt.NDArray[Any]], Any]) -> Taps:
    """Taps of windows of different width; the shorter ones are filled up with weight 0."""
    most = max(e - s for s, e in zip(starts, ends, strict=True))
    index = np.zeros((len(starts), most), np.intp)
    weight = np.zeros((len(starts), most), np.float32)
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        inputs = np.arange(start, end)
        values = np.broadcast_to(np.asarray(weigh(number, inputs), np.float64), inputs.shape)
        index[number, : len(inputs)] = inputs
        weight[number, : len(inputs)] = values / values.sum()
    return index, weight


def _area(size: int, wanted: int) -> Taps:
    starts = [i * size // wanted for i in range(wanted)]
    ends = [-(-(i + 1) * size // wanted) for i in range(wanted)]
    return _windows(size, starts, ends, lambda _number, _inputs: 1.0)


def _lanczos(size: int, wanted: int) -> Taps:
    scale = size / wanted
    stretch = max(scale, 1.0)
    centres = [(i + 0.5) * scale for i in range(wanted)]
    starts = [max(0, int(c - LANCZOS * stretch + 0.5)) for c in centres]
    ends = [min(size, int(c + LANCZOS * stretch + 0.5)) for c in centres]

    def weigh(number: int, inputs: npt.NDArray[Any]) -> Any:
        x = (inputs + 0.5 - centres[number]) / stretch
        return np.where(np.abs(x) < LANCZOS, np.sinc(x) * np.sinc(x / LANCZOS), 0.0)

    return _windows(size, starts, ends, weigh)


METHODS: dict[str, Callable[[int, int], Taps]] = {
    "nearest-exact": _nearest,
    "bilinear": _bilinear,
    "area": _area,
    "bicubic": _bicubic,
    "lanczos": _lanczos,
}
"""By the names of ComfyUI's ImageScale. All but lanczos weigh as `torch.nn.functional.interpolate` does; lanczos weighs
and clips as Pillow does, without its rounding to 8 bits."""


def _resample(frame: Frames, taps: Taps, axis: int, out: Frames, spare: Frames) -> None:
    """Weigh `frame` along `axis` into `out`; `spare` has the shape of `out`."""
    index, weight = taps
    shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
    for tap in range(index.shape[1]):
        target = spare if tap else out
        np.take(frame, index[:, tap], axis=axis, out=target, mode="clip")
        np.multiply(target, weight[:, tap].reshape(shape), out=target)
        if tap:
            np.add(out, spare, out=out)


def crop_to_aspect(frames: Frames, width: int, height: int) -> Frames:
    """A view of the middle of the frames that has the aspect of `width` × `height`."""
    old_height, old_width = frames.shape[1:3]
    x = y = 0
    if old_width * height > width * old_height:
        x = round((old_width - old_height * width / height) / 2)
    elif old_width * height < width * old_height:
        y = round((old_height - old_width * height / width) / 2)
    return frames[:, y : old_height - y, x : old_width - x]


def scaled(
    frames: Frames, width: int, height: int, method: str, each: Callable[[int, int], None] = lambda *_: None
) -> Frames:
    """New frames `[n, height, width, channels]`, float32; besides them only a few frames of memory are used.

    Args:
        frames: `[n, old height, old width, channels]`, values 0–1 by custom.
        width, height: pixels; where one is 0 it follows from the other and the aspect.
        method: one of `METHODS`.
        each: called with (frames done, frames) before each frame; what it raises ends the scaling.
    """
    count, old_height, old_width, channels = frames.shape
    width = width or max(1, round(old_width * height / old_height))
    height = height or max(1, round(old_height * width / old_width))
    columns, rows = METHODS[method](old_width, width), METHODS[method](old_height, height)
    clipped = method == "lanczos"
    columns_first = clipped or width * old_height <= old_width * height
    between = np.empty((old_height, width, channels) if columns_first else (height, old_width, channels), np.float32)
    spare, last = np.empty_like(between), np.empty((height, width, channels), np.float32)
    out = np.empty((count, height, width, channels), np.float32)
    steps = ((columns, 1), (rows, 0)) if columns_first else ((rows, 0), (columns, 1))
    for number in range(count):
        each(number, count)
        _resample(frames[number], steps[0][0], steps[0][1], between, spare)
        if clipped:
            np.clip(between, 0.0, 1.0, out=between)
        _resample(between, steps[1][0], steps[1][1], out[number], last)
        if clipped:
            np.clip(out[number], 0.0, 1.0, out=out[number])
    return out


def empty_frames(count: int, height: int, width: int, color: int) -> Frames:
    """Frames of one colour, `0xRRGGBB`: `[count, height, width, 3]`, float32, 0–1.

    Made of three whole planes, as ComfyUI's EmptyImage makes them, and so with its peak of twice the frames.
    """
    planes = [np.full((count, height, width, 1), ((color >> shift) & 0xFF) / 0xFF, np.float32) for shift in (16, 8, 0)]
    return np.concatenate(planes, axis=-1)
