"""Which files are in use and which folders overlap, where the system does not make it easy to tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resource_gate.reclaim.temp_files import _of_descriptors, identities, open_files, overlapping, walk


def test_a_walk_that_had_its_time_lists_each_file_and_is_complete(tmp_path):
    (tmp_path / "a.png").touch()
    found = walk(tmp_path, lambda: False)
    assert [f.path for f in found.files] == [str(tmp_path / "a.png")] and found.complete


def test_a_walk_whose_time_is_up_says_that_it_is_not_complete(tmp_path):
    for name in "abc":
        (tmp_path / name).touch()
    looks = iter([False, True])
    found = walk(tmp_path, lambda: next(looks))
    assert len(found.files) == 1 and not found.complete


def test_an_open_file_is_found_by_its_identity_however_it_is_spelled(tmp_path):
    (tmp_path / "sub").mkdir()
    path = tmp_path / "held.mp4"
    with path.open("wb"):
        held = open_files()
        assert held is not None
        assert identities([tmp_path / "sub" / ".." / "held.mp4"]) <= held or os.name == "nt"
    assert not identities([path]) & (open_files() or set()) or os.name == "nt"


def test_descriptors_that_cannot_be_listed_are_not_none_open_but_unknown(tmp_path):
    assert _of_descriptors(tmp_path / "gone") is None


@pytest.mark.parametrize("text", ["gone.png", "nul\0byte"])
def test_what_leads_to_nothing_has_no_identity(tmp_path, text):
    assert identities([tmp_path / text]) == set()


def test_overlap_is_found_in_both_directions_and_through_links(tmp_path):
    (tmp_path / "out" / "temp").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    temp = tmp_path / "out" / "temp"
    assert overlapping(temp, [tmp_path / "other"]) is None
    assert overlapping(temp, [tmp_path / "other", tmp_path / "out"]) == tmp_path / "out"
    assert overlapping(tmp_path / "out", [temp]) == temp
    assert overlapping(tmp_path / "link" / "temp", [temp]) == temp
    assert overlapping(temp, [tmp_path / "link"]) == tmp_path / "link"


def test_a_folder_that_is_not_there_overlaps_by_its_name_only(tmp_path):
    assert overlapping(tmp_path / "gone", [tmp_path / "gone" / "deeper"]) == tmp_path / "gone" / "deeper"
    assert overlapping(tmp_path / "gone", [Path(tmp_path / "away")]) is None
