from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from resource_gate.reclaim.host import Place
from resource_gate.reclaim.temp import PAUSE, ExpiredTemp, open_files

HOUR = 3600.0
AT = Place.ANYWHERE


@pytest.fixture
def temp(tmp_path):
    folder = tmp_path / "temp"
    folder.mkdir()
    return folder


@pytest.fixture
def build(temp, clock):
    def make(referenced=(), now=None, age=HOUR, enabled=True, opened=open_files, folder=temp):
        then = time.time() + 2 * HOUR if now is None else now
        return ExpiredTemp(
            lambda: folder,
            lambda: set(referenced() if callable(referenced) else referenced),
            enabled=lambda: enabled,
            age=lambda: age,
            opened=opened,
            now=lambda: then,
            clock=clock,
        )

    return make


def write(path: Path, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def clean(rung):
    size = rung.estimate("disk_temp", AT)
    freed, said = rung.free("disk_temp", AT, None)
    return size, freed, said


def test_expired_files_go_and_are_counted(build, temp):
    files = [write(temp / "a.png", 100), write(temp / "deep/er/b.png", 50)]
    size, freed, said = clean(build())
    assert (size, freed) == (150, 150) and said == "removed 2 expired temp files (150 bytes)"
    assert not any(f.exists() for f in files)


def test_young_files_stay(build, temp):
    young = write(temp / "young.png")
    assert clean(build(now=time.time() + HOUR - 60))[0] == 0
    assert young.exists()


def test_a_file_copied_with_an_old_date_is_as_young_as_its_arrival(build, temp):
    copied = write(temp / "copied.png")
    os.utime(copied, (1, 1))
    assert clean(build(now=time.time()))[0] == 0
    assert copied.exists()


def test_referenced_files_stay_in_subfolders_too(build, temp):
    kept = [write(temp / "preview.png"), write(temp / "sub" / "preview_2.png")]
    gone = write(temp / "sub" / "other.png")
    clean(build(referenced=[temp / "preview.png", temp / "sub" / "preview_2.png"]))
    assert all(k.exists() for k in kept) and not gone.exists()


def test_a_file_referenced_since_the_estimate_stays(build, temp):
    file = write(temp / "a.png")
    referenced: set[Path] = set()
    rung = build(referenced=lambda: referenced)
    assert rung.estimate("disk_temp", AT) == 10
    referenced.add(file)
    assert rung.free("disk_temp", AT, None)[0] == 0 and file.exists()


def test_a_file_written_to_since_the_estimate_stays(build, temp):
    file = write(temp / "a.png")
    rung = build()
    rung.estimate("disk_temp", AT)
    os.utime(file, (time.time() + 2 * HOUR,) * 2)
    assert rung.free("disk_temp", AT, None)[0] == 0 and file.exists()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not tell of open files")
def test_a_file_that_this_process_holds_open_stays(build, temp):
    held, other = write(temp / "held.mp4"), write(temp / "other.mp4")
    with held.open("rb"):
        assert clean(build())[0] == 10
        assert held.exists() and not other.exists()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not tell of open files")
def test_a_file_opened_since_the_estimate_stays(build, temp):
    file = write(temp / "a.mp4")
    rung = build()
    rung.estimate("disk_temp", AT)
    with file.open("rb"):
        assert rung.free("disk_temp", AT, None)[0] == 0 and file.exists()


def test_links_out_of_the_folder_are_neither_followed_nor_removed(build, temp, tmp_path):
    outside_file = write(tmp_path / "output/keep.png")
    outside_folder = write(tmp_path / "models/keep.safetensors").parent
    (temp / "file link").symlink_to(outside_file)
    (temp / "folder link").symlink_to(outside_folder, target_is_directory=True)
    (temp / "dangling").symlink_to(tmp_path / "nowhere")
    (temp / "loop").symlink_to(temp, target_is_directory=True)
    write(temp / "plain.png")
    size, _, _ = clean(build())
    assert size == 10
    assert outside_file.exists() and (outside_folder / "keep.safetensors").exists()
    assert sorted(p.name for p in temp.iterdir()) == ["dangling", "file link", "folder link", "loop"]


def test_a_folder_swapped_for_a_link_after_the_estimate_leads_nowhere(build, temp, tmp_path):
    outside = write(tmp_path / "output/clip.mp4")
    write(temp / "sub/clip.mp4")
    rung = build()
    assert rung.estimate("disk_temp", AT) == 10
    (temp / "sub/clip.mp4").unlink()
    (temp / "sub").rmdir()
    (temp / "sub").symlink_to(outside.parent, target_is_directory=True)
    assert rung.free("disk_temp", AT, None)[0] == 0
    assert outside.exists()


def test_what_is_no_regular_file_stays(build, temp):
    os.mkfifo(temp / "pipe")
    assert clean(build())[0] == 0
    assert (temp / "pipe").exists()


@pytest.mark.skipif(not Path("/dev/shm").is_mount(), reason="no mount inside another one at hand")
def test_what_another_file_system_holds_below_the_folder_stays(clock):
    shm = Path("/dev/shm")
    mark = shm / f"resource-gate-test-{os.getpid()}"
    mark.write_bytes(b"x")
    try:
        rung = ExpiredTemp(
            lambda: Path("/dev"),
            set,
            enabled=lambda: True,
            age=lambda: HOUR,
            now=lambda: time.time() + 2 * HOUR,
            clock=clock,
        )
        assert mark not in {e.path for e in rung.expired()}
    finally:
        mark.unlink()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="rights do not bind this user")
