from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resource_gate.settings import GIB, Settings, SettingsRefused, SettingsStore, changed
from resource_gate.settings_model import defaults

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.sampled_from([0.5, 10**400, "run", "0.8", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(
    ["warning", "critical", "leave", "warning_free", "interval", "on_timeout", "enabled", "model_dump", "__class__"]
) | st.text(max_size=8)
sections = st.sampled_from([*Settings.model_fields, "model_dump", "model_fields"]) | st.text(max_size=8)
changes = st.dictionaries(sections, json_values | st.dictionaries(names, json_values, max_size=4), max_size=3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "settings.json"


def refusal_of(change, current=None):
    with pytest.raises(SettingsRefused) as refused:
        changed(current or Settings(), change)
    return refused.value.refusals


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes)
def test_a_change_is_taken_or_refused_and_nothing_else_happens(change):
    try:
        after = changed(Settings(), change)
    except SettingsRefused as refused:
        assert refused.refusals
        json.dumps([[r.field, r.problem, r.in_force] for r in refused.refusals])
        assert all("stays in force" in str(r) for r in refused.refusals)
    else:
        assert Settings.model_validate(after.model_dump()) == after


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes)
def test_a_file_of_any_content_gives_valid_settings_and_every_refusal_is_told(tmp_path_factory, change):
    file = tmp_path_factory.mktemp("data") / "settings.json"
    file.write_text(json.dumps(change))
    store = SettingsStore(file, {})
    assert Settings.model_validate(store.current.model_dump()) == store.current
    try:
        taken = changed(Settings(), json.loads(file.read_text()))
    except SettingsRefused:
        assert store.problems
    else:
        assert store.current == taken and store.problems == []


def test_a_section_changes_only_in_what_was_named():
    after = changed(Settings(), {"ram": {"warning": 0.5}})
    assert after.ram.warning == 0.5 and after.ram.critical == 0.90
    assert after.model_dump(exclude={"ram"}) == Settings().model_dump(exclude={"ram"})


def test_the_defaults_are_those_of_the_design():
    defaults = Settings()
    assert (defaults.ram.warning, defaults.ram.critical, defaults.ram.emergency, defaults.ram.leave) == (
        0.85, 0.90, 0.95, 0.05,
    )  # fmt: skip
    assert (defaults.reclaim.pause, defaults.reclaim.temp_age, defaults.gate.wait) == (15.0, 3600.0, 30.0)


@pytest.mark.parametrize(
    ("change", "field", "words", "in_force"),
    [
        ({"ram": {"warning": 1.5}}, "ram.warning", "allowed: 0.01 to 1.0", 0.85),
        ({"ram": {"warning": float("nan")}}, "ram.warning", "finite", 0.85),
        ({"reclaim": {"temp_age": 5}}, "reclaim.temp_age", "allowed: 60.0 to 2592000.0", 3600.0),
        ({"monitor": {"interval": "soon"}}, "monitor.interval", "allowed: 0.1 to 60.0", 5.0),
        ({"gate": {"on_timeout": "panic"}}, "gate.on_timeout", "'run' or 'hold'", "run"),
        ({"ram": {"warnign": 0.5}}, "ram.warnign", "not permitted", None),
        ({"rma": {"warning": 0.5}}, "rma", "not permitted", None),
        ({"ram": 5}, "ram", "dictionary", Settings().ram.model_dump()),
        ({"ram": {"model_dump": 1}}, "ram.model_dump", "not permitted", None),
        ({"ram": {"warning": {"real": 1}}}, "ram.warning", "number", 0.85),
    ],
)
def test_a_refusal_names_field_and_range_and_what_stays_in_force(change, field, words, in_force):
    (refusal,) = refusal_of(change)
    assert refusal.field == field and words in refusal.problem and refusal.in_force == in_force


def test_what_stays_in_force_is_what_was_set_not_the_default():
    (refusal,) = refusal_of({"ram": {"warning": 7}}, changed(Settings(), {"ram": {"warning": 0.5}}))
    assert refusal.in_force == 0.5


@pytest.mark.parametrize(
    "tiers",
    [
        {"warning": 0.93},
        {"critical": 0.96},
        {"leave": 0.3, "warning": 0.3, "critical": 0.9},
        {"warning_free": GIB, "critical_free": 2 * GIB},
        {"warning_free": GIB, "emergency_free": 2 * GIB},
    ],
)
def test_tiers_out_of_order_are_refused(tiers):
    assert [r.field for r in refusal_of({"vram": tiers})] == ["vram"]


def test_a_tier_of_bytes_that_is_not_used_may_stand_between_two_that_are():
    assert changed(Settings(), {"ram": {"warning_free": 2 * GIB, "emergency_free": GIB}}).ram.critical_free == 0


def test_each_wrong_field_has_its_own_refusal_and_nothing_of_the_change_is_taken(path):
    store = SettingsStore(path, {})
    with pytest.raises(SettingsRefused) as refused:
        store.change({"ram": {"warning": 2, "leave": 0.1}, "gate": {"wait": -1}, "reclaim": {"pause": 1}})
    assert [r.field for r in refused.value.refusals] == ["ram.warning", "gate.wait"]
    assert store.current == Settings() and not path.exists()


def test_a_change_is_there_after_a_restart(path):
    SettingsStore(path, {}).change({"ram": {"warning": 0.7}, "gate": {"on_timeout": "hold"}})
    again = SettingsStore(path, {})
    assert again.current.ram.warning == 0.7 and again.current.gate.on_timeout == "hold" and again.problems == []
    assert json.loads(path.read_text()) == {"ram": {"warning": 0.7}, "gate": {"on_timeout": "hold"}}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["ram", "vram", "cpu", "disk"]), st.sampled_from([0, 1, GIB, 2 * GIB]))
