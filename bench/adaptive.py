"""*Adaptive Batch Size* on real ComfyUI in a memory cgroup: how near the largest number of frames, and how soon.

    python bench/adaptive.py --limit-mb 1600 --times 3

Six runs of a clip whose number of frames the node chooses, from an empty history, wanting far more than fits; as often
as `--times` says. Then, on a server of its own, the largest number that survives is sought by halving, gate on.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from resource_gate.batch.client import ClientError, JobLost
from resource_gate.batch.local.find_comfyui import ComfyUI, find_comfyui
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec
from resource_gate.batch.trial.calibration import MIB
from resource_gate.batch.trial.sample_jobs import ClipSize, clip_color, node
from resource_gate.gate.prediction.history_file import FILE

RUNS = 6
WANTED = 1000
NEAR = 0.10
PATIENCE = 180


def clip(index: int, wanted: int, fixed: int | None = None) -> dict[str, Any]:
    size = ClipSize()
    width, height = size.target
    return {
        "size": node("ResourceGateBatchSize", wanted=wanted, step=1, plus_one=False, keep_free=0.0),
        "frames": node(
            "EmptyImage", width=size.width, height=size.height, color=clip_color(index),
            batch_size=["size", 0] if fixed is None else fixed,
        ),
        "scale": node(
            "ImageScale", image=["frames", 0], upscale_method="bilinear", width=width, height=height, crop="disabled"
        ),
        "video": node("CreateVideo", images=["scale", 0], fps=24.0),
        "save": node("SaveVideo", video=["video", 0], filename_prefix=f"a{index}", format="mp4", codec="h264"),
        **({"show": node("PreviewAny", source=["size", 1])} if fixed is None else {}),
    }  # fmt: skip


def run_one(server: ServerProcess, graph: dict[str, Any]) -> tuple[bool, bool]:
    """Run it; whether it ended well, and whether the process died of it."""
    prompt_id = server.client.submit(graph)
    try:
        return server.client.wait_for_end(prompt_id, PATIENCE).ok, False
    except JobLost:
        return False, False
    except ClientError:
        give_up = time.monotonic() + 10
        while server.alive and time.monotonic() < give_up:
            time.sleep(0.1)
        return False, not server.alive


def spec_of(comfyui: ComfyUI, options: argparse.Namespace) -> ServerSpec:
    return ServerSpec(comfyui, limit=options.limit_mb * MIB, environment={"RESOURCE_GATE_GATE_RESTORE": "never"})


def six_runs(comfyui: ComfyUI, base: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    with ServerProcess(spec_of(comfyui, options), base, print) as server:
        for index in range(RUNS):
            began = time.monotonic()
            ok, died = run_one(server, clip(index, WANTED))
            if died:
                server.start()
            history = server.base / "user" / "__resource_gate" / FILE
            last = json.loads(history.read_text().splitlines()[-1]) if history.exists() else {}
            row = {"size": last.get("sizes_chosen", {}).get("size", 0), "ram": last.get("ram", 0), "ok": ok}
            rows.append({**row, "died": died, "seconds": time.monotonic() - began})
            how = "died" if died else "done" if ok else "failed"
            print(f"  run {index + 1}: {row['size']} frames, {how}, {row['ram'] // MIB} MB", flush=True)
        chosen = [line for line in server.log.read_text("utf-8", "replace").splitlines() if "Adaptive Batch" in line]
    print("\n".join(chosen), flush=True)
    return rows


def largest(comfyui: ComfyUI, base: Path, low: int, options: argparse.Namespace) -> tuple[int, list[dict[str, Any]]]:
    high, probes = None, []
    with ServerProcess(spec_of(comfyui, options), base, print) as server:
        step = max(1, low // 10)
        while high is None or high - low > max(1, low // 50):
            middle = low + step if high is None else (low + high) // 2
            ok, died = run_one(server, clip(500 + middle, 1, middle))
            probes.append({"frames": middle, "ok": ok, "died": died})
            print(f"  {middle} frames: {'survives' if ok else 'dies' if died else 'fails'}", flush=True)
            low, high = (middle, high) if ok else (low, middle)
            if died:
                server.start()
    return low, probes


def adaptive(comfyui: ComfyUI, folder: Path, options: argparse.Namespace, times: int = 1) -> dict[str, Any]:
    found = []
    for number in range(times):
        print(f"{number + 1} of {times}:", flush=True)
        found.append(six_runs(comfyui, folder / f"adaptive{number}", options))
    well = max(row["size"] for rows in found for row in rows if row["ok"])
    most, probes = largest(comfyui, folder / "probe", well, options)
    told = []
    for rows in found:
        near = next((i + 1 for i, r in enumerate(rows) if r["ok"] and r["size"] >= (1 - NEAR) * most), None)
        deaths = sum(r["died"] for r in rows)
        sizes = ", ".join(str(r["size"]) for r in rows)
        print(f"{sizes} frames of {most} that survive; within 10 % at run {near}; {deaths} deaths", flush=True)
        told.append({"runs": rows, "largest": most, "near_after": near, "deaths": deaths})
    return {**told[0], "all": told, "probes": probes}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit-mb", type=int, default=2300)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    finding = find_comfyui()
    if finding.comfyui is None:
        print(f"No ComfyUI: {finding.reason}")
        return 2
    with tempfile.TemporaryDirectory(prefix="resource-gate-adaptive-") as name:
        figures = adaptive(finding.comfyui, Path(name), options, options.times)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
