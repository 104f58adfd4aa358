"""The routes on a real aiohttp server, with actions that remember what they were asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from resource_gate.api.panel import PanelRoutes
from resource_gate.api.paths import Handlers
from resource_gate.api.routes import Routes
from resource_gate.api.watch import Watchers
from resource_gate.monitor.readings import Level
from resource_gate.settings import SettingsStore


class Actions:
    """Stands in for the running extension."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.threads: list[threading.Thread] = []
        self.error: Exception | None = None
        self.store = SettingsStore(None, {})
        self.deferred: str | None = None

    def _note(self, *what: Any) -> None:
        self.asked.append(what)
        self.threads.append(threading.current_thread())
        if self.error is not None:
            raise self.error

    def status(self) -> dict[str, Any]:
        self._note("status")
        return {"level": "normal"}

    def free(self, level: Level, goal: int | None) -> dict[str, Any]:
        self._note("free", level, goal)
        return {"ok": self.deferred is None, "freed": 5, "actions": [], "deferred": self.deferred}

    def dry_run(self, level: Level) -> dict[str, Any]:
        self._note("dry_run", level)
        return {"ok": True, "dry_run": True, "freed": 0, "would_free": 7, "actions": [], "deferred": self.deferred}

    def marks(self, since: float) -> dict[str, Any]:
        self._note("marks", since)
        return {"jobs": [], "actions": []}

    def costs(self) -> dict[str, Any]:
        self._note("costs")
        return {"deferred": None}

    def reset_settings(self, fields: Sequence[str] | None) -> dict[str, Any]:
        self._note("reset", fields)
        self.store.reset(fields)
        return self.settings_view()

    def pause(self) -> None:
        self._note("pause")

    def resume(self) -> None:
        self._note("resume")

    def history(self, since: float, points: int) -> list[dict[str, Any]]:
        self._note("history", since, points)
        return [{"time": since}]

    def log(self, since: float, points: int) -> list[dict[str, Any]]:
        self._note("log", since, points)
        return []

    def metrics(self) -> str:
        self._note("metrics")
        return "# HELP x y\n"

    def settings_view(self) -> dict[str, Any]:
        return {"settings": self.store.current.model_dump()}

    def change_settings(self, change: dict[str, Any]) -> dict[str, Any]:
        self._note("settings", change)
        self.store.change(change)
        return self.settings_view()


class Clock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def actions() -> Actions:
    return Actions()


@pytest.fixture
def watchers(clock: Clock) -> Watchers:
    return Watchers(clock=clock)


@pytest.fixture
def serving() -> Callable[..., TestClient[Any, Any]]:
    """A client of a server that has these handlers and no others; use it in an `async with`."""

    def serving(*handlers: Handlers, middlewares: Sequence[Any] = ()) -> TestClient[Any, Any]:
        table = web.RouteTableDef()
        for some in handlers:
            some.add_to(table)
        app = web.Application(middlewares=middlewares)
        app.add_routes(table)
        return TestClient(TestServer(app))

    return serving


@pytest.fixture
async def client(serving: Callable[..., Any], actions: Actions, watchers: Watchers) -> Any:
    async with serving(Routes(actions, watchers), PanelRoutes(actions)) as made:
        yield made
