"""The report of the instance that runs in this process, asked from its rooms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ..gate.journal.journal import Journal
from ..monitor.readings import MemoryReading
from ..reclaim.action import ActionLog
from ..settings import SettingsStore
from .machine import machine_report
from .private import of_this_machine
from .report import running_report


class Host(Protocol):
    """What a host tells of where things lie, and of what is hooked."""

    @property
    def output_folder(self) -> Path:
        """Where results are written."""
        ...

    @property
    def data_folder(self) -> Path:
        """Where settings and journal lie."""
        ...

    def temp_folder(self) -> Path | None:
        """Where previews are written."""
        ...

    def hooks(self) -> Mapping[str, str]:
        """What of the program is hooked: name → whether ours is in force now."""
        ...


def instance_report(
    host: Host,
    ram: Callable[[], MemoryReading],
    status: Mapping[str, Any],
    store: SettingsStore,
    journal: Journal,
    actions: ActionLog,
) -> dict[str, Any]:
    """Make it; looks at disks and driver, which may take seconds.

    Args:
        ram: a fresh reading.
        status: the status object.
    """
    places = {"output": host.output_folder, "temp": host.temp_folder(), "data": host.data_folder}
    rows = journal.rows
    return running_report(
        machine_report({role: place for role, place in places.items() if place}, ram=ram),
        status,
        host.hooks(),
        store.different(),
        {"problem": journal.problem, "restorable": rows.restorable, "quarantined": rows.quarantined},
        [action.as_dict() for action in actions.all()],
        of_this_machine(),
    )
