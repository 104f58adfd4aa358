"""`GET doctor`: the report that a bug's finder is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from .routes import answered
from .shared import Shared

PATIENCE = 20.0
"""Seconds: a sleeping disk needs ten. After that a driver or a network drive hangs, which is an answer, too."""


class DoctorRoute:
    """The handler. One report at a time, however many ask: a driver that hangs must not take a thread for each.

    Args:
        report: makes it; looks at disks and driver, so it is called in a thread.
        patience: seconds to wait for it.
    """

    def __init__(self, report: Callable[[], dict[str, Any]], patience: float = PATIENCE) -> None:
        self._report = Shared(report)
        self._patience = patience

    def add_to(self, table: web.RouteTableDef) -> None:
        """Register it."""
        table.get("/resource_gate/doctor")(answered(self.doctor))

    async def doctor(self, request: web.Request) -> web.Response:
        """`GET doctor`: versions, readings and their sources, hooks, last actions, advice; nothing private."""
        making = self._report.task()
        done, _ = await asyncio.wait({making}, timeout=self._patience)
        if not done:
            why = f"a disk or the GPU's driver gave no answer in {self._patience:.0f} s; status tells what is read"
            return web.json_response({"error": {"message": why, "fields": []}}, status=503)
        return web.json_response(making.result())
