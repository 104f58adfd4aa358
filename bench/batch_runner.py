"""The runner of a batch over many jobs on the embedded host: its memory and CPU over time, and jobs a second.

    python bench/batch_runner.py [--jobs 10000] [--stock] [--json FILE]

Each job makes and saves one picture of 16×16, so that what is measured is the runner and not the work: check, submit,
follow, fetch, verify, journal. The runner is the command as people call it, in a process of its own. Memory is flat
where what the last tenth of the jobs added is within the noise of the readings; the list of jobs itself is held from
the start.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from resource_gate.batch.local.server_process import ServerProcess, ServerSpec

MIB = 1024**2
LOOK = 1.0
"""Seconds between two readings of the runner."""
WORKFLOW = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 0}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "picture"}},
}


@dataclass(frozen=True)
class Reading:
    """Of the runner, at one moment."""

    seconds: float
    done: int
    rss: int
    cpu: float


@dataclass(frozen=True)
class Result:
    """Of one run. MiB, seconds."""

    jobs: int
    seconds: float
    jobs_a_second: float
    runner_cpu_ms_a_job: float
    rss_after_a_tenth: float
    rss_half_way: float
    rss_at_the_end: float
    rss_with_the_report: float
    """The most from the first job on, the report of all jobs among it; the list itself is planned before."""
    rss_kib_a_thousand_jobs: float
    """Slope of a line through the readings after the first tenth."""
    cpu_ms_a_job_by_tenths: tuple[float, ...]


def run(jobs: int, gate: bool, folder: Path) -> Result:
    """Run a batch of `jobs`; read the runner meanwhile."""
    (folder / "workflow.json").write_text(json.dumps(WORKFLOW))
    rows = folder / "rows.csv"
    rows.write_text("color\n" + "".join(f"{number}\n" for number in range(jobs)))
    with ServerProcess(ServerSpec(None, gate=gate), folder / "server") as server:
        command = [sys.executable, "-m", "resource_gate.cli", "batch", "run", str(folder / "workflow.json")]
        command += ["--csv", str(rows), "--set", "EmptyImage.color={color}", "--out", str(folder / "out")]
        began = time.monotonic()
        log = folder / "runner.log"
        with log.open("w") as output:
            process = subprocess.Popen([*command, "--server", server.url], stdout=output, stderr=subprocess.STDOUT)
        readings = _readings(process, log, began)
        if process.wait() != 0:
            raise SystemExit(log.read_text()[-2000:])
    made = sum(1 for _ in (folder / "out").glob("*.png"))
    if made != jobs:
        raise SystemExit(f"{made} of {jobs} files were made")
    return _result(jobs, readings)


def _readings(process: subprocess.Popen[bytes], log: Path, began: float) -> list[Reading]:
    watched, readings = psutil.Process(process.pid), []
    while process.poll() is None:
        with watched.oneshot():
            cpu, rss = sum(watched.cpu_times()[:2]), watched.memory_info().rss
        readings.append(Reading(time.monotonic() - began, _done(log), rss, cpu))
        time.sleep(LOOK)
    return readings


def _done(log: Path) -> int:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        found = re.findall(rb"\[(\d+)/\d+\]", file.read())
    return int(found[-1]) if found else 0


def _result(jobs: int, readings: list[Reading]) -> Result:
    working = [reading for reading in readings if reading.done > 0]
    settled = [reading for reading in working if jobs / 10 <= reading.done < jobs]
    line = statistics.linear_regression([r.done for r in settled], [r.rss for r in settled])
    first, last = working[0], working[-1]
    marks = [min(working, key=lambda r: abs(r.done - jobs * tenth / 10)) for tenth in range(11)]
    return Result(
        jobs,
        last.seconds,
        (last.done - first.done) / (last.seconds - first.seconds),
        1000 * (last.cpu - first.cpu) / (last.done - first.done),
        settled[0].rss / MIB,
        min(settled, key=lambda reading: abs(reading.done - jobs / 2)).rss / MIB,
        settled[-1].rss / MIB,
        max(reading.rss for reading in readings if reading.done >= first.done) / MIB,
        line.slope * 1000 / 1024,
        tuple(1000 * (b.cpu - a.cpu) / (b.done - a.done) for a, b in itertools.pairwise(marks) if b.done > a.done),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--stock", action="store_true", help="the host without Resource Gate")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="resource-gate-bench-") as folder:
        result = run(options.jobs, not options.stock, Path(folder))
    if options.json:
        options.json.write_text(json.dumps(asdict(result), indent=2) + "\n", "utf-8")
    print(f"{result.jobs} jobs in {result.seconds:.0f} s: {result.jobs_a_second:.1f} a second")
    print(f"runner: {result.runner_cpu_ms_a_job:.1f} ms of CPU a job")
    print("by tenths of the batch:", " ".join(f"{ms:.1f}" for ms in result.cpu_ms_a_job_by_tenths))
    print(
        f"RSS: {result.rss_after_a_tenth:.1f} MiB after a tenth, {result.rss_half_way:.1f} half way, "
        f"{result.rss_at_the_end:.1f} at the end,"
    )
    print(f"     {result.rss_with_the_report:.1f} at most since the first job, with the report,")
    print(f"     {result.rss_kib_a_thousand_jobs:+.0f} KiB for every 1000 jobs")


if __name__ == "__main__":
    main()
