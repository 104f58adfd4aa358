"""Serves the dashboard of a batch on this machine, with nothing but the standard library."""

from __future__ import annotations

import json
import logging
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..fleet.require import is_loopback
from ..progress.view import View
from .board import Board
from .page_files import PageFiles

DEFAULT_PORT = 8189
"""Beside ComfyUI's own."""
LOOPBACK = "127.0.0.1"
PAGE = 100
"""Jobs listed at a time, at most."""

log = logging.getLogger(__name__)


class Dashboard:
    """A web server on loopback; it only shows, and takes no commands. Use as a context manager.

    Args:
        board: what is shown.
        port: 0 for any that is free.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, board: Board, port: int = DEFAULT_PORT, files: PageFiles | None = None) -> None:
        self.board = board
        self._server = _Server((LOOPBACK, port), _Handler)
        self._server.board, self._server.files = board, files or PageFiles()
        self.url = f"http://{LOOPBACK}:{self._server.server_port}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="resource-gate-dashboard",
            daemon=True,
        )

    def __enter__(self) -> Dashboard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def dashboard_beside(view: View, port: int | None, say: Callable[[str], None]) -> Iterator[tuple[View, Board]]:
    """Serve a dashboard beside a view while the block runs; yields what takes the events for both, and the board.

    Args:
        port: None: no dashboard.
        say: takes the line that says where it is, or why there is none: a batch does not fail for that.
    """
    board = Board()
    if port is None:
        yield view, board
        return
    try:
        dashboard = Dashboard(board, port)
    except OSError as error:
        say(f"--dashboard {port}: {error.strerror or error}; the batch runs without. Give another port, or 0 for any.")
        yield view, board
        return
    with dashboard:
        say(f"Dashboard: {dashboard.url}")
        yield BothViews(view, board), board


class BothViews:
    """Shows a batch in two places."""

    def __init__(self, first: View, second: View) -> None:
        self._views = first, second

    def on(self, event: Mapping[str, Any]) -> None:
        """Take one event of the batch."""
        for view in self._views:
            view.on(event)

    def close(self) -> None:
        """Close both."""
        for view in self._views:
            view.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    board: Board
    files: PageFiles


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 30.0
    """Seconds that an idle connection is kept."""

    def do_GET(self) -> None:
        """Answer one request."""
        # Another site's page could reach this port under a name of its own that resolves to this machine.
        if not is_loopback(f"http://{self.headers.get('Host', '')}"):
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"ask for it as 127.0.0.1 or localhost\n")
            return
        parts = urllib.parse.urlsplit(self.path)
        path = parts.path.removeprefix("/api")
        if path == "/resource_gate/fleet":
            self._answer_json(self.server.board.fleet())
        elif path == "/resource_gate/batch":
            self._batch(dict(urllib.parse.parse_qsl(parts.query)))
        elif (found := self.server.files.find(urllib.parse.unquote(path))) is not None:
            self._answer(HTTPStatus.OK, *found)
        else:
            self._answer_json({"error": {"message": f"a batch's dashboard has no {path}"}}, HTTPStatus.NOT_FOUND)

    def _batch(self, query: Mapping[str, str]) -> None:
        try:
            limit = min(max(int(query.get("limit", PAGE)), 1), PAGE)
            before = int(query["before"]) if "before" in query else None
        except ValueError:
            fields = [{"field": "limit, before", "problem": "must be whole numbers", "in_force": PAGE}]
            error = {"message": "the page cannot be told", "fields": fields}
            self._answer_json({"error": error}, HTTPStatus.BAD_REQUEST)
            return
        self._answer_json(self.server.board.jobs(limit, before))

    def _answer_json(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._answer(status, "application/json", json.dumps(value, default=str).encode())

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Say nothing on a terminal that shows a batch."""
        log.debug(format, *args)
