"""What the ladder frees on a real card, and what it leaves."""

from __future__ import annotations

import pytest

from .card import CLIP, MIB, VAE, Card

pytestmark = pytest.mark.gpu

ALL = sorted([VAE, CLIP, CLIP])

GOAL = 140 * MIB
"""Less than each model has there: what models share a block with stays with them."""


def test_what_the_allocator_keeps_back_is_given_to_the_system(card: Card) -> None:
    base = card.look()["used"]
    card.take(8000, seed=2)
    kept_back = card.look()["used"] - base
    action = card.free("warning") or card.free("critical")
    assert card.look()["used"] - base < 100 * MIB
    assert action["freed"] == pytest.approx(kept_back, abs=100 * MIB)


def test_an_output_on_the_card_goes_and_its_bytes_with_it(card: Card) -> None:
    base = card.look()["used"]
    card.keep(5000, seed=3)
    assert card.look()["used"] - base >= 5000 * MIB
    card.climb(None)
    assert card.look()["used"] - base < 100 * MIB


def test_at_the_critical_level_models_stay(card: Card) -> None:
    card.load_models()
    card.free("critical")
    assert card.loaded() == ALL


def test_as_many_models_go_as_the_goal_takes_and_the_others_stay_loaded(card: Card) -> None:
    card.load_models()
    card.free("critical")  # what the allocator keeps back would do for a small goal
    action = card.climb(GOAL)
    assert action["met"] is True, action["text"]
    assert len(card.loaded()) == 2
    action = card.climb(GOAL)
    assert action["met"] is True, action["text"]
    assert len(card.loaded()) == 1


def test_those_that_stayed_are_not_loaded_again(card: Card) -> None:
    card.load_models()
    card.free("critical")
    card.climb(GOAL)
    before = len(card.server.log_tail(1_000_000))
    card.load_models("another text", 0.75)
    log = card.server.log_tail(1_000_000)[before:]
    assert log.count("Requested to load") == 1


def test_in_an_emergency_all_weights_leave_the_card(card: Card) -> None:
    card.load_models()
    action = card.climb(None)
    assert card.loaded() == []
    left = card.look()
    assert left["reserved"] < 128 * MIB
    assert action["freed"] > 500 * MIB
    assert card.load_models("once more")["state"] == "done"
