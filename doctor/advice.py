"""What is too small, or switched off, for videos, and what to do about it. Numbers in, sentences out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..reclaim.action import human

GB = 1024**3

RAM_SMALL = 16 * GB
"""Below it even one model is hard: the weights of a 14 billion parameter video model at 8 bits are 14 GB, and are
read through RAM on their way to the GPU."""

RAM_TIGHT = 32 * GB
"""Two such models one after the other (a high and a low noise one), or one and its text encoder (6 GB at 8 bits)."""

SWAP_SMALL = 8 * GB
"""Swap or page file that takes up one text encoder or some seconds of frames (97 frames of 1280×720 are 1.1 GB)."""

SWAP_UNNEEDED = 64 * GB
"""RAM from which no swap is no trouble: four models and their frames fit."""

COMMIT_MARGIN = 16 * GB
"""Windows: commit beyond RAM. torch and CUDA reserve as much as the GPU holds, and memory-mapped weights count once
they are copied; error 1455 is what a smaller page file ends in."""

DISK_SMALL = 10 * GB
"""Free space for frames, previews and clips of one batch, and for ComfyUI's own database and logs."""


def advice(report: Mapping[str, Any]) -> list[str]:
    """One sentence or two for each thing that is amiss; none where nothing is."""
    machine = report["machine"]
    return [*_memory(machine), *_disks(machine), *_gpu(machine), *_ours(report)]


def _memory(machine: Mapping[str, Any]) -> Iterator[str]:
    ram, host, swap = machine["ram"], machine["host_memory"], machine["swap"]
    if isinstance(ram, Mapping):
        limit = ram["limit"]
        if limit < RAM_SMALL:
            yield (
                f"RAM: {human(limit)} is little for video: one 14B model at 8 bits takes 14 GB. Use smaller or more "
                "strongly quantized models, or fewer frames at a time."
            )
        elif limit < RAM_TIGHT:
            yield (
                f"RAM: {human(limit)} is tight for workflows with two video models. Expect models to be read again "
                "from the disk between clips."
            )
        total = host[0]["limit"] if isinstance(host, list) and host else limit
        if "cgroup" in ram["source"] and limit < total:
            yield (
                f"Container: the limit is {human(limit)} of the machine's {human(total)}. ComfyUI itself may reckon "
                "with the machine's; if there is room, raise the limit (docker run --memory, or mem_limit)."
            )
    yield from _swap(ram, host, swap, machine["overcommit"])


def _swap(ram: Any, host: Any, swap: Any, overcommit: int | None) -> Iterator[str]:
    physical = host[0]["limit"] if isinstance(host, list) and host else 0
    commit = next((m for m in host if m["source"] == "commit"), None) if isinstance(host, list) else None
    if commit is not None:
        if commit["limit"] - physical < COMMIT_MARGIN:
            yield (
                f"Page file: it adds {human(max(0, commit['limit'] - physical))} to RAM. Windows refuses memory (error "
                f"1455) when RAM and page file are promised away: let it grow by {human(COMMIT_MARGIN)} or more, best "
                "by leaving its size to Windows."
            )
    elif isinstance(swap, Mapping) and physical < SWAP_UNNEEDED and swap["total"] < SWAP_SMALL:
        held = "no swap" if not swap["total"] else f"{human(swap['total'])} of swap"
        yield (
            f"Swap: there is {held}. When RAM is full the kernel kills ComfyUI at once; {human(SWAP_SMALL)} or more "
            "on an SSD (a swap file, or zram) gives time to act."
        )
    if overcommit == 2:
        yield (
            "Overcommit: vm.overcommit_memory is 2, so allocations fail long before memory is full, and CUDA reserves "
            "far more than it uses. 0 is the kernel's default."
        )


def _disks(machine: Mapping[str, Any]) -> Iterator[str]:
    small: dict[int, list[str]] = {}
    for role, disk in machine["disks"].items():
        if isinstance(disk, Mapping) and disk["free"] < DISK_SMALL:
            small.setdefault(disk["free"], []).append(role)
    for free, roles in small.items():
        yield (
            f"Disk ({', '.join(roles)}): {human(free)} free. Frames and previews of one batch may need "
            f"{human(DISK_SMALL)}; `reclaim.temp_cap` bounds the temp folder."
        )


def _gpu(machine: Mapping[str, Any]) -> Iterator[str]:
    libraries = machine["libraries"]
    cuda = "+cu" in libraries.get("torch", "")
    if cuda and "nvidia-ml-py" not in libraries:
        yield (
            "GPU: nvidia-ml-py is missing, so readings come from torch and do not show other programs. Install what "
            "requirements.txt names into ComfyUI's Python."
        )
    if "pynvml" in libraries:
        yield (
            "GPU: the old package pynvml is installed and may hide nvidia-ml-py, which has the same module name. "
            "Uninstall pynvml."
        )


def _ours(report: Mapping[str, Any]) -> Iterator[str]:
    for name, why in (report.get("off") or {}).items():
        yield f"{name}: off or limited, because {why}"
    settings = report.get("settings") or {}
    if settings.get("gate", {}).get("enabled") is False:
        yield "Settings: gate.enabled is false, so prompts start however little room there is."
    if settings.get("reclaim", {}).get("enabled") is False:
        yield "Settings: reclaim.enabled is false, so nothing is freed."
    if settings.get("reclaim", {}).get("dry_run"):
        yield "Settings: reclaim.dry_run is true, so actions are only told, not done."
    if report.get("worker_alive") is False:
        yield "Worker: the thread that runs prompts is dead; restart the server. `resource-gate run` does it by itself."
