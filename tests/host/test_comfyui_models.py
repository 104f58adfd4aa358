"""Models and devices, on stand-ins for torch and `comfy.model_management`: no GPU is at hand where this runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

import pytest

from resource_gate.host.comfyui_models import DevicePeaks, Models

GB = 1024**3


class Device(NamedTuple):
    """A `torch.device`."""

    type: str
    index: int | None


CUDA, CPU = Device("cuda", 0), Device("cpu", None)


class Cuda:
    """Two cards of 24 GB, the second hardly used."""

    ready = True

    def __init__(self) -> None:
        self.reset: list[int] = []

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return self.ready

    def device_count(self) -> int:
        return 2

    def mem_get_info(self, i: int) -> tuple[int, int]:
        return (4 * GB, 24 * GB) if i == 0 else (23 * GB, 24 * GB)

    def memory_reserved(self, i: int) -> int:
        return 18 * GB if i == 0 else 0

    def memory_allocated(self, i: int) -> int:
        return 15 * GB if i == 0 else 0

    def max_memory_allocated(self, i: int) -> int:
        return 21 * GB if i == 0 else 0

    def reset_peak_memory_stats(self, i: int) -> None:
        self.reset.append(i)

    def get_device_name(self, i: int) -> str:
        return f"Card {i}"

    def get_device_properties(self, i: int) -> SimpleNamespace:
        return SimpleNamespace(uuid=f"0000-{i}", total_memory=24 * GB)

    def host_memory_stats(self) -> dict[str, int]:
        return {"allocated_bytes.current": 6 * GB, "active_bytes.current": 2 * GB}


class Loaded:
    """A `LoadedModel`: compared by identity, as ComfyUI does."""

    def __init__(self, kind: str, size: int, device: Device = CUDA) -> None:
        self.device = device
        module = type(kind, (), {})()
        self.model = SimpleNamespace(model=module, loaded_size=lambda: size)


class Dynamic(Loaded):
    """The same under dynamic VRAM, with some weights that are tensors of torch's, and stay."""

    def __init__(self, kind: str, pages: int, stays: int = 0, device: Device = CUDA) -> None:
        super().__init__(kind, pages + stays, device)
        self.model.is_dynamic = lambda: True
        self.model.model.model_loaded_weight_memory = stays


class Management:
    """Unloads all that `keep_loaded` does not hold, as `free_memory(1e30, …)` does."""

    TOTAL_PINNED_MEMORY = 5 * GB

    def __init__(self, *loaded: Loaded) -> None:
        self.current_loaded_models = list(loaded)
        self.unpinned = 0

    def free_memory(self, size: float, device: Device, keep_loaded: list[Loaded]) -> None:
        assert size >= 1e30 and all(isinstance(k, Loaded) for k in keep_loaded)
        self.current_loaded_models = [
            m for m in self.current_loaded_models if m.device is not device or any(m is k for k in keep_loaded)
        ]

    def free_pins(self, goal: int) -> int:
        self.unpinned += goal
        return goal


@pytest.fixture
def torch():
    private = SimpleNamespace(_host_emptyCache=lambda: None, _cuda_hasPrimaryContext=lambda i: True)
    return SimpleNamespace(cuda=Cuda(), _C=private)


def test_cards_are_told_as_torch_counts_them_with_what_comfyui_could_free(torch):
    first, second = Models(Management(), torch).readings()
    assert (first.index, first.used, first.total, first.freeable) == (0, 20 * GB, 24 * GB, 18 * GB)
    assert (second.index, second.name, second.used, second.uuid) == (1, "Card 1", 1 * GB, "0000-1")


def test_weights_under_dynamic_vram_can_be_freed_and_give_way_by_themselves_but_those_that_torch_counts_already(torch):
    management = Management(Dynamic("Flux", 9 * GB, 1 * GB), Dynamic("CLIP", 2 * GB), Loaded("VAE", 1 * GB))
    first, second = Models(management, torch).readings()
    assert (first.used, first.freeable, first.evictable) == (20 * GB, 29 * GB, 11 * GB)
    assert (first.working_set, first.fraction) == (9 * GB, 9 / 24)
    assert (second.evictable, second.working_set) == (0, 1 * GB)


def test_weights_under_dynamic_vram_move_nowhere_when_they_leave_the_device(torch):
    dynamic, static = Dynamic("Flux", 9 * GB), Loaded("VAE", 1 * GB)
    listed = Models(Management(dynamic, static), torch).loaded(set())
    assert [(m.name, m.moves) for m in listed] == [("Flux", False), ("VAE", True)]


def test_a_dynamic_model_on_the_cpu_or_one_that_is_gone_counts_for_no_card(torch):
    gone = Dynamic("Gone", 5 * GB)
    gone.model = None
    [first, _] = Models(Management(Dynamic("CLIP", 2 * GB, device=CPU), gone), torch).readings()
    assert (first.freeable, first.evictable) == (18 * GB, 0)


def test_a_device_is_never_initialised_by_looking(torch):
    torch.cuda.ready = False
    models = Models(Management(), torch)
    assert models.readings() == [] and models.slack() == 0 and models.pinned_slack() == 0
    assert DevicePeaks(torch, Management()).read() == {}


def test_slack_is_what_the_allocators_hold_and_nobody_uses(torch):
    models = Models(Management(), torch)
    assert models.slack() == 3 * GB and models.pinned_slack() == 4 * GB


def test_only_models_on_devices_are_listed_largest_first(torch):
    small, large, on_cpu = Loaded("VAE", 1 * GB), Loaded("Flux", 12 * GB), Loaded("CLIP", 9 * GB, CPU)
    listed = Models(Management(small, large, on_cpu), torch).loaded({id(small.model.model)})
    assert [(m.name, m.vram, m.needed) for m in listed] == [("Flux", 12 * GB, False), ("VAE", 1 * GB, True)]


def test_one_model_is_unloaded_and_the_others_stay(torch):
    management = Management(Loaded("VAE", 1 * GB), Loaded("Flux", 12 * GB), Loaded("CLIP", 9 * GB, CPU))
    models = Models(management, torch)
    models.unload([m for m in models.loaded(set()) if m.name == "Flux"])
    assert [type(m.model.model).__name__ for m in management.current_loaded_models] == ["VAE", "CLIP"]


def test_pins_go_through_comfyui_and_count_as_none_where_it_has_no_way_to_unpin(torch):
    management = Management()
    models = Models(management, torch)
    assert models.pinned_weights() == 5 * GB and models.free_pins(2 * GB) == 2 * GB == management.unpinned
    assert Models(SimpleNamespace(TOTAL_PINNED_MEMORY=5 * GB), torch).pinned_weights() == 0


def test_peaks_are_torchs_own_and_count_anew_after_a_reset(torch):
    peaks = DevicePeaks(torch, Management())
    peaks.reset()
    assert torch.cuda.reset == [0, 1]
    assert peaks.read() == {0: 21 * GB, 1: 0}


def test_weights_that_torch_does_not_count_are_told_beside_the_peak(torch):
    management = Management(Dynamic("Flux", 9 * GB, 1 * GB), Loaded("VAE", 1 * GB))
    assert DevicePeaks(torch, management).weights() == {0: 9 * GB}
