from __future__ import annotations

import threading
from collections import namedtuple
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from resource_gate.host.comfyui_temp import TempFiles
from resource_gate.reclaim.host import Place

CacheEntry = namedtuple("CacheEntry", ["ui", "outputs"])


class Queue:
    def __init__(self):
        self.running, self.pending, self.history = [], [], {}
        self.mutex = threading.RLock()

    def get_current_queue_volatile(self):
        return list(self.running), list(self.pending)


@pytest.fixture
def temp(tmp_path):
    return tmp_path / "temp"


@pytest.fixture
def queue():
    return Queue()


@pytest.fixture
def folders(tmp_path):
    return SimpleNamespace(
        get_temp_directory=lambda: str(tmp_path / "temp"),
        get_output_directory=lambda: str(tmp_path / "output"),
        get_input_directory=lambda: str(tmp_path / "input"),
        get_user_directory=lambda: str(tmp_path / "user"),
        models_dir=str(tmp_path / "models"),
        get_folder_paths=lambda kind: [str(tmp_path / kind)],
    )


@pytest.fixture
def packs(tmp_path):
    """Modules that are loaded: a node pack's, filled by a test, and one that is none."""
    pack, library = ModuleType("pack.utils"), ModuleType("library")
    pack.__file__ = str(tmp_path / "custom_nodes" / "pack" / "utils.py")
    library.__file__ = str(tmp_path / "custom_nodes_of_others" / "library.py")
    return pack, library


@pytest.fixture
def files(queue, folders, packs):
    return TempFiles(queue, folders, wall=lambda: 500.0, modules=lambda: [None, *packs])


def prompt(name, **inputs):
    return (0, name, {"1": {"class_type": "LoadImage", "inputs": inputs}}, {}, ["1"])


def shown(*names):
    return {"images": [{"filename": n, "subfolder": "", "type": "temp"} for n in names]}


def test_history_running_and_waiting_prompts_refer_to_files(files, queue, temp):
    queue.history = {"a": {"prompt": prompt("a", image="again.png [temp]"), "outputs": {"9": shown("seen.png")}}}
    queue.running = [prompt("b", image="used.png [temp]", video="bare.mp4")]
    queue.pending = [prompt("c", path=str(temp / "sub/waiting.png"), image=["4", 0])]
    names = {str(p.relative_to(temp)) for p in files.referenced()}
    assert names == {"again.png", "seen.png", "used.png", "bare.mp4", "sub/waiting.png"}


def test_a_pack_that_shows_each_user_only_his_own_history_takes_nobodys_files_out_of_it(files, queue, temp):
    queue.history = {"a": {"outputs": {"9": shown("mine.png")}}, "b": {"outputs": {"9": shown("hers.png")}}}
    queue.get_history = lambda prompt_id=None, max_items=None, offset=-1, map_function=None: {"a": queue.history["a"]}
    assert files.referenced() == {temp / "mine.png", temp / "hers.png"}


def test_what_a_pack_remembers_in_a_variable_of_its_module_is_referenced(files, packs, temp):
    """VideoHelperSuite keeps in one where it has downloaded a video to, and hands that out without another look."""
    packs[0].download_history = {"https://example.org/v": str(temp / "v.mp4"), "gone": None, 7: [str(temp / "w.mp4")]}
    packs[0].thumbnails = temp / "thumbs"
    packs[0].by_path = {str(temp / "keyed.png"): 1}
    packs[0].text = "bare.mp4"
    packs[1].download_history = {"x": str(temp / "not_a_pack.mp4")}
    names = {str(p.relative_to(temp)) for p in files.referenced()}
    assert names == {"v.mp4", "w.mp4", "thumbs", "keyed.png"}


def test_what_a_pack_keeps_in_objects_of_its_own_is_not_looked_into(files, packs):
    class Registry(dict):
        def values(self):
            raise AssertionError("foreign code was run")

        __iter__ = items = values

        @property
        def path(self):
            raise AssertionError("foreign code was run")

    packs[0].registry = Registry(a=1)
    packs[0].loop = loop = []
    loop.append(loop)
    assert files.referenced() == set()


def test_histories_of_another_shape_are_no_error(files, queue, temp):
    queue.history = {
        "a": {},
        "b": {"prompt": None, "outputs": None},
        "c": {"outputs": {"1": None, "2": shown("x.png")}},
    }
    queue.pending = [(1, "short")]
    assert files.referenced() == {temp / "x.png"}


def test_input_output_user_data_and_models_are_never_cleaned(files, tmp_path):
    assert set(files.kept_folders()) == {tmp_path / n for n in ("output", "input", "user", "models")}


