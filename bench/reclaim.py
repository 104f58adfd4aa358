"""What freeing gives back after a clip, how fast, what the event loop feels of it, and what the next prompt pays.

    python bench/reclaim.py
    python bench/reclaim.py --workflow plain --json reclaim.json
    python bench/reclaim.py --only "ours, critical" --only "ComfyUI POST /free"

Real ComfyUI, no memory limit, Linux. One fresh server a row. In each: a clip that leaves about 2.3 GB of frames in the
output cache (and, with --workflow model, a text encoder and a VAE), then the freeing, then the same workflow (a) with
a changed parameter in its last heavy node, the scaling; then the clip and the freeing once more, then (b) the
same workflow unchanged. Where both gave a figure, the worse one is told.

held, freed, left: anonymous memory of the server above what it was at rest before the first clip, in MB, read from
/proc. share: freed of held; what the interpreter and the libraries took for good in the first clip counts as held,
too. ms: from the request until all but 1 % of what came free had come free. stall: slowest answer to `GET /queue`,
asked each 10 ms meanwhile. nodes, s: how many nodes the prompt ran, and seconds from queueing it to its end.

In the rows "(a) waits" and "(b) waits" that prompt is queued already, held by a paused gate, while memory is freed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from answer_times import Probe, percentile

from resource_gate.batch.local.find_comfyui import PATH_VARIABLE, ComfyUI, find_comfyui
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec
from resource_gate.batch.trial.calibration import MIB
from resource_gate.batch.trial.random_weights import write_trial_models
from resource_gate.batch.trial.sample_jobs import ClipSize, model_clip, plain_clip
from resource_gate.batch.trial.view import table
from resource_gate.host.graphs import links_of

Graph = dict[str, Any]

FRAMES = 179
"""640×360 and scaled to 1280×720, float32: 2.3 GB together, in powers of 1024."""
SETTLED = 1.5
"""Seconds without a change of more than 1 MB after which nothing more is coming free."""
CHANGED_WIDTH = 1264
"""Of the scaled frames, instead of 1280: the same work within 1 %, and another key to the cache."""
SHARE_TARGET, MS_TARGET = 0.95, 250.0


@dataclass(frozen=True)
class Variant:
    name: str
    gate: bool
    flags: tuple[str, ...] = ()
    path: str = ""
    """What to POST to free; empty: nothing."""
    body: Mapping[str, Any] = field(default_factory=dict)
    waits: str = ""
    """`a` or `b`: that prompt waits already while memory is freed, and the other is left out."""


GOAL = 1000 * MIB


def ours(name: str, waits: str = "", **body: Any) -> Variant:
    return Variant(f"ours, {name}", True, (), "/resource_gate/free", body, waits)


VARIANTS = (
    Variant("nothing freed", False),
    ours("warning", level="warning"),
    ours("critical", level="critical"),
    ours("emergency", level="emergency"),
    ours("goal 1000 MB", level="critical", goal_bytes=GOAL),
    ours("critical, (a) waits", "a", level="critical"),
    ours("critical, (b) waits", "b", level="critical"),
    Variant("ComfyUI POST /free", False, (), "/free", {"free_memory": True, "unload_models": True}),
    Variant("--cache-none", False, ("--cache-none",)),
)


def anonymous(pid: int) -> int:
    """Bytes of anonymous memory of a process, as the kernel tells anybody."""
    found = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


@dataclass(frozen=True)
class Freeing:
    """Bytes above rest before and after, ms until all had come free, the loop's slowest answer in ms, the answer."""

    held: int
    left: int
    ms: float
    stall: float
    answer: Any = None

    @property
    def freed(self) -> int:
        return self.held - self.left

    @property
    def share(self) -> float:
        return self.freed / self.held


@dataclass(frozen=True)
class Followed:
    """The prompt afterwards: the nodes it ran, and seconds until its end."""

    nodes: list[str]
    seconds: float


@dataclass
class Row:
    name: str
    rest: int
    """Bytes of anonymous memory at rest."""
    freeings: list[Freeing] = field(default_factory=list)
    changed: Followed | None = None
    unchanged: Followed | None = None

    def cells(self) -> list[str]:
        worst = min(self.freeings, key=lambda f: f.share)
        freed = [f for f in self.freeings if f.ms]
        return [
            self.name,
            f"{max(f.held for f in self.freeings) / MIB:.0f}",
            f"{worst.freed / MIB:.0f}" if freed else "-",
            f"{max(f.left for f in self.freeings) / MIB:.0f}",
            f"{worst.share:.1%}" if freed else "-",
            f"{max(f.ms for f in freed):.0f}" if freed else "-",
            f"{max(f.stall for f in freed):.1f}" if freed else "-",
            *(
                t
                for f in (self.changed, self.unchanged)
                for t in ((f"{len(f.nodes)}", f"{f.seconds:.1f}") if f else "--")
            ),
        ]


