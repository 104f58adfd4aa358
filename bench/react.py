"""How soon a hog is heard of, and whether page cache raises a false alarm, in a real memory cgroup.

    python bench/react.py [--runs 20] [--rate 500] [--limit 2048]

Needs Linux and a memory cgroup that may be written to (root, or a delegated one named with --cgroup).

Reaction: a watcher with the real sampler at its defaults, and a hog beside it in one cgroup. The hog starts at a
moment of its own between two samples of the sampler, fills at --rate MB/s, and notes when the working set first
stands above 85 % of the limit. The time from there to the first call of the sampler's listener is told.
The watcher itself allocates nothing: what the listener would do comes on top.

Alarm: under 1 GiB, 3 GB of a mapped file are read whole: no level may be entered. Then 900 MB of anonymous memory are
filled: warning must be told within one interval.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from resource_gate.monitor.build import build_sampler
from resource_gate.monitor.ram import RamReader
from resource_gate.monitor.readings import Level, Sample
from resource_gate.settings import Settings

MIB = 1024**2
THRESHOLD = Settings().ram.warning
CHUNK = 2 * MIB


@contextlib.contextmanager
def memory_group(parent: Path, limit: int) -> Iterator[Path]:
    """Make a cgroup with a limit in bytes below `parent`, v1 or v2, and remove it afterwards."""
    folder = parent / f"resource-gate-bench-{os.getpid()}"
    folder.mkdir()
    v2 = (folder / "memory.max").exists()
    try:
        (folder / ("memory.max" if v2 else "memory.limit_in_bytes")).write_text(str(limit))
        yield folder
    finally:
        for _ in range(100):
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.05)


def find_parent() -> Path:
    """Return the memory hierarchy of this machine: v1's own folder, or v2's root with the controller given on."""
    v1, v2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    if (v1 / "memory.limit_in_bytes").exists():
        return v1
    if "memory" in (v2 / "cgroup.subtree_control").read_text().split():
        return v2
    raise SystemExit("no memory cgroup that may have children was found; name one with --cgroup")


def watch() -> None:
    """Run the sampler; print the monotonic second of each change of RAM's level, until stdin closes."""
    sampler = build_sampler(Settings(), temp=None, output=Path.cwd(), database=None)
    last: list[Level] = []

    def heard(sample: Sample) -> None:
        level = sample.levels.get("ram", Level.NORMAL)
        if last[-1:] != [level]:
            last.append(level)
            source = sample.ram.source if sample.ram else ""
            print(time.monotonic(), int(level), source, flush=True)

    sampler.listen(heard)
    sampler.start()
    sys.stdin.read()
    sampler.stop()


def fill(rate: float, until: int) -> None:
    """Fill memory at `rate` bytes a second up to `until` bytes; print when the threshold was crossed, then wait."""
    ram = RamReader()
    held = []
    crossed = 0.0
    began = time.monotonic()
    while ram.read().used + CHUNK < until:
        before = time.monotonic()
        block = mmap.mmap(-1, CHUNK)
        block.write(b"\1" * CHUNK)
        held.append(block)
        if not crossed and ram.read().fraction >= THRESHOLD:
            crossed = before  # it happened in this chunk: its start is the earliest moment it can have been
        ahead = len(held) * CHUNK / rate - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
    done = len(held) * CHUNK / (time.monotonic() - began)
    print(crossed, done, flush=True)
    sys.stdin.read()


def read_mapped(path: Path) -> None:
    """Map a file and touch every page of it."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        total = sum(view[i] for i in range(0, len(view), mmap.PAGESIZE))
    usage = ram_usage()
    print(total, usage, flush=True)
    sys.stdin.read()


def ram_usage() -> int:
    """Return what the cgroup counts as its usage, page cache included."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, names, path = line.split(":", 2)
        if "memory" in names.split(","):
            return int(Path(f"/sys/fs/cgroup/memory{path}/memory.usage_in_bytes").read_text())
        if number == "0" and Path(f"/sys/fs/cgroup{path}/memory.current").exists():
            return int(Path(f"/sys/fs/cgroup{path}/memory.current").read_text())
    return 0


