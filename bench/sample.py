"""What looking costs: one full sample in µs, CPU seconds a minute, lateness, and what the event loop feels.

    python bench/sample.py [--seconds 30] [--samples 5000]

Each figure comes from a fresh process, so that imports and the readers of another row do not count. A row of CPU
seconds is the CPU time of a process in which nothing but the sampler runs, scaled to a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from resource_gate.monitor.build import build_sampler
from resource_gate.monitor.cpu import LinuxTimes, portable_times
from resource_gate.monitor.ram import RamReader
from resource_gate.monitor.readings import MemoryReading
from resource_gate.monitor.sampler import Sampler
from resource_gate.settings import Monitor, Settings

INTERVALS = {"rest": Monitor(), "short": Monitor(), "fast": Monitor(interval=0.1)}


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Steady(RamReader):
    """Reads RAM as ever, and tells a steady 80 % of 1 GiB: what else runs on this machine must not change the row."""

    def read(self) -> MemoryReading:
        source = super().read().source
        return MemoryReading(800 * 1024**2, 1000 * 1024**2, source)


def sampler_for(case: str, folder: Path) -> Sampler:
    """Build it as an installation has it: `rest` with ample headroom, `short` 50 MB below warning, `fast` at 0.1 s.

    In `short` RAM alone is looked at every 0.1 s between samples of 5 s.
    """
    settings = Settings(monitor=INTERVALS[case])
    built = build_sampler(settings, temp=folder, output=folder.parent, database=folder.parent / "journal.sqlite3")
    return Sampler(built.readers._replace(ram=Steady()), settings) if case == "short" else built


def costs(count: int, folder: Path) -> dict[str, list[float]]:
    """Time a full sample and each of its parts, `count` times; µs."""
    sampler = sampler_for("rest", folder)
    sampler.sample()
    time.sleep(0.6)  # until each reader aside has told once, and the CPU reader has its first window
    readers = sampler.readers
    assert readers.process is not None
    assert readers.pressure is not None
    parts: dict[str, Callable[[], object]] = {
        "full sample": sampler.sample,
        "full turn with waiting for the drivers": lambda: full_turn(sampler),
        "RAM (any thread)": readers.ram.read,
        "process and heap": readers.process.read,
        "CPU counters (every 0.5 s at most)": LinuxTimes() if sys.platform.startswith("linux") else portable_times,
        "pressure, swap, kills": readers.pressure,
    }
    told: dict[str, list[float]] = {}
    for name, call in parts.items():
        times = []
        for _ in range(count):
            began = time.perf_counter()
            call()
            times.append((time.perf_counter() - began) * 1e6)
        told[name] = times
    return told


def full_turn(sampler: Sampler) -> None:
    sampler.watched = not sampler.watched  # makes a full sample due
    sampler.tick()


def at_work(case: str, seconds: float, folder: Path) -> dict[str, float]:
    """Let the sampler run; return its CPU seconds a minute, its samples, and its lateness in ms."""
    sampler = sampler_for(case, folder)
    late: list[float] = []
    sampler.listen(lambda sample: late.append(sample.late * 1000))
    sampler.start()
    time.sleep(2.0)  # the first moments import the NVIDIA module and walk the temp folder
    late.clear()
    cpu, wall = time.process_time(), time.monotonic()
    time.sleep(seconds)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    sampler.stop()
    return {"cpu": cpu / wall * 60, "samples": len(late), "late": percentile(late, 0.99) if late else 0.0}


async def loop_lateness(seconds: float) -> list[float]:
    """Return how late in ms an event loop woke from sleeps of 5 ms."""
    late = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        due = time.monotonic() + 0.005
        await asyncio.sleep(0.005)
        late.append((time.monotonic() - due) * 1000)
    return late


def event_loop(seconds: float, folder: Path) -> dict[str, float]:
    """Return p99 of the loop's lateness in ms, in turns without and with the sampler at 0.1 s."""
    rounds: dict[str, list[float]] = {"without": [], "with": []}
    for _ in range(4):
        rounds["without"] += asyncio.run(loop_lateness(seconds / 8))
        sampler = sampler_for("fast", folder)
        sampler.start()
        rounds["with"] += asyncio.run(loop_lateness(seconds / 8))
        sampler.stop()
    return {name: percentile(late, 0.99) for name, late in rounds.items()}


def in_a_fresh_process(*arguments: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each row of CPU seconds runs")
    parser.add_argument("--samples", type=int, default=5000, help="how often each call is timed")
    parser.add_argument("--files", type=int, default=1000, help="files in the temp folder that is watched")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--only", choices=[*INTERVALS, "loop"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only == "loop":
        print(json.dumps(event_loop(options.seconds, options.folder)))
    elif options.only:
        print(json.dumps(at_work(options.only, options.seconds, options.folder)))
    else:
        with tempfile.TemporaryDirectory() as root:
            folder = Path(root) / "temp"
            folder.mkdir()
            for i in range(options.files):
                (folder / f"{i}.png").write_bytes(b"x" * 100)
            figures = report(options.samples, options.seconds, folder)
        if options.json:
            options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


def report(samples: int, seconds: float, folder: Path) -> dict[str, dict[str, float]]:
    figures: dict[str, dict[str, float]] = {"call_us": {}, "cpu_s_per_min": {}}
    print(f"{'call':42}{'p50 µs':>10}{'p99 µs':>10}")
    for name, times in costs(samples, folder).items():
        figures["call_us"][name] = statistics.median(times)
        print(f"{name:42}{statistics.median(times):10.1f}{percentile(times, 0.99):10.1f}")
    rows = {
        "rest": "5 s, ample headroom",
        "short": "5 s, near a threshold: RAM each 0.1 s",
        "fast": "0.1 s, all",
    }
    print(f"\n{'interval':42}{'CPU s/min':>10}{'samples':>10}{'late p99 ms':>13}")
    for case, name in rows.items():
        told = in_a_fresh_process("--only", case, "--seconds", str(seconds), "--folder", str(folder))
        figures["cpu_s_per_min"][case] = told["cpu"]
        print(f"{name:42}{told['cpu']:10.4f}{told['samples']:10.0f}{told['late']:13.2f}")
    loop = in_a_fresh_process("--only", "loop", "--seconds", str(seconds), "--folder", str(folder))
    figures["loop_p99_ms"] = loop
    print(f"\nevent loop p99: {loop['without']:.2f} ms without, {loop['with']:.2f} ms with samples each 0.1 s")
    return figures


if __name__ == "__main__":
    main()