def test_a_prompt_runs_since_it_was_about_to_leave_the_queue(files, queue):
    assert files.running_since() is None
    queue.running = [prompt("a")]
    assert files.running_since() == 0.0, "its start was not seen: everything may be its own"
    files.about_to_start()
    assert files.running_since() == 500.0
    queue.running = []
    assert files.running_since() is None


def caches_of(entries, old=False):
    if old:
        outputs = {key: outputs for key, (_, outputs) in entries.items()}
        ui = {key: ui for key, (ui, _) in entries.items() if ui is not None}
        return SimpleNamespace(outputs=SimpleNamespace(cache=outputs), ui=SimpleNamespace(cache=ui))
    made = {key: CacheEntry(*entry) for key, entry in entries.items()}
    return SimpleNamespace(outputs=SimpleNamespace(cache=made))


@pytest.fixture
def entries(temp):
    def ui(name):
        return {"meta": {"node_id": "1"}, "output": shown(name)}

    return {
        "preview": (ui("preview.png"), []),
        "other preview": (ui("other.png"), []),
        "costly": (ui("costly.png"), [["an image"]]),
        "video": (None, [[SimpleNamespace(_file=str(temp / "clip.mp4"))]]),
        "plain": (None, [[1, 2]]),
    }


def paths(temp, *names):
    return {str(temp / n) for n in names}


@pytest.mark.parametrize("old", [False, True])
def test_between_prompts_a_mere_preview_is_forgotten_and_its_file_may_go(files, temp, entries, old):
    caches = caches_of(entries, old)
    asked = paths(temp, "preview.png", "costly.png", "clip.mp4", "unknown.png")
    assert files.release(caches, asked, Place.BETWEEN_PROMPTS) == paths(temp, "preview.png", "unknown.png")
    assert set(caches.outputs.cache) == {"other preview", "costly", "video", "plain"}


@pytest.mark.parametrize("old", [False, True])
def test_between_nodes_every_file_that_the_cache_shows_stays(files, temp, entries, old):
    caches = caches_of(entries, old)
    asked = paths(temp, "preview.png", "costly.png", "clip.mp4", "unknown.png")
    assert files.release(caches, asked, Place.BETWEEN_NODES) == paths(temp, "unknown.png")
    assert set(caches.outputs.cache) == set(entries)


@pytest.mark.parametrize("old", [False, True])
def test_a_preview_that_only_passes_on_what_it_shows_is_forgotten_while_the_maker_is_there(files, temp, old):
    image = SimpleNamespace()
    seen = {"meta": {}, "output": shown("a.png")}
    twice = {"meta": {}, "output": shown("b.png")}
    asked = paths(temp, "a.png", "b.png")
    caches = caches_of({"maker": (None, [[image]]), "one": (seen, [[image]]), "two": (twice, [[image]])}, old)
    assert files.release(caches, asked, Place.BETWEEN_PROMPTS) == asked
    assert set(caches.outputs.cache) == {"maker"}
    caches = caches_of({"one": (seen, [[image]]), "two": (twice, [[image]])}, old)
    assert files.release(caches, asked, Place.BETWEEN_PROMPTS) == paths(temp, "a.png"), "one must hold the image"
    assert set(caches.outputs.cache) == {"two"}


def test_a_value_that_happens_to_be_the_same_object_elsewhere_is_still_an_own_result(files, temp):
    counted = ({"meta": {}, "output": shown("a.png")}, [[7]])
    caches = caches_of({"counter": counted, "another": (None, [[7]])})
    assert files.release(caches, paths(temp, "a.png"), Place.BETWEEN_PROMPTS) == set()


def test_entries_of_expanded_nodes_are_found(files, temp, entries):
    caches = caches_of({})
    caches.outputs.subcaches = {"expanded": caches_of(entries).outputs}
    assert files.release(caches, paths(temp, "clip.mp4"), Place.BETWEEN_PROMPTS) == set()


def test_without_an_executor_or_a_cache_everything_may_go(files, temp):
    asked = paths(temp, "a.png")
    assert files.release(None, asked, Place.BETWEEN_PROMPTS) == asked
    assert files.release(SimpleNamespace(outputs=object()), asked, Place.BETWEEN_PROMPTS) == asked


def test_the_folder_is_normal_whatever_it_was_set_to(queue, folders, tmp_path):
    folders.get_temp_directory = lambda: str(tmp_path / "x" / ".." / "temp") + "/"
    assert TempFiles(queue, folders).folder() == Path(tmp_path / "temp")
