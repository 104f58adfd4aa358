"""What the journal costs a prompt: accepted, started, its nodes, ended; on the disk it is run on.

As in a server it writes behind the prompts' backs; `--at-once` ends each call with a synced transaction instead.
`disk` is what an answer to a client waits for where `gate.answer_on_disk` is on, with the event loop free meanwhile.

`python bench/journal.py [--prompts 500] [--folder DIR] [--at-once]`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from resource_gate.gate.host import Job, NodeStart, Outcome, Queued
from resource_gate.gate.journal.journal import Journal

NODES = 20


def graph(size: int) -> dict[str, object]:
    """A graph of so many bytes as JSON, about."""
    node = {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 20, "text": "x" * 200, "model": ["1", 0]}}
    return {str(n): node for n in range(max(1, size // len(json.dumps(node))))}


def timed(call: Callable[[], None], into: list[float]) -> None:
    start = time.perf_counter()
    call()
    into.append((time.perf_counter() - start) * 1e6)


def measure(folder: Path, prompts: int, size: int, *, at_once: bool) -> dict[str, list[float]]:
    journal = Journal(folder)
    journal.open()
    assert journal.problem is None, journal.problem
    if not at_once:
        journal.write_behind()
    cost: dict[str, list[float]] = {"accepted": [], "disk": [], "started": [], "node": [], "ended": []}
    loop = asyncio.new_event_loop()
    for number in range(prompts):
        name, content = str(uuid.uuid4()), graph(size)
        prompt = Queued(name, number, content, ("1",), {"client_id": "bench"})
        timed(lambda prompt=prompt: journal.accepted(prompt), cost["accepted"])
        timed(lambda: loop.run_until_complete(journal.on_disk()), cost["disk"])
        timed(lambda name=name: journal.started(Job(name, 0)), cost["started"])
        for node in range(NODES):
            start = NodeStart(name, str(node), "KSampler")
            timed(lambda start=start: journal.before_node(start), cost["node"])
        timed(lambda name=name: journal.ended(Outcome(name, True), 1), cost["ended"])
    journal.close()
    loop.close()
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one otherwise")
    parser.add_argument("--at-once", action="store_true", help="nothing is written behind the prompts' backs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    chosen = parser.parse_args()
    figures = {}
    for size in (2_000, 20_000, 200_000):
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            cost = measure(Path(folder), chosen.prompts, size, at_once=chosen.at_once)
        each = {name: (statistics.median(v), statistics.quantiles(v, n=100)[98]) for name, v in cost.items()}
        told = ", ".join(f"{name} {median:.0f}/{p99:.0f}" for name, (median, p99) in each.items())
        whole = sum(median * (NODES if name == "node" else 1) for name, (median, _) in each.items() if name != "disk")
        figures[f"{size // 1000}_kb"] = {"prompt_us": whole, **{name: median for name, (median, _) in each.items()}}
        print(f"graph {size // 1000:>3} KB: {told} µs (median/p99); a prompt of {NODES} nodes {whole:.0f} µs")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
