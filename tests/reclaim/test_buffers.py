"""The rungs beside the heap: pinned memory, written files, Windows' working set."""

from __future__ import annotations

import itertools
import os

import pytest

from resource_gate.reclaim.buffers import LOOK, ModelPins, OwnWorkingSet, PinnedCache, WrittenFiles
from resource_gate.reclaim.host import Place

MB = 1024**2
AT = Place.BETWEEN_NODES


def looking(*arguments):
    """However long this machine takes over a look."""
    return WrittenFiles(*arguments, clock=lambda: 0.0)


class Host:
    """Pinned memory, counted."""

    slack, pins = 300 * MB, 900 * MB

    def pinned_slack(self) -> int:
        return self.slack

    def empty_pinned_cache(self) -> None:
        self.slack = 0

    def pinned_weights(self) -> int:
        return self.pins

    def free_pins(self, goal: int) -> int:
        freed = min(goal, self.pins)
        self.pins -= freed
        return freed


def test_the_pinned_cache_is_worth_its_slack_and_gone_after():
    host = Host()
    rung = PinnedCache(host)
    assert rung.estimate("ram", AT) == 300 * MB
    rung.free("ram", AT, None)
    assert rung.estimate("ram", AT) == 0


@pytest.mark.parametrize(("goal", "left"), [(200 * MB, 700 * MB), (None, 0)])
def test_as_many_weights_are_unpinned_as_needed(goal, left):
    host = Host()
    _, said = ModelPins(host).free("ram", AT, goal)
    assert host.pins == left
    assert said == f"unpinned {(900 * MB - left) // MB} MB of model weights"


@pytest.fixture
def written(tmp_path):
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / "new.mp4").write_bytes(b"x" * 3000)
    (tmp_path / "old.png").write_bytes(b"x" * 500)
    os.utime(tmp_path / "old.png", (1000.0, 1000.0))
    (tmp_path / "link.mp4").symlink_to(tmp_path / "video" / "new.mp4")
    return tmp_path


def test_only_files_written_of_late_are_let_go_of_and_nothing_counts_as_freed(written):
    advised = []
    rung = looking(lambda: [written, None], lambda fd: advised.append(os.fstat(fd).st_size))
    assert rung.estimate("ram", AT) == 3000
    freed, said = rung.free("ram", AT, None)
    assert advised == [3000] and freed == 0
    assert "3 KB" in said


def test_a_folder_that_is_not_there_has_no_files(tmp_path):
    assert looking(lambda: [tmp_path / "gone"], lambda fd: None).estimate("ram", AT) == 0


def test_the_working_set_is_emptied_where_the_system_offers_it_and_nowhere_else():
    emptied = []
    rung = OwnWorkingSet(lambda: emptied.append(True))
    assert rung.estimate("ram", AT) is None
    rung.free("ram", AT, None)
    assert emptied == [True]
    if os.name == "posix":
        assert OwnWorkingSet().estimate("ram", AT) == 0


def test_a_file_that_cannot_be_opened_is_passed_over(written):
    (written / "video" / "new.mp4").chmod(0)
    told = []
    rung = looking(lambda: [written], told.append)
    if os.access(written / "video" / "new.mp4", os.R_OK):  # root may read all: then it is gone instead
        found = list(rung._recent())
        (written / "video" / "new.mp4").unlink()
        rung._recent = lambda: iter(found)
    _, said = rung.free("ram", AT, None)
    assert told == [] and "0 bytes" in said


def test_a_system_without_the_call_has_nothing_to_offer(written):
    rung = looking(lambda: [written], lambda descriptor: None)
    rung._advise = None
    assert rung.estimate("ram", AT) == 0
    assert rung.free("ram", AT, None)[0] == 0


def test_so_many_files_are_looked_at_and_no_more(tmp_path):
    from resource_gate.reclaim.buffers import MAX_FILES

    for number in range(MAX_FILES + 5):
        (tmp_path / f"{number}.png").touch()
    assert len(list(looking(lambda: [tmp_path, None], lambda d: None)._recent())) == MAX_FILES


def test_a_look_at_a_slow_disk_ends_after_a_moment_for_the_ladder_is_locked_meanwhile(tmp_path):
    for number in range(100):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    ticks = itertools.count()
    rung = WrittenFiles(lambda: [tmp_path], lambda d: None, clock=lambda: next(ticks) * LOOK / 5)
    assert 1 <= rung.estimate("ram", AT) <= 6


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name here")
def test_a_pipe_among_the_written_files_is_none_of_them(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for somebody who writes
    assert list(looking(lambda: [tmp_path], lambda d: None)._recent()) == []


def test_the_kernel_is_told_through_a_descriptor_of_the_file(written):
    rung = looking(lambda: [written])
    if hasattr(os, "posix_fadvise"):
        assert rung.estimate("ram", AT) == 3000
        assert rung.free("ram", AT, None) == (0, "let 3 KB of written files go from the page cache")
    else:
        assert rung.estimate("ram", AT) == 0


def test_the_own_working_set_does_nothing_on_other_systems():
    import sys

    rung = OwnWorkingSet()
    assert rung.estimate("ram", AT) is (None if sys.platform == "win32" else 0)
    assert rung.free("ram", AT, None) == (None, "emptied the own working set")
