"""`GET doctor`: the report that a bug's finder is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from .routes import answered


class DoctorRoute:
    """The handler.

    Args:
        report: makes it; looks at disks and driver, so it is called in a thread.
    """

    def __init__(self, report: Callable[[], dict[str, Any]]) -> None:
        self._report = report

    def add_to(self, table: web.RouteTableDef) -> None:
        """Register it."""
        table.get("/resource_gate/doctor")(answered(self.doctor))

    async def doctor(self, request: web.Request) -> web.Response:
        """`GET doctor`: versions, readings and their sources, hooks, last actions, advice; nothing private."""
        return web.json_response(await asyncio.to_thread(self._report))
