"""ComfyUI's own `tests/execution`, without and with the extension: are the counts the same, test by test?

On a copy of the checkout (models and outputs left out), so that nothing of it is touched. Its tests start their servers
with three cache modes; the default one is added to the list in the copy, and they wait longer for a server there. The
ComfyUI's Python needs `pytest pytest-aiohttp pytest-asyncio websocket-client`.

    python bench/conformance.py [--match test_lazy_input] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

from resource_gate.batch.local.find_comfyui import ComfyUI, find_comfyui

ROOT = Path(__file__).parents[1]
LEFT_OUT = {".git", ".venv", "venv", "models", "output", "input", "temp", "user", "custom_nodes"}
OURS_LEFT_OUT = {".git", ".venv", "build", "ui", "tests", "ComfyUI", ".hypothesis", ".mypy_cache", ".ruff_cache"}
"""Both at the top only: ComfyUI has packages of the name `models` further down."""

FIRST_MODE = '        { "extra_args" : ["--cache-classic"], "should_cache_results" : True },\n'
PATIENCE, LONGER = "n_tries = 5\n", "n_tries = 45\n"
"""Its tests wait 20 s for their server; on a busy machine that fails all of them, whatever is installed."""
DEFAULT_MODE = '        { "extra_args" : [], "should_cache_results" : True },\n'


def copy(source: Path, target: Path, left_out: set[str]) -> None:
    def ignored(folder: str, names: list[str]) -> set[str]:
        return {n for n in names if n == "__pycache__" or (Path(folder) == source and n in left_out)}

    shutil.copytree(source, target, ignore=ignored, symlinks=True)


def prepare(comfyui: ComfyUI, tree: Path, extension: bool) -> int:
    """Copy the checkout; return to how many of its files the default mode was added."""
    copy(comfyui.path, tree, LEFT_OUT)
    for name in ("models", "output", "input", "temp", "user", "custom_nodes"):
        (tree / name).mkdir(exist_ok=True)
    if extension:
        copy(ROOT, tree / "custom_nodes" / "resource-gate", OURS_LEFT_OUT)
    changed = 0
    for path in sorted((tree / "tests" / "execution").glob("test_*.py")):
        text = path.read_text("utf-8")
        changed += FIRST_MODE in text
        text = text.replace(FIRST_MODE, DEFAULT_MODE + FIRST_MODE)
        path.write_text(text.replace(PATIENCE, LONGER), "utf-8")
    return changed


def outcomes(comfyui: ComfyUI, tree: Path, port: int, match: str | None) -> dict[str, str]:
    """Test → passed, failed, error or skipped."""
    report = tree / "report.xml"
    command = [str(comfyui.python), "-m", "pytest", "tests/execution", "-q", "--skip-timing-checks"]
    command += ["--port", str(port), "--output_dir", str(tree / "output"), f"--junitxml={report}"]
    command += ["-k", match] if match else []
    path = f"{comfyui.python.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        command, cwd=tree, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    if not report.is_file():
        raise SystemExit(f"ComfyUI's tests did not run:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        bad = next((c.tag for c in case if c.tag in ("failure", "error", "skipped")), "passed")
        found[f"{case.get('classname')}::{case.get('name')}"] = {"failure": "failed"}.get(bad, bad)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8199)
    parser.add_argument("--match", metavar="WORDS", help="only these tests, as pytest's -k")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    finding = find_comfyui()
    if finding.comfyui is None:
        print(f"No ComfyUI: {finding.reason}")
        return 2
    found: dict[str, dict[str, str]] = {}
    for name, extension in (("without", False), ("with", True)):
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder) / "ComfyUI"
            files = prepare(finding.comfyui, tree, extension)
            found[name] = outcomes(finding.comfyui, tree, options.port, options.match)
        print(f"{name}: {dict(Counter(found[name].values()))}; default cache mode in {files} files", flush=True)
    differ = {
        test: (found["without"].get(test, "missing"), found["with"].get(test, "missing"))
        for test in sorted({*found["without"], *found["with"]})
        if found["without"].get(test) != found["with"].get(test)
    }
    for test, (without, together) in differ.items():
        print(f"{test}: {without} without, {together} with")
    print(f"{len(differ)} of {len(found['with'])} tests differ")
    if options.json:
        figures = {name: dict(Counter(each.values())) for name, each in found.items()} | {"differ": len(differ)}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
