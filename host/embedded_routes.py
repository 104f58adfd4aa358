"""The routes that ComfyUI's clients drive a queue with, answered as ComfyUI answers them."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import psutil
from aiohttp import web

from .embedded import EmbeddedHost
from .embedded_graph import PromptRefused, problem


def queue_routes(host: EmbeddedHost) -> Iterable[web.RouteDef]:
    """Routes of one host."""
    routes = QueueRoutes(host)
    return [
        web.get("/prompt", routes.get_prompt),
        web.post("/prompt", routes.post_prompt),
        web.get("/queue", routes.get_queue),
        web.post("/queue", routes.post_queue),
        web.get("/history", routes.get_history),
        web.get("/history/{prompt_id}", routes.get_history_of),
        web.post("/history", routes.post_history),
        web.post("/interrupt", routes.post_interrupt),
        web.get("/object_info", routes.get_object_info),
        web.get("/object_info/{node_class}", routes.get_object_info),
        web.get("/system_stats", routes.get_system_stats),
        web.get("/features", routes.get_features),
    ]


class QueueRoutes:
    """One method a route."""

    def __init__(self, host: EmbeddedHost) -> None:
        self._host = host

    async def get_prompt(self, request: web.Request) -> web.Response:
        """How many prompts run or wait."""
        return web.json_response({"exec_info": {"queue_remaining": self._host.queue.remaining}})

    async def post_prompt(self, request: web.Request) -> web.Response:
        """Queue a prompt: `{"prompt": graph, "client_id", "prompt_id", "number", "front", "extra_data"}`."""
        body = await _body(request)
        try:
            if "prompt" not in body:
                raise PromptRefused(problem("no_prompt", "No prompt provided", "No prompt provided"))
            extra = _of_type(body, "extra_data", Mapping, "an object")
            number = _of_type(body, "number", (int, float), "a number")
            item = self._host.submit(
                body["prompt"],
                prompt_id=body.get("prompt_id"),
                client_id=_of_type(body, "client_id", str, "a string"),
                number=None if number is None else float(number),
                front=bool(body.get("front")),
                extra_data=extra,
                only=_of_type(body, "partial_execution_targets", list, "a list"),
            )
        except PromptRefused as refused:
            return web.json_response({"error": refused.error, "node_errors": refused.node_errors}, status=400)
        answer = {"prompt_id": item.id, "number": item.number, "node_errors": item.prompt.node_errors}
        return web.json_response(answer)

    async def get_queue(self, request: web.Request) -> web.Response:
        """What runs and what waits."""
        running, pending = self._host.queue.snapshot()
        return web.json_response(
            {
                "queue_running": [i.as_tuple() for i in running],
                "queue_pending": [i.as_tuple() for i in pending],
            }
        )

    async def post_queue(self, request: web.Request) -> web.Response:
        """Take prompts out: `{"clear": true}` or `{"delete": [ids]}`."""
        body = await _body(request)
        ids = _ids(body)
        if body.get("clear"):
            self._host.queue.clear()
        if ids:
            self._host.queue.delete(ids)
        return web.Response()

    async def get_history(self, request: web.Request) -> web.Response:
        """Ended prompts; `max_items` and `offset` choose among them."""
        try:
            max_items = request.query.get("max_items")
            offset = int(request.query.get("offset", "-1"))
            limit = None if max_items is None else max(0, int(max_items))
        except ValueError:
            return web.json_response({"error": "max_items and offset must be whole numbers"}, status=400)
        return web.json_response(self._host.queue.history(limit, offset))

    async def get_history_of(self, request: web.Request) -> web.Response:
        """One ended prompt, by its id; `{}` while it has not ended, or is not known."""
        prompt_id = request.match_info["prompt_id"]
        entry = self._host.queue.entry(prompt_id)
        return web.json_response({} if entry is None else {prompt_id: entry})

    async def post_history(self, request: web.Request) -> web.Response:
        """Forget prompts: `{"clear": true}` or `{"delete": [ids]}`."""
        body = await _body(request)
        ids = _ids(body)
        if body.get("clear"):
            self._host.queue.forget()
        if ids:
            self._host.queue.forget(ids)
        return web.Response()

    async def post_interrupt(self, request: web.Request) -> web.Response:
        """Stop the running prompt; with `{"prompt_id": id}` only if it is that one."""
        body = await _body(request) if request.can_read_body else {}
        self._host.queue.interrupt(body.get("prompt_id") or None)
        return web.Response()

    async def get_object_info(self, request: web.Request) -> web.Response:
        """Describe the kinds of nodes, or one of them."""
        wanted = request.match_info.get("node_class")
        kinds = self._host.nodes
        return web.json_response({n: kinds[n].info() for n in kinds if wanted in (None, n)})

    async def get_system_stats(self, request: web.Request) -> web.Response:
        """RAM and versions; there is no ComfyUI, no torch and no device to tell of."""
        memory = psutil.virtual_memory()
        system = {
            "os": sys.platform,
            "ram_total": memory.total,
            "ram_free": memory.available,
            "comfyui_version": None,
            "required_frontend_version": None,
            "python_version": sys.version,
            "pytorch_version": None,
            "embedded_python": False,
            "argv": sys.argv,
        }
        return web.json_response({"system": system, "devices": []})

    async def get_features(self, request: web.Request) -> web.Response:
        """What ComfyUI calls feature flags: none."""
        return web.json_response({})


async def _body(request: web.Request) -> dict[str, Any]:
    """The request's JSON object.

    Raises:
        web.HTTPBadRequest: it is not one; the answer is an error in ComfyUI's shape.
    """
    try:
        body = await request.json()
        if isinstance(body, dict):
            return body
        details = "expected an object"
    except (ValueError, RecursionError) as error:
        details = str(error)
    raise _bad_request(problem("invalid_json", "The request is not a JSON object", details))


def _bad_request(error: dict[str, Any]) -> web.HTTPBadRequest:
    text = web.json_response({"error": error, "node_errors": {}}).text
    return web.HTTPBadRequest(text=text, content_type="application/json")


def _of_type(body: Mapping[str, Any], name: str, kind: Any, told: str) -> Any:
    """`body[name]`, None where it is missing or null.

    Raises:
        PromptRefused: it is of another type.
    """
    value = body.get(name)
    is_nan = isinstance(value, float) and math.isnan(value)
    if value is None or (isinstance(value, kind) and not isinstance(value, bool) and not is_nan):
        return value
    raise PromptRefused(problem("invalid_prompt", "A field of the request is wrong", f"{name} must be {told}"))


def _ids(body: Mapping[str, Any]) -> list[str]:
    ids = body.get("delete") or []
    if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
        raise _bad_request(problem("invalid_request", "A field of the request is wrong", "delete: not a list of ids"))
    return ids
