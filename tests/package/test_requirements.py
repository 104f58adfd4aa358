"""We ask pip for little, in wide ranges: nothing that would move a version another pack or ComfyUI needs."""

from __future__ import annotations

import json

import pytest
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

COMFYUIS_OWN = {"torch", "torchvision", "torchaudio", "numpy", "aiohttp", "pillow", "transformers", "av"}


@pytest.fixture(scope="session")
def ours(root):
    lines = (root / "requirements.txt").read_text("utf-8").split()
    return {r.name: r for r in map(Requirement, lines)}


def test_we_ask_for_nothing_whose_version_comfyui_chooses(ours):
    assert not COMFYUIS_OWN & set(ours)
    assert len(ours) <= 3


def test_each_range_is_open_above_or_ends_at_the_next_major_version(ours):
    newer = {"psutil": "7.9", "nvidia-ml-py": "13.999", "pydantic": "2.99"}
    assert set(newer) == set(ours)
    for name, version in newer.items():
        assert ours[name].specifier.contains(Version(version)), ours[name]


def test_no_much_used_pack_pins_what_we_need_to_what_we_cannot_take(root, ours):
    packs = json.loads((root / "tests" / "data" / "pack_requirements.json").read_text("utf-8"))["packs"]
    assert len(packs) == 20
    for name, pack in packs.items():
        for line in pack["requirements"]:
            try:
                theirs = Requirement(line)
            except InvalidRequirement:  # an address, or a list that pip itself refuses
                continue
            own = ours.get(theirs.name.lower())
            pinned = [s.version for s in theirs.specifier if s.operator == "=="] if own else []
            assert all(own.specifier.contains(version) for version in pinned), f"{name}: {line}"
