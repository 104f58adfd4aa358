"""Memory over a batch as one SVG: a line a server, the tiers across, and below them when each job ran."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain
from typing import Any

from .words import Words

WIDTH, LEFT, RIGHT, TOP, HEIGHT = 960, 44, 104, 8, 220
"""Of the drawing, in its own units: all of it, what stands beside the plot, and the plot's height."""
LANE, GAP = 12, 3
"""Height of one row of jobs, and the space between two."""
LABEL = 14
"""Height of a line of text; Chinese fills it."""
LINES = 6
"""Line styles in the style sheet; further servers take them up again."""
MAX_LANES = 16
STEPS = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 604800)
"""Seconds between two marks of the time axis, of which the first that gives few enough is taken."""
MAX_MARKS = 8


@dataclass(frozen=True)
class _Scale:
    """From epoch seconds and fractions to the drawing."""

    start: float
    end: float

    def x(self, moment: float) -> float:
        share = (moment - self.start) / max(1e-9, self.end - self.start)
        return LEFT + min(1.0, max(0.0, share)) * (WIDTH - LEFT - RIGHT)

    def y(self, fraction: float) -> float:
        return TOP + (1 - min(1.0, max(0.0, fraction))) * HEIGHT


def memory_plot(data: Mapping[str, Any], words: Words) -> str:
    """Return the SVG element; empty where nothing of time is known."""
    moments = _moments(data)
    if moments is None:
        return ""
    scale = _Scale(*moments)
    servers = list(dict.fromkeys(str(each.get("server", "")) for each in chain(_samples(data), _bars(data))))
    lanes, rows = _lanes(_bars(data), scale, words)
    axis = TOP + HEIGHT + GAP + rows * (LANE + GAP)
    parts = [*_grid(scale, axis), *_tiers(data.get("tiers") or {}, scale, words)]
    for number, server in enumerate(servers):
        own = (each for each in _samples(data) if each.get("server", "") == server)
        points = [(float(each["time"]), float(each["fraction"])) for each in own]
        if points:
            parts.append(_line(points, number, server, scale))
    parts += lanes
    view = f'viewBox="0 0 {WIDTH} {axis + 20}" role="img" aria-label="{escape(words["memory_plot"])}"'
    return f'<svg class="plot" {view}>{"".join(parts)}</svg>'


def legend(data: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return (server, number of its line's style) of the servers in the plot."""
    named = [str(each.get("server", "")) for each in data.get("samples") or ()]
    return [(server, number % LINES) for number, server in enumerate(dict.fromkeys(named))]


def _line(points: Sequence[tuple[float, float]], number: int, server: str, scale: _Scale) -> str:
    drawn = " ".join(f"{scale.x(moment):.1f},{scale.y(fraction):.1f}" for moment, fraction in points)
    if len(points) == 1:
        drawn += f" {scale.x(points[0][0]) + 2:.1f},{scale.y(points[0][1]):.1f}"
    return f'<polyline class="line l{number % LINES}" points="{drawn}"><title>{escape(server)}</title></polyline>'


def _tiers(tiers: Mapping[str, float], scale: _Scale, words: Words) -> Iterable[str]:
    last = None
    for name, fraction in sorted(tiers.items(), key=lambda item: item[1]):
        y = scale.y(float(fraction))
        # Labels of near tiers would lie on each other: each stands at least a line's height above the one before.
        text = y + 4 if last is None else min(y + 4, last - LABEL)
        last = text
        yield f'<line class="tier {escape(name)}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        label = escape(f"{words.get(f'level.{name}', name)} {fraction:.0%}")
        yield f'<text class="tier {escape(name)}" x="{WIDTH - RIGHT + 4}" y="{text:.1f}">{label}</text>'


def _grid(scale: _Scale, axis: float) -> Iterable[str]:
    for percent in (0, 25, 50, 75, 100):
        y = scale.y(percent / 100)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="axis end" x="{LEFT - 6}" y="{y + 4:.1f}">{percent} %</text>'
    length = scale.end - scale.start
    step = next((step for step in STEPS if length / step <= MAX_MARKS), STEPS[-1])
    form = "%H:%M:%S" if step < 60 else "%H:%M" if length < 86400 else "%d %b %H:%M"
    marks = [scale.start + step * number for number in range(int(length // step) + 1)][: 10 * MAX_MARKS]
    for moment in marks:
        x = scale.x(moment)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{axis:.1f}"/>'
        clock = time.strftime(form, time.localtime(moment))
        yield f'<text class="axis mid" x="{x:.1f}" y="{axis + 14:.1f}">{clock}</text>'


def _samples(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (each for each in data.get("samples") or () if each.get("fraction") is not None)


def _bars(data: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Jobs that have begun, by the time they did; a journal gives them in that order."""
    if "bars" in data:
        found: Iterable[Mapping[str, Any]] = data["bars"]
        return found
    begun = (each for each in data.get("jobs") or () if each.get("started_at"))
    return sorted(begun, key=lambda each: float(each["started_at"]))


def _moments(data: Mapping[str, Any]) -> tuple[float, float] | None:
    """First and last moment that anything is known of."""
    first, last = math.inf, -math.inf
    for each in _samples(data):
        first, last = min(first, float(each["time"])), max(last, float(each["time"]))
    for each in _bars(data):
        began = float(each["started_at"])
        first, last = min(first, began), max(last, began, float(each.get("ended_at") or began))
    return None if first > last else (first, last)


def _lanes(jobs: Iterable[Mapping[str, Any]], scale: _Scale, words: Words) -> tuple[list[str], int]:
    """Draw when each job ran; jobs at the same time lie below each other. Returns the bars and the rows they take.

    Of many jobs within one unit of the drawing the first is drawn, and each that ended otherwise.
    """
    free: list[float] = []
    bars: list[str] = []
    drawn: dict[tuple[int, str], int] = {}
    for job in jobs:
        start, end = float(job["started_at"]), float(job.get("ended_at") or scale.end)
        row = next((number for number, until in enumerate(free) if until <= start), len(free))
        if row == len(free):
            free.append(end)
        free[row] = end
        if row >= MAX_LANES:
            continue
        key, unit = (row, str(job.get("state", ""))), int(scale.x(end))
        if drawn.get(key) == unit:
            continue
        drawn[key] = unit
        x, width = scale.x(start), max(1.0, scale.x(end) - scale.x(start) - 0.5)
        y = TOP + HEIGHT + GAP + row * (LANE + GAP) + GAP
        state = str(job.get("state", ""))
        told = words.get(f"state.{state}", state)
        text = escape(words["bar"].format(job=job.get("name", ""), state=told, time=f"{end - start:.1f} s"))
        bars.append(
            f'<rect class="job {escape(state)}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{LANE}" rx="1.5">'
            f"<title>{text}</title></rect>"
        )
    return bars, min(len(free), MAX_LANES)
