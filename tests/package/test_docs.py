"""What the pages point to is there: files, make targets, modules, Python versions."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_file_that_a_page_links_to_is_there(page):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "README.md", "SECURITY.md"])
def test_every_make_target_that_a_page_names_is_there(name):
    targets = set(re.findall(r"^([a-z_-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)", (ROOT / name).read_text("utf-8")))
    assert named <= targets


def test_every_module_that_contributing_names_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = {n for n in re.findall(r"`([a-z_]+/[\w/]*\.(?:py|json|md))`", text) if "<" not in n and "*" not in n}
    assert len(named) > 10
    assert sorted(n for n in named if not (ROOT / n).exists()) == []


def test_the_workflows_test_every_python_that_the_package_names():
    workflow = (ROOT / ".github/workflows/test.yml").read_text("utf-8")
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    (listed,) = re.findall(r"^\s+python: \[(.*)\]$", workflow, re.MULTILINE)
    assert re.findall(r"3\.\d+", listed) == re.findall(r"Python :: (3\.\d+)", project)


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=lambda p: p.name)
def test_every_svg_is_well_formed_says_what_it_shows_and_loads_nothing(picture):
    root = ElementTree.parse(picture).getroot()
    assert root.get("role") == "img" and (root.get("aria-label") or root.get("aria-labelledby"))
    text = picture.read_text("utf-8")
    assert not re.search(r"<script|href=\"http|url\(http|@import", text)


def test_the_architecture_picture_is_readable_in_dark_and_light():
    text = (ROOT / "docs/images/architecture.svg").read_text("utf-8")
    assert "prefers-color-scheme: dark" in text
