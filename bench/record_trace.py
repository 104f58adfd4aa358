"""Records a trace for `predict.py`: short video workflows of core nodes, of mixed sizes, on real ComfyUI.

    python bench/record_trace.py --runs 40 --seconds 170 --seed 1 --append
    python bench/record_trace.py --again bench/data/comfyui_trace.jsonl.gz --to new.jsonl.gz

One server with the extension and an empty history, one prompt after another, of the kinds in `trace_workflows.py`. A
row holds the graph, what the extension measured of the run (peak above base, seconds, by node), and, measured from
outside each 5 ms, the server's anonymous bytes before and at the peak. Short calls with --append and another --seed add
up to one trace; each restarts ComfyUI. A call that is ended keeps the runs that it has. With --again the graphs of a
trace are run anew, in their order, as when what is measured of a run has changed; --skip passes over its first so many.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import random
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trace_workflows import KINDS

from resource_gate.batch.local.find_comfyui import find_comfyui
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec
from resource_gate.batch.trial.random_weights import VAE_FILE, vae_shapes, write_model
from resource_gate.gate.prediction.features import features_of
from resource_gate.gate.prediction.history_file import FILE

TRACE = Path(__file__).parent / "data" / "comfyui_trace.jsonl.gz"
LOOK = 0.005

SETTLED = 8.0
"""Seconds: more than there are between two looks of the sampler at rest."""


class Watch(threading.Thread):
    """Anonymous bytes of a process at the highest point."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self._over = threading.Event()
        self.before = self.peak = self.now()

    def now(self) -> int:
        for line in self._status.read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        return 0

    def run(self) -> None:
        while not self._over.wait(LOOK):
            self.peak = max(self.peak, self.now())

    def stop(self) -> None:
        self._over.set()
        self.join()


def record(server: ServerProcess, graph: dict[str, Any]) -> dict[str, Any] | None:
    watch = Watch(server.child.process.pid)
    watch.start()
    prompt_id = server.client.submit(graph)
    while (end := server.client.history(prompt_id)) is None:
        time.sleep(0.01)
    watch.stop()
    if not end.ok:
        print(f"not taken: {end.reason}", flush=True)
        return None
    return {"graph": graph, "outside": {"before": watch.before, "peak": watch.peak}}


def measured(rows: list[dict[str, Any]], history: Path) -> list[dict[str, Any]]:
    """The rows with what the extension measured; without those of which it kept nothing: most came from the cache."""
    lines = history.read_text("utf-8").splitlines() if history.exists() else []
    runs = deque(json.loads(line) for line in lines)
    found = []
    for row in rows:
        features = features_of(row["graph"])
        if runs and (runs[0]["family"], tuple(runs[0]["sizes"])) == (features.family, features.sizes):
            run = runs.popleft()
            kept = {name: run[name] for name in ("ram", "seconds", "cold", "share", "nodes", "family")}
            found.append({"graph": row["graph"], **kept, "outside": row["outside"]})
    if runs:  # one, where the recording was ended in the midst of a run
        print(f"{len(runs)} runs of {history.name} are of none of the prompts that ended", flush=True)
    return found


def settle(history: Path) -> None:
    """Wait until short runs, which are written at the sampler's next look, are in the file."""
    size, since = -1, time.monotonic()
    while time.monotonic() - since < SETTLED:
        now = history.stat().st_size if history.exists() else 0
        if now != size:
            size, since = now, time.monotonic()
        time.sleep(0.2)


def recorded(trace: Path) -> list[dict[str, Any]]:
    """The graphs of a trace."""
    return [json.loads(line)["graph"] for line in gzip.decompress(trace.read_bytes()).splitlines()]


def keep(to: Path, rows: list[dict[str, Any]], append: bool) -> int:
    """Write them; how many the file holds then."""
    old = gzip.decompress(to.read_bytes()).decode() if append and to.exists() else ""
    lines = old + "".join(json.dumps(r, separators=(",", ":")) + "\n" for r in rows)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(gzip.compress(lines.encode(), mtime=0))
    return lines.count("\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=320, help="at most")
    parser.add_argument("--seconds", type=float, default=600.0, help="stop after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), help="only these kinds of workflow")
    parser.add_argument("--append", action="store_true")
    parser.add_argument("--to", type=Path, default=TRACE)
    parser.add_argument("--again", type=Path, metavar="TRACE", help="the graphs of this trace instead of new ones")
    parser.add_argument("--skip", type=int, default=0, help="so many graphs of it, the first")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    finding = find_comfyui()
    if finding.comfyui is None:
        print(f"No ComfyUI: {finding.reason}")
        return 2
    rng = random.Random(options.seed)
    kinds = [KINDS[name] for name in options.kind or KINDS]
    graphs: Iterable[dict[str, Any]] = (rng.choice(kinds)(rng, i + 1000 * options.seed) for i in itertools.count())
    if options.again is not None:
        graphs = recorded(options.again)[options.skip :]
    rows: list[dict[str, Any]] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder / "models" / "vae" / VAE_FILE, vae_shapes(), "F32")
        spec = ServerSpec(finding.comfyui, models=folder / "models")
        history = folder / "server" / "user" / "__resource_gate" / FILE
        try:
            with ServerProcess(spec, folder / "server") as server:
                for graph in itertools.islice(graphs, options.runs):
                    row = record(server, graph)
                    if row is not None:
                        rows.append(row)
                    if time.monotonic() - began > options.seconds:
                        break
                settle(history)
        finally:
            rows = measured(rows, history)
            count = keep(options.to, rows, options.append)
    print(f"{len(rows)} runs in {time.monotonic() - began:.0f} s; {count} in {options.to.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
