"""Chromium, and a server that answers as Resource Gate does, with a status that the test sets."""

from __future__ import annotations

import asyncio
import copy
import json
import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import WSMsgType, web

from resource_gate.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
GIB = 1024**3
LEASE = 30.0
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--force-color-profile=srgb")

TIERS = {"warning": 0.85, "critical": 0.90, "emergency": 0.95}


def resource(used: float, limit: float, level: str = "normal", **more: Any) -> dict[str, Any]:
    return {"used": used, "limit": limit, "fraction": used / limit, "level": level, "tiers": TIERS, **more}


def idle_status() -> dict[str, Any]:
    """A machine at rest, as `GET /resource_gate/status` tells it."""
    version = json.loads((ROOT / "ui" / "package.json").read_text("utf-8"))["version"]
    return {
        "version": version,
        "time": time.time(),
        "host": {"name": "ComfyUI", "version": "0.33.0"},
        "level": "normal",
        "resources": {
            "ram": resource(13.4 * GIB, 32 * GIB, source="cgroup v2 /docker/4c1f"),
            "vram0": resource(9.1 * GIB, 24 * GIB, name="NVIDIA GeForce RTX 4090", source="nvml"),
            "cpu": resource(2.3, 16),
            "disk_output": resource(410 * GIB, 930 * GIB, path="/data/output", roles=["output", "temp"]),
        },
        "process": {"rss": 11.2 * GIB, "peak": 24.9 * GIB, "anonymous": 10 * GIB, "heap_slack": 0.4 * GIB},
        "gpus": [
            {
                "index": 0,
                "name": "NVIDIA GeForce RTX 4090",
                "used": 9.1 * GIB,
                "total": 24 * GIB,
                "source": "nvml",
                "utilization": 0.31,
                "temperature": 54.0,
                "fraction": 0.38,
            }
        ],
        "temp": {"path": "/data/temp", "bytes": 1.3 * GIB, "files": 212, "growth": 0.0},
        "worker_alive": True,
        "gate": {"state": "open", "reason": "", "since": None, "until": None, "job": None},
        "queue": {"running": [], "pending": 0, "node": "", "progress": None},
        "batch": {"done": 0, "total": 0, "failed": 0, "retried": 0, "eta_seconds": None},
        "last_action": None,
        "degraded": {},
        "monitor": {"interval": 1.0, "late": 0.0, "problems": {}},
    }


def action(now: float) -> dict[str, Any]:
    return {
        "time": now - 130,
        "level": "warning",
        "resource": "ram",
        "why": "RAM at 87% of 32.0 GB",
        "place": "between nodes",
        "rungs": [
            {
                "name": "drop earlier outputs",
                "freed": 2.1 * GIB,
                "seconds": 0.004,
                "detail": "dropped 3 outputs of an earlier prompt",
            },
            {"name": "trim heap", "freed": 0.6 * GIB, "seconds": 0.067, "detail": "trimmed the heap"},
        ],
        "freed": 2.7 * GIB,
        "goal": 2.4 * GIB,
        "met": True,
        "dry_run": False,
        "text": "RAM at 87% of 32.0 GB: dropped 3 outputs of an earlier prompt; trimmed the heap; "
        "2.7 GB freed in 71 ms",
    }


def running(status: dict[str, Any]) -> dict[str, Any]:
    """A batch of videos in its seventh clip."""
    status["queue"] = {"running": ["a"], "pending": 13, "node": "12 KSampler", "progress": 0.45}
    batch = {"done": 6, "total": 20, "failed": 0, "retried": 1, "eta_seconds": 1580.0}
    status["batch"] = {**batch, "eta_low": 1390.0, "eta_high": 1820.0, "state": "running", "started_at": status["time"]}
    status["last_action"] = action(status["time"])
    status["resources"]["vram0"] = resource(19.7 * GIB, 24 * GIB, name="NVIDIA GeForce RTX 4090", source="nvml")
    return status


