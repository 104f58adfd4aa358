"""What tests that run a real ComfyUI, or a browser, show: how many pass, how each named one ended, what it recorded.

    python bench/by_test.py tests/live tests/compat --json FILE

A test records a figure with pytest's `record_property`; the bound is the test's own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def told_by(report: Path) -> dict[str, Any]:
    """The figures of a JUnit report: module::test → outcome, and what it recorded."""
    tests: dict[str, Any] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        bad = next((c.tag for c in case if c.tag in ("failure", "error", "skipped")), "passed")
        outcome = {"failure": "failed", "error": "failed"}.get(bad, bad)
        recorded = {p.get("name"): p.get("value") for p in case.iter("property")}
        # A test that passes and whose clean-up fails has two entries: the bad one counts.
        name = f"{(case.get('classname') or '').rpartition('.')[2]}::{case.get('name')}"
        if tests.get(name, {}).get("outcome") != "failed":
            tests[name] = {"outcome": outcome, **({"recorded": recorded} if recorded else {})}
    counted = Counter(each["outcome"] for each in tests.values())
    return {outcome: counted[outcome] for outcome in ("passed", "failed", "skipped")} | {"tests": tests}


def run(paths: Sequence[str], match: str | None = None) -> dict[str, Any] | None:
    """Run them; None where pytest wrote no report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", *paths, f"--junitxml={report}", "-q"]
        began = time.monotonic()
        subprocess.run([*command, *(["-k", match] if match else [])], cwd=ROOT, check=False)
        if not report.is_file():
            return None
        return {**told_by(report), "seconds": round(time.monotonic() - began)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="as pytest takes them")
    parser.add_argument("--match", metavar="WORDS", help="only these tests, as pytest's -k")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    figures = run(options.paths, options.match)
    if figures is None or not figures["tests"]:
        print("no test ran")
        return 2
    if not figures["passed"] and not figures["failed"]:
        print("all were skipped: no ComfyUI, or no Chromium, on this machine")
        return 2
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 1 if figures["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
