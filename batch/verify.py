"""Whether a finished clip is one: it decodes to its end and has all its frames, in the right size."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

try:
    import av
except ImportError:  # a machine that only runs batches needs no decoder
    av = None  # type: ignore[assignment]

FFPROBE_TIMEOUT = 120.0
"""Seconds for ffprobe to decode one clip of a few hundred frames."""


@dataclass(frozen=True)
class Check:
    """What came of it: `whole` is True, False, or None where nothing on this machine can decode video."""

    whole: bool | None
    text: str
    frames: int = 0


def check_clip(path: Path, frames: int, width: int, height: int) -> Check:
    """Decode every frame of `path` and compare number and size (pixels) with what they should be."""
    try:
        if av is not None:
            found, size = _decode_with_av(path)
        elif ffprobe := shutil.which("ffprobe"):
            found, size = _decode_with_ffprobe(ffprobe, path)
        else:
            return Check(None, "unverified: neither PyAV nor ffprobe is here")
    except (OSError, ValueError, KeyError, IndexError, subprocess.SubprocessError) as error:
        return Check(False, f"{path.name} does not decode: {error}")
    if (found, size) != (frames, (width, height)):
        is_, should = f"{found} frames of {size[0]}×{size[1]}", f"{frames} of {width}×{height}"
        return Check(False, f"{path.name} has {is_}, not {should}", found)
    return Check(True, f"{path.name}: {found} frames of {width}×{height}", found)


def _decode_with_av(path: Path) -> tuple[int, tuple[int, int]]:
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            size = (stream.codec_context.width, stream.codec_context.height)
            return sum(1 for _ in container.decode(stream)), size
    except av.error.FFmpegError as error:
        raise ValueError(str(error)) from error


def _decode_with_ffprobe(ffprobe: str, path: Path) -> tuple[int, tuple[int, int]]:
    command = [ffprobe, "-v", "error", "-select_streams", "v:0", "-count_frames", "-of", "json"]
    command += ["-show_entries", "stream=nb_read_frames,width,height", str(path)]
    told = subprocess.run(command, capture_output=True, timeout=FFPROBE_TIMEOUT, check=True)
    stream = json.loads(told.stdout)["streams"][0]
    return int(stream["nb_read_frames"]), (int(stream["width"]), int(stream["height"]))
