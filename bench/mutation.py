"""Do the tests notice? Changes levels, ladder and journal in hundreds of small ways, and runs their tests on each.

On a copy of the working tree, with cosmic-ray (`make mutation` installs it). What survives is told with its line, so
that a test can be written against it, or the reason be found why no test could tell.

    python bench/mutation.py [--only ladder] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = {
    "level": (
        ["monitor/level.py", "monitor/levels.py"],
        ["tests/monitor/test_level.py", "tests/monitor/test_sampler.py"],
    ),
    "ladder": (["reclaim/ladder.py"], ["tests/reclaim/test_ladder_edges.py", "tests/reclaim/test_ladder.py"]),
    "journal": (
        ["gate/journal/journal.py"],
        [
            "tests/gate/test_journal.py",
            "tests/gate/test_journal_edges.py",
            "tests/gate/test_journal_file.py",
            "tests/gate/test_journal_note.py",
        ],
    ),
}
"""Name → what is changed, and the tests that are to notice."""

CONFIG = """
[cosmic-ray]
module-path = {modules}
timeout = 60.0
excluded-modules = []
test-command = "{python} -m pytest -x -q -p no:cacheprovider {tests}"

[cosmic-ray.distributor]
name = "local"

[cosmic-ray.filters.operators-filter]
exclude-operators = {untold}
"""

NOT_COPIED = (
    "ComfyUI",
    "__pycache__",
    ".git",
    ".venv",
    "node_modules",
    "build",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
)

UNTOLD = ["core/ReplaceBinaryOperator_BitOr_.*"]
"""`X | None` in an annotation, which nobody evaluates, is no code that a test could notice."""


def run(name: str, tree: Path) -> dict[str, object]:
    """Change one group's modules; return how many changes there were, how many were noticed, and the others."""
    modules, tests = MODULES[name]
    folder = tree / "build"
    config, session = folder / f"{name}.toml", folder / f"{name}.sqlite"
    present = [t for t in tests if (tree / t).is_file()]
    config.write_text(
        CONFIG.format(
            modules=json.dumps(modules), python=sys.executable, tests=" ".join(present), untold=json.dumps(UNTOLD)
        ),
        "utf-8",
    )
    environment = {"PYTHONPATH": str(folder / "typing"), "PATH": "/usr/bin:/bin", "HYPOTHESIS_PROFILE": "ci"}

    def call(tool: str, *arguments: str) -> str:
        command = [str(Path(sys.executable).with_name(tool)), *arguments]
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{tool} {arguments[0]} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    call("cosmic-ray", "init", str(config), str(session))
    call("cr-filter-operators", str(session), str(config))
    call("cosmic-ray", "baseline", str(config))
    call("cosmic-ray", "exec", str(config), str(session))
    survivors, total = [], 0
    for line in call("cosmic-ray", "dump", str(session)).splitlines():
        work, result = json.loads(line)
        (mutation,) = work["mutations"]
        if result is None or result["test_outcome"] is None:
            continue  # left out by the filter
        total += 1
        if result["test_outcome"] == "survived":
            row = mutation["start_pos"][0]
            text = (tree / mutation["module_path"]).read_text("utf-8").splitlines()[row - 1].strip()
            survivors.append(
                f"{mutation['module_path']}:{row} {mutation['operator_name'].removeprefix('core/')}: {text}"
            )
    return {"mutants": total, "killed": total - len(survivors), "survivors": survivors}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(MODULES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    if not Path(sys.executable).with_name("cosmic-ray").exists():
        print("nothing was measured: cosmic-ray is not in this environment; `make mutation` puts it there")
        return 1
    figures: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)
        (tree / "build" / "typing").mkdir(parents=True)
        (tree / "build" / "typing" / "resource_gate").symlink_to(tree)
        for name in options.only or MODULES:
            figures[name] = found = run(name, tree)
            share = int(str(found["killed"])) / max(1, int(str(found["mutants"])))
            print(f"{name}: {found['killed']} of {found['mutants']} changes noticed ({share:.0%})", flush=True)
            for survivor in found["survivors"]:  # type: ignore[attr-defined]
                print(f"    {survivor}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
