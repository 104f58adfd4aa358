"""A batch under a memory limit that kills stock ComfyUI: stock without it, stock with it, Resource Gate with it.

One run measures all variants on the same machine and prints one table. For example:

    python bench/survive.py --limit-mb 2300
    python bench/survive.py --workflow model --peers --json survive-model.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from resource_gate.batch.local.find_comfyui import PATH_VARIABLE, ComfyUI, find_comfyui
from resource_gate.batch.local.server_process import ServerSpec
from resource_gate.batch.trial.calibration import MIB, MODEL_SHARE, Peaks, limit_between, measure
from resource_gate.batch.trial.random_weights import write_trial_models
from resource_gate.batch.trial.sample_jobs import ClipJob, ClipSize, model_clip, plain_clip
from resource_gate.batch.trial.trial import Progress, TrialResult, run_trial
from resource_gate.batch.trial.view import RESULT_HEAD, result_row, table

BASELINE_LIMIT = 2300 * MIB
"""Of the stock baseline: plain clips, ComfyUI on a CPU."""
TARGET_RATIO = 1.10
"""Wall time of the gated batch against stock without a limit."""


@dataclass(frozen=True)
class Variant:
    name: str
    gate: bool
    limited: bool
    flags: tuple[str, ...] = ()


VARIANTS = (
    Variant("stock, no limit", gate=False, limited=False),
    Variant("stock", gate=False, limited=True),
    Variant("resource gate", gate=True, limited=True),
)
PEERS = (
    Variant("--cache-none", gate=False, limited=True, flags=("--cache-none",)),
    Variant("--cache-lru 1", gate=False, limited=True, flags=("--cache-lru", "1")),
)


class Survive:
    def __init__(self, options: argparse.Namespace, comfyui: ComfyUI | None, folder: Path) -> None:
        self.options, self.comfyui, self.folder = options, comfyui, folder
        self.size = ClipSize(options.frames)
        self.peaks: dict[str, Peaks] = {}
        self.results: dict[str, TrialResult] = {}
        self.models = folder / "models"
        if options.workflow == "model":
            print(f"models with random weights: {write_trial_models(self.models) // MIB} MB")

    def jobs(self, number: int) -> list[ClipJob]:
        make = model_clip if self.options.workflow == "model" else plain_clip
        return [make(index, self.size) for index in range(number)]

    def spec(self, variant: Variant, limit: int | None) -> ServerSpec:
        models = self.models if self.options.workflow == "model" else None
        limit = limit if variant.limited else None
        return ServerSpec(self.comfyui, variant.gate, variant.flags, limit, models=models)

    def measure(self, name: str, flags: tuple[str, ...], clips: int) -> Peaks:
        variant = Variant(name, gate=False, limited=False, flags=flags)
        base = self.base(f"measure {name}")
        peaks = measure(self.spec(variant, None), self.jobs(clips), base, print)
        shutil.rmtree(base)
        self.peaks[name] = peaks
        after = ", ".join(f"{peak // MIB} MB after {n}" for n, peak in enumerate(peaks.clips, 1))
        print(f"{name} without a limit: {peaks.idle // MIB} MB at rest, {after}", flush=True)
        return peaks

    def limit(self) -> int:
        """Measure one clip, and choose a limit unless one was given."""
        stock = self.measure("stock", (), 2)
        lean = self.measure("--cache-none", ("--cache-none",), 1) if self.comfyui else None
        if self.options.limit_mb:
            return int(self.options.limit_mb * MIB)
        if self.options.workflow == "model" and lean is not None:
            return limit_between(lean.first, stock.first, MODEL_SHARE)
        return BASELINE_LIMIT if self.comfyui else limit_between(stock.first, stock.all)

    def run(self, variant: Variant, limit: int) -> TrialResult:
        base = self.base(variant.name)
        last: list[tuple[int, int]] = [(0, 0)]

        def tell(progress: Progress) -> None:
            if (now := (progress.ended, progress.deaths)) != last[0]:
                last[0] = now
                print(f"  {now[0]} of {progress.total} ended, {now[1]} deaths", flush=True)

        print(f"{variant.name}:", flush=True)
        one_by_one = self.options.one_by_one
        result = run_trial(
            self.spec(variant, limit),
            self.jobs(self.options.clips),
            base,
            queue_all=not one_by_one,
            progress=tell,
            say=print,
        )
        self.results[variant.name] = result
        if self.options.keep is None:
            shutil.rmtree(base)  # ten clips each, and the next variant must not find them in the page cache
        return result

    def base(self, name: str) -> Path:
        return self.folder / "".join(c if c.isalnum() else "-" for c in name)

    def table(self) -> str:
        stock = self.results.get(VARIANTS[0].name)
        rows = []
        for name, result in self.results.items():
            ratio = f"{result.wall / stock.wall:.2f}" if stock and result.whole and stock.wall else "-"
            rows.append([*result_row(name, result), ratio, f"{result.cpu:.1f}", "yes" if result.verified else "no"])
        return table([*RESULT_HEAD, "× stock", "cpu s", "decoded"], rows)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--frames", type=int, default=97)
    parser.add_argument("--limit-mb", type=int, help="MiB; plain clips: 2300, else measured")
    parser.add_argument("--host", choices=("comfyui", "embedded"), default="comfyui")
    parser.add_argument("--comfyui", metavar="PATH", help=f"default: {PATH_VARIABLE}, else ~/comfy/ComfyUI")
    parser.add_argument("--workflow", choices=("plain", "model"), default="plain")
    parser.add_argument("--peers", action="store_true", help="also ComfyUI's own --cache-none and --cache-lru 1")
    parser.add_argument("--only", action="append", metavar="VARIANT", help="run only these variants, by name")
    parser.add_argument("--one-by-one", action="store_true", help="queue a clip when the last one has ended")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep clips and logs there")
    return parser


def main() -> int:
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    comfyui = None
    if options.host == "comfyui":
        environment = {**os.environ, **({PATH_VARIABLE: options.comfyui} if options.comfyui else {})}
        finding = find_comfyui(environment)
        print(finding.reason)
        comfyui = finding.comfyui
        if comfyui is None:
            return 2
    elif options.workflow == "model":
        print("the embedded host loads no models: --workflow model needs a ComfyUI")
        return 2
    chosen = [v for v in VARIANTS + (PEERS if options.peers else ()) if not options.only or v.name in options.only]
    with tempfile.TemporaryDirectory(prefix="resource-gate-survive-") as folder:
        bench = Survive(options, comfyui, (options.keep or Path(folder)).resolve())
        limit = bench.limit()
        print(f"limit: {limit // MIB} MB", flush=True)
        for variant in chosen:
            bench.run(variant, limit)
    print("\n" + bench.table())
    gated = bench.results.get("resource gate")
    stock = bench.results.get("stock, no limit")
    for result in bench.results.values():
        for job in result.jobs:
            if job.state in ("failed", "broken"):
                print(f"{job.name}: {job.state}, {job.reason}")
    if gated and stock:
        ratio = gated.wall / stock.wall
        print(f"resource gate: {ratio:.2f} × stock without a limit (target ≤ {TARGET_RATIO:.2f})")
    if options.json:
        write_json(options, comfyui, limit, bench)
    return 0 if gated is None or (gated.whole and not gated.deaths) else 1


def write_json(options: argparse.Namespace, comfyui: ComfyUI | None, limit: int, bench: Survive) -> None:
    figures = {
        "host": f"ComfyUI {comfyui.version}" if comfyui else "embedded",
        "workflow": options.workflow,
        "clips": options.clips,
        "frames": options.frames,
        "queued": "one by one" if options.one_by_one else "all at once",
        "limit": limit,
        "machine": {
            "system": platform.platform(),
            "cores": psutil.cpu_count(),
            "ram": psutil.virtual_memory().total,
        },
        "peaks": {name: {"idle": p.idle, "clips": p.clips} for name, p in bench.peaks.items()},
        "variants": {name: result.as_dict() for name, result in bench.results.items()},
    }
    options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
