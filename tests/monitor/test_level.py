from __future__ import annotations

import pytest

from resource_gate.monitor.level import Hysteresis, entry_of, level_of
from resource_gate.monitor.readings import Level
from resource_gate.settings import Tiers

N, W, C, E = Level.NORMAL, Level.WARNING, Level.CRITICAL, Level.EMERGENCY
FREE = Tiers(warning_free=300, critical_free=200, emergency_free=100)


@pytest.mark.parametrize(
    ("used", "level"), [(0, N), (849, N), (850, W), (899, W), (900, C), (949, C), (950, E), (1200, E)]
)
def test_a_level_begins_at_its_share(used, level):
    assert level_of(used, 1000, Tiers()) is level


@pytest.mark.parametrize(("used", "level"), [(699, N), (700, W), (800, C), (899, C), (900, E)])
def test_a_level_begins_at_its_bytes_free_where_that_comes_first(used, level):
    assert level_of(used, 1000, FREE) is level


def test_the_share_counts_where_it_comes_before_the_bytes_free():
    assert level_of(850, 1000, Tiers(warning_free=10)) is W


@pytest.mark.parametrize("limit", [0, -1])
def test_without_a_limit_nothing_is_known_and_all_is_normal(limit):
    hysteresis = Hysteresis(Tiers())
    assert level_of(5, limit, Tiers()) is N
    hysteresis.update(990, 1000)
    assert hysteresis.update(5, limit) is N


@pytest.mark.parametrize("level", [W, C, E])
@pytest.mark.parametrize("tiers", [Tiers(), FREE])
def test_the_entry_value_is_where_the_level_begins(level, tiers):
    entry = entry_of(level, 1000, tiers)
    assert level_of(entry, 1000, tiers) is level
    assert level_of(entry - 1, 1000, tiers) < level


def test_a_level_is_left_only_below_its_leave_value():
    hysteresis = Hysteresis(Tiers())
    seen = [hysteresis.update(used, 1000) for used in (849, 850, 849, 801, 800, 799, 849, 850)]
    assert seen == [N, W, W, W, W, N, N, W]


def test_one_jump_up_and_one_down_may_pass_several_levels():
    hysteresis = Hysteresis(Tiers())
    assert hysteresis.update(990, 1000) is E
    assert hysteresis.update(100, 1000) is N


def test_it_falls_to_the_level_whose_leave_value_still_holds():
    hysteresis = Hysteresis(Tiers())
    hysteresis.update(990, 1000)
    assert hysteresis.update(899, 1000) is C  # emergency is left below 900, critical below 850
    assert hysteresis.update(849, 1000) is W
    assert hysteresis.update(880, 1000) is W  # rising again, but critical begins at 900
    assert hysteresis.update(900, 1000) is C


def test_a_level_entered_by_bytes_free_is_left_when_more_is_free_by_the_margin():
    hysteresis = Hysteresis(Tiers(warning=0.99, critical=0.99, emergency=0.99, warning_free=300))
    assert hysteresis.update(700, 1000) is W
    assert hysteresis.update(650, 1000) is W  # 350 free: not more than 300 + 50
    assert hysteresis.update(649, 1000) is N


def test_new_tiers_hold_from_the_next_update():
    hysteresis = Hysteresis(Tiers())
    hysteresis.update(800, 1000)
    hysteresis.tiers = Tiers(warning=0.7)
    assert hysteresis.level is N
    assert hysteresis.update(800, 1000) is W


def test_looking_ahead_remembers_nothing():
    hysteresis = Hysteresis(Tiers())
    assert hysteresis.after(990, 1000) is E
    assert hysteresis.level is N


def test_a_use_that_swings_between_enter_and_leave_changes_the_level_once():
    hysteresis = Hysteresis(Tiers())
    levels = [hysteresis.update(used, 1000) for used in [851, 849, 852, 848, 855, 810] * 20]
    assert set(levels) == {W}


def test_normal_begins_at_nothing():
    assert entry_of(N, 1000, Tiers()) == 0.0


def test_a_limit_of_one_byte_is_a_limit():
    assert level_of(1, 1, Tiers()) is E


def test_exactly_as_many_bytes_free_as_allowed_is_the_level():
    assert [level_of(used, 1000, FREE) for used in (700, 699)] == [W, N]


def test_a_level_by_bytes_free_is_held_at_exactly_its_margin():
    hysteresis = Hysteresis(Tiers(warning=0.99, critical=0.99, emergency=0.99, leave=0.1, warning_free=300))
    hysteresis.update(700, 1000)
    assert hysteresis.after(600, 1000) is W
    assert hysteresis.after(599, 1000) is N


def test_a_level_that_was_never_entered_is_not_held():
    hysteresis = Hysteresis(Tiers())
    hysteresis.update(860, 1000)
    assert hysteresis.update(899, 1000) is W  # critical would hold at 899, had it been entered


def test_bytes_free_count_with_more_than_half_left_too():
    roomy = Tiers(warning=0.99, critical=0.99, emergency=0.99, warning_free=700)
    assert level_of(300, 1000, roomy) is W
    assert level_of(290, 1000, roomy) is N
    hysteresis = Hysteresis(roomy)
    hysteresis.update(300, 1000)
    assert [hysteresis.after(used, 1000) for used in (270, 250, 249)] == [W, W, N]


def test_the_entry_value_is_the_lesser_of_share_and_bytes_free():
    assert entry_of(W, 1000, Tiers(warning=0.5, warning_free=10)) == 500.0
    assert entry_of(W, 1000, Tiers(warning=0.5, warning_free=600)) == 400.0


def test_between_its_leave_value_and_its_bytes_free_a_level_is_held():
    hysteresis = Hysteresis(Tiers(warning=0.99, critical=0.99, emergency=0.99, warning_free=300))
    hysteresis.update(700, 1000)
    assert hysteresis.after(670, 1000) is W


def test_shares_of_one_are_a_limit_like_any_other():
    hysteresis = Hysteresis(Tiers())
    hysteresis.update(0.99, 1.0)
    assert hysteresis.after(0.91, 1.0) is E
