from __future__ import annotations

import pytest

from resource_gate.monitor.levels import Levels
from resource_gate.monitor.readings import GpuReading, Level
from resource_gate.settings import Settings

GIB = 1024**3


@pytest.mark.parametrize(("in_use", "level"), [(True, Level.EMERGENCY), (False, Level.NORMAL)])
def test_a_card_that_others_fill_is_no_trouble_of_ours_where_we_have_nothing_on_it(in_use, level):
    other = GpuReading(1, "card", int(23.8 * GIB), 24 * GIB, "nvml", in_use=in_use)
    assert Levels(Settings()).update(None, None, [other], []) == {"vram1": level}


def test_a_card_that_comes_into_use_has_its_level_at_once():
    levels, full = Levels(Settings()), GpuReading(0, "card", 24 * GIB, 24 * GIB, "nvml")
    levels.update(None, None, [full._replace(in_use=False)], [])
    assert levels.update(None, None, [full], []) == {"vram0": Level.EMERGENCY}
