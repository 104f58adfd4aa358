"""Writes model files of the real size with meaningless weights: enough for ComfyUI to load, hold, run and drop them.

A safetensors file is 8 bytes of header length (little endian), a JSON header, and the tensors one after another
(https://github.com/huggingface/safetensors, "Format"). The shapes are those of OpenCLIP bigG's text model, as SDXL has
it, and of Stable Diffusion's VAE.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from pathlib import Path

TEXT_ENCODER_FILE = "random_clip_g.safetensors"
VAE_FILE = "random_vae.safetensors"

Shapes = dict[str, tuple[int, ...]]
FORMATS = {"F16": "e", "F32": "f"}
BLOCK_VALUES = 1 << 16
"""Values drawn; a file repeats them. Random enough: nobody looks at the pictures."""
DEVIATION = 0.02
"""Standard deviation of a weight, as transformers are initialised; small enough that no activation overflows."""


def text_encoder_shapes(layers: int = 32, width: int = 1280, tokens: int = 49408, places: int = 77) -> Shapes:
    """Name and shape of each tensor of a CLIP text model; the defaults are bigG's, 695 M weights."""
    shapes: Shapes = {
        "text_model.embeddings.token_embedding.weight": (tokens, width),
        "text_model.embeddings.position_embedding.weight": (places, width),
        "text_projection.weight": (width, width),
    }
    shapes |= _norm("text_model.final_layer_norm", width)
    for layer in range(layers):
        name = f"text_model.encoder.layers.{layer}"
        shapes |= _norm(f"{name}.layer_norm1", width) | _norm(f"{name}.layer_norm2", width)
        for projection in "qkv":
            shapes |= _linear(f"{name}.self_attn.{projection}_proj", width, width)
        shapes |= _linear(f"{name}.self_attn.out_proj", width, width)
        shapes |= _linear(f"{name}.mlp.fc1", width, 4 * width) | _linear(f"{name}.mlp.fc2", 4 * width, width)
    return shapes


def vae_shapes(width: int = 128, multiples: tuple[int, ...] = (1, 2, 4, 4), latent: int = 4) -> Shapes:
    """Name and shape of each tensor of an AutoencoderKL; the defaults are Stable Diffusion's, 84 M weights."""
    widest = width * multiples[-1]
    shapes = _conv("encoder.conv_in", 3, width) | _conv("decoder.conv_in", latent, widest)
    shapes |= _conv("quant_conv", 2 * latent, 2 * latent, 1) | _conv("post_quant_conv", latent, latent, 1)
    inside = width
    for level, multiple in enumerate(multiples):
        outside = width * multiple
        for block in range(2):
            shapes |= _residual(f"encoder.down.{level}.block.{block}", outside if block else inside, outside)
        inside = outside
        if level < len(multiples) - 1:
            shapes |= _conv(f"encoder.down.{level}.downsample.conv", outside, outside)
    inside = widest
    for level in reversed(range(len(multiples))):
        outside = width * multiples[level]
        for block in range(3):
            shapes |= _residual(f"decoder.up.{level}.block.{block}", outside if block else inside, outside)
        inside = outside
        if level:
            shapes |= _conv(f"decoder.up.{level}.upsample.conv", outside, outside)
    for side in ("encoder", "decoder"):
        shapes |= _residual(f"{side}.mid.block_1", widest, widest) | _norm(f"{side}.mid.attn_1.norm", widest)
        for part in ("q", "k", "v", "proj_out"):
            shapes |= _conv(f"{side}.mid.attn_1.{part}", widest, widest, 1)
        shapes |= _residual(f"{side}.mid.block_2", widest, widest)
    shapes |= _norm("encoder.norm_out", widest) | _conv("encoder.conv_out", widest, 2 * latent)
    shapes |= _norm("decoder.norm_out", width) | _conv("decoder.conv_out", width, 3)
    return shapes


def write_model(path: Path, shapes: Shapes, dtype: str = "F16", seed: int = 0) -> int:
    """Write a safetensors file of `shapes` in `dtype` (`F16` or `F32`); return its size in bytes."""
    letter = FORMATS[dtype]
    size = struct.calcsize(letter)
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + size * _values(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for piece in _data(end, letter, seed):
            file.write(piece)
        return file.tell()


def write_trial_models(models: Path) -> int:
    """Write the text encoder (1.4 GB, fp16) and the VAE (0.3 GB, fp32) of `model_clip` below a models folder.

    Files that are there already stay. Returns their bytes together.
    """
    wanted = (
        (models / "text_encoders" / TEXT_ENCODER_FILE, text_encoder_shapes(), "F16"),
        (models / "vae" / VAE_FILE, vae_shapes(), "F32"),
    )
    return sum(
        path.stat().st_size if path.exists() else write_model(path, shapes, dtype) for path, shapes, dtype in wanted
    )


def _data(total: int, letter: str, seed: int) -> Iterator[bytes]:
    draw = random.Random(seed)
    block = struct.pack(f"<{BLOCK_VALUES}{letter}", *(draw.gauss(0.0, DEVIATION) for _ in range(BLOCK_VALUES)))
    while total > 0:
        yield block[:total]
        total -= len(block)


def _values(shape: tuple[int, ...]) -> int:
    values = 1
    for length in shape:
        values *= length
    return values


def _linear(name: str, inside: int, outside: int) -> Shapes:
    return {f"{name}.weight": (outside, inside), f"{name}.bias": (outside,)}


def _conv(name: str, inside: int, outside: int, kernel: int = 3) -> Shapes:
    return {f"{name}.weight": (outside, inside, kernel, kernel), f"{name}.bias": (outside,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _residual(name: str, inside: int, outside: int) -> Shapes:
    shapes = _norm(f"{name}.norm1", inside) | _conv(f"{name}.conv1", inside, outside)
    shapes |= _norm(f"{name}.norm2", outside) | _conv(f"{name}.conv2", outside, outside)
    return shapes if inside == outside else shapes | _conv(f"{name}.nin_shortcut", inside, outside, 1)