def test_whatever_was_set_survives_a_restart_whatever_the_defaults(tmp_path_factory, section, value):
    file = tmp_path_factory.mktemp("data") / "settings.json"
    store = SettingsStore(file, {})
    store.change({section: {"emergency_free": value, "leave": 0.04}})
    assert SettingsStore(file, {}).current == store.current


def test_listeners_hear_of_a_change_and_not_of_a_refusal(path):
    store, heard = SettingsStore(path, {}), []
    store.listen(heard.append)
    after = store.change({"gate": {"wait": 5}})
    with pytest.raises(SettingsRefused):
        store.change({"gate": {"wait": "x"}})
    assert heard == [after] == [store.current]


def test_changes_of_two_threads_both_survive(path):
    store = SettingsStore(path, {})
    together = threading.Barrier(2)

    def many(section, field):
        together.wait(10)
        for number in range(30):
            store.change({section: {field: float(number)}})

    threads = [threading.Thread(target=many, args=a) for a in (("gate", "wait"), ("reclaim", "pause"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (store.current.gate.wait, store.current.reclaim.pause) == (29.0, 29.0)
    assert SettingsStore(path, {}).current == store.current


def test_a_bad_value_in_the_file_leaves_the_others_in_force(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"ram": {"warning": 0.7, "critical": "x", "typo": 1}, "gate": {"wait": 9}, "odd": {}}))
    store = SettingsStore(path, {})
    assert store.current.ram.warning == 0.7 and store.current.gate.wait == 9
    assert store.current.ram.critical == 0.90
    told = "\n".join(store.problems)
    assert len(store.problems) == 3 and str(path) in told
    assert "ram.critical" in told and "0.9 stays in force" in told and "ram.typo" in told and "odd" in told


def test_values_that_are_right_only_together_are_taken_together_beside_a_bad_one(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"ram": {"warning": 0.96, "critical": 0.97, "emergency": 0.98, "leave": 7}}))
    store = SettingsStore(path, {})
    assert (store.current.ram.warning, store.current.ram.emergency, store.current.ram.leave) == (0.96, 0.98, 0.05)
    assert len(store.problems) == 1


