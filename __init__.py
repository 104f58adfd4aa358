"""Resource Gate for ComfyUI: what ComfyUI loads. Importing it has no side effect."""

from __future__ import annotations

from typing import Any

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]


async def comfy_entrypoint() -> Any:
    """Build the extension on the ComfyUI that is loading us; called once, by ComfyUI."""
    from .extension import comfy_extension

    return comfy_extension()


def __getattr__(name: str) -> Any:
    if name == "ResourceOptimizer":
        from .optimizer import ResourceOptimizer

        return ResourceOptimizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