HEAD = ("", "held", "freed", "left", "share", "ms", "stall ms", "(a) nodes", "s", "(b) nodes", "s")


def nodes_run(graph: Graph, cached: set[str], outputs: list[str]) -> list[str]:
    """The nodes that ComfyUI ran: those it came to from the outputs without passing a cached one.

    It walks on from an output node even where that is cached itself: `TopologicalSort.add_node` asks of inputs only.
    """
    ran: list[str] = []
    stack = list(outputs)
    while stack:
        node_id = stack.pop()
        if node_id in ran or (node_id in cached and node_id not in outputs):
            continue
        if node_id not in cached:
            ran.append(node_id)
        stack += links_of(graph[node_id])
    return ran


class Trial:
    """One server: clip, freeing, next prompt."""

    def __init__(self, server: ServerProcess, variant: Variant, clip: Graph) -> None:
        self.server, self.variant, self.clip = server, variant, clip
        self.client = server.client
        self.pid = server.child.process.pid
        time.sleep(2.0)  # a server that answers still imports in the background
        self.row = Row(variant.name, anonymous(self.pid))

    def run(self) -> Row:
        changed = json.loads(json.dumps(self.clip))
        changed["scale"]["inputs"]["width"] = CHANGED_WIDTH
        if self.variant.waits != "b":
            self.end_of(self.submit(self.clip), self.clip)
            self.row.changed = self.free_and_follow(changed)
        if self.variant.waits != "a":
            self.end_of(self.submit(self.clip), self.clip)
            self.row.unchanged = self.free_and_follow(self.clip)
        return self.row

    def free_and_follow(self, graph: Graph) -> Followed:
        time.sleep(1.0)  # ComfyUI collects garbage of its own after a prompt; that is not what is measured
        waits = self.variant.waits
        if waits:
            self.client.call("POST", "/resource_gate/pause", {})
            submitted = self.submit(graph)
            until(lambda: self.client.status()["gate"]["job"] == submitted[0])
        self.row.freeings.append(self.free())
        if not waits:
            return self.end_of(self.submit(graph), graph)
        waited = time.time()
        self.client.call("POST", "/resource_gate/resume", {})
        return self.end_of((submitted[0], waited), graph)

    def free(self) -> Freeing:
        before = anonymous(self.pid)
        if not self.variant.path:
            return Freeing(before - self.row.rest, before - self.row.rest, 0.0, 0.0)
        answers: list[Any] = []

        def ask() -> None:
            answers.append(self.client.call("POST", self.variant.path, dict(self.variant.body)))

        with Probe(self.server.port) as probe:
            time.sleep(0.2)
            began = time.monotonic()
            asking = threading.Thread(target=ask)
            asking.start()
            seen = settle(self.pid, asking.is_alive)
            asking.join()
            after = seen[-1][1]
            done = next(when for when, size in seen if size <= after + (before - after) * 0.01)
            time.sleep(0.1)
        rest = self.row.rest
        stall = probe.slowest(began, max(done, began) + 0.1)
        return Freeing(before - rest, after - rest, (done - began) * 1000, stall, answers[0])

    def submit(self, graph: Graph) -> tuple[str, float]:
        asked = time.time()
        return self.client.submit(graph), asked

    def end_of(self, submitted: tuple[str, float], graph: Graph) -> Followed:
        prompt_id, asked = submitted
        end = self.client.wait_for_end(prompt_id)
        if not end.ok:
            raise SystemExit(f"{self.variant.name}: {end.reason}")
        entry = self.client.call("GET", f"/history/{prompt_id}")[prompt_id]
        messages = dict(entry["status"]["messages"])
        ran = nodes_run(graph, set(messages["execution_cached"]["nodes"]), ["save"])
        return Followed(sorted(ran), messages["execution_success"]["timestamp"] / 1000 - asked)


def settle(pid: int, acting: Callable[[], bool]) -> list[tuple[float, int]]:
    """(moment, anonymous bytes) each 2 ms until the action is over and nothing has changed for `SETTLED` seconds."""
    seen = [(time.monotonic(), anonymous(pid))]
    last_change, last_size = seen[0]
    while acting() or time.monotonic() - last_change < SETTLED:
        time.sleep(0.002)
        seen.append((time.monotonic(), anonymous(pid)))
        if abs(seen[-1][1] - last_size) > MIB or acting():
            last_change, last_size = seen[-1]
    return seen


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            raise SystemExit("the prompt never came to wait at the gate")
        time.sleep(0.02)


