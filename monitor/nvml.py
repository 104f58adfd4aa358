"""NVIDIA cards through NVML, in the order in which CUDA, and so ComfyUI, counts them."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from .readings import GpuReading

log = logging.getLogger(__name__)

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
        self._lost: set[str] = set()

    def read(self) -> tuple[GpuReading, ...]:
        """Look now; empty where there is no module, no driver or no card. One card that fails is left out.

        Raises:
            pynvml.NVMLError: the driver failed or vanished; the next call starts over with it.
        """
        if self._nvml is None and not self._start():
            return ()
        found: list[GpuReading] = []
        failed: dict[str, Exception] = {}
        for index, card in enumerate(self._cards):
            try:
                found.append(self._one(index, *card))
            except self._nvml.NVMLError as error:
                failed[f"{card[1]} ({card[2]})"] = error
        if failed and not found:
            self._nvml = None
        self._leave_out(failed, some_are_left=bool(found))
        return tuple(found)

    def _leave_out(self, failed: Mapping[str, Exception], *, some_are_left: bool) -> None:
        """Tell once of each card that fails; where all do, it is the driver that failed."""
        for card, error in failed.items():
            if not some_are_left:
                raise error
            if card not in self._lost:
                self._lost.add(card)
                log.warning("Resource Gate: NVML does not tell of %s: %s; the other cards are told", card, error)

    def _start(self) -> bool:
        try:
            nvml = self._load()
        except ImportError:
            return False
        try:
            nvml.nvmlInit()
        except (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded):
            return False
        cards: list[tuple[Any, str, str]] = []
        failed: dict[str, Exception] = {}
        for i in range(nvml.nvmlDeviceGetCount()):
            try:
                cards.append(_identity(nvml, nvml.nvmlDeviceGetHandleByIndex(i)))
            except nvml.NVMLError as error:
                failed[f"card {i}"] = error
        self._leave_out(failed, some_are_left=bool(cards))
        if self._environment.get("CUDA_DEVICE_ORDER", "FASTEST_FIRST") != "PCI_BUS_ID":
            # CUDA does not say how it ranks; cores × clock is its known drift. Equal cards stay in bus order.
            cards.sort(key=lambda card: -_speed(nvml, card[0]))
        self._cards = _shown(nvml, cards, self._environment.get("CUDA_VISIBLE_DEVICES"))
        self._nvml = nvml
        return True

    def _one(self, index: int, handle: Any, name: str, uuid: str) -> GpuReading:
        nvml = self._nvml
        used, total = _memory(nvml, handle)

        def told(call: str, *arguments: Any) -> Any:
            try:
                return getattr(nvml, call)(handle, *arguments)
            except (nvml.NVMLError, AttributeError):  # not this card, not this driver, not this module, or no right
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

    Drivers before R510 count that (0.3 to 0.6 GB) as used, and cannot tell it apart. Of a card that has no memory but
    the machine's (DGX Spark, Jetson) nothing is told: 0 and 0.
    """
    version = getattr(nvml, "nvmlMemory_v2", None)
    if version is not None:
        try:
            told = nvml.nvmlDeviceGetMemoryInfo(handle, version=version)
            return int(told.used), int(told.total) - int(told.reserved)
        except nvml.NVMLError:  # what ails the card itself, the older call tells
            pass
    try:
        told = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError_NotSupported:
        return 0, 0
    return int(told.used), int(told.total)


def _identity(nvml: Any, handle: Any) -> tuple[Any, str, str]:
    return handle, _text(nvml.nvmlDeviceGetName(handle)), _text(nvml.nvmlDeviceGetUUID(handle))


def _speed(nvml: Any, handle: Any) -> int:
    try:
        cores = int(nvml.nvmlDeviceGetNumGpuCores(handle))
        return cores * int(nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM))
    except (nvml.NVMLError, AttributeError):
        return 0


def _shown(nvml: Any, cards: list[tuple[Any, str, str]], visible: str | None) -> list[tuple[Any, str, str]]:
    """Pick the cards that `CUDA_VISIBLE_DEVICES` names, in its order; from the first bad name on, none.

    A name is an index, the start of a card's UUID (`GPU-…`) or a MIG slice's whole UUID (`MIG-…`).
    """
    if visible is None:
        return cards
    shown: list[tuple[Any, str, str]] = []
    for name in (part.strip() for part in visible.split(",")):
        if name.isdigit() and int(name) < len(cards):
            card = cards[int(name)]
        elif name.startswith("MIG-"):
            try:
                card = _identity(nvml, nvml.nvmlDeviceGetHandleByUUID(name))
            except nvml.NVMLError:
                break
        else:
            matching = [c for c in cards if name and c[2].startswith(name)]
            if len(matching) != 1:
                break
            card = matching[0]
        shown.append(card)
    return shown


def _held_back(nvml: Any, reasons: int) -> str | None:
    found = [words for name, words in _HELD_BACK if reasons & getattr(nvml, f"nvmlClocksThrottleReason{name}", 0)]
    return ", ".join(found) or None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
