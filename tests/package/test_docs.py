"""What the pages point to is there: files, make targets, modules, Python versions."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from resource_gate.settings_model import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_file_that_a_page_links_to_is_there(page):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def rows_and_headings(text):
    """The skeleton of a page: levels of its headings, rows of its tables, blocks of code."""
    kinds = (re.match(r"#+ |\||```|- |\*\*|!\[", line) for line in text.splitlines())
    return [kind[0] for kind in kinds if kind]


def test_the_chinese_readme_has_every_section_row_link_and_figure_of_the_english_one():
    english, chinese = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh-CN.md"))
    assert rows_and_headings(chinese) == rows_and_headings(english)

    def links(text):
        found = set(re.findall(r"\]\(([^)\s]+)", text))
        return {link for link in found if not link.endswith(".png") and not link.startswith("README")}

    assert links(chinese) == links(english)
    assert set(re.findall(r"`((?:ram|gate|reclaim|monitor)\.\w+)`", chinese)) == set(
        re.findall(r"`((?:ram|gate|reclaim|monitor)\.\w+)`", english)
    )


def leaves(value, name=""):
    if not isinstance(value, dict):
        return {name: value}
    return {k: v for key, each in value.items() for k, v in leaves(each, f"{name}.{key}".strip(".")).items()}


def test_the_reference_tells_every_setting_with_its_default():
    text = (ROOT / "docs" / "reference.md").read_text("utf-8")
    told = {}
    row = re.compile(r"^\| (`(?:ram|monitor|reclaim|gate)\.[a-z_]+`[^|]*) \| ([^|]*) \|", re.MULTILINE)
    for names, values in row.findall(text):
        named, given = re.findall(r"`([a-z_.]+)`", names), values.replace("`", "").split(", ")
        told |= dict(zip(named, given * len(named) if len(given) == 1 else given, strict=True))
    real = leaves(Settings().model_dump())
    shown = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in real.items()}
    of_tiers = ("vram.", "cpu.", "disk.")
    assert {n: t.replace("0.90", "0.9") for n, t in told.items()} == {
        name: value for name, value in shown.items() if not name.startswith(of_tiers)
    }
    odd = {n: v for n, v in real.items() if n.startswith(of_tiers) and v != real[f"ram.{n.partition('.')[2]}"]}
    assert all(f"`{name}` is {value}" in text for name, value in odd.items())


def test_the_reference_names_every_route():
    text = (ROOT / "docs" / "reference.md").read_text("utf-8")
    there = set()
    for path in (ROOT / "api").glob("*.py"):
        there |= set(re.findall(r"table\.(?:get|post)\(\"/resource_gate/([\w/]+)\"\)", path.read_text("utf-8")))
    named = set(re.findall(r"`(?:GET |POST )?([a-z]+(?:/[a-z]+)?)`", text))
    assert len(there) > 15 and there <= named


def test_every_file_that_is_kept_beside_the_settings_is_told():
    kept = {"settings.json"}
    for path in [*(ROOT / "gate").rglob("*.py"), *(ROOT / "batch" / "supervisor").glob("*.py")]:
        kept |= set(re.findall(r'^FILE = "([\w.]+)"$', path.read_text("utf-8"), re.MULTILINE))
    assert len(kept) > 5
    for page in ("docs/architecture.md", "docs/reference.md", "SECURITY.md"):
        text = (ROOT / page).read_text("utf-8")
        companions = {name for name in kept if name.startswith("journal.") and "its companions" in text}
        assert {name for name in kept if f"`{name}`" not in text} <= companions, page


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
