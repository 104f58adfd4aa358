"""Pushing the status and actions."""

from __future__ import annotations

from typing import Any

import pytest

from resource_gate.api.push import ACTION, STATUS, Pushes
from resource_gate.api.watch import Watchers
from resource_gate.monitor.readings import Level
from resource_gate.reclaim.action import Action
from resource_gate.reclaim.host import Place


class Sent:
    """Takes events, and counts how often a status was made."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any, str]] = []
        self.made: list[Any] = []

    def push(self, event: str, data: Any, client: str) -> None:
        self.events.append((event, data, client))

    def status(self, sample: Any) -> dict[str, Any]:
        self.made.append(sample)
        return {"level": "normal"}


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def watchers() -> Watchers:
    return Watchers()


@pytest.fixture
def pushes(sent: Sent, watchers: Watchers) -> Pushes:
    return Pushes(sent.push, watchers, sent.status)


def test_no_status_is_made_while_nobody_watches(pushes: Pushes, sent: Sent) -> None:
    pushes.status()
    assert sent.made == []
    assert sent.events == []


def test_one_status_goes_to_everybody_who_watches(pushes: Pushes, sent: Sent, watchers: Watchers) -> None:
    watchers.renew("a")
    watchers.renew("b")
    pushes.status()
    assert sent.made == [None]
    assert sorted(sent.events, key=lambda event: event[2]) == [
        (STATUS, {"level": "normal"}, "a"),
        (STATUS, {"level": "normal"}, "b"),
    ]


def test_an_action_goes_to_everybody_who_watches(pushes: Pushes, sent: Sent, watchers: Watchers) -> None:
    action = Action(1.0, Level.WARNING, "ram", "why", Place.ANYWHERE, (), None, True, False)
    pushes.action(action)
    assert sent.events == []
    watchers.renew("a")
    pushes.action(action)
    assert sent.events == [(ACTION, action.as_dict(), "a")]
