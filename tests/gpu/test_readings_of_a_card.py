"""What a real card holds, as the driver, torch and Resource Gate tell it."""

from __future__ import annotations

import pytest

from .card import MIB, Card

pytestmark = pytest.mark.gpu

NOISE = 64 * MIB
"""By as much allocations are rounded up."""


@pytest.mark.parametrize("megabytes", [0, 1000, 20_000])
def test_the_driver_and_torch_agree_within_two_percent(card: Card, megabytes: int) -> None:
    if megabytes:
        card.keep(megabytes)
    told, by_torch = card.reading(), card.look()
    assert told["source"] == "nvml"
    assert told["used"] == pytest.approx(by_torch["used"], rel=0.02)
    assert told["total"] == pytest.approx(by_torch["total"], rel=0.002)
    assert told["used"] > megabytes * MIB


def test_name_temperature_and_power_are_told(card: Card) -> None:
    told = card.reading()
    assert told["name"] and told["uuid"].startswith("GPU-")
    assert 0 < told["temperature"] < 110 and told["power"] > 0


def test_what_comfyui_could_give_back_is_told_as_such(card: Card) -> None:
    base = card.reading()
    for fill, least in ((card.load_models, 500), (lambda: card.keep(2000, seed=8), 2000)):
        fill()
        told = card.reading()
        assert told["used"] - base["used"] > least * MIB
        assert told["used"] - told["freeable"] == pytest.approx(base["used"] - base["freeable"], abs=2 * NOISE)


def test_weights_under_dynamic_vram_raise_no_alarm_and_others_do(card: Card) -> None:
    card.load_models()  # what a first use leaves on the card is there now
    card.free("emergency")
    base = card.reading()
    card.client.call(
        "POST", "/resource_gate/settings", {"vram": {"warning_free": int(base["total"] - base["used"]) - 300 * MIB}}
    )
    try:
        card.load_models("b", 0.5)
        told = card.reading()
        weights = sum(size for _, size in card.look()["models"])
        assert told["used"] - base["used"] > 500 * MIB
        level = card.client.status()["resources"]["vram0"]["level"]
        if card.dynamic:
            assert told["evictable"] == pytest.approx(weights, abs=NOISE)
            assert level == "normal"
        else:
            assert (told["evictable"], level) == (0, "warning")
    finally:
        card.client.call("POST", "/resource_gate/settings", {"vram": {"warning_free": 0}})


def test_a_jobs_peak_is_what_its_tensors_took(card: Card) -> None:
    before = card.look()["allocated"]
    job = card.take(3000, seed=1)
    assert job["state"] == "done"
    assert job["peak_vram"]["vram0"] == pytest.approx(before + 3000 * MIB, abs=NOISE)


def test_a_jobs_peak_holds_the_weights_that_it_used(card: Card) -> None:
    job = card.load_models("c", 0.25)
    weights = sum(size for _, size in card.look()["models"])
    assert job["peak_vram"]["vram0"] >= weights > 500 * MIB
