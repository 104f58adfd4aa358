"""Clips to measure with, of ComfyUI's own nodes: the plain one of the stock baseline, and one that needs models too."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .random_weights import TEXT_ENCODER_FILE, VAE_FILE

FPS = 24.0
BYTES_PER_VALUE = 4
"""ComfyUI's frames are float32, height × width × 3."""
SEED_SIZE = 128, 72
"""Width and height of the one picture that the models make: small, because here it is their weights that count."""
OUTPUT_FOLDER = "trial"


@dataclass(frozen=True)
class ClipJob:
    """One clip to make, and what must have become of it.

    Attributes:
        name: unique in its batch; the output file's name begins with it.
        graph: in API format.
        frames, width, height: of the finished clip.
    """

    name: str
    frames: int
    width: int
    height: int
    graph: Mapping[str, Any] = field(repr=False, default_factory=dict)

    @property
    def prefix(self) -> str:
        """Where the clip goes, below the output folder, as `SaveVideo` takes it."""
        return f"{OUTPUT_FOLDER}/{self.name}"


@dataclass(frozen=True)
class ClipSize:
    """Frames made small, then scaled up; the stock baseline's size by default (reference: 640×360 × 97)."""

    frames: int = 97
    width: int = 640
    height: int = 360
    scale: int = 2

    @property
    def target(self) -> tuple[int, int]:
        """Width and height of the finished clip."""
        return self.width * self.scale, self.height * self.scale

    @property
    def source_bytes(self) -> int:
        """Bytes of the frames before scaling."""
        return self.frames * self.width * self.height * 3 * BYTES_PER_VALUE

    @property
    def target_bytes(self) -> int:
        """Bytes of the frames after scaling."""
        return self.source_bytes * self.scale**2


def clip_color(index: int) -> int:
    """Return a colour (0xRRGGBB) of its own for each clip, so that no two are one job to a cache."""
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618 % 1.0, 0.6, 0.9)
    return int(red * 255) << 16 | int(green * 255) << 8 | int(blue * 255)


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    """Return one node in API format; an input `[id, n]` is the n-th output of node `id`."""
    return {"class_type": class_type, "inputs": inputs}


def _scale_and_save(images: list[Any], size: ClipSize, prefix: str) -> dict[str, Any]:
    width, height = size.target
    return {
        "scale": node(
            "ImageScale", image=images, upscale_method="bilinear", width=width, height=height, crop="disabled"
        ),
        "video": node("CreateVideo", images=["scale", 0], fps=FPS),
        "save": node("SaveVideo", video=["video", 0], filename_prefix=prefix, format="mp4", codec="h264"),
    }


def plain_clip(index: int, size: ClipSize | None = None, name: str = "") -> ClipJob:
    """EmptyImage → ImageScale → CreateVideo → SaveVideo h264: the clip of the stock baseline."""
    size, name = size or ClipSize(), name or f"clip{index:03}"
    job = ClipJob(name, size.frames, *size.target)
    frames = node("EmptyImage", width=size.width, height=size.height, batch_size=size.frames, color=clip_color(index))
    return ClipJob(
        name, job.frames, job.width, job.height,
        {"frames": frames, **_scale_and_save(["frames", 0], size, job.prefix)},
    )  # fmt: skip


def model_clip(index: int, size: ClipSize | None = None, name: str = "") -> ClipJob:
    """The same with a text encoder and a VAE before it, each of whose outputs the clip depends on.

    The weights are `random_weights`': text → conditioning, picture → latent → picture → 97 times → scaled → saved.
    """
    size, name = size or ClipSize(), name or f"clip{index:03}"
    job = ClipJob(name, size.frames, *size.target)
    width, height = SEED_SIZE
    graph = {
        "encoder": node("CLIPLoader", clip_name=TEXT_ENCODER_FILE, type="stable_diffusion"),
        "text": node("CLIPTextEncode", clip=["encoder", 0], text=f"clip number {index}"),
        "vae": node("VAELoader", vae_name=VAE_FILE),
        "seed": node("EmptyImage", width=width, height=height, batch_size=1, color=clip_color(index)),
        "mask": node("SolidMask", value=1.0, width=width, height=height),
        # The one node of core that takes both a conditioning and a VAE and gives a latent, without a diffusion model.
        "latent": node(
            "InpaintModelConditioning",
            positive=["text", 0], negative=["text", 0], vae=["vae", 0], pixels=["seed", 0], mask=["mask", 0],
            noise_mask=False,
        ),
        "picture": node("VAEDecode", samples=["latent", 2], vae=["vae", 0]),
        "small": node(
            "ImageScale", image=["picture", 0], upscale_method="bilinear", width=size.width, height=size.height,
            crop="disabled",
        ),
        "frames": node("RepeatImageBatch", image=["small", 0], amount=size.frames),
        **_scale_and_save(["frames", 0], size, job.prefix),
    }  # fmt: skip
    return ClipJob(name, job.frames, job.width, job.height, graph)
