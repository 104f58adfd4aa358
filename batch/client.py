"""A small client of a server that speaks ComfyUI's HTTP API: submit, look, wait. Standard library only."""

from __future__ import annotations

import http.client
import ipaddress
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .answers import JobEnd, QueueState, job_end
from .errors import (
    BadAnswer,
    ClientError,
    JobLost,
    JobTimeout,
    NotReady,
    PromptRefused,
    RequestRefused,
    ServerGone,
    ServerSilent,
)

__all__ = [
    "BadAnswer",
    "Client",
    "ClientError",
    "JobEnd",
    "JobLost",
    "JobTimeout",
    "NotReady",
    "PromptRefused",
    "QueueState",
    "RequestRefused",
    "ServerGone",
    "ServerSilent",
]

REQUEST_TIMEOUT = 30.0
"""Seconds for one answer. A loop stalled by a gc or a big pickle was late by 1.3 s; thirty is a server that hangs."""
READY_TIMEOUT = 180.0
"""Seconds for a server to come up: ComfyUI needs 8 here, a minute with many node packs on a cold disk."""
READY_POLL = 0.2
"""Seconds between two asks of a server that is coming up; a refused connection costs nothing."""
END_POLL = 0.2
"""Seconds between two asks whether a job has ended; each costs the server well under a millisecond."""
END_TIMEOUT = 3600.0
"""Seconds for one job to end; a long video on a slow card takes tens of minutes."""


def is_loopback(url: str) -> bool:
    """Whether that URL is of this machine."""
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Client:
    """Speaks to one server.

    Args:
        url: as a browser would open it, `http://127.0.0.1:8188`; a path prefix is kept.
        timeout: seconds for one answer.
    """

    def __init__(self, url: str, timeout: float = REQUEST_TIMEOUT) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        # A proxy of the environment must not see what goes to this machine.
        handlers = [urllib.request.ProxyHandler({})] if is_loopback(self.url) else []
        self._opener = urllib.request.build_opener(*handlers)

    def call(self, method: str, path: str, body: Any = None, timeout: float | None = None) -> Any:
        """Ask `path` and return the parsed JSON answer, None where it is empty.

        Raises:
            ServerGone, ServerSilent, RequestRefused, BadAnswer: as their names say.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        with self.open(method, path, data, headers, timeout) as answer:
            return _parsed(answer.read())

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        data: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Ask `path`, and give the answer to be read while the block runs; its errors are told as `call`'s are.

        Args:
            data: the body; in pieces only with a `Content-Length` among the headers.
            timeout: seconds for the answer to begin, and between two pieces of it.
        """
        request = urllib.request.Request(self.url + path, data, dict(headers or {}), method=method)
        try:
            with self._opener.open(request, timeout=timeout or self._timeout) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            with error:
                raise RequestRefused(error.code, _parsed_or_text(error.read())) from None
        except (TimeoutError, urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, TimeoutError):
                raise ServerSilent(f"{self.url}{path} did not answer in time") from error
            raise ServerGone(f"{self.url} is gone ({reason or type(reason).__name__})") from error

    def wait_ready(self, timeout: float = READY_TIMEOUT, alive: Callable[[], bool] = lambda: True) -> float:
        """Wait until the server answers; return the seconds it took.

        Raises:
            NotReady: `timeout` seconds passed, or `alive()` turned false (its process ended).
        """
        began = time.monotonic()
        while True:
            try:
                self.queue()
                return time.monotonic() - began
            except (ServerGone, ServerSilent, RequestRefused, BadAnswer) as error:
                if not alive():
                    raise NotReady(f"{self.url}: the server ended before it was ready") from error
                if time.monotonic() - began > timeout:
                    raise NotReady(f"{self.url} was not ready after {timeout:.0f} s ({error})") from error
            time.sleep(READY_POLL)

    def submit(
        self,
        graph: Mapping[str, Any],
        prompt_id: str | None = None,
        client_id: str | None = None,
    ) -> str:
        """Queue a prompt in API format; return its id.

        Args:
            graph: node id → `{"class_type": …, "inputs": {…}}`.
            prompt_id: a UUID in canonical lower case; the server makes one otherwise.
            client_id: whose WebSocket shall hear of it.

        Raises:
            PromptRefused: it is not valid.
        """
        body: dict[str, Any] = {"prompt": graph}
        if prompt_id is not None:
            body["prompt_id"] = prompt_id
        if client_id is not None:
            body["client_id"] = client_id
        try:
            answer = self.call("POST", "/prompt", body)
        except RequestRefused as error:
            if error.status == http.HTTPStatus.BAD_REQUEST:
                raise PromptRefused(error.status, error.body) from None
            raise
        if not isinstance(answer, dict) or not isinstance(answer.get("prompt_id"), str):
            raise BadAnswer(f"{self.url}/prompt: no prompt_id in {answer!r}")
        return str(answer["prompt_id"])

    def history(self, prompt_id: str) -> JobEnd | None:
        """How that prompt ended; None while it has not, or is not known."""
        answer = self.call("GET", f"/history/{urllib.parse.quote(prompt_id)}")
        entry = answer.get(prompt_id) if isinstance(answer, dict) else None
        return None if entry is None else job_end(prompt_id, entry)

    def queue(self) -> QueueState:
        """Return what runs and what waits."""
        answer = self.call("GET", "/queue")
        try:
            running = tuple(str(item[1]) for item in answer["queue_running"])
            pending = sorted(answer["queue_pending"], key=lambda item: float(item[0]))
            return QueueState(running, tuple(str(item[1]) for item in pending))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BadAnswer(f"{self.url}/queue: {error!r}") from error

    def status(self) -> dict[str, Any] | None:
        """Return the body of `GET /resource_gate/status`; None on a server without Resource Gate."""
        try:
            answer = self.call("GET", "/resource_gate/status")
        except RequestRefused as error:
            if error.status == http.HTTPStatus.NOT_FOUND:
                return None
            raise
        return answer if isinstance(answer, dict) else None

    def wait_for_end(self, prompt_id: str, timeout: float = END_TIMEOUT) -> JobEnd:
        """Poll until the prompt has ended.

        Raises:
            JobLost: the server does not know it (any more).
            JobTimeout: `timeout` seconds passed.
        """
        give_up = time.monotonic() + timeout
        while True:
            known = prompt_id in self.queue().ids
            # Asked in this order a job that ends between the two questions is still found in the history.
            end = self.history(prompt_id)
            if end is not None:
                return end
            if not known:
                raise JobLost(f"{self.url} knows nothing of prompt {prompt_id}")
            if time.monotonic() > give_up:
                raise JobTimeout(f"prompt {prompt_id} has not ended after {timeout:.0f} s")
            time.sleep(END_POLL)


def _parsed(data: bytes) -> Any:
    if not data.strip():
        return None
    try:
        return json.loads(data)
    except ValueError as error:
        raise BadAnswer(f"not JSON: {data[:80]!r}") from error


def _parsed_or_text(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode("utf-8", "replace")
