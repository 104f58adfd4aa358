"""NVIDIA cards through NVML, in the order in which CUDA, and so ComfyUI, counts them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any

from .readings import GpuReading

_HELD_BACK = (
    ("HwThermalSlowdown", "hot (hardware)"),
    ("SwThermalSlowdown", "hot"),
    ("HwPowerBrakeSlowdown", "power brake"),
    ("HwSlowdown", "hardware slowdown"),
    ("SwPowerCap", "power cap"),
)
"""Reasons that hold clocks down, worst first; idle, own clock settings and sync boost are no trouble."""


class NvmlReader:
    """Memory, use, temperature, power and throttling of each card that CUDA shows to this process.

    A driver may hang in any call: it belongs on a thread of its own (`aside.py`). One caller at a time.

    Args:
        load: imports `pynvml`.
        environment: where `CUDA_VISIBLE_DEVICES` and `CUDA_DEVICE_ORDER` stand.
    """

    def __init__(
        self,
        load: Callable[[], Any] = lambda: importlib.import_module("pynvml"),
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._load = load
        self._environment = environment
        self._nvml: Any = None
        self._cards: list[tuple[Any, str, str]] = []

    def read(self) -> tuple[GpuReading, ...]:
        """Look now; empty where there is no module, no driver or no card.

        Raises:
            pynvml.NVMLError: the driver failed or vanished; the next call starts over with it.
        """
        if self._nvml is None and not self._start():
            return ()
        try:
            return tuple(self._one(index, *card) for index, card in enumerate(self._cards))
        except self._nvml.NVMLError:
            self._nvml = None
            raise

    def _start(self) -> bool:
        try:
            nvml = self._load()
        except ImportError:
            return False
        try:
            nvml.nvmlInit()
        except (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded):
            return False
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        if self._environment.get("CUDA_DEVICE_ORDER", "FASTEST_FIRST") != "PCI_BUS_ID":
            # CUDA does not say how it ranks; cores × clock is its known drift. Equal cards stay in bus order.
            handles.sort(key=lambda handle: -_speed(nvml, handle))
        shown = _shown(nvml, handles, self._environment.get("CUDA_VISIBLE_DEVICES"))
        self._cards = [(h, _text(nvml.nvmlDeviceGetName(h)), _text(nvml.nvmlDeviceGetUUID(h))) for h in shown]
        self._nvml = nvml
        return True

    def _one(self, index: int, handle: Any, name: str, uuid: str) -> GpuReading:
        nvml = self._nvml
        used, total = _memory(nvml, handle)

        def told(call: str, *arguments: Any) -> Any:
            try:
                return getattr(nvml, call)(handle, *arguments)
            except nvml.NVMLError_NotSupported:
                return None

        use = told("nvmlDeviceGetUtilizationRates")
        temperature = told("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU)
        power = told("nvmlDeviceGetPowerUsage")
        # The older name of the call is in every driver; the newer one only in recent ones.
        reasons = told("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
        return GpuReading(
            index=index,
            name=name,
            used=used,
            total=total,
            source="nvml",
            utilization=None if use is None else use.gpu / 100,
            temperature=None if temperature is None else float(temperature),
            power=None if power is None else power / 1000,
            throttled=_held_back(nvml, reasons),
            uuid=uuid,
        )


def _memory(nvml: Any, handle: Any) -> tuple[int, int]:
    """Bytes used and in all, as CUDA counts them: what the driver keeps for itself is no program's to use.

    Drivers before R510 count that (0.3 to 0.6 GB) as used, and cannot tell it apart.
    """
    version = getattr(nvml, "nvmlMemory_v2", None)
    if version is not None:
        try:
            told = nvml.nvmlDeviceGetMemoryInfo(handle, version=version)
            return int(told.used), int(told.total) - int(told.reserved)
        except nvml.NVMLError:  # what ails the card itself, the older call tells
            pass
    told = nvml.nvmlDeviceGetMemoryInfo(handle)
    return int(told.used), int(told.total)


def _speed(nvml: Any, handle: Any) -> int:
    try:
        cores = int(nvml.nvmlDeviceGetNumGpuCores(handle))
        return cores * int(nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM))
    except nvml.NVMLError:
        return 0


def _shown(nvml: Any, handles: list[Any], visible: str | None) -> list[Any]:
    """Pick the cards that `CUDA_VISIBLE_DEVICES` names, in its order; from the first bad name on, none.

    A name is an index, the start of a card's UUID (`GPU-…`) or a MIG slice's whole UUID (`MIG-…`).
    """
    if visible is None:
        return handles
    shown: list[Any] = []
    uuids = [_text(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]
    for name in (part.strip() for part in visible.split(",")):
        if name.isdigit() and int(name) < len(handles):
            handle = handles[int(name)]
        elif name.startswith("MIG-"):
            try:
                handle = nvml.nvmlDeviceGetHandleByUUID(name)
            except nvml.NVMLError:
                break
        else:
            matching = [h for h, uuid in zip(handles, uuids, strict=True) if name and uuid.startswith(name)]
            if len(matching) != 1:
                break
            handle = matching[0]
        shown.append(handle)
    return shown


def _held_back(nvml: Any, reasons: int) -> str | None:
    found = [words for name, words in _HELD_BACK if reasons & getattr(nvml, f"nvmlClocksThrottleReason{name}", 0)]
    return ", ".join(found) or None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
