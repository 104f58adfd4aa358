"""What was learned, by family, and how right it was: for the route, the shell and tests."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from .history import OK, OUTCOMES, Run


def view_of(runs: Iterable[Run], machine: str) -> list[dict[str, Any]]:
    """One entry a family, the last that ran first. Bytes and seconds; shares 0–1, None where nothing was expected.

    `under`: share of runs that took more RAM than was expected. `waste`: what was expected and not taken, in shares
    of what was taken. `spread`: the smallest and the largest of what was run: pixels of the largest picture batch,
    bytes, seconds. `covered`: share of runs whose time lay within the interval, which is to hold 0.8 of them.
    """
    families: dict[str, list[Run]] = {}
    for run in runs:
        families.setdefault(run.family, []).append(run)
    told = [_one(name, of, machine) for name, of in families.items()]
    return sorted(told, key=lambda one: -float(one["last"]))


def _one(name: str, runs: list[Run], machine: str) -> dict[str, Any]:
    last = runs[-1]
    mine = [r for r in runs if r.machine == machine and r.outcome == OK and r.share >= 0.5]
    expected = [r for r in mine if r.expected]
    used = sum(r.ram for r in expected)
    return {
        "family": name,
        "kinds": list(last.kinds),
        "models": list(last.models),
        "runs": len(runs),
        "of_other_machines": sum(r.machine != machine for r in runs),
        "outcomes": {o: n for o in OUTCOMES if (n := sum(r.outcome == o for r in runs))},
        "peak_ram": max((r.ram for r in mine), default=0),
        "peak_vram": max((r.vram for r in mine), default=0),
        "seconds": statistics.median(r.seconds for r in mine) if mine else None,
        "seconds_cold": statistics.median(c) if (c := [r.seconds for r in mine if r.cold]) else None,
        "largest": max(r.sizes[0] for r in runs),
        "spread": {
            "pixels": _ends([r.sizes[0] for r in mine]),
            "ram": _ends([r.ram for r in mine]),
            "seconds": _ends([r.seconds for r in mine]),
        },
        "nodes": _largest_nodes(mine),
        "checked": len(expected),
        "under": sum(r.ram > r.expected[0] for r in expected) / len(expected) if expected else None,
        "waste": sum(max(0.0, r.expected[0] - r.ram) for r in expected) / used if used else None,
        "covered": sum(r.expected[3] <= r.seconds <= r.expected[4] for r in expected) / len(expected)
        if expected
        else None,
        "last": last.time,
    }


def _ends(values: list[Any]) -> list[Any] | None:
    return [min(values), max(values)] if values else None


def _largest_nodes(runs: list[Run]) -> dict[str, int]:
    most: dict[str, int] = {}
    for run in runs:
        for kind, grew in run.nodes.items():
            most[kind] = max(grew, most.get(kind, 0))
    return dict(sorted(most.items(), key=lambda one: -one[1])[:5])
