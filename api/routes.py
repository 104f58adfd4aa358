"""The HTTP routes under `/resource_gate/`. Handlers only translate; what they do lies in the rooms."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from aiohttp import web

from ..monitor.metrics import CONTENT_TYPE
from ..monitor.readings import Level
from ..settings import SettingsRefused
from .guard import Bucket, foreign
from .schemas import BadRequest, Free, Nothing, Past, parse
from .watch import Watchers

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024
"""Bytes of a request body: settings are the largest, and fit ten times."""

MAX_CLIENT_ID = 128

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Actions(Protocol):
    """What the routes may ask for. None of it blocks for longer than a reading, but `free`, which runs in a thread."""

    def status(self) -> dict[str, Any]:
        """The status object."""
        ...

    def free(self, level: Level, goal: int | None) -> dict[str, Any]:
        """Free memory now; waits up to 10 s."""
        ...

    def dry_run(self, level: Level) -> dict[str, Any]:
        """Tell what `free` would do; waits up to 10 s."""
        ...

    def pause(self) -> None:
        """Let no further prompt start."""
        ...

    def resume(self) -> None:
        """Let them start again."""
        ...

    def history(self, since: float, points: int) -> list[dict[str, Any]]:
        """Points of the last hour later than `since`."""
        ...

    def log(self, since: float, points: int) -> list[dict[str, Any]]:
        """The last actions later than `since`, oldest first."""
        ...

    def metrics(self) -> str:
        """Prometheus text."""
        ...

    def settings_view(self) -> dict[str, Any]:
        """The settings in force and what is allowed."""
        ...

    def change_settings(self, change: dict[str, Any]) -> dict[str, Any]:
        """Change some. Raises `SettingsRefused`."""
        ...


class Routes:
    """The handlers; testable with no server."""

    def __init__(self, actions: Actions, watchers: Watchers) -> None:
        self._actions = actions
        self._watchers = watchers
        self._freeing = asyncio.Lock()

    def add_to(self, table: web.RouteTableDef) -> None:
        """Register all of them."""
        table.get("/resource_gate/status")(answered(self.status))
        table.get("/resource_gate/history")(answered(self.history))
        table.get("/resource_gate/log")(answered(self.log))
        table.get("/resource_gate/metrics")(answered(self.metrics))
        table.get("/resource_gate/settings")(answered(self.get_settings))
        table.post("/resource_gate/settings")(answered(self.post_settings))
        table.post("/resource_gate/free")(answered(self.free))
        table.post("/resource_gate/pause")(answered(self.pause))
        table.post("/resource_gate/resume")(answered(self.resume))

    async def status(self, request: web.Request) -> web.Response:
        """`GET status[?watch=<client id>]`: the status; with `watch`, events for that client for 30 s."""
        client = request.query.get("watch", "")
        if len(client) > MAX_CLIENT_ID:
            raise BadRequest(f"watch: a client id has at most {MAX_CLIENT_ID} characters; no events are sent")
        if client and not foreign(request.headers):
            self._watchers.renew(client)
        return web.json_response(await asyncio.to_thread(self._actions.status))

    async def history(self, request: web.Request) -> web.Response:
        """`GET history[?since=<epoch s>][&points=<n>]`: the last hour, thinned so that peaks stay."""
        query: Past = parse(Past, dict(request.query))
        points = await asyncio.to_thread(self._actions.history, query.since, query.points)
        return web.json_response({"points": points})

    async def log(self, request: web.Request) -> web.Response:
        """`GET log[?since=…][&points=…]`: what was done to free memory, why, and what came of it."""
        query: Past = parse(Past, dict(request.query))
        return web.json_response({"actions": self._actions.log(query.since, query.points)})

    async def metrics(self, request: web.Request) -> web.Response:
        """`GET metrics`: Prometheus text."""
        text = await asyncio.to_thread(self._actions.metrics)
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def free(self, request: web.Request) -> web.Response:
        """`POST free {"level"?, "goal_bytes"?, "dry_run"?}`: what was freed, and what has to wait for the node."""
        body: Free = parse(Free, await json_body(request))
        # One after the other: each may wait for seconds, and must not fill the pool of threads that ComfyUI uses, too.
        async with self._freeing:
            if body.dry_run:
                return web.json_response(await asyncio.to_thread(self._actions.dry_run, Level[body.level.upper()]))
            answer = await asyncio.to_thread(self._actions.free, Level[body.level.upper()], body.goal_bytes)
        # 409: not all of it could be done now; the body says what was, and what the rest waits for.
        return web.json_response(answer, status=200 if answer["deferred"] is None else 409)

    async def pause(self, request: web.Request) -> web.Response:
        """`POST pause {}`: no further prompt starts."""
        parse(Nothing, await json_body(request))
        self._actions.pause()
        return web.json_response({"ok": True})

    async def resume(self, request: web.Request) -> web.Response:
        """`POST resume {}`: they start again."""
        parse(Nothing, await json_body(request))
        self._actions.resume()
        return web.json_response({"ok": True})

    async def get_settings(self, request: web.Request) -> web.Response:
        """`GET settings`: those in force, their schema with the ranges, and what could not be taken."""
        return web.json_response(self._actions.settings_view())

    async def post_settings(self, request: web.Request) -> web.Response:
        """`POST settings {"ram": {"warning": 0.8}}`: change some; all of the change or nothing of it."""
        change = await json_body(request)
        if not isinstance(change, dict):
            raise BadRequest("the body must be a JSON object; all settings stay in force")
        try:
            return web.json_response(await asyncio.to_thread(self._actions.change_settings, change))
        except SettingsRefused as refused:
            raise BadRequest("nothing was changed", refused_fields(refused)) from None


def refused_fields(refused: SettingsRefused) -> list[dict[str, Any]]:
    """A row for each setting that was refused."""
    return [{"field": r.field, "problem": r.problem, "in_force": r.in_force} for r in refused.refusals]


async def json_body(request: web.Request, most: int = MAX_BODY) -> Any:
    """The body, of at most so many bytes.

    A content type other than JSON is refused: a browser sends JSON to another origin only after asking, so a page
    elsewhere cannot pause a queue, even where ComfyUI's own origin check is switched off.
    """
    if request.content_type != "application/json":
        raise BadRequest("the content type must be application/json; nothing was done")
    body = bytearray()
    try:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > most:
                raise BadRequest(f"the body is larger than {most} bytes; nothing was done")
    except web.RequestPayloadError:
        raise BadRequest("the body is not packed as its headers say; nothing was done") from None
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON ({error}); nothing was done") from None


def answered(handler: Handler, bucket: Bucket | None = None) -> Handler:
    """The handler, with what it raises turned into an answer; for changes, guarded against other sites and floods.

    Args:
        bucket: how often it may change something; None for the usual.
    """
    bucket = bucket or Bucket()

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            if foreign(request.headers):
                return _refused(403, "a page of another origin sent this; nothing was done")
            wait = bucket.take()
            if wait:
                problem = f"too many of these; nothing was done, try again in {math.ceil(wait)} s"
                return _refused(429, problem, {"Retry-After": str(math.ceil(wait))})
        try:
            return await handler(request)
        except BadRequest as bad:
            return web.json_response(bad.as_dict(), status=400)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            message = f"{request.path} failed inside Resource Gate; the log of the server says more. Prompts run on."
            return _refused(500, message)

    return answer


def _refused(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message, "fields": []}}, status=status, headers=headers)