def example(name: str) -> dict[str, Any]:
    """One of the states that the panel has a look for."""
    status = idle_status()
    now = status["time"]
    ram = "cgroup v2 /docker/4c1f"
    if name == "idle":
        return status
    if name == "running":
        return running(status)
    if name == "waiting":
        running(status)["queue"].update({"running": [], "node": "", "progress": None, "pending": 14})
        status["resources"]["ram"] = resource(27.9 * GIB, 32 * GIB, "warning", source=ram)
        status["level"] = "warning"
        reason = "RAM 87% of 32.0 GB; it starts below 80%"
        status["gate"] = {"state": "waiting", "reason": reason, "since": now - 12, "until": now + 18, "job": "b"}
    elif name == "warning":
        running(status)["resources"]["ram"] = resource(27.9 * GIB, 32 * GIB, "warning", source=ram)
        status["level"] = "warning"
    elif name == "emergency":
        running(status)["resources"]["ram"] = resource(31.0 * GIB, 32 * GIB, "emergency", source=ram)
        status["resources"]["vram0"] = resource(
            22.1 * GIB, 24 * GIB, "critical", name="NVIDIA GeForce RTX 4090", source="nvml"
        )
        status["resources"]["cpu"] = resource(15.8, 16, "emergency")
        status["level"] = "emergency"
        status["batch"]["failed"] = 1
        status["temp"]["growth"] = 48 * 1024**2
    elif name == "paused":
        running(status)["queue"].update({"running": [], "node": "", "progress": None, "pending": 14})
        status["gate"] = {"state": "paused", "reason": "paused by hand", "since": now - 95, "until": None, "job": None}
    elif name == "degraded":
        running(status)["degraded"] = {"brake": "this ComfyUI has no hook before each node; the gate still works"}
        status["monitor"]["problems"] = {"nvml": "the driver did not answer within 2 s"}
        del status["resources"]["vram0"]
        status["gpus"] = []
        status["worker_alive"] = False
        status["last_action"].update(dry_run=True, met=False, goal=9 * GIB)
    elif name == "done":
        status["batch"] = {"done": 19, "total": 20, "failed": 1, "retried": 2, "eta_seconds": None}
        status["last_action"] = action(now)
    elif name == "quarantined":
        running(status)["batch"] |= {"quarantined": 1, "failed": 1}
    elif name == "left":
        status["batch"] |= {"restorable": 3, "quarantined": 1}
    else:
        raise KeyError(name)
    return status


def history(now: float) -> list[dict[str, Any]]:
    """A quarter of an hour: clips that come and go."""
    found = []
    for second in range(900):
        wave = abs(math.sin(second / 55)) ** 3
        point = {"time": now - 900 + second, "level": "normal", "ram": (11 + 14 * wave) * GIB, "ram_limit": 32 * GIB}
        found.append({**point, "vram0": (9 + 11 * wave) * GIB, "vram0_limit": 24 * GIB})
    return found


def marks(now: float) -> dict[str, Any]:
    jobs = [
        {"id": str(n), "title": f"clip_{n:03}", "start": now - 880 + n * 110, "end": now - 780 + n * 110, "ok": n != 4}
        for n in range(8)
    ]
    jobs[-1] |= {"end": None, "ok": None}
    actions = [
        {"time": now - 130, "level": "warning", "resource": "ram", "freed": 2.7 * GIB, "text": action(now)["text"]},
        {"time": now - 480, "level": "critical", "resource": "ram", "freed": GIB, "text": "RAM at 91%: 1.0 GB freed"},
    ]
    return {"jobs": jobs, "actions": actions}


def settings_answer(settings: Settings) -> dict[str, Any]:
    return {"settings": settings.model_dump(), "schema": Settings.model_json_schema(), "problems": []}


def answers(status: dict[str, Any]) -> dict[str, Any]:
    """What the other routes tell, by path below `/resource_gate/`; times in the file count from now."""
    now = status["time"]
    found = json.loads((Path(__file__).parent / "answers.json").read_text("utf-8"))
    batch = found["batch"]
    if not status["queue"]["running"]:
        batch["running"], batch["jobs"] = [], batch["jobs"][1:]
    batch["quarantined"] = found["aside"] if status["batch"].get("quarantined") else []
    batch["left"] = found["left"] if status["batch"].get("restorable") else []
    over = status["batch"]["total"] and not status["queue"]["running"] and not status["queue"]["pending"]
    batch["summary"] = found["summary"] if over else None
    for row in [*batch["jobs"], *batch["running"], *batch["quarantined"], *batch["left"]]:
        for name in {"queued_at", "started_at", "ended_at"} & row.keys():
            row[name] = None if row[name] is None else now + row[name]
    return {
        "batch": batch,
        "history": {"points": history(now)},
        "history/marks": marks(now),
        "log": {"actions": [action(now - 400), action(now)]},
        "settings": settings_answer(Settings()),
        "free/costs": found["costs"],
        "free?dry": found["plan"],
        "fleet": found["fleet"],
    }


