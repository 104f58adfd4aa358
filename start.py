"""Starts Resource Gate in this process, on ComfyUI or on another host."""

from __future__ import annotations

import logging
from typing import Any

from .extension import Extension
from .host.protocol import Host
from .instance import set_running
from .nodes.passing import passing_nodes

log = logging.getLogger(__name__)


def run_on(host: Host) -> Extension:
    """Build and start the instance of this process."""
    extension = Extension(host)
    set_running(extension)
    extension.start()
    return extension


def comfy_extension() -> Any:
    """Start on the ComfyUI of this process, and return what it asks for its nodes."""
    from .host.comfyui import ComfyUIHost
    from .host.comfyui_nodes import comfyui_extension

    try:
        host = ComfyUIHost()
        return comfyui_extension(host, run_on(host).nodes())
    except Exception:
        log.exception("Resource Gate could not start and is off; its nodes pass their input through, prompts run")
        return comfyui_extension(None, passing_nodes())
