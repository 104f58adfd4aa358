"""ComfyUI's own execution tests, without the extension and with it: the counts have to be the same.

They run unchanged from a copy, in ComfyUI's three cache modes and, which they leave out themselves, in its default one.
Needs `pytest pytest-aiohttp pytest-asyncio websocket-client` in ComfyUI's environment.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from resource_gate.batch.find_comfyui import find_comfyui

EXTENSION = Path(__file__).resolve().parent.parent

NOT_LINKED = {"tests", "output", "user", "temp", ".git"}

CACHE_NONE = '{ "extra_args" : ["--cache-none"], "should_cache_results" : False },'
CACHE_DEFAULT = '{ "extra_args" : [], "should_cache_results" : True },'

COUNTS = re.compile(r"(\d+) (passed|failed|skipped|error)")


def add_default_cache(tests: Path) -> None:
    """Let the copies start their servers in the default cache mode too."""
    execution = tests / "execution" / "test_execution.py"
    text = execution.read_text()
    if CACHE_NONE not in text:
        sys.exit(f"{execution.name} no longer lists its cache modes as this script knows them")
    execution.write_text(text.replace(CACHE_NONE, f"{CACHE_NONE}\n        {CACHE_DEFAULT}"))


def lay_out(folder: Path, comfyui: Path, python: Path, extension: bool) -> None:
    """A folder that looks like the checkout, with tests of its own and a `python` that writes beside them."""
    for entry in comfyui.iterdir():
        if entry.name not in NOT_LINKED:
            (folder / entry.name).symlink_to(entry)
    tests = folder / "tests"
    shutil.copytree(comfyui / "tests", tests, ignore=shutil.ignore_patterns("samples", "__pycache__"))
    add_default_cache(tests)
    if extension:
        nodes = folder / "with" / "custom_nodes"
        nodes.mkdir(parents=True)
        (nodes / "resource-gate").symlink_to(EXTENSION)
        paths = tests / "execution" / "extra_model_paths.yaml"
        paths.write_text(f"{paths.read_text()}\nresource_gate:\n    custom_nodes: {nodes}\n")
    shim = folder / "bin" / "python"
    shim.parent.mkdir()
    own = f"--user-directory {folder}/user --temp-directory {folder} --database-url sqlite:///{folder}/comfy.db"
    shim.write_text(f'#!/bin/sh\ncase "$1" in main.py) exec {python} "$@" {own};; esac\nexec {python} "$@"\n')
    shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    (folder / "user").mkdir()


def run(comfyui: Path, python: Path, extension: bool) -> tuple[dict[str, int], str]:
    """Run them once; return the counts by outcome, and pytest's last lines."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        lay_out(folder, comfyui, python, extension)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [str(python), "-m", "pytest", "tests/execution", "-q", "--skip-timing-checks", "--port", str(port)]
        environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", "--output_dir", str(folder / "samples")],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        lines = done.stdout.strip().splitlines()
        seen = (folder / "user" / "__resource_gate" / "journal.sqlite3").exists()
        last = lines[-1] if lines else done.stderr[-500:]
        failures = "\n".join(line for line in lines if line.startswith(("FAILED", "ERROR")))
        note = f"{last}\n{failures}".strip() + (f"\nthe extension ran: {seen}" if extension else "")
        return {what: int(count) for count, what in COUNTS.findall(last)}, note


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("stock", "gate"), help="one of the two")
    options = parser.parse_args()
    finding = find_comfyui()
    if finding.comfyui is None:
        sys.exit(finding.reason)
    found = finding.comfyui
    counts = {}
    for name in ("stock", "gate"):
        if options.only in (None, name):
            counts[name], last = run(found.path, found.python, name == "gate")
            print(f"{name}: {last}", flush=True)
    return 0 if len({tuple(sorted(c.items())) for c in counts.values()}) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
