"""Every path that Resource Gate answers. What answers them is loaded and built by the first request: ComfyUI's start
need not wait for it, and a server that nobody looks at never needs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from aiohttp import web

PREFIX = "/resource_gate"

GET = (
    "",
    "/",
    "/batch",
    "/doctor",
    "/free/costs",
    "/history",
    "/history/marks",
    "/log",
    "/metrics",
    "/predictions",
    "/predictions/runs",
    "/settings",
    "/status",
)

POST = (
    "/batch/release",
    "/batch/restore",
    "/batch/retry",
    "/batch/stop",
    "/free",
    "/pause",
    "/predictions",
    "/predictions/forget",
    "/resume",
    "/settings",
    "/settings/reset",
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Handlers(Protocol):
    """Handlers of some of the paths."""

    def add_to(self, table: web.RouteTableDef) -> None:
        """Register them."""
        ...


class AtFirstRequest:
    """Registers all paths now, and asks for their handlers with the first request.

    Args:
        build: makes the handlers of all paths; called once, on the event loop.
    """

    def __init__(self, build: Callable[[], Iterable[Handlers]]) -> None:
        self._build = build
        self._handlers: dict[tuple[str, str], Handler] = {}

    def add_to(self, table: web.RouteTableDef) -> None:
        """Register them."""
        for path in GET:
            table.get(PREFIX + path)(self._answer("GET", PREFIX + path))
        for path in POST:
            table.post(PREFIX + path)(self._answer("POST", PREFIX + path))

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Those of all paths, by method and path."""
        if not self._handlers:
            table = web.RouteTableDef()
            for some in self._build():
                some.add_to(table)
            self._handlers = {(r.method, r.path): r.handler for r in table if isinstance(r, web.RouteDef)}
        return self._handlers

    def _answer(self, method: str, path: str) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await self.handlers()[method, path](request)

        return answer
