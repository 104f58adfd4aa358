"""One table of target, measured and command, in the READMEs between two markers; its benches are run here.

    python bench/table.py                      # run all, then write the table
    python bench/table.py --run sample react   # run these again, keep the other figures
    python bench/table.py --from results.json  # write the table of these figures, run nothing
    python bench/table.py --check              # is the READMEs' table that of the stored figures?
    python bench/table.py --list               # the benches, and how long each takes

Figures lie in bench/results.json, each with the day and the machine it was measured on. A bench that cannot run (no
ComfyUI, no cgroup) keeps its last figures, and that is said; a row whose bench has never run says so, and no figure.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from table_rows import BENCHES, ROWS, Bench, Figures, Row

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results.json"
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
BEGIN, END = "<!-- measured: written by make bench -->", "<!-- end of measured -->"


def run(bench: Bench) -> Figures | None:
    """Run it and return what it wrote; None where it wrote nothing."""
    print(f"$ {bench.command}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "figures.json")
        command = [sys.executable, *shlex.split(bench.command)[1:], "--json", str(out)]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if not out.is_file():
            print(f"{bench.name} wrote no figures (exit code {code}); its last ones stay", flush=True)
            return None
        figures: Figures = json.loads(out.read_text("utf-8"))
        return figures


def machine() -> str:
    """What it was measured on, as far as it matters."""
    return f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB, {platform.system()}"


def table(results: Mapping[str, Any], rows: Sequence[Row] = ROWS) -> str:
    """The table in Markdown; a row without figures says so."""
    commands = {bench.name: bench.command for bench in BENCHES}
    lines = ["| what | target | measured | command |", "|---|---|---|---|"]
    for row in rows:
        result = results.get(row.bench)
        try:
            cell = row.measured(result["figures"]) if result else "not measured yet"
        except (KeyError, StopIteration, TypeError) as error:
            cell = f"not told by the figures ({error})"
        lines.append(f"| {row.what} | {row.target} | {cell} | `{commands[row.bench]}` |")
    seen = sorted({f"{r['machine']}, {r['day']}" for r in results.values()})
    return "\n".join([*lines, "", f"Measured on {'; '.join(seen)}." if seen else "Nothing is measured yet."])


def with_table(text: str, made: str) -> str | None:
    """The README with the table between its markers; None where it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}" if begin and end else None


def main() -> int:
    names = [bench.name for bench in BENCHES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", nargs="*", choices=names, metavar="NAME", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--from", dest="given", type=Path, metavar="FILE", help="figures to tell of; runs nothing")
    parser.add_argument("--list", action="store_true", help="the benches, in their order")
    parser.add_argument("--check", action="store_true", help="fail if the README's table is another")
    options = parser.parse_args()
    if options.list:
        for bench in BENCHES:
            print(f"{bench.name:16}{bench.minutes:5.1f} min  {bench.command}")
        return 0
    path = options.given or RESULTS
    results: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if options.given is None and not options.check:
        for bench in BENCHES:
            if options.run is None or bench.name in options.run:
                figures = run(bench)
                if figures is not None:
                    day = datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat()
                    results[bench.name] = {"day": day, "machine": machine(), "figures": figures}
                    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", "utf-8")
    made = table(results)
    bad = 0
    for readme in READMES:
        text = readme.read_text("utf-8")
        written = with_table(text, made)
        if written is None:
            print(f"{readme.name} has no place for the table (the lines {BEGIN} and {END})")
            bad = 1
        elif written != text and options.check:
            print(f"{readme.name} tells other figures than {path.name}")
            bad = 1
        elif not options.check:
            readme.write_text(written, "utf-8")
    print(made)
    return bad


if __name__ == "__main__":
    sys.exit(main())
