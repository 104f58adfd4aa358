from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest

from resource_gate.reclaim.temp import Found, TempCleaner
from resource_gate.settings import Reclaim

from .temp_tree import HOUR, clean, needs_proc, odd_names, write


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


def test_another_file_under_the_second_name_of_one_that_went_stays(build, temp):
    file = write(temp / "a.png")
    os.link(file, temp / "b.png")
    cleaner = build()
    found = cleaner.find()

    class Meanwhile(set):
        """When the second is asked about, something else lies there."""

        def __contains__(self, path):
            if path == found.files[1].path:
                Path(path).unlink()
                write(Path(path), 77)
            return True

    assert len(found.files) == 2 and cleaner.remove(found, Meanwhile()).files == 1
    assert Path(found.files[1].path).stat().st_size == 77


def test_a_folder_made_anew_since_stays(build, temp):
    (temp / "sub").mkdir()
    cleaner = build()
    found = cleaner.find()
    (temp / "sub").rename(temp / "moved")
    (temp / "sub").mkdir()
    assert cleaner.remove(found).folders == 0
    assert (temp / "sub").is_dir() and (temp / "moved").is_dir()


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
        assert cleaner.find() == Found() and len(caplog.records) == 1
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
