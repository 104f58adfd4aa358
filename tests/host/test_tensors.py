from __future__ import annotations

import sys
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from resource_gate.host.tensors import MAX_OBJECTS, contents


class Storage:
    made = 0

    def __init__(self, size):
        Storage.made += 1
        self._cdata, self._size = Storage.made, size

    def nbytes(self):
        return self._size


class Tensor:
    """As much of a `torch.Tensor` as is looked at."""

    def __init__(self, size, device="cpu", storage=None):
        self.storage = storage or Storage(size)
        self.nbytes = size
        self.device = SimpleNamespace(type=device)

    def untyped_storage(self):
        return self.storage


class Sparse(Tensor):
    def untyped_storage(self):
        raise NotImplementedError("Cannot access storage of SparseTensorImpl")


class Module:
    def __init__(self, *parameters):
        self._parameters = parameters

    def parameters(self):
        return iter(self._parameters)


TORCH = SimpleNamespace(Tensor=Tensor, nn=SimpleNamespace(Module=Module))


class Patcher:
    """As much of a ComfyUI `ModelPatcher` as is looked at."""

    def __init__(self, size, loaded=0, device="cuda", model=None):
        self.model = model or object()
        self.load_device = SimpleNamespace(type=device)
        self._size, self._loaded = size, loaded

    def model_size(self):
        return self._size

    def loaded_size(self):
        return self._loaded


def look(*outputs):
    return contents(outputs, TORCH)


def total(part):
    return sum(part.values())


def test_tensors_are_found_in_lists_dicts_and_plain_objects():
    video = SimpleNamespace(components=SimpleNamespace(images=Tensor(70), audio={"waveform": Tensor(5)}))
    found = look([Tensor(100)], {"samples": Tensor(20)}, video, (Tensor(3),), {"name": "x", "n": 4})
    assert total(found.ram) == 198 and found.vram == {} and found.models == {}


def test_tensors_on_a_device_count_there():
    found = look(Tensor(100, "cuda"), Tensor(7))
    assert (total(found.ram), total(found.vram)) == (7, 100)


def test_views_of_one_storage_count_once():
    storage = Storage(100)
    assert total(look(Tensor(100, storage=storage), Tensor(50, storage=storage)).ram) == 100


def test_a_view_counts_with_its_whole_storage_because_that_is_what_it_keeps_alive():
    assert total(look(Tensor(1, storage=Storage(1000))).ram) == 1000


def test_a_model_counts_with_what_of_it_lies_in_ram():
    assert total(look(Patcher(1000, loaded=600)).models) == 400
    assert total(look(Patcher(1000, loaded=1000, device="cpu")).models) == 1000


def test_clones_of_a_patcher_share_one_model():
    model = object()
    assert total(look(Patcher(1000, model=model), [Patcher(1000, model=model)]).models) == 1000


def test_a_vae_is_known_by_its_patcher_not_counted_twice_by_its_parts():
    patcher = Patcher(300)
    vae = SimpleNamespace(patcher=patcher, first_stage_model=Module(Tensor(300)))
    assert total(look(vae).models) == 300


def test_a_bare_module_counts_its_parameters_in_ram():
    assert total(look(Module(Tensor(10), Tensor(20, "cuda"))).models) == 10


def test_objects_that_refer_to_each_other_end_the_walk():
    a, b = SimpleNamespace(t=Tensor(5)), SimpleNamespace()
    a.other, b.other = b, a
    assert total(look(a, b).ram) == 5


def test_a_tensor_without_storage_is_left_out_and_the_rest_counted():
    assert total(look(Sparse(100), Tensor(5)).ram) == 5


def test_an_object_that_raises_when_looked_at_is_left_out_and_the_rest_counted():
    class Hostile:
        def __getattr__(self, name):
            raise RuntimeError("not ready")

    assert total(look(Hostile(), Tensor(5)).ram) == 5


class LazyAudio(Mapping):
    """As VideoHelperSuite's: to look at what it maps runs ffmpeg, and fails for a film without sound."""

    def __init__(self, file, loaded=None):
        self.file, self._dict, self.runs = file, loaded, 0

    def __getitem__(self, key):
        self.runs += 1
        raise RuntimeError("failed to extract audio")

    __iter__ = __len__ = __getitem__


def test_a_mapping_that_loads_when_it_is_looked_at_is_not_made_to_load():
    lazy = LazyAudio("a.mp4", {"waveform": Tensor(700)})
    assert sum(contents([[lazy]], TORCH).ram.values()) == 700
    assert lazy.runs == 0


def test_a_kind_of_dict_is_looked_into_without_running_its_own_code():
    class Odd(dict):
        values = items = None

    assert sum(contents([Odd(a=Tensor(5))], TORCH).ram.values()) == 5


def test_classes_and_functions_are_not_walked():
    class Holder:
        tensor = Tensor(5)

    def function():
        pass

    function.tensor = Tensor(6)
    assert look(Holder, function).ram == {}


def test_a_huge_list_costs_a_bounded_look():
    looked = []

    class Counted:
        def __init__(self):
            self.__dict__["x"] = 1

        def __getattr__(self, name):
            looked.append(id(self))
            raise AttributeError(name)

    items = [Counted() for _ in range(5 * MAX_OBJECTS)]
    look(items)
    assert 0 < len(set(looked)) <= MAX_OBJECTS


@pytest.mark.skipif("torch" in sys.modules, reason="torch is loaded here")
def test_without_torch_nothing_is_found_and_torch_is_not_loaded():
    found = contents([Tensor(5)])
    assert (found.ram, found.vram, found.models) == ({}, {}, {}) and "torch" not in sys.modules
