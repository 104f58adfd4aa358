"""What a browser loads from the embedded host: the page, the panel, its languages, and the files that jobs made."""

from __future__ import annotations

import asyncio
import json
import logging
import mimetypes
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from .embedded import EmbeddedHost
from .embedded_files import UnsafePath, inside

log = logging.getLogger(__name__)

EXTENSION = "resource-gate"
"""Where the browser finds our files: `/extensions/resource-gate/…`, as under ComfyUI."""

PARTS_OF_A_LANGUAGE = ("nodeDefs", "commands", "settings")
"""Files beside `main.json` that ComfyUI merges under their own names."""

ACTIVE = ("text/html", "text/javascript", "application/javascript", "text/css", "image/svg+xml")
"""Types that a browser would run in our name; files of users are never served as these."""

NO_STORE = {"Cache-Control": "no-store, must-revalidate"}


def page_routes(host: EmbeddedHost, package: Path) -> Iterable[web.RouteDef]:
    """Routes of one host; `package` holds `web` and `locales`."""
    routes = PageRoutes(host, package)
    return [
        web.get("/", routes.get_page),
        web.get("/extensions", routes.get_extensions),
        web.get(f"/extensions/{EXTENSION}/{{file:.+}}", routes.get_file),
        web.get("/i18n", routes.get_i18n),
        web.get("/view", routes.get_view),
    ]


class PageRoutes:
    """One method a route."""

    def __init__(self, host: EmbeddedHost, package: Path) -> None:
        self._host = host
        self._web = package / "web"
        self._locales = package / "locales"

    async def get_page(self, request: web.Request) -> web.StreamResponse:
        """The page that holds the panel."""
        page = self._web / "page.html"
        if not page.is_file():
            return web.Response(status=404, text="web/page.html is missing: build the panel first.\n")
        return web.FileResponse(page, headers=NO_STORE)

    async def get_extensions(self, request: web.Request) -> web.Response:
        """The scripts to load, as ComfyUI lists them."""
        return web.json_response([f"/extensions/{EXTENSION}/{p.name}" for p in sorted(self._web.glob("*.js"))])

    async def get_file(self, request: web.Request) -> web.StreamResponse:
        """A file of `web`."""
        try:
            path = inside(self._web, request.match_info["file"])
        except UnsafePath:
            return web.Response(status=403)
        if not path.is_file():
            return web.Response(status=404)
        # Said, not guessed: a Windows registry may call scripts plain text, and then no browser runs them.
        script = {"Content-Type": "text/javascript"} if path.suffix == ".js" else {}
        return web.FileResponse(path, headers={**NO_STORE, **script})

    async def get_i18n(self, request: web.Request) -> web.Response:
        """Texts by language, as ComfyUI merges them."""
        return web.json_response(await asyncio.to_thread(translations, self._locales))

    async def get_view(self, request: web.Request) -> web.StreamResponse:
        """A file that a job made or was given: `filename`, `subfolder`, `type` (`output`, `input`, `temp`)."""
        name = request.query.get("filename", "")
        if not name:
            return web.Response(status=404)
        try:
            path = self._host.folders.find(
                request.query.get("type", "output"), request.query.get("subfolder", ""), name
            )
        except KeyError:
            return web.Response(status=400)
        except UnsafePath:
            return web.Response(status=403)
        if not path.is_file():
            return web.Response(status=404)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        headers = {
            "Content-Type": "application/octet-stream" if kind in ACTIVE else kind,
            "X-Content-Type-Options": "nosniff",
        }
        return web.FileResponse(path, headers=headers)


def translations(locales: Path) -> dict[str, Any]:
    """Language → the keys of its `main.json`, and the other files' contents under their names."""
    found: dict[str, Any] = {}
    for folder in sorted(p for p in locales.glob("*") if p.is_dir()):
        texts = dict(_object(folder / "main.json"))
        texts |= {name: part for name in PARTS_OF_A_LANGUAGE if (part := _object(folder / f"{name}.json"))}
        if texts:
            found[folder.name] = texts
    return found


def _object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read: %s", path, error)
        return {}
    return value if isinstance(value, dict) else {}
