from __future__ import annotations

import os
from pathlib import Path

import pytest

from resource_gate.reclaim.host import Place
from resource_gate.reclaim.temp import MOST_REMOVED, Found, TempCleaner
from resource_gate.reclaim.temp_rung import PAUSE, ExpiredTemp
from resource_gate.settings import Reclaim

from .temp_tree import HAS_PROC, clean, odd_names, write

# -- limits of a run


def test_a_run_ends_at_its_number_of_files_and_says_that_more_is_to_come(build, temp):
    for number in range(30):
        write(temp / f"{number}.png")
    cleaner = build()
    found = cleaner.find()
    many = Found(found.files * (MOST_REMOVED // 30 + 1))
    removed = cleaner.remove(many)
    assert removed.files == 30, "the same file goes once"
    for number in range(MOST_REMOVED + 5):
        (temp / f"{number}.png").touch()
    removed = clean(cleaner)
    assert removed.files == MOST_REMOVED and removed.more and removed.text.endswith(", more to come")
    assert len(list(temp.iterdir())) == 5
    assert clean(cleaner).files == 5


def test_a_run_ends_at_its_time(temp_host, temp, wall):
    for number in range(10):
        write(temp / f"{number}.png")
    ticks = iter(range(1000))
    settings = Reclaim()
    cleaner = TempCleaner(temp_host, lambda: settings, now=wall, clock=lambda: float(next(ticks)))
    found = cleaner.find(seconds=500)
    removed = cleaner.remove(found, seconds=4.5)
    assert 0 < removed.files < 10 and removed.more
    assert len(list(temp.iterdir())) == 10 - removed.files


# -- rights


@pytest.fixture
def as_nobody(tmp_path):
    """Rights do not bind root: be somebody else during the test where root runs it."""
    if os.name == "nt":
        pytest.skip("rights of folders work otherwise here")
    if os.geteuid() != 0:
        yield lambda: None
        return
    nobody = 65534

    def become():
        for path in (tmp_path, *tmp_path.rglob("*")):
            os.chown(path, nobody, nobody, follow_symlinks=False)
        for parent in tmp_path.parents:
            if parent.stat().st_mode & 0o001 == 0 and str(parent).startswith(str(tmp_path.parents[2])):
                opened.append((parent, parent.stat().st_mode))
                parent.chmod(0o755)
        os.seteuid(nobody)

    opened = []
    yield become
    os.seteuid(0)
    for path, mode in opened:
        path.chmod(mode)


def test_what_rights_forbid_stays_and_the_rest_goes_on(build, temp, as_nobody):
    hidden, locked = write(temp / "hidden/a.png"), write(temp / "locked/b.png")
    unreadable, plain = write(temp / "unreadable.png"), write(temp / "plain.png")
    as_nobody()
    hidden.parent.chmod(0)
    locked.parent.chmod(0o555)
    unreadable.chmod(0)
    try:
        removed = clean(build(opened=set))
        assert removed.files == 2, "a file that cannot be read can be removed all the same"
        assert locked.exists() and not unreadable.exists() and not plain.exists()
    finally:
        hidden.parent.chmod(0o755)
        locked.parent.chmod(0o755)
    assert hidden.exists()


# -- everything together


def test_ten_thousand_files_with_everything_mixed_in_lose_exactly_the_right_ones(build, temp, temp_host, tmp_path):
    outside = write(tmp_path / "output/outside.png")
    outside_folder = write(tmp_path / "models/sub/model.safetensors").parent
    right, stays, held = set(), set(), []
    for number in range(10_000):
        folder = temp / f"d{number % 50}"
        path = folder / f"{number}.png"
        folder.mkdir(exist_ok=True)
        if number % 100 == 7:
            path.symlink_to(outside)
            stays.add(path)
        elif number % 100 == 17:
            path.symlink_to(outside_folder, target_is_directory=True)
            stays.add(path)
        elif number % 1000 == 27:
            os.link(outside, path)
            right.add(path)
        elif number % 500 == 37 and HAS_PROC:
            held.append(write(path).open("rb"))
            stays.add(path)
        elif number % 10 == 3:
            temp_host.referenced.add(write(path))
            stays.add(path)
        else:
            right.add(write(path))
    for path in odd_names(temp / "d0"):
        right.add(write(path))
    try:
        cleaner = build()
        assert {Path(f.path) for f in cleaner.find().files} == right
        assert clean(cleaner).files == len(right) > 8000
    finally:
        for file in held:
            file.close()
    assert {p for p in temp.rglob("*") if not p.is_dir() or p.is_symlink()} == stays
    assert outside.exists() and (outside_folder / "model.safetensors").exists()


# -- as a rung of the ladder


@pytest.fixture
def rung(build, temp_host, clock):
    return ExpiredTemp(build(), temp_host, clock)


def test_as_a_rung_it_tells_what_could_go_and_what_went(rung, temp, clock):
    write(temp / "a.png", 100)
    clock.now += PAUSE
    assert rung.estimate("disk_output", Place.BETWEEN_NODES) == 100
    assert rung.free("disk_output", Place.BETWEEN_NODES, None) == (100, "removed 1 old temp file (100 bytes)")


def test_as_a_rung_it_keeps_what_cached_outputs_lead_to(rung, temp, temp_host):
    held, other = write(temp / "held.mp4"), write(temp / "other.mp4")
    temp_host.held = {str(held)}
    rung.estimate("disk", Place.BETWEEN_PROMPTS)
    assert rung.free("disk", Place.BETWEEN_PROMPTS, None)[0] == 10
    assert held.exists() and not other.exists()
    assert temp_host.released == [({str(held), str(other)}, Place.BETWEEN_PROMPTS)]


def test_as_a_rung_it_looks_at_most_once_a_minute_whoever_looked(rung, temp, clock):
    assert rung.estimate("disk_temp", Place.BETWEEN_NODES) == 0
    write(temp / "a.png")
    clock.now += PAUSE - 1
    assert rung.estimate("disk_temp", Place.BETWEEN_NODES) == 0
    clock.now += 1
    assert rung.estimate("disk_temp", Place.BETWEEN_NODES) == 10


def test_as_a_rung_it_is_pointless_for_memory_and_never_beside_a_running_node(rung, temp):
    write(temp / "a.png")
    assert rung.estimate("ram", Place.BETWEEN_PROMPTS) == rung.estimate("vram0", Place.BETWEEN_PROMPTS) == 0
    assert rung.place == Place.BETWEEN_NODES


def test_what_a_dry_run_found_is_still_there_for_the_request_that_follows_it(rung, temp, clock):
    write(temp / "a.png", 100)
    clock.now += PAUSE
    assert [rung.estimate("disk_output", Place.BETWEEN_NODES) for _ in range(2)] == [100, 100]
    assert rung.free("disk_output", Place.BETWEEN_NODES, None) == (100, "removed 1 old temp file (100 bytes)")
    assert rung.estimate("disk_output", Place.BETWEEN_NODES) == 0
