"""`GET predictions`: what was learned of workflows and how right it was; `POST predictions/forget`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Protocol

from aiohttp import web
from pydantic import Field

from .routes import answered, json_body
from .schemas import Body, parse


class Learned(Protocol):
    """What the routes ask for."""

    def view(self) -> dict[str, Any]:
        """What was learned."""
        ...

    def forget(self, family: str) -> int:
        """Forget a family by the beginning of its id, or all with `*`; tells how many runs that were."""
        ...

    def exported(self) -> str:
        """All runs as lines of JSON."""
        ...


class Forget(Body):
    """`predictions/forget`: which family."""

    family: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^(\*|[0-9a-f]{4,64})$")]
    """The beginning of its id, four characters at least; `*` for all."""


class PredictionRoutes:
    """The handlers; testable with no server."""

    def __init__(self, learned: Learned) -> None:
        self._learned = learned

    def add_to(self, table: web.RouteTableDef) -> None:
        """Register them."""
        table.get("/resource_gate/predictions")(answered(self.predictions))
        table.get("/resource_gate/predictions/runs")(answered(self.runs))
        table.post("/resource_gate/predictions/forget")(answered(self.forget))

    async def predictions(self, request: web.Request) -> web.Response:
        """`GET predictions`: by family, the last that ran first."""
        return web.json_response(await asyncio.to_thread(self._learned.view))

    async def runs(self, request: web.Request) -> web.Response:
        """`GET predictions/runs`: every remembered run, one JSON line each, as `runs.jsonl` holds them."""
        text = await asyncio.to_thread(self._learned.exported)
        return web.Response(text=text, content_type="application/x-ndjson")

    async def forget(self, request: web.Request) -> web.Response:
        """`POST predictions/forget {"family"}`: know nothing of it any more."""
        body: Forget = parse(Forget, await json_body(request))
        forgotten = await asyncio.to_thread(self._learned.forget, body.family)
        return web.json_response({"ok": True, "runs": forgotten})
