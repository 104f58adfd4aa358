"""Resource Gate for ComfyUI: what ComfyUI loads. Importing it has no side effect."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]


async def comfy_entrypoint() -> Any:
    """Build the extension on the ComfyUI that is loading us; called once, by ComfyUI."""
    return _load()()


def _load() -> Callable[[], Any]:
    """Import all that a start needs; return what starts it."""
    # So many new classes set off a collection of all that ComfyUI's own start has made, which takes longer than a third
    # of these imports and frees nothing.
    collects = gc.isenabled()
    gc.disable()
    try:
        from .host import comfyui, comfyui_nodes  # noqa: F401 - here, where they are cheap
        from .start import comfy_extension
    finally:
        if collects:
            gc.enable()
    return comfy_extension


def __getattr__(name: str) -> Any:
    if name == "ResourceOptimizer":
        from .optimizer import ResourceOptimizer

        return ResourceOptimizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
