from __future__ import annotations

import time

import pytest

from resource_gate.reclaim.temp import RECENT, TempCleaner
from resource_gate.settings import Reclaim

from .temp_tree import HOUR, clean, write


def test_an_empty_folder_that_something_refers_to_stays(build, temp, temp_host):
    """A pack that has made its folder once, and remembers where, does not make it again."""
    for name in ("thumbs", "other"):
        (temp / name).mkdir()
    temp_host.referenced = {temp / "thumbs"}
    assert clean(build()).folders == 1
    assert (temp / "thumbs").is_dir() and not (temp / "other").exists()


def test_folders_left_empty_go_and_the_temp_folder_stays(build, temp):
    write(temp / "a/b/c/x.png")
    (temp / "long empty").mkdir()
    removed = clean(build())
    assert removed.folders == 4 and removed.text == "removed 1 old temp file (10 bytes) and 4 empty folders"
    assert temp.is_dir() and list(temp.iterdir()) == []


def test_a_folder_that_still_holds_something_stays(build, temp, temp_host, tmp_path):
    temp_host.referenced = {write(temp / "a/kept.png")}
    write(temp / "a/gone.png")
    (temp / "b").mkdir()
    (temp / "b/link").symlink_to(tmp_path)
    assert clean(build()).folders == 0
    assert (temp / "a/kept.png").exists() and (temp / "b/link").is_symlink()


def test_a_folder_made_a_moment_ago_stays(build, temp, wall):
    (temp / "fresh").mkdir()
    wall.ahead = HOUR - 60
    assert clean(build()).folders == 0


def test_no_folder_goes_while_a_prompt_runs_for_it_may_be_about_to_write_there(build, temp, temp_host, wall):
    file = write(temp / "sub/a.png")
    temp_host.since = wall.start + HOUR
    removed = clean(build())
    assert (removed.files, removed.folders) == (1, 0)
    assert not file.exists() and file.parent.is_dir()


# -- the cap


@pytest.fixture
def aging(temp):
    """Five files of 1000 bytes, the first the oldest by a little."""
    files = []
    for number in range(5):
        files.append(write(temp / f"{number}.png", 1000))
        while time.time_ns() <= files[-1].stat().st_mtime_ns + 20_000_000:
            pass  # coarse file clocks: the next one is surely later
    return files


def left(files):
    return [f.name for f in files if f.exists()]


def test_above_the_cap_the_oldest_go_before_they_expire(build, aging, wall):
    wall.ahead = 10 * 60
    found = build(temp_cap=3000).find()
    assert found.over_cap == 2
    clean(build(temp_cap=3000))
    assert left(aging) == ["2.png", "3.png", "4.png"]


def test_below_the_cap_nothing_goes_before_it_expires(build, aging, wall):
    wall.ahead = 10 * 60
    assert clean(build(temp_cap=5000)).files == 0
    assert clean(build(temp_cap=0)).files == 0


def test_what_expires_counts_before_the_cap_takes_more(build, aging, wall):
    wall.ahead = 2 * HOUR
    found = build(temp_cap=3000).find()
    assert len(found.files) == 5 and found.over_cap == 0


def test_the_cap_takes_no_referenced_file_and_the_next_oldest_instead(build, aging, temp_host, wall):
    wall.ahead = 10 * 60
    temp_host.referenced = {aging[0], aging[2]}
    clean(build(temp_cap=2500))
    assert left(aging) == ["0.png", "2.png"]


def test_the_cap_takes_nothing_of_the_last_minute(build, aging, wall):
    wall.ahead = RECENT - 30
    assert clean(build(temp_cap=1)).files == 0
    assert len(left(aging)) == 5


def test_the_cap_takes_nothing_of_the_running_prompt(build, aging, temp_host, wall):
    wall.ahead = 10 * 60
    temp_host.since = aging[0].stat().st_mtime
    assert clean(build(temp_cap=1)).files == 0


def test_a_walk_that_was_cut_short_knows_no_total_and_so_no_cap(temp_host, aging, wall):
    wall.ahead = 10 * 60
    settings = Reclaim(temp_cap=1)
    ticks = iter(range(100))
    cleaner = TempCleaner(temp_host, lambda: settings, now=wall, clock=lambda: float(next(ticks)))
    assert cleaner.find(seconds=3.5).files == ()
