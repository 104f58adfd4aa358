"""A batch on two real ComfyUIs against the same batch on one: wall time, who did what, peaks, deaths.

Both servers run in memory groups of their own, of different size, on this one machine: with few cores they take each
other's time, and what is gained is what one server leaves idle. For example:

    python bench/fleet.py --small 12 --large 4
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psutil

from resource_gate.batch.fleet.run_fleet import run_fleet
from resource_gate.batch.joblist.job import Job, JobList
from resource_gate.batch.local.find_comfyui import ComfyUI, find_comfyui
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec
from resource_gate.batch.runner.book import Book
from resource_gate.batch.runner.journal import Journal
from resource_gate.batch.runner.options import RunOptions
from resource_gate.batch.runner.run import run_on_one
from resource_gate.batch.runner.server import Server
from resource_gate.batch.runner.stopping import Stopping
from resource_gate.batch.trial.sample_jobs import ClipSize, plain_clip
from resource_gate.batch.trial.view import table
from resource_gate.batch.verify import check_clip

MIB = 1024**2


def jobs_of(small: int, large: int) -> list[Job]:
    """Small and large clips, mixed evenly."""
    total = small + large
    jobs = []
    for index in range(total):
        is_large = (index + 1) * large // total > index * large // total
        made = plain_clip(index, ClipSize() if is_large else ClipSize(24, 320, 180))
        jobs.append(Job(index, f"{'large' if is_large else 'small'}{index:03}", made.graph))
    return jobs


def measure(comfyui: ComfyUI | None, limits: Sequence[int], jobs: Sequence[Job], folder: Path) -> dict[str, Any]:
    """Run `jobs` on as many servers as there are limits."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(ServerProcess(ServerSpec(comfyui, limit=limit), folder / f"server{n}", say=print))
            for n, limit in enumerate(limits)
        ]
        listed = JobList(tuple(jobs), folder / "none.json", "bench")
        journal = stack.enter_context(closing(Journal.create(folder / "batch", listed, {"id": str(uuid.uuid4())})))
        options = RunOptions(folder / "out", journal.meta["id"])

        def show(event: Mapping[str, Any]) -> None:
            if event["event"] in ("note", "waiting"):
                print(f"  {event.get('text') or event.get('reason')}", flush=True)

        book, began = Book(journal, show), time.monotonic()
        if len(servers) > 1:
            left = run_fleet(journal, options, book.tell, Stopping(), servers=[server.url for server in servers])
        else:
            with closing(Server(servers[0].url)) as server:
                left = run_on_one(journal, options, book.tell, Stopping(), server)
        wall = time.monotonic() - began
        rows = journal.report()["jobs"]
        ran = [len(server.client.call("GET", "/history")) for server in servers]
        return {
            "limits": list(limits),
            "wall": wall,
            "first_start_to_last_end": max(r["ended_at"] for r in rows) - min(r["started_at"] for r in rows),
            "left": left,
            "done": sum(row["state"] == "done" for row in rows),
            "total": len(rows),
            "prompts_run": sum(ran),
            "whole": sum(_whole(row) for row in rows),
            "large_on": sorted({row["server"] for row in rows if row["name"].startswith("large")}),
            "jobs_by_server": dict(Counter(row["server"] for row in rows)),
            "peaks": [server.peaks[1] for server in servers],
            "oom_kills": [server.child.oom_kills for server in servers],
            "errors": [row["error"] for row in rows if row["error"]],
        }


def _whole(row: Mapping[str, Any]) -> bool:
    size = (97, 1280, 720) if row["name"].startswith("large") else (24, 640, 360)
    return bool(row["outputs"]) and check_clip(Path(row["outputs"][0]), *size).whole is True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=12, help="clips of 24 frames of 640×360")
    parser.add_argument("--large", type=int, default=4, help="clips of 97 frames of 1280×720, as the stock baseline's")
    parser.add_argument("--limits-mb", type=int, nargs=2, default=(3000, 1300), metavar=("LARGE", "SMALL"))
    parser.add_argument("--host", choices=("comfyui", "embedded"), default="comfyui")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    comfyui = None
    if options.host == "comfyui":
        finding = find_comfyui()
        print(finding.reason)
        comfyui = finding.comfyui
        if comfyui is None:
            return 2
    limits = [limit * MIB for limit in options.limits_mb]
    jobs = jobs_of(options.small, options.large)
    with tempfile.TemporaryDirectory(prefix="resource-gate-fleet-") as folder:
        results = {
            "one server": measure(comfyui, limits[:1], jobs, Path(folder, "one")),
            "two servers": measure(comfyui, limits, jobs, Path(folder, "two")),
        }
    rows = [
        [name, f"{r['done']}/{r['total']}", str(r["prompts_run"]), str(r["whole"]), f"{r['wall']:.1f}",
         f"{r['first_start_to_last_end']:.1f}", " + ".join(str(p // MIB) for p in r["peaks"]),
         str(sum(r["oom_kills"])), " + ".join(map(str, r["jobs_by_server"].values())), str(len(r["large_on"]))]
        for name, r in results.items()
    ]  # fmt: skip
    head = [
        "",
        "done",
        "prompts run",
        "whole",
        "wall s",
        "jobs s",
        "peak MB",
        "oom kills",
        "jobs by server",
        "large on",
    ]
    print("\n" + table(head, rows))
    print(f"two servers: {results['two servers']['wall'] / results['one server']['wall']:.2f} × one "
          f"on {psutil.cpu_count()} cores")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    return 0 if all(r["whole"] == r["total"] == r["prompts_run"] for r in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
