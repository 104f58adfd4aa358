"""What is pushed to those who watch: the status, and every action. Nobody watches: nothing is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..monitor.readings import Sample
from ..reclaim.action import Action
from .watch import Watchers

STATUS = "resource_gate.status"
ACTION = "resource_gate.action"


class Pushes:
    """Listens to sampler and actions. Any thread.

    Args:
        push: sends an event to one client.
        status: makes the status object, of this sample or of the last one.
    """

    def __init__(
        self,
        push: Callable[[str, Mapping[str, Any], str], None],
        watchers: Watchers,
        status: Callable[[Sample | None], Mapping[str, Any]],
    ) -> None:
        self._push = push
        self._watchers = watchers
        self._status = status

    def status(self, sample: Sample | None = None) -> None:
        """Something that the status tells of has changed."""
        clients = self._watchers.current()
        if not clients:
            return
        told = self._status(sample)
        for client in clients:
            self._push(STATUS, told, client)

    def action(self, action: Action) -> None:
        """Something was freed, or tried."""
        for client in self._watchers.current():
            self._push(ACTION, action.as_dict(), client)
