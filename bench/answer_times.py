"""How long a server's event loop lets a request wait, while something else goes on."""

from __future__ import annotations

import http.client
import threading
import time

PROBE_INTERVAL = 0.01


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Probe:
    """A thread that asks `GET /queue` each 10 ms on one connection: (second it asked, seconds until the answer)."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._stop = threading.Event()
        self.answers: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        self._ask()  # connects: not what is measured
        while not self._stop.wait(PROBE_INTERVAL):
            asked = time.monotonic()
            self._ask()
            self.answers.append((asked, time.monotonic() - asked))

    def _ask(self) -> None:
        self._connection.request("GET", "/queue")
        self._connection.getresponse().read()

    def slowest(self, begin: float, end: float) -> float:
        """Milliseconds of the slowest answer that was under way between two moments."""
        return max((took for asked, took in self.answers if asked + took >= begin and asked <= end), default=0.0) * 1000
