"""What the fuzzers share: how many examples, JSON of any shape, and a server with every route of ours."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from hypothesis import HealthCheck, settings

from resource_gate.api.guard import Bucket
from resource_gate.api.paths import AtFirstRequest
from resource_gate.api.routes import answered
from resource_gate.extension import Extension
from resource_gate.host.embedded import EmbeddedHost
from resource_gate.host.embedded_server import EmbeddedServer

# Registered, not loaded: other rooms keep their own. In CI few, so that it stays short; `make fuzz MINUTES=…` sets
# more, with another seed each round.
settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


class Answer(NamedTuple):
    status: int
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


class Served:
    """A whole instance on the embedded host, asked over a socket as any client would."""

    def __init__(self, base: Any) -> None:
        self.host = EmbeddedHost(base)
        self.extension = Extension(self.host)
        self.extension.start()
        self.paths = sorted({(r.method, r.path) for r in self.host.routes if isinstance(r, web.RouteDef)})
        # The same handlers, without the limit on how often: a fuzzer is a flood.
        unlimited = [
            web.RouteDef(method, path, answered(handler.__wrapped__, Bucket(1e9, 10**9)), {})
            for (method, path), handler in AtFirstRequest(self.extension.handlers).handlers().items()
        ]
        self.host.routes._items[:] = unlimited
        self.server = EmbeddedServer(self.host)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self.server.start(), self.loop).result(30)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read())
        finally:
            connection.close()

    def post(self, path: str, value: Any) -> Answer:
        return self.ask("POST", path, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self.loop).result(30)
        self.extension.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("served"))
    yield running
    running.stop()
