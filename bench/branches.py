"""What the unit tests reach, by branch, of each room that decides.

python bench/branches.py [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ROOMS = ("monitor", "reclaim", "gate", "api")


def by_room(report: dict[str, Any]) -> dict[str, float]:
    """Share of statements and branches that were reached, of what `coverage json` tells."""
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, told in report["files"].items():
        room = next((part for part in Path(name).parts if part in ROOMS), "")
        summary = told["summary"]
        found[room][0] += summary["covered_lines"] + summary.get("covered_branches", 0)
        found[room][1] += summary["num_statements"] + summary.get("num_branches", 0)
    return {room: found[room][0] / max(1, found[room][1]) for room in ROOMS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, report = Path(folder, "coverage"), Path(folder, "report.json")
        coverage = [sys.executable, "-m", "coverage"]
        tests = ["-m", "pytest", "-m", "not live and not browser and not gpu", "-q"]
        ran = subprocess.run([*coverage, "run", f"--data-file={data}", *tests], cwd=ROOT, check=False)
        told = subprocess.run(
            [*coverage, "json", f"--data-file={data}", "-o", str(report), "-q"], cwd=ROOT, check=False
        )
        if told.returncode or not report.is_file():
            return 2
        rooms = by_room(json.loads(report.read_text("utf-8")))
    print(", ".join(f"{room} {share:.1%}" for room, share in rooms.items()))
    if options.json:
        options.json.write_text(json.dumps(rooms, indent=2) + "\n", "utf-8")
    return ran.returncode


if __name__ == "__main__":
    sys.exit(main())
