"""Numbers that are settings: one validated `settings.json` a machine, `RESOURCE_GATE_…` above it.

A bad value never takes the rest down: it is refused with its name, its range and what stays in force.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from .settings_model import GIB, MIB, Gate, Monitor, Reclaim, Section, Settings, Tiers, defaults

__all__ = [
    "ENVIRONMENT_PREFIX",
    "GIB",
    "MIB",
    "Gate",
    "Monitor",
    "Reclaim",
    "Refusal",
    "Section",
    "Settings",
    "SettingsRefused",
    "SettingsStore",
    "Tiers",
    "changed",
]

ENVIRONMENT_PREFIX = "RESOURCE_GATE_"


class Refusal(NamedTuple):
    """One value that was not taken."""

    field: str
    problem: str
    in_force: Any

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}; {self.in_force!r} stays in force"


class SettingsRefused(ValueError):  # noqa: N818 - it names what happened, as a person would
    """A change was not taken, whole; `refusals` holds a line for each field that is wrong."""

    def __init__(self, refusals: list[Refusal]) -> None:
        super().__init__("; ".join(map(str, refusals)))
        self.refusals = refusals


def _range_of(path: tuple[Any, ...]) -> str:
    model: Any = Settings
    info = None
    for name in path:
        fields = getattr(model, "model_fields", {})
        if name not in fields:
            return ""
        info = fields[name]
        model = info.annotation
    bounds = {k: getattr(m, k) for m in getattr(info, "metadata", ()) for k in ("ge", "le") if hasattr(m, k)}
    return f" (allowed: {bounds['ge']} to {bounds['le']})" if {"ge", "le"} <= bounds.keys() else ""


def _value_at(settings: Settings, path: tuple[Any, ...]) -> Any:
    value: Any = settings
    for name in path:
        known = isinstance(value, BaseModel) and name in type(value).model_fields
        value = getattr(value, name) if known else None
    return value.model_dump() if isinstance(value, BaseModel) else value


def changed(current: Settings, change: Mapping[str, Any]) -> Settings:
    """Return `current` with the nested `change` applied.

    Raises:
        SettingsRefused: a name is unknown or a value out of range; nothing of the change is taken.
    """
    data = current.model_dump()
    for section, values in change.items():
        if isinstance(values, Mapping) and isinstance(data.get(section), dict):
            data[section] = {**data[section], **values}
        else:
            data[section] = values
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise SettingsRefused(
            [
                Refusal(
                    ".".join(map(str, e["loc"])) or "settings",
                    e["msg"] + _range_of(e["loc"]),
                    _value_at(current, e["loc"]),
                )
                for e in error.errors()
            ]
        ) from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for key, text in environment.items():
        if not key.startswith(ENVIRONMENT_PREFIX):
            continue
        section, _, name = key.removeprefix(ENVIRONMENT_PREFIX).lower().partition("_")
        if section not in Settings.model_fields or not name:
            continue  # RESOURCE_GATE_… names that are not settings (a test's own) are none of our business
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        found.setdefault(section, {})[name] = value
    return found


def _difference(settings: Settings) -> dict[str, dict[str, Any]]:
    """What differs from the defaults, by section. (A section's own defaults are not always those of `Settings`.)"""
    defaults = Settings().model_dump()
    return {
        section: different
        for section, values in settings.model_dump().items()
        if (different := {name: v for name, v in values.items() if v != defaults[section][name]})
    }


class SettingsStore:
    """Reads and writes `settings.json`; calls its listeners with each new `Settings`.

    Args:
        path: the file, or None to keep settings in memory only.
        environment: where `RESOURCE_GATE_<SECTION>_<NAME>` is looked up; it wins over the file.

    Values that cannot be used are left out one by one; `problems` says which, and what is in force instead.
    """

    def __init__(self, path: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._path = path
        self._environment = os.environ if environment is None else environment
        self._listeners: list[Callable[[Settings], None]] = []
        self._lock = threading.Lock()
        self.problems: list[str] = []
        self._unread = False
        """Whether there is a file that could not be read: a change must not overwrite what somebody wrote there."""
        self._saved = self._read()
        self.current = self._with_environment(self._saved)

    def listen(self, listener: Callable[[Settings], None]) -> None:
        """Call `listener` with every later `Settings`."""
        self._listeners.append(listener)

    def different(self) -> dict[str, dict[str, Any]]:
        """What is in force and differs from the defaults, by section."""
        return _difference(self.current)

    def view(self) -> dict[str, Any]:
        """As the routes tell them: those in force, their schema with the ranges, and what could not be taken."""
        return {
            "settings": self.current.model_dump(),
            "schema": Settings.model_json_schema(),
            "problems": self.problems,
        }

    def change(self, change: Mapping[str, Any]) -> Settings:
        """Apply a nested change, save it, tell the listeners. Any thread.

        Raises:
            SettingsRefused: as `changed`; nothing is saved.
            OSError: the file could not be written; nothing is changed.
        """
        with self._lock:
            saved = changed(self._saved, change)
            current = self._with_environment(saved)
            self._write(saved)
            self._saved, self.current = saved, current
        for listener in self._listeners:
            listener(current)
        return current

    def reset(self, fields: Sequence[str] | None = None) -> Settings:
        """Put these (`ram.warning`) back to their defaults, or all; the environment still wins. Raises as `change`."""
        defaults = Settings().model_dump()
        change: dict[str, dict[str, Any]] = {}
        unknown = []
        for field in fields or ():
            section, _, name = field.partition(".")
            if name in defaults.get(section, {}):
                change.setdefault(section, {})[name] = defaults[section][name]
            else:
                unknown.append(Refusal(field, "there is no such setting", None))
        if unknown:
            raise SettingsRefused(unknown)
        return self.change(defaults if fields is None else change)

    def _read(self) -> Settings:
        if self._path is None:
            return defaults()
        try:
            # An editor of Windows may have put a byte order mark in front.
            data = json.loads(self._path.read_text("utf-8-sig"))
            if not isinstance(data, dict):
                raise ValueError("it is not a JSON object")
        except FileNotFoundError:
            return defaults()
        except (OSError, ValueError, RecursionError) as error:
            self.problems.append(f"{self._path} cannot be read ({error}); the defaults stay in force")
            self._unread = True
            return defaults()
        settings = defaults()
        for section, values in data.items():
            settings = self._take_each(settings, section, values, str(self._path))
        return settings

    def _with_environment(self, settings: Settings) -> Settings:
        for section, values in _from_environment(self._environment).items():
            settings = self._take_each(settings, section, values, "the environment")
        return settings

    def _take_each(self, settings: Settings, section: str, values: Any, where: str) -> Settings:
        """Take what is right of a section together (values may only be right together), else value by value."""
        while True:
            try:
                return changed(settings, {section: values})
            except SettingsRefused as refused:
                if not isinstance(values, dict) or not values:
                    self._tell(refused, where)
                    return settings
                wrong = {r.field for r in refused.refusals} & {f"{section}.{name}" for name in values}
                if wrong:
                    self._tell(refused, where)
            if not wrong:
                break
            values = {name: value for name, value in values.items() if f"{section}.{name}" not in wrong}
        for name, value in values.items():
            try:
                settings = changed(settings, {section: {name: value}})
            except SettingsRefused as one:
                self._tell(one, where)
        return settings

    def _tell(self, refused: SettingsRefused, where: str) -> None:
        self.problems += [line for r in refused.refusals if (line := f"in {where}: {r}") not in self.problems]

    def _write(self, settings: Settings) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".settings", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(_difference(settings), file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            if self._unread and self._path.is_file():
                self._path.replace(self._path.with_name(self._path.name + ".unread"))
                self._unread = False
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
