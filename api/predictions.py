"""`GET predictions`: what was learned of workflows, and how right it was; `POST predictions`: what one would need."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from ..gate.prediction.predict import Need
from .guard import Bucket
from .routes import answered, json_body
from .schemas import Body, parse

MAX_GRAPH = 4 * 1024**2
"""Bytes of a request that holds a graph: some hundred nodes with long texts are a tenth of it."""

MAX_NODES = 5000
"""Nodes of one; the largest real ones have some hundreds."""

FORETOLD = 20.0, 100
"""Foretellings a second in the long run, and in a row: each takes a fraction of a millisecond, and a batch runner asks
for one for each size of its jobs."""


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

    def foretell(self, graph: Mapping[str, Any], outputs: Sequence[str] = ()) -> Need | None:
        """What a graph would need; None where nothing is predicted."""
        ...


class Forget(Body):
    """`predictions/forget`: which family."""

    family: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^(\*|[0-9a-f]{4,64})$")]
    """The beginning of its id, four characters at least; `*` for all."""


class Node(BaseModel):
    """One node of a graph in API format; what else it holds does not matter here."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    class_type: Annotated[str, Field(max_length=500)]
    inputs: dict[str, Any] = Field(default_factory=dict)


class Foretell(Body):
    """`POST predictions`: what is to be foretold."""

    prompt: Annotated[dict[Annotated[str, Field(max_length=200)], Node], Field(min_length=1, max_length=MAX_NODES)]
    """A graph in API format, as `POST /prompt` takes it; it is neither checked nor queued."""
    outputs: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=MAX_NODES)] | None = None
    """Ids of the output nodes that would run; None: all nodes count."""


class PredictionRoutes:
    """The handlers; testable with no server."""

    def __init__(self, learned: Learned) -> None:
        self._learned = learned

    def add_to(self, table: web.RouteTableDef) -> None:
        """Register them."""
        table.get("/resource_gate/predictions")(answered(self.predictions))
        table.post("/resource_gate/predictions")(answered(self.foretell, Bucket(*FORETOLD)))
        table.get("/resource_gate/predictions/runs")(answered(self.runs))
        table.post("/resource_gate/predictions/forget")(answered(self.forget))

    async def predictions(self, request: web.Request) -> web.Response:
        """`GET predictions`: by family, the last that ran first."""
        return web.json_response(await asyncio.to_thread(self._learned.view))

    async def foretell(self, request: web.Request) -> web.Response:
        """`POST predictions {"prompt", "outputs"?}`: `{"need"}`, what that graph would need here; changes nothing.

        Bytes above what is in use without it, and seconds; `known`: whether runs of its own kind say so. Null where
        nothing is predicted.
        """
        body: Foretell = parse(Foretell, await json_body(request, MAX_GRAPH))
        graph = {node_id: node.model_dump() for node_id, node in body.prompt.items()}
        need = await asyncio.to_thread(self._learned.foretell, graph, body.outputs or ())
        return web.json_response({"need": None if need is None else need._asdict()})

    async def runs(self, request: web.Request) -> web.Response:
        """`GET predictions/runs`: every remembered run, one JSON line each, as `runs.jsonl` holds them."""
        text = await asyncio.to_thread(self._learned.exported)
        return web.Response(text=text, content_type="application/x-ndjson")

    async def forget(self, request: web.Request) -> web.Response:
        """`POST predictions/forget {"family"}`: know nothing of it any more."""
        body: Forget = parse(Forget, await json_body(request))
        forgotten = await asyncio.to_thread(self._learned.forget, body.family)
        return web.json_response({"ok": True, "runs": forgotten})
