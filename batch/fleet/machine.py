"""What one look at a server tells: does it answer, does its worker live, how full is its memory."""

from __future__ import annotations

import dataclasses
import socket
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...reclaim.action import Cause
from ..client import Client, is_loopback
from ..errors import BadAnswer, ClientError, RequestRefused

UP, ILL, DOWN = "up", "ill", "down"
"""States of a machine: takes jobs; answers but runs none; does not answer."""

HOST = "host"
"""What Resource Gate tells as the source of RAM that no group limits: the whole machine's."""

DEFAULT_TIERS = {"warning": 0.85, "critical": 0.90, "emergency": 0.95}
"""Of the limit; where the server does not tell its own. The defaults of `settings_model.Tiers`."""


@dataclass(frozen=True)
class Memory:
    """Bytes of RAM: how much of which limit, and from which shares of it the levels begin."""

    used: int
    limit: int
    tiers: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_TIERS))

    @property
    def fraction(self) -> float:
        """Share of the limit in use; 0 where no limit is known."""
        return self.used / self.limit if self.limit > 0 else 0.0

    @property
    def ceiling(self) -> int:
        """Bytes that a job may fill it to: above `critical` the server gives up its caches, near the limit it dies."""
        return int(self.limit * self.tiers.get("critical", DEFAULT_TIERS["critical"]))


@dataclass(frozen=True)
class Reading:
    """One look.

    Attributes:
        time: of the look, seconds since the epoch, on the machine's own clock.
        state: `UP`, `ILL` or `DOWN`; `reason` says why it is not up.
        level: the worst level, as the server tells it, or reckoned from `ram` where it does not.
        ram: None where nothing tells.
        memory: names the memory that `ram` is of: servers with the same share it; empty where it is not to be told.
        resident: bytes that the server's process itself holds; None where it does not tell.
        gpus: `{"name", "used", "total"}` each, bytes.
        gated: whether Resource Gate runs there; without it the server is stock.
        busy: whether anything runs or waits there, of whomever.
        node, progress: what runs, as far as the server tells.
        cause: `reason` as a code and what belongs to it, for a panel in the user's language; None where it is told in
            words only.
    """

    time: float
    state: str = UP
    reason: str = ""
    level: str = "normal"
    ram: Memory | None = None
    memory: str = ""
    resident: int | None = None
    gpus: tuple[Mapping[str, Any], ...] = ()
    gated: bool = False
    busy: bool = False
    node: str = ""
    progress: float | None = None
    cause: Cause | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it in plain types, to be sent."""
        return {**dataclasses.asdict(self), "gpus": [dict(gpu) for gpu in self.gpus]}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Reading:
        """Read what `as_dict` made.

        Raises:
            TypeError: it is of another version.
        """
        ram = data["ram"]
        return Reading(**{**data, "ram": Memory(**ram) if ram else None, "gpus": tuple(data["gpus"])})


def look(client: Client, clock: Callable[[], float] = time.time) -> Reading:
    """Look at a server once. Never raises: a server that does not answer is a reading, too."""
    try:
        status = client.status()
        return _gated(status, client.url, clock()) if status is not None else _stock(client, clock())
    except ClientError as error:
        return Reading(clock(), DOWN, str(error), cause=error.cause)
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # somebody else's server, or another version
        odd = BadAnswer(f"{client.url} answered what is not understood here: {error!r}")
        return Reading(clock(), ILL, str(odd), cause=odd.cause)


def _gated(status: Mapping[str, Any], url: str, now: float) -> Reading:
    ram = status["resources"].get("ram")
    queue = status["queue"]
    dead = status["worker_alive"] is False
    paused = status["gate"]["state"] == "paused"
    reason = "its prompt worker is dead: restart it" if dead else "it is paused" if paused else ""
    return Reading(
        now,
        ILL if dead or paused else UP,
        reason,
        str(status["level"]),
        Memory(int(ram["used"]), int(ram["limit"]), dict(ram["tiers"])) if ram else None,
        _memory(url, str(ram.get("source", ""))) if ram else "",
        int(process["rss"]) if (process := status.get("process")) else None,
        tuple(
            {"name": one.get("name", name), "used": int(one["used"]), "total": int(one["limit"])}
            for name, one in status["resources"].items()
            if name.startswith("vram")
        ),
        gated=True,
        busy=bool(queue["running"]) or bool(queue["pending"]),
        node=str(queue["node"]),
        progress=queue["progress"],
        cause={"code": "dead"} if dead else {"code": "paused"} if paused else None,
    )


def _stock(client: Client, now: float) -> Reading:
    """Read what a server without Resource Gate tells: the whole machine's memory, whatever limit it is held to."""
    try:
        stats = client.call("GET", "/system_stats")
    except RequestRefused:  # too old for it, or a proxy in between: it takes jobs all the same
        stats = {"system": {}}
    queue = client.queue()
    total, free = stats["system"].get("ram_total"), stats["system"].get("ram_free")
    ram = Memory(int(total - free), int(total)) if total and free is not None else None
    return Reading(
        now,
        level=_level(ram),
        ram=ram,
        memory=_memory(client.url, HOST) if ram is not None else "",
        gpus=tuple(
            {
                "name": str(device.get("name", "")),
                "used": int(device["vram_total"] - device["vram_free"]),
                "total": int(device["vram_total"]),
            }
            for device in stats.get("devices") or ()
            if device.get("type") != "cpu"
        ),
        busy=bool(queue.ids),
    )


def _memory(url: str, source: str) -> str:
    """Name a memory by the machine it is in, and what limits it there.

    A group at the root of what a container sees is another one in each container.
    """
    if source != HOST and (not source.startswith("cgroup ") or source.endswith(" /")):
        return ""
    host = socket.gethostname() if is_loopback(url) else urllib.parse.urlsplit(url).hostname
    return f"{host} {source}"


def _level(ram: Memory | None) -> str:
    if ram is None:
        return "normal"
    reached = [level for level in ("emergency", "critical", "warning") if ram.fraction >= ram.tiers[level]]
    return reached[0] if reached else "normal"
