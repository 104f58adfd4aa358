"""Whatever lies in our files: we start, tell what was wrong, and keep what is right."""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from resource_gate.gate.host import Job, Outcome, Queued
from resource_gate.gate.journal.journal import Journal
from resource_gate.gate.journal.note import FILE as NOTE
from resource_gate.gate.journal.note import HEADER, SIZE
from resource_gate.gate.journal.redo import FILE as REDO
from resource_gate.gate.journal.redo import HEADER as RECORD
from resource_gate.gate.journal.schema import FILE as JOURNAL
from resource_gate.gate.journal.sql import BY_NAME
from resource_gate.gate.journal.store import JournalStore
from resource_gate.settings import Settings, SettingsStore

FUZZ = settings.get_profile("fuzz")

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
SECTIONS = {name: sorted(field.annotation.model_fields) for name, field in Settings.model_fields.items()}
NAMES = sorted({field for fields in SECTIONS.values() for field in fields})
near = st.dictionaries(
    st.sampled_from(sorted(SECTIONS)) | st.text(max_size=5),
    st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), values, max_size=4) | values,
    max_size=4,
)


def fresh(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("data")


@FUZZ
@given(content=st.binary(max_size=300) | (near | values).map(lambda v: json.dumps(v).encode()))
def test_any_settings_file_leaves_settings_that_are_right_and_can_be_changed(tmp_path_factory, content):
    path = fresh(tmp_path_factory) / "settings.json"
    path.write_bytes(content)
    store = SettingsStore(path, {})
    assert Settings.model_validate(store.current.model_dump()) == store.current
    assert all(isinstance(problem, str) and problem for problem in store.problems)
    store.change({"gate": {"wait": 7}})
    assert SettingsStore(path, {}).current == store.current


@FUZZ
@given(change=near)
def test_what_a_settings_file_says_rightly_is_taken_even_beside_what_is_wrong(tmp_path_factory, change):
    path = fresh(tmp_path_factory) / "settings.json"
    path.write_text(json.dumps({**change, "gate": {"wait": 3, "nonsense": 1}}))
    store = SettingsStore(path, {})
    assert store.current.gate.wait == 3 and any("gate.nonsense" in p for p in store.problems)


@FUZZ
@given(
    st.dictionaries(
        st.sampled_from(sorted(SECTIONS)).flatmap(
            lambda s: st.sampled_from(SECTIONS[s]).map(lambda n: f"RESOURCE_GATE_{s}_{n}".upper())
        ),
        st.text(),
        max_size=5,
    )
)
def test_any_environment_leaves_settings_that_are_right(environment):
    store = SettingsStore(None, environment)
    assert Settings.model_validate(store.current.model_dump()) == store.current


def used(folder: Path) -> None:
    """A journal of one that ended, one that waits and one that ran when its process was killed."""
    journal = Journal(folder)
    journal.open()
    for name in ("ended", "runs", "waits"):
        journal.accepted(
            Queued(name, 1.0, {"1": {"class_type": "X", "inputs": {"a": name}}}, ("1",), {"client_id": "c"})
        )
    journal.started(Job("ended", {}))
    journal.ended(Outcome("ended", True))
    journal.started(Job("runs", {}))
    journal._store.close()  # as a kill leaves it: nothing is put in order


def killed_with_records_kept_back(folder: Path) -> None:
    """A journal that writes behind, left before SQLite had taken over what it was told."""
    first = JournalStore(folder, time.time, time.monotonic)
    assert first.open() and first.write_behind(lambda: None, sync_each=False)
    for name in ("one", "two", "three"):
        first.write([(BY_NAME["accepted"], (name, 0.0, "s", "{}", "[]", "{}", None, "", 1.0, "title"))])
    kept = (folder / REDO).read_bytes()
    first.close()
    (folder / REDO).write_bytes(kept)


def goes_on(folder: Path) -> None:
    """It opens without an error, and keeps what comes now, or says why not."""
    journal = Journal(folder)
    journal.open()
    journal.accepted(Queued("new", 2.0, {"1": {"class_type": "X", "inputs": {}}}, ("1",)))
    found = journal.rows.jobs(500, None)
    restorable = journal.rows.to_restore(None)
    assert journal.problem or "new" in {job["id"] for job in found}
    assert json.dumps(found) and isinstance(restorable, list)
    journal.started(Job("new", {}))
    journal.memory(1, {"vram0": 2})
    journal.ended(Outcome("new", False, error_type="X", error="y"))
    journal.close()


@FUZZ
@given(data=st.data())
def test_a_journal_with_any_bytes_changed_is_used_or_put_aside(tmp_path_factory, data):
    folder = fresh(tmp_path_factory)
    used(folder)
    for name in data.draw(st.lists(st.sampled_from([JOURNAL, JOURNAL + "-wal", NOTE]), min_size=1, max_size=2)):
        path = folder / name
        content = bytearray(path.read_bytes()) if path.exists() else bytearray()
        for _ in range(data.draw(st.integers(1, 5))):
            if content:
                at = data.draw(st.integers(0, len(content) - 1))
                content[at : at + data.draw(st.integers(1, 40))] = data.draw(st.binary(max_size=40))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    goes_on(folder)


@FUZZ
@given(data=st.data())
def test_records_kept_back_with_any_bytes_changed_are_taken_over_or_passed_over(tmp_path_factory, data):
    folder = fresh(tmp_path_factory)
    killed_with_records_kept_back(folder)
    content = bytearray((folder / REDO).read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, 600))
        content[at : at + data.draw(st.integers(1, 40))] = data.draw(st.binary(max_size=40))
    (folder / REDO).write_bytes(content[: data.draw(st.integers(0, 1000))] if data.draw(st.booleans()) else content)
    goes_on(folder)


