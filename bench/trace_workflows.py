"""The kinds of video workflows that `record_trace.py` runs: nodes of ComfyUI's core, of sizes drawn at random."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from resource_gate.batch.trial.random_weights import VAE_FILE
from resource_gate.batch.trial.sample_jobs import clip_color, node

Kind = Callable[[random.Random, int], dict[str, Any]]

SIDES = ((480, 272), (512, 288), (384, 640), (640, 360), (640, 480), (768, 432))
FRAMES = (17, 25, 33, 41, 49, 65, 81, 97)


def length(rng: random.Random, first: int = 0, last: int = len(FRAMES)) -> int:
    """A number of frames: short clips more often than long ones."""
    return min(rng.choice(FRAMES[first:last]), rng.choice(FRAMES[first:last]))


def save(images: list[Any], name: str) -> dict[str, Any]:
    return {
        "video": node("CreateVideo", images=images, fps=24.0),
        "save": node("SaveVideo", video=["video", 0], filename_prefix=name, format="mp4", codec="h264"),
    }


def empty(width: int, height: int, frames: int, index: int) -> dict[str, Any]:
    return node("EmptyImage", width=width, height=height, batch_size=frames, color=clip_color(index))


def scaled(rng: random.Random, index: int) -> dict[str, Any]:
    """Frames made small, scaled to a size of their own."""
    (width, height), by = rng.choice(SIDES), rng.choice((1.5, 2.0))
    return {
        "frames": empty(width, height, length(rng), index),
        "scale": node(
            "ImageScale", image=["frames", 0], upscale_method="bilinear", crop="disabled",
            width=int(width * by) // 2 * 2, height=int(height * by) // 2 * 2,
        ),
        **save(["scale", 0], f"scaled{index}"),
    }  # fmt: skip


def repeated(rng: random.Random, index: int) -> dict[str, Any]:
    """One picture, repeated, inverted."""
    width, height = rng.choice(SIDES)
    return {
        "picture": node("EmptyImage", width=width, height=height, batch_size=1, color=clip_color(index)),
        "frames": node("RepeatImageBatch", image=["picture", 0], amount=length(rng)),
        "invert": node("ImageInvert", image=["frames", 0]),
        **save(["invert", 0], f"repeated{index}"),
    }


def blended(rng: random.Random, index: int) -> dict[str, Any]:
    """Two clips blended."""
    width, height = rng.choice(SIDES)
    count = length(rng)
    size = node("PrimitiveInt", value=count)
    one, other = (
        node("EmptyImage", width=width, height=height, batch_size=["count", 0], color=clip_color(index * 2 + i))
        for i in (0, 1)
    )
    blend = node("ImageBlend", image1=["one", 0], image2=["other", 0], blend_factor=0.5, blend_mode="multiply")
    return {"count": size, "one": one, "other": other, "blend": blend, **save(["blend", 0], f"blended{index}")}


def doubled(rng: random.Random, index: int) -> dict[str, Any]:
    """Scaled by a factor with another method, then inverted: more time for the same pixels."""
    width, height = rng.choice(SIDES[:4])
    return {
        "frames": empty(width, height, length(rng, last=6), index),
        "scale": node("ImageScaleBy", image=["frames", 0], upscale_method="bicubic", scale_by=rng.choice((1.5, 2.0))),
        "invert": node("ImageInvert", image=["scale", 0]),
        **save(["invert", 0], f"doubled{index}"),
    }  # fmt: skip


def joined(rng: random.Random, index: int) -> dict[str, Any]:
    """Two clips one after the other, the picture cut to its middle."""
    width, height = rng.choice(SIDES[:4])
    one, other = (empty(width, height, length(rng, last=5), index * 2 + i) for i in (0, 1))
    part = rng.choice((0.5, 0.75))
    return {
        "one": one,
        "other": other,
        "join": node("ImageBatch", image1=["one", 0], image2=["other", 0]),
        "crop": node(
            "ImageCrop", image=["join", 0], x=width // 8, y=height // 8,
            width=int(width * part) // 2 * 2, height=int(height * part) // 2 * 2,
        ),
        **save(["crop", 0], f"joined{index}"),
    }  # fmt: skip


def blurred(rng: random.Random, index: int) -> dict[str, Any]:
    """Blurred, with a radius that costs time and no memory."""
    width, height = rng.choice(SIDES[:4])
    return {
        "frames": empty(width, height, length(rng, last=5), index),
        "blur": node("ImageBlur", image=["frames", 0], blur_radius=rng.choice((1, 2)), sigma=1.0),
        **save(["blur", 0], f"blurred{index}"),
    }


def composed(rng: random.Random, index: int) -> dict[str, Any]:
    """A small clip laid on a scaled one."""
    (width, height), count = rng.choice(SIDES[:4]), length(rng, last=6)
    return {
        "frames": empty(width, height, count, index * 2),
        "scale": node("ImageScaleBy", image=["frames", 0], upscale_method="area", scale_by=rng.choice((1.25, 1.5))),
        "inset": empty(width // 4 * 2, height // 4 * 2, count, index * 2 + 1),
        "compose": node(
            "ImageCompositeMasked", destination=["scale", 0], source=["inset", 0], x=16, y=16, resize_source=False
        ),
        **save(["compose", 0], f"composed{index}"),
    }


def trimmed(rng: random.Random, index: int) -> dict[str, Any]:
    """The first part of a clip, made larger: most of what was made is not needed any more."""
    (width, height), count = rng.choice(SIDES[:4]), length(rng, first=2)
    return {
        "frames": empty(width, height, count, index),
        "part": node("ImageFromBatch", image=["frames", 0], batch_index=0, length=max(9, count // rng.choice((2, 3)))),
        "scale": node("ImageScaleBy", image=["part", 0], upscale_method="bilinear", scale_by=rng.choice((1.5, 2.0))),
        **save(["scale", 0], f"trimmed{index}"),
    }


def decoded(rng: random.Random, index: int) -> dict[str, Any]:
    """A latent scaled, decoded by a VAE of random weights, and scaled again: most of its memory is the decoder's."""
    side, count = rng.choice((48, 64)), rng.choice((1, 2))
    by = rng.choice((1.0, 1.5))
    return {
        "vae": node("VAELoader", vae_name=VAE_FILE),
        "latent": node("EmptyLatentImage", width=side, height=side, batch_size=count),
        "larger": node("LatentUpscaleBy", samples=["latent", 0], upscale_method="bilinear", scale_by=by),
        "decode": node("VAEDecode", samples=["larger", 0], vae=["vae", 0]),
        "frames": node("RepeatImageBatch", image=["decode", 0], amount=rng.choice((8, 16, 24))),
        "scale": node("ImageScaleBy", image=["frames", 0], upscale_method="bilinear", scale_by=rng.choice((3.0, 4.0))),
        **save(["scale", 0], f"decoded{index}"),
    }


KINDS: dict[str, Kind] = {
    kind.__name__: kind for kind in (scaled, repeated, blended, doubled, joined, blurred, composed, trimmed, decoded)
}
