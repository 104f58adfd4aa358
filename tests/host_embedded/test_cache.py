"""What the cache tells of its entries: each byte once, and who will want it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from resource_gate.host.embedded_cache import Entry, OutputCache, storages
from resource_gate.host.embedded_video import Video
from resource_gate.reclaim.host import Use


def frames(count: int) -> np.ndarray:
    return np.zeros((count, 4, 4, 3), np.float32)


def filled(**outputs) -> OutputCache:
    cache = OutputCache()
    cache.begin([])
    for key, value in outputs.items():
        cache.put(key, Entry(key, value))
    return cache


def test_a_view_and_a_video_count_as_the_memory_they_look_into():
    whole = frames(8)
    assert storages(whole[2:3]) == storages(whole) == storages(Video(whole[::2], Fraction(24)))
    assert sum(storages([whole, {"again": whole}]).values()) == whole.nbytes


def test_entries_that_share_memory_are_one_group_and_count_it_once():
    shared, own = frames(4), frames(2)
    cache = filled(scale=(shared,), video=(Video(shared, Fraction(24)),), other=(own,), text=("nothing",))
    listed = {o.node: o for o in cache.list((), (), (), ())}
    assert listed["scale"].group == listed["video"].group != 0
    assert listed["scale"].ram + listed["video"].ram == shared.nbytes
    assert (listed["other"].group, listed["other"].ram) == (0, own.nbytes)
    assert (listed["text"].group, listed["text"].ram) == (0, 0)


def test_entries_that_share_through_a_third_are_one_group():
    a, b, c = frames(1), frames(2), frames(3)
    cache = filled(first=(a,), second=(b,), both=(a, b), alone=(c,))
    groups = {o.node: o.group for o in cache.list((), (), (), ())}
    assert groups["first"] == groups["second"] == groups["both"] != 0
    assert groups["alone"] == 0


def test_memory_that_a_pending_node_still_holds_is_not_promised():
    shared = frames(4)
    cache = filled(scale=(shared,))
    assert cache.list((), (), (), [(Video(shared, Fraction(24)),)])[0].ram == 0


def test_the_use_of_an_entry_is_the_most_pressing_one():
    cache = filled(a=(1,), b=(2,), c=(3,), d=(4,))
    uses = {o.key: o.use for o in cache.list(running={"a", "b"}, needed={"a"}, waiting={"a", "c"}, held=())}
    assert uses == {"a": Use.NEEDED, "b": Use.DONE, "c": Use.REUSABLE, "d": Use.EARLIER}


def test_what_an_earlier_prompt_left_goes_when_the_first_node_has_run_unless_it_is_shared():
    cache = filled(old=(1,), shared=(2,))
    cache.begin(["shared", "new"])
    assert "old" in cache
    cache.put("new", Entry("new", (3,)))
    cache.drop_earlier()
    assert "old" not in cache
    assert "shared" in cache
    assert "new" in cache
