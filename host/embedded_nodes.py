"""The node kinds of the embedded host: core nodes of ComfyUI by name and inputs, on numpy and PyAV."""

from __future__ import annotations

import random
import string
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .embedded_files import appearing, next_name
from .embedded_kinds import MAX_RESOLUTION, Input, NodeContext, NodeKind, NodeResult
from .embedded_scale import METHODS, Frames, crop_to_aspect, empty_frames, scaled
from .embedded_video import EXTENSIONS, Video, encode, encode_png

MIB = 1024**2


def _empty_image(context: NodeContext, width: int, height: int, batch_size: int = 1, color: int = 0) -> NodeResult:
    return NodeResult((empty_frames(batch_size, height, width, color),))


def _image_scale(
    context: NodeContext, image: Frames, upscale_method: str, width: int, height: int, crop: str
) -> NodeResult:
    if not width and not height:
        return NodeResult((image,))
    if crop == "center" and width and height:
        image = crop_to_aspect(image, width, height)
    return NodeResult((scaled(image, width, height, upscale_method, context.progress),))


def _create_video(context: NodeContext, images: Frames, fps: float, bit_depth: int = 8) -> NodeResult:
    return NodeResult((Video(images, Fraction(fps), bit_depth),))


def _save_video(
    context: NodeContext,
    video: Video,
    filename_prefix: str,
    format: str,  # noqa: A002 - the input's name
    codec: str = "auto",
    **more: Any,
) -> NodeResult:
    codec = more.get("format.codec", codec)
    height, width = video.images.shape[1:3]
    folder, name, number = next_name(context.folders.output, filename_prefix, width, height)
    extension = EXTENSIONS[format]
    target = folder / f"{name}_{number:05}_.{extension}"
    with appearing(target) as part:
        encode(video, part, extension, codec, _metadata(context), context.progress)
    entry = _entry(target, context.folders.output, "output")
    return NodeResult((video,), {"images": [entry], "animated": [True]})


def _save_images(context: NodeContext, images: Frames, root: Path, prefix: str, kind: str) -> NodeResult:
    height, width = images.shape[1:3]
    folder, name, number = next_name(root, prefix, width, height)
    entries = []
    for offset, image in enumerate(images):
        context.progress(offset, len(images))
        target = folder / f"{name}_{number + offset:05}_.png"
        with appearing(target) as part:
            encode_png(image, part)
        entries.append(_entry(target, root, kind))
    return NodeResult((images,), {"images": entries})


def _save_image(context: NodeContext, images: Frames, filename_prefix: str) -> NodeResult:
    return _save_images(context, images, context.folders.output, filename_prefix, "output")


def _preview_image(context: NodeContext, images: Frames) -> NodeResult:
    # Random letters as ComfyUI has them: a browser must not take an earlier preview from its cache.
    letters = "".join(random.choices(string.ascii_lowercase, k=5))
    return _save_images(context, images, context.folders.temp, f"ComfyUI_temp_{letters}", "temp")


def _allocate(context: NodeContext, mb: int, seconds: float, value: Any = None) -> NodeResult:
    held = np.ones(mb * MIB, np.uint8)  # ones, because untouched pages of zeros would cost no memory
    context.wait(seconds)
    del held
    return NodeResult((value,))


def _metadata(context: NodeContext) -> dict[str, Any]:
    return {**context.extra_pnginfo, "prompt": context.graph}


def _entry(path: Path, root: Path, kind: str) -> dict[str, str]:
    subfolder = path.parent.relative_to(root).as_posix()
    return {"filename": path.name, "subfolder": "" if subfolder == "." else subfolder, "type": kind}


_SIDE = Input("INT", default=512, min=0, max=MAX_RESOLUTION, step=1)
_CODEC = Input("COMBO", required=False, default="auto", options=("auto", "h264", "av1"))

NODES: dict[str, NodeKind] = {
    kind.name: kind
    for kind in (
        NodeKind(
            "EmptyImage",
            _empty_image,
            {
                "width": Input("INT", default=512, min=1, max=MAX_RESOLUTION, step=1),
                "height": Input("INT", default=512, min=1, max=MAX_RESOLUTION, step=1),
                "batch_size": Input("INT", default=1, min=1, max=4096),
                "color": Input("INT", default=0, min=0, max=0xFFFFFF, step=1),
            },
            ("IMAGE",),
            category="image",
        ),
        NodeKind(
            "ImageScale",
            _image_scale,
            {
                "image": Input("IMAGE"),
                "upscale_method": Input("COMBO", options=tuple(METHODS)),
                "width": _SIDE,
                "height": _SIDE,
                "crop": Input("COMBO", options=("disabled", "center")),
            },
            ("IMAGE",),
            category="image/upscaling",
            display_name="Upscale Image",
        ),
        NodeKind(
            "CreateVideo",
            _create_video,
            {
                "images": Input("IMAGE"),
                "fps": Input("FLOAT", default=30.0, min=1.0, max=120.0, step=1.0),
                "bit_depth": Input("INT", required=False, default=8, min=8, max=10, step=2),
            },
            ("VIDEO",),
            category="video",
            display_name="Create Video",
        ),
        NodeKind(
            "SaveVideo",
            _save_video,
            {
                "video": Input("VIDEO"),
                "filename_prefix": Input("STRING", default="video/ComfyUI"),
                "format": Input("COMBO", default="auto", options=tuple(EXTENSIONS)),
                "codec": _CODEC,
                # How newer versions of ComfyUI name the choice inside a choice.
                "format.codec": _CODEC,
            },
            ("VIDEO",),
            output_node=True,
            category="video",
            display_name="Save Video",
        ),
        NodeKind(
            "SaveImage",
            _save_image,
            {"images": Input("IMAGE"), "filename_prefix": Input("STRING", default="ComfyUI")},
            ("IMAGE",),
            output_node=True,
            category="image",
            display_name="Save Image",
        ),
        NodeKind(
            "PreviewImage",
            _preview_image,
            {"images": Input("IMAGE")},
            ("IMAGE",),
            output_node=True,
            category="image",
            display_name="Preview Image",
        ),
        NodeKind(
            "Allocate",
            _allocate,
            {
                "mb": Input("INT", default=100, min=0, max=1 << 20),
                "seconds": Input("FLOAT", default=1.0, min=0.0, max=3600.0),
                "value": Input("*", required=False),
            },
            ("*",),
            output_node=True,
            cached=False,
            category="resource gate/test",
            description="Holds that many MB of memory for that many seconds, then passes its value through.",
        ),
    )
}
"""By name, as in `class_type`. Other rooms add their kinds here, or to one host's `nodes`."""
