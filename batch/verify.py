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


VIDEO = frozenset({".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".gif"})
IMAGE = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
"""Without WebP, AVIF and EXR: what their encoders write (animations, layers) is more than FFmpeg's decoders read."""
AUDIO = frozenset({".flac", ".mp3", ".opus", ".ogg", ".wav", ".m4a"})


def check_file(path: Path, suffix: str = "") -> Check:
    """Decode a video, an image or a sound whole, whatever its size; other kinds of files are not looked into.

    Args:
        suffix: tells the kind; the path's own by default.
    """
    suffix = (suffix or path.suffix).lower()
    if suffix not in VIDEO | IMAGE | AUDIO:
        return Check(None, f"unverified: {suffix or 'files without an ending'} cannot be decoded here")
    try:
        if av is not None:
            return _decode_all(path)
        if suffix in VIDEO and (ffprobe := shutil.which("ffprobe")):
            frames, _ = _decode_with_ffprobe(ffprobe, path)
            return Check(frames > 0, f"{frames} frames", frames)
    except (OSError, ValueError, KeyError, IndexError, subprocess.SubprocessError) as error:
        return Check(False, f"it does not decode: {error}")
    return Check(None, "unverified: PyAV is not here")


def _decode_all(path: Path) -> Check:
    """Decode every stream; a stream that holds less than its container says is cut off."""
    try:
        with av.open(str(path)) as container:
            streams = [stream for stream in container.streams if stream.type in ("video", "audio")]
            found = dict.fromkeys((stream.index for stream in streams), 0)
            for packet in container.demux(streams):
                if packet.is_corrupt:
                    return Check(False, "it does not decode: a packet is damaged")
                # What an edit list leaves out is in the container's count and is not shown.
                found[packet.stream.index] += int(packet.is_discard) or len(packet.decode())
            for stream in streams:
                should = stream.frames if stream.type == "video" else 0  # of sound it counts packets, not frames
                if not found[stream.index] or found[stream.index] < should:
                    number = found[stream.index]
                    return Check(False, f"it does not decode whole: {number} of {should or 'its'} frames", number)
    except av.error.FFmpegError as error:
        raise ValueError(str(error)) from error
    if not streams:
        return Check(False, "it holds no picture and no sound")
    frames = max(found.values())
    return Check(True, f"{frames} frames", frames)


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
