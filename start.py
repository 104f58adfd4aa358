"""Starts Resource Gate in this process, on ComfyUI or on another host."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
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

    return started(ComfyUIHost, comfyui_extension)


def started(
    make_host: Callable[[], Any],
    extension_of: Callable[[Any, Sequence[Any]], Any],
    run: Callable[[Any], Any] = run_on,
) -> Any:
    """Start, and return what ComfyUI is given; where that fails, nodes that do nothing.

    Args:
        make_host: builds the host.
        extension_of: makes of a host, or None, and of nodes what ComfyUI asks for.
        run: starts on a host.
    """
    try:
        host = make_host()
        other = host.claim()
        if other is not None:
            log.error("Resource Gate runs already, from %s; this copy of it stays off: remove one of the two", other)
            return extension_of(None, [])
        return extension_of(host, run(host).nodes())
    except Exception:
        log.exception("Resource Gate could not start and is off; its nodes pass their input through, prompts run")
        return extension_of(None, passing_nodes())
