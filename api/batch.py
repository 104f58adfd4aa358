"""The routes of the batch: `GET batch`, `POST batch/restore`, `batch/release`, `batch/retry`, `batch/stop`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from aiohttp import web

from .routes import answered, json_body
from .schemas import BadRequest, Nothing, Page, Release, RestoreBatch, RetryBatch, parse


class BatchActions(Protocol):
    """What these routes ask for; each may block, and is called in a thread."""

    def jobs(self, limit: int, before: int | None) -> dict[str, Any]:
        """A page of jobs, newest first."""
        ...

    def restore(self, ids: Sequence[str] | None, discard: bool) -> dict[str, Any]:
        """Put back, or forget, what an earlier process left."""
        ...

    def release(self, job_id: str) -> dict[str, Any] | None:
        """Let a job in quarantine run again; None where there is no such job."""
        ...

    def retry(self, ids: Sequence[str] | None) -> dict[str, Any]:
        """Queue failed prompts again."""
        ...

    def stop(self) -> dict[str, Any]:
        """Pause after the current job; answers `status.batch`."""
        ...


class BatchRoutes:
    """The handlers; testable with no server."""

    def __init__(self, batch: BatchActions) -> None:
        self._batch = batch

    def add_to(self, table: web.RouteTableDef) -> None:
        """Register them."""
        table.get("/resource_gate/batch")(answered(self.jobs))
        table.post("/resource_gate/batch/restore")(answered(self.restore))
        table.post("/resource_gate/batch/release")(answered(self.release))
        table.post("/resource_gate/batch/retry")(answered(self.retry))
        table.post("/resource_gate/batch/stop")(answered(self.stop))

    async def jobs(self, request: web.Request) -> web.Response:
        """`GET batch[?limit=<n>][&before=<seq>]`: jobs with their states, newest first; those set aside apart."""
        query: Page = parse(Page, dict(request.query))
        return web.json_response(await asyncio.to_thread(self._batch.jobs, query.limit, query.before))

    async def restore(self, request: web.Request) -> web.Response:
        """`POST batch/restore {"ids"?: [...], "discard"?: bool}`: put back what was left, or forget it."""
        body: RestoreBatch = parse(RestoreBatch, await json_body(request))
        return web.json_response(await asyncio.to_thread(self._batch.restore, body.ids, body.discard))

    async def release(self, request: web.Request) -> web.Response:
        """`POST batch/release {"id"}`: let a job that was set aside run again, its deaths forgotten."""
        body: Release = parse(Release, await json_body(request))
        done = await asyncio.to_thread(self._batch.release, body.id)
        if done is None:
            problem = {"field": "id", "problem": "no job with this id is in quarantine", "in_force": None}
            raise BadRequest("nothing was released", [problem])
        return web.json_response(done)

    async def retry(self, request: web.Request) -> web.Response:
        """`POST batch/retry {"ids"?: [...]}`: queue failed prompts again, with the same graph and a new id."""
        body: RetryBatch = parse(RetryBatch, await json_body(request))
        return web.json_response(await asyncio.to_thread(self._batch.retry, body.ids))

    async def stop(self, request: web.Request) -> web.Response:
        """`POST batch/stop {}`: let the current job come to its end, then pause; `resume` undoes it."""
        parse(Nothing, await json_body(request))
        return web.json_response({"ok": True, "batch": await asyncio.to_thread(self._batch.stop)})
