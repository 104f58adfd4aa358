"""The routes that only the panel asks for: its page, marks on the time line, what freeing costs, a settings reset."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from ..settings import SettingsRefused
from .routes import answered, json_body, refused_fields
from .schemas import BadRequest, Marks, ResetSettings, parse
from .shared import Shared

PAGE = Path(__file__).parents[1] / "web" / "page.html"

HEADERS = {
    "Cache-Control": "no-store, must-revalidate",
    # Else a page of another site could lay ours under something to click: what our buttons send is of our own origin.
    # The same page as a file of the extension, which ComfyUI serves itself, looks where it is: `ui/src/page.ts`.
    # Not by a Content-Security-Policy: under `--disable-api-nodes` ComfyUI puts its own in that one's place.
    "X-Frame-Options": "SAMEORIGIN",
}
"""Of the page."""


class PanelActions(Protocol):
    """What these routes ask for; each may block, and is called in a thread."""

    def marks(self, since: float) -> dict[str, Any]:
        """Jobs and actions later than `since`."""
        ...

    def costs(self) -> dict[str, Any]:
        """What freeing at each level would bring and cost; waits up to 10 s."""
        ...

    def reset_settings(self, fields: Sequence[str] | None) -> dict[str, Any]:
        """Back to the defaults. Raises `SettingsRefused`."""
        ...


class PanelRoutes:
    """The handlers; testable with no server."""

    def __init__(self, actions: PanelActions, page: Path = PAGE) -> None:
        self._actions = actions
        self._page = page
        self._costs = Shared(actions.costs)

    def add_to(self, table: web.RouteTableDef) -> None:
        """Register them."""
        table.get("/resource_gate")(answered(self.page))
        table.get("/resource_gate/")(answered(self.page))
        table.get("/resource_gate/history/marks")(answered(self.marks))
        table.get("/resource_gate/free/costs")(answered(self.costs))
        table.post("/resource_gate/settings/reset")(answered(self.reset))

    async def page(self, request: web.Request) -> web.StreamResponse:
        """`GET /resource_gate/`: the panel as a page of its own."""
        if not await asyncio.to_thread(self._page.is_file):
            return web.Response(status=404, text=f"{self._page.name} is missing: this Resource Gate is incomplete.\n")
        return web.FileResponse(self._page, headers=HEADERS)

    async def marks(self, request: web.Request) -> web.Response:
        """`GET history/marks[?since=<epoch s>]`: jobs with their start and end, and actions, of the last hour."""
        query: Marks = parse(Marks, dict(request.query))
        return web.json_response(await asyncio.to_thread(self._actions.marks, query.since))

    async def costs(self, request: web.Request) -> web.Response:
        """`GET free/costs`: for each level bytes, nodes that would run again, models that would be loaded again."""
        return web.json_response(await asyncio.shield(self._costs.task()))

    async def reset(self, request: web.Request) -> web.Response:
        """`POST settings/reset {"fields"?: ["ram.warning"]}`: these, or all, back to their defaults."""
        body: ResetSettings = parse(ResetSettings, await json_body(request))
        try:
            return web.json_response(await asyncio.to_thread(self._actions.reset_settings, body.fields))
        except SettingsRefused as refused:
            raise BadRequest("nothing was changed", refused_fields(refused)) from None
