"""What prediction is good for under a memory limit, on real ComfyUI in a memory cgroup.

    python bench/predict_batch.py
    python bench/predict_batch.py --only restart --limit-mb 2080

batch: clips of two sizes in turn; the large ones fit only once what the last clip left is freed. The same batch with
prediction and by the thresholds alone (`gate.predict` off), in turn, both from an empty history. frees: actions between
prompts, and of those the needless: the prompt that followed would have stayed below critical without, had all that lay
there stayed; what was used is the reading that the gate decided by. not missed: those before a clip of a size that
stayed below critical elsewhere in these batches with nothing done before it or in it: what an earlier prompt left,
ComfyUI drops by itself once the next one runs. over critical: clips in which RAM was seen above. waits: seconds that
prompts were held with the gate waiting, and how many prompts.

kept: the same where ComfyUI lets nothing go by itself, as with `--cache-lru`, or in a container on a machine of so much
RAM that its own threshold, which goes by the machine and not by the limit, is never reached: what earlier prompts left
stays until somebody frees it.

restart: a node that takes several times what tensor arithmetic says of it, after a clip that leaves much behind, in a
process that has not run it yet. What nodes were seen to take is known to a process only; what prompts took, to the next
one, too. A server runs the clip alone and ends; in each round another one begins, and is given both.

adaptive: as `adaptive.py` does, once.
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
from functools import partial
from pathlib import Path
from typing import Any

from adaptive import adaptive

from resource_gate.batch.client import ClientError
from resource_gate.batch.local.find_comfyui import ComfyUI, find_comfyui
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec
from resource_gate.batch.trial.calibration import MIB
from resource_gate.batch.trial.sample_jobs import FPS, ClipJob, ClipSize, clip_color, node, plain_clip
from resource_gate.batch.trial.trial import Trial
from resource_gate.batch.trial.view import table
from resource_gate.gate.prediction.history_file import FILE

CRITICAL = 0.90
KEEPING = ("--cache-ram", "2", "0")
"""GB available below which outputs go: those of the running prompt, those of earlier ones. By default the latter is the
RAM of the machine, 128 GB at most: they go with the first node of the next prompt."""
WAYS = (("prediction", True), ("thresholds", False))


@dataclass
class Watched:
    """What the gate did, by looking at the server each 50 ms."""

    server: ServerProcess
    looks: list[tuple[float, float, float, int]] = field(default_factory=list)
    """When it was asked, bytes used and limit, clips that had ended."""
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
            asked = time.time()
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
            self.looks.append((asked, ram["used"], ram["limit"], batch["done"] + batch["failed"]))
            if status["gate"]["state"] == "waiting":
                self.waits.append((now - last, status["gate"]["job"]))
            last = now
            self.actions.update({a["time"]: a for a in log["actions"]})

    def before(self, action: dict[str, Any]) -> dict[str, Any]:
        """The action, with what was used as it was decided, and which clip was next or ran.

        A look from before it may be of a moment when the clip before was not over: the first one from after it is of
        the clip that follows, since none ends within so short a time.
        """
        looks = [look for look in self.looks if look[0] >= action["time"]] or self.looks[-1:]
        _, used, limit, ended = looks[0]
        cause = action["cause"] or {}
        if "fraction" in cause and "limit" in cause:
            used, limit = cause["fraction"] * cause["limit"], cause["limit"]
        return {"freed": action["freed"], "used": used, "limit": limit, "clip": ended, "text": action["text"]}

    def peaks(self) -> dict[int, float]:
        """The most that was seen in use while each clip ran, in shares of the limit."""
        found: dict[int, float] = {}
        for _, used, limit, ended in self.looks:
            found[ended] = max(used / limit, found.get(ended, 0.0))
        return found


def spec(comfyui: ComfyUI, predict: bool, options: argparse.Namespace, flags: tuple[str, ...] = ()) -> ServerSpec:
    environment = {"RESOURCE_GATE_GATE_PREDICT": str(predict)}
    return ServerSpec(comfyui, limit=options.limit_mb * MIB, environment=environment, flags=flags)


def mixed(options: argparse.Namespace) -> list[ClipJob]:
    return [plain_clip(i, ClipSize(options.large if i % 2 else options.small)) for i in range(options.clips)]


def batch(
    comfyui: ComfyUI, base: Path, predict: bool, options: argparse.Namespace, flags: tuple[str, ...] = ()
) -> dict[str, Any]:
    server = ServerProcess(spec(comfyui, predict, options, flags), base, print)
    watched = Watched(server)
    try:
        result = Trial(server, mixed(options), server.base / "output").run()
    finally:
        watched.stop()
    for run in lessons(base):  # without prediction none are kept: the other variant's tell what the clips take
        frames = round(run["sizes"][0] / (ClipSize().target[0] * ClipSize().target[1]))
        options.needs[frames] = max(options.needs.get(frames, 0), run["ram"])
    actions = [watched.before(a) | {"place": a["place"]} for a in watched.actions.values()]
    return {
        "done": result.done,
        "jobs": options.clips,
        "deaths": result.deaths,
        "wall": result.wall,
        "frees": [a for a in actions if a["place"] == "between prompts"],
        "brakes": [a for a in actions if a["place"] == "between nodes"],
        "peaks": {clip: share for clip, share in watched.peaks().items() if clip < options.clips},
        "waits": sum(seconds for seconds, _ in watched.waits),
        "held": len({job for _, job in watched.waits}),
        "peak": result.anonymous_peak,
        "seconds": [job.seconds for job in result.jobs],
    }


def lessons(base: Path) -> list[dict[str, Any]]:
    history = base / "user" / "__resource_gate" / FILE
    return [json.loads(line) for line in history.read_text().splitlines()] if history.exists() else []


def blurred(index: int, frames: int, name: str) -> ClipJob:
    """A clip whose blur holds its input, a padded copy and the result at once."""
    size = ClipSize(frames)
    job = ClipJob(name, frames, size.width, size.height)
    graph = {
        "frames": node("EmptyImage", width=size.width, height=size.height, batch_size=frames, color=clip_color(index)),
        "blur": node("ImageBlur", image=["frames", 0], blur_radius=1, sigma=1.0),
        "video": node("CreateVideo", images=["blur", 0], fps=FPS),
        "save": node("SaveVideo", video=["video", 0], filename_prefix=job.prefix, format="mp4", codec="h264"),
    }
    return ClipJob(name, frames, size.width, size.height, graph)


def restart(comfyui: ComfyUI, base: Path, predict: bool, options: argparse.Namespace) -> dict[str, Any]:
    server = ServerProcess(spec(comfyui, predict, options), base, print)
    taught = [blurred(900 + i, options.blurred - 8 * i, f"taught{i}") for i in range(2)]
    Trial(server, taught, server.base / "output").run()
    found: dict[str, Any] = {"deaths": 0, "done": 0, "jobs": 0, "wall": 0.0, "peak": 0}
    for number in range(options.rounds):
        jobs = [
            plain_clip(number, ClipSize(options.left), f"left{number}"),
            blurred(100 + number, options.blurred, f"blurred{number}"),
        ]
        result = Trial(server, jobs, server.base / "output").run()
        found["deaths"] += result.deaths
        found["done"] += result.done
        found["jobs"] += len(jobs)
        found["wall"] += result.wall
        found["peak"] = max(found["peak"], result.anonymous_peak)
    return found | {"needs": [run["ram"] for run in lessons(base)]}


def unaided_clips(one: dict[str, Any]) -> list[int]:
    """Clips of a batch that stayed below critical with nothing freed before or in them; not the first: there was
    nothing to free."""
    aided = {action["clip"] for action in one["frees"] + one["brakes"]}
    return [clip for clip, share in one["peaks"].items() if clip and clip not in aided and share < CRITICAL]


def count_frees(found: list[tuple[str, dict[str, Any]]], options: argparse.Namespace) -> None:
    """Write into each batch how many of its frees were needless, and how many nobody would have missed."""
    unaided = {clip % 2 for _, one in found for clip in unaided_clips(one)}
    for _, one in found:
        one["needless"] = 0
        for free in one["frees"]:
            need = options.needs.get(options.large if free["clip"] % 2 else options.small, 0)
            one["needless"] += free["used"] + need < CRITICAL * free["limit"]
        one["not_missed"] = sum(free["clip"] % 2 in unaided for free in one["frees"])


def report_batch(found: list[tuple[str, dict[str, Any]]]) -> str:
    rows = []
    for name, one in found:
        freed = sum(f["freed"] for f in one["frees"]) / MIB
        over = sum(share > CRITICAL for share in one["peaks"].values())
        rows.append(
            [
                *(name, f"{one['done']}/{one['jobs']}", str(one["deaths"]), f"{one['wall']:.1f}"),
                *(f"{one['peak'] // MIB}", f"{len(one['frees'])} ({freed:.0f} MB)", str(one["needless"])),
                *(str(one["not_missed"]), str(len(one["brakes"])), str(over)),
                f"{one['waits']:.1f} s, {one['held']} prompts",
            ]
        )
    head = ["", "done", "deaths", "wall s", "peak MB", "frees between prompts", "needless", "not missed"]
    head += ["between nodes", "over critical", "waits"]
    return table(head, rows)


def report_restart(found: list[tuple[str, dict[str, Any]]]) -> str:
    rows = [
        [name, f"{one['done']}/{one['jobs']}", str(one["deaths"]), f"{one['wall']:.1f}", f"{one['peak'] // MIB}"]
        for name, one in found
    ]
    return table(["after a restart", "done", "deaths", "wall s", "peak MB"], rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit-mb", type=int, default=2300)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--large", type=int, default=97, help="frames of the large clips")
    parser.add_argument("--small", type=int, default=25)
    parser.add_argument("--pairs", type=int, default=1, help="batches of each variant, in turn; of `kept`, too")
    parser.add_argument("--rounds", type=int, default=3, help="restarts")
    parser.add_argument("--left", type=int, default=57, help="frames of the clip that leaves much behind")
    parser.add_argument("--blurred", type=int, default=97, help="frames of the clip that is blurred")
    parser.add_argument("--only", choices=("batch", "kept", "restart", "adaptive"))
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
        base = Path(name) / "server"
        for part, run in (("batch", batch), ("kept", partial(batch, flags=KEEPING)), ("restart", restart)):
            if options.only not in (None, part):
                continue
            found: list[tuple[str, dict[str, Any]]] = []
            for label, predict in WAYS * (1 if part == "restart" else options.pairs):
                one = run(finding.comfyui, base, predict, options)
                found.append((label, one))
                print(f"{part}, {label}: {one['wall']:.1f} s, {one['deaths']} deaths", flush=True)
                shutil.rmtree(base)
            if part != "restart":
                count_frees(found, options)
            print(report_restart(found) if part == "restart" else report_batch(found), flush=True)
            figures[part] = {**dict(found), "all": found}
        if options.only in (None, "adaptive"):
            figures["adaptive"] = adaptive(finding.comfyui, Path(name), options)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
