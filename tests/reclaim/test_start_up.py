"""What lives at the start is out of the garbage collector's way, and is given back to it after the test."""

from __future__ import annotations

import gc

from resource_gate.reclaim.start_up import freeze_start_up


class Cycle:
    def __init__(self):
        self.me = self


def test_what_lives_is_frozen_and_what_is_garbage_is_gone_before():
    import weakref

    lives = Cycle()
    garbage = weakref.ref(Cycle())
    before = gc.get_freeze_count()
    try:
        freeze_start_up()
        assert gc.get_freeze_count() > before + 1000
        assert garbage() is None
        assert all(found is not lives for found in gc.get_objects())
    finally:
        gc.unfreeze()
    assert any(found is lives for found in gc.get_objects())