@FUZZ
@given(record=values.map(json.dumps) | st.text(max_size=60) | st.integers(5_000, 60_000))
def test_any_record_with_a_right_checksum_is_lived_with(tmp_path_factory, record):
    folder = fresh(tmp_path_factory)
    killed_with_records_kept_back(folder)
    # A number: nested so deeply.
    text = b"[" * record if isinstance(record, int) else record.encode("utf-8", "replace")
    (folder / REDO).write_bytes(RECORD.pack(10, len(text), zlib.crc32(text)) + text)
    goes_on(folder)


@FUZZ
@given(content=st.binary(max_size=200))
def test_a_journal_that_is_anything_else_is_put_aside(tmp_path_factory, content):
    folder = fresh(tmp_path_factory)
    (folder / JOURNAL).write_bytes(content)
    goes_on(folder)


COLUMNS = [
    "id",
    "number",
    "graph",
    "outputs",
    "extra",
    "stripped",
    "state",
    "attempts",
    "deaths",
    "peak_vram",
    "queued_at",
]


@FUZZ
@given(
    column=st.sampled_from(COLUMNS),
    value=st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | values.map(json.dumps),
)
def test_any_value_in_any_column_is_lived_with(tmp_path_factory, column, value):
    folder = fresh(tmp_path_factory)
    used(folder)
    with sqlite3.connect(folder / JOURNAL) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        storable = value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        try:
            connection.execute(f"UPDATE jobs SET {column} = ?", (storable,))
        except sqlite3.IntegrityError:  # NOT NULL: the file cannot hold it
            return
        finally:
            connection.commit()
    connection.close()
    goes_on(folder)


NOTE_FIELDS = ["job", "node", "ram", "vram", "writing"]


@FUZZ
@given(
    note=st.dictionaries(st.sampled_from(NOTE_FIELDS) | st.text(max_size=4), values, max_size=5)
    | st.fixed_dictionaries(
        {"job": st.just("runs"), "ram": values, "vram": values, "writing": st.fixed_dictionaries({"1": values})}
    )
    | values
)
def test_any_note_with_a_right_checksum_is_lived_with(tmp_path_factory, note):
    folder = fresh(tmp_path_factory)
    used(folder)
    text = json.dumps(note).encode()[: SIZE - HEADER.size]
    (folder / NOTE).write_bytes((HEADER.pack(len(text), zlib.crc32(text)) + text).ljust(SIZE, b"\0"))
    goes_on(folder)


@FUZZ
@given(content=st.binary(max_size=100))
def test_a_note_of_any_bytes_is_lived_with(tmp_path_factory, content):
    folder = fresh(tmp_path_factory)
    used(folder)
    (folder / NOTE).write_bytes(content)
    goes_on(folder)
