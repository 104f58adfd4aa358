"""Durations and sizes as a person reads them."""

from __future__ import annotations

from .eta import Eta

GIB = 1024**3
MIB = 1024**2


def duration(seconds: float) -> str:
    """Return `45 s`, `12 min`, `2 h 05 min`; below ten seconds with one decimal."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def remaining(eta: Eta | None) -> str:
    """Return `about 12 min left (9 min to 15 min)`; empty where nothing is known."""
    if eta is None:
        return ""
    text = f"about {duration(eta.expected)} left"
    if eta.low is None or eta.high is None or duration(eta.low) == duration(eta.high):
        return text
    return f"{text} ({duration(eta.low)} to {duration(eta.high)})"


def size(amount: float) -> str:
    """Return bytes as `1.4 GB` (in 1024³) or `310 MB`."""
    return f"{amount / GIB:.1f} GB" if amount >= GIB else f"{amount / MIB:.0f} MB"
