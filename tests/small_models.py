"""Three models of random weights, small and real, and a graph that needs them all: for tests on a real ComfyUI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from resource_gate.batch.trial.random_weights import text_encoder_shapes, vae_shapes, write_model


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def with_models(text: str = "a", mask: float = 1.0) -> dict[str, Any]:
    """Two text encoders and a VAE, each of which the picture depends on."""
    size = {"width": 64, "height": 64}
    return {
        "a": node("CLIPLoader", clip_name="a.safetensors", type="stable_diffusion"),
        "b": node("CLIPLoader", clip_name="b.safetensors", type="stable_diffusion"),
        "text_a": node("CLIPTextEncode", clip=["a", 0], text=text),
        "text_b": node("CLIPTextEncode", clip=["b", 0], text=text),
        "vae": node("VAELoader", vae_name="vae.safetensors"),
        "seed": node("EmptyImage", **size, batch_size=1, color=1),
        "mask": node("SolidMask", value=mask, **size),
        "latent": node(
            "InpaintModelConditioning",
            positive=["text_a", 0],
            negative=["text_b", 0],
            vae=["vae", 0],
            pixels=["seed", 0],
            mask=["mask", 0],
            noise_mask=False,
        ),
        "picture": node("VAEDecode", samples=["latent", 2], vae=["vae", 0]),
        "show": node("PreviewImage", images=["picture", 0]),
    }


def write_models(folder: Path) -> Path:
    """Two CLIP-L text encoders (235 MB each, fp16) and Stable Diffusion's VAE (319 MB, fp32); returns the folder."""
    shapes = text_encoder_shapes(layers=12, width=768)
    write_model(folder / "text_encoders" / "a.safetensors", shapes, "F16", seed=1)
    write_model(folder / "text_encoders" / "b.safetensors", shapes, "F16", seed=2)
    write_model(folder / "vae" / "vae.safetensors", vae_shapes(), "F32", seed=3)
    return folder