def test_a_folder_that_cannot_be_read_is_left_out_and_the_rest_goes_on(build, temp):
    hidden = write(temp / "hidden/a.png")
    plain = write(temp / "plain.png")
    hidden.parent.chmod(0)
    try:
        size, _, _ = clean(build())
        assert size == 10 and not plain.exists()
    finally:
        hidden.parent.chmod(0o755)


def test_a_file_that_is_gone_before_its_turn_is_not_counted(build, temp):
    file, other = write(temp / "a.png"), write(temp / "b.png")
    rung = build()
    assert rung.estimate("disk_temp", AT) == 20
    file.unlink()
    assert rung.free("disk_temp", AT, None)[0] == 10 and not other.exists()


def test_odd_names_are_no_trouble(build, temp):
    for name in ("new\nline.png", "-rf", "ünï😀.png", " space ", "..hidden", "%2e%2e"):
        write(temp / name)
    Path(os.fsdecode(bytes(temp) + b"/bad\xff.png")).write_bytes(b"x" * 10)
    assert clean(build())[1] == 70
    assert list(temp.iterdir()) == []


def test_a_missing_folder_is_no_error(build, tmp_path):
    assert clean(build(folder=None))[0] == 0
    assert clean(build(folder=tmp_path / "nowhere"))[0] == 0


def test_nothing_goes_where_cleaning_is_switched_off(build, temp):
    file = write(temp / "a.png")
    assert clean(build(enabled=False))[1] == 0
    assert file.exists()


def test_the_folder_is_walked_at_most_once_a_minute(build, temp, clock):
    rung = build()
    assert rung.estimate("disk_temp", AT) == 0
    write(temp / "a.png")
    clock.now += PAUSE - 1
    assert rung.estimate("disk_temp", AT) == 0
    clock.now += 1
    assert rung.estimate("disk_temp", AT) == 10


def test_for_ram_the_bytes_are_left_to_the_measurement(build, temp):
    write(temp / "a.png")
    rung = build()
    rung.estimate("ram", AT)
    assert rung.free("ram", AT, None)[0] == 0


def test_ten_thousand_files_with_everything_mixed_in_lose_exactly_the_right_ones(build, temp, tmp_path):
    outside = write(tmp_path / "outside.png")
    referenced, right = set(), set()
    for number in range(10_000):
        path = temp / f"d{number % 50}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        if number % 100 == 7:
            path.symlink_to(outside)
        else:
            path.touch()
            if number % 10 == 3:
                referenced.add(path)
            else:
                right.add(path)
    rung = build(referenced=referenced)
    assert {e.path for e in rung.expired()} == right
    rung.estimate("disk_temp", AT)
    _, said = rung.free("disk_temp", AT, None)
    assert said.startswith("removed 8900 ") and outside.exists()
    assert len(right) == 8900 and all(r.exists() for r in referenced)
