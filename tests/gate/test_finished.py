"""A job whose results lay whole on the disk when the process died is not run again."""

from __future__ import annotations

import pytest

from resource_gate.gate.finished import PNG_BEGIN, PNG_END, Saves, highest_number, is_whole_png, was_written
from resource_gate.gate.host import Job, NodeStart, Queued
from resource_gate.gate.journal.journal import Journal

PNG = PNG_BEGIN + b"chunks" + PNG_END


def save(images=2, prefix="set/pic", runs=1, kind="SaveImage"):
    return NodeStart("a", "3", kind, {"images": [0] * images, "filename_prefix": prefix}, runs)


@pytest.fixture
def die(tmp_path, machine):
    """Run job "a" up to its saving node, let `write` leave files, and tell what the next process makes of it."""
    output = tmp_path / "output"
    (output / "set").mkdir(parents=True)
    begun = []

    def run(write, outputs=("3",), node=None):
        graph = {"3": {"class_type": "SaveImage"}, "4": {"class_type": "PreviewImage"}, "5": {"class_type": "Mail"}}
        for _ in range(2):
            journal = Journal(tmp_path, output=output, wall=machine.wall, clock=machine.clock)
            journal.open()
            begun.append(journal)
            if len(begun) == 1:
                journal.accepted(Queued("a", 0.0, graph, outputs))
                journal.started(Job("a", 0.0))
                journal.before_node(node or save())
                write(output / "set")
        return journal.rows.jobs(1)[0]["state"]

    yield run
    for journal in begun:
        journal.close()


def test_all_pictures_whole_is_done(die):
    assert die(lambda folder: [(folder / f"pic_0000{n}_.png").write_bytes(PNG) for n in (1, 2)]) == "done"


def test_a_picture_missing_or_torn_is_run_again(die):
    def write(folder):
        (folder / "pic_00001_.png").write_bytes(PNG)
        (folder / "pic_00002_.png").write_bytes(PNG[:-1])

    assert die(write) == "queued"


def test_previews_that_a_new_process_does_not_show_are_not_waited_for_but_other_outputs_are(die):
    def write(folder):
        for n in (1, 2):
            (folder / f"pic_0000{n}_.png").write_bytes(PNG)

    assert die(write, ("3", "4")) == "done"


def test_an_output_of_which_nothing_can_be_proven_is_run_again(die):
    assert die(lambda folder: [(folder / f"pic_0000{n}_.png").write_bytes(PNG) for n in (1, 2)], ("3", "5")) == "queued"


def test_what_lay_there_before_does_not_count(tmp_path):
    for n in (1, 2):
        (tmp_path / f"pic_0000{n}_.png").write_bytes(PNG)
    noted = Saves(tmp_path).about_to_write(save(prefix="pic"))
    assert noted[1:] == (2, 2, ".png")
    assert not was_written(*noted)
    for n in (3, 4):
        (tmp_path / f"pic_0000{n}_.png").write_bytes(PNG)
    assert was_written(*noted)


@pytest.fixture
def picture(tmp_path):
    def write(number, ending=".png", prefix="pic"):
        path = tmp_path / f"{prefix}_{number:05}_{ending}"
        path.write_bytes(PNG)
        return path

    return write


@pytest.fixture
def saves(tmp_path):
    """A look at the highest number that is there, before one more picture is saved."""
    seen = Saves(tmp_path)
    return lambda images=1, prefix="pic": seen.about_to_write(save(images, prefix))[1]


def test_the_next_number_follows_from_the_last_without_a_look_at_the_folder(saves, picture, tmp_path):
    picture(7)
    assert saves() == 7
    picture(8)
    # Seen only by who looks at the whole folder; ComfyUI would, and would then write none of the files looked for.
    picture(500)
    assert saves(images=2) == 8
    for number in (9, 10):
        picture(number)
    assert saves() == 10


def test_it_looks_again_where_the_last_one_was_not_written(saves, picture):
    assert saves(images=3) == 0
    picture(1)
    assert saves() == 1


def test_it_looks_again_where_somebody_else_has_written_the_next_one(saves, picture):
    assert saves() == 0
    picture(1)
    picture(2, ".mp4")
    picture(3)
    assert saves() == 3


def test_it_looks_again_where_the_last_ones_are_gone(saves, picture):
    picture(3)
    assert saves() == 3
    gone = picture(4)
    assert saves() == 4
    picture(5).unlink()
    gone.unlink()
    assert saves() == 3


def test_each_prefix_has_its_own_numbers_and_many_are_forgotten(saves, picture):
    for n in range(200):
        assert saves(prefix=f"set{n}") == 0
    picture(1, prefix="set0")
    assert saves(prefix="set0") == 1


def test_a_picture_of_somebody_else_with_a_higher_number_proves_nothing(tmp_path, picture):
    noted = Saves(tmp_path).about_to_write(save(1, "pic"))
    picture(40)
    assert not was_written(*noted)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("pic_00012_.png", 12),
        ("pic_00012_.webm", 12),
        ("pic_12.png", 12),
        ("pic_00012_audio.mp4", 12),
        ("pic_123456_.png", 123456),
        ("pic_00012x.png", 0),
        ("picture_00012_.png", 0),
        ("a pic_00012_.png", 0),
        ("pic.png", 0),
        ("pic_.png", 0),
    ],
)
def test_numbers_are_counted_as_comfyui_counts_them(tmp_path, name, number):
    (tmp_path / name).touch()
    assert highest_number(str(tmp_path / "pic")) == number


def test_a_folder_that_is_not_there_has_no_numbers(tmp_path):
    assert highest_number(str(tmp_path / "gone" / "pic")) == 0


@pytest.mark.parametrize(
    "node",
    [
        save(prefix="%date%"),
        save(runs=2),
        save(images=0),
        save(kind="SaveAnimatedWEBP"),
        NodeStart("a", "3", "SaveImage"),
    ],
)
def test_nothing_is_noted_where_nothing_could_be_proven(tmp_path, node):
    assert Saves(tmp_path).about_to_write(node) is None


@pytest.mark.parametrize("data", [b"", PNG_BEGIN, PNG_END, PNG_BEGIN + PNG_END, PNG + b"x", b"x" + PNG])
def test_what_is_no_whole_png(tmp_path, data):
    (tmp_path / "x.png").write_bytes(data)
    assert not is_whole_png(tmp_path / "x.png")
    assert not is_whole_png(tmp_path / "none.png")
