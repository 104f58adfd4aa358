"""Whether a clip was written whole is proven by the file itself, or not at all."""

from __future__ import annotations

import struct

import pytest

from resource_gate.gate.finished import Saves, is_whole_mp4, was_written
from resource_gate.gate.host import NodeStart


def box(kind, content=b"", size=None):
    return struct.pack(">I4s", 8 + len(content) if size is None else size, kind) + content


def long_box(kind, content):
    return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content


WHOLE = box(b"ftyp", b"isom0000") + box(b"mdat", b"x" * 50) + box(b"moov", b"y" * 20)


@pytest.fixture
def clip(tmp_path):
    def write(content, name="clip_00001_.mp4"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def test_a_file_that_its_boxes_fill_exactly_is_whole(clip):
    assert is_whole_mp4(clip(WHOLE))
    assert is_whole_mp4(clip(box(b"moov", b"y") + box(b"ftyp") + long_box(b"mdat", b"x" * 40)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        WHOLE[:-1],
        WHOLE + b"x",
        WHOLE + b"x" * 9,
        box(b"ftyp") + box(b"mdat", b"x"),
        box(b"moov") + box(b"mdat", b"x"),
        box(b"ftyp") + box(b"moov") + box(b"mdat", b"x" * 8, size=0),
        box(b"ftyp") + box(b"moov") + box(b"mdat", b"x" * 8, size=7),
        box(b"ftyp") + box(b"moov") + struct.pack(">I4s", 1, b"mdat"),
    ],
)
def test_every_other_file_is_not(clip, content):
    assert not is_whole_mp4(clip(content))


def test_a_file_that_is_not_there_is_not_whole(tmp_path):
    assert not is_whole_mp4(tmp_path / "gone.mp4")
    assert not is_whole_mp4(tmp_path)


def save(prefix="clip", kind="SaveVideo", runs=1):
    return NodeStart("job", "9", kind, {"filename_prefix": prefix}, runs)


def test_it_notes_the_path_and_the_highest_number_that_is_there(tmp_path, clip):
    assert Saves(tmp_path).about_to_write(save()) == (str(tmp_path / "clip"), 0, 1, ".mp4")
    clip(WHOLE)
    clip(WHOLE, "clip_00007_.mp4")
    clip(WHOLE, "clipper_00009_.mp4")
    clip(WHOLE, "clip_00011_.webm")
    assert Saves(tmp_path).about_to_write(save()) == (str(tmp_path / "clip"), 11, 1, ".mp4")
    assert Saves(tmp_path).about_to_write(save("deep\\er/clip")) == (
        str(tmp_path / "deep" / "er" / "clip"),
        0,
        1,
        ".mp4",
    )


@pytest.mark.parametrize("node", [save("clip_%date%"), save(kind="SaveImage"), save(runs=2), save(prefix=3)])
def test_of_what_could_not_be_proven_nothing_is_noted(tmp_path, node):
    assert Saves(tmp_path).about_to_write(node) is None


def test_only_a_later_number_that_is_whole_counts(tmp_path, clip):
    start = str(tmp_path / "clip")
    assert not was_written(start, 0)
    clip(WHOLE, "clip_00003_.mp4")
    assert was_written(start, 2) and not was_written(start, 3)
    clip(WHOLE[:-2], "clip_00004_.mp4")
    assert not was_written(start, 3)
    assert not was_written(str(tmp_path / "gone" / "clip"), 0)
