"""What a server says of itself: Resource Gate's status, or on a stock server what `/system_stats` tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from ..client import Client
from ..errors import BadAnswer, RequestRefused
from .journal_report import TIERS

NOT_ITSELF = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""What a proxy in front of a server answers while the server itself is away."""


@dataclass(frozen=True)
class Health:
    """One look. Bytes and fractions; None where the server does not say.

    Attributes:
        gated: Resource Gate is in it.
        level: normal, warning, critical or emergency.
        used, limit: RAM.
        vram: bytes in use, by GPU.
        worker_alive: whether the thread that runs prompts lives.
        gate, reason: whether prompts may start (open, waiting, paused), and why not.
        action: the last thing that was done to free memory.
        restorable: prompts of an earlier process that wait to be put back.
        tiers: where the levels of RAM begin.
        arguments: the server's command line.
    """

    gated: bool
    level: str = "normal"
    used: int | None = None
    limit: int | None = None
    vram: Mapping[str, int] = field(default_factory=dict)
    worker_alive: bool | None = None
    gate: str = "open"
    reason: str = ""
    action: Mapping[str, Any] | None = None
    restorable: int = 0
    tiers: Mapping[str, float] = field(default_factory=lambda: TIERS)
    arguments: tuple[str, ...] = ()

    @property
    def fraction(self) -> float | None:
        """Used RAM as a share of its limit."""
        return self.used / self.limit if self.used is not None and self.limit else None


def look(client: Client, gated: bool | None = None) -> Health:
    """Ask a server how it is.

    Args:
        gated: whether it is known to have Resource Gate: saves a stock server the question it cannot answer.

    Raises:
        ClientError: it does not answer, or not sensibly.
    """
    if gated is not False:
        try:
            status = client.status()
        except RequestRefused as refused:
            if refused.status in NOT_ITSELF:
                raise
            return Health(gated=True)  # a fault of ours: it runs prompts all the same
        if status is not None:
            return _of_status(status)
    return _of_stats(client)


def _of_status(status: Mapping[str, Any]) -> Health:
    resources = status.get("resources") or {}
    ram = resources.get("ram") or {}
    gate = status.get("gate") or {}
    return Health(
        gated=True,
        level=str(status.get("level") or "normal"),
        used=ram.get("used"),
        limit=ram.get("limit"),
        vram={name: int(one["used"]) for name, one in resources.items() if name.startswith("vram") and one.get("used")},
        worker_alive=status.get("worker_alive"),
        gate=str(gate.get("state") or "open"),
        reason=str(gate.get("reason") or ""),
        action=status.get("last_action"),
        restorable=int((status.get("batch") or {}).get("restorable") or 0),
        tiers=ram.get("tiers") or TIERS,
    )


def _of_stats(client: Client) -> Health:
    try:
        stats = client.call("GET", "/system_stats")
        system, devices = stats["system"], stats.get("devices") or ()
        limit = int(system["ram_total"])
        used = limit - int(system["ram_free"])
        vram = {
            f"vram{number}": int(device["vram_total"]) - int(device["vram_free"])
            for number, device in enumerate(devices)
            if device.get("type") != "cpu"  # ComfyUI lists the CPU as a device, with the machine's RAM as its own
        }
        arguments = tuple(str(argument) for argument in system.get("argv") or ())
    except RequestRefused as refused:
        if refused.status in NOT_ITSELF:
            raise
        return Health(gated=False)  # too old, or a proxy in between: it runs prompts all the same
    except (KeyError, TypeError, ValueError) as error:
        raise BadAnswer(f"{client.url}/system_stats: {error!r}") from error
    share = used / limit if limit else 0.0
    level = next((name for name, tier in reversed(TIERS.items()) if share >= tier), "normal")
    return Health(False, level, used, limit, vram, arguments=arguments)