def test_values_that_contradict_each_other_are_taken_one_by_one_as_far_as_they_go(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"ram": {"leave": 0.02, "warning": 0.99, "emergency": 0.97}}))
    store = SettingsStore(path, {})
    assert (store.current.ram.leave, store.current.ram.warning, store.current.ram.emergency) == (0.02, 0.85, 0.97)
    assert len(store.problems) == 1 and "warning ≤ critical" in store.problems[0]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"null", b"\xff\xfe\x00", b'{"ram": ' + b"[" * 100_000, b"[" * 100_000, b"1e999", b'"text"'],
)
def test_a_damaged_file_leaves_the_defaults_in_force_and_is_told(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    store = SettingsStore(path, {})
    assert store.current == Settings() and len(store.problems) == 1 and "defaults stay in force" in store.problems[0]


def test_a_change_puts_a_file_that_could_not_be_read_aside_and_loses_nothing_in_it(path):
    path.parent.mkdir()
    path.write_text('{"ram": {"warning": 0.7},}')  # a comma too many
    store = SettingsStore(path, {})
    store.change({"gate": {"wait": 7}})
    store.change({"gate": {"wait": 8}})
    assert (path.parent / "settings.json.unread").read_text() == '{"ram": {"warning": 0.7},}'
    assert json.loads(path.read_text()) == {"gate": {"wait": 8.0}}


def test_a_folder_in_place_of_the_file_is_told(path):
    path.mkdir(parents=True)
    assert "cannot be read" in SettingsStore(path, {}).problems[0]


def test_a_byte_order_mark_is_no_damage(path):
    path.parent.mkdir()
    path.write_text('{"ram": {"warning": 0.7}}', "utf-8-sig")
    store = SettingsStore(path, {})
    assert store.current.ram.warning == 0.7 and store.problems == []


def test_no_file_is_no_problem(path):
    store = SettingsStore(path, {})
    assert store.current == Settings() and store.problems == []


def test_the_environment_wins_over_the_file_and_is_not_written_into_it(path):
    SettingsStore(path, {}).change({"ram": {"warning": 0.6}})
    store = SettingsStore(path, {"RESOURCE_GATE_RAM_WARNING": "0.7", "RESOURCE_GATE_GATE_ON_TIMEOUT": "hold"})
    assert store.current.ram.warning == 0.7 and store.current.gate.on_timeout == "hold"
    assert store.change({"ram": {"warning": 0.65}}).ram.warning == 0.7
    assert json.loads(path.read_text()) == {"ram": {"warning": 0.65}}


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_the_environment_does_not_matter(order):
    tiers = [("WARNING", "0.96"), ("CRITICAL", "0.97"), ("EMERGENCY", "0.98")][::order]
    store = SettingsStore(None, {f"RESOURCE_GATE_RAM_{name}": value for name, value in tiers})
    assert (store.current.ram.warning, store.current.ram.emergency) == (0.96, 0.98) and store.problems == []


@pytest.mark.parametrize(
    ("text", "expected"), [("false", False), ("0", False), ("true", True), ("no", False), ("off", False)]
)
def test_the_environment_says_yes_and_no_in_common_words(text, expected):
    assert SettingsStore(None, {"RESOURCE_GATE_RECLAIM_ENABLED": text}).current.reclaim.enabled is expected


def test_a_bad_value_in_the_environment_is_told_with_what_stays_in_force(path):
    SettingsStore(path, {}).change({"ram": {"warning": 0.6}})
    store = SettingsStore(path, {"RESOURCE_GATE_RAM_WARNING": "lots", "RESOURCE_GATE_RAM_TYPO": "[" * 100_000})
    assert store.current.ram.warning == 0.6
    assert any("the environment" in p and "0.6 stays in force" in p for p in store.problems)


def test_names_that_are_not_settings_are_nobodys_business():
    names = {"RESOURCE_GATE_TEST_LIVE": "1", "RESOURCE_GATE_RAM": "5", "RAM_WARNING": "2", "RESOURCE_GATE_": "x"}
    store = SettingsStore(None, names)
    assert store.current == Settings() and store.problems == []


def test_a_file_that_cannot_be_written_changes_nothing_and_leaves_no_rest(tmp_path):
    blocked = tmp_path / "settings.json"
    (blocked / "in the way").mkdir(parents=True)
    store, heard = SettingsStore(blocked, {}), []
    store.listen(heard.append)
    with pytest.raises(OSError):
        store.change({"gate": {"wait": 5}})
    assert store.current == Settings() and heard == []
    assert [p.name for p in tmp_path.iterdir()] == ["settings.json"]


def test_the_file_is_whole_at_every_moment(path):
    """Whoever reads while it is written sees the old content or the new one, never a part."""
    store = SettingsStore(path, {})
    store.change({"gate": {"wait": 1}})
    done, broken = threading.Event(), []

    def read():
        while not done.is_set():
            try:
                json.loads(path.read_text())
            except ValueError as error:
                broken.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        store.change({"gate": {"wait": float(number)}})
    done.set()
    reader.join(10)
    assert broken == [] and [p.name for p in Path(path.parent).iterdir()] == ["settings.json"]


def test_a_reset_puts_back_what_is_named_or_all(path):
    store = SettingsStore(path, {})
    heard = []
    store.change({"ram": {"warning": 0.5, "critical": 0.6}, "gate": {"wait": 5}})
    store.listen(heard.append)
    store.reset(["ram.critical", "gate.wait"])
    assert (store.current.ram.warning, store.current.ram.critical, store.current.gate.wait) == (0.5, 0.9, 30)
    store.reset()
    assert store.current == Settings() == heard[-1]
    assert json.loads(path.read_text("utf-8")) == {}


@pytest.mark.parametrize("field", ["ram.nonsense", "nonsense", "ram", "ram.", "", "nonsense.warning", "ram.warning.x"])
def test_a_reset_of_what_is_no_setting_changes_nothing(path, field):
    store = SettingsStore(path, {})
    store.change({"ram": {"warning": 0.5}})
    with pytest.raises(SettingsRefused) as refused:
        store.reset(["ram.warning", field])
    assert [r.field for r in refused.value.refusals] == [field]
    assert store.current.ram.warning == 0.5


def test_a_reset_that_would_put_the_tiers_out_of_order_is_refused(path):
    store = SettingsStore(path, {})
    store.change({"ram": {"warning": 0.5, "critical": 0.6, "emergency": 0.7}})
    with pytest.raises(SettingsRefused):
        store.reset(["ram.warning"])
    assert store.current.ram.warning == 0.5


def test_the_environment_wins_over_a_reset(path):
    store = SettingsStore(path, {"RESOURCE_GATE_GATE_WAIT": "7"})
    store.change({"gate": {"retries": 1}})
    store.reset()
    assert (store.current.gate.wait, store.current.gate.retries) == (7, 3)


def test_defaults_that_nothing_checks_are_those_that_pydantic_makes():
    assert defaults() == Settings()
    assert defaults().model_dump() == Settings().model_dump()
    assert changed(defaults(), {"ram": {"warning": 0.5}}) == changed(Settings(), {"ram": {"warning": 0.5}})
