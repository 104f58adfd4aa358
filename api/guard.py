"""Who may change something, and how often. ComfyUI's own check is off under `--enable-cors-header`; ours is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

BURST = 20
"""Changes in a row that are taken: more than hands can press, and than a script needs."""

RATE = 5.0
"""Changes a second in the long run, for each route."""


def foreign(headers: Mapping[str, str]) -> bool:
    """Whether a page of another origin sent this.

    A browser says by itself where a request comes from, and no script can change that. `Sec-Fetch-Site` holds behind a
    proxy that rewrites `Host`, too, but is sent to HTTPS and loopback only; elsewhere `Origin` must name the host that
    was asked. Programs that are no browsers send neither and may do what ComfyUI lets them do.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("Origin")
    if origin is None:
        return False
    try:
        asked = urlsplit(origin)
        host = urlsplit(f"//{headers.get('Host', '')}")
        default = {"http": 80, "https": 443}.get(asked.scheme)
        # A port that is the scheme's own may be left out on either side.
        return (asked.hostname, asked.port or default) != (host.hostname, host.port or default)
    except ValueError:  # a port that is no number, half an IPv6 address
        return True


class Bucket:
    """Lets `burst` through at once and `rate` a second after that. For one thread: the event loop's."""

    def __init__(self, rate: float = RATE, burst: int = BURST, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left = float(burst)
        self._seen = clock()

    def take(self) -> float:
        """Take one; 0.0 where there was one, else the seconds until there is."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._seen) * self._rate)
        self._seen = now
        if self._left < 1.0:
            return (1.0 - self._left) / self._rate
        self._left -= 1.0
        return 0.0
