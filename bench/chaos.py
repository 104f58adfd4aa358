"""A batch whose server is killed at random moments, beside the same batch undisturbed. Is every clip there, once?

The server runs under `resource-gate run`; the kills (SIGKILL, seeded) come from here, at work and while it comes up.
The batch is then judged by its files, each decoded, and by the journal, read with plain SQLite. For example:

    python bench/chaos.py
    python bench/chaos.py --host embedded --jobs 1000 --kills 200
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from chaos_batch import Verdict, judge, make_jobs
from chaos_run import ChaosRun

from resource_gate.batch.local.find_comfyui import PATH_VARIABLE, ComfyUI, find_comfyui
from resource_gate.batch.local.server_process import ServerSpec
from resource_gate.batch.trial.sample_jobs import ClipSize

# The one that kills here is not the job: however often it hits the same one, that is not to be set aside.
ENVIRONMENT = {"RESOURCE_GATE_GATE_DEATHS": "100"}


def run(
    options: argparse.Namespace, comfyui: ComfyUI | None, base: Path, kills: int, job_seconds: float
) -> dict[str, Any]:
    """One batch; what came of it, in figures."""
    chance = Random(options.seed)
    jobs = make_jobs(options.jobs, ClipSize(options.frames, 160, 90), chance)
    server = ChaosRun(ServerSpec(comfyui), base, ENVIRONMENT, ["--limit-per-hour", "100000"])
    try:
        began = time.monotonic()
        server.submit(jobs)
        server.kill_at_random(jobs, kills, chance, job_seconds)
        server.finish(jobs)
        wall = time.monotonic() - began
    finally:
        server.stop()
    return {
        "wall": wall,
        "start": server.start_seconds,
        "kills": server.kills,
        "moments": server.killed_at,
        "verdict": judge(base, jobs),
    }


def tell(name: str, figures: dict[str, Any]) -> None:
    verdict: Verdict = figures["verdict"]
    print(f"{name}: {verdict.line}; {figures['kills']} kills, {figures['wall']:.1f} s", flush=True)
    for kind, found in (("lost", verdict.lost), ("twice", verdict.twice)):
        for line in found[:20]:
            print(f"  {kind}: {line}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", choices=("comfyui", "embedded"), default="comfyui")
    parser.add_argument("--comfyui", metavar="PATH", help=f"default: {PATH_VARIABLE}, else ~/comfy/ComfyUI")
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--frames", type=int, default=97)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep clips, journals and logs there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what was started must not stay
    comfyui = None
    if options.host == "comfyui":
        finding = find_comfyui({**os.environ, **({PATH_VARIABLE: options.comfyui} if options.comfyui else {})})
        print(finding.reason)
        comfyui = finding.comfyui
        if comfyui is None:
            return 2
    with tempfile.TemporaryDirectory(prefix="resource-gate-chaos-") as folder:
        home = (options.keep or Path(folder)).resolve()
        calm = run(options, comfyui, home / "undisturbed", 0, 0.0)
        tell("undisturbed", calm)
        chaos = run(options, comfyui, home / "chaos", options.kills, calm["wall"] / options.jobs)
        tell("chaos", chaos)
    lost_time = (chaos["wall"] - calm["wall"]) / max(1, chaos["kills"])
    print(
        f"wall time: {chaos['wall']:.1f} s beside {calm['wall']:.1f} s undisturbed, {lost_time:.1f} s for each kill, "
        f"of which a start of the server takes {calm['start']:.1f} s"
    )
    if options.json:
        figures = {
            name: {**found, "verdict": vars(found["verdict"])}
            for name, found in (("undisturbed", calm), ("chaos", chaos))
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0 if calm["verdict"].good and chaos["verdict"].good and chaos["kills"] == options.kills else 1


if __name__ == "__main__":
    sys.exit(main())
