from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from resource_gate.host.temp_names import TempNames


@pytest.fixture
def temp(tmp_path):
    folder = tmp_path / "temp"
    folder.mkdir()
    return folder


@pytest.fixture
def named(temp):
    names = TempNames(temp)

    def find(*values, bare=False):
        found = {Path(p) for p in names.named(values, bare=bare)}
        assert all(p.is_relative_to(temp) for p in found)
        return {str(p.relative_to(temp)) for p in found}

    return find


def test_what_browsers_are_shown_names_files(named):
    images = [
        {"filename": "a.png", "subfolder": "", "type": "temp"},
        {"filename": "b.png", "subfolder": "deep/er", "type": "temp"},
        {"filename": "c.png", "subfolder": "", "type": "output"},
        {"filename": "", "type": "temp"},
        {"filename": "e.png", "subfolder": None, "type": "temp"},
    ]
    assert named({"images": images, "animated": (True,)}) == {"a.png", "deep/er/b.png", "e.png"}


def test_a_preview_of_a_thousand_frames_is_named_whole(named):
    frames = [{"filename": f"{n}.png", "subfolder": "", "type": "temp"} for n in range(1000)]
    assert len(named({"images": frames})) == 1000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x.png [temp]", {"x.png"}),
        ("sub/x.png [temp]", {"sub/x.png"}),
        ("x.png[temp]", {"x.png"}),
        ("x.png [input]", set()),
        ("x.png", set()),
        ("temp/x.png", {"x.png"}),
        ("./temp/x.png", {"x.png"}),
        ("output/x.png", set()),
        ("temp/../output/x.png", set()),
        ("../secret [temp]", set()),
        ("temperature/x.png", set()),
        ("a prompt: cat/dog, 3.5 feet", set()),
        ('"temp/quoted name.png"', {"quoted name.png"}),
        ("one line\ntemp/two.png\nthree", {"two.png"}),
        ("bad\0name [temp]", {"bad\0name"}),
        ("x" * 100_000, set()),
        ("", set()),
    ],
)
def test_texts_name_files_as_node_inputs_do(named, text, found):
    assert named({"image": text}) == found


def test_whole_paths_count_through_links_too(named, temp, tmp_path):
    assert named(str(temp / "x.png"), temp / "y.png", str(tmp_path / "output/x.png")) == {"x.png", "y.png"}


def test_a_temp_folder_that_is_a_link_is_named_by_both_its_paths(tmp_path):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "temp"
    link.symlink_to(tmp_path / "disk", target_is_directory=True)
    found = set(TempNames(link).named([str(tmp_path / "disk/a.png"), str(link / "b.png")]))
    assert found == {str(link / "a.png"), str(link / "b.png")}


def test_a_bare_file_name_counts_only_where_it_is_asked_for(named):
    assert named({"video": "clip.mp4", "steps": 20, "text": "no file"}, bare=True) == {"clip.mp4"}
    assert named({"video": "clip.mp4"}) == set()


def test_objects_that_keep_a_path_are_looked_into(named, temp):
    video = SimpleNamespace(_file=str(temp / "clip.mp4"), fps=24)
    assert named([(True, [str(temp / "a.mp4")])], [video]) == {"a.mp4", "clip.mp4"}


def test_a_mapping_that_loads_when_it_is_looked_at_is_not_made_to_load(named, temp):
    class LazyAudio(Mapping):
        def __init__(self, file):
            self.file = file

        def __getitem__(self, key):
            raise AssertionError("ffmpeg was run")

        __iter__ = __len__ = get = __getitem__

    assert named([[LazyAudio(str(temp / "film.mp4"))]]) == {"film.mp4"}


class Model:
    def __init__(self, path):
        self.path = path

    def model_size(self):
        return 1


def test_models_and_things_that_refer_to_themselves_are_no_trouble(named, temp):
    loop: list = [str(temp / "a.png")]
    loop.append(loop)
    strange = SimpleNamespace(patcher=object(), path=str(temp / "no.png"))
    assert named(loop, [Model(str(temp / "no.png"))], [strange], [len], [Model], object()) == {"a.png"}
