"""The texts are those of the nodes and of the panel: none is missing, none is left over, in any language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

import pytest

from resource_gate.nodes.passing import passing_nodes
from resource_gate.reclaim.host import MemoryHost
from resource_gate.reclaim.rungs import standard_rungs
from resource_gate.reclaim.temp_rung import ExpiredTemp
from resource_gate.settings_model import Settings, Tiers
from resource_gate.version import __version__

ROOT = Path(__file__).parents[1]
LOCALES = ROOT / "locales"
LANGUAGES = sorted(p.name for p in LOCALES.iterdir())
WHOLE = ("en", "zh")
"""With settings and commands, and the help pages of the nodes; the others have the panel and the nodes."""
PLURALS = {"zero", "one", "two", "few", "many", "other"}
FOR_EVER = {"ResourceGate", "ResourceGateFreeMemory", "ResourceGateStatus", "ResourceGateBatchSize"}
"""Workflows hold these ids."""
SOURCE = "\n".join(p.read_text("utf-8") for p in sorted((ROOT / "ui" / "src").rglob("*.ts")))


def load(language: str, name: str) -> dict[str, Any]:
    return dict(json.loads((LOCALES / language / f"{name}.json").read_text("utf-8")))


def leaves(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, str | dict[str, str]]]:
    """Texts by their key; one with plural forms is one leaf."""
    for name, value in tree.items():
        if isinstance(value, str) or ("other" in value and set(value) <= PLURALS):
            yield path + name, value
        else:
            yield from leaves(value, f"{path}{name}.")


def forms(text: str | dict[str, str]) -> list[str]:
    return [text] if isinstance(text, str) else list(text.values())


def holes(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


PANEL = dict(leaves(load("en", "main")["resourceGate"]))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_widget_and_output_has_a_text_and_no_text_is_left_over(language):
    texts = load(language, "nodeDefs")
    nodes = {spec.id: spec for spec in passing_nodes()}
    assert FOR_EVER <= set(nodes) == set(texts)
    for name, spec in nodes.items():
        assert list(texts[name]["inputs"]) == ["value", *(w.name for w in spec.widgets)]
        assert list(texts[name]["outputs"]) == [str(i) for i in range(spec.passes + len(spec.outputs))]
    for node in texts.values():
        for slot in (*node["inputs"].values(), *node["outputs"].values()):
            assert slot["name"] and slot["tooltip"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_panel_has_the_same_texts_in_each_language(language):
    main = load(language, "main")
    wanted = {key for key in PANEL if language in WHOLE or not key.startswith("settings.help.")}
    assert set(dict(leaves(main["resourceGate"]))) == wanted
    assert set(main) == set(load("en", "main"))
    for part in set(main) - {"resourceGate"}:
        assert set(main[part]) == set(load("en", "main")[part])


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_text_says_all_that_it_is_given(language):
    for key, text in leaves(load(language, "main")["resourceGate"]):
        expected = set().union(*map(holes, forms(PANEL[key])))
        for form in forms(text):
            # A number may be a word in the form that stands for one thing only.
            assert expected - {"n"} <= holes(form) <= expected | {"n"}, (language, key)
            assert form.strip() == form and form, (language, key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_the_plural_forms_that_its_grammar_asks_for(language):
    wanted = {"en": "one other", "es": "one other", "fr": "one other", "ru": "one few many other"}
    for key, text in leaves(load(language, "main")["resourceGate"]):
        if not isinstance(PANEL[key], str):
            assert isinstance(text, dict), key
            assert set(wanted.get(language, "other").split()) <= set(text), (language, key)


@pytest.mark.parametrize("key", PANEL)
def test_each_text_is_used_by_the_panel(key):
    """By its whole key, or by one that is put together at run time: `level.${name}`."""
    if f'"{key}"' in SOURCE or f"`{key}`" in SOURCE or f"'{key}'" in SOURCE:
        return
    templates = re.findall(r"`([a-z]\w*\.[\w.]*\$\{[^`]*)`", SOURCE)
    patterns = [re.sub(r"\\\$\\\{.*?\\\}", r"[\\w.]+", re.escape(found)) for found in templates]
    assert any(re.fullmatch(pattern, key) for pattern in patterns), f"{key} is used nowhere"


def setting_texts() -> Iterator[tuple[str, str]]:
    """Each setting by the keys of its name and its help; the four sections of tiers share theirs."""
    for section, group in Settings():
        part = "tier" if isinstance(group, Tiers) else section
        for name in type(group).model_fields:
            yield f"settings.field.{part}.{name}", f"settings.help.{part}.{name}"


def test_each_setting_has_a_name_and_a_help_and_none_is_left_over():
    names, helps = (set(keys) for keys in zip(*setting_texts(), strict=True))
    assert {key for key in PANEL if key.startswith("settings.field.")} == names
    assert {key for key in PANEL if key.startswith("settings.help.")} == helps


def test_each_step_that_the_log_can_name_has_a_text():
    built = standard_rungs(
        cast(MemoryHost, None),
        heap_slack=lambda: None,
        trim_worth=lambda: 0,
        gc_share=lambda: 0.0,
        ram_free=lambda: 0,
    )
    steps = {rung.name for rungs in built.values() for rung in rungs} | {ExpiredTemp.name, "interrupt"}
    assert {k for k in PANEL if k.startswith("action.step.")} == {f"action.step.{s.replace(' ', '_')}" for s in steps}


def test_each_sentence_of_the_journal_that_has_a_text_is_one_that_it_says():
    rooms = [path.read_text("utf-8") for room in ("gate", "host") for path in sorted((ROOT / room).rglob("*.py"))]
    told = {key: text for key, text in PANEL.items() if key.startswith("jobs.error.")}
    assert told
    for key, text in told.items():
        assert key == "jobs.error." + str(text).replace(" ", "_")
        assert any(f'"{text}' in source for source in rooms), text


def test_each_word_for_what_holds_a_card_back_has_a_text():
    words = re.findall(r'\("\w+", "([a-z ()]+)"\)', (ROOT / "monitor" / "nvml.py").read_text("utf-8"))
    held = {"meters.held." + re.sub(r"\W+", "_", word).rstrip("_") for word in words}
    assert {key for key in PANEL if key.startswith("meters.held.")} == held


def test_each_reason_that_a_machine_can_give_has_a_text():
    """Those of its server, its worker and its breaker, as codes: `{"code": "paused"}`, or an error's own."""
    source = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "batch").rglob("*.py")))
    codes = set(re.findall(r'(?:"code": |\bcode = )"(\w+)"', source))
    assert {key for key in PANEL if key.startswith("machines.cause.")} == {f"machines.cause.{code}" for code in codes}


