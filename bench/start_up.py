"""What loading Resource Gate adds to ComfyUI's start, in a process that has loaded what ComfyUI itself loads.

Two figures, each the median of fresh processes: importing the package (what ComfyUI logs as "Import times"), and
`comfy_entrypoint` with it, which also opens the journal and starts the sampler. `--modules` lists the dearest imports.

    python bench/start_up.py --runs 7

On a machine with other work the CPU time of the import, told beside it, is the truer figure.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from resource_gate.batch.local.find_comfyui import ComfyUI, find_comfyui

ROOT = Path(__file__).parents[1]
NAMES = ("package", "import", "start", "import_cpu")

INSIDE = """
import sys, time
sys.argv = ["main.py", "--cpu", "--disable-api-nodes", "--base-directory", sys.argv[2]]
sys.path.insert(0, ".")
import comfy.options
comfy.options.enable_args_parsing()
import utils.extra_config, asyncio, importlib, importlib.util, json, logging
import sqlite3  # which ComfyUI's start loads in any case, for its own database, right after the custom nodes
import execution, server, nodes
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
made = server.PromptServer(loop)
made.prompt_queue = getattr(made, "prompt_queue", None) or execution.PromptQueue(made)
path = ROOT
name = path.replace(".", "_x_")
before = set(sys.modules)
start, start_cpu = time.perf_counter(), time.process_time()
spec = importlib.util.spec_from_file_location(name, path + "/__init__.py", submodule_search_locations=[path])
module = importlib.util.module_from_spec(spec)
sys.modules[name] = module
spec.loader.exec_module(module)
loaded = time.perf_counter()
module._load()
imported, imported_cpu = time.perf_counter(), time.process_time()
loop.run_until_complete(module.comfy_entrypoint())
started = time.perf_counter()
theirs = sorted({n.split(".")[0] for n in set(sys.modules) - before if not n.startswith(name)})
print("TOLD " + json.dumps({"package": loaded - start, "import": imported - start, "start": started - start,
                            "import_cpu": imported_cpu - start_cpu,
                            "theirs": theirs}))
"""


def once(comfyui: ComfyUI, kept: str, *flags: str) -> tuple[dict[str, float], str]:
    """Seconds of one fresh process, and what it wrote to standard error; bytecode and journal are kept in `kept`."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    code = INSIDE.replace("path = ROOT", f"path = {str(ROOT)!r}")
    done = subprocess.run(
        [str(comfyui.python), *flags, "-c", code, "x", f"{kept}/base"],
        cwd=comfyui.path,
        env={**environment, "PYTHONPYCACHEPREFIX": f"{kept}/compiled"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")]
    if not told:
        raise SystemExit(f"ComfyUI could not be loaded:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(told[0].removeprefix("TOLD "))
    return figures, done.stderr


def dearest(trace: str, count: int) -> list[tuple[float, str]]:
    """The modules of ours that took longest by themselves, in ms, from what `-X importtime` writes."""
    marked = str(ROOT).replace(".", "_x_")
    found = []
    for line in trace.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and marked in parts[2]:
            found.append((int(parts[0]) / 1000, parts[2].strip().removeprefix(marked)))
    return sorted(found, reverse=True)[:count]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--modules", type=int, default=0, metavar="N", help="also the N modules that took longest")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    finding = find_comfyui()
    if finding.comfyui is None:
        print(f"No ComfyUI: {finding.reason}")
        return 2
    with tempfile.TemporaryDirectory() as kept:
        once(finding.comfyui, kept)  # compiles, and makes the journal, which happens once an installation
        runs = [once(finding.comfyui, kept)[0] for _ in range(options.runs)]
        trace = once(finding.comfyui, kept, "-X", "importtime")[1] if options.modules else ""
    figures = {f"{name}_ms": statistics.median(r[name] for r in runs) * 1000 for name in NAMES}
    print(
        f"package alone {figures['package_ms']:.1f} ms, all its modules {figures['import_ms']:.1f} ms, started "
        f"{figures['start_ms']:.1f} ms, CPU of it {figures['import_cpu_ms']:.1f} ms (medians of {options.runs});"
        f" modules of others: {runs[0]['theirs']}"
    )
    for took, name in dearest(trace, options.modules):
        print(f"{took:8.2f} ms  {name}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
