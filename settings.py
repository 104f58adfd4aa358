"""Numbers that are settings: one validated `settings.json` a machine, `RESOURCE_GATE_…` above it.

A bad value never takes the rest down: it is refused with its name, its range and what stays in force.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

GIB = 1024**3
MIB = 1024**2
ENVIRONMENT_PREFIX = "RESOURCE_GATE_"

Share = Annotated[float, Field(ge=0.01, le=1.0)]
Bytes = Annotated[int, Field(ge=0, le=2**50)]


class Section(BaseModel):
    """A group of settings; unknown names are errors, so that a typing mistake is told."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Tiers(Section):
    """Where levels begin: as a share of the limit, or as bytes left (0: not used), whichever comes first."""

    warning: Share = 0.85
    critical: Share = 0.90
    emergency: Share = 0.95
    leave: Annotated[float, Field(ge=0.0, le=0.5)] = 0.05
    """A level is left this far below where it was entered."""
    warning_free: Bytes = 0
    critical_free: Bytes = 0
    emergency_free: Bytes = 0

    @model_validator(mode="after")
    def _in_order(self) -> Tiers:
        if not self.warning <= self.critical <= self.emergency:
            raise ValueError("warning ≤ critical ≤ emergency must hold")
        free = [f for f in (self.warning_free, self.critical_free, self.emergency_free) if f]
        if free != sorted(free, reverse=True):
            raise ValueError("warning_free ≥ critical_free ≥ emergency_free must hold")
        if self.leave >= self.warning:
            raise ValueError("leave must be smaller than warning")
        return self


class Monitor(Section):
    """How often to look, and at which limit."""

    interval: Annotated[float, Field(ge=0.1, le=60.0)] = 5.0
    """Seconds between samples at rest."""
    interval_min: Annotated[float, Field(ge=0.05, le=5.0)] = 0.1
    """Seconds between samples when little headroom is left."""
    interval_watched: Annotated[float, Field(ge=0.1, le=60.0)] = 1.0
    """Seconds between samples while a panel is open."""
    ram_limit: Bytes = 0
    """A limit set by hand; it wins where it is tighter than the machine's own. 0: none."""


class Reclaim(Section):
    """What may be given back, and how eagerly."""

    enabled: bool = True
    dry_run: bool = False
    """Say what would be done, and do nothing."""
    pause: Annotated[float, Field(ge=0.0, le=3600.0)] = 15.0
    """Seconds after an action before the next at the same level."""
    trim_slack: Bytes = 512 * MIB
    """Free bytes inside the heap from which giving them back to the system is worth its time."""
    gc_share: Annotated[float, Field(ge=0.0, le=0.5)] = 0.05
    """Share of time that garbage collection of ours may take."""
    temp_clean: bool = True
    temp_age: Annotated[float, Field(ge=60.0, le=30 * 86400.0)] = 3600.0
    """Seconds after which an unreferenced temp file has expired."""


class Gate(Section):
    """When a prompt may start."""

    enabled: bool = True
    brake: bool = True
    """Look at the memory before each node of a running prompt, too."""
    wait: Annotated[float, Field(ge=0.0, le=3600.0)] = 30.0
    """Seconds a prompt waits at most for memory to fall."""
    on_timeout: Literal["run", "hold"] = "run"
    """After that: run it all the same, as ComfyUI would have, or hold it until memory has fallen."""


class Settings(Section):
    """All of them. Sections are frozen: a change makes a new object, which the store hands to who listens."""

    ram: Tiers = Tiers()
    vram: Tiers = Tiers()
    cpu: Tiers = Tiers()
    disk: Tiers = Tiers(emergency_free=1 * GIB)
    monitor: Monitor = Monitor()
    reclaim: Reclaim = Reclaim()
    gate: Gate = Gate()


@dataclass(frozen=True)
class Refusal:
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
        value = getattr(value, str(name), None)
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


def _from_environment(environment: Mapping[str, str]) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    for key, text in environment.items():
        if not key.startswith(ENVIRONMENT_PREFIX):
            continue
        section, _, name = key.removeprefix(ENVIRONMENT_PREFIX).lower().partition("_")
        if section not in Settings.model_fields or not name:
            continue  # RESOURCE_GATE_… names that are not settings (a test's own) are none of our business
        try:
            found[section, name] = json.loads(text)
        except ValueError:
            found[section, name] = text
    return found


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
        self.problems: list[str] = []
        self._saved = self._read()
        self.current = self._with_environment(self._saved)

    def listen(self, listener: Callable[[Settings], None]) -> None:
        """Call `listener` with every later `Settings`."""
        self._listeners.append(listener)

    def change(self, change: Mapping[str, Any]) -> Settings:
        """Apply a nested change, save it, tell the listeners.

        Raises:
            SettingsRefused: as `changed`; nothing is saved.
            OSError: the file could not be written; nothing is changed.
        """
        saved = changed(self._saved, change)
        current = self._with_environment(saved)
        self._write(saved)
        self._saved, self.current = saved, current
        for listener in self._listeners:
            listener(current)
        return current

    def _read(self) -> Settings:
        if self._path is None or not self._path.exists():
            return Settings()
        try:
            data = json.loads(self._path.read_text("utf-8"))
            if not isinstance(data, dict):
                raise ValueError("it is not a JSON object")
        except (OSError, ValueError) as error:
            self.problems.append(f"{self._path} cannot be read ({error}); the defaults stay in force")
            return Settings()
        settings = Settings()
        for section, values in data.items():
            settings = self._take_each(settings, section, values, str(self._path))
        return settings

    def _with_environment(self, settings: Settings) -> Settings:
        for (section, name), value in _from_environment(self._environment).items():
            settings = self._take_each(settings, section, {name: value}, "the environment")
        return settings

    def _take_each(self, settings: Settings, section: str, values: Any, where: str) -> Settings:
        """Take a section whole where it is right (values may only be right together), else value by value."""
        try:
            return changed(settings, {section: values})
        except SettingsRefused as whole:
            if not isinstance(values, dict):
                self._tell(whole, where)
                return settings
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
                json.dump(settings.model_dump(exclude_defaults=True), file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