class Reclaim:
    def __init__(self, options: argparse.Namespace, comfyui: ComfyUI, folder: Path) -> None:
        self.options, self.comfyui, self.folder = options, comfyui, folder
        self.models: Path | None = None
        if options.workflow == "model":
            self.models = folder / "models"
            print(f"models with random weights: {write_trial_models(self.models) // MIB} MB")
        make = model_clip if self.models else plain_clip
        self.clip: Graph = dict(make(0, ClipSize(options.frames)).graph)

    @contextmanager
    def server(self, name: str, gate: bool, flags: tuple[str, ...] = ()) -> Iterator[ServerProcess]:
        base = self.folder / "".join(c if c.isalnum() else "-" for c in name)
        with ServerProcess(ServerSpec(self.comfyui, gate, flags, models=self.models), base) as server:
            yield server
        shutil.rmtree(base)

    def row(self, variant: Variant) -> Row:
        with self.server(variant.name, variant.gate, variant.flags) as server:
            return Trial(server, variant, self.clip).run()

    def event_loop(self) -> dict[str, list[float]]:
        """Milliseconds of each answer of an idle server, without and with the extension, in turns there and back."""
        times: dict[str, list[float]] = {"stock": [], "resource gate": []}
        for name in ("stock", "resource gate", "resource gate", "stock"):
            with self.server(f"idle {name}", name != "stock") as server:
                time.sleep(2.0)
                with Probe(server.port) as probe:
                    time.sleep(self.options.loop_seconds / 2)
                times[name] += [took * 1000 for _, took in probe.answers]
        return times


def told(row: Row) -> str:
    """What the ladder said it did, one line an action."""
    lines = []
    for freeing in row.freeings:
        for action in (freeing.answer or {}).get("actions", []):
            lines.append(f"  {action['text']}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comfyui", metavar="PATH", help=f"default: {PATH_VARIABLE}, else ~/comfy/ComfyUI")
    parser.add_argument("--workflow", choices=("plain", "model"), default="model")
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--only", action="append", metavar="ROW", help="run only these rows, by name")
    parser.add_argument("--loop-seconds", type=float, default=30.0, help="idle event loop, each; 0: leave it out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    finding = find_comfyui({**os.environ, **({PATH_VARIABLE: options.comfyui} if options.comfyui else {})})
    print(finding.reason)
    if finding.comfyui is None:
        return 2
    if not sys.platform.startswith("linux"):
        print("the server's memory is read from /proc: Linux only")
        return 2
    with tempfile.TemporaryDirectory(prefix="resource-gate-reclaim-") as folder:
        bench = Reclaim(options, finding.comfyui, Path(folder))
        rows = []
        for variant in VARIANTS:
            if not options.only or variant.name in options.only:
                print(f"{variant.name}:", flush=True)
                rows.append(bench.row(variant))
                if lines := told(rows[-1]):
                    print(lines, flush=True)
        loop = bench.event_loop() if options.loop_seconds else {}
    print("\n" + table(HEAD, [row.cells() for row in rows]))
    if rows:
        size = ClipSize(options.frames)
        frames = (size.source_bytes + size.target_bytes) / MIB
        print(f"\n{len(bench.clip)} nodes, {frames:.0f} MB of frames; at rest {rows[0].rest / MIB:.0f} MB")
        print(f"targets: share ≥ {SHARE_TARGET:.0%}, ≤ {MS_TARGET:.0f} ms")
    for name, times in loop.items():
        print(
            f"event loop at rest, {name}: p50 {statistics.median(times):.2f} ms, p99 {percentile(times, 0.99):.2f} ms, "
            f"slowest {max(times):.1f} ms of {len(times)}"
        )
    if options.json:
        write_json(options, finding.comfyui, rows, loop)
    return 0


def write_json(options: argparse.Namespace, comfyui: ComfyUI, rows: list[Row], loop: dict[str, list[float]]) -> None:
    figures = {
        "host": f"ComfyUI {comfyui.version}",
        "workflow": options.workflow,
        "frames": options.frames,
        "machine": {
            "system": platform.platform(),
            "cores": psutil.cpu_count(),
            "ram": psutil.virtual_memory().total,
        },
        "rows": [asdict(row) for row in rows],
        "event_loop_ms": {
            name: {
                "p50": statistics.median(times),
                "p99": percentile(times, 0.99),
                "slowest": max(times),
                "answers": len(times),
            }
            for name, times in loop.items()
        },
    }
    options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
