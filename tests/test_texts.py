"""The texts of the nodes are those of the nodes: none is missing and none is left over, in any language."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resource_gate.extension import passing_nodes
from resource_gate.version import __version__

ROOT = Path(__file__).parents[1]
LANGUAGES = sorted(p.name for p in (ROOT / "locales").iterdir())


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_widget_and_output_has_a_text_and_no_text_is_left_over(language):
    texts = json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text("utf-8"))
    nodes = {spec.id: spec for spec in passing_nodes()}
    assert set(texts) == set(nodes)
    for name, spec in nodes.items():
        assert list(texts[name]["inputs"]) == ["value", *(w.name for w in spec.widgets)]
        assert list(texts[name]["outputs"]) == [str(i) for i in range(spec.passes + len(spec.outputs))]


@pytest.mark.parametrize("spec", passing_nodes(), ids=lambda spec: spec.id)
def test_each_node_has_a_help_page_that_names_its_widgets_and_outputs(spec):
    page = (ROOT / "web" / "docs" / f"{spec.id}.md").read_text("utf-8")
    for name in [*(w.name for w in spec.widgets), *(o.name for o in spec.outputs)]:
        assert f"`{name}`" in page


def test_the_version_is_the_same_everywhere():
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    panel = json.loads((ROOT / "ui" / "package.json").read_text("utf-8"))
    assert panel["version"] == __version__
    assert f'\nversion = "{__version__}"\n' in project
    for requirement in (ROOT / "requirements.txt").read_text("utf-8").split():
        assert f'"{requirement}"' in project
