"""ComfyUI's models and devices, on the worker thread; and what torch tells of device memory, on any."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import psutil

from ..monitor.readings import GpuReading
from ..reclaim.host import LoadedModel
from .device_memory import DeviceMemory

log = logging.getLogger(__name__)


class DevicePeaks:
    """torch's own peak counters of device memory, by device: exact, with no sampling. CUDA and ROCm.

    They count tensors, not what the allocator keeps back for later ones: that gives way to whatever comes.

    Args:
        torch: the torch module that ComfyUI loaded.
        management: `comfy.model_management`.
    """

    def __init__(self, torch: Any, management: Any) -> None:
        self._cuda = torch.cuda
        self._mm = management

    def reset(self) -> None:
        """Count from now on."""
        for device in self._devices():
            self._cuda.reset_peak_memory_stats(device)

    def read(self) -> dict[int, int]:
        """The highest bytes that tensors took since then, by index."""
        return {device: int(self._cuda.max_memory_allocated(device)) for device in self._devices()}

    def weights(self) -> dict[int, int]:
        """Bytes of weights under dynamic VRAM now, by index: torch does not count them."""
        return paged_weights(self._mm)

    def _devices(self) -> range:
        ready = self._cuda.is_initialized() and self._cuda.is_available()  # the second may ask the driver
        return range(self._cuda.device_count() if ready else 0)


def paged_weights(management: Any) -> dict[int, int]:
    """Bytes of weights under ComfyUI's dynamic VRAM (0.16 and newer, by default on NVIDIA cards), by index of the card.

    They lie outside torch's allocator, fill the card as far as it goes, and are paged out, page by page, for whoever
    wants memory: ComfyUI's own tensors and, by the driver's word, other programs too. Those few that such a model keeps
    as tensors are torch's, and no part of this. Any thread.
    """
    found: dict[int, int] = {}
    for loaded in list(management.current_loaded_models):
        patcher = loaded.model
        if patcher is None or not is_dynamic(patcher) or getattr(loaded.device, "type", "cpu") == "cpu":
            continue
        tensors = int(getattr(patcher.model, "model_loaded_weight_memory", 0))
        index = loaded.device.index or 0
        found[index] = found.get(index, 0) + max(0, int(patcher.loaded_size()) - tensors)
    return found


def is_dynamic(patcher: Any) -> bool:
    """Whether ComfyUI keeps this model's weights under dynamic VRAM; its older versions know no such thing."""
    return bool(getattr(patcher, "is_dynamic", bool)())


class Models:
    """A view of `comfy.model_management`.

    Args:
        management: that module.
        torch: the torch module that ComfyUI loaded.
        machine: the machine's memory, with `total` and `available`.
    """

    def __init__(self, management: Any, torch: Any, machine: Callable[[], Any] = psutil.virtual_memory) -> None:
        self._mm = management
        self._torch = torch
        self._memory = DeviceMemory(torch, lambda: paged_weights(management), machine)

    def loaded(self, needed: set[int]) -> list[LoadedModel]:
        """The models on devices other than the CPU; `needed` holds identities of modules still wanted."""
        found = []
        for loaded in list(self._mm.current_loaded_models):
            patcher = loaded.model
            if patcher is None or getattr(loaded.device, "type", "cpu") == "cpu":
                continue
            module = getattr(patcher, "model", patcher)
            needs_it, moves = id(module) in needed, not is_dynamic(patcher)
            found.append(LoadedModel(loaded, type(module).__name__, int(patcher.loaded_size()), needs_it, moves))
        return sorted(found, key=lambda m: -m.vram)

    def unload(self, models: Iterable[LoadedModel]) -> None:
        """Unload exactly these.

        `free_memory(keep_loaded=)` compares `LoadedModel` objects; given anything else it unloads everything.
        """
        going = [m.key for m in models]
        for device in {loaded.device for loaded in going}:
            keep = [x for x in self._mm.current_loaded_models if not any(x is g for g in going)]
            self._mm.free_memory(1e30, device, keep_loaded=keep)

    def slack(self) -> int:
        """Bytes the device allocator holds and nobody uses."""
        slack = 0
        for kind in ("cuda", "xpu"):
            api = getattr(self._torch, kind, None)
            if api is not None and api.is_initialized() and api.is_available():
                slack += sum(api.memory_reserved(i) - api.memory_allocated(i) for i in range(api.device_count()))
        return slack

    def pinned_slack(self) -> int:
        """Bytes of the pinned host allocator that are cached and not in use; 0 before torch 2.9 or without CUDA."""
        cuda = self._torch.cuda
        tell = getattr(cuda, "host_memory_stats", None)
        if tell is None or not (cuda.is_initialized() and cuda.is_available()):
            return 0
        told = tell()
        return max(0, int(told.get("allocated_bytes.current", 0)) - int(told.get("active_bytes.current", 0)))

    def empty_pinned_cache(self) -> None:
        """By torch's public call (2.10 and newer), else by the one that it calls."""
        public = getattr(getattr(self._torch, "accelerator", None), "empty_host_cache", None)
        empty = public or getattr(self._torch._C, "_host_emptyCache", None)
        if empty is not None:
            empty()

    def pinned_weights(self) -> int:
        """Bytes that ComfyUI counts as pinned (0.16 and newer), where it has a way to unpin them."""
        return int(getattr(self._mm, "TOTAL_PINNED_MEMORY", 0)) if hasattr(self._mm, "free_pins") else 0

    def free_pins(self, goal: int) -> int:
        """ComfyUI's own order: idle models first, never those that the running prompt uses."""
        return int(self._mm.free_pins(goal))

    def empty_cache(self) -> None:
        """`torch.cuda.empty_cache` and its likes, as ComfyUI does it for the device at hand."""
        self._mm.soft_empty_cache()

    def readings(self) -> list[GpuReading]:
        """Device memory as torch sees it. Never initialises a device by itself."""
        return self._memory.readings()
