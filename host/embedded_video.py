"""Frames to files: a video through PyAV, a picture as PNG."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace

from .embedded_scale import Frames

EXTENSIONS = {"auto": "mp4", "mp4": "mp4", "mkv": "mkv", "webm": "webm"}
CONTAINERS = {"mp4": "mp4", "mkv": "matroska", "webm": "webm"}
ENCODERS = {"h264": "libx264", "av1": "libsvtav1"}

BT709 = 1
"""Number of BT.709 for primaries, transfer and matrix in ITU-T H.273, which FFmpeg's enumerations follow."""

LIMITED_RANGE = 1
"""FFmpeg's AVCOL_RANGE_MPEG: luma 16–235, what players expect of video."""

BITS_16 = 65535


@dataclass(frozen=True)
class Video:
    """Frames with a rate; the frames are those of its source, not a copy."""

    images: Frames = field(repr=False)
    frame_rate: Fraction
    bit_depth: int = 8


def encode(
    video: Video,
    path: Path,
    container: str,
    codec: str,
    metadata: Mapping[str, Any],
    each: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Write a video, one frame at a time.

    Args:
        container: `mp4`, `mkv` or `webm`; codec: `h264`, `av1`, or `auto` (h264, in webm av1).
        metadata: values are written as JSON.
        each: called with (frames done, frames) before each frame; what it raises ends the encoding.

    Raises:
        ValueError: sides that are not even, which 4:2:0 cannot hold; or h264 in webm.
        av.error.FFmpegError: the encoder or the disk refused.
    """
    codec = ("av1" if container == "webm" else "h264") if codec == "auto" else codec
    if container == "webm" and codec != "av1":
        raise ValueError("WebM output requires the AV1 codec")
    count, height, width = video.images.shape[:3]
    if width % 2 or height % 2:
        raise ValueError(f"a video's sides must be even, these are {width}×{height}")
    deep = video.bit_depth > 8
    pixels = "yuv420p10le" if deep else "yuv420p"
    options = {"movflags": "use_metadata_tags+faststart"} if container == "mp4" else {}
    with av.open(str(path), "w", format=CONTAINERS[container], options=options) as output:
        for key, value in metadata.items():
            output.metadata[key] = json.dumps(value)
        stream: Any = output.add_stream(ENCODERS[codec], rate=Fraction(round(video.frame_rate * 1000), 1000))
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        _mark_bt709(stream.codec_context)
        for number, image in enumerate(video.images):
            each(number, count)
            frame = _frame(image, deep).reformat(format=pixels, dst_colorspace=Colorspace.ITU709)
            _mark_bt709(frame)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def encode_png(image: Any, path: Path) -> None:
    """Write one frame `[height, width, 3 or 4]`, values 0–1, as PNG."""
    frame = _frame(image, deep=False)
    context: Any = av.CodecContext.create("png", "w")
    context.width, context.height = frame.width, frame.height
    context.pix_fmt, context.time_base = frame.format.name, Fraction(1, 1)
    context.options = {"compression_level": "1"}
    path.write_bytes(b"".join(bytes(p) for p in [*context.encode(frame), *context.encode(None)]))


def _frame(image: Any, deep: bool) -> Any:
    channels = 3 if deep else min(image.shape[-1], 4)
    top = BITS_16 if deep else 255
    scaled = np.multiply(image[..., :channels], np.float32(top))
    pixels = np.clip(scaled, 0, top, out=scaled).astype(np.uint16 if deep else np.uint8)
    layout = "rgb48le" if deep else {3: "rgb24", 4: "rgba"}[channels]
    return av.VideoFrame.from_ndarray(pixels, format=layout)


def _mark_bt709(target: Any) -> None:
    target.color_primaries = target.color_trc = target.colorspace = BT709
    target.color_range = LIMITED_RANGE