def test_each_section_and_each_choice_of_a_setting_has_a_text():
    for section, group in Settings():
        assert f"settings.section.{section}" in PANEL
        for field in type(group).model_fields.values():
            for choice in get_args(field.annotation) if get_origin(field.annotation) is Literal else ():
                assert f"settings.choice.{choice}" in PANEL


@pytest.mark.parametrize("name", ["settings", "commands"])
def test_settings_and_commands_have_the_same_texts_in_both_whole_languages(name):
    english, chinese = (load(language, name) for language in WHOLE)
    assert english.keys() == chinese.keys()
    assert all(set(english[key]) == set(chinese[key]) for key in english)


@pytest.mark.parametrize("spec", passing_nodes(), ids=lambda spec: spec.id)
@pytest.mark.parametrize("page", ["{}.md", "{}/zh.md"])
def test_each_node_has_help_pages_that_name_its_widgets_and_outputs(spec, page):
    text = (ROOT / "web" / "docs" / page.format(spec.id)).read_text("utf-8")
    for name in ["value", *(w.name for w in spec.widgets), *(o.name for o in spec.outputs)]:
        assert f"`{name}`" in text


def test_the_version_is_the_same_everywhere():
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    panel = json.loads((ROOT / "ui" / "package.json").read_text("utf-8"))
    assert panel["version"] == __version__
    assert f'\nversion = "{__version__}"\n' in project
    for requirement in (ROOT / "requirements.txt").read_text("utf-8").split():
        assert f'"{requirement}"' in project
