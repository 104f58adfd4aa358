"""We ask pip for little, in wide ranges: nothing that would move a version another pack or ComfyUI needs."""

from __future__ import annotations

import json
import re

import pytest
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

from resource_gate.batch.fleet.require import INSTALL

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


def test_nobody_is_told_to_install_us_by_name(root, shipped):
    """The registry has us, PyPI has not: whoever takes the name there would get what runs beside our users' keys."""
    pages = [*shipped, *(p.relative_to(root).as_posix() for p in (root / "docs").glob("*.md"))]
    texts = {name: (root / name).read_text("utf-8", "replace") for name in pages if not name.endswith((".jpg", ".png"))}
    assert [name for name, text in texts.items() if re.search(r"pip install ['\"]?resource-gate", text)] == []


def test_what_several_machines_need_is_told_as_the_package_asks_for_it(root):
    project = (root / "pyproject.toml").read_text("utf-8")
    (asked,) = re.findall(r'^fleet = \["(.+)"\]$', project, re.MULTILINE)
    assert asked in INSTALL and asked in (root / "docs" / "several-machines.md").read_text("utf-8")


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
