from __future__ import annotations

import os
from pathlib import Path

import pytest

from resource_gate.batch.fleet import parcels
from resource_gate.batch.fleet.parcels import ParcelDamaged, fetch_file, remove_folder, send_file


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


@pytest.fixture
def desk(there):
    return lambda function, *arguments: function(there, *arguments)


@pytest.mark.parametrize("size", [0, 1, parcels.PIECE, 2 * parcels.PIECE + 5])
def test_a_file_arrives_as_it_was_both_ways(desk, there, tmp_path, size):
    (tmp_path / "here").write_bytes(os.urandom(size))
    send_file(desk, tmp_path / "here", "lease/in0/clip.mp4")
    fetch_file(desk, "lease/in0/clip.mp4", tmp_path / "out" / "clip.mp4")
    assert (tmp_path / "out" / "clip.mp4").read_bytes() == (tmp_path / "here").read_bytes()
    remove_folder(there, "lease")
    assert list(there.iterdir()) == []


def test_a_damaged_file_never_appears_under_its_name(there, tmp_path):
    (there / "clip").write_bytes(b"whole")

    def lossy(function, *arguments):
        told = function(there, *arguments)
        return told[:-1] if isinstance(told, bytes) and told else told

    with pytest.raises(ParcelDamaged):
        fetch_file(lossy, "clip", tmp_path / "out" / "clip")
    assert list((tmp_path / "out").iterdir()) == []
    (tmp_path / "here").write_bytes(b"whole")
    with pytest.raises(ParcelDamaged):
        send_file(lambda f, name, *rest: f(there, name, *(r[:-1] if isinstance(r, bytes) else r for r in rest)),
                  tmp_path / "here", "damaged")  # fmt: skip


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b"])
def test_nothing_outside_the_workers_folder_is_touched(there, name):
    for touch in (lambda: parcels.write_piece(there, name, 0, b"x"), lambda: parcels.read_piece(there, name, 0)):
        with pytest.raises(PermissionError):
            touch()
