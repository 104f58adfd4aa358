from __future__ import annotations

import logging
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from resource_gate.reclaim.host import Place
from resource_gate.reclaim.temp import MOST_REMOVED, RECENT, Found, TempCleaner
from resource_gate.reclaim.temp_files import open_files
from resource_gate.reclaim.temp_rung import PAUSE, ExpiredTemp
from resource_gate.settings import Reclaim

HOUR = 3600.0
HAS_PROC = Path("/proc/self/fd").is_dir()
needs_proc = pytest.mark.skipif(not HAS_PROC, reason="this system does not tell of open files by /proc")


@dataclass
class Wall:
    """Seconds since the epoch, so far ahead that what was written just now is `ahead` seconds old."""

    ahead: float = 2 * HOUR
    start: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.start + self.ahead


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def temp(temp_host):
    return temp_host.temp


@pytest.fixture
def build(temp_host, clock, wall):
    def make(opened=open_files, **settings):
        reclaim = Reclaim(**settings)
        return TempCleaner(temp_host, lambda: reclaim, opened=opened, now=wall, clock=clock)

    return make


def write(path: Path, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def clean(cleaner):
    return cleaner.remove(cleaner.find())


def test_expired_files_go_and_are_counted(build, temp):
    files = [write(temp / "a.png", 100), write(temp / "deep/er/b.png", 50)]
    removed = clean(build())
    assert (removed.files, removed.bytes) == (2, 150)
    assert removed.text.startswith("removed 2 old temp files (150 bytes)")
    assert not any(f.exists() for f in files)


def test_young_files_stay(build, temp, wall):
    young = write(temp / "young.png")
    wall.ahead = HOUR - 60
    assert clean(build()).files == 0
    assert young.exists()


def test_a_file_copied_with_an_old_date_is_as_young_as_its_arrival(build, temp, wall):
    copied = write(temp / "copied.png")
    os.utime(copied, (1, 1))
    wall.ahead = 0
    assert clean(build()).files == 0
    assert copied.exists()


def test_a_shorter_age_counts_at_once(build, temp, wall):
    write(temp / "a.png")
    wall.ahead = 90
    assert clean(build(temp_age=120)).files == 0
    assert clean(build(temp_age=60)).files == 1


def test_referenced_files_stay_in_subfolders_too(build, temp, temp_host):
    kept = [write(temp / "preview.png"), write(temp / "sub" / "preview_2.png")]
    gone = write(temp / "sub" / "other.png")
    temp_host.referenced = {temp / "preview.png", temp / "sub" / "preview_2.png"}
    clean(build())
    assert all(k.exists() for k in kept) and not gone.exists()


def test_a_reference_counts_however_the_path_is_spelled(build, temp, temp_host, tmp_path):
    kept = write(temp / "sub" / "preview.png")
    (tmp_path / "by another way").symlink_to(temp, target_is_directory=True)
    temp_host.referenced = {tmp_path / "by another way" / "sub" / ".." / "sub" / "preview.png"}
    clean(build())
    assert kept.exists()


def test_references_to_what_is_not_there_or_is_no_path_do_no_harm(build, temp, temp_host):
    write(temp / "a.png")
    temp_host.referenced = {temp / "gone.png", temp / "bad\0name.png", temp / ("x" * 5000)}
    assert clean(build()).files == 1


def test_a_file_referenced_since_it_was_found_stays(build, temp, temp_host):
    file = write(temp / "a.png")
    cleaner = build()
    found = cleaner.find()
    assert [f.path for f in found.files] == [str(file)]
    temp_host.referenced = {file}
    assert cleaner.remove(found).files == 0 and file.exists()


def test_a_file_referenced_while_a_long_run_removes_others_stays(temp_host, temp, wall):
    late = write(temp / "late.png")
    files = [write(temp / f"{n}.png") for n in range(5)]
    settings, ticks = Reclaim(), iter(range(1, 1000))
    slow = TempCleaner(temp_host, lambda: settings, now=wall, clock=lambda: next(ticks) * 0.6)
    found = slow.find(seconds=1000)
    last = Found(tuple(sorted(found.files, key=lambda f: f.path == str(late))))
    answers = iter([set()])
    temp_host.referenced_files = lambda: next(answers, {late})
    removed = slow.remove(last, seconds=1000)
    assert removed.files == 5 and late.exists() and not any(f.exists() for f in files)


def test_a_file_written_to_since_it_was_found_stays(build, temp):
    file = write(temp / "a.png")
    cleaner = build()
    found = cleaner.find()
    os.utime(file, (1, 1))
    assert cleaner.remove(found).files == 0 and file.exists()


@needs_proc
def test_a_file_that_this_process_holds_open_stays(build, temp):
    held, other = write(temp / "held.mp4"), write(temp / "other.mp4")
    with held.open("rb"):
        assert clean(build()).files == 1
        assert held.exists() and not other.exists()


@needs_proc
def test_a_file_opened_since_it_was_found_stays(build, temp):
    file = write(temp / "a.mp4")
    cleaner = build()
    found = cleaner.find()
    with file.open("rb"):
        assert cleaner.remove(found).files == 0 and file.exists()


def test_where_it_cannot_be_told_what_is_open_nothing_goes(build, temp):
    file = write(temp / "a.mp4")
    assert clean(build(opened=lambda: None)).files == 0
    assert file.exists()


def test_what_was_written_since_the_running_prompt_began_stays_however_old_it_gets(build, temp, temp_host, wall):
    before, during = write(temp / "before.png"), write(temp / "during.png")
    began = during.stat().st_mtime
    temp_host.since = began + 0.5  # clocks of file servers are a little apart
    wall.ahead = 20 * HOUR
    assert clean(build()).files == 0
    temp_host.since = began + 10
    assert clean(build()).files == 2
    assert not before.exists() and not during.exists()


def test_links_out_of_the_folder_are_neither_followed_nor_removed(build, temp, tmp_path):
    outside_file = write(tmp_path / "output/keep.png")
    outside_folder = write(tmp_path / "models/keep.safetensors").parent
    (temp / "file link").symlink_to(outside_file)
    (temp / "folder link").symlink_to(outside_folder, target_is_directory=True)
    (temp / "dangling").symlink_to(tmp_path / "nowhere")
    (temp / "loop").symlink_to(temp, target_is_directory=True)
    write(temp / "plain.png")
    assert clean(build()).files == 1
    assert outside_file.exists() and (outside_folder / "keep.safetensors").exists()
    assert sorted(p.name for p in temp.iterdir()) == ["dangling", "file link", "folder link", "loop"]


def test_a_hard_link_goes_and_the_file_keeps_its_other_name(build, temp, tmp_path):
    outside = write(tmp_path / "output/clip.mp4", 1000)
    os.link(outside, temp / "clip.mp4")
    removed = clean(build())
    assert (removed.files, removed.bytes) == (1, 0), "no byte of the disk comes free"
    assert outside.read_bytes() == b"x" * 1000


def test_all_names_of_one_file_go_in_one_run(build, temp):
    write(temp / "a.png", 1000)
    for number in range(5):
        os.link(temp / "a.png", temp / f"{number}.png")
    assert clean(build()).files == 6


def test_a_folder_swapped_for_a_link_since_leads_nowhere(build, temp, tmp_path):
    outside = write(tmp_path / "output/clip.mp4")
    write(temp / "sub/clip.mp4")
    cleaner = build()
    found = cleaner.find()
    shutil.rmtree(temp / "sub")
    (temp / "sub").symlink_to(outside.parent, target_is_directory=True)
    removed = cleaner.remove(found)
    assert (removed.files, removed.folders) == (0, 0)
    assert outside.exists() and (temp / "sub").is_symlink()


def test_what_is_no_regular_file_stays(build, temp):
    os.mkfifo(temp / "pipe")
    assert clean(build()).files == 0
    assert (temp / "pipe").exists()


@pytest.mark.skipif(not Path("/dev/shm").is_mount(), reason="no mount inside another one at hand")
def test_what_another_file_system_holds_below_the_folder_stays(build, temp_host):
    shm = Path("/dev/shm")
    mark = shm / f"resource-gate-test-{os.getpid()}"
    mark.write_bytes(b"x")
    try:
        temp_host.temp = Path("/dev")
        found = build().find()
        assert str(mark) not in {f.path for f in found.files}
        assert str(shm) not in {f.path for f in found.folders}
    finally:
        mark.unlink()


@pytest.mark.parametrize("kept", ["input", "output"])
@pytest.mark.parametrize("how", ["is", "holds", "lies in", "is linked to"])
def test_a_temp_folder_that_overlaps_input_or_output_is_not_cleaned_and_that_is_said_once(
    build, temp_host, tmp_path, kept, how, caplog
):
    folder = tmp_path / kept
    write(folder / "inner" / "precious.png")
    if how == "is linked to":
        temp_host.temp.rmdir()
        temp_host.temp.symlink_to(folder, target_is_directory=True)
    else:
        temp_host.temp = {"is": folder, "holds": tmp_path, "lies in": folder / "inner"}[how]
    cleaner = build(temp_cap=1)
    with caplog.at_level(logging.WARNING):
        assert cleaner.find() == Found()
        assert cleaner.find() == Found()
    assert (folder / "inner" / "precious.png").exists()
    assert [r.message.count("is not cleaned: it overlaps with") for r in caplog.records] == [1]


def test_a_folder_that_overlaps_only_by_the_time_of_removal_is_not_cleaned_either(build, temp, temp_host):
    file = write(temp / "a.png")
    cleaner = build()
    found = cleaner.find()
    temp_host.kept = [temp]
    assert cleaner.remove(found).files == 0 and file.exists()


def test_a_temp_folder_that_is_itself_a_link_to_another_disk_is_cleaned(build, temp_host, tmp_path):
    elsewhere = tmp_path / "scratch"
    temp_host.temp.rmdir()
    elsewhere.mkdir()
    temp_host.temp.symlink_to(elsewhere, target_is_directory=True)
    write(elsewhere / "a.png")
    kept = write(elsewhere / "kept.png")
    temp_host.referenced = {temp_host.temp / "kept.png"}
    assert clean(build()).files == 1
    assert kept.exists()


def test_a_file_that_is_gone_before_its_turn_is_not_counted(build, temp):
    file, other = write(temp / "a.png"), write(temp / "b.png")
    cleaner = build()
    found = cleaner.find()
    file.unlink()
    assert cleaner.remove(found).bytes == 10 and not other.exists()


def odd_names(temp: Path) -> list[Path]:
    names = [
        "new\nline.png",
        "-rf",
        "ünï😀.png",
        " space ",
        "..hidden",
        "%2e%2e",
        "*",
        "a" * 250 + ".png",
        "\\",
        "$(id)",
    ]
    return [*(temp / n for n in names), Path(os.fsdecode(bytes(temp) + b"/bad\xff.png"))]


def test_odd_names_are_no_trouble(build, temp):
    odd = [write(path) for path in odd_names(temp)]
    assert clean(build()).files == len(odd)
    assert list(temp.iterdir()) == []


def test_names_are_told_in_one_line_whatever_they_hold(build, temp):
    for path in odd_names(temp):
        write(path)
    told = build().find().names(temp)
    assert told.isprintable() and told.endswith(" and 1 more")


def test_a_missing_folder_is_no_error(build, temp_host, tmp_path):
    for nothing in (None, tmp_path / "nowhere"):
        temp_host.temp = nothing
        assert clean(build()).files == 0


def test_nothing_goes_where_cleaning_is_switched_off(build, temp):
    file = write(temp / "a.png")
    assert clean(build(temp_clean=False, temp_cap=1)).files == 0
    assert file.exists()


# -- empty folders


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