class StatusServer:
    """Serves the page, its bundle, the texts, the status, and a WebSocket; leases as the real one does.

    Runs on a thread of its own. `status` is what is told; `requests` is what was asked, as `GET /path?query`.
    """

    def __init__(self) -> None:
        self.status = example("idle")
        self.requests: list[str] = []
        self.bodies: list[tuple[str, Any]] = []
        self.freed: dict[str, Any] = {"ok": True, "freed": 1.5 * GIB, "actions": [], "deferred": None}
        self.missing = False
        self.answers: dict[str, Any] | None = None
        """What the other routes tell; None: what fits the status. Without `fleet` that route is missing."""
        self.fleet = False
        self.refusal: dict[str, Any] | None = None
        self._leases: dict[str, float] = {}
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner: web.AppRunner | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Listen; after `stop` on the same port again."""
        self._do(self._start())

    def stop(self) -> None:
        """Hang up on everybody and listen no more."""
        self._do(self._stop())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def push(self, status: dict[str, Any]) -> int:
        """Make this the status and send it to whoever holds a lease; returns to how many."""
        self.status = status
        return self.send("resource_gate.status", status)

    def send(self, event: str, data: Any) -> int:
        return self._do(self._send(event, data))

    def asked(self, start: str) -> list[str]:
        return [line for line in self.requests if line.startswith(start)]

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _send(self, event: str, data: Any) -> int:
        sent = 0
        for client, until in self._leases.items():
            socket = self._sockets.get(client)
            if until > time.monotonic() and socket is not None and not socket.closed:
                await socket.send_json({"type": event, "data": data})
                sent += 1
        return sent

    async def _start(self) -> None:
        app = web.Application(middlewares=[self._log])
        app.router.add_get("/", self._page)
        app.router.add_static("/extensions/resource-gate", ROOT / "web")
        app.router.add_get("/i18n", self._i18n)
        app.router.add_get("/ws", self._ws)
        app.router.add_get("/resource_gate/status", self._status)
        for name in ("history", "history/marks", "log", "settings", "batch", "free/costs", "fleet"):
            app.router.add_get(f"/resource_gate/{name}", self._answer)
        for name in ("free", "pause", "resume", "settings", "settings/reset"):
            app.router.add_post(f"/resource_gate/{name}", self._deed)
        for name in ("restore", "release", "retry", "stop"):
            app.router.add_post(f"/resource_gate/batch/{name}", self._deed)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        self._leases.clear()
        for socket in list(self._sockets.values()):
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _log(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        if self.missing and request.path.startswith("/resource_gate/"):
            raise web.HTTPNotFound
        return await handler(request)

    async def _page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(ROOT / "web" / "page.html")

    async def _i18n(self, _: web.Request) -> web.Response:
        texts = {f.parent.name: json.loads(f.read_text("utf-8")) for f in (ROOT / "locales").glob("*/main.json")}
        return web.json_response(texts)

    async def _status(self, request: web.Request) -> web.Response:
        if client := request.query.get("watch"):
            self._leases[client] = time.monotonic() + LEASE
        return web.json_response(self.status)

    async def _deed(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/json"
        deed = request.path.split("/resource_gate/", 1)[1]
        body = await request.json()
        self.bodies.append((deed, body))
        if self.refusal is not None:
            return web.json_response({"error": self.refusal}, status=400)
        if deed == "free":
            return web.json_response(answers(self.status)["free?dry"] if body.get("dry_run") else self.freed)
        if deed == "settings":
            return web.json_response(settings_answer(self._changed(body)))
        if deed not in ("pause", "resume"):
            return web.json_response({"ok": True, "queued": [{"id": "n", "of": "o"}], "refused": [], "restored": []})
        state = "paused" if deed == "pause" else "open"
        since = time.time() if deed == "pause" else None
        self.status = copy.deepcopy(self.status)
        self.status["gate"] = {"state": state, "reason": "", "since": since, "until": None, "job": None}
        self.status["time"] = time.time()
        await self._send("resource_gate.status", self.status)
        return web.json_response({"ok": True})

    def _changed(self, change: dict[str, Any]) -> Settings:
        settings = Settings().model_dump()
        for section, values in change.items():
            settings[section] |= values
            if section in self.status["resources"]:
                self.status["resources"][section]["tiers"] = {t: settings[section][t] for t in TIERS}
        return Settings.model_validate(settings)

    async def _answer(self, request: web.Request) -> web.Response:
        name = request.path.split("/resource_gate/", 1)[1]
        found = self.answers if self.answers is not None else answers(self.status)
        if name not in found or (name == "fleet" and not self.fleet):
            raise web.HTTPNotFound
        return web.json_response(found[name])

    async def _ws(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets[request.query["clientId"]] = socket
        await socket.send_json({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}}})
        async for message in socket:
            if message.type == WSMsgType.ERROR:
                break
        return socket


@pytest.fixture
def status_server() -> Iterator[StatusServer]:
    server = StatusServer()
    yield server
    server.close()


@pytest.fixture
def example_status() -> Callable[[str], dict[str, Any]]:
    """Makes the status of a state: see `example`."""
    return example


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for this module: Playwright's event loop stays running on this thread until it is closed."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUMS)))
    with sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address; options as for a Playwright context. At the end no page may have reported an error of ours.

    What the browser itself logs of requests that were refused, or found no server, is no error of the page.
    """
    contexts = []
    errors: list[str] = []

    def heard(message: Any) -> None:
        ours = "resource_gate" in (message.location or {}).get("url", "") + message.text
        noise = message.text.startswith(("Failed to load resource", "WebSocket connection"))
        if message.type in ("error", "warning") and ours and not noise:
            errors.append(f"{message.type}: {message.text} ({message.location})")

    def open_(url: str, **options: Any) -> Page:
        options = {"viewport": {"width": 360, "height": 900}, "locale": "en-US", **options}
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: errors.append(f"uncaught: {error}"))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []
