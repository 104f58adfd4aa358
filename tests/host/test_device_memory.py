"""Cards as torch tells of them, where it cannot tell all, or would change them by telling. No GPU is at hand here."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from resource_gate.host.comfyui_models import Models

GB = 1024**3


class Card(SimpleNamespace):
    """One card: its memory, what torch has reserved of it, and what its driver does not tell."""

    used: int
    total: int
    reserved: int
    integrated: bool
    context: bool
    refuses: tuple[str, ...]


def card(used: int = 0, total: int = 24 * GB, reserved: int = 0, **more: Any) -> Card:
    return Card(
        used=used, total=total, reserved=reserved, **{"integrated": False, "context": True, "refuses": ()} | more
    )


class Api:
    """`torch.cuda` or `torch.xpu`."""

    def __init__(self, *cards: Card) -> None:
        self.cards = cards

    def _told(self, i: int, call: str) -> Card:
        if call in self.cards[i].refuses:
            raise RuntimeError(f"card {i} does not tell its {call}")
        return self.cards[i]

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def device_count(self) -> int:
        return len(self.cards)

    def mem_get_info(self, i: int) -> tuple[int, int]:
        found = self._told(i, "memory")
        found.context = True  # cudaMemGetInfo makes a context where there is none: some 500 MB of the card
        return found.total - found.used, found.total

    def memory_reserved(self, i: int) -> int:
        return self._told(i, "reserved").reserved

    def get_device_name(self, i: int) -> str:
        return f"Card {i}"

    def get_device_properties(self, i: int) -> SimpleNamespace:
        found = self._told(i, "properties")
        return SimpleNamespace(total_memory=found.total, uuid=f"0000-{i}", is_integrated=int(found.integrated))


def torch_with(kind: str, api: Api, *, knows_contexts: bool = True) -> SimpleNamespace:
    private = SimpleNamespace()
    if knows_contexts:
        private._cuda_hasPrimaryContext = lambda i: api.cards[i].context
    return SimpleNamespace(_C=private, **{kind: api})


def readings(torch: SimpleNamespace, available: int = 64 * GB, machine: int = 128 * GB) -> list[Any]:
    management = SimpleNamespace(current_loaded_models=[])
    host = SimpleNamespace(available=available, total=machine)
    return Models(management, torch, lambda: host).readings()


@pytest.mark.parametrize("knows_contexts", [True, False])
def test_a_card_that_this_process_does_not_use_is_not_taken_into_use_by_looking(knows_contexts):
    cards = Api(card(20 * GB, reserved=18 * GB), card(23 * GB, context=False))
    first, second = readings(torch_with("cuda", cards, knows_contexts=knows_contexts))
    assert not cards.cards[1].context
    assert (first.in_use, first.used) == (True, 20 * GB)
    assert (second.in_use, second.index, second.total, second.uuid) == (False, 1, 24 * GB, "0000-1")


def test_an_intel_card_that_does_not_tell_what_is_free_is_told_by_what_torch_took_of_it():
    cards = Api(card(total=16 * GB, reserved=5 * GB, refuses=("memory",)))
    [told] = readings(torch_with("xpu", cards))
    assert (told.used, told.total, told.freeable, told.in_use) == (5 * GB, 16 * GB, 5 * GB, True)


def test_a_card_that_is_lost_leaves_the_others_and_is_told_once(caplog):
    cards = Api(card(refuses=("memory", "reserved", "properties")), card(3 * GB))
    torch = torch_with("cuda", cards)
    management, host = SimpleNamespace(current_loaded_models=[]), SimpleNamespace(available=0, total=GB)
    models = Models(management, torch, lambda: host)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert [(g.index, g.used) for g in models.readings()] == [(1, 3 * GB)]
    assert [r.levelname for r in caplog.records] == ["WARNING"]


def test_on_a_card_that_shares_the_machines_memory_page_cache_is_not_in_use():
    """DGX Spark, Jetson: CUDA counts files in the page cache as used, and the kernel drops them for whoever asks."""
    cards = Api(card(used=110 * GB, total=120 * GB, reserved=20 * GB, integrated=True))
    [told] = readings(torch_with("cuda", cards), available=90 * GB, machine=122 * GB)
    assert (told.used, told.total) == (30 * GB, 120 * GB)


def test_no_more_is_free_on_such_a_card_than_it_holds():
    cards = Api(card(used=1 * GB, total=120 * GB, integrated=True))
    [told] = readings(torch_with("cuda", cards), available=121 * GB, machine=122 * GB)
    assert told.used == 0


def test_an_integrated_card_with_memory_set_apart_for_it_goes_by_its_own():
    """AMD's APUs with memory given to the GPU in the firmware: what the machine has left is none of the card's."""
    cards = Api(card(used=90 * GB, total=96 * GB, integrated=True))
    [told] = readings(torch_with("cuda", cards), available=25 * GB, machine=32 * GB)
    assert told.used == 90 * GB


def test_a_mac_with_an_older_torch_that_tells_no_limit_has_no_card_here():
    mps = SimpleNamespace(driver_allocated_memory=lambda: 3 * GB)
    backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: True))
    assert readings(SimpleNamespace(mps=mps, backends=backends)) == []
    mps.recommended_max_memory = lambda: 48 * GB
    [told] = readings(SimpleNamespace(mps=mps, backends=backends))
    assert (told.name, told.used, told.total) == ("Apple GPU", 3 * GB, 48 * GB)
