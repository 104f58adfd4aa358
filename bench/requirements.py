"""Do our requirements move a version that another pack would get? Resolved by pip into ComfyUI's own environment.

For each of twenty much used packs (tests/data/pack_requirements.json) pip is asked twice what it would install,
without ours and with ours; nothing is installed. Lists that pip cannot resolve by themselves are told as such. It asks
the package index, so it is no part of CI:

    python bench/requirements.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from resource_gate.batch.local.find_comfyui import find_comfyui

ROOT = Path(__file__).parents[1]
WATCHED = ("torch", "torchvision", "torchaudio", "numpy", "pydantic", "aiohttp", "psutil")


def resolved(python: Path, requirements: list[str], timeout: float) -> dict[str, str] | str:
    """Name → version of what pip would install, or why it cannot tell."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        asked = Path(folder, "requirements.txt")
        asked.write_text("\n".join(requirements) + "\n", "utf-8")
        command = [str(python), "-m", "pip", "install", "--dry-run", "--quiet", "--only-binary", ":all:"]
        try:
            done = subprocess.run(
                [*command, "--report", str(report), "-r", str(asked)],
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no answer in {timeout:.0f} s"
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            return (errors or [done.stderr.strip()[-200:]])[0][:160]
        found = json.loads(report.read_text("utf-8"))["install"]
    return {item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"] for item in found}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for one question to pip")
    parser.add_argument("--only", action="append", metavar="PACK", help="only packs whose name holds this")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    finding = find_comfyui()
    if finding.comfyui is None:
        print(f"No ComfyUI: {finding.reason}")
        return 2
    python = finding.comfyui.python
    ours = (ROOT / "requirements.txt").read_text("utf-8").split()
    alone = resolved(python, ours, options.timeout)
    print(f"ours alone would install: {alone or 'nothing'}", flush=True)
    packs = json.loads((ROOT / "tests/data/pack_requirements.json").read_text("utf-8"))["packs"]
    figures = {"packs": 0, "moved": 0, "unresolved": 0, "alone": alone}
    for name, pack in packs.items():
        if options.only and not any(part in name for part in options.only):
            continue
        figures["packs"] += 1
        without = resolved(python, pack["requirements"], options.timeout)
        if isinstance(without, str):
            figures["unresolved"] += 1
            print(f"{name}: not resolvable by itself: {without}", flush=True)
            continue
        together = resolved(python, [*pack["requirements"], *ours], options.timeout)
        if isinstance(together, str):
            figures["moved"] += 1
            print(f"{name}: NOT with ours: {together}", flush=True)
            continue
        moved = {n: (v, together.get(n)) for n, v in without.items() if together.get(n) != v}
        added = {n: v for n, v in together.items() if n not in without}
        watched = {n: v for n, v in added.items() if n in WATCHED}
        figures["moved"] += bool(moved or watched)
        print(
            f"{name}: {'MOVED ' + str(moved | watched) if moved or watched else 'same'}; added {added or 'nothing'}",
            flush=True,
        )
    print(
        f"{figures['packs']} packs: {figures['moved']} moved by ours, {figures['unresolved']} not resolvable by "
        "themselves, the others the same with ours and without"
    )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 1 if figures["moved"] else 0


if __name__ == "__main__":
    sys.exit(main())
