"""What prediction is good for under a memory limit, on real ComfyUI in a memory cgroup.

    python bench/predict_batch.py
    python bench/predict_batch.py --only adaptive --json adaptive.json

batch: clips of two sizes in turn; the large ones fit only once what the last clip left is freed. The same batch with
prediction and by the thresholds alone (`gate.predict` off), both from an empty history. frees: actions between prompts,
and of those the needless: the prompt that followed would have stayed below critical without. waits: seconds that
prompts were held with the gate waiting, and how many prompts.

adaptive: six runs of a clip whose number of frames *Adaptive Batch Size* chooses, from an empty history, wanting far
more than fits. Then, on a server of its own, the largest number that survives is sought by halving, with the gate on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resource_gate.batch.calibration import MIB
from resource_gate.batch.client import ClientError, JobLost
from resource_gate.batch.demo_view import table
from resource_gate.batch.find_comfyui import ComfyUI, find_comfyui
from resource_gate.batch.sample_jobs import ClipJob, ClipSize, clip_color, node, plain_clip
from resource_gate.batch.server_process import ServerProcess, ServerSpec
from resource_gate.batch.trial import Trial
from resource_gate.gate.history_file import FILE

CRITICAL = 0.90
SMALL, LARGE = 25, 97
RUNS = 6
WANTED = 1000
NEAR = 0.10


@dataclass
class Watched:
    """What the gate did, by looking at the server each 50 ms."""

    server: ServerProcess
    looks: list[tuple[float, float, float, int]] = field(default_factory=list)
    """Time, bytes used and limit, clips that had ended."""
    waits: list[tuple[float, str]] = field(default_factory=list)
    """Seconds from look to look while the gate waited, and for which prompt."""
    actions: dict[float, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        last = time.time()
        while not self._over.wait(0.05):
            try:
                status = self.server.client.status()
                log = self.server.client.call("GET", "/resource_gate/log")
            except ClientError:
                last = time.time()
                continue
            now = time.time()
            if status is None:
                continue
            ram = status["resources"]["ram"]
            batch = status["batch"]
            self.looks.append((now, ram["used"], ram["limit"], batch["done"] + batch["failed"]))
            if status["gate"]["state"] == "waiting":
                self.waits.append((now - last, status["gate"]["job"]))
            last = now
            self.actions.update({a["time"]: a for a in log["actions"]})

    def before(self, action: dict[str, Any]) -> dict[str, Any]:
        """The action, with what was used when it began, and which clip was next."""
        began = action["time"] - sum(rung["seconds"] for rung in action["rungs"])
        looks = [look for look in self.looks if look[0] <= began] or self.looks[:1]
        _, used, limit, ended = looks[-1]
        return {"freed": action["freed"], "used": used, "limit": limit, "clip": ended, "text": action["text"]}


def mixed(clips: int) -> list[ClipJob]:
    return [plain_clip(i, ClipSize(LARGE if i % 2 else SMALL)) for i in range(clips)]


def batch(comfyui: ComfyUI, folder: Path, predict: bool, options: argparse.Namespace) -> dict[str, Any]:
    base = folder / f"batch-{predict}"
    spec = ServerSpec(comfyui, limit=options.limit_mb * MIB, environment={"RESOURCE_GATE_GATE_PREDICT": str(predict)})
    server = ServerProcess(spec, base, print)
    watched = Watched(server)
    try:
        result = Trial(server, mixed(options.clips), server.base / "output").run()
    finally:
        watched.stop()
    history = base / "user" / "__resource_gate" / FILE
    runs = [json.loads(line) for line in history.read_text().splitlines()] if history.exists() else []
    frees = [a for a in watched.actions.values() if a["place"] == "between prompts"]
    brakes = [a for a in watched.actions.values() if a["place"] == "between nodes"]
    for run in runs:  # without prediction none are kept: the other variant's tell what the clips take
        frames = round(run["sizes"][0] / (ClipSize().target[0] * ClipSize().target[1]))
        options.needs[frames] = max(options.needs.get(frames, 0), run["ram"])
    return {
        "done": result.done,
        "jobs": options.clips,
        "deaths": result.deaths,
        "wall": result.wall,
        "frees": [watched.before(a) for a in frees],
        "brakes": [watched.before(a) for a in brakes],
        "waits": sum(seconds for seconds, _ in watched.waits),
        "held": len({job for _, job in watched.waits}),
        "peak": result.anonymous_peak,
        "seconds": [job.seconds for job in result.jobs],
    }


def adaptive_graph(index: int, wanted: int, fixed: int | None = None) -> dict[str, Any]:
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
        return server.client.wait_for_end(prompt_id, 120).ok, False
    except JobLost:
        return False, False
    except ClientError:
        give_up = time.monotonic() + 10
        while server.alive and time.monotonic() < give_up:
            time.sleep(0.1)
        return False, not server.alive


def adaptive(comfyui: ComfyUI, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    environment = {"RESOURCE_GATE_GATE_RESTORE": "never"}
    spec = ServerSpec(comfyui, limit=options.limit_mb * MIB, environment=environment)
    rows, deaths = [], 0
    with ServerProcess(spec, folder / "adaptive", print) as server:
        for index in range(RUNS):
            began = time.monotonic()
            ok, died = run_one(server, adaptive_graph(index, WANTED))
            deaths += died
            if died:
                server.start()
            history = server.base / "user" / "__resource_gate" / FILE
            last = json.loads(history.read_text().splitlines()[-1])
            size = last["sizes_chosen"].get("size", 0)
            rows.append({"size": size, "ok": ok, "ram": last["ram"], "seconds": time.monotonic() - began})
            print(
                f"  run {index + 1}: {size} frames, {'done' if ok else 'failed'}, {last['ram'] // MIB} MB", flush=True
            )
    low, high, probes = max(r["size"] for r in rows if r["ok"]), None, []
    with ServerProcess(spec, folder / "probe", print) as server:
        step = max(1, low // 10)
        while high is None or high - low > max(1, low // 50):
            middle = low + step if high is None else (low + high) // 2
            ok, died = run_one(server, adaptive_graph(500 + middle, 1, middle))
            probes.append({"frames": middle, "ok": ok, "died": died})
            print(f"  {middle} frames: {'survives' if ok else 'dies' if died else 'fails'}", flush=True)
            low, high = (middle, high) if ok else (low, middle)
            if died:
                server.start()
    near = next((i + 1 for i, r in enumerate(rows) if r["ok"] and r["size"] >= (1 - NEAR) * low), None)
    return {"runs": rows, "deaths": deaths, "largest": low, "probes": probes, "near_after": near}


def report_batch(found: dict[str, dict[str, Any]], options: argparse.Namespace) -> str:
    rows = []
    for name, one in found.items():
        needless = 0
        for free in one["frees"]:
            need = options.needs.get(LARGE if free["clip"] % 2 else SMALL, 0)
            needless += free["used"] + need < CRITICAL * free["limit"]
        freed = sum(f["freed"] for f in one["frees"]) / MIB
        rows.append(
            [
                *(name, f"{one['done']}/{one['jobs']}", str(one["deaths"]), f"{one['wall']:.1f}"),
                *(f"{one['peak'] // MIB}", f"{len(one['frees'])} ({freed:.0f} MB)", str(needless)),
                *(str(len(one["brakes"])), f"{one['waits']:.1f} s, {one['held']} prompts"),
            ]
        )
    head = ["", "done", "deaths", "wall s", "peak MB", "frees between prompts", "needless", "between nodes", "waits"]
    return table(head, rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit-mb", type=int, default=2300)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--only", choices=("batch", "adaptive"))
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    options.needs = {}
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    finding = find_comfyui()
    if finding.comfyui is None:
        print(f"No ComfyUI: {finding.reason}")
        return 2
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="resource-gate-predict-") as name:
        folder = Path(name)
        if options.only != "adaptive":
            found = {}
            for label, predict in (("prediction", True), ("thresholds", False)):
                found[label] = batch(finding.comfyui, folder, predict, options)
                print(f"{label}: {found[label]['wall']:.1f} s, {found[label]['deaths']} deaths", flush=True)
                shutil.rmtree(folder / f"batch-{predict}")
            print(report_batch(found, options))
            figures["batch"] = found
        if options.only != "batch":
            figures["adaptive"] = one = adaptive(finding.comfyui, folder, options)
            sizes = ", ".join(str(r["size"]) for r in one["runs"])
            print(
                f"adaptive: {sizes} frames; the largest that survives: {one['largest']}; within 10 % after "
                f"{one['near_after']} runs; {one['deaths']} deaths"
            )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
