"""Records a trace for `predict.py`: short video workflows of core nodes, of mixed sizes, on real ComfyUI.

    python bench/record_trace.py --runs 40 --seconds 170 --seed 1 --append

One server with the extension and an empty history, one prompt after another. A row holds the graph, what the extension
measured of the run (peak above base, seconds, by node), and, measured from outside each 5 ms, the server's anonymous
bytes before and at the peak. Short calls with --append and another --seed add up to one trace; each restarts ComfyUI.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from resource_gate.batch.find_comfyui import find_comfyui
from resource_gate.batch.sample_jobs import clip_color, node
from resource_gate.batch.server_process import ServerProcess, ServerSpec
from resource_gate.gate.history_file import FILE

TRACE = Path(__file__).parent / "data" / "comfyui_trace.jsonl.gz"
LOOK = 0.005
SIDES = ((480, 272), (512, 288), (384, 640), (640, 360), (640, 480), (768, 432))
FRAMES = (17, 25, 33, 41, 49, 65, 81, 97)


def save(images: list[Any], name: str) -> dict[str, Any]:
    return {
        "video": node("CreateVideo", images=images, fps=24.0),
        "save": node("SaveVideo", video=["video", 0], filename_prefix=name, format="mp4", codec="h264"),
    }


def empty(width: int, height: int, frames: int, index: int) -> dict[str, Any]:
    return node("EmptyImage", width=width, height=height, batch_size=frames, color=clip_color(index))


def scaled(rng: random.Random, index: int) -> dict[str, Any]:
    """Frames made small, scaled to a size of their own."""
    (width, height), by = rng.choice(SIDES), rng.choice((1.5, 2.0))
    return {
        "frames": empty(width, height, rng.choice(FRAMES), index),
        "scale": node(
            "ImageScale", image=["frames", 0], upscale_method="bilinear", crop="disabled",
            width=int(width * by) // 2 * 2, height=int(height * by) // 2 * 2,
        ),
        **save(["scale", 0], f"scaled{index}"),
    }  # fmt: skip


def repeated(rng: random.Random, index: int) -> dict[str, Any]:
    """One picture, repeated, inverted."""
    width, height = rng.choice(SIDES)
    return {
        "picture": node("EmptyImage", width=width, height=height, batch_size=1, color=clip_color(index)),
        "frames": node("RepeatImageBatch", image=["picture", 0], amount=rng.choice(FRAMES)),
        "invert": node("ImageInvert", image=["frames", 0]),
        **save(["invert", 0], f"repeated{index}"),
    }


def blended(rng: random.Random, index: int) -> dict[str, Any]:
    """Two clips blended."""
    width, height = rng.choice(SIDES)
    count = rng.choice(FRAMES)
    size = node("PrimitiveInt", value=count)
    one, other = (
        node("EmptyImage", width=width, height=height, batch_size=["count", 0], color=clip_color(index * 2 + i))
        for i in (0, 1)
    )
    blend = node("ImageBlend", image1=["one", 0], image2=["other", 0], blend_factor=0.5, blend_mode="multiply")
    return {"count": size, "one": one, "other": other, "blend": blend, **save(["blend", 0], f"blended{index}")}


def doubled(rng: random.Random, index: int) -> dict[str, Any]:
    """Scaled by a factor with another method, then inverted: more time for the same pixels."""
    width, height = rng.choice(SIDES[:4])
    return {
        "frames": empty(width, height, rng.choice(FRAMES[:6]), index),
        "scale": node("ImageScaleBy", image=["frames", 0], upscale_method="bicubic", scale_by=rng.choice((1.5, 2.0))),
        "invert": node("ImageInvert", image=["scale", 0]),
        **save(["invert", 0], f"doubled{index}"),
    }  # fmt: skip


KINDS = (scaled, repeated, blended, doubled)


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
    history = server.base / "user" / "__resource_gate" / FILE
    watch = Watch(server.child.process.pid)
    watch.start()
    prompt_id = server.client.submit(graph)
    while (end := server.client.history(prompt_id)) is None:
        time.sleep(0.01)
    watch.stop()
    if not end.ok:
        print(f"failed: {end.reason}")
        return None
    run = json.loads(history.read_text("utf-8").splitlines()[-1])
    kept = {name: run[name] for name in ("ram", "seconds", "cold", "share", "nodes", "family")}
    return {"graph": graph, **kept, "outside": {"before": watch.before, "peak": watch.peak}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=80, help="at most, of each kind of workflow in the mean")
    parser.add_argument("--seconds", type=float, default=600.0, help="stop after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--append", action="store_true")
    parser.add_argument("--to", type=Path, default=TRACE)
    options = parser.parse_args()
    finding = find_comfyui()
    if finding.comfyui is None:
        print(f"No ComfyUI: {finding.reason}")
        return 2
    rng = random.Random(options.seed)
    rows: list[dict[str, Any]] = []
    began = time.monotonic()
    spec = ServerSpec(finding.comfyui)
    with tempfile.TemporaryDirectory() as folder, ServerProcess(spec, Path(folder)) as server:
        for index in range(options.runs * len(KINDS)):
            row = record(server, rng.choice(KINDS)(rng, index + 1000 * options.seed))
            if row is not None:
                rows.append(row)
            if time.monotonic() - began > options.seconds:
                break
    old = gzip.decompress(options.to.read_bytes()).decode() if options.append and options.to.exists() else ""
    lines = old + "".join(json.dumps(r, separators=(",", ":")) + "\n" for r in rows)
    options.to.parent.mkdir(parents=True, exist_ok=True)
    options.to.write_bytes(gzip.compress(lines.encode(), mtime=0))
    print(f"{len(rows)} runs in {time.monotonic() - began:.0f} s; {lines.count(chr(10))} in {options.to.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