class Child:
    """This script in another role, inside a cgroup from its first instruction on."""

    def __init__(self, group: Path, *arguments: str) -> None:
        enter = f'echo $$ > "{group}/cgroup.procs" && exec "$0" "$@"'
        self.process = subprocess.Popen(
            ["sh", "-c", enter, sys.executable, __file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.told = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.told:
                self.lines.append(line)
                self.told.notify_all()

    def line(self, index: int, timeout: float) -> list[str] | None:
        """Return the words of a line once it is there; None after `timeout` seconds."""
        with self.told:
            self.told.wait_for(lambda: len(self.lines) > index, timeout)
            return self.lines[index].split(maxsplit=2) if len(self.lines) > index else None

    def end(self) -> int:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        return self.process.wait(30)


def reaction(parent: Path, limit: int, rate: float, pause: float) -> tuple[float, float]:
    """Return seconds from the crossing to the first listener's call, and the rate that the hog reached."""
    with memory_group(parent, limit) as group:
        watcher = Child(group, "--role", "watch")
        first = watcher.line(0, 30)
        if first is None or "cgroup" not in first[2]:
            raise SystemExit(f"the sampler does not see the cgroup's limit: {first}")
        time.sleep(pause)
        hog = Child(group, "--role", "fill", "--rate", str(rate / 1e6), "--until", str(int(limit * 0.97)))
        filled = hog.line(0, 120)
        alarm = watcher.line(1, 30)
        hog.end()
        watcher.end()
        if filled is None or alarm is None:
            raise SystemExit(f"a run did not end: hog {filled}, watcher {watcher.lines}")
        return float(alarm[0]) - float(filled[0]), float(filled[1])


def reactions(parent: Path, runs: int, limit: int, rate: float) -> dict[str, float]:
    chance = random.Random(1)
    times, rates = [], []
    for _ in range(runs):
        seconds, reached = reaction(parent, limit, rate, chance.uniform(0.0, 5.0))
        times.append(seconds * 1000)
        rates.append(reached / 1e6)
    times.sort()
    p99 = times[min(len(times) - 1, int(0.99 * len(times)))]
    print(
        f"{runs} runs, limit {limit // MIB} MiB, hog {statistics.median(rates):.0f} MB/s: from {THRESHOLD:.0%} to the "
        f"listener p50 {statistics.median(times):.0f} ms, p99 {p99:.0f} ms, least {times[0]:.0f}, most {times[-1]:.0f}"
    )
    return {"p50_ms": statistics.median(times), "p99_ms": p99, "most_ms": times[-1], "runs": runs}


def alarms(parent: Path, folder: Path) -> None:
    limit = 1024 * MIB
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.truncate(3 * 10**9)
        with memory_group(parent, limit) as group:
            watcher = Child(group, "--role", "watch")
            watcher.line(0, 30)
            mapped = Child(group, "--role", "map", "--file", file.name)
            read = mapped.line(0, 120)
            alarm = watcher.line(1, 6.0)  # a rest interval and more
            mapped.end()
            usage = int(read[1]) / limit if read else 0.0
            print(f"3 GB mapped and read under 1 GiB: usage {usage:.0%} of the limit, alarm: {alarm or 'none'}")
            hog = Child(group, "--role", "fill", "--rate", "500", "--until", str(900 * 10**6 + 40 * MIB))
            filled = hog.line(0, 60)
            alarm = watcher.line(1, 6.0)
            hog.end()
            watcher.end()
    if alarm is None or filled is None:
        print(f"900 MB anonymous: no alarm (hog {filled})")
        return
    late = (float(alarm[0]) - float(filled[0])) * 1000
    print(f"900 MB anonymous under 1 GiB: {Level(int(alarm[1])).label} {late:.0f} ms after the crossing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rate", type=float, default=500.0, help="MB (10^6 bytes) a second")
    parser.add_argument("--limit", type=int, default=2048, help="MiB")
    parser.add_argument("--cgroup", type=Path, help="a memory cgroup that may have children")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the file is made")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--role", choices=["watch", "fill", "map"], help=argparse.SUPPRESS)
    parser.add_argument("--until", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "watch":
        watch()
    elif options.role == "fill":
        fill(options.rate * 1e6, options.until)
    elif options.role == "map":
        read_mapped(options.file)
    else:
        parent = options.cgroup or find_parent()
        alarms(parent, options.folder)
        figures = reactions(parent, options.runs, options.limit * MIB, options.rate * 1e6)
        if options.json:
            options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
