"""What a program holds that can be given back."""

from __future__ import annotations

import pytest

from resource_gate.monitor.readings import GpuReading
from resource_gate.reclaim.held import Held
from resource_gate.reclaim.host import CachedOutput, Use


def gpu(index: int, used: int) -> GpuReading:
    return GpuReading(index=index, name=f"card {index}", used=used, total=100, source="test")


class Program:
    """Two GPUs, and outputs of every use."""

    def gpu_memory(self) -> list[GpuReading]:
        return [gpu(0, 30), gpu(1, 4)]

    def outputs(self) -> list[CachedOutput]:
        return [
            CachedOutput(1, "1 Done", Use.DONE, 5),
            CachedOutput(2, "2 Loader", Use.DONE, 50, models=50),
            CachedOutput(3, "3 Needed", Use.NEEDED, 500),
            CachedOutput(4, "4 Done", Use.DONE, 6),
        ]


@pytest.fixture
def held() -> Held:
    return Held(Program(), lambda: 7)


def test_each_resource_is_measured_by_its_name(held: Held) -> None:
    assert [held.of(name) for name in ("ram", "vram0", "vram1")] == [7, 30, 4]


def test_nothing_is_held_of_what_cannot_be_given_back(held: Held) -> None:
    assert [held.of(name) for name in ("cpu", "disk", "vram2")] == [0, 0, 0]


def test_all_gpus_count_together(held: Held) -> None:
    assert held.vram() == 34
    assert held.gpu_names() == ["card 0", "card 1"]


def test_outputs_that_nobody_asks_for_any_more_count_without_models(held: Held) -> None:
    assert held.outputs_done() == 11
